package ledger

import (
	"cmp"
	"database/sql/driver"
	"math"
	"slices"

	"gatehouse/internal/gate"
)

// maxSkips is how often a sweep jumps over what cannot be read.
const maxSkips = 2000

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
			var r Live
			if !r.unpack(&u, v, l.boot) {
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
			door, on := doorOf(&d)
			if door == doorNone {
				return
			}
			what := string(appendState(nil, &d))
			if on {
				history[what] = liveRow{seq, 0, body, d}
			} else {
				delete(history, what)
			}
		})
	})
	now := l.o.Now()
	for _, r := range f.rows {
		delete(history, string(appendState(nil, &r.d)))
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
	door, _ := doorOf(&r.d)
	// What can be read counts, so the error does not.
	_ = c.each("SELECT verdict FROM records INDEXED BY records_subject WHERE subject=? AND seq>?", func(v []driver.Value) bool {
		verdict, _ := v[0].(int64)
		d, on := doorOf(&gate.Decision{Verdict: gate.Verdict(verdict), Subject: r.d.Subject})
		ended = ended || d == door && !on
		return true
	}, appendKey(nil, r.d.Subject), r.seq)
	return ended
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
