package fail2ban

import (
	"errors"
	"fmt"
)

// Position is a place in a configuration file.
type Position struct {
	File string // path below the configuration directory; "" = not from a file
	Line int    // from 1
}

// String returns file:line.
func (p Position) String() string {
	switch {
	case p.File == "":
		return "given by the jail"
	case p.Line == 0:
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Problem is something in a configuration that does not work, or not as its
// writer may think. It is an error of its own.
type Problem struct {
	At   Position
	Text string // a clause: what is wrong
	Hint string // what to do about it; may be empty
}

// Error implements error: place and text, without the hint.
func (p *Problem) Error() string { return p.At.String() + ": " + p.Text }

// problems takes apart an error that joins Problems; what is none is placed at.
func problems(err error, at Position) []Problem {
	if err == nil {
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var out []Problem
		for _, e := range many.Unwrap() {
			out = append(out, problems(e, at)...)
		}
		return out
	}
	if p, ok := errors.AsType[*Problem](err); ok {
		return []Problem{*p}
	}
	return []Problem{{At: at, Text: err.Error()}}
}
