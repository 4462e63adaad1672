package rules

import "encoding/binary"

// filter finds needles in a block of log without splitting it into lines. It
// looks at the four bytes at each place that is a multiple of stride: each
// needle has stride fours of which one stands at such a place, whatever lies
// before it. A four that is none of a needle's, nearly all, is told by one bit.
// The zero value finds nothing. It is immutable.
type filter struct {
	needles []needle
	stride  int
	three   bool   // fours are threes: some needle is that short
	bits    *bloom // by hash: some needle may have that four; nil = there is no needle
	slots   []slot // a hash table of the fours of all needles, open addressing
	mask    uint32 // len(slots) - 1
	refs    []ref  // what the slots refer to
}

// bloom has one bit for each value of a hash: 16 KiB, a third of a small
// first-level cache.
type bloom [bloomBits / 64]uint64

const bloomBits = 1 << 17

// slot says which needles have a four.
type slot struct {
	four     uint32
	from, to uint32 // in refs; empty = the slot is free
}

// ref is one needle and where in it the four stands.
type ref struct {
	needle int32
	offset int32
}

// foldFour makes letters small, and some other characters others. Needles
// are compared in full afterwards.
const foldFour = 0x20202020

// fourLen is how many bytes a four has.
const fourLen = 4

func foldedFour(b []byte) uint32 { return binary.LittleEndian.Uint32(b) | foldFour }

func fourOf(s string) uint32 {
	return (uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24) | foldFour
}

// threeOf is the four of three bytes.
func threeOf(s string) uint32 {
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | foldFour
}

const threeMask = 0x00ffffff

// hashFour spreads a four over 32 bits; the upper ones are the best.
func hashFour(g uint32) uint32 { return g * 0x9e3779b1 }

// bloomShift takes a hash to the number of its bit.
const bloomShift = 32 - 17

// newFilter compiles needles, which are in the window of their text that begins
// at offset and has stride fours.
func newFilter(needles []needle, offset []int, stride int, three bool) *filter {
	f := &filter{needles: needles, stride: stride, three: three}
	if len(needles) == 0 {
		return f
	}
	by := map[uint32][]ref{}
	var order []uint32
	for i, n := range needles {
		for j := range stride {
			g := n.four(offset[i]+j, three)
			if by[g] == nil {
				order = append(order, g)
			}
			by[g] = append(by[g], ref{int32(i), int32(offset[i] + j)})
		}
	}
	size := 16
	for size < 2*len(order) {
		size *= 2
	}
	f.bits, f.slots, f.mask = new(bloom), make([]slot, size), uint32(size-1)
	for _, g := range order {
		h := hashFour(g)
		f.bits[h>>bloomShift>>6] |= 1 << (h >> bloomShift & 63)
		i := h >> 8 & f.mask
		for f.slots[i].to != 0 {
			i = (i + 1) & f.mask
		}
		from := uint32(len(f.refs))
		f.refs = append(f.refs, by[g]...)
		f.slots[i] = slot{g, from, uint32(len(f.refs))}
	}
	return f
}

// four returns the needle's four, or three, at byte i.
func (n needle) four(i int, three bool) uint32 {
	if three {
		return threeOf(n.text[i:])
	}
	return fourOf(n.text[i:])
}

// next returns the first place at or after i, in steps of stride, where a four
// stands that some needle may have, and the needles that do; or -1.
func (f *filter) next(b []byte, i int) (int, []ref) {
	if f.bits == nil {
		return -1, nil
	}
	bits, step := f.bits, f.stride
	mask := ^uint32(0)
	if f.three {
		mask = threeMask | foldFour
	}
	for ; i+fourLen <= len(b); i += step {
		g := foldedFour(b[i:]) & mask
		h := hashFour(g) >> bloomShift
		if bits[h>>6]>>(h&63)&1 == 0 {
			continue
		}
		if rs := f.find(g); rs != nil {
			return i, rs
		}
	}
	// The last three bytes.
	if f.three && i+fourLen-1 == len(b) {
		if rs := f.find(threeOf(string(b[i:]))); rs != nil {
			return i, rs
		}
	}
	return -1, nil
}

// find returns the needles that have a four.
func (f *filter) find(g uint32) []ref {
	for i := hashFour(g) >> 8 & f.mask; ; i = (i + 1) & f.mask {
		s := &f.slots[i]
		if s.to == 0 {
			return nil
		}
		if s.four == g {
			return f.refs[s.from:s.to]
		}
	}
}
