package ad2

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// Kind is a kind of happening at the panel. What began and can end has a kind
// for its end with `-restored` behind it.
type Kind string

// The kinds. The first group goes into the line as a rule; the second one is for
// those who follow the panel.
const (
	Armed       Kind = "arm"
	Disarmed    Kind = "disarm"
	Alarm       Kind = "alarm"       // the siren sounds, or the panel reports an alarm; one event for each zone
	Fire        Kind = "fire"        // the panel shows a fire
	Panic       Kind = "panic"       // someone called for help: fire, police or medical key, panic, duress
	Tamper      Kind = "tamper"      // of a zone or of the panel
	Trouble     Kind = "trouble"     // of a zone, a module or the panel
	Fault       Kind = "fault"       // a zone opened
	Restore     Kind = "restore"     // a zone closed
	AC          Kind = "ac"          // mains power is lost
	Battery     Kind = "battery"     // the battery of the panel or of a sensor is low
	Bypass      Kind = "bypass"      // a zone is left out
	Supervision Kind = "supervision" // a sensor or module is missing
	Program     Kind = "program"     // someone programs the panel
	Silent      Kind = "silent"      // the panel says nothing
	Lost        Kind = "lost"        // the device or the connection to it is gone
	Reboot      Kind = "reboot"      // the device restarted
	Undelivered Kind = "undelivered" // keys did not reach the panel
	Reported    Kind = "report"      // what else the panel told its receiving centre

	Ready Kind = "ready" // the partition can be armed
	Chime Kind = "chime" // the chime is on
	Exit  Kind = "exit"  // the exit delay runs
	Entry Kind = "entry" // the entry delay runs
)

// Over is the kind of the end of what k began: ac-restored for ac. A zone that
// closes is Restore.
func (k Kind) Over() Kind {
	if k == Fault {
		return Restore
	}
	return k + "-restored"
}

// Begins returns the kind that k is the end of; k itself where it ends nothing.
func (k Kind) Begins() Kind {
	if k == Restore {
		return Fault
	}
	return Kind(strings.TrimSuffix(string(k), "-restored"))
}

// Ends reports whether k is the end of something.
func (k Kind) Ends() bool { return k.Begins() != k }

// Event is one thing that happened.
type Event struct {
	Time      time.Time
	Kind      Kind
	Partition int    // 1 to 8; 0 = the panel as a whole
	Zone      int    // 1 to 999; 0 = none
	Name      string // of the zone or else the partition; may be ""
	Mode      Mode   // for Armed; for Alarm what the partition was armed to
	User      int    // who, by number, where the panel said; 0 = unknown
	Words     string // what else there is to say: the display, or a report in plain words
}

// Subject returns what the event is about; the zero Subject for the panel as a
// whole.
func (e Event) Subject() gate.Subject {
	switch {
	case e.Zone > 0 && e.Partition > 0:
		return gate.ZoneSubject(e.Partition, e.Zone)
	case e.Partition > 0:
		return gate.PartitionSubject(e.Partition)
	}
	return gate.Subject{}
}

// place names what the event is about in a sentence: `Front door (zone 3,
// partition 1)`.
func (e Event) place() string {
	switch {
	case e.Zone > 0 && e.Name != "":
		return fmt.Sprintf("%s (zone %d, partition %d)", e.Name, e.Zone, e.Partition)
	case e.Zone > 0:
		return fmt.Sprintf("zone %d of partition %d", e.Zone, e.Partition)
	case e.Partition > 0 && e.Name != "":
		return fmt.Sprintf("%s (partition %d)", e.Name, e.Partition)
	case e.Partition > 0:
		return "partition " + strconv.Itoa(e.Partition)
	}
	return "the alarm panel"
}

// sentences say each kind; %s is the place.
var sentences = map[Kind]string{
	Armed: "%s was armed", Disarmed: "%s was disarmed",
	Alarm: "alarm: %s", Alarm.Over(): "the alarm is over: %s",
	Fire: "fire alarm: %s", Fire.Over(): "the fire alarm is over: %s",
	Panic: "call for help: %s", Panic.Over(): "the call for help is over: %s",
	Tamper: "tampering: %s", Tamper.Over(): "no longer tampered with: %s",
	Trouble: "trouble: %s", Trouble.Over(): "the trouble is over: %s",
	Fault: "%s is open", Restore: "%s is closed",
	AC: "mains power lost: %s", AC.Over(): "mains power is back: %s",
	Battery: "battery low: %s", Battery.Over(): "battery good again: %s",
	Bypass: "bypassed: %s", Bypass.Over(): "no longer bypassed: %s",
	Supervision: "no sign of life: %s", Supervision.Over(): "heard again: %s",
	Program: "%s is being programmed", Program.Over(): "%s is no longer being programmed",
	Silent: "%s says nothing", Silent.Over(): "%s speaks again",
	Lost: "connection lost: %s", Lost.Over(): "connected again: %s",
	Reboot: "the adapter of %s restarted", Undelivered: "keys did not reach %s",
	Reported: "%s reports",
	Ready:    "%s is ready", Ready.Over(): "%s is not ready",
	Chime: "the chime of %s is on", Chime.Over(): "the chime of %s is off",
	Exit: "the exit delay of %s runs", Exit.Over(): "the exit delay of %s is over",
	Entry: "the entry delay of %s runs", Entry.Over(): "the entry delay of %s is over",
}

// Sentence says the event in plain words, without a full stop.
func (e Event) Sentence() string {
	form, ok := sentences[e.Kind]
	if !ok {
		form = string(e.Kind) + ": %s"
	}
	s := fmt.Sprintf(form, e.place())
	switch {
	case e.Kind == Armed:
		s += " (" + e.Mode.String() + ")"
	case e.Kind == Alarm && e.Mode > ModeDisarmed:
		s += ", armed " + e.Mode.String()
	}
	if e.User > 0 {
		s += " by user " + strconv.Itoa(e.User)
	}
	if e.Words != "" {
		s += ": " + e.Words
	}
	return s
}

// Mode is how a partition is armed.
type Mode uint8

// The modes. ModeUnknown is the zero value: the panel has not said yet.
const (
	ModeUnknown Mode = iota
	ModeDisarmed
	ModeAway
	ModeStay
	ModeNight   // stay, perimeter only or the night zones
	ModeInstant // stay without entry delay
	ModeMax     // away without entry delay
)

var modeNames = [...]string{"unknown", "disarmed", "away", "stay", "night", "instant", "max"}

// String returns the mode in one lower-case word.
func (m Mode) String() string { return modeNames[min(int(m), len(modeNames)-1)] }

// Armed reports whether the partition is armed.
func (m Mode) Armed() bool { return m > ModeDisarmed }

// MarshalText implements encoding.TextMarshaler.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *Mode) UnmarshalText(b []byte) error {
	for i, n := range modeNames {
		if n == string(b) {
			*m = Mode(i)
			return nil
		}
	}
	return fmt.Errorf("%s is not a way to arm: write away, stay, night, instant or max", gate.Quote(string(b), 32))
}
