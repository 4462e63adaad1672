package rules

import (
	"bytes"
	"regexp"
	"regexp/syntax"
)

// exact matches one expression as package regexp does, the leftmost match
// first, submatches included, and faster: it backtracks through closures that
// are made once from the expression's syntax tree. Backtracking can take
// exponential time, so each search has a budget of steps; one that goes over
// it, and an expression that is of no kind that the closures know, goes to
// package regexp, which takes linear time. It is immutable.
type exact struct {
	re       *regexp.Regexp // the same expression
	begin    *node          // nil: only re
	anchored bool           // matches at the beginning of the text or nowhere
	groups   int            // of the expression, the match itself included
}

// Steps that a search may take: stepsBase and one for each stepsPart bytes of
// text. Real lines of log take 5 to 50.
const (
	stepsBase = 2000
	stepsPart = 8
)

// newExact compiles an expression that re was compiled from.
func newExact(re *regexp.Regexp) *exact {
	e := &exact{re: re, groups: re.NumSubexp() + 1}
	tree, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil {
		return e
	}
	c := compiler{}
	begin := c.compile(tree, &node{do: accept})
	if c.refused {
		return e
	}
	e.begin, e.anchored = begin, beginsText(tree)
	return e
}

// beginsText reports whether the expression matches at the beginning of the
// text only.
func beginsText(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpBeginText:
		return true
	case syntax.OpConcat, syntax.OpCapture:
		return len(re.Sub) > 0 && beginsText(re.Sub[0])
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			if !beginsText(sub) {
				return false
			}
		}
		return len(re.Sub) > 0
	}
	return false
}

// machine is the state of a search, kept from one to the next. The zero value
// is ready to use. It is not for concurrent use.
type machine struct {
	b    []byte
	loc  []int // as FindSubmatchIndex returns it
	left int   // steps
	over int   // searches that went over budget
}

// find returns what FindSubmatchIndex would, or nil. The result is valid until
// the next call.
func (e *exact) find(m *machine, b []byte) []int {
	if e.begin == nil {
		return e.re.FindSubmatchIndex(b)
	}
	if cap(m.loc) < 2*e.groups {
		m.loc = make([]int, 2*e.groups)
	}
	m.b, m.loc, m.left = b, m.loc[:2*e.groups], stepsBase+len(b)/stepsPart
	for i := range m.loc {
		m.loc[i] = -1
	}
	found := e.search(m)
	m.b = nil
	switch {
	case m.left < 0:
		m.over++
		return e.re.FindSubmatchIndex(b)
	case !found:
		return nil
	}
	return m.loc
}

// search tries each place where a match can begin.
func (e *exact) search(m *machine) bool {
	n := e.begin
	if e.anchored {
		return n.can(m.b, 0) && n.do(m, 0)
	}
	for i := 0; i <= len(m.b) && m.left >= 0; i++ {
		if n.lit != "" {
			at := bytes.Index(m.b[i:], []byte(n.lit))
			if at < 0 {
				return false
			}
			i += at
		} else if !n.can(m.b, i) {
			continue
		}
		if !between(m.b, i) {
			continue
		}
		m.left--
		m.loc[0] = i
		if n.do(m, i) {
			return m.left >= 0
		}
	}
	return false
}

// settleMatch makes the pattern ready for the matcher.
func (p *Pattern) settleMatch() {
	p.needs = nil
	for _, clue := range p.clues {
		p.needs = append(p.needs, needs(clue)...)
	}
	if p.re != nil {
		p.exact = newExact(p.re)
	}
}
