package app

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
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
	Since time.Time
}

// crew runs tasks, restarts those that fail and remembers what is wrong. It is
// safe for concurrent use.
type crew struct {
	log *slog.Logger
	wg  sync.WaitGroup

	mu     sync.Mutex
	faults map[string]fault
}

func newCrew(log *slog.Logger) *crew { return &crew{log: log, faults: map[string]fault{}} }

// start runs t until ctx ends, again and again if it fails.
func (c *crew) start(ctx context.Context, t task) {
	c.wg.Go(func() {
		delay := firstDelay
		for ctx.Err() == nil {
			begun := time.Now()
			calm := time.AfterFunc(calmAfter, func() { c.report(t.name, "") })
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
			c.report(t.name, err.Error())
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

// report notes what is wrong with a part; why == "" clears it.
func (c *crew) report(part, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if why == "" {
		delete(c.faults, part)
		return
	}
	if f, known := c.faults[part]; known {
		f.Why = why
		c.faults[part] = f
		return
	}
	c.faults[part] = fault{Part: part, Why: why, Since: time.Now()}
}

// wrong lists what is wrong at present, sorted by part.
func (c *crew) wrong() []fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]fault, 0, len(c.faults))
	for _, f := range c.faults {
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b fault) int {
		if a.Part < b.Part {
			return -1
		}
		return 1
	})
	return list
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
