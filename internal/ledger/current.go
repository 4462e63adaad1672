package ledger

import (
	"database/sql/driver"
	"fmt"
	"iter"

	"gatehouse/internal/gate"
)

// Live is a decision that is in force. Its Until is as it was stated last, its
// Proof is left out.
type Live struct {
	gate.Record
	FromThisBoot bool // Until was stated since the machine booted; otherwise the wall clock may have been set while it was off
}

// Current returns what is in force, oldest first: of each subject and scope the
// newest ban, closed ports and entry of the allow list, unless it was taken back
// or is over. It reads what is committed when the loop begins, on a connection of
// its own. After an error the loop ends.
func (l *Ledger) Current() iter.Seq2[Live, error] {
	return l.live(func(over bool) bool { return !over })
}

// Lapsed returns, as Current does, what was in force and is over although nobody
// decided so: bans that ended while no daemon ran.
func (l *Ledger) Lapsed() iter.Seq2[Live, error] {
	return l.live(func(over bool) bool { return over })
}

// Left returns what Current and Lapsed do, in one reading: all that the last run
// left behind.
func (l *Ledger) Left() iter.Seq2[Live, error] {
	return l.live(func(bool) bool { return true })
}

// PortsLeft returns, oldest first, all that was said about ports and still
// counts: what holds is told by it in its order. Left has it, too, among
// everything else.
func (l *Ledger) PortsLeft() (out []Live, err error) {
	var u unpacker
	err = l.read(&l.query, func(c *conn) error {
		out = nil
		return c.each("SELECT seq, boot=?, body FROM live WHERE what>=? AND what<? ORDER BY seq", func(v []driver.Value) bool {
			var r Live
			if r.unpack(&u, v, 1) {
				r.FromThisBoot = r.FromThisBoot && l.boot != 0
				out = append(out, r)
			}
			return true
		}, l.boot, []byte{byte(doorPorts)}, []byte{byte(doorPorts) + 1})
	})
	if err != nil {
		return nil, fmt.Errorf("read what was said about ports from %s: %w", l.path, err)
	}
	return out, nil
}

// live returns what lasts, what is over, or both.
func (l *Ledger) live(want func(over bool) bool) iter.Seq2[Live, error] {
	return func(yield func(Live, error) bool) {
		var err error
		now := l.o.Now()
		wanted := func(r *Live) bool { return want(!r.Until.IsZero() && !r.Until.After(now)) }
		if l.stale.Load() {
			// There is but one connection, which must not be held while yield runs.
			var all []Live
			err = l.read(&l.query, func(c *conn) error {
				return l.eachLive(c, func(r *Live) bool {
					if wanted(r) {
						all = append(all, *r)
					}
					return true
				})
			})
			for _, r := range all {
				if !yield(r, nil) {
					return
				}
			}
		} else {
			stopped := false
			err = l.aside(func(c *conn) error {
				return l.eachLive(c, func(r *Live) bool {
					stopped = wanted(r) && !yield(*r, nil)
					return !stopped
				})
			})
			if stopped {
				return
			}
		}
		if err != nil {
			yield(Live{}, fmt.Errorf("read what is in force from %s: %w", l.path, err))
		}
	}
}

// aside runs f with a connection of its own, for reading.
func (l *Ledger) aside(f func(c *conn) error) error {
	l.files.RLock()
	c, err := openReader(l.path)
	l.files.RUnlock()
	if err == nil {
		err = f(c)
		c.close() // it only read
	}
	l.suspect(err)
	return err
}

// eachLive calls row with each row of live, by number. Where one is damaged its
// record serves, which may have another end.
func (l *Ledger) eachLive(c *conn, row func(*Live) bool) error {
	var u unpacker
	var r Live
	damaged := 0
	// SQLite compares the boots: a small number comes out of it without memory of
	// its own, which is a tenth of the time.
	err := c.each("SELECT seq, boot=?, body FROM live ORDER BY seq", func(v []driver.Value) bool {
		ok := r.unpack(&u, v, 1)
		if !ok {
			damaged++
			if r.Record, ok = recordOf(c, &u, v[0]); !ok {
				return true
			}
		}
		r.FromThisBoot = r.FromThisBoot && l.boot != 0
		return row(&r)
	}, l.boot)
	if damaged > 0 {
		l.o.Log.Error("the ledger's database is damaged in what is in force; history is read instead", "path", l.path, "rows", damaged)
	}
	return err
}

// recordOf reads a record without its proof.
func recordOf(c *conn, u *unpacker, seq driver.Value) (r gate.Record, ok bool) {
	n, _ := seq.(int64)
	// What cannot be read is not there, so the error does not count.
	_ = c.each("SELECT body FROM records WHERE seq=?", func(v []driver.Value) bool {
		body, _ := v[0].([]byte)
		d, err := u.decision(body, uint64(n))
		r, ok = gate.Record{Seq: uint64(n), Decision: d}, err == nil
		return false
	}, n)
	return r, ok
}

// unpack makes r what a row (seq, boot, body) says during this boot; false for a
// damaged one.
func (r *Live) unpack(u *unpacker, v []driver.Value, thisBoot int64) bool {
	*r = Live{}
	seq, ok1 := v[0].(int64)
	boot, ok2 := v[1].(int64)
	body, ok3 := v[2].([]byte)
	if !ok1 || !ok2 || !ok3 {
		return false
	}
	r.Seq = uint64(seq)
	var err error
	r.Decision, err = u.decision(body, r.Seq)
	r.FromThisBoot = boot == thisBoot && boot != 0
	return err == nil
}
