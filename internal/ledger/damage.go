package ledger

import (
	"cmp"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"gatehouse/internal/gate"
)

const (
	keepWrecks    = 3                     // damaged files that stay in the folder, the newest
	salvageSlice  = 500                   // records that are read out of a damaged file at a time
	salvagePause  = 20 * time.Millisecond // between two slices
	maxSkips      = 2000                  // how often salvage jumps over what cannot be read
	maxLead       = 1_000_000             // records that a cursor in a damaged file may be ahead of what can be read: beyond, it is damaged itself
	salvageMargin = 1000                  // numbers left unused where the newest record of a damaged file is unknown
)

// wreck is a damaged database that was set aside, being read out. Nothing is
// ever changed in it, but that SQLite may copy its own WAL back, and that a file
// which was cut off gets zeros behind its end, because SQLite refuses it otherwise.
type wreck struct {
	path  string
	c     *conn
	sweep sweep  // over its records
	limit uint64 // numbers from here on belong to the new file
	saved int
}

func (w *wreck) close() {
	if w != nil {
		w.c.close() // it was only read
	}
}

// setAside renames the database and its WAL, so that nothing writes to them any
// more. Nothing may be open.
func (l *Ledger) setAside(damage error) (*wreck, error) {
	name := l.path + ".damaged-" + l.o.Now().UTC().Format("20060102T150405Z")
	for _, err := os.Lstat(name); err == nil; _, err = os.Lstat(name) {
		name += "+"
	}
	if err := os.Rename(l.path, name); err != nil {
		return nil, fmt.Errorf("set the damaged database aside: %w", err)
	}
	if err := os.Rename(l.path+"-wal", name+"-wal"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("set the damaged database's log aside: %w", err)
	}
	if err := os.Remove(l.path + "-shm"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove the damaged database's index: %w", err)
	}
	l.o.Log.Error("the ledger's database is damaged and was set aside", "path", name, "err", damage)
	l.setHealth(func(h *Health) {
		h.SetAside, h.Salvaged = name, 0
		h.State, h.Why, h.Hint = Restored, restoredWhy(name), restoredHint
	})
	l.forgetWrecks()
	return &wreck{path: name}, nil
}

// forgetWrecks removes all damaged files but the newest few: a disk that fails
// again and again must not fill up with them.
func (l *Ledger) forgetWrecks() {
	all, err := filepath.Glob(escapeGlob(l.path) + ".damaged-*Z")
	if err != nil || len(all) <= keepWrecks {
		return
	}
	slices.Sort(all) // their names are times
	for _, old := range all[:len(all)-keepWrecks] {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if err := os.Remove(old + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
				l.o.Log.Warn("remove an old damaged database", "path", old+suffix, "err", err)
			}
		}
	}
}

// escapeGlob makes filepath.Glob take a path literally.
func escapeGlob(path string) string {
	var b []byte
	for i := range len(path) {
		switch path[i] {
		case '*', '?', '[', '\\':
			b = append(b, '\\')
		}
		b = append(b, path[i])
	}
	return string(b)
}

// replace sets the open database aside and goes on with a new one.
func (l *Ledger) replace(damage error) error {
	if err := l.disconnect(); err != nil {
		l.o.Log.Warn("close the damaged database", "err", err)
	}
	l.w.wreck.close()
	l.w.wreck = nil
	l.w.windows = [len(l.w.windows)]byte{}
	return l.connect(damage)
}

// salvage takes over what can be read of a damaged database: what is in force,
// the checkpoint and the small state of other parts at once, history later by and
// by. What cannot be taken over is logged and left.
func (l *Ledger) salvage(old *wreck) {
	if err := lengthen(old.path); err != nil {
		l.o.Log.Warn("lengthen the damaged database", "path", old.path, "err", err)
	}
	var err error
	if old.c, err = openConn(old.path, nil, append(pragmas(readerCache), "query_only=1")...); err != nil {
		l.o.Log.Error("nothing can be read of the damaged database", "path", old.path, "err", err)
		return
	}
	found := l.findLive(old.c)
	newest := max(found.newest, l.w.next-1)
	if n := newestCursor(old.c); n < newest+maxLead {
		newest = max(newest, n)
	}
	if !found.certain {
		newest += salvageMargin
	}
	l.setNewest(newest)
	err = transact(l.w.c, func() error {
		for _, r := range found.rows {
			if err := l.adopt(r); err != nil {
				return err
			}
		}
		l.salvageState(old.c)
		return nil
	})
	if err != nil {
		l.w.windows = [len(l.w.windows)]byte{}
		l.o.Log.Error("take over what is in force from the damaged database", "path", old.path, "err", err)
		return
	}
	l.o.Log.Warn("took over what is in force from the damaged database", "path", old.path, "rows", len(found.rows))
	old.limit = newest + 1
	old.sweep.end = int64(newest)
	l.w.wreck = old
}

// lengthen gives a file that was cut off the size that its header says (SQLite
// file format, section 1.3: page size at offset 16, number of pages at 28).
func lengthen(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close() // Truncate has said what there is to say
	var header [100]byte
	if _, err := f.ReadAt(header[:], 0); err != nil {
		return nil // not even a header: there is nothing to read
	}
	size := int64(binary.BigEndian.Uint16(header[16:])) * int64(binary.BigEndian.Uint32(header[28:]))
	fi, err := f.Stat()
	if err != nil || fi.Size() >= size || size > 1<<40 {
		return err
	}
	return f.Truncate(size)
}

// liveRow is a row of live in a damaged database.
type liveRow struct {
	seq, boot int64
	body      []byte
	d         gate.Decision
}

// foundLive is what was in force in a damaged database.
type foundLive struct {
	rows    []liveRow
	newest  uint64 // number of the newest record that was seen
	certain bool   // newest is the newest one
	holes   []hole // numbers of rows that cannot be read, in order
}

// hole is numbers of which nothing is known, both ends included.
type hole struct{ from, to int64 }

func (f *foundLive) isUnknown(seq int64) bool {
	return slices.ContainsFunc(f.holes, func(h hole) bool { return h.from <= seq && seq <= h.to })
}

// findLive reads what is in force. What it cannot read of it, it works out from
// history: a ban whose row may be among the unreadable ones, and of whose end
// there is no trace.
func (l *Ledger) findLive(c *conn) (f foundLive) {
	f.readLive(l, c)
	var u unpacker
	err := c.each("SELECT seq, body FROM records ORDER BY seq DESC LIMIT 1", func(v []driver.Value) bool {
		seq, _ := v[0].(int64)
		body, _ := v[1].([]byte)
		if _, err := u.decision(body, uint64(seq)); err == nil {
			f.newest, f.certain = max(f.newest, uint64(seq)), true
		}
		return false
	})
	f.certain = f.certain && err == nil
	if len(f.holes) > 0 || !f.certain {
		f.readHistory(l, c)
	}
	slices.SortFunc(f.rows, func(a, b liveRow) int { return cmp.Compare(a.seq, b.seq) })
	return f
}

// readLive reads the table live, and notes what it cannot read.
func (f *foundLive) readLive(l *Ledger, c *conn) {
	var u unpacker
	s := sweep{end: math.MaxInt64 >> 1}
	s.all(func(after int64) (int64, error) {
		last, err := eachFrom(c, "SELECT seq, boot, body FROM live WHERE seq>? ORDER BY seq", after, func(v []driver.Value) {
			seq, _ := v[0].(int64)
			if n := len(f.holes); n > 0 && f.holes[n-1].to == math.MaxInt64 {
				f.holes[n-1].to = seq - 1
			}
			r, ok := unpackLive(&u, v, l.boot)
			if !ok {
				f.holes = append(f.holes, hole{seq, seq})
				return
			}
			boot, _ := v[1].(int64)
			f.rows = append(f.rows, liveRow{seq, boot, v[2].([]byte), r.Decision})
			f.newest = max(f.newest, r.Seq)
		})
		if n := len(f.holes); err != nil && (n == 0 || f.holes[n-1].to != math.MaxInt64) {
			f.holes = append(f.holes, hole{last + 1, math.MaxInt64})
		}
		return last, err
	})
}

// readHistory adds what may be in force in the holes of live.
func (f *foundLive) readHistory(l *Ledger, c *conn) {
	history := map[string]liveRow{}
	var u unpacker
	s := sweep{end: math.MaxInt64 >> 1}
	s.all(func(after int64) (int64, error) {
		return eachFrom(c, "SELECT seq, body FROM records WHERE seq>? ORDER BY seq", after, func(v []driver.Value) {
			seq, _ := v[0].(int64)
			body, _ := v[1].([]byte)
			d, err := u.decision(body, uint64(seq))
			if err != nil {
				return
			}
			f.newest = max(f.newest, uint64(seq))
			door, on := doorOf(d.Verdict)
			if door == doorNone {
				return
			}
			what := string(appendWhat(nil, door, d.Scope, d.Subject))
			if on {
				history[what] = liveRow{seq, 0, body, d}
			} else {
				delete(history, what)
			}
		})
	})
	now := l.o.Now()
	for _, r := range f.rows {
		door, _ := doorOf(r.d.Verdict)
		delete(history, string(appendWhat(nil, door, r.d.Scope, r.d.Subject)))
	}
	for _, r := range history {
		if f.isUnknown(r.seq) && r.d.Life(now) > 0 && !endedByIndex(c, r) {
			f.rows = append(f.rows, r)
		}
	}
}

// endedByIndex reports whether the index knows of a decision that ended r, even
// if that record cannot be read itself.
func endedByIndex(c *conn, r liveRow) (ended bool) {
	door, _ := doorOf(r.d.Verdict)
	// What can be read counts, so the error does not.
	_ = c.each("SELECT verdict FROM records INDEXED BY records_subject WHERE subject=? AND seq>?", func(v []driver.Value) bool {
		verdict, _ := v[0].(int64)
		d, on := doorOf(gate.Verdict(verdict))
		ended = ended || d == door && !on
		return true
	}, appendKey(nil, r.d.Subject), r.seq)
	return ended
}

// newestCursor returns the highest cursor of a follower: there was a record with
// this number.
func newestCursor(c *conn) (newest uint64) {
	// What can be read counts, so the error does not.
	_ = c.each("SELECT value FROM keep WHERE namespace=?", func(v []driver.Value) bool {
		b, _ := v[0].([]byte)
		if seq, n := binary.Uvarint(b); n > 0 {
			newest = max(newest, seq)
		}
		return true
	}, cursors)
	return newest
}

// adopt writes a row of what is in force into the new database, with a record
// that has no proof yet.
func (l *Ledger) adopt(r liveRow) error {
	if err := l.adoptRecord(r.seq, r.body, nil, &r.d); err != nil {
		return err
	}
	door, _ := doorOf(r.d.Verdict)
	_, err := l.w.c.run(insertLive, r.seq, appendWhat(nil, door, r.d.Scope, r.d.Subject), r.boot, r.body)
	return err
}

// adoptRecord writes a record under its old number; one that is there gets its
// proof.
func (l *Ledger) adoptRecord(seq int64, body, proof []byte, d *gate.Decision) error {
	var identity, stored driver.Value
	if d.Origin != (gate.Origin{}) {
		identity = appendIdentity(nil, d)
	}
	if proof != nil {
		stored = proof
	}
	n, err := l.w.c.run("INSERT OR IGNORE INTO records VALUES (?,?,?,?,?,?,?,?,?)", seq, nanos(d.Time), int64(d.Verdict),
		appendKey(nil, d.Subject), d.Rule, int64(d.Offence), identity, body, stored)
	if err == nil && n == 0 && proof != nil {
		_, err = l.w.c.run("UPDATE records SET proof=? WHERE seq=? AND proof IS NULL", proof, seq)
	}
	return err
}

// salvageState takes over the checkpoint, whole or not at all, and the small
// state of other parts as far as it can be read.
func (l *Ledger) salvageState(c *conn) {
	t := transaction{w: &l.w, kept: state{}}
	marks, windows, err := readCheckpoint(c)
	if err == nil {
		err = errors.Join(t.marks(marks), t.windows(windows))
	}
	if err != nil {
		l.o.Log.Error("the damaged database has no usable checkpoint; sources are read as if for the first time", "err", err)
	}
	err = c.each("SELECT namespace, name, value FROM keep", func(v []driver.Value) bool {
		namespace, ok1 := v[0].(string)
		name, ok2 := v[1].(string)
		value, ok3 := v[2].([]byte)
		if ok1 && ok2 && ok3 {
			t.kept[place{namespace, name}] = append([]byte{}, value...)
		}
		return true
	})
	if err = errors.Join(err, t.keep()); err != nil {
		l.o.Log.Error("some state of other parts could not be read from the damaged database", "err", err)
	}
}

// salvageSome takes over another slice of history.
func (l *Ledger) salvageSome() {
	w := l.w.wreck
	defer func() { l.w.salvageAt = time.Now().Add(salvagePause) }()
	type row struct {
		seq         int64
		body, proof []byte
		d           gate.Decision
	}
	var rs []row
	var u unpacker
	more := w.sweep.next(func(after int64) (last int64, full bool, err error) {
		n := 0
		last, err = eachFrom(w.c, fmt.Sprintf("SELECT seq, body, proof FROM records WHERE seq>? ORDER BY seq LIMIT %d", salvageSlice), after, func(v []driver.Value) {
			n++
			r := row{}
			r.seq, _ = v[0].(int64)
			r.body, _ = v[1].([]byte)
			r.proof, _ = v[2].([]byte)
			var err error
			if r.d, err = u.decision(r.body, uint64(r.seq)); err == nil && uint64(r.seq) < w.limit {
				rs = append(rs, r)
			}
		})
		return last, n == salvageSlice, err
	})
	err := transact(l.w.c, func() error {
		for i := range rs {
			if err := l.adoptRecord(rs[i].seq, rs[i].body, rs[i].proof, &rs[i].d); err != nil {
				return err
			}
		}
		return nil
	})
	l.countPages()
	if err != nil {
		l.failed(err, nil)
		more = more && l.w.wreck == w
	}
	w.saved += len(rs)
	l.mu.Lock()
	l.health.Salvaged = w.saved
	l.mu.Unlock()
	if !more && l.w.wreck == w {
		l.o.Log.Warn("took over the history of the damaged database", "path", w.path, "records", w.saved)
		w.close()
		l.w.wreck = nil
	}
}

// eachFrom runs a query whose argument is the number behind which it begins and
// whose first column is the number; it returns the last one it saw.
func eachFrom(c *conn, sql string, after int64, row func(v []driver.Value)) (last int64, err error) {
	last = after
	err = c.each(sql, func(v []driver.Value) bool {
		if seq, ok := v[0].(int64); ok {
			last = max(last, seq)
		}
		row(v)
		return true
	}, after)
	return last, err
}

// sweep goes through a table by number and jumps over what cannot be read,
// further and further until something can.
type sweep struct {
	after, end int64 // numbers behind after, up to end, are still to be read
	skip       int64
	skips      int
}

// next reads on from where it is. It returns false at the end.
func (s *sweep) next(read func(after int64) (last int64, full bool, err error)) bool {
	last, full, err := read(s.after)
	if err == nil {
		s.after = max(s.after, last)
		return full && s.after < s.end
	}
	s.skips++
	if last > s.after {
		s.skip = 0
	}
	s.skip = max(1, 2*s.skip)
	s.after = max(s.after, last)
	if s.skip > s.end-s.after || s.skips > maxSkips {
		return false
	}
	s.after += s.skip
	return true
}

// all reads everything; it returns whether nothing had to be left out.
func (s *sweep) all(read func(after int64) (last int64, err error)) (whole bool) {
	for s.next(func(after int64) (int64, bool, error) {
		last, err := read(after)
		return last, false, err
	}) {
	}
	return s.skips == 0
}
