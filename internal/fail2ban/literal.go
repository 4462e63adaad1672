package fail2ban

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"unicode/utf8"

	"gatehouse/internal/fail2ban/pyre"
)

// sieve knows, for each expression of a filter, texts of which a line that it
// matches must have one. It is immutable.
type sieve struct {
	raw   [][]pyre.Clause // of the raw line, by expression; none = nothing is known
	exact [][]pyre.Clause // of the text that the expression sees
	// again says that the raw line tells less than the text: so that is looked
	// at, too, once the date is out of it.
	again bool
}

// minNeedle is the shortest text that is looked for, in bytes: shorter ones are
// in almost every line.
const minNeedle = 3

// maxClauses is how many clauses of an expression are compared.
const maxClauses = 8

// newSieve reads what the expressions require.
func newSieve(f *Filter) *sieve {
	s, all := &sieve{}, cut{}
	for _, t := range f.dates {
		all = all.add(t.cut)
	}
	var shared []pyre.Clause
	if f.prefix != nil {
		shared = clausesOf(f.prefix)
	}
	for _, e := range f.fail {
		list := append(clausesOf(e), shared...)
		slices.SortStableFunc(list, func(a, b pyre.Clause) int { return cmp.Compare(shortest(b), shortest(a)) })
		list = list[:min(len(list), maxClauses)]
		var trimmed []pyre.Clause
		for _, c := range list {
			short := trimClause(c, all)
			if short != nil {
				trimmed = append(trimmed, short)
			}
			s.again = s.again || !slices.Equal(c, short)
		}
		s.exact, s.raw = append(s.exact, list), append(s.raw, trimmed)
	}
	return s
}

// clausesOf leaves out what a line cannot have, and what stands for bytes that
// are no UTF-8.
func clausesOf(e *expression) []pyre.Clause {
	return e.re.Clauses(minNeedle, func(r rune) bool { return r == '\n' || r == utf8.RuneError })
}

func shortest(c pyre.Clause) int {
	return len(slices.MinFunc(c, func(a, b pyre.Needle) int { return cmp.Compare(len(a.Text), len(b.Text)) }).Text)
}

// trimClause makes of a clause about the text one about the raw line: of each
// needle it leaves what cannot have had the date in it; nil where too little is
// left. A word never goes on behind a date: so what has the date in it goes on
// behind it with a sign. Where nothing is known of dates, one half of the needle
// is whole, wherever the date was.
func trimClause(c pyre.Clause, where cut) (out pyre.Clause) {
	for _, n := range c {
		var keep []string
		if half := len(n.Text) / 2; where.unknown {
			keep = []string{n.Text[:half], n.Text[half:]}
		} else {
			keep = []string{slices.MaxFunc(pieces(n.Text, where), func(a, b string) int { return cmp.Compare(len(a), len(b)) })}
		}
		for _, k := range keep {
			if len(k) < minNeedle {
				return nil
			}
			out = append(out, pyre.Needle{Text: k, Fold: n.Fold})
		}
	}
	return out
}

func pieces(s string, where cut) (out []string) {
	from := 0
	for i := 1; i < len(s); i++ {
		if where.between(s, i) {
			out = append(out, s[from:i])
			from = i
		}
	}
	return append(out, s[from:])
}

// plan is what a scanner looks for: for each expression the clause that is the
// rarest in its source. It is immutable.
type plan struct {
	needles []needle
	always  []uint64 // expressions of which nothing is known, as bits
	each    bool     // there are such: every line is looked at
	stride  int
	mask    uint32 // three or four bytes are compared
	bits    *[bloomBits / 64]uint64
	table   map[uint32][]ref
}

// needle is a text, and which expressions want it.
type needle struct {
	pyre.Needle
	wanted []uint64
}

// ref says that a four of bytes stands at an offset in a needle.
type ref struct{ needle, offset int }

const (
	bloomBits  = 1 << 16
	bloomShift = 32 - 16
	fold       = 0x20202020
)

func hashFour(g uint32) uint32 { return g * 0x9e3779b1 >> bloomShift }

// maxStride bounds how far the filter steps, so that small tables suffice.
const maxStride = 8

// newPlan compiles the clauses, one an expression; a nil clause knows nothing.
func newPlan(chosen []pyre.Clause) *plan {
	words := (len(chosen) + 63) / 64
	p := &plan{always: make([]uint64, words), stride: maxStride, mask: ^uint32(0)}
	index := map[pyre.Needle]int{}
	least := 1 << 30
	for e, c := range chosen {
		if c == nil {
			p.always[e>>6] |= 1 << (e & 63)
			p.each = true
		}
		for _, n := range c {
			i, ok := index[n]
			if !ok {
				i = len(p.needles)
				index[n] = i
				p.needles = append(p.needles, needle{n, make([]uint64, words)})
			}
			p.needles[i].wanted[e>>6] |= 1 << (e & 63)
			least = min(least, len(n.Text))
		}
	}
	width := 4
	if least < 4 {
		width, p.mask = 3, 0x00ffffff
	}
	p.stride = min(maxStride, max(1, least-width+1))
	p.bits, p.table = new([bloomBits / 64]uint64), map[uint32][]ref{}
	for i, n := range p.needles {
		for off := range p.stride {
			var four [4]byte
			copy(four[:], n.Text[off:min(len(n.Text), off+width)])
			g := (binary.LittleEndian.Uint32(four[:]) | fold) & p.mask
			h := hashFour(g)
			p.bits[h>>6] |= 1 << (h & 63)
			p.table[g] = append(p.table[g], ref{i, off})
		}
	}
	return p
}

// next returns the first needle at or after the place i of b, which is looked
// at in steps: where the needle begins, where to go on, and which it is; -1 for
// none. Several needles may be reported for one place.
func (p *plan) next(b []byte, i int, found func(at, needle int)) (hit int) {
	bits, stride, mask := p.bits, p.stride, p.mask
	for ; i+4 <= len(b); i += stride {
		g := (binary.LittleEndian.Uint32(b[i:]) | fold) & mask
		h := hashFour(g)
		if bits[h>>6]>>(h&63)&1 == 0 {
			continue
		}
		if p.verify(b, i, g, found) {
			return i
		}
	}
	if mask != ^uint32(0) && i+3 == len(b) {
		g := (uint32(b[i]) | uint32(b[i+1])<<8 | uint32(b[i+2])<<16 | fold) & mask
		if p.verify(b, i, g, found) {
			return i
		}
	}
	return -1
}

// verify compares the needles that have the four g.
func (p *plan) verify(b []byte, i int, g uint32, found func(at, needle int)) (any bool) {
	for _, r := range p.table[g] {
		at := i - r.offset
		if at >= 0 && hasNeedle(b[at:], p.needles[r.needle].Needle) {
			found(at, r.needle)
			any = true
		}
	}
	return any
}

// hasNeedle reports whether b begins with the needle.
func hasNeedle(b []byte, n pyre.Needle) bool {
	if len(b) < len(n.Text) {
		return false
	}
	if !n.Fold {
		return string(b[:len(n.Text)]) == n.Text
	}
	for i := range len(n.Text) {
		c := b[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != n.Text[i] {
			return false
		}
	}
	return true
}

// habit is what a scanner has learned of its source.
type habit struct {
	plan  *plan // for raw lines
	exact *plan // for what expressions see
	since int   // bytes since the plans were made
}

// How much of a source is looked at to choose what is rare in it, and how often
// anew, in bytes.
const (
	sampleSize  = 256 << 10
	sampleLeast = 16 << 10
	sampleEvery = 64 << 20
)

// study chooses, by a sample, what to look for.
func (s *Scanner) study(block []byte) {
	h := &s.habit
	h.since += len(block)
	if h.plan != nil && h.since < sampleEvery {
		return
	}
	var sample []byte
	if len(block) >= sampleLeast {
		sample = block[:min(len(block), sampleSize)]
		h.since = 0
	} else {
		// Too little to judge by: the next block may have more.
		h.since = sampleEvery
	}
	if h.plan != nil && sample == nil {
		return
	}
	counts := map[pyre.Needle]int{}
	h.plan = choose(s.f.sieve.raw, sample, counts)
	if s.f.sieve.again {
		h.exact = choose(s.f.sieve.exact, sample, counts)
	}
}

// choose takes of each expression the clause that is the rarest in the sample.
func choose(lists [][]pyre.Clause, sample []byte, counts map[pyre.Needle]int) *plan {
	chosen := make([]pyre.Clause, len(lists))
	for e, list := range lists {
		best := 0
		for _, c := range list {
			cost := 0
			for _, n := range c {
				if _, ok := counts[n]; !ok {
					counts[n] = count(sample, n)
				}
				cost += counts[n]
			}
			if chosen[e] == nil || cost < best {
				chosen[e], best = c, cost
			}
		}
	}
	return newPlan(chosen)
}

func count(sample []byte, n pyre.Needle) int {
	if !n.Fold {
		return bytes.Count(sample, []byte(n.Text))
	}
	return bytes.Count(bytes.ToLower(sample), []byte(n.Text))
}
