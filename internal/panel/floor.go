package panel

import (
	"context"
	"sync"
	"time"
)

// floor is the right to press keys: one asker has it at a time, so that sequences
// of different askers never mix on the bus. Who has it keeps it while keys come,
// and loses it a moment after the last one. It is safe for concurrent use.
type floor struct {
	mu     sync.Mutex
	holder any           // nil = nobody
	since  time.Time     // of the holder
	until  time.Time     // the holder's time
	freed  chan struct{} // closed when the floor may be free
}

// Times of the floor.
const (
	pauseEnds = 1500 * time.Millisecond // after the last key of a sequence
	longest   = 10 * time.Second        // that one holder may keep others waiting
	patience  = 15 * time.Second        // of one who waits
)

func newFloor() *floor { return &floor{freed: make(chan struct{})} }

// take waits for the floor and takes it for a while, or takes it again for who
// has it.
func (f *floor) take(ctx context.Context, who any, hold time.Duration) error {
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		f.mu.Lock()
		now := time.Now()
		if f.holder == nil || f.holder == who && now.Sub(f.since) < longest || !now.Before(f.until) {
			if f.holder != who {
				f.since = now
			}
			f.holder, f.until = who, now.Add(hold)
			f.mu.Unlock()
			return nil
		}
		freed, wait := f.freed, f.until.Sub(now)
		f.mu.Unlock()
		t := time.NewTimer(wait)
		select {
		case <-freed:
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-late.C:
			t.Stop()
			return &Error{What: "others are pressing keys", Hint: "try again in a moment"}
		}
		t.Stop()
	}
}

// give gives the floor back.
func (f *floor) give(who any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.holder == who {
		f.holder = nil
		close(f.freed)
		f.freed = make(chan struct{})
	}
}
