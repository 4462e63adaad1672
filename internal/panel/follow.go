package panel

import (
	"context"
	"io"
	"sync"
	"time"

	"gatehouse/internal/ad2"
)

// Status is how the connection is.
type Status struct {
	Up      bool      // the adapter is connected
	Place   string    // where; "" = nowhere yet
	Since   time.Time // of Up
	Why     string    // what is wrong; "" = nothing
	Hint    string    // what to do about it
	Valid   uint64    // messages since the start
	Invalid uint64    // lines that were none
	Listen  string    // where other programs connect; "" = nowhere
	Clients int       // how many are connected
	View    ad2.View  // the state of the panel
}

// Status returns how things are.
func (p *Panel) Status(ctx context.Context) (Status, error) {
	var s Status
	err := p.do(ctx, func() {
		s = Status{Up: p.up, Place: p.place, Since: p.since, Why: p.why, Hint: p.hint, Valid: p.valid, Invalid: p.bad, View: p.panel.View(time.Now())}
		if p.server != nil {
			s.Listen, s.Clients = p.server.where(), p.server.count()
		}
	})
	return s, err
}

// Item is one thing that happens, for those who follow.
type Item struct {
	Time  time.Time
	Raw   string     // the adapter's line; "" for an event
	Event *ad2.Event // nil for a line
}

// follower is one who follows; items has room for a burst, and who falls behind
// is told so and ends.
type follower struct {
	items chan Item
	raw   bool
}

// follows hands an item to those who want it.
func (p *Panel) follows(it Item) {
	for f := range p.follow {
		if (it.Event == nil) != f.raw {
			continue
		}
		select {
		case f.items <- it:
		default:
			delete(p.follow, f)
			close(f.items)
		}
	}
}

// maxFollowers bounds those who follow at once.
const maxFollowers = 64

// Follow calls yield for each event, or each line of the adapter, until ctx ends.
func (p *Panel) Follow(ctx context.Context, raw bool, yield func(Item) error) error {
	f := &follower{items: make(chan Item, 256), raw: raw}
	full := false
	err := p.do(ctx, func() {
		if full = len(p.follow) >= maxFollowers; !full {
			p.follow[f] = struct{}{}
		}
	})
	if err != nil {
		return err
	}
	if full {
		return &Error{What: "too many follow the alarm panel at once", Hint: "end some gatehouse panel follow"}
	}
	defer func() { _ = p.do(context.WithoutCancel(ctx), func() { delete(p.follow, f) }) }() // fails only when nothing runs any more
	for {
		select {
		case it, ok := <-f.items:
			if !ok {
				return &Error{What: "the reader is too slow for the alarm panel", Hint: "read faster, or write to a file"}
			}
			if err := yield(it); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		case <-p.ended:
			return io.EOF
		}
	}
}

// news tells those who wait that something changed. The zero value is ready to
// use; it is safe for concurrent use.
type news struct {
	mu sync.Mutex
	c  chan struct{}
}

// next returns a channel that is closed at the next change.
func (n *news) next() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.c == nil {
		n.c = make(chan struct{})
	}
	return n.c
}

func (n *news) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.c != nil {
		close(n.c)
		n.c = nil
	}
}

// Changed returns a channel that is closed when something happens at the panel.
func (p *Panel) Changed() <-chan struct{} { return p.news.next() }

// watcher waits until the state of the panel satisfies it.
type watcher struct {
	is   func() bool // on the loop's goroutine
	done chan struct{}
}

// wake ends the waiting of those whose condition holds.
func (p *Panel) wake() {
	for w := range p.waiting {
		if w.is() {
			delete(p.waiting, w)
			close(w.done)
		}
	}
}

// await waits until is holds, at most for d. is runs on the loop's goroutine.
func (p *Panel) await(ctx context.Context, d time.Duration, is func() bool) (bool, error) {
	w := &watcher{is: is, done: make(chan struct{})}
	held := false
	if err := p.do(ctx, func() {
		if held = is(); !held {
			p.waiting[w] = struct{}{}
		}
	}); err != nil || held {
		return held, err
	}
	t := time.NewTimer(d)
	defer t.Stop()
	defer func() { _ = p.do(context.WithoutCancel(ctx), func() { delete(p.waiting, w) }) }() // fails only when nothing runs any more
	select {
	case <-w.done:
		return true, nil
	case <-t.C:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	case <-p.ended:
		return false, errStopped
	}
}
