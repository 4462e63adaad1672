package detect

import (
	"hash/maphash"
	"math/bits"
)

// slab is a growing array in pages, so that growth copies nothing. Its zero
// value is ready to use. Number 0 is never used.
type slab[T any] struct{ pages [][]T }

// pageLen is the number of items a page: small enough that an idle machine
// pays little, large enough that a full one has few pages.
const pageLen = 1 << 10

func (s *slab[T]) at(i uint32) *T { return &s.pages[i/pageLen][i%pageLen] }

// reach makes sure that item i exists.
func (s *slab[T]) reach(i uint32) {
	for uint32(len(s.pages)) <= i/pageLen {
		s.pages = append(s.pages, make([]T, pageLen))
	}
}

// link is what the roster keeps of one item: its neighbours by use, and the
// next one with the same bucket, in the form of a bucket.
type link struct{ prev, next, chain uint32 }

// roster numbers items, finds them by hash and keeps them in lists ordered by
// use. The items themselves lie in slabs beside it, under the same numbers.
type roster struct {
	links   slab[link]
	top     uint32   // highest number ever given
	free    uint32   // numbers given back, linked by chain
	buckets []uint32 // a power of two; the first of each chain: 8 bits of its hash, 24 of its number
	lists   []list   // by watch
	n       int      // items in all lists
}

// list is one list of a roster, the least recently used item first.
type list struct{ first, last uint32 }

// minBuckets is the smallest hash table, manyItems how many items a roster may
// have numbered and still keep its memory when it becomes empty.
const (
	minBuckets = 64
	manyItems  = 4 * pageLen
)

// maxItems is how many items a roster can number, and where the bits of the
// hash lie in a bucket: an item that is not meant is seldom looked at.
const (
	maxItems = 1<<24 - 1
	tagShift = 24
)

func tagOf(hash uint64) uint32 { return uint32(hash>>56) << tagShift }

func (r *roster) bucket(hash uint64) *uint32 { return &r.buckets[hash&uint64(len(r.buckets)-1)] }

// head returns the first item that may have this hash, 0 if none; walk on with
// after.
func (r *roster) head(hash uint64) uint32 {
	if len(r.buckets) == 0 {
		return 0
	}
	return r.seek(*r.bucket(hash), tagOf(hash))
}

func (r *roster) after(i uint32, hash uint64) uint32 {
	return r.seek(r.links.at(i).chain, tagOf(hash))
}

func (r *roster) seek(c, tag uint32) uint32 {
	for c != 0 && c&^maxItems != tag {
		c = r.links.at(c & maxItems).chain
	}
	return c & maxItems
}

// add gives a new item a number and puts it last into a list. hashOf tells the
// hash of an older item when the table grows.
func (r *roster) add(hash uint64, in int, hashOf func(uint32) uint64) uint32 {
	if r.n >= len(r.buckets) {
		r.grow(hashOf)
	}
	i := r.free
	if i != 0 {
		r.free = r.links.at(i).chain
	} else {
		r.top++
		i = r.top
		r.links.reach(i)
	}
	b := r.bucket(hash)
	*r.links.at(i) = link{chain: *b}
	*b = i | tagOf(hash)
	for len(r.lists) <= in {
		r.lists = append(r.lists, list{})
	}
	r.push(i, in)
	r.n++
	return i
}

func (r *roster) grow(hashOf func(uint32) uint64) {
	r.buckets = make([]uint32, max(minBuckets, 2*len(r.buckets)))
	for _, l := range r.lists {
		for i := l.first; i != 0; i = r.links.at(i).next {
			hash := hashOf(i)
			b := r.bucket(hash)
			r.links.at(i).chain = *b
			*b = i | tagOf(hash)
		}
	}
}

// remove takes an item out; its number is given again.
func (r *roster) remove(i uint32, hash uint64, in int) {
	p := r.bucket(hash)
	for *p&maxItems != i {
		p = &r.links.at(*p & maxItems).chain
	}
	*p = r.links.at(i).chain
	r.unlink(i, in)
	*r.links.at(i) = link{chain: r.free}
	r.free = i
	r.n--
}

// use puts an item last in its list.
func (r *roster) use(i uint32, in int) {
	if r.lists[in].last != i {
		r.unlink(i, in)
		r.push(i, in)
	}
}

func (r *roster) push(i uint32, in int) {
	l, k := &r.lists[in], r.links.at(i)
	k.prev, k.next = l.last, 0
	if l.last != 0 {
		r.links.at(l.last).next = i
	} else {
		l.first = i
	}
	l.last = i
}

func (r *roster) unlink(i uint32, in int) {
	l, k := &r.lists[in], r.links.at(i)
	if k.prev != 0 {
		r.links.at(k.prev).next = k.next
	} else {
		l.first = k.next
	}
	if k.next != 0 {
		r.links.at(k.next).prev = k.prev
	} else {
		l.last = k.prev
	}
}

// next returns the item that was used after i, 0 at the end of the list.
func (r *roster) next(i uint32) uint32 { return r.links.at(i).next }

// first returns the least recently used item of a list, 0 if it is empty.
func (r *roster) first(in int) uint32 {
	if in >= len(r.lists) {
		return 0
	}
	return r.lists[in].first
}

// secret makes the hashes of one detector its own, so that nobody can choose
// addresses that meet in one bucket. Only the layout of a roster depends on it,
// never what is counted.
type secret [3]uint64

func newSecret() (s secret) {
	for i := range s {
		s[i] = maphash.Comparable(maphash.MakeSeed(), i)
	}
	return s
}

// hash mixes two numbers by multiplication, as wyhash does.
func (s *secret) hash(a, b uint64) uint64 { return mix(mix(a^s[0], b^s[1]), s[2]|1) }

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
