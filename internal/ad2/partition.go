package ad2

import (
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"
)

// partition is the state of one partition.
type partition struct {
	Number int
	Mask   uint32 // keypads whose messages belong to it
	Based  bool   // a message was seen: changes are events from now on
	Seen   time.Time

	Mode    Mode
	Ready   bool
	Chime   bool
	Bypass  bool
	Program bool
	Memory  bool // an alarm occurred and was not cleared yet

	Exit      bool
	ExitUntil time.Time // zero = unknown
	Entry     bool
	EntryEnds time.Time // as configured: panels do not say

	Alarm      bool      // the siren sounds, or a reported alarm is not over
	AlarmZone  int       // the first zone of it; 0 = unknown
	AlarmArmed Mode      // what the partition was armed to
	Told       []int     // zones of the alarm that events were made of
	BellAt     time.Time // when the siren was last seen to sound
	Reports    []string  // reported alarms that are not over: code/zone

	Fire   bool
	FireAt time.Time // when the bit was last seen
	Panic  bool

	Text   string // the display
	Beeps  int
	Cursor int
	Light  bool

	Zones map[int]*zone

	cycle   cycle
	by      reported // a report just said so, and the display may be behind
	claim   reported // what a late report said
	mode    Mode     // a change within armed that waits to be seen again
	unby    int      // messages without the bypass bit, one after the other
	Goodbye *Event   // a disarm that waits for its user
	Due     time.Time
	keyArm  time.Time // when the keypads last showed it as armed
	keyDis  time.Time // ... and as disarmed
}

// reported is what a report has said of arming, by whom, and when.
type reported struct {
	armed bool
	until time.Time
	user  int
	when  time.Time
}

// Times of a partition.
const (
	lag         = 5 * time.Second  // the display may be behind a report
	whoDisarmed = 2 * time.Second  // a disarm waits so long for the report that says by whom
	hold        = 30 * time.Second // a state whose bit comes and goes with the display is over when it was not seen for so long
	longHold    = time.Minute      // the same for what is shown among many others
)

// zone returns the zone with this number, made where there was none.
func (p *partition) zone(n int) *zone {
	z := p.Zones[n]
	if z == nil {
		z = &zone{Number: n}
		p.Zones[n] = z
	}
	return z
}

// numbers returns the zones' numbers, ascending.
func (p *partition) numbers() []int { return slices.Sorted(maps.Keys(p.Zones)) }

// display is what kind of thing stands on the display.
type display uint8

const (
	displayOther  display = iota
	displayIdle           // the state of the partition itself: DISARMED, ARMED
	displayFault          // FAULT 03
	displayAlarm          // ALARM 03
	displayFire           // FIRE 04
	displayCheck          // CHECK 09
	displayBypass         // BYPAS 03
	displayBat            // LOBAT 23
	displaySystem         // SYSTEM LO BAT
)

// displayed reads what kind of thing a display shows.
func displayed(upper string) display {
	word, _, _ := strings.Cut(upper, " ")
	switch {
	case word == "FAULT":
		return displayFault
	case word == "ALARM":
		return displayAlarm
	case word == "FIRE":
		return displayFire
	case word == "CHECK", word == "TRBL":
		return displayCheck
	case word == "BYPAS", word == "BYPASS":
		return displayBypass
	case word == "LOBAT":
		return displayBat
	case word == "SYSTEM" && !strings.HasPrefix(upper, "SYSTEM IS") && !strings.HasPrefix(upper, "SYSTEM ARMED"):
		return displaySystem
	case strings.Contains(upper, "DISARMED"), strings.Contains(upper, "ARMED "), strings.Contains(upper, "NIGHT-STAY"), strings.Contains(upper, "MAXIMUM"):
		return displayIdle
	}
	return displayOther
}

// modeOf reads the mode from the bits.
func modeOf(k *Keypad, upper string) Mode {
	switch {
	case k.Has(BitAway) && k.Has(BitInstant):
		return ModeMax
	case k.Has(BitAway):
		return ModeAway
	case k.Has(BitStay) && (k.Has(BitPerimeter) || strings.Contains(upper, "NIGHT")):
		return ModeNight
	case k.Has(BitStay) && k.Has(BitInstant):
		return ModeInstant
	case k.Has(BitStay):
		return ModeStay
	}
	return ModeDisarmed
}

// group says whether two modes are armed to the same bits: stay, night and
// instant are, and away and max.
func (m Mode) group() Mode {
	switch m {
	case ModeNight, ModeInstant:
		return ModeStay
	case ModeMax:
		return ModeAway
	}
	return m
}

// leaving reads whether a display says that the exit delay runs, and the seconds
// that are left, -1 = it does not say.
func leaving(k *Keypad, upper string) (bool, int) {
	if strings.Contains(upper, "EXIT DELAY") || strings.Contains(upper, "QUICK EXIT") {
		return true, -1
	}
	_, after, ok := strings.Cut(upper, "MAY EXIT NOW")
	if !ok {
		return false, -1
	}
	if n, err := strconv.Atoi(strings.TrimSpace(after)); err == nil && n >= 0 && n <= 999 {
		return true, n
	}
	if k.System <= 0 && isDecimal(k.Code) && k.Number <= 255 && k.System == 0 {
		return true, k.Number
	}
	return true, -1
}

// entering reads whether a display says that the entry delay runs.
func entering(upper string) bool {
	return strings.Contains(upper, "DISARM SYSTEM") || strings.Contains(upper, "OR ALARM OCCURS") || strings.Contains(upper, "ENTRY DELAY") || strings.Contains(upper, "ENTRY IN PROGRESS")
}

// Keypads that say nothing about the partition: address 28 turns up in the masks
// of all kinds of keypads. In the order of the wire its bit is this one.
const everybody = 0x10

// overlap counts the keypads that two masks share.
func overlap(a, b uint32) int { return bits.OnesCount32(a & b &^ everybody) }

// maskOf returns the mask, in the order of the wire, of keypad addresses.
func maskOf(addresses []int) uint32 {
	var m uint32
	for _, a := range addresses {
		if a >= 0 && a < 32 {
			m |= 1 << (24 - 8*(a/8) + a%8)
		}
	}
	return m
}
