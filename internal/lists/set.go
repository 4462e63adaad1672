package lists

import (
	"encoding/binary"
	"iter"
	"net/netip"
	"slices"
	"sort"

	"gatehouse/internal/lists/formats"
)

// Set is networks: sorted, merged, none within another. It is not changed once it is
// made, so it is safe for concurrent use. It takes 8 bytes for each IPv4 network and
// 32 for each of IPv6. The nil Set is empty.
type Set struct {
	v4 []uint64 // address<<8 | bits
	v6 []netip.Prefix
}

// key packs an IPv4 prefix so that keys sort as prefixes do.
func key(p netip.Prefix) uint64 {
	b := p.Addr().As4()
	return uint64(binary.BigEndian.Uint32(b[:]))<<8 | uint64(p.Bits())
}

// unkey is the inverse of key.
func unkey(k uint64) netip.Prefix {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(k>>8))
	return netip.PrefixFrom(netip.AddrFrom4(b), int(k&0xff))
}

// NewSet returns the set of these networks, which need not be sorted or masked.
// Invalid ones are left out.
func NewSet(ps []netip.Prefix) *Set {
	var b builder
	for _, p := range ps {
		if p.IsValid() {
			b.add(p.Masked())
		}
	}
	return b.set()
}

// builder collects masked prefixes for a Set.
type builder struct {
	v4 []uint64
	v6 []netip.Prefix
}

func (b *builder) add(p netip.Prefix) {
	if p.Addr().Is4() {
		b.v4 = append(b.v4, key(p))
		return
	}
	b.v6 = append(b.v6, p)
}

func (b *builder) len() int { return len(b.v4) + len(b.v6) }

// set sorts and merges what was collected. The builder is not to be used afterwards.
func (b *builder) set() *Set {
	if !slices.IsSorted(b.v4) {
		slices.Sort(b.v4)
	}
	slices.SortFunc(b.v6, func(x, y netip.Prefix) int {
		if c := x.Addr().Compare(y.Addr()); c != 0 {
			return c
		}
		return x.Bits() - y.Bits()
	})
	return &Set{merge4(b.v4), merge6(b.v6)}
}

// merge4 merges sorted keys in place: networks within others go, and two halves of
// a network become one.
func merge4(ks []uint64) []uint64 {
	out := ks[:0]
	for _, k := range ks {
		if n := len(out); n > 0 && covers4(out[n-1], k) {
			continue
		}
		out = append(out, k)
		for n := len(out); n >= 2 && halves4(out[n-2], out[n-1]); n = len(out) {
			out = append(out[:n-2], out[n-2]-1)
		}
	}
	return slices.Clip(out)
}

// covers4 reports whether network a holds network b.
func covers4(a, b uint64) bool {
	shift := 40 - a&0xff // 8 bits of length and 32-bits of host
	return a&0xff <= b&0xff && a>>shift == b>>shift
}

// halves4 reports whether a and b are the lower and the upper half of one network.
func halves4(a, b uint64) bool {
	bits := a & 0xff
	return bits > 0 && bits == b&0xff && a>>(41-bits) == b>>(41-bits) && a != b
}

// merge6 is merge4 for IPv6.
func merge6(ps []netip.Prefix) []netip.Prefix {
	out := ps[:0]
	for _, p := range ps {
		if n := len(out); n > 0 && out[n-1].Bits() <= p.Bits() && out[n-1].Contains(p.Addr()) {
			continue
		}
		out = append(out, p)
		for n := len(out); n >= 2; n = len(out) {
			a, b := out[n-2], out[n-1]
			if a.Bits() == 0 || a.Bits() != b.Bits() {
				break
			}
			whole := netip.PrefixFrom(a.Addr(), a.Bits()-1)
			if whole.Masked() != whole || !whole.Contains(b.Addr()) {
				break
			}
			out = append(out[:n-2], whole)
		}
	}
	return slices.Clip(out)
}

// Len returns how many networks there are.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.v4) + len(s.v6)
}

// Addresses returns how many IPv4 addresses the networks hold.
func (s *Set) Addresses() (n uint64) {
	if s == nil {
		return 0
	}
	for _, k := range s.v4 {
		n += 1 << (32 - k&0xff)
	}
	return n
}

// All yields the networks in order, IPv4 first.
func (s *Set) All() iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		if s == nil {
			return
		}
		for _, k := range s.v4 {
			if !yield(unkey(k)) {
				return
			}
		}
		for _, p := range s.v6 {
			if !yield(p) {
				return
			}
		}
	}
}

// Prefixes returns the networks in a slice of their own.
func (s *Set) Prefixes() []netip.Prefix {
	out := make([]netip.Prefix, 0, s.Len())
	for p := range s.All() {
		out = append(out, p)
	}
	return out
}

// Covering returns the network that holds all of p.
func (s *Set) Covering(p netip.Prefix) (netip.Prefix, bool) {
	if s == nil || !p.IsValid() {
		return netip.Prefix{}, false
	}
	p = p.Masked()
	if p.Addr().Is4() {
		k := key(p)
		i := sort.Search(len(s.v4), func(i int) bool { return s.v4[i] > k })
		if i > 0 && covers4(s.v4[i-1], k) {
			return unkey(s.v4[i-1]), true
		}
		return netip.Prefix{}, false
	}
	i := sort.Search(len(s.v6), func(i int) bool { return p.Addr().Less(s.v6[i].Addr()) })
	if i > 0 && s.v6[i-1].Bits() <= p.Bits() && s.v6[i-1].Contains(p.Addr()) {
		return s.v6[i-1], true
	}
	return netip.Prefix{}, false
}

// Cut is what was taken out of a set.
type Cut struct {
	Networks int          // of the set that were touched
	First    netip.Prefix // the first of them
	For      netip.Prefix // on account of this one
}

// Without returns the set without the addresses of others, and what was cut. The
// networks that are touched become the smaller ones that are left of them.
func (s *Set) Without(others []netip.Prefix) (*Set, Cut) {
	away := NewSet(others)
	if s.Len() == 0 || away.Len() == 0 {
		return s, Cut{}
	}
	var cut Cut
	var b builder
	for _, family := range [2]bool{true, false} {
		not := away.family(family)
		for p := range s.All() {
			if p.Addr().Is4() != family {
				continue
			}
			for len(not) > 0 && formats.Last(not[0]).Less(p.Addr()) {
				not = not[1:]
			}
			if len(not) == 0 || !not[0].Overlaps(p) {
				b.add(p)
				continue
			}
			if cut.Networks++; cut.Networks == 1 {
				cut.First, cut.For = p, not[0]
			}
			b.rest(p, not)
		}
	}
	if cut.Networks == 0 {
		return s, cut
	}
	return b.set(), cut
}

// family returns the networks of one family in order.
func (s *Set) family(four bool) (out []netip.Prefix) {
	for p := range s.All() {
		if p.Addr().Is4() == four {
			out = append(out, p)
		}
	}
	return out
}

// rest adds what is left of p without the networks in not, which are sorted and
// begin with one that overlaps it.
func (b *builder) rest(p netip.Prefix, not []netip.Prefix) {
	from, last := p.Addr(), formats.Last(p)
	for _, n := range not {
		if last.Less(n.Addr()) {
			break
		}
		if from.Less(n.Addr()) {
			for _, q := range formats.Span(from, n.Addr().Prev()) {
				b.add(q)
			}
		}
		end := formats.Last(n)
		if !end.Less(last) {
			return
		}
		from = end.Next()
	}
	for _, q := range formats.Span(from, last) {
		b.add(q)
	}
}
