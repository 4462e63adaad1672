package detect

import (
	"encoding/binary"

	"gatehouse/internal/gate"
)

// window is what is kept for one watch and one subject: the events that count,
// oldest first. It holds no pointer.
type window struct {
	key
	class   uint8  // of the block that holds the entries
	block   uint32 // number of the block
	start   uint32 // first live entry in the block
	n       uint32 // live entries, at least 1 between calls
	touched uint32 // when an event last arrived, in seconds of the detector's clock
	newest  int64  // time of the last entry, in ticks of the watch
}

// windows finds windows by key. Each has its number for as long as it lives.
type windows struct {
	roster
	slab[window]
	blocks
	secret secret
}

func (w *windows) hash(k *key) uint64 {
	le := binary.LittleEndian
	return w.secret.hash(le.Uint64(k.addr[:8])+uint64(k.watch)<<8+uint64(k.bits), le.Uint64(k.addr[8:]))
}

func (w *windows) hashOf(i uint32) uint64 { return w.hash(&w.at(i).key) }

func (w *windows) at(i uint32) *window { return w.slab.at(i) }

// find returns the number of the window, 0 if there is none.
func (w *windows) find(k *key) uint32 {
	hash := w.hash(k)
	for i := w.head(hash); i != 0; i = w.after(i, hash) {
		if w.at(i).key == *k {
			return i
		}
	}
	return 0
}

// n returns how many windows there are.
func (w *windows) n() int { return w.roster.n }

// live returns how many entries window i has; i may be 0.
func (w *windows) live(i uint32) int {
	if i == 0 {
		return 0
	}
	return int(w.at(i).n)
}

// entries returns the live entries of a window, oldest first.
func (w *windows) entries(win *window) []entry {
	return w.blocks.at(win.class, win.block)[win.start : win.start+win.n]
}

// open makes an empty window with room for some entries.
func (w *windows) open(k *key, room int, touched uint32) uint32 {
	i := w.roster.add(w.hash(k), int(k.watch), w.hashOf)
	w.slab.reach(i)
	class := classFor(room)
	*w.at(i) = window{key: *k, class: class, block: w.blocks.get(class), touched: touched}
	return i
}

// insert adds an entry at its place in time.
func (w *windows) insert(win *window, tick int64, ref uint32) {
	block := w.room(win)
	end := win.start + win.n
	at := end
	if win.n > 0 && tick < win.newest {
		for age := uint32(win.newest - tick); at > win.start && uint32(win.newest)-block[at-1].time < age; at-- {
		}
		copy(block[at+1:end+1], block[at:end])
	} else {
		win.newest = tick
	}
	block[at] = entry{uint32(tick), ref}
	win.n++
}

// room makes space behind the last entry and returns the block.
func (w *windows) room(win *window) []entry {
	block := w.blocks.at(win.class, win.block)
	end := win.start + win.n
	if int(end) < len(block) {
		return block
	}
	live := block[win.start:end]
	if int(win.n) <= len(block)/2 { // worth moving: half of the block gets free
		copy(block, live)
		win.start = 0
		return block
	}
	id := w.blocks.get(win.class + 1)
	bigger := w.blocks.at(win.class+1, id)
	copy(bigger, live)
	w.blocks.put(win.class, win.block)
	win.class, win.block, win.start = win.class+1, id, 0
	return bigger
}

// tickOf returns the time of an entry in ticks.
func (w *windows) tickOf(win *window, e entry) int64 {
	return win.newest - int64(uint32(win.newest)-e.time)
}

// expire drops what lies before the window of length within that ends at tick.
func (d *Detector) expire(win *window, tick, within int64) {
	w := &d.windows
	for win.n > 0 {
		e := w.entries(win)[0]
		if tick-w.tickOf(win, e) <= within {
			return
		}
		d.evidence.release(e.ref)
		win.start++
		win.n--
	}
}

// withdraw takes one entry back, if it is still there.
func (d *Detector) withdraw(k *key, at, ref uint32) bool {
	i := d.windows.find(k)
	if i == 0 {
		return false
	}
	win := d.windows.at(i)
	es := d.windows.entries(win)
	for j := len(es) - 1; j >= 0; j-- {
		if es[j] != (entry{at, ref}) {
			continue
		}
		d.evidence.release(ref)
		copy(es[j:], es[j+1:])
		win.n--
		if win.n == 0 {
			d.close(i)
		} else if j == len(es)-1 {
			win.newest -= int64(uint32(win.newest) - es[j-1].time)
		}
		return true
	}
	return false
}

// close forgets a window.
func (d *Detector) close(i uint32) {
	w := &d.windows
	win := w.at(i)
	for _, e := range w.entries(win) {
		d.evidence.release(e.ref)
	}
	w.blocks.put(win.class, win.block)
	w.roster.remove(i, w.hash(&win.key), int(win.watch))
	if w.roster.n == 0 && w.top > manyItems { // the memory of a flood goes back
		w.roster, w.slab, w.blocks = roster{}, slab[window]{}, blocks{}
	}
}

// proof tells the events of a window and the one that crossed the threshold,
// and the weakest evidence among them.
func (d *Detector) proof(win *window, rule string, last gate.Event) (gate.Proof, gate.Evidence) {
	es := d.windows.entries(win)
	p, weakest := d.kept(win, es, rule), last.Evidence
	for _, e := range es {
		if e.ref&forgeableBit != 0 {
			weakest = gate.Forgeable
			break
		}
	}
	p.Add(last)
	return p, weakest
}

// kept tells entries of a window as far as their evidence is still there.
func (d *Detector) kept(win *window, es []entry, rule string) gate.Proof {
	var records [gate.ProofFirst + gate.ProofLast][]byte // all found before one is read: they lie far apart
	n := 0
	for i, e := range es {
		if i >= gate.ProofFirst && i < len(es)-gate.ProofLast {
			continue
		}
		if b := d.evidence.record(e.ref); b != nil && isOf(b, &win.key, e.time) {
			records[n] = b
			n++
		}
	}
	p := gate.Proof{First: make([]gate.Event, 0, min(n+1, gate.ProofFirst))}
	for _, b := range records[:n] {
		p.Add(d.evidence.event(b, rule))
	}
	p.Count = len(es)
	return p
}
