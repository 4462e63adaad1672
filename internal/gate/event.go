package gate

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"
)

// Evidence is how much an observation proves about where it came from.
type Evidence uint8

// The classes of evidence. EvidenceNone is invalid on an Event that counts.
const (
	EvidenceNone Evidence = iota
	Forgeable             // anyone can have sent it in another's name: a bare SYN, a datagram, a syslog line from the network
	Proven                // the peer completed a handshake, and a local daemon or the kernel says so
)

// String returns `forgeable`, `proven` or "".
func (e Evidence) String() string {
	switch e {
	case Forgeable:
		return "forgeable"
	case Proven:
		return "proven"
	}
	return ""
}

// MarshalText implements encoding.TextMarshaler.
func (e Evidence) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (e *Evidence) UnmarshalText(b []byte) error {
	for v := EvidenceNone; v <= Proven; v++ {
		if v.String() == string(b) {
			*e = v
			return nil
		}
	}
	return fmt.Errorf("%s is not a class of evidence: write forgeable or proven", Quote(string(b), 32))
}

// Class says what an observation means for the counting in detect.
//
// The lines of one session (one connection to a service) join. With `failures`
// the number of its Failure events, the session counts
//
//	max(failures, 1 if it has a Hint or a Key, else 0)
//
// and a Success takes the part away that only its Key events had added.
type Class uint8

// The classes of event. ClassNone is invalid.
const (
	ClassNone    Class = iota
	ClassFailure       // an attempt that failed: each one counts
	ClassHint          // a sign of failure that goes with an attempt: counts one in a session that has nothing else
	ClassKey           // a key or ticket that was refused: counts like a Hint, withdrawn when the session succeeds
	ClassSuccess       // the session succeeded: never counts
	ClassInfo          // context only: never counts
	ClassAsk           // a wish of a person, a file or a schedule: Ask is set
	ClassTell          // something that happened and is to be recorded and told: Line is a sentence about it, Pattern the kind of happening
	ClassHeld          // a failure for which the kernel has shut the subject out for a while by itself: a finding at once, with all that was counted before
)

var classNames = [...]string{"", "failure", "hint", "key", "success", "info", "ask", "tell", "held"}

// String returns the class in one lower-case word; "" for ClassNone.
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return strconv.Itoa(int(c))
}

// MarshalText implements encoding.TextMarshaler.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *Class) UnmarshalText(b []byte) error {
	for i, n := range classNames {
		if n == string(b) {
			*c = Class(i)
			return nil
		}
	}
	return fmt.Errorf("%s is not a class of event", Quote(string(b), 32))
}

// Counts reports whether events of this class can make a finding by number.
func (c Class) Counts() bool {
	return c == ClassFailure || c == ClassHint || c == ClassKey || c == ClassHeld
}

// Origin is where an observation was made, exactly enough that reading the
// source again gives the same value. With rule and subject it identifies a
// decision: derived twice, recorded once. The zero Origin identifies nothing.
type Origin struct {
	Source string `json:"source"`                 // "file:/var/log/auth.log", "journal", "command"
	Epoch  uint64 `json:"epoch,omitempty,string"` // which incarnation of the source: a hash of a file's identity, of a boot
	Offset int64  `json:"offset,omitempty"`       // where in it: a byte offset of the line's first byte, a sequence number
}

// String returns the origin for people: source@offset.
func (o Origin) String() string {
	if o.Source == "" {
		return ""
	}
	return o.Source + "@" + strconv.FormatInt(o.Offset, 10)
}

// MaxLine is the longest part of a raw line that an Event keeps, in bytes.
const MaxLine = 512

// Event is one observation.
type Event struct {
	Time     time.Time `json:"time"`              // of the observation: the log's own time where it is believable
	Origin   Origin    `json:"origin"`            // where it was made
	Rule     string    `json:"rule"`              // the watch that it counts for; for an ask, who asked ("command")
	Pattern  string    `json:"pattern,omitempty"` // which pattern of the rule
	Subject  Subject   `json:"subject"`           // who
	Class    Class     `json:"class"`             // what it means for counting
	Evidence Evidence  `json:"evidence"`          // what it proves
	Detail   Detail    `json:"detail"`            // what else the line said
	Line     string    `json:"line,omitempty"`    // the raw line, at most MaxLine bytes
	Ask      *Ask      `json:"ask,omitempty"`     // the wish, for ClassAsk only
}

// Detail is what an observation says besides who and where. All of it comes
// from outside and is hostile.
type Detail struct {
	User    string `json:"user,omitempty"`           // account that was tried, at most 128 bytes
	Session uint64 `json:"session,omitempty,string"` // joins the events of one session of the rule; 0 = none
	Via     string `json:"via,omitempty"`            // host name in a stream of many hosts, or which address of ours a probe was sent to; at most 64 bytes
	Proxied bool   `json:"proxied,omitempty"`        // a trusted proxy says that the subject is its client: the kernel never sees packets of it
	Proto   Proto  `json:"proto,omitempty"`          // transport protocol of Port
	Port    uint16 `json:"port,omitempty"`           // port of this machine that was tried; 0 = none in particular
}

// Batch is what a sensor hands to the line at once: a block of log, a burst of
// packets. Events is in the order of the source and may be empty: then the
// batch only moves the mark.
type Batch struct {
	Source string  // the source whose mark this is: "file:/var/log/auth.log"
	Mark   string  // the source can be read again from just behind the batch; "" = it cannot
	Events []Event // the observations
	Live   bool    // false while the source catches up with what was written earlier
}

// Ask is a wish for a change of wanted state. It enters the line as an Event,
// so that the allow list, the guard and the history apply to it.
type Ask struct {
	Verdict Verdict       `json:"verdict"`          // what is wished
	For     time.Duration `json:"for,omitempty"`    // how long; 0 = the default of the verdict
	Ports   Ports         `json:"ports,omitzero"`   // scope; empty = all
	Name    string        `json:"name,omitempty"`   // for Allow and Disallow: the host name that is meant, if any; for Close and Open: the service that is named
	Reason  string        `json:"reason,omitempty"` // in the asker's words, at most 512 bytes
	By      string        `json:"by,omitempty"`     // who asked: "root", "uid 1000", "schedule night"
	All     bool          `json:"all,omitempty"`    // for Release: every ban
	From    netip.Prefix  `json:"from,omitzero"`    // for Close and Open: only for what comes from there; zero = from anywhere
	To      netip.Prefix  `json:"to,omitzero"`      // for Close and Open: only for what goes there; zero = to anywhere
	Cut     bool          `json:"cut,omitempty"`    // for Open: when it ends, live connections end too
	Peer    netip.Addr    `json:"peer,omitzero"`    // for Close, Open and Release of ports: where the asker is logged in from; zero = at the machine; unspecified (::) = by SSH, from where is not known
	Sure    bool          `json:"sure,omitempty"`   // the asker knows that it cuts their own session
	List    *ListNews     `json:"list,omitempty"`   // for Ban and Allow of a list: what it is now
}

// Answer is what became of one Ask.
type Answer struct {
	Subject Subject   `json:"subject"`
	Changed bool      `json:"changed"`           // false: the wanted state was so already, or the wish was refused
	Until   time.Time `json:"until,omitzero"`    // of the resulting ban; zero = forever, or no ban
	Refused string    `json:"refused,omitempty"` // why not, a sentence; "" = granted
	Hint    string    `json:"hint,omitempty"`    // what to do instead
	Note    string    `json:"note,omitempty"`    // what else the asker should know
	Confirm time.Time `json:"confirm,omitzero"`  // it is taken back at this time unless the asker confirms it; zero = it stands
}
