package ledger

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"time"

	"gatehouse/internal/gate"
)

const (
	compactSlice = 500                // records that are looked at in one go; the writer is held for some 10 ms
	vacuumSlice  = 128                // free pages that are given back in one go
	spareFree    = 256                // free pages that stay in the file, for what comes next
	lapsedAfter  = 7 * 24 * time.Hour // what is over, but was never taken back, stays in the live view this long
)

// Compact looks for damage, takes away records older than keep and gives free
// space back to the disk. It holds the writer only in short slices, so it may run
// at any time; once a day is enough. Run must be running.
//
// It never takes away what is in force, nor an offence that still counts, nor the
// newest record. Age is counted from the newest record, or from now if that is
// earlier: a clock that runs ahead cannot empty the history. Zero and gate.Forever
// keep everything.
func (l *Ledger) Compact(ctx context.Context, keep time.Duration) error {
	if err := l.look(ctx); err != nil {
		return fmt.Errorf("look for damage in %s: %w", l.path, err)
	}
	if err := l.retain(ctx, keep); err != nil {
		return fmt.Errorf("take old records from %s: %w", l.path, err)
	}
	if err := l.vacuum(ctx); err != nil {
		return fmt.Errorf("give back free space of %s: %w", l.path, err)
	}
	return nil
}

// look lets SQLite check the whole file, on a connection of its own. Damage is
// the writer's business, not an error.
func (l *Ledger) look(ctx context.Context) error {
	if l.Health().State == Degraded {
		return ErrDegraded
	}
	err := l.aside(func(c *conn) error {
		for _, t := range tables {
			if err := errors.Join(ctx.Err(), check(c, t)); err != nil {
				return err
			}
		}
		return nil
	})
	if isUnusable(err) {
		l.suspected.Store(true)
		l.nudge()
		return nil
	}
	return err
}

// retain takes old records away.
func (l *Ledger) retain(ctx context.Context, keep time.Duration) error {
	newest, err := l.Records(Query{Reverse: true, Limit: 1, Bare: true})
	if err != nil || len(newest) == 0 {
		return err
	}
	now := l.o.Now()
	if t := newest[0].Time; t.Before(now) {
		now = t
	}
	if err := l.forgetLapsed(ctx, now.Add(-lapsedAfter)); err != nil {
		return err
	}
	if keep <= 0 || keep == gate.Forever {
		return nil
	}
	cutoff, offences := nanos(now.Add(-keep)), int64(0)
	if forget := time.Duration(l.forget.Load()); forget != gate.Forever {
		offences = nanos(now.Add(-forget))
	}
	for after, more := int64(0), true; more; {
		if err := l.do(ctx, func() (err error) {
			after, more, err = l.retainSlice(after, int64(newest[0].Seq), cutoff, offences)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// forgetLapsed takes out of the live view what was over at that time.
func (l *Ledger) forgetLapsed(ctx context.Context, before time.Time) error {
	var old []uint64
	for r, err := range l.Lapsed() {
		if err != nil {
			return err
		}
		if r.Life(before) == 0 {
			old = append(old, r.Seq)
		}
	}
	for some := range slices.Chunk(old, compactSlice) {
		if err := l.do(ctx, func() error {
			if l.w.c == nil {
				return ErrDegraded
			}
			return transact(l.w.c, func() error {
				for _, seq := range some {
					if err := l.slice("DELETE FROM live WHERE seq=?", int64(seq)); err != nil {
						return err
					}
				}
				return nil
			})
		}); err != nil {
			return err
		}
	}
	return nil
}

// slice runs one statement on the writer's connection, if there is one.
func (l *Ledger) slice(sql string, args ...driver.Value) error {
	if l.w.c == nil {
		return ErrDegraded
	}
	_, err := l.w.c.run(sql, args...)
	return err
}

// retainSlice looks at the records behind a number, as many as fit in a slice;
// it returns the number of the last one and whether there may be older ones than
// cutoff behind it.
func (l *Ledger) retainSlice(after, newest, cutoff, offences int64) (last int64, more bool, err error) {
	if l.w.c == nil {
		return 0, false, ErrDegraded
	}
	var n, oldest int64
	err = l.w.c.each("SELECT count(*), max(seq), min(time) FROM (SELECT seq, time FROM records WHERE seq>? AND seq<? ORDER BY seq LIMIT ?)",
		func(v []driver.Value) bool {
			n, _ = v[0].(int64)
			last, _ = v[1].(int64)
			oldest, _ = v[2].(int64)
			return false
		}, after, newest, int64(compactSlice))
	if err != nil || n == 0 || oldest >= cutoff {
		return last, false, err
	}
	err = l.slice("DELETE FROM records WHERE seq>? AND seq<=? AND time<? AND NOT (verdict=1 AND offence>0 AND time>=?)"+
		" AND NOT EXISTS (SELECT 1 FROM live WHERE live.seq=records.seq)", after, last, cutoff, offences)
	return last, n == compactSlice, err
}

// vacuum gives free pages back to the file system.
func (l *Ledger) vacuum(ctx context.Context) error {
	for more := true; more; {
		if err := l.do(ctx, func() error {
			if l.w.c == nil {
				return ErrDegraded
			}
			free, err := l.w.c.number("PRAGMA freelist_count")
			if more = err == nil && free > spareFree; !more {
				return err
			}
			return l.w.c.exec(fmt.Sprintf("PRAGMA incremental_vacuum(%d)", min(vacuumSlice, free-spareFree)))
		}); err != nil {
			return err
		}
	}
	return nil
}
