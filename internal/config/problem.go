package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Problem is one fault of a configuration file.
type Problem struct {
	File    string `json:"file"`             // as it was named
	Line    int    `json:"line,omitzero"`    // from 1; 0 where the whole file is meant
	Column  int    `json:"column,omitzero"`  // in characters, from 1; 0 where the whole file is meant
	What    string `json:"what"`             // what is wrong, without a full stop
	Excerpt string `json:"excerpt,omitzero"` // the line and a caret under the column, with a newline between; "" for an empty line
	Hint    string `json:"hint,omitzero"`    // what to do about it

	cause error // for errors.Is, where the system gave one
}

// String returns the problem as an operator reads it, in one to four lines
// without a final newline.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": " + p.What)
	if p.Excerpt != "" {
		b.WriteString("\n  " + strings.ReplaceAll(p.Excerpt, "\n", "\n  "))
	}
	if p.Hint != "" {
		b.WriteString("\n  hint: " + p.Hint)
	}
	return b.String()
}

// Problems is the error of this package: every fault that was found, sorted by
// position. It is never empty when it is returned as an error, and it encodes
// as a JSON array.
type Problems []Problem

// Error returns all problems as an operator reads them, one after the other.
func (ps Problems) Error() string {
	s := make([]string, len(ps))
	for i, p := range ps {
		s[i] = p.String()
	}
	return strings.Join(s, "\n")
}

// Unwrap returns the errors that the system gave, such as fs.ErrNotExist.
func (ps Problems) Unwrap() []error {
	var errs []error
	for _, p := range ps {
		if p.cause != nil {
			errs = append(errs, p.cause)
		}
	}
	return errs
}

// maxProblems is how many problems are told; one more says how many there are
// beyond. Nobody reads further before mending the first hundred.
const maxProblems = 100

// err returns the problems sorted and bounded, or nil if there are none.
func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if more := len(ps) - maxProblems; more > 0 {
		last := ps[maxProblems]
		ps = append(ps[:maxProblems:maxProblems], Problem{File: last.File, Line: last.Line, Column: last.Column,
			What: fmt.Sprintf("%d more problems from here on", more)})
	}
	return ps
}

// fault is an error that brings its own hint.
type fault struct {
	what, hint string
	item       int // from 1: which item of a list is meant; 0 for the whole value
}

// wrong returns the fault that what says.
func wrong(what, hint string) *fault { return &fault{what: what, hint: hint} }

// at says that the item with this index of a list is meant.
func (f *fault) at(index int) *fault {
	f.item = index + 1
	return f
}

// Error implements error.
func (f *fault) Error() string { return f.what }

// maxExcerpt is how many characters of a line an excerpt shows.
const maxExcerpt = 76

// excerpt returns the line and a caret under its column (from 1), cut around
// the column where the line is long. Nothing in it can move a terminal.
func excerpt(line string, column int) string {
	r := []rune(line)
	at := min(max(column-1, 0), len(r))
	lo, hi := 0, len(r)
	if len(r) > maxExcerpt {
		lo = max(0, min(at-maxExcerpt/2, len(r)-maxExcerpt))
		hi = lo + maxExcerpt
	}
	shown := slices.Clone(r[lo:hi])
	for i, c := range shown {
		if c == '\t' {
			shown[i] = '→'
		} else if !strconv.IsPrint(c) {
			shown[i] = '\uFFFD'
		}
	}
	if lo > 0 {
		shown[0] = '…'
	}
	if hi < len(r) {
		shown[len(shown)-1] = '…'
	}
	return strings.TrimRight(string(shown), " ") + "\n" + strings.Repeat(" ", at-lo) + "^"
}

func itoa(n int) string { return strconv.Itoa(n) }
