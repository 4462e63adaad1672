package rules

import "bytes"

// side is a needle that is too short for the filter of a plan. It is looked for
// by itself, with what the processor has for that.
type side struct {
	text []byte
	ref  ref
}

// finder goes over a block from one place to the next where a needle may stand.
// It is kept, for its memory. It is not for concurrent use.
type finder struct {
	p     *plan
	b     []byte
	four  int   // the next place that the filter has found; len(b) = no more
	refs  []ref // and what may stand there
	sides []int // by plan.sides: where the next one stands; len(b) = no more
}

// open begins with a block.
func (f *finder) open(p *plan, b []byte) {
	f.p, f.b = p, b
	f.sides = f.sides[:0]
	f.seekFour(0)
	for i := range p.sides {
		f.sides = append(f.sides, 0)
		f.seekSide(i, 0)
	}
}

func (f *finder) seekFour(from int) {
	f.four = len(f.b)
	if at, refs := f.p.next(f.b, from); at >= 0 {
		f.four, f.refs = at, refs
	}
}

func (f *finder) seekSide(i, from int) {
	f.sides[i] = len(f.b)
	if from >= len(f.b) {
		return
	}
	if n := bytes.Index(f.b[from:], f.p.sides[i].text); n >= 0 {
		f.sides[i] = from + n
	}
}

// place returns the next place, or the length of the block, and which side it
// is of; -1 = it is the filter's.
func (f *finder) place() (at, which int) {
	at, which = f.four, -1
	for i, s := range f.sides {
		if s < at {
			at, which = s, i
		}
	}
	return at, which
}

// pass goes on from a place. The line there ends at to: a needle that is looked
// for by itself is not looked for again before.
func (f *finder) pass(at, which, to int) {
	if which < 0 {
		f.seekFour(at + f.p.stride)
	} else {
		f.seekSide(which, max(at+1, to))
	}
}

// skip goes on from a place, and passes over all before it.
func (f *finder) skip(from int) {
	if f.four < from {
		f.seekFour(from)
	}
	for i, at := range f.sides {
		if at < from {
			f.seekSide(i, from)
		}
	}
}
