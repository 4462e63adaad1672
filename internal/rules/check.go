package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// Failure is one thing that a rule's own samples show to be wrong with it.
type Failure struct {
	Sample  int    // index in Rule.Samples; -1 for a pattern that no sample hits
	Pattern string // the pattern that is meant; may be ""
	Problem string // a sentence
}

// String returns the failure on one line.
func (f Failure) String() string {
	if f.Sample < 0 {
		return "pattern " + f.Pattern + ": " + f.Problem
	}
	return fmt.Sprintf("sample %d: %s", f.Sample+1, f.Problem)
}

// Test runs the rule over its own samples: each must give what it expects, one
// that expects none must give nothing, and each pattern must have a sample.
func (r *Rule) Test() (out []Failure) {
	m := NewMatcher([]*Rule{r}, Options{})
	scanner := m.Scanner(SourceOptions{Zone: time.UTC})
	shown := map[string]bool{}
	for i, s := range r.Samples {
		var got *Hit
		from := r.verdictAt(s.Line)
		if r.recalls { // what a sample before says of a session is not for this one
			scanner = m.Scanner(SourceOptions{Zone: time.UTC})
		}
		scanner.Scan([]byte(s.Line), sampleNow, func(h *Hit) {
			if h.Offset >= from {
				c := *h
				got = &c
			}
		})
		pattern, problem := compare(s.Expect, got)
		if problem != "" {
			out = append(out, Failure{i, pattern, problem + ": " + gate.Quote(s.Line, 200)})
		} else if got != nil {
			shown[got.Pattern.Name] = true
		}
	}
	for _, p := range r.Patterns {
		if !shown[p.Name] {
			out = append(out, Failure{-1, p.Name, "no sample shows it"})
		}
	}
	return out
}

// verdictAt returns where in the lines of a sample the one begins that its
// expectation is about: the last one, where those before only say who it was.
func (r *Rule) verdictAt(lines string) int {
	if !r.recalls {
		return 0
	}
	return strings.LastIndexByte(strings.TrimSuffix(lines, "\n"), '\n') + 1
}

// sampleNow is when samples are read. Their dates matter to nobody.
var sampleNow = time.Date(2026, time.November, 21, 12, 0, 0, 0, time.UTC)

// compare says what is wrong with a hit; "" if nothing is.
func compare(want *Expect, got *Hit) (pattern, problem string) {
	switch {
	case want == nil && got == nil:
		return "", ""
	case want == nil:
		return got.Pattern.Name, fmt.Sprintf("pattern %s matches what must not match", got.Pattern.Name)
	case got == nil:
		return want.Pattern, fmt.Sprintf("no pattern matches, %s should", want.Pattern)
	}
	checks := []struct {
		what      string
		want, got any
		skip      bool
	}{
		{"pattern", want.Pattern, got.Pattern.Name, false},
		{"addr", want.Addr, got.Addr.String(), false},
		{"user", want.User, got.User, want.User == ""},
		{"port", want.Port, got.Port, want.Port == 0},
		{"session", want.Session, got.Session & (1<<32 - 1), want.Session == 0},
		{"repeat", want.Repeat, got.Repeat, want.Repeat == 0},
	}
	i := slices.IndexFunc(checks, func(c struct {
		what      string
		want, got any
		skip      bool
	}) bool {
		return !c.skip && c.want != c.got
	})
	if i < 0 {
		return "", ""
	}
	c := checks[i]
	return want.Pattern, fmt.Sprintf("%s is %v, should be %v", c.what, c.got, c.want)
}
