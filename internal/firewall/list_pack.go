package firewall

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"gatehouse/internal/gate"
)

// packed is the content of a list, by prefix length, each in order and each
// prefix once. A million IPv4 prefixes take 4 MB.
type packed struct {
	four [33][]uint32
	six  [129][]key
}

// pack takes prefixes of both families in any order. Its memory is about that
// of its result.
func pack(ps []netip.Prefix) (*packed, error) {
	p := &packed{}
	var counts [2][129]int
	for i, x := range ps {
		x, ok := gate.UnmapPrefix(x)
		if !ok {
			return nil, fmt.Errorf("item %d is no prefix", i+1)
		}
		counts[order(x.Addr().Is6())][x.Bits()]++
	}
	for bits := range p.four {
		p.four[bits] = make([]uint32, 0, counts[0][bits])
	}
	for bits := range p.six {
		p.six[bits] = make([]key, 0, counts[1][bits])
	}
	for _, x := range ps {
		x, _ := gate.UnmapPrefix(x)
		if x.Addr().Is6() {
			p.six[x.Bits()] = append(p.six[x.Bits()], keyOf(x.Addr()))
			continue
		}
		a := x.Addr().As4()
		p.four[x.Bits()] = append(p.four[x.Bits()], binary.BigEndian.Uint32(a[:]))
	}
	for bits := range p.four {
		p.four[bits] = once(p.four[bits], cmp.Compare[uint32])
	}
	for bits := range p.six {
		p.six[bits] = once(p.six[bits], compareKeys)
	}
	return p, nil
}

// once sorts and drops what is there twice.
func once[T comparable](in []T, compare func(a, b T) int) []T {
	if !slices.IsSortedFunc(in, compare) {
		slices.SortFunc(in, compare)
	}
	return slices.Compact(in)
}

func compareKeys(a, b key) int { return slices.Compare(a[:], b[:]) }

// len returns how many prefixes of a length there are, at the first of them.
func (p *packed) len(v6 bool, bits int) int {
	if v6 {
		return len(p.six[bits])
	}
	return len(p.four[bits])
}

func (p *packed) at(v6 bool, bits, i int) (k key) {
	if v6 {
		return p.six[bits][i]
	}
	binary.BigEndian.PutUint32(k[:], p.four[bits][i])
	return k
}

// lengths returns how many prefix lengths a family has.
func lengths(v6 bool) int {
	if v6 {
		return 129
	}
	return 33
}

// shape says which sets hold a content. Lengths that have many prefixes have a
// hash set each; the rest of them share one interval set. An interval set costs
// its whole size with each change, in the kernel and with all others waiting:
// it must be small. A hash costs one look-up a packet.
type shape struct {
	hash [2][129]bool // by family and prefix length
	rest [2]bool      // by family
}

// restMost is how many prefixes share an interval set when it is made, and
// restLimit how far it may grow by differences.
const (
	restMost  = 1000
	restLimit = 4000
)

// shapeOf chooses the sets for a content.
func shapeOf(p *packed) (s shape) {
	for f, v6 := range []bool{false, true} {
		var used []int
		for bits := range lengths(v6) {
			if p.len(v6, bits) > 0 {
				used = append(used, bits)
			}
		}
		slices.SortStableFunc(used, func(a, b int) int { return cmp.Compare(p.len(v6, a), p.len(v6, b)) })
		shared := 0
		for _, bits := range used {
			if shared += p.len(v6, bits); shared > restMost {
				s.hash[f][bits] = true
			} else {
				s.rest[f] = true
			}
		}
	}
	return s
}

// holds reports whether a content may be written into sets of this shape: no
// hash of its own for what is gone, an interval set where one is needed, and
// that small.
func (s *shape) holds(p *packed) bool {
	for f, v6 := range []bool{false, true} {
		rest := 0
		for bits := range lengths(v6) {
			if n := p.len(v6, bits); !s.hash[f][bits] {
				rest += n
			} else if n == 0 {
				return false
			}
		}
		if rest > restLimit || (rest > 0) != s.rest[f] {
			return false
		}
	}
	return true
}

// restSet stands for the interval set where a prefix length is asked for.
const restSet = -1

// sets walks over the sets of a shape: the family, and the prefix length or
// restSet. The interval set comes last.
func (s *shape) sets(yield func(v6 bool, bits int) bool) {
	for f, v6 := range []bool{false, true} {
		for bits := range lengths(v6) {
			if s.hash[f][bits] && !yield(v6, bits) {
				return
			}
		}
		if s.rest[f] && !yield(v6, restSet) {
			return
		}
	}
}

// spans returns what the interval set of a family holds.
func (s *shape) spans(p *packed, v6 bool) []span {
	var out []span
	for bits := range lengths(v6) {
		if s.hash[order(v6)][bits] {
			continue
		}
		for i := range p.len(v6, bits) {
			one := span{lo: p.at(v6, bits, i)}
			one.hi = one.lo
			for bit := bits; bit < 8*keyLen(v6); bit++ {
				one.hi[bit/8] |= 0x80 >> (bit % 8)
			}
			out = append(out, one)
		}
	}
	return merge(out, keyLen(v6))
}

// count returns how many elements a set of the shape holds. For the interval
// set it is a lower bound: the kernel counts pairs of starts and ends, or both,
// and a range up to the last address has no end.
func (s *shape) count(p *packed, v6 bool, bits int) int {
	if bits == restSet {
		return max(0, len(s.spans(p, v6))-1)
	}
	return p.len(v6, bits)
}

func listSpec(v6 bool, bits int) setSpec {
	spec := addressSet(v6, false)
	spec.interval = bits == restSet
	return spec
}

func keyLen(v6 bool) int {
	if v6 {
		return 16
	}
	return 4
}

// difference calls drop for what from has of a length and to has not, and add
// for the other way round, in order, until one of them returns false.
func difference(from, to *packed, v6 bool, bits int, drop, add func(key) bool) {
	for i, j := 0, 0; i < from.len(v6, bits) || j < to.len(v6, bits); {
		var c int
		switch {
		case i == from.len(v6, bits):
			c = 1
		case j == to.len(v6, bits):
			c = -1
		default:
			c = compareKeys(from.at(v6, bits, i), to.at(v6, bits, j))
		}
		if c < 0 && !drop(from.at(v6, bits, i)) || c > 0 && !add(to.at(v6, bits, j)) {
			return
		}
		if c <= 0 {
			i++
		}
		if c >= 0 {
			j++
		}
	}
}
