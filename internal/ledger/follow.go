package ledger

import (
	"context"
	"errors"

	"gatehouse/internal/gate"
)

// followBatch is how many records Follow reads at a time.
const followBatch = 256

// Committed returns a channel that is closed at the next commit of a record. To
// miss none, take the channel first and then look.
func (l *Ledger) Committed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.news
}

// Follow calls yield with each record after the one with this number, in order,
// those to come included, until yield returns false or ctx ends; then it returns
// nil. It holds nothing while yield runs, so a slow follower delays nobody. A
// record that retention took away before its turn is skipped.
func (l *Ledger) Follow(ctx context.Context, after uint64, yield func(gate.Record) bool) error {
	for {
		news := l.Committed()
		rs, last, err := l.records(Query{After: after, Limit: followBatch})
		if err != nil && !errors.Is(err, ErrDegraded) {
			return err
		}
		for _, r := range rs {
			if ctx.Err() != nil || !yield(r) {
				return nil
			}
		}
		if last > 0 {
			after = last
			continue
		}
		select {
		case <-news:
		case <-ctx.Done():
			return nil
		}
	}
}
