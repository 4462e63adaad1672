package detect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"time"

	"gatehouse/internal/gate"
)

// A snapshot is, all numbers little-endian:
//
//	magic, offset of the clock, position where evidence goes on
//	names: count, then length and bytes of each
//	watches by name: count, then length and bytes of the name, count and nanoseconds of the threshold
//	for each watch: windows, least recently used first, then sessions, the same
//	records: count, then position and bytes of each, by position
//	probes: the name of each watch that counts them, then its subjects, least recently used first
//	scores: the name of each, then who has points in it; nothing where nobody has
//	CRC-32C of all before it
const (
	snapshotMagic = "gate-detect 1\n"

	// snapshotEvidence bounds the evidence in a snapshot, in bytes, for it is
	// written every few seconds: that of the most recently used windows.
	snapshotEvidence = 4 << 20

	windowHead  = 16 + 1 + 4 + 8 + 4                 // addr, bits, touched, newest, n
	sessionSize = 8 + 8 + 16 + 8 + 8 + 4 + 4 + 1 + 1 // id, via, addr, last, standIn, ref, touched, bits, flags
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Snapshot returns all that is being counted, for [Detector.Restore]. The same
// state gives the same bytes.
func (d *Detector) Snapshot() []byte {
	le := binary.LittleEndian
	size := 1024 + d.windows.n()*windowHead + d.windows.blocks.entries*8 + d.sessions.roster.n*sessionSize +
		min(len(d.evidence.pages)*pageBytes, snapshotEvidence)
	b := make([]byte, 0, size)
	b = append(b, snapshotMagic...)
	b = le.AppendUint64(b, uint64(d.offset))
	next := d.evidence.no
	if d.evidence.fill > 1 || d.evidence.fill == 1 && next != 0 {
		next = (next + 1) & pageMask
	}
	b = le.AppendUint32(b, next)
	b = le.AppendUint32(b, uint32(len(d.evidence.names.list)))
	for _, s := range d.evidence.names.list {
		b = appendString(b, s)
	}
	b = le.AppendUint32(b, uint32(len(d.byName)))
	for _, name := range slices.Sorted(maps.Keys(d.byName)) {
		n := int(d.byName[name])
		b = appendString(b, name)
		b = le.AppendUint64(b, uint64(d.slots[n].threshold.Count))
		b = le.AppendUint64(b, uint64(d.slots[n].threshold.Within))
		b = d.appendWindows(b, n)
		b = d.appendSessions(b, n)
	}
	return seal(d.appendScores(d.appendProbes(d.appendRecords(b))))
}

// seal adds the checksum.
func seal(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint16(b, uint16(len(s))), s...)
}

func (d *Detector) appendWindows(b []byte, n int) []byte {
	le := binary.LittleEndian
	at := len(b)
	b = le.AppendUint32(b, 0)
	count := uint32(0)
	for i := d.windows.first(n); i != 0; i = d.windows.next(i) {
		win := d.windows.at(i)
		count++
		b = append(b, win.addr[:]...)
		b = append(b, win.bits)
		b = le.AppendUint32(b, win.touched)
		b = le.AppendUint64(b, uint64(win.newest))
		b = le.AppendUint32(b, win.n)
		for _, e := range d.windows.entries(win) {
			b = le.AppendUint32(b, e.time)
			b = le.AppendUint32(b, e.ref)
		}
	}
	le.PutUint32(b[at:], count)
	return b
}

func (d *Detector) appendSessions(b []byte, n int) []byte {
	le := binary.LittleEndian
	at := len(b)
	b = le.AppendUint32(b, 0)
	count := uint32(0)
	for i := d.sessions.first(n); i != 0; i = d.sessions.next(i) {
		s := d.sessions.at(i)
		count++
		b = le.AppendUint64(b, s.id)
		b = le.AppendUint64(b, s.via)
		b = append(b, s.addr[:]...)
		b = le.AppendUint64(b, uint64(s.last))
		b = le.AppendUint64(b, uint64(s.standIn))
		b = le.AppendUint32(b, s.ref)
		b = le.AppendUint32(b, s.touched)
		b = append(b, s.bits, s.flags)
	}
	le.PutUint32(b[at:], count)
	return b
}

// appendRecords adds the evidence that the windows refer to, up to its bound.
func (d *Detector) appendRecords(b []byte) []byte {
	le := binary.LittleEndian
	var refs []uint32
	left := snapshotEvidence
	for n := range d.windows.lists {
		for i := d.windows.lists[n].last; i != 0 && left > 0; i = d.windows.links.at(i).prev {
			win := d.windows.at(i)
			for _, e := range d.windows.entries(win) {
				if r := d.evidence.record(e.ref); r != nil && isOf(r, &win.key, e.time) {
					refs = append(refs, e.ref&positionMask)
					left -= len(r)
				}
			}
		}
	}
	slices.Sort(refs)
	b = le.AppendUint32(b, uint32(len(refs)))
	for _, ref := range refs {
		b = le.AppendUint32(b, ref)
		b = append(b, d.evidence.record(ref)...)
	}
	return b
}

// ErrDamaged is what the errors of [Detector.Restore] wrap.
var ErrDamaged = errors.New("the snapshot of the windows is damaged")

// Restore replaces all that is being counted by what [Detector.Snapshot]
// returned, as far as the watches are still the same and the bounds allow.
// Damaged data give an error that wraps ErrDamaged, and the detector is empty
// then.
func (d *Detector) Restore(b []byte) error {
	d.clear()
	r, err := open(b)
	if err == nil {
		err = d.restore(r)
	}
	if err != nil {
		d.clear()
		return fmt.Errorf("restore windows: %w", err)
	}
	return nil
}

// open checks magic and checksum.
func open(b []byte) (*reader, error) {
	n := len(b) - 4
	switch {
	case n < len(snapshotMagic):
		return nil, fmt.Errorf("%w: it is too short", ErrDamaged)
	case string(b[:len(snapshotMagic)]) != snapshotMagic:
		return nil, fmt.Errorf("%w: it was not made by this version", ErrDamaged)
	case crc32.Checksum(b[:n], castagnoli) != binary.LittleEndian.Uint32(b[n:]):
		return nil, fmt.Errorf("%w: its checksum is wrong", ErrDamaged)
	}
	return &reader{b: b[len(snapshotMagic):n]}, nil
}

func (d *Detector) restore(r *reader) error {
	d.offset = int64(r.u64())
	d.evidence.no = r.u32() & pageMask
	d.evidence.fill = 0
	if d.evidence.no == 0 {
		d.evidence.fill = 1
	}
	names := r.count(2)
	if names > maxNames {
		return r.bad("names")
	}
	for range names {
		s := r.text()
		if _, twice := d.evidence.names.index[s]; twice || len(s) > maxNameLen {
			return r.bad("names")
		}
		d.evidence.names.add(s)
	}
	for range r.count(2 + 8 + 8 + 4 + 4) {
		name := r.text()
		t := gate.Threshold{Count: int(r.u64()), Within: time.Duration(r.u64())}
		n, known := d.byName[name]
		known = known && d.slots[n].threshold == t
		if err := d.readWindows(r, n, known); err != nil {
			return err
		}
		if err := d.readSessions(r, n, known); err != nil {
			return err
		}
	}
	if err := d.readRecords(r); err != nil {
		return err
	}
	if len(r.b) > 0 { // an older version wrote none
		if err := d.readProbes(r); err != nil {
			return err
		}
	}
	if len(r.b) > 0 {
		if err := d.readScores(r); err != nil {
			return err
		}
	}
	if r.failed || len(r.b) > 0 {
		return r.bad("length")
	}
	d.stale = true
	return nil
}

func (d *Detector) readWindows(r *reader, watch uint16, known bool) error {
	w := &d.windows
	for range r.count(windowHead + 8) {
		k := key{watch: watch, addr: r.addr(), bits: r.u8()}
		touched, newest := r.u32(), int64(r.u64())
		n := r.count(8)
		if r.failed || n == 0 || k.bits == 0 || k.bits > 128 || mask(k.addr, k.bits) != k.addr {
			return r.bad("window")
		}
		raw := r.take(8 * n)
		if !known {
			continue
		}
		sl := &d.slots[watch]
		if n >= sl.threshold.Count || w.find(&k) != 0 {
			return r.bad("window")
		}
		for w.n() >= d.config.MaxSubjects || w.n() > 0 && w.blocks.entries+classCap(classFor(n)) > d.config.MaxEvents {
			d.evict(0)
		}
		win := w.at(w.open(&k, n, touched))
		age := uint32(0xffffffff)
		for j, e := range w.blocks.at(win.class, win.block)[:n] {
			e.time = binary.LittleEndian.Uint32(raw[8*j:])
			e.ref = binary.LittleEndian.Uint32(raw[8*j+4:])
			if a := uint32(newest) - e.time; a > age || int64(a) > sl.within {
				return r.bad("window")
			} else {
				age = a
			}
			w.blocks.at(win.class, win.block)[j] = e
		}
		if age != 0 {
			return r.bad("window")
		}
		win.newest, win.n = newest, uint32(n)
	}
	return nil
}

func (d *Detector) readSessions(r *reader, watch uint16, known bool) error {
	for range r.count(sessionSize) {
		s := session{
			watch: watch,
			id:    r.u64(), via: r.u64(), addr: r.addr(), last: int64(r.u64()), standIn: int64(r.u64()),
			ref: r.u32(), touched: r.u32(), bits: r.u8(), flags: r.u8(),
		}
		if r.failed || s.bits == 0 || s.bits > 128 || s.flags&^allFlags != 0 || mask(s.addr, s.bits) != s.addr {
			return r.bad("session")
		}
		if !known {
			continue
		}
		if d.sessions.find(watch, s.id, s.via) != 0 {
			return r.bad("session")
		}
		for d.sessions.roster.n >= d.config.MaxSessions {
			d.sessions.close(d.oldestSession())
		}
		d.sessions.open(s)
	}
	return nil
}

// readRecords reads the evidence and counts who refers to it.
func (d *Detector) readRecords(r *reader) error {
	ev := &d.evidence
	for range r.count(4 + recordHead) {
		pos := r.u32()
		n := recordLen(r.peek(2))
		at := int(pos % unitsInPage * unitBytes)
		no := pos / unitsInPage
		if r.failed || pos > positionMask || n < recordHead || at+n > pageBytes {
			return r.bad("evidence")
		}
		raw := r.take(n)
		if ev.budget == 0 || raw == nil {
			continue
		}
		p := ev.pages[no]
		if p == nil {
			p = ev.open(no)
		}
		copy(p.data[at:], raw)
	}
	for n := range d.windows.lists {
		for i := d.windows.first(n); i != 0; i = d.windows.next(i) {
			for _, e := range d.windows.entries(d.windows.at(i)) {
				if p := ev.pages[e.ref&positionMask/unitsInPage]; p != nil {
					p.refs++
				}
			}
		}
	}
	for _, no := range slices.Clone(ev.order) {
		if p := ev.pages[no]; p != nil && p.refs == 0 {
			ev.drop(no)
		}
	}
	ev.drop(ev.no)
	return nil
}

// reader reads numbers; past the end it gives zeros and sets failed.
type reader struct {
	b      []byte
	failed bool
	zero   [16]byte
}

func (r *reader) bad(what string) error {
	return fmt.Errorf("%w: bad %s, %d bytes before the end", ErrDamaged, what, len(r.b))
}

// take returns the next n bytes, nil if there are fewer.
func (r *reader) take(n int) []byte {
	if r.failed || n < 0 || n > len(r.b) {
		r.failed = true
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

// peek returns the next n bytes, at most 16, and stays before them.
func (r *reader) peek(n int) []byte {
	if r.failed || n > len(r.b) {
		r.failed = true
		return r.zero[:n]
	}
	return r.b[:n]
}

func (r *reader) fixed(n int) []byte {
	b := r.peek(n)
	if !r.failed {
		r.b = r.b[n:]
	}
	return b
}

func (r *reader) u8() uint8      { return r.fixed(1)[0] }
func (r *reader) u16() uint16    { return binary.LittleEndian.Uint16(r.fixed(2)) }
func (r *reader) u32() uint32    { return binary.LittleEndian.Uint32(r.fixed(4)) }
func (r *reader) u64() uint64    { return binary.LittleEndian.Uint64(r.fixed(8)) }
func (r *reader) addr() [16]byte { return [16]byte(r.fixed(16)) }
func (r *reader) text() string   { return string(r.take(int(r.u16()))) }

// count reads how many items of at least size bytes follow, and fails where
// there cannot be so many.
func (r *reader) count(size int) int {
	n := int(r.u32())
	if n > len(r.b)/size {
		r.failed = true
		return 0
	}
	return n
}
