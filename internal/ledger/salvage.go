package ledger

import (
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/gate"
)

const (
	salvageSlice  = 500                   // records that are read out of a damaged file at a time
	salvagePause  = 20 * time.Millisecond // between two slices
	maxLead       = 1_000_000             // records that a cursor in a damaged file may be ahead of what can be read: beyond, it is damaged itself
	salvageMargin = 1000                  // numbers left unused where the newest record of a damaged file is unknown
)

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
	_, err := l.w.c.run(insertLive, r.seq, appendState(nil, &r.d), r.boot, r.body)
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
		appendKey([]byte{}, d.Subject), d.Rule, int64(d.Offence), identity, body, stored)
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
