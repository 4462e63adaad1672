package ledger

import (
	"database/sql/driver"
	"math"
	"time"

	"gatehouse/internal/gate"
)

// maxOffences bounds how many offences Past counts; no ladder is that long.
const maxOffences = 1000

// Past returns how many offences of exactly this subject still count, and when
// the last one was: bans with an offence number, decided within Options.Forget,
// those included that are not written yet. More than 1000 are 1000. If the
// database cannot be read it knows those in memory only.
func (l *Ledger) Past(s gate.Subject) (offences int, last time.Time) {
	since := int64(math.MinInt64)
	if forget := time.Duration(l.forget.Load()); forget != gate.Forever {
		since = nanos(l.o.Now().Add(-forget))
	}
	l.mu.Lock()
	r, newest := l.recent[s], l.newest // together: what is in one is not in the other
	l.mu.Unlock()
	if r.n > 0 && nanos(r.last) > since {
		offences, last = r.n, r.last
	}
	var n, latest int64
	err := l.read(l.quickest(), func(c *conn) error {
		return c.each("SELECT count(*), max(time) FROM (SELECT time FROM records WHERE subject=? AND time>? AND seq<=? AND verdict=1 AND offence>0 ORDER BY time DESC LIMIT ?)",
			func(v []driver.Value) bool {
				n, _ = v[0].(int64)
				latest, _ = v[1].(int64)
				return false
			}, appendKey(nil, s), since, int64(newest), int64(maxOffences))
	})
	if err != nil && l.Health().State != Degraded {
		l.o.Log.Warn("read the offences of a subject", "subject", s, "err", err)
	}
	if t := fromNanos(latest); n > 0 && t.After(last) {
		last = t
	}
	return min(maxOffences, offences+int(n)), last
}

// Known reports whether a decision of this origin and rule was recorded before
// this ledger was opened: its lines are being read again. It is false for the
// zero origin, and if the database cannot be read.
func (l *Ledger) Known(o gate.Origin, rule string) (known bool) {
	if o == (gate.Origin{}) {
		return false
	}
	l.mu.Lock()
	restored := l.restored
	l.mu.Unlock()
	from := appendOrigin(nil, o, rule)
	err := l.read(l.quickest(), func(c *conn) error {
		return c.each("SELECT seq FROM records WHERE origin>=? AND origin<? AND seq<=? LIMIT 1",
			func([]driver.Value) bool { known = true; return false },
			from, append(appendOrigin(nil, o, rule), 0xff), int64(restored))
	})
	if err != nil && l.Health().State != Degraded {
		l.o.Log.Warn("look up an origin", "rule", rule, "err", err)
	}
	return known
}

// quickest returns the connection for short questions.
func (l *Ledger) quickest() *connection {
	l.quick.mu.Lock()
	defer l.quick.mu.Unlock()
	if l.quick.c == nil {
		return &l.query
	}
	return &l.quick
}
