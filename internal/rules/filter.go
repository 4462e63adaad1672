package rules

// filter finds any of a set of literals in a block of log without splitting it
// into lines: the algorithm of Wu and Manber ("A fast algorithm for
// multi-pattern searching", TR-94-17, 1994) with blocks of two bytes. It looks
// at about one byte pair in m, where m is the length of the shortest literal.
// The zero value finds nothing. It is immutable.
type filter struct {
	m      int         // length of the shortest literal; 0 = there is none
	texts  []string    // the literals
	shift  []uint8     // by pair: how far the window may move on; 0 = look closer
	bucket []uint16    // by pair: 1 + index into chains, 0 = none
	chains [][]literal // literals whose first m bytes end in that pair
}

type literal struct {
	text string
	id   int // index in texts
}

// pairs is the number of entries of the tables: two bytes of seven bits. Bytes
// that are not ASCII share an entry with one that is, which costs a closer
// look and no hit.
const pairs = 1 << 14

func pair(a, b byte) uint16 { return uint16(a&0x7f) | uint16(b&0x7f)<<7 }

// maxWindow keeps shifts in a byte; longer windows gain nothing.
const maxWindow = 64

// newFilter compiles a set of literals, each of at least two bytes.
func newFilter(texts []string) *filter {
	f := &filter{texts: texts}
	if len(texts) == 0 {
		return f
	}
	f.m = min(shortest(texts), maxWindow)
	f.shift = make([]uint8, pairs)
	f.bucket = make([]uint16, pairs)
	for i := range f.shift {
		f.shift[i] = uint8(f.m - 1)
	}
	for id, t := range texts {
		for j := 1; j < f.m; j++ {
			h := pair(t[j-1], t[j])
			f.shift[h] = min(f.shift[h], uint8(f.m-1-j))
		}
		h := pair(t[f.m-2], t[f.m-1])
		if f.bucket[h] == 0 {
			f.chains = append(f.chains, nil)
			f.bucket[h] = uint16(len(f.chains))
		}
		chain := &f.chains[f.bucket[h]-1]
		*chain = append(*chain, literal{t, id})
	}
	return f
}

// next returns where in b, at or after from, some literal begins, or -1.
func (f *filter) next(b []byte, from int) int {
	if f.m == 0 {
		return -1
	}
	shift := f.shift[:pairs]
	for i := from + f.m - 1; i < len(b); {
		h := pair(b[i-1], b[i])
		if s := shift[h]; s > 0 {
			i += int(s)
			continue
		}
		at := i - f.m + 1
		for _, l := range f.chains[f.bucket[h]-1] {
			if len(b)-at >= len(l.text) && string(b[at:at+len(l.text)]) == l.text {
				return at
			}
		}
		i++
	}
	return -1
}

// all calls yield with the index of each literal that begins in b at or after
// from, as often as it does.
func (f *filter) all(b []byte, from int, yield func(id int)) {
	if f.m == 0 {
		return
	}
	for i := from + f.m - 1; i < len(b); {
		h := pair(b[i-1], b[i])
		if s := f.shift[h]; s > 0 {
			i += int(s)
			continue
		}
		at := i - f.m + 1
		for _, l := range f.chains[f.bucket[h]-1] {
			if len(b)-at >= len(l.text) && string(b[at:at+len(l.text)]) == l.text {
				yield(l.id)
			}
		}
		i++
	}
}
