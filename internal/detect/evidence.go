package detect

import "slices"

// evidence keeps the events of live windows as bytes, in pages that are filled
// one after the other. A page goes when no window refers to it any more, or,
// when the budget is used up, the oldest one goes: then its windows keep their
// counts and lose the lines.
type evidence struct {
	pages  map[uint32]*page
	order  []uint32 // numbers of pages, oldest first; some may be gone
	cur    *page    // the page that is filled; nil until something is kept in it
	no     uint32   // its number
	fill   uint32   // units of it that are used
	budget int      // pages that may live at once; 0 = keep nothing
	spare  *page    // one empty page to use again
	names  names
}

// A position is a page's number and a unit in it, 31 bits in all. Positions
// come around after 32 GiB of evidence; a record tells whose it is, so that one
// that is gone is never taken for another.
const (
	unitBytes    = 16
	pageBytes    = 64 << 10
	unitsInPage  = pageBytes / unitBytes
	positionMask = forgeableBit - 1
	pageMask     = positionMask / unitsInPage
)

type page struct {
	data [pageBytes]byte
	refs int // entries of windows that point into it
}

func newEvidence(bytes int) evidence {
	e := evidence{pages: make(map[uint32]*page), fill: 1} // position 0 stands for none
	e.setBudget(bytes)
	return e
}

func (e *evidence) setBudget(bytes int) {
	e.budget = 0
	if bytes > 0 {
		e.budget = max(1, bytes/pageBytes)
	}
	for len(e.pages) > e.budget {
		e.dropOldest()
	}
}

// put keeps a record of n bytes and returns its position, and where to write
// it: nil if it is not kept. A position is given even then, so that it
// identifies the event.
func (e *evidence) put(n int) (pos uint32, dst []byte) {
	keep := e.budget > 0 && n <= pageBytes
	units := uint32(1)
	if keep {
		units = uint32((n + unitBytes - 1) / unitBytes)
	}
	if e.fill+units > unitsInPage {
		e.turn()
	}
	at := e.fill
	e.fill += units
	pos = e.no*unitsInPage + at
	if !keep {
		return pos, nil
	}
	if e.cur == nil {
		e.cur = e.open(e.no)
	}
	e.cur.refs++
	return pos, e.cur.data[at*unitBytes:][:n]
}

// turn goes on to the next page.
func (e *evidence) turn() {
	if e.cur != nil && e.cur.refs <= 0 {
		e.drop(e.no)
	}
	e.cur, e.no, e.fill = nil, (e.no+1)&pageMask, 0
	if e.no == 0 {
		e.fill = 1
	}
	e.drop(e.no) // one that is still there after 32 GiB
}

// open makes an empty page.
func (e *evidence) open(no uint32) *page {
	for len(e.pages) >= e.budget {
		e.dropOldest()
	}
	p := e.spare
	e.spare = nil
	if p == nil {
		p = new(page)
	}
	e.pages[no] = p
	if len(e.order) > 2*e.budget+16 {
		e.order = slices.DeleteFunc(e.order, func(n uint32) bool { return e.pages[n] == nil })
	}
	e.order = append(e.order, no)
	return p
}

func (e *evidence) dropOldest() {
	for {
		no := e.order[0]
		e.order = e.order[1:]
		if e.drop(no) {
			return
		}
	}
}

func (e *evidence) drop(no uint32) bool {
	p := e.pages[no]
	if p == nil {
		return false
	}
	delete(e.pages, no)
	if p == e.cur {
		e.cur = nil
	}
	if e.spare == nil {
		*p = page{}
		e.spare = p
	}
	return true
}

// release tells that an entry no longer points to pos.
func (e *evidence) release(pos uint32) {
	no := pos & positionMask / unitsInPage
	if p := e.pages[no]; p != nil {
		p.refs--
		if p.refs <= 0 && p != e.cur {
			e.drop(no)
		}
	}
}

// record returns the record at pos, nil if it is gone.
func (e *evidence) record(pos uint32) []byte {
	pos &= positionMask
	p := e.pages[pos/unitsInPage]
	if p == nil {
		return nil
	}
	data := p.data[pos%unitsInPage*unitBytes:]
	n := recordLen(data)
	if n < recordHead || n > len(data) {
		return nil
	}
	return data[:n]
}

// names gives strings that occur again and again (sources, patterns) a number.
type names struct {
	list  []string
	index map[string]uint16
	last  [2]struct { // what was asked for last: a source, a pattern
		s  string
		n  uint16
		ok bool
	}
}

// The bounds of names. Sources and patterns come from the configuration, so
// these are far from what is used.
const (
	maxNames   = 4096
	maxNameLen = 512 // bytes
)

// number returns the number of s; false when it has none and the list is full.
// lane is 0 for a source and 1 for a pattern.
func (t *names) number(s string, lane int) (uint16, bool) {
	l := &t.last[lane]
	if l.ok && l.s == s {
		return l.n, true
	}
	n, ok := t.index[s]
	if !ok {
		if len(t.list) == maxNames || len(s) > maxNameLen {
			return 0, false
		}
		n = t.add(s)
	}
	l.s, l.n, l.ok = s, n, true
	return n, true
}

func (t *names) add(s string) uint16 {
	if t.index == nil {
		t.index = make(map[string]uint16)
	}
	n := uint16(len(t.list))
	t.list = append(t.list, s)
	t.index[s] = n
	return n
}

func (t *names) name(n uint16) string {
	if int(n) < len(t.list) {
		return t.list[n]
	}
	return ""
}
