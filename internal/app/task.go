package app

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
)

// Restart delays of a part that fails: the first, and the longest. A part that
// has run for calmAfter starts again from the first.
const (
	firstDelay = 100 * time.Millisecond
	lastDelay  = time.Minute
	calmAfter  = time.Minute
)

// task is one long-lived part.
type task struct {
	name string
	run  func(context.Context) error // returns nil on cancel
}

// fault is what is wrong with a part at present.
type fault struct {
	Part  string
	Why   string
	Hint  string // what to do about it; may be ""
	Since time.Time
}

// faults is what is wrong at present. It is safe for concurrent use; make one
// with newFaults.
type faults struct {
	mu sync.Mutex
	m  map[string]fault

	changes chan transition // holds maxTransitions; when it is full, one more is not recorded
}

func newFaults() *faults {
	return &faults{m: map[string]fault{}, changes: make(chan transition, maxTransitions)}
}

// crew runs tasks and restarts those that fail. What is wrong with them goes into
// the list that it was given. It is safe for concurrent use.
type crew struct {
	log    *slog.Logger
	faults *faults
	wg     sync.WaitGroup
}

func newCrew(log *slog.Logger, f *faults) *crew { return &crew{log: log, faults: f} }

// start runs t until ctx ends, again and again if it fails.
func (c *crew) start(ctx context.Context, t task) {
	c.wg.Go(func() {
		delay := firstDelay
		for ctx.Err() == nil {
			begun := time.Now()
			calm := time.AfterFunc(calmAfter, func() { c.faults.report(t.name, "", "") })
			err := protect(ctx, t)
			calm.Stop()
			if ctx.Err() != nil {
				if err != nil {
					c.log.Warn("part failed while stopping", "part", t.name, "err", err)
				}
				return
			}
			if err == nil {
				err = fmt.Errorf("it ended by itself")
			}
			if time.Since(begun) > calmAfter {
				delay = firstDelay
			}
			c.faults.report(t.name, err.Error(), "it is being restarted; if it goes on, the log of the daemon says more")
			c.log.Error("part failed, restarting", "part", t.name, "err", err, "dur", delay)
			timer := time.NewTimer(delay)
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-timer.C:
			}
			delay = min(2*delay, lastDelay)
		}
	})
}

// wait returns when all tasks have ended.
func (c *crew) wait() { c.wg.Wait() }

// report notes what is wrong with a part, and what to do about it; why == ""
// clears it.
func (f *faults) report(part, why, hint string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	old, known := f.m[part]
	if known != (why != "") {
		select {
		case f.changes <- transition{part, why}:
		default:
		}
	}
	if why == "" {
		delete(f.m, part)
		return
	}
	since := time.Now()
	if known {
		since = old.Since
	}
	f.m[part] = fault{Part: part, Why: why, Hint: hint, Since: since}
}

// wrong lists what is wrong at present, sorted by part.
func (f *faults) wrong() []fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.SortedFunc(maps.Values(f.m), func(a, b fault) int { return strings.Compare(a.Part, b.Part) })
}

// protect runs a task once; a panic comes back as an error with its stack, so
// that it takes down the part and not the guard.
func protect(ctx context.Context, t task) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return t.run(ctx)
}
