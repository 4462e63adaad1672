package logs

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// State says how a source fares.
type State uint8

// The states of a source.
const (
	Waiting    State = iota // nothing is there yet
	Reading                 // there is more to read
	CaughtUp                // all was read; what comes is read at once
	Unreadable              // something is there that cannot be read
)

var stateNames = [...]string{"waiting", "reading", "caught up", "unreadable"}

// String returns the state in words.
func (s State) String() string { return stateNames[int(s)%len(stateNames)] }

// MarshalText implements encoding.TextMarshaler.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *State) UnmarshalText(b []byte) error {
	for i, n := range stateNames {
		if n == string(b) {
			*s = State(i)
			return nil
		}
	}
	return fmt.Errorf("%s is not the state of a log", gate.Quote(string(b), 32))
}

// SourceStatus is how one source fares: a watched path, a pattern that matches
// nothing yet, a unit in the journal, a socket, a command. The numbers count from the start of the sensor.
type SourceStatus struct {
	Path     string    `json:"path"`               // as watched; for other sources `journal:UNIT`, `syslog:URL`, `command:ARGV`
	State    State     `json:"state"`              // how it fares
	Why      string    `json:"why,omitempty"`      // why it is not read, or some of it does not count, and what to do about it
	Note     string    `json:"note,omitempty"`     // what else is to be known of it: why it was chosen, what it cannot do
	Rules    []string  `json:"rules"`              // the watches that read it
	Lines    uint64    `json:"lines"`              // lines read
	Hits     uint64    `json:"hits"`               // events made of them
	Skipped  uint64    `json:"skipped"`            // lines that were too long for a rule to look at
	Unproven uint64    `json:"unproven,omitempty"` // lines without a header that do not count, for nobody could confirm them
	Odd      uint64    `json:"odd,omitempty"`      // lines that are not of the format that a rule expects: JSON that is not
	Nameless uint64    `json:"nameless,omitempty"` // failures by a filter of fail2ban that name nobody who can be banned: a host name without addresses, an account
	GaveUp   uint64    `json:"gave_up,omitempty"`  // expressions of such a filter that took too many steps on a line
	Refused  uint64    `json:"refused,omitempty"`  // connections and datagrams of senders who may not send, or are too many
	Lost     uint64    `json:"lost,omitempty"`     // datagrams that the kernel dropped because they came too fast
	Behind   int64     `json:"behind"`             // bytes not yet read, of which an unfinished line may be part
	LastLine time.Time `json:"last_line,omitzero"` // when the last line that was read was written, as far as is known
}

// Remarks is all that is to be known of the source besides its state and what it
// read, in words; "" for nothing.
func (s SourceStatus) Remarks() string {
	var all []string
	for _, t := range []string{s.Why, s.Note, many(s.Skipped, "line was too long", "lines were too long"),
		many(s.Odd, "line is not of the format expected", "lines are not of the format expected"),
		many(s.Nameless, "failure names nobody who can be banned", "failures name nobody who can be banned"),
		many(s.GaveUp, "expression took too long on a line", "expressions took too long on a line"),
		many(s.Refused, "sender or message was refused", "senders or messages were refused"),
		many(s.Lost, "message was lost because they came too fast", "messages were lost because they came too fast")} {
		if t != "" {
			all = append(all, t)
		}
	}
	return strings.Join(all, "; ")
}

func many(n uint64, one, more string) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// tally counts what was handed over.
func (s *source) tally(lines, events, skipped int, p spot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &s.status
	st.Lines += uint64(lines)
	st.Hits += uint64(events)
	s.short += uint64(skipped)
	if r, ok := s.lines.(remarker); ok {
		doubts, odd := r.remarks()
		st.Unproven += uint64(doubts)
		st.Odd += uint64(odd)
	}
	st.filtered(s.lines)
	st.LastLine = p.now
	if !p.live {
		st.LastLine = p.written
	}
}

// report makes the status say what is true now; busy says that there is more to
// read.
func (s *source) report(busy bool) {
	long, behind := s.long, int64(0)
	for _, f := range s.chain {
		long += f.long
		behind += max(0, f.size-f.off)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &s.status
	st.Skipped, st.Behind = s.short+uint64(long), behind
	was := st.Why
	switch {
	case busy:
		st.State, st.Why = Reading, unproven(st.Unproven)
	case s.problem == nil && s.current() != nil:
		st.State, st.Why = CaughtUp, unproven(st.Unproven)
	case s.problem == nil || errors.Is(s.problem, os.ErrNotExist):
		st.State, st.Why = Waiting, "there is no such file yet"
	case errors.As(s.problem, new(sameFileError)):
		st.State, st.Why = Waiting, s.problem.Error()
	default:
		st.State, st.Why = Unreadable, explain(s.path, s.problem)
		if st.Why != was {
			s.log.Warn("a log cannot be read", "path", s.path, "error", st.Why)
		}
	}
}

// unproven says that so many lines do not count; "" for none.
func unproven(n uint64) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "1 line without a header could not be confirmed by the kernel and does not count"
	}
	return fmt.Sprintf("%d lines without a header could not be confirmed by the kernel and do not count", n)
}
