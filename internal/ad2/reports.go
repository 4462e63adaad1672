package ad2

import (
	"slices"
	"strings"
	"time"
)

// meaning is what a report is about, for the state of the panel.
type meaning uint8

const (
	meansNothing meaning = iota
	meansArm
	meansDisarm
	meansCancel
	meansAlarm
	meansFire
	meansPanic
	meansTamper
	meansTrouble
	meansSupervision
	meansAC
	meansBattery       // of the panel
	meansSensorBattery // of a wireless sensor
	meansBypass
)

// read returns the meaning of a report, whether it says that it is over, and for
// arming the mode.
func (r *Report) read() (m meaning, over bool, mode Mode) {
	if r.Version == 1 {
		return readV1(r.Event)
	}
	if r.Prefix != "CID" || r.Status != 1 && r.Status != 3 {
		return meansNothing, false, ModeUnknown
	}
	over = r.Status == 3
	c := r.Code
	switch {
	case isOpenClose(c) && over:
		if c == 0x441 || c == 0x442 {
			return meansArm, false, ModeStay
		}
		return meansArm, false, ModeAway
	case c == 0x441 || c == 0x442: // panels report arming to stay with either status
		return meansArm, false, ModeStay
	case isOpenClose(c):
		return meansDisarm, false, ModeUnknown
	case c == 0x406:
		return meansCancel, false, ModeUnknown
	case c >= 0x110 && c <= 0x117:
		m = meansFire
	case c >= 0x100 && c <= 0x102, c >= 0x120 && c <= 0x126, c == 0x129:
		m = meansPanic
	case c == 0x109, c == 0x137, c == 0x144, c == 0x145, c == 0x316, c == 0x341, c == 0x383:
		m = meansTamper
	case c >= 0x130 && c <= 0x136, c == 0x139, c == 0x140, c == 0x146, c >= 0x150 && c <= 0x154, c >= 0x157 && c <= 0x159, c == 0x161, c == 0x162:
		m = meansAlarm
	case c == 0x301:
		m = meansAC
	case c == 0x302:
		m = meansBattery
	case c == 0x384:
		m = meansSensorBattery
	case c == 0x147, c == 0x355, c == 0x381, c == 0x382:
		m = meansSupervision
	case c >= 0x300 && c <= 0x393, c == 0x141, c == 0x142, c == 0x143, c == 0x155, c == 0x156:
		m = meansTrouble
	case c >= 0x570 && c <= 0x573:
		m = meansBypass
	}
	return m, over, ModeUnknown
}

// readV1 reads the words of older firmware.
func readV1(event string) (m meaning, over bool, mode Mode) {
	over = strings.HasSuffix(event, "RESTORE")
	switch {
	case event == "OPEN":
		return meansDisarm, false, ModeUnknown
	case event == "ARM_AWAY":
		return meansArm, false, ModeAway
	case event == "ARM_STAY":
		return meansArm, false, ModeStay
	case event == "CANCEL", event == "ALARM_RESTORE":
		return meansCancel, false, ModeUnknown
	case event == "ACLOSS", event == "AC_RESTORE":
		m = meansAC
	case event == "LOWBAT", event == "LOWBAT_RESTORE":
		m = meansBattery
	case event == "RFLOWBAT", event == "RFLOWBAT_RESTORE":
		m = meansSensorBattery
	case event == "TROUBLE", event == "TROUBLE_RESTORE":
		m = meansTrouble
	case event == "BYPASS", event == "BYPASS_RESTORE":
		m = meansBypass
	case event == "ALARM_FIRE":
		m = meansFire
	case event == "ALARM_PANIC":
		m = meansPanic
	case event == "ALARM_EXIT_ERROR":
		m = meansTrouble
	case strings.HasPrefix(event, "ALARM_"):
		m = meansAlarm
	}
	return m, over, ModeUnknown
}

// How long after the keypads have shown something a report of the same counts as
// that: panels report arming and disarming within seconds, loss of mains power up
// to four hours late.
const (
	lateArm   = 15 * time.Second
	lateAlarm = 10 * time.Minute
	lateAC    = 5 * time.Hour
)

// report takes what the panel tells its receiving centre.
func (p *Panel) report(r *Report, now time.Time) {
	p.reports = now
	data, number := r.Subject()
	m, over, mode := r.read()
	var parts []*partition
	switch {
	case number >= 1 && number <= maxPartition:
		parts = append(parts, p.partition(number))
	case number == 0 && (m == meansArm || m == meansDisarm || m == meansCancel):
		for part := range p.all {
			parts = append(parts, part)
		}
	case number == 0:
		if data >= 1 && data <= maxZone && m != meansAC && m != meansBattery {
			parts = append(parts, p.home(data))
		}
	default:
		m = meansNothing
	}
	told := len(p.out)
	switch m {
	case meansAC:
		p.reportedAC(!over, now)
	case meansBattery:
		if over {
			p.battery.ShownAt, p.battery.Reported = time.Time{}, false
		} else if !p.battery.Bad {
			p.battery.Reported = true
		}
		p.setBattery(!over, now)
	default:
		for _, part := range parts {
			p.reported(part, r, m, over, mode, data, now)
		}
		if len(parts) == 0 && m != meansNothing {
			p.panelTrouble(r, m, over, now)
		}
	}
	if len(p.out) == told { // it explains what is known already, or is about something else
		e := Event{Time: now, Kind: Reported, Words: r.Words()}
		if len(parts) == 1 {
			e.Partition, e.Words = parts[0].Number, r.words(true, false)
		}
		p.tell(e)
	}
}

// user reports whether the data is a user.
func (r *Report) user() bool {
	return r.about() == "U" || r.Version == 1 && v1About(r.Event) == "U"
}

// panelTrouble takes trouble of no partition in particular.
func (p *Panel) panelTrouble(r *Report, m meaning, over bool, now time.Time) {
	kind := Trouble
	switch m {
	case meansTamper:
		kind = Tamper
	case meansSupervision:
		kind = Supervision
	case meansSensorBattery:
		kind = Battery
	case meansFire:
		kind = Fire
	case meansPanic:
		kind = Panic
	case meansAlarm:
		kind = Alarm
	}
	if over {
		kind = kind.Over()
	}
	p.tell(Event{Time: now, Kind: kind, Words: r.Words()})
}

// reportedAC takes that mains power is reported lost or back. A report that only
// repeats, late, what the keypads have shown changes nothing.
func (p *Panel) reportedAC(bad bool, now time.Time) {
	shown := p.ac.KeyGood
	if bad {
		shown = p.ac.KeyBad
	}
	if bad == p.ac.Bad || !shown.IsZero() && now.Sub(shown) < lateAC {
		return
	}
	p.ac.Bad, p.ac.Since, p.ac.until = bad, now, now.Add(lag)
	kind := AC
	if !bad {
		kind = AC.Over()
	}
	p.tell(Event{Time: now, Kind: kind})
}

// reported takes a report about one partition, or a zone of it.
func (p *Panel) reported(part *partition, r *Report, m meaning, over bool, mode Mode, data int, now time.Time) {
	zoned := data >= 1 && data <= maxZone && !r.user()
	e := Event{Time: now, Partition: part.Number, Words: r.words(true, false)}
	var z *zone
	if zoned && m != meansNothing {
		z = part.zone(data)
		e.Zone, e.Words = data, r.words(false, false)
	}
	switch m {
	case meansArm, meansDisarm:
		p.reportedMode(part, m == meansArm, mode, max(data, 0), now)
	case meansCancel:
		part.Reports = nil
		p.change(&part.Panic, false, Panic, false, e)
		p.change(&part.Fire, false, Fire, false, e)
		if part.Alarm {
			p.silence(part, now)
		}
	case meansAlarm, meansFire, meansPanic:
		p.reportedAlarm(part, z, r, m, over, e, now)
	case meansTamper, meansTrouble, meansSupervision, meansSensorBattery:
		p.reportedTrouble(part, z, m, over, e)
	case meansBypass:
		if z != nil {
			part.Bypass = part.Bypass || !over
			e.Words = ""
			p.change(&z.Bypassed, !over, Bypass, false, e)
		}
	}
}

// reportedTrouble takes trouble of a zone or of something else of a partition.
func (p *Panel) reportedTrouble(part *partition, z *zone, m meaning, over bool, e Event) {
	kind := map[meaning]Kind{meansTamper: Tamper, meansTrouble: Trouble, meansSupervision: Supervision, meansSensorBattery: Battery}[m]
	if z == nil {
		e.Kind = kind
		if over {
			e.Kind = kind.Over()
		}
		p.tell(e)
		return
	}
	state := &z.Check
	switch m {
	case meansTamper:
		state = &z.Tamper
	case meansSupervision:
		state = &z.Missing
	case meansSensorBattery:
		state, z.BatAt = &z.Battery, time.Time{}
	default:
		z.CheckAt = time.Time{}
	}
	p.change(state, !over, kind, false, e)
}

// reportedMode takes that a partition is reported armed or disarmed.
func (p *Panel) reportedMode(part *partition, armed bool, mode Mode, user int, now time.Time) {
	if !armed && part.Goodbye != nil { // the disarm that waits to hear by whom
		part.Goodbye.User = user
		p.release(part)
		return
	}
	if armed == part.Mode.Armed() {
		return
	}
	if p.lateReport(part, armed, now) {
		part.claim = reported{armed: armed, user: user, when: now}
		return
	}
	part.Based = true
	part.by = reported{armed: armed, until: now.Add(lag)}
	if part.Mode == ModeUnknown {
		part.Mode = ModeDisarmed
		if !armed {
			return
		}
	}
	if armed {
		p.setMode(part, mode, user, "", now)
		return
	}
	p.setMode(part, ModeDisarmed, max(user, 0), "", now)
	if part.Alarm {
		p.silence(part, now)
	}
}

// lateReport reports whether a report repeats what the keypads have shown and is
// no longer so.
func (p *Panel) lateReport(part *partition, armed bool, now time.Time) bool {
	shown, since := part.keyDis, part.keyArm
	if armed {
		shown, since = part.keyArm, part.keyDis
	}
	return !shown.IsZero() && since.After(shown) && now.Sub(shown) < lateArm
}

// maxReports bounds the alarms of a partition that were reported and are not over.
const maxReports = 64

// reportedAlarm takes an alarm, a fire or a call for help that was reported.
func (p *Panel) reportedAlarm(part *partition, z *zone, r *Report, m meaning, over bool, e Event, now time.Time) {
	id := itoa(r.Code) + "/" + r.Data
	if over {
		part.Reports = slices.DeleteFunc(part.Reports, func(s string) bool { return s == id })
		switch {
		case m == meansFire && len(part.Reports) == 0 && !part.Memory:
			p.change(&part.Fire, false, Fire, false, e)
		case m == meansPanic && len(part.Reports) == 0:
			p.change(&part.Panic, false, Panic, false, e)
		}
		if m == meansAlarm && part.Alarm && len(part.Reports) == 0 && (part.BellAt.IsZero() || now.Sub(part.BellAt) > hold) {
			p.silence(part, now)
		}
		return
	}
	switch m {
	case meansFire:
		part.FireAt = now
		p.change(&part.Fire, true, Fire, false, e)
		return
	case meansPanic:
		p.change(&part.Panic, true, Panic, false, e)
		return
	}
	if z != nil && !z.AlarmAt.IsZero() && now.Sub(z.AlarmAt) < lateAlarm {
		return // the keypads have shown it
	}
	if !part.Alarm {
		part.Alarm, part.AlarmArmed, part.Told, part.BellAt = true, part.Mode, nil, time.Time{}
	}
	if len(part.Reports) < maxReports && !slices.Contains(part.Reports, id) {
		part.Reports = append(part.Reports, id)
	}
	p.alarmZone(part, e.Zone, e.Words, now)
}
