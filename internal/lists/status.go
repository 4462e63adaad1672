package lists

import (
	"time"

	"gatehouse/internal/gate"
)

// State is how a list is.
type State uint8

// The states of a list.
const (
	Waiting State = iota // nothing of it was ever read
	Good                 // what was last read is in force
	Held                 // something newer is held back; what was in force before stays
	Failing              // its source gives nothing usable; what was in force before stays
	TooOld               // its source has given nothing for longer than it may: it is not in force
)

// String returns the state in a word or two.
func (s State) String() string {
	return [...]string{"waiting", "good", "held back", "failing", "too old"}[min(s, TooOld)]
}

// Status is how one list is.
type Status struct {
	Name      string
	Source    string // without secrets
	Verdict   gate.Verdict
	Direction gate.Direction
	State     State
	Digest    Digest    // of the copy that was last taken; 0 = none
	Prefixes  int       // networks in it
	Entries   int       // that its source named
	Checked   time.Time // when the source last said so; zero = never
	Changed   time.Time // when it last became another
	Next      time.Time // when the source is asked again
	Problem   string    // what is wrong, or was left out; "" = nothing
	Held      int       // networks in what is held back
}

// status returns how the list is.
func (f *feed) status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.mem
	s := Status{
		Name: f.list.Name, Source: f.list.Source(), Verdict: f.list.Verdict, Direction: f.list.Direction, State: Good,
		Digest: m.Digest, Prefixes: m.Prefixes, Entries: m.Entries, Checked: m.Checked, Changed: m.Changed,
		Next: f.next, Problem: m.Remark, Held: m.HeldSize,
	}
	switch {
	case m.Over:
		s.State, s.Problem = TooOld, f.problem
	case m.Held != 0:
		s.State, s.Problem = Held, m.HeldWhy
	case f.problem != "":
		s.State, s.Problem = Failing, f.problem
	case m.Digest == 0:
		s.State = Waiting
	}
	return s
}
