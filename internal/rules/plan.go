package rules

import "math"

// plan is a choice of what to look for: for each pattern one of its clauses,
// and the filter for their needles. Whatever the choice, a line that a pattern
// matches has a needle of its clause; a good choice finds few other lines. It
// is immutable.
type plan struct {
	draft
	filter
	sides  []side
	all    []needle  // those of the filter, then those of sides
	owners [][]int32 // by needle of all: the entries that it may mean, ascending
	always []int32   // entries without a clause, ascending
}

// draft is the choice itself, which can be priced before it is compiled.
type draft struct {
	fours  int     // per needle: the stride
	three  bool    // needles have threes
	clause []int16 // by entry: index into its clauses; -1 = it has none
	offset []int16 // by needle of the matcher: where its window begins, or one of these
}

// What stands in place of an offset.
const (
	notSought  = -1
	soughtSide = -2 // looked for by itself
)

// What things cost, in nanoseconds, as measured; only their ratios matter.
const (
	costProbe = 0.7 // looking at a four
	costSide  = 0.1 // going over a byte to look for one needle by itself
	costFound = 5   // a four that some needle has
	costLine  = 120 // a line that has a needle: its bounds and its header
	costTry   = 30  // a pattern that is tried
)

// maxStride bounds the window of a needle. Beyond, the gain is small.
const maxStride = 12

// odds returns how many times a line each needle is expected.
func (m *Matcher) odds(s *sample) []float64 {
	often := make([]float64, len(m.needles))
	for i, n := range m.needles {
		often[i] = s.often(n)
	}
	return often
}

// draw chooses clauses for a source that is like the sample: the cheapest of a
// few strides, for each of which every pattern has the clause that costs least.
func (m *Matcher) draw(s *sample, often []float64) (best draft) {
	price := math.Inf(1)
	for stride := maxStride; stride > 0; stride = stride * 2 / 3 {
		if d, ok := m.drawStride(s, often, stride, false); ok {
			if p := m.price(&d, s, often); p < price {
				best, price = d, p
			}
		}
	}
	if math.IsInf(price, 1) {
		best, _ = m.drawStride(s, often, 1, true)
	}
	return best
}

// drawStride chooses for one stride. It is false where a pattern has no clause
// that can be looked for so.
func (m *Matcher) drawStride(s *sample, often []float64, stride int, three bool) (d draft, ok bool) {
	d = draft{fours: stride, three: three, clause: make([]int16, len(m.table)), offset: make([]int16, len(m.needles))}
	for i := range d.offset {
		d.offset[i] = notSought
	}
	length := stride + fourLen - 1
	if three {
		length--
	}
	windows := make([]window, len(m.needles))
	for i, n := range m.needles {
		windows[i] = n.window(s, stride, length, three)
	}
	for i, e := range m.table {
		j := m.cheapest(e, windows, often, &d, s)
		if d.clause[i] = int16(j); j < 0 {
			if len(e.clauses) > 0 {
				return d, false
			}
			continue
		}
		for _, n := range e.clauses[j].needles {
			d.offset[n] = int16(windows[n].offset)
		}
	}
	return d, true
}

// cheapest returns the clause of a pattern that costs least beside those that
// are chosen already; -1 where there is none.
func (m *Matcher) cheapest(e entry, windows []window, often []float64, d *draft, s *sample) (choice int) {
	choice = -1
	least := math.Inf(1)
	lines := float64(s.lines + guessLines)
	for j, c := range e.clauses {
		price := 0.0
		for _, n := range c.needles {
			w := windows[n]
			price += often[n] * costTry
			switch {
			case w.offset == notSought:
				price = math.Inf(1)
			case d.offset[n] != notSought: // by another pattern
			case w.offset == soughtSide:
				price += often[n]*costLine + s.length()*costSide
			default:
				price += often[n]*costLine + float64(w.seen)/lines*costFound + 0.01
			}
		}
		if price < least {
			least, choice = price, j
		}
	}
	return choice
}

// window is the part of a needle whose fours are looked up: where it begins, or
// what stands in place of that.
type window struct{ offset, seen int }

// window chooses the part whose fours were seen least.
func (n needle) window(s *sample, stride, length int, three bool) (w window) {
	switch {
	case len(n.text) >= length:
	case n.fold:
		return window{offset: notSought}
	default:
		return window{offset: soughtSide}
	}
	for offset := 0; offset+length <= len(n.text); offset++ {
		seen := 0
		for i := range stride {
			seen += s.of(n, offset+i, three)
		}
		if seen = roundUp(seen / stride); offset == 0 || seen < w.seen {
			w = window{offset, seen}
		}
	}
	return w
}

// price estimates what a line of a source like the sample costs.
func (m *Matcher) price(d *draft, s *sample, often []float64) float64 {
	lines := float64(s.lines + guessLines)
	found, candidate, tried, sides := 0.0, 0.0, 0.0, 0.0
	for i, offset := range d.offset {
		if offset == notSought {
			continue
		}
		if offset == soughtSide {
			sides++
			candidate += often[i]
			continue
		}
		seen := 0
		for j := range d.fours {
			seen += s.of(m.needles[i], int(offset)+j, d.three)
		}
		found += float64(roundUp(seen/d.fours)) / lines
		candidate += often[i]
	}
	for i, c := range d.clause {
		if c < 0 {
			continue
		}
		for _, n := range m.table[i].clauses[c].needles {
			tried += often[n]
		}
	}
	return s.length()*(costProbe/float64(d.fours)+sides*costSide) + found*costFound + min(candidate, 1)*costLine + tried*costTry
}

// compile makes the draft a plan.
func (m *Matcher) compile(d draft) *plan {
	p := &plan{draft: d}
	index := make([]int, len(m.needles)) // in the plan
	var offsets []int
	for i, offset := range d.offset {
		if offset >= 0 {
			index[i] = len(p.all)
			p.all, offsets = append(p.all, m.needles[i]), append(offsets, int(offset))
		}
	}
	p.filter = *newFilter(p.all, offsets, d.fours, d.three)
	for i, offset := range d.offset {
		if offset == soughtSide {
			index[i] = len(p.all)
			p.sides = append(p.sides, side{[]byte(m.needles[i].text), ref{int32(len(p.all)), 0}})
			p.all = append(p.all, m.needles[i])
		}
	}
	p.owners = make([][]int32, len(p.all))
	for e, c := range d.clause {
		if c < 0 {
			p.always = append(p.always, int32(e))
			continue
		}
		for _, n := range m.table[e].clauses[c].needles {
			o := &p.owners[index[n]]
			*o = append(*o, int32(e))
		}
	}
	return p
}
