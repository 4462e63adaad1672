package rules

import (
	"cmp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// needle is a text to be looked for.
type needle struct {
	text string
	fold bool // in any case of its ASCII letters; then text is in lower case
}

// in reports whether b begins with the needle.
func (n needle) in(b []byte) bool {
	if len(b) < len(n.text) {
		return false
	}
	if !n.fold {
		return string(b[:len(n.text)]) == n.text
	}
	for i := range len(n.text) {
		c := b[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != n.text[i] {
			return false
		}
	}
	return true
}

// clause is what is known of an expression: each match of it contains one of
// these. It has at least one needle, each of at least minNeedle bytes.
type clause []needle

// The shortest needles that are worth looking for, in bytes: with case, and
// without regard to it. Shorter ones are in almost every line.
const (
	minNeedle = 2
	minFolded = 3
)

// Bounds of what is spelled out. Beyond, a part of an expression counts as
// unknown.
const (
	maxCross = 64  // texts that come of joining neighbours
	maxAnyOf = 256 // alternatives
)

// needs returns clauses that each hold for every match of the expression, the
// most promising first; none where nothing is known. A match is a text without
// line ends.
func needs(expr string) []clause {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil
	}
	p := literals(re.Simplify())
	out := p.clauses()
	slices.SortStableFunc(out, func(a, b clause) int { return cmp.Compare(worth(b), worth(a)) })
	return slices.CompactFunc(out, slices.Equal[clause])
}

// part is what is known of a part of an expression.
type part struct {
	exact []string // all texts that it matches; nil = too many, or not known
	fold  bool     // of exact: in any case of its ASCII letters
	must  []clause // what else is known
}

// clauses returns what holds for each match of the part.
func (p part) clauses() []clause {
	if c := newClause(p.exact, p.fold); c != nil {
		return append(slices.Clip(p.must), c)
	}
	return p.must
}

// newClause makes a clause of texts, without doubles and without those that
// contain another one. It is nil where they are of no use.
func newClause(texts []string, fold bool) (c clause) {
	for _, s := range texts {
		folds := fold && strings.ContainsFunc(s, isLetter) // without a letter there is one case only
		if len(s) < minNeedle || folds && len(s) < minFolded {
			return nil
		}
		if folds {
			s = lower(s)
		}
		c = append(c, needle{s, folds})
	}
	return c.minimal()
}

func isLetter(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }

// minimal drops needles that say nothing beside another one.
func (c clause) minimal() (out clause) {
	implied := func(n, by needle) bool {
		switch {
		case !by.fold:
			return !n.fold && strings.Contains(n.text, by.text)
		default:
			return strings.Contains(lower(n.text), by.text)
		}
	}
	for i, n := range c {
		drop := false
		for j, other := range c {
			if i != j && implied(n, other) && (j < i || !implied(other, n)) {
				drop = true
				break
			}
		}
		if !drop {
			out = append(out, n)
		}
	}
	return out
}

// lower is strings.ToLower for ASCII alone.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func literals(re *syntax.Regexp) part {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpBeginText, syntax.OpEndLine, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return part{exact: []string{""}}
	case syntax.OpLiteral:
		return literalPart(re)
	case syntax.OpCharClass:
		return classPart(re)
	case syntax.OpCapture:
		return literals(re.Sub[0])
	case syntax.OpQuest:
		if p := literals(re.Sub[0]); p.exact != nil && len(p.exact) < maxCross {
			return part{exact: append([]string{""}, p.exact...), fold: p.fold}
		}
	case syntax.OpPlus:
		return part{must: literals(re.Sub[0]).clauses()}
	case syntax.OpRepeat:
		if re.Min > 0 {
			return part{must: literals(re.Sub[0]).clauses()}
		}
	case syntax.OpConcat:
		return concat(re.Sub)
	case syntax.OpAlternate:
		return alternate(re.Sub)
	}
	return part{}
}

// literalPart takes a text to pieces at characters that stand for several: the
// replacement character also matches bytes that are no UTF-8; without regard to
// case, characters beyond ASCII have other bytes. Of ASCII letters both cases are
// ASCII: see asciiFold.
func literalPart(re *syntax.Regexp) part {
	fold := re.Flags&syntax.FoldCase != 0
	var pieces []string
	from := 0
	s := string(re.Rune)
	for i, r := range s {
		if r == utf8.RuneError || fold && r >= utf8.RuneSelf {
			pieces = append(pieces, s[from:i])
			from = i + utf8.RuneLen(r)
		}
	}
	if len(pieces) == 0 {
		return part{exact: []string{s}, fold: fold}
	}
	p := part{}
	for _, piece := range append(pieces, s[from:]) {
		if c := newClause([]string{piece}, fold); c != nil {
			p.must = append(p.must, c)
		}
	}
	return p
}

// classPart spells out a small class of characters.
func classPart(re *syntax.Regexp) (p part) {
	for i := 0; i+1 < len(re.Rune); i += 2 {
		for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
			if len(p.exact) == 4 || r == utf8.RuneError {
				return part{}
			}
			p.exact = append(p.exact, string(r))
		}
	}
	return p
}

// concat joins neighbours whose texts are all known.
func concat(subs []*syntax.Regexp) (out part) {
	run, whole := part{exact: []string{""}}, true
	for _, sub := range subs {
		p := literals(sub)
		out.must = append(out.must, p.must...)
		if p.exact != nil && len(run.exact)*len(p.exact) <= maxCross {
			run = part{exact: cross(run.exact, p.exact), fold: run.fold || p.fold}
			continue
		}
		out.must, whole = append(out.must, run.clauses()...), false
		if run = (part{exact: p.exact, fold: p.fold}); p.exact == nil {
			run.exact = []string{""}
		}
	}
	if whole {
		return part{exact: run.exact, fold: run.fold, must: out.must}
	}
	out.must = append(out.must, run.clauses()...)
	return out
}

func cross(a, b []string) (out []string) {
	for _, x := range a {
		for _, y := range b {
			out = append(out, x+y)
		}
	}
	return out
}

// alternate joins what is known of each alternative: the best clause of each
// with the best of the others, then the second best.
func alternate(subs []*syntax.Regexp) (out part) {
	var all [][]clause
	known := true
	for _, sub := range subs {
		p := literals(sub)
		cs := p.clauses()
		slices.SortStableFunc(cs, func(a, b clause) int { return cmp.Compare(worth(b), worth(a)) })
		all = append(all, cs)
		out.exact, out.fold = append(out.exact, p.exact...), out.fold || p.fold
		known = known && p.exact != nil
	}
	if known && len(out.exact) <= maxAnyOf {
		return out
	}
	out.exact, out.fold = nil, false
	for rank := range 2 {
		var joined clause
		more := rank == 0
		for _, cs := range all {
			if len(cs) == 0 {
				return out
			}
			more = more || rank < len(cs)
			joined = append(joined, cs[min(rank, len(cs)-1)]...)
		}
		if more && len(joined) <= maxAnyOf {
			out.must = append(out.must, joined.minimal())
		}
	}
	return out
}

// worth is the length of the shortest needle, where a word that every log is
// full of counts as one byte.
func worth(c clause) int {
	n := len(c[0].text)
	for _, x := range c {
		n = min(n, len(x.text))
		if x.common() {
			n = 1
		}
	}
	return n
}

// common reports whether the needle is a word that every log is full of.
func (n needle) common() bool {
	switch strings.TrimSpace(n.text) {
	case "from", "for", "port", "user", "by", "to", "with", "on", "at", "in", "the", "error", "failed", "client", "GET", `"GET`, "POST", "HTTP/", "HTTP/1", "HTTP/1.", "://", "ssh", "ssh1", "ssh2":
		return true
	}
	return false
}
