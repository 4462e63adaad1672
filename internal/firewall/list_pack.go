package firewall

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"gatehouse/internal/gate"
)

// packed is the content of a list: ranges that neither overlap nor touch, in
// order. A million IPv4 prefixes take 8 MB at most.
type packed struct {
	v4 []range4
	v6 []span
}

type range4 struct{ lo, hi uint32 }

// pack takes prefixes of both families in any order.
func pack(ps []netip.Prefix) (*packed, error) {
	four := 0
	for i := range ps {
		if ps[i].Addr().Unmap().Is4() {
			four++
		}
	}
	p := &packed{v4: make([]range4, 0, four)}
	var six []netip.Prefix
	for i, x := range ps {
		x, ok := gate.UnmapPrefix(x)
		if !ok {
			return nil, fmt.Errorf("item %d is no prefix", i+1)
		}
		if x.Addr().Is6() {
			six = append(six, x)
			continue
		}
		a := x.Addr().As4()
		lo := binary.BigEndian.Uint32(a[:])
		p.v4 = append(p.v4, range4{lo, lo | uint32(uint64(1)<<(32-x.Bits())-1)})
	}
	p.v4 = merge4(p.v4)
	p.v6 = slices.Clip(spans(six, true))
	return p, nil
}

// merge4 sorts ranges and joins those that overlap or touch.
func merge4(in []range4) []range4 {
	byLo := func(a, b range4) int { return cmp.Compare(a.lo, b.lo) }
	if !slices.IsSortedFunc(in, byLo) {
		slices.SortFunc(in, byLo)
	}
	out := in[:0]
	for _, r := range in {
		if n := len(out); n > 0 && uint64(r.lo) <= uint64(out[n-1].hi)+1 {
			out[n-1].hi = max(out[n-1].hi, r.hi)
			continue
		}
		out = append(out, r)
	}
	if len(out) < cap(out)/2 {
		out = slices.Clone(out)
	}
	return out
}

func (p *packed) len(v6 bool) int {
	if v6 {
		return len(p.v6)
	}
	return len(p.v4)
}

func (p *packed) at(v6 bool, i int) span {
	if v6 {
		return p.v6[i]
	}
	return p.v4[i].span()
}

func (r range4) span() (s span) {
	binary.BigEndian.PutUint32(s.lo[:], r.lo)
	binary.BigEndian.PutUint32(s.hi[:], r.hi)
	return s
}

// families returns which families the content has.
func (p *packed) families() [2]bool { return [2]bool{len(p.v4) > 0, len(p.v6) > 0} }

// step is what changes a set in one transaction: first deletions, then
// additions. Both together neither overlap nor touch those of another step.
type step struct {
	v6        bool
	drop, add []span
}

// steps returns the difference of two contents of the same families in steps of
// about size ranges; false if one step would become larger than most, or all of
// them together than all.
func steps(from, to *packed, size, most, all int) (out []step, ok bool) {
	total := 0
	for _, v6 := range []bool{false, true} {
		now := step{v6: v6}
		var reach key // the end of what now holds
		for i, j := 0, 0; i < from.len(v6) || j < to.len(v6); {
			var c int
			switch {
			case i == from.len(v6):
				c = 1
			case j == to.len(v6):
				c = -1
			default:
				a, b := from.at(v6, i), to.at(v6, j)
				if a == b {
					i, j = i+1, j+1
					continue
				}
				if c = compareKeys(a.lo, b.lo); c == 0 {
					c = -1
				}
			}
			var s span
			if c < 0 {
				s = from.at(v6, i)
				i++
			} else {
				s = to.at(v6, j)
				j++
			}
			n := len(now.drop) + len(now.add)
			if beyond, wraps := reach.next(keyLen(v6)); n >= size && !wraps && compareKeys(s.lo, beyond) > 0 {
				out, now = append(out, now), step{v6: v6}
				n = 0
			}
			if n >= most || total >= all {
				return nil, false
			}
			total++
			if c < 0 {
				now.drop = append(now.drop, s)
			} else {
				now.add = append(now.add, s)
			}
			if n == 0 || compareKeys(s.hi, reach) > 0 {
				reach = s.hi
			}
		}
		if len(now.drop)+len(now.add) > 0 {
			out = append(out, now)
		}
	}
	return out, true
}

func compareKeys(a, b key) int { return slices.Compare(a[:], b[:]) }

func keyLen(v6 bool) int {
	if v6 {
		return 16
	}
	return 4
}
