package ad2

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// Displays of the stories below: what comes first is the bits, then the number.
const (
	idle      = `[10000001000000003A--],008,[f70200011008001c08020000000000],"****DISARMED****  Ready to Arm  "`
	hidden    = `[00000001000000003A--],008,[f70200011008000c08020000000000],"****DISARMED****Hit * for faults"`
	away      = `[01000001000000003A--],008,[f70200011008000c0c020000000000],"ARMED ***AWAY***                "`
	awayAlarm = `[01000001010000003A--],008,[f70200011008000e0c020000000000],"ARMED ***AWAY***                "`
	stay      = `[00100001000000003A--],008,[f70200011008008c08020000000000],"ARMED ***STAY***                "`
	leave45   = `[01010001000000000A--],045,[f7020001104500000c020000000000],"ARMED ***AWAY***You may exit now"`
	leave16   = `[00110001000000003A--],016,[f70200011016008008020000000000],"ARMED ***STAY***May Exit Now  16"`
	enter     = `[01000501000000003A--],008,[f70200011008050c0c020000000000],"DISARM SYSTEM   OR ALARM OCCURS "`
	lobat     = `[10000001000100003A--],008,[f70200011008005c08020000000000],"SYSTEM LO BAT                   "`
	mains     = `[10000000000000003A--],008,[f70200011008001c00020000000000],"****DISARMED****  Ready to Arm  "`
	idle2     = `[10000001000000003A--],008,[f70400020008001c08020000000000],"****DISARMED****  Ready to Arm  "`
	away2     = `[01000001000000003A--],008,[f70400020008000c0c020000000000],"ARMED ***AWAY***                "`
	fault2    = `[00000001000000000A--],033,[f70400020033000008020000000000],"FAULT 33 WORKSHOP               "`
)

// fault, check, loBat and alarmed are displays about a zone.
func fault(n int) string {
	return fmt.Sprintf(`[00000001000000000A--],%03d,[f702000110%02d000008020000000000],"FAULT %02d                        "`, n, n%100, n)
}

func lit(line string) string { return line[:4] + "1" + line[5:] }

func check(n int) string {
	return fmt.Sprintf(`[00000401000000100A--],%03d,[f702000110%02d040208020000000000],"CHECK %02d                        "`, n, n%100, n)
}

func loBat(n int) string {
	return fmt.Sprintf(`[00000001000100000A--],%03d,[f702000110%02d004008020000000000],"LOBAT %02d                        "`, n, n%100, n)
}

func alarmed(bits string, n int) string {
	return fmt.Sprintf(`[%s0A--],%03d,[f702000110%02d00000f020000000000],"ALARM %02d                        "`, bits, n, n%100, n)
}

// step is a line at a time, and the events that follow from it, or from the time
// that has passed before it.
type step struct {
	at   float64
	line string
	want string
}

// told writes an event as the stories do; those of kinds that pass are left out.
func told(e Event) string {
	switch e.Kind.Begins() {
	case Ready, Chime, Exit, Entry:
		return ""
	}
	s := string(e.Kind)
	if e.Subject().IsValid() {
		s += " " + e.Subject().Name()
	}
	if e.Kind == Armed {
		s += " " + e.Mode.String()
	}
	if e.User > 0 {
		s += fmt.Sprintf(" by %d", e.User)
	}
	return s
}

// play plays a story and compares.
func play(t *testing.T, p *Panel, steps []step) {
	t.Helper()
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	now := start
	for i, s := range steps {
		to := start.Add(time.Duration(s.at * float64(time.Second)))
		var got []string
		note := func(es []Event) {
			for _, e := range es {
				if text := told(e); text != "" {
					got = append(got, text)
				}
			}
		}
		for next := p.Next(); i > 0 && !next.IsZero() && next.Before(to); next = p.Next() {
			if now = latest(next, now.Add(time.Second)); !now.Before(to) {
				break
			}
			note(p.Advance(now))
		}
		now = to
		if s.line == "" {
			note(p.Advance(now))
		} else {
			w, err := Decode(s.line)
			if err != nil {
				note(p.Noise(now))
			}
			for _, m := range w.Messages {
				note(p.Observe(m, now))
			}
		}
		if text := strings.Join(got, ", "); text != s.want {
			t.Errorf("at %v %q: %q, want %q", s.at, s.line, text, s.want)
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// repeat shows lines in turn, every four seconds.
func repeat(from float64, n int, lines ...string) (out []step) {
	for i := range n {
		out = append(out, step{at: from + 4*float64(i), line: lines[i%len(lines)]})
	}
	return out
}

// TestStories plays what happens in a house, and the faults of the usual software
// that must not be ours. Where its events are others, it is for one of these reasons:
//
//   - it takes a zone for closed when the display skipped it once, or showed
//     something in between, or has not shown it for 30 s: with nine open zones, a key
//     that is pressed, or while armed that is wrong;
//   - READY of one partition closes the zones of another, and arming one disarms
//     the other: it knows no partitions;
//   - it ends a fire after 30 s while the bit is still set, and reports loss of mains
//     power the wrong way round;
//   - it takes CHECK of a zone, and of a module, for an open zone; seconds of the
//     exit delay are none either;
//   - it takes no panic from reports unless told to, a dash for a bit that is set, and
//     the low battery of a sensor for that of the panel.
func TestStories(t *testing.T) {
	for name, steps := range map[string][]step{
		"a zone opens and closes": {
			{0, idle, ""}, {2, lit(fault(3)), "fault 1/3"}, {6, fault(3), ""}, {10, idle, "restore 1/3"}, {20, idle, ""},
		},
		"the first message is the base line, what is wrong is told": {
			{0, alarmed("0100000101100000", 3), "alarm 1/3, fault 1/3"}, {4, awayAlarm, ""},
		},
		"arming away with a countdown, disarming": {
			{0, idle, ""}, {1, leave45, "arm 1 away"}, {6, away, ""}, {40, away, ""}, {50, idle, "disarm 1"},
		},
		"seconds left are no zones": {
			{0, idle, ""}, {1, leave16, "arm 1 stay"}, {2, strings.ReplaceAll(leave16, "16", "15"), ""}, {20, stay, ""},
		},
		"break-in, disarm, memory": {
			{0, away, ""}, {6, enter, ""}, {10, enter, ""}, {36, alarmed("0100000101100000", 3), "alarm 1/3, fault 1/3"},
			{40, alarmed("0100000101100000", 5), "alarm 1/5, fault 1/5"}, {44, alarmed("0100000101100000", 3), ""},
			{50, alarmed("0001000101000000", 3), "disarm 1, alarm-restored 1/3"}, {54, alarmed("0000000101000000", 3), ""}, {74, idle, "restore 1/3, restore 1/5"},
		},
		"the siren falls silent by itself": {
			{0, away, ""}, {6, alarmed("0100000101100000", 3), "alarm 1/3, fault 1/3"}, {10, awayAlarm, ""}, {14, alarmed("0100000101000000", 3), ""},
			{30, awayAlarm, ""}, {40, awayAlarm, "alarm-restored 1/3"},
		},
		"nine open zones stay open": append(append([]step{},
			step{0, fault(1), "fault 1/1"}, step{4, fault(2), "fault 1/2"}, step{8, fault(3), "fault 1/3"}, step{12, fault(4), "fault 1/4"}, step{16, fault(5), "fault 1/5"},
			step{20, fault(6), "fault 1/6"}, step{24, fault(7), "fault 1/7"}, step{28, fault(8), "fault 1/8"}, step{32, fault(9), "fault 1/9"}),
			repeat(36, 90, fault(1), fault(2), fault(3), fault(4), fault(5), fault(6), fault(7), fault(8), fault(9))...),
		"a repeated line after a key restores nothing": {
			{0, fault(9), "fault 1/9"}, {4, fault(18), "fault 1/18"}, {8, fault(9), ""}, {12, fault(18), ""}, {13, lit(fault(18)), ""}, {14, fault(9), ""}, {18, fault(18), ""},
		},
		"an interposed display restores nothing": {
			{0, fault(2), "fault 1/2"}, {4, fault(5), "fault 1/5"}, {8, fault(9), "fault 1/9"}, {12, hidden, ""}, {16, fault(9), ""}, {20, hidden, ""}, {24, fault(9), ""},
			{28, fault(2), ""}, {32, hidden, ""}, {36, fault(9), ""},
		},
		"a zone that is left out twice is closed": {
			{0, fault(2), "fault 1/2"}, {4, fault(5), "fault 1/5"}, {8, fault(9), "fault 1/9"}, {12, fault(2), ""}, {16, fault(5), ""}, {20, fault(9), ""},
			{24, fault(2), ""}, {28, fault(9), ""}, {32, fault(2), ""}, {36, fault(9), "restore 1/5"}, {40, fault(2), ""},
		},
		"a lost line is not a closed zone": {
			{0, fault(2), "fault 1/2"}, {4, fault(5), "fault 1/5"}, {8, fault(9), "fault 1/9"}, {12, fault(2), ""}, {16, fault(5), ""}, {20, fault(9), ""},
			{24, fault(2), ""}, {28, "[0000000100~", ""}, {32, fault(9), ""}, {36, fault(2), ""}, {44, fault(9), ""}, {48, fault(2), ""}, {52, fault(5), ""},
		},
		"two lines that are lost without a trace are not a closed zone": {
			{0, fault(2), "fault 1/2"}, {4, fault(5), "fault 1/5"}, {8, fault(9), "fault 1/9"}, {12, fault(2), ""}, {16, fault(5), ""}, {20, fault(9), ""},
			{24, fault(2), ""}, {32, fault(9), ""}, {36, fault(2), ""}, {44, fault(9), ""}, {48, fault(2), ""}, {52, fault(5), ""},
		},
		"nothing closes while armed": {
			{0, fault(4), "fault 1/4"}, {29, stay, "arm 1 stay"}, {31, stay, ""}, {71, stay, ""}, {111, stay, ""}, {120, idle, "disarm 1, restore 1/4"},
		},
		"an expander's zone closes when it says so": {
			{0, idle, ""}, {1, "!EXP:07,01,01", "fault 1/9"}, {41, idle, ""}, {42, "!EXP:07,01,00", "restore 1/9"}, {43, "!EXP:07,02,02", "trouble 1/10"},
			{44, "!EXP:07,02,00", "trouble-restored 1/10"}, {45, fault(9), ""}, {49, fault(9), ""},
		},
		"the display helps out when an expander's message was lost": {
			{0, idle, ""}, {1, "!EXP:07,01,01", "fault 1/9"}, {2, fault(9), ""}, {10, fault(9), ""}, {30, idle, "restore 1/9"},
			{100, idle, "silent, silent-restored"}, {101, fault(9), ""}, {105, fault(9), "fault 1/9"},
		},
		"a system message with the ready bit closes nothing": {
			{0, fault(5), "fault 1/5"}, {4, lobat, "battery"}, {8, fault(5), ""}, {12, idle, "restore 1/5"}, {30, idle, ""}, {40, idle, "battery-restored"},
		},
		"fire holds while its bit comes and goes": {
			{0, idle, ""}, {5, `[00000001011001000A--],004,[f7020001100400010b020000000000],"FIRE 04 SMOKE                   "`, "alarm 1/4, fire 1/4"},
			{9, `[00000001011100003A--],008,[f70200011008004c0b020000000000],"SYSTEM LO BAT                   "`, "battery"},
			{50, `[00000001011001000A--],004,[f7020001100400010b020000000000],"FIRE 04 SMOKE                   "`, "battery-restored"},
			{54, `[00000001011000003A--],008,[f70200011008000c0b020000000000],"****DISARMED****                "`, ""},
			{74, `[00000001011000003A--],008,[f70200011008000c0b020000000000],"****DISARMED****                "`, ""},
			{94, `[00000001011001000A--],004,[f7020001100400010b020000000000],"FIRE 04 SMOKE                   "`, ""},
			{100, `[00000001010000000A--],004,[f7020001100400000a020000000000],"FIRE 04 SMOKE                   "`, ""},
			{110, idle, "alarm-restored 1/4, fire-restored 1"},
		},
		"mains power is not inverted": {
			{0, idle, ""}, {5, mains, "ac"}, {9, mains, ""}, {14, idle, "ac-restored"}, {20, idle, ""},
			{60, "!LRR:000,0,CID_1301,ff", "report"}, // late: the keypads have shown it
			{61, "!LRR:000,0,CID_3301,ff", "report"}, {62, idle, ""},
		},
		"mains power by report alone": {
			{0, idle, ""}, {1, "!LRR:000,0,CID_1301,ff", "ac"}, {2, "!LRR:000,0,CID_3301,ff", "ac-restored"},
		},
		"reports alone": {
			{0, idle, ""}, {1, "!LRR:002,1,CID_3401,ff", "arm 1 away by 2"}, {6, "!LRR:003,1,CID_1131,ff", "alarm 1/3"}, {11, "!LRR:002,1,CID_1406,ff", "alarm-restored 1/3"},
			{12, "!LRR:002,1,CID_1401,ff", "disarm 1 by 2"}, {13, "!LRR:002,1,CID_3441,ff", "arm 1 stay by 2"}, {14, "!LRR:099,1,CID_1123,ff", "panic 1/99"},
			{15, "!LRR:002,1,CID_1406,ff", "panic-restored 1"}, {16, "!LRR:095,1,CID_1110,ff", "fire 1/95"}, {19, "!LRR:000,0,CID_1302,ff", "battery"},
			{20, "!LRR:007,1,CID_1570,ff", "bypass 1/7"}, {21, "!LRR:007,1,CID_3570,ff", "bypass-restored 1/7"}, {22, "!LRR:007,1,CID_1383,ff", "tamper 1/7"},
			{23, "!LRR:007,1,CID_3383,ff", "tamper-restored 1/7"}, {24, "!LRR:008,1,CID_1381,ff", "supervision 1/8"}, {25, "!LRR:008,1,CID_3381,ff", "supervision-restored 1/8"},
			{26, "!LRR:000,0,CID_1351,ff", "trouble"}, {27, "!LRR:000,0,CID_1602,ff", "report"}, {28, "!LRR:001,602,CID_1130,ff", "report"},
		},
		"reports of older firmware": {
			{0, idle, ""}, {1, "!LRR:002,1,ARM_AWAY", "arm 1 away by 2"}, {2, "!LRR:012,1,ALARM_PANIC", "panic 1/12"}, {3, "!LRR:002,1,CANCEL", "panic-restored 1"},
			{4, "!LRR:002,1,OPEN", "disarm 1 by 2"}, {5, "!LRR:000,0,ACLOSS", "ac"}, {6, "!LRR:000,0,AC_RESTORE", "ac-restored"}, {7, "!LRR:000,1,TEST_CALL", "report 1"},
		},
		"by whom, when the report comes after the keypads": {
			{0, away, ""}, {1, "!LRR:000,0,CID_1602,ff", "report"}, {5, idle, ""}, {5.3, "!LRR:003,1,CID_1401,ff", "disarm 1 by 3"}, {10, idle, ""},
		},
		"by whom, when the report comes first": {
			{0, away, ""}, {1, "!LRR:003,1,CID_1401,ff", "disarm 1 by 3"}, {1.2, away, ""}, {2, idle, ""}, {10, idle, ""},
		},
		"a panel that never said by whom": {
			{0, away, ""}, {1, "!LRR:000,0,CID_1602,ff", "report"}, {5, idle, ""}, {10, idle, "disarm 1"},
		},
		"an alarm that is reported after the keypads showed it": {
			{0, away, ""}, {6, alarmed("0100000101100000", 3), "alarm 1/3, fault 1/3"}, {7, "!LRR:003,1,CID_1134,ff", "report 1"}, {10, idle, "alarm-restored 1/3, restore 1/3"},
			{11, "!LRR:002,1,CID_1401,ff", "disarm 1 by 2"}, {12, "!LRR:003,1,CID_3134,ff", "report 1"},
		},
		"zones of two partitions never mix": {
			{0, idle, ""}, {1, idle2, ""}, {2, fault(3), "fault 1/3"}, {3, fault2, "fault 2/33"}, {6, idle2, "restore 2/33"}, {10, fault(3), ""},
			{12, away2, "arm 2 away"}, {14, fault(3), ""}, {16, away2, ""}, {18, idle, "restore 1/3"}, {22, idle2, "disarm 2"},
		},
		"trouble of a zone, of a module, and supervision": {
			{0, check(9), "trouble 1/9"}, {4, idle, ""}, {8, check(9), ""}, {12, `[00000401000000100A--],007,[f70200011007040208020000000 0ff],"x"`, ""},
			{16, `[00000401000000100A--],007,[f702000110070402080200000100ff],"CHECK 107 WIRE  EXPANSION       "`, "trouble"}, {20, idle, ""},
			{24, `[00000001000000100A--],0bf,[f70200011 0bf000208020000000000],"x"`, ""}, {30, idle, ""}, {60, idle, ""}, {70, idle, "trouble-restored 1/9"}, {90, idle, "trouble-restored"},
		},
		"battery of a sensor": {
			{0, idle, ""}, {4, loBat(23), "battery 1/23"}, {8, idle, ""}, {12, loBat(23), ""}, {40, idle, ""}, {80, idle, "battery-restored 1/23"},
		},
		"bypass": {
			{0, idle, ""}, {1, `[00000011000000000A--],007,[f70200011007000018020000000000],"BYPAS 07 GARAGE                 "`, "bypass 1/7"},
			{5, `[10000011000000003A--],008,[f70200011008001c18020000000000],"DISARMED BYPASS   Ready to Arm  "`, ""}, {15, idle, "bypass-restored 1/7"},
			{20, `[10000011000000003A--],008,[f70200011008001c18020000000000],"DISARMED BYPASS   Ready to Arm  "`, "bypass 1"}, {30, idle, "bypass-restored 1"},
		},
		"an open zone that is bypassed stays open when the partition is ready": {
			{0, idle, ""}, {1, fault(7), "fault 1/7"}, {2, `[00000011000000000A--],007,[f70200011007000018020000000000],"BYPAS 07 GARAGE                 "`, "bypass 1/7"},
			{5, `[10000011000000003A--],008,[f70200011008001c18020000000000],"DISARMED BYPASS   Ready to Arm  "`, ""}, {15, idle, "bypass-restored 1/7, restore 1/7"},
		},
		"while it is programmed numbers are no zones": {
			{0, idle, ""}, {1, `[00001001000000000A--],020,[f70200011020000048020000000000],"Installer Code  20              "`, "program 1"},
			{2, `[00001001000000000A--],003,[f70200011003000048020000000000],"FAULT 03                        "`, ""}, {9, idle, "program-restored 1"},
		},
		"instant, max and night": {
			{0, idle, ""}, {1, `[00100001000010003A--],008,[f70200011008008c88020000000000],"ARMED *INSTANT*                 "`, "arm 1 instant"}, {9, idle, "disarm 1"},
			{10, `[01000001000010003A--],008,[f70200011008000c8c020000000000],"ARMED *MAXIMUM*                 "`, "arm 1 max"}, {19, idle, "disarm 1"},
			{20, stay, "arm 1 stay"}, {21, `[00100001000000013A--],008,[f70200011008108c08020000000000],"ARMED NIGHT-STAY                "`, ""},
			{25, `[00100001000000013A--],008,[f70200011008108c08020000000000],"ARMED NIGHT-STAY                "`, "arm 1 night"}, {29, idle, "disarm 1"},
		},
		"old firmware sends dashes, which say nothing": {
			{0, `[001000010000--------],010,[f70200010010808c08020000],"ARMED ***STAY** ZONE BYPASSED "`, ""}, {5, `[001000010000--------],010,[f70200010010808c08020000],"ARMED ***STAY** ZONE BYPASSED "`, ""},
		},
		"a silent panel is told once": {
			{0, idle, ""}, {44, "", ""}, {46, "", "silent"}, {300, "", ""}, {301, "!RFX:0180036,04", ""}, {302, idle, "silent-restored"},
		},
		"the device": {
			{0, idle, ""}, {1, "!Sending.done", ""}, {2, "!Sending.....done", "undelivered"}, {3, "!boot.....done", "reboot"}, {5, "!Ready", ""},
			{6, "!SER2SOCK SERIAL_DISCONNECTED", "lost"}, {100, "", ""}, {101, "!SER2SOCK SERIAL_CONNECTED", "lost-restored"}, {102, idle, ""},
		},
		"panic keys on the display": {
			{0, idle, ""}, {5, alarmed("0000000101100000", 99), "alarm 1/99, panic 1/99, fault 1/99"}, {20, idle, "alarm-restored 1/99, panic-restored 1, restore 1/99"},
		},
		"DSC": {
			{0, `[10000001000000000D--],000,[000200000000000000000000],"System Is       Ready To Arm    "`, ""}, {1, "!EXP:00,03,01", "fault 1/3"},
			{2, `[00000001000000000D--],000,[000200000000000000000000],"Secure System   Before Arming  <"`, ""}, {3, "!EXP:00,03,00", "restore 1/3"},
			{4, `[01000001000000000D--],000,[000200000000000000000000],"Exit Delay      In Progress     "`, "arm 1 away"},
			{5, `[00000001000000000D--],000,[000400000000000000000000],"System Is       Not Ready       "`, ""},
			{9, `[00000001000001000D--],000,[000400000000000000000000],"Fire Alarm                      "`, "fire 2"}, {10, `[00000001000000000D--],000,[000400000000000000000000],"System Is       Not Ready       "`, "fire-restored 2"},
		},
	} {
		t.Run(name, func(t *testing.T) { play(t, New(Config{}), steps) })
	}
}

// TestSensors follows zones that are named in the configuration.
func TestSensors(t *testing.T) {
	p := New(Config{Zones: []ZoneConfig{{Zone: 23, Serial: "0180036", Loop: 2, Name: "Attic"}, {Zone: 40, Partition: 2, Relay: [2]int{12, 3}}}})
	play(t, p, []step{
		{0, idle, ""}, {1, "!RFX:0180036,80", ""}, {2, "!RFX:0180036,20", "fault 1/23"}, {3, "!RFX:0180036,21", ""}, {4, "!RFX:0180036,24", ""}, {5, "!RFX:0180036,02", "battery 1/23, restore 1/23"},
		{6, "!RFX:0180036,00", "battery-restored 1/23"}, {7, "!RFX:9999999,20", ""}, {8, "!REL:12,03,01", "fault 2/40"}, {9, "!REL:12,04,01", ""}, {10, "!REL:12,03,00", "restore 2/40"},
	})
	v := p.View(time.Now())
	if v.Partitions[0].Zones[0].Name != "Attic" || len(v.Relays) != 2 {
		t.Errorf("%+v", v)
	}
}

// TestDelays counts down.
func TestDelays(t *testing.T) {
	p := New(Config{EntryDelay: 20 * time.Second})
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	say := func(line string) PartitionView {
		w, err := Decode(line)
		if err != nil {
			t.Fatal(err)
		}
		p.Observe(w.Messages[0], now)
		v, _ := p.Partition(1, now.Add(5*time.Second))
		return v
	}
	say(idle)
	if v := say(leave45); !v.Exit || v.Left != 40 {
		t.Errorf("leaving: %+v", v)
	}
	if v := say(leave16); !v.Exit || v.Left != 11 {
		t.Errorf("leaving: %+v", v)
	}
	if v := say(away); v.Exit || v.Left != 0 {
		t.Errorf("left: %+v", v)
	}
	if v := say(enter); !v.Entry || v.Left != 15 {
		t.Errorf("entering: %+v", v)
	}
	if v := say(idle); v.Entry || v.Left != 0 || v.Mode != ModeDisarmed {
		t.Errorf("disarmed: %+v", v)
	}
}

// TestKeypadsOfPartitions tells partitions apart by the keypads that are meant.
func TestKeypadsOfPartitions(t *testing.T) {
	mask := func(m string) *Keypad {
		w, err := Decode(strings.Replace(idle, "02000110", m, 1))
		if err != nil {
			t.Fatal(err)
		}
		return w.Messages[0].(*Keypad)
	}
	auto := New(Config{})
	configured := New(Config{Partitions: []PartitionConfig{{Number: 2, Keypads: []int{1, 16}}, {Number: 5}}})
	for _, c := range []struct {
		mask       string
		auto, conf int
	}{
		{"02000100", 1, 2}, {"04000200", 2, 5}, {"02000000", 1, 2}, {"02000110", 1, 2}, {"04000210", 2, 5}, {"00000000", 0, 0}, {"00010000", 3, 5},
	} {
		for p, want := range map[*Panel]int{auto: c.auto, configured: c.conf} {
			got := 0
			if part := p.addressed(mask(c.mask)); part != nil {
				got = part.Number
			}
			if got != want {
				t.Errorf("%s: partition %d, want %d", c.mask, got, want)
			}
		}
	}
}

// TestSnapshot gives back what is known, and refuses what is damaged.
func TestSnapshot(t *testing.T) {
	p := New(Config{})
	play(t, p, []step{{0, idle, ""}, {1, "!EXP:07,01,01", "fault 1/9"}, {2, away, "arm 1 away"}, {3, lobat, "battery, disarm 1"}, {4, away, "arm 1 away"}, {5, loBat(7), "disarm 1, battery 1/7"}, {6, away, "arm 1 away"}})
	data, err := p.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	q := New(Config{})
	if err := q.Restore(data); err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(p.View(time.Time{}).Partitions[0].Zones)
	b, _ := json.Marshal(q.View(time.Time{}).Partitions[0].Zones)
	if string(a) != string(b) || q.View(time.Time{}).Partitions[0].Mode != ModeAway || !q.View(time.Time{}).BatteryLow {
		t.Errorf("%s\n%s", a, b)
	}
	// A week later nothing is over just because nobody listened.
	play(t, q, []step{{7 * 86400, away, ""}, {7*86400 + 4, idle, "disarm 1"}, {7*86400 + 8, "!EXP:07,01,00", "restore 1/9"}})
	for _, bad := range []string{"", "{", `{"Version":2}`, `{"Version":1,"Partitions":[{"Number":9}]}`, `{"Version":1,"Partitions":[{"Number":1},{"Number":1}]}`, `{"Version":1,"Partitions":[null]}`, `{"Version":1,"Partitions":[{"Number":1,"Zones":{"3":{"Number":4}}}]}`} {
		if err := New(Config{}).Restore([]byte(bad)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

// FuzzRestore: whatever is given back, a Panel works on afterwards.
func FuzzRestore(f *testing.F) {
	p := New(Config{})
	p.Observe(&Expander{Address: 7, Channel: 1, Value: 1}, time.Unix(1, 0))
	data, _ := p.Snapshot()
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		p := New(Config{})
		if p.Restore(data) != nil {
			return
		}
		w, _ := Decode(idle)
		p.Observe(w.Messages[0], time.Unix(100, 0))
		if _, err := json.Marshal(p.View(time.Unix(200, 0))); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Snapshot(); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzPanel: whatever the wire says and however time passes, what began ends
// before it begins again, and nothing grows without bound.
func FuzzPanel(f *testing.F) {
	f.Add([]byte("\x01\x10\x02\x20\x03\x04\x05"))
	f.Add([]byte{0, 4, 1, 4, 2, 4, 3, 4, 4, 4, 5, 4, 6, 4, 7, 4, 20, 4, 21, 4, 30, 4, 31, 60, 32, 4})
	lines := []string{idle, hidden, away, stay, leave16, enter, lobat, mains, idle2, away2, fault2, "!EXP:07,01,01", "!EXP:07,01,00", "!EXP:07,01,02", "!LRR:002,1,CID_3401,ff",
		"!LRR:002,1,CID_1401,ff", "!LRR:003,1,CID_1131,ff", "!LRR:003,1,CID_3131,ff", "!LRR:000,0,CID_1301,ff", "!LRR:000,0,CID_3301,ff", "!LRR:002,1,CID_1406,ff", "!LRR:099,1,CID_1120,ff", "!LRR:003,2,CID_1110,ff",
		"!LRR:007,1,CID_1570,ff", "!LRR:007,1,CID_3570,ff", "!LRR:000,0,CID_1302,ff", "!LRR:000,0,CID_3302,ff", "!SER2SOCK SERIAL_DISCONNECTED", "!SER2SOCK SERIAL_CONNECTED", "!Sending.....done", "!boot", "junk",
		fault(2), fault(5), fault(9), check(9), loBat(5), alarmed("0100000101100000", 3), alarmed("0000000101000000", 3), alarmed("0000000101100000", 99)}
	f.Fuzz(func(t *testing.T, b []byte) {
		p := New(Config{})
		now := time.Unix(1000, 0)
		on := map[string]bool{}
		note := func(es []Event) {
			if len(es) > 600 {
				t.Fatalf("%d events at once", len(es))
			}
			for _, e := range es {
				switch e.Kind.Begins() {
				case Armed, Disarmed, Alarm, Reported, Undelivered, Reboot:
					continue // these come again and again
				case Bypass, Trouble, Tamper, Supervision, Battery, Fire, Panic:
					if e.Zone == 0 || e.Kind.Begins() == Fire || e.Kind.Begins() == Panic {
						continue // of the partition or the panel as a whole: told apart by words
					}
				}
				id := fmt.Sprint(e.Kind.Begins(), e.Partition, e.Zone)
				if was, known := on[id]; known && was == !e.Kind.Ends() { // what is so at first is not told
					t.Fatalf("%s twice", e.Sentence())
				}
				on[id] = !e.Kind.Ends()
				if e.Sentence() == "" || e.Time.After(now) {
					t.Fatalf("%+v", e)
				}
			}
		}
		for i := 0; i+1 < len(b); i += 2 {
			now = now.Add(time.Duration(b[i+1]) * 500 * time.Millisecond)
			w, err := Decode(lines[int(b[i])%len(lines)])
			if err != nil {
				note(p.Noise(now))
			}
			for _, m := range w.Messages {
				note(p.Observe(m, now))
			}
			note(p.Advance(now))
		}
		parts := 0
		for part := range p.all {
			parts++
			if len(part.Zones) > maxZone || len(part.Reports) > maxReports {
				t.Fatal("it grows")
			}
		}
		if parts > maxPartition {
			t.Fatal("too many partitions")
		}
	})
}
