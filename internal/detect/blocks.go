package detect

import "math/bits"

// entry is one event in a window: its time in ticks of the watch, modulo 2^32,
// and where its evidence lies.
type entry struct {
	time uint32
	ref  uint32 // position in the evidence; forgeableBit marks weak evidence
}

// forgeableBit in entry.ref: anyone can have sent it.
const forgeableBit = 1 << 31

// The classes of block: 4, 8, 16 and 32 entries lie in slabs, larger blocks
// are allocated alone, so that their memory goes back when they are freed.
const (
	smallBlock   = 4 // entries of class 0: what the usual threshold of five needs
	slabClasses  = 4
	blocksInPage = 256
)

// blocks gives out arrays of entries by class and number. The zero value is
// ready to use.
type blocks struct {
	small [slabClasses]struct {
		pages [][]entry
		top   uint32
		free  uint32 // given back, linked by the first entry's time
	}
	big     [][]entry
	bigFree []uint32
	entries int // capacity given out
}

// classFor returns the smallest class that holds n entries.
func classFor(n int) uint8 {
	if n <= smallBlock {
		return 0
	}
	return uint8(bits.Len(uint(n-1)) - 2)
}

func classCap(class uint8) int { return smallBlock << class }

func (b *blocks) get(class uint8) uint32 {
	b.entries += classCap(class)
	if class >= slabClasses {
		block := make([]entry, classCap(class))
		if n := len(b.bigFree); n > 0 {
			id := b.bigFree[n-1]
			b.bigFree = b.bigFree[:n-1]
			b.big[id] = block
			return id
		}
		b.big = append(b.big, block)
		return uint32(len(b.big) - 1)
	}
	s := &b.small[class]
	if id := s.free; id != 0 {
		s.free = b.at(class, id)[0].time
		return id
	}
	s.top++
	if int(s.top/blocksInPage) >= len(s.pages) {
		s.pages = append(s.pages, make([]entry, blocksInPage*classCap(class)))
	}
	return s.top
}

func (b *blocks) put(class uint8, id uint32) {
	b.entries -= classCap(class)
	if class >= slabClasses {
		b.big[id] = nil
		b.bigFree = append(b.bigFree, id)
		return
	}
	s := &b.small[class]
	b.at(class, id)[0].time = s.free
	s.free = id
}

// at returns the whole block.
func (b *blocks) at(class uint8, id uint32) []entry {
	if class >= slabClasses {
		return b.big[id]
	}
	n := uint32(classCap(class))
	i := id % blocksInPage * n
	return b.small[class].pages[id/blocksInPage][i : i+n : i+n]
}
