package firewall

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"

	"gatehouse/internal/gate"
)

// span is a range of keys, both ends included.
type span struct{ lo, hi key }

// spans turns prefixes of one family into ranges that neither overlap nor
// touch, in order: nf_tables takes nothing else, it does not merge.
func spans(ps []netip.Prefix, v6 bool) []span {
	var out []span
	for _, p := range ps {
		p, ok := gate.UnmapPrefix(p)
		if !ok || p.Addr().Is6() != v6 {
			continue
		}
		s := span{keyOf(p.Addr()), keyOf(p.Addr())}
		for bit := p.Bits(); bit < p.Addr().BitLen(); bit++ {
			s.hi[bit/8] |= 0x80 >> (bit % 8)
		}
		out = append(out, s)
	}
	n := 4
	if v6 {
		n = 16
	}
	return merge(out, n)
}

// portSpans returns the ports of one protocol as ranges.
func portSpans(p gate.Ports, proto gate.Proto) []span {
	var out []span
	for _, r := range p.Ranges() {
		if r.Proto == proto {
			var s span
			binary.BigEndian.PutUint16(s.lo[:], r.Lo)
			binary.BigEndian.PutUint16(s.hi[:], r.Hi)
			out = append(out, s)
		}
	}
	return merge(out, 2)
}

// merge sorts ranges of keys of n bytes and joins those that overlap or touch.
func merge(in []span, n int) []span {
	slices.SortFunc(in, func(a, b span) int { return bytes.Compare(a.lo[:], b.lo[:]) })
	out := in[:0]
	for _, s := range in {
		if len(out) > 0 {
			last := &out[len(out)-1]
			next, wraps := last.hi.next(n)
			if wraps || bytes.Compare(s.lo[:], next[:]) <= 0 {
				if bytes.Compare(s.hi[:], last.hi[:]) > 0 {
					last.hi = s.hi
				}
				continue
			}
		}
		out = append(out, s)
	}
	return out
}

// next returns the key of n bytes behind k; true if k was the last one.
func (k key) next(n int) (key, bool) {
	for i := n - 1; i >= 0; i-- {
		k[i]++
		if k[i] != 0 {
			return k, false
		}
	}
	return k, true
}

// rangeElements writes ranges of keys of n bytes as an interval set has them: a
// start, and an end behind the last key, which a range up to the last key of
// all does not have.
func rangeElements(in []span, n int) []element {
	out := make([]element, 0, 2*len(in))
	for _, s := range in {
		out = append(out, element{key: s.lo})
		if end, wraps := s.hi.next(n); !wraps {
			out = append(out, element{key: end, end: true})
		}
	}
	return out
}

// elementSpans is the inverse of rangeElements, for elements in any order.
func elementSpans(in []element, n int) []span {
	slices.SortFunc(in, func(a, b element) int {
		if c := bytes.Compare(a.key[:], b.key[:]); c != 0 {
			return c
		}
		if a.end == b.end {
			return 0
		}
		if a.end {
			return -1
		}
		return 1
	})
	var out []span
	for i, x := range in {
		if x.end {
			continue
		}
		s := span{lo: x.key}
		if i+1 < len(in) {
			s.hi = in[i+1].key.prev(n)
		} else {
			for j := range n {
				s.hi[j] = 0xff
			}
		}
		out = append(out, s)
	}
	return out
}

func (k key) prev(n int) key {
	for i := n - 1; i >= 0; i-- {
		k[i]--
		if k[i] != 0xff {
			break
		}
	}
	return k
}

// within reports whether one of the ordered ranges covers the whole prefix.
func within(in []span, p netip.Prefix) bool {
	one := spans([]netip.Prefix{p}, p.Addr().Is6())
	if len(one) == 0 {
		return false
	}
	i, found := slices.BinarySearchFunc(in, one[0].lo, func(s span, k key) int { return bytes.Compare(s.lo[:], k[:]) })
	if !found {
		i--
	}
	return i >= 0 && bytes.Compare(in[i].hi[:], one[0].hi[:]) >= 0
}

func (e *exempt) equal(o *exempt) bool {
	for i := range e {
		if !slices.Equal(e[i], o[i]) {
			return false
		}
	}
	return true
}

func (k key) port() uint16 { return binary.BigEndian.Uint16(k[:]) }
