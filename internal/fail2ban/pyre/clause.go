package pyre

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Needle is a text that a match contains.
type Needle struct {
	Text string
	Fold bool // in any case of its ASCII letters; then Text is in lower case
}

// Clause says that each match contains one of these. It is not empty.
type Clause []Needle

// Bounds of what is spelled out. Beyond, a part counts as unknown.
const (
	maxCross = 64   // texts that come of joining neighbours
	maxAnyOf = 1000 // alternatives
)

// Clauses returns what is known of each match: all of the clauses hold. A
// needle has at least least bytes. With split, a text is taken to pieces at
// characters that it returns true for.
func (re *Regexp) Clauses(least int, split func(rune) bool) []Clause {
	x := extractor{least: max(1, least), split: split}
	out := x.read(re.root).clauses(&x)
	slices.SortStableFunc(out, func(a, b Clause) int { return cmp.Compare(b.shortest(), a.shortest()) })
	return slices.CompactFunc(out, slices.Equal[Clause])
}

func (c Clause) shortest() int {
	n := len(c[0].Text)
	for _, x := range c {
		n = min(n, len(x.Text))
	}
	return n
}

type extractor struct {
	least int
	split func(rune) bool
}

// known is what is known of a part of an expression.
type known struct {
	exact []Needle // all texts that it matches; nil = too many, or not known
	must  []Clause // what else is known
}

func (k known) clauses(x *extractor) []Clause {
	out := slices.Clip(k.must)
	if c := x.clause(k.exact); c != nil {
		out = append(out, c)
	}
	return out
}

var nothing = []Needle{{}}

// clause makes a clause of texts; nil where they are of no use. Of each text
// the longest piece is taken.
func (x *extractor) clause(texts []Needle) (c Clause) {
	for _, t := range texts {
		best := Needle{Fold: t.Fold}
		for _, piece := range x.pieces(t) {
			if len(piece) > len(best.Text) {
				best.Text = piece
			}
		}
		if len(best.Text) < x.least {
			return nil
		}
		if best.Fold {
			best.Text = lower(best.Text)
		}
		c = append(c, best)
	}
	return c.minimal()
}

// pieces are the parts of a text that can be looked for: what ignores case and
// has other forms beyond ASCII cannot.
func (x *extractor) pieces(t Needle) []string {
	return strings.FieldsFunc(t.Text, func(r rune) bool {
		return x.split != nil && x.split(r) || t.Fold && (r >= utf8.RuneSelf || strings.ContainsRune("kKsSiI", r))
	})
}

// minimal drops needles that say nothing beside another one.
func (c Clause) minimal() (out Clause) {
	implied := func(n, by Needle) bool {
		if !by.Fold {
			return !n.Fold && strings.Contains(n.Text, by.Text)
		}
		return strings.Contains(lower(n.Text), by.Text)
	}
	for i, n := range c {
		drop := false
		for j, other := range c {
			drop = drop || i != j && implied(n, other) && (j < i || !implied(other, n))
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

func (x *extractor) read(n *node) known {
	switch n.op {
	case opSet:
		return x.readSet(n.set)
	case opConcat:
		return x.concat(n.subs)
	case opAlt, opCond:
		return x.alternate(n.subs)
	case opRepeat:
		return x.repeat(n)
	case opGroup, opAtomic:
		return x.read(n.subs[0])
	case opBackref:
		return known{}
	}
	return known{exact: nothing}
}

// readSet spells out a small set.
func (x *extractor) readSet(s *set) (k known) {
	if s.neg {
		return known{}
	}
	for _, it := range s.items {
		if it.is || it.hi-it.lo > 4 || len(k.exact) > 8 {
			return known{}
		}
		for r := it.lo; r <= it.hi; r++ {
			k.exact = append(k.exact, Needle{string(r), s.fold && len(otherCases(r)) > 0})
		}
	}
	return k
}

func (x *extractor) repeat(n *node) known {
	k := x.read(n.subs[0])
	switch {
	case n.min == 0 && n.max == 1 && k.exact != nil && len(k.exact) < maxCross:
		return known{exact: append([]Needle{{}}, k.exact...)}
	case n.min == 1 && n.max == 1:
		return k
	case n.min > 0:
		return known{must: k.clauses(x)}
	}
	return known{}
}

// concat joins neighbours whose texts are all known.
func (x *extractor) concat(subs []*node) (out known) {
	run, whole := known{exact: nothing}, true
	for _, sub := range subs {
		k := x.read(sub)
		out.must = append(out.must, k.must...)
		if k.exact != nil && len(run.exact)*len(k.exact) <= maxCross {
			run = known{exact: cross(run.exact, k.exact)}
			continue
		}
		out.must, whole = append(out.must, run.clauses(x)...), false
		if run = (known{exact: k.exact}); k.exact == nil {
			run.exact = nothing
		}
	}
	if whole {
		return known{exact: run.exact, must: out.must}
	}
	out.must = append(out.must, run.clauses(x)...)
	return out
}

func cross(a, b []Needle) (out []Needle) {
	for _, p := range a {
		for _, q := range b {
			out = append(out, Needle{p.Text + q.Text, p.Fold || q.Fold})
		}
	}
	return out
}

// alternate joins what is known of each alternative: the best clause of each
// with the best of the others.
func (x *extractor) alternate(subs []*node) (out known) {
	var all [][]Clause
	exact := true
	for _, sub := range subs {
		k := x.read(sub)
		cs := k.clauses(x)
		slices.SortStableFunc(cs, func(a, b Clause) int { return cmp.Compare(b.shortest(), a.shortest()) })
		all = append(all, cs)
		out.exact = append(out.exact, k.exact...)
		exact = exact && k.exact != nil
	}
	if exact && len(out.exact) <= maxAnyOf {
		return out
	}
	out.exact = nil
	var joined Clause
	for _, cs := range all {
		if len(cs) == 0 {
			return out
		}
		joined = append(joined, cs[0]...)
	}
	if len(joined) <= maxAnyOf {
		out.must = append(out.must, joined.minimal())
	}
	return out
}
