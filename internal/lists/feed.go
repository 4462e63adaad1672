package lists

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"gatehouse/internal/gate"
)

// How a feed takes its time.
const (
	settle     = 100 * time.Millisecond // after a file changed, until it is read
	firstRetry = time.Minute            // after a failure; doubled each time, up to the list's own interval
	retell     = 6 * time.Hour          // a list that fails is told of no more often
)

// feed follows one list.
type feed struct {
	s        *Sensor
	list     List
	requests chan request  // unbuffered
	stirred  chan struct{} // holds 1: the file has changed

	mu      sync.Mutex // guards what follows
	mem     memory
	next    time.Time
	problem string // why the last look gave nothing; "" = it did
	fresh   *Set   // what was offered last, until somebody has it; may be nil
	freshIs Digest

	// of run's goroutine
	failures int
	seen     stamp     // of the file that was last read
	told     bool      // that it fails
	toldAt   time.Time // when
}

// request is a person's wish.
type request struct {
	by   string     // who takes what is held back; "" = only look
	done chan error // holds 1
}

// stamp tells versions of a file apart.
type stamp struct {
	inode, size int64
	modified    time.Time
}

func newFeed(s *Sensor, l List) *feed {
	return &feed{s: s, list: l, requests: make(chan request), stirred: make(chan struct{}, 1)}
}

// stir says that the file may have changed.
func (f *feed) stir() {
	select {
	case f.stirred <- struct{}{}:
	default:
	}
}

// run looks at the source whenever it is time, until ctx ends.
func (f *feed) run(ctx context.Context) {
	f.resume(ctx)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(max(0, f.wake().Sub(f.s.deps.Now())))
		select {
		case <-ctx.Done():
			return
		case <-f.stirred:
			f.setNext(f.s.deps.Now().Add(settle))
		case r := <-f.requests:
			r.done <- f.look(ctx, r.by, true)
		case <-timer.C:
			if !f.s.deps.Now().Before(f.due()) {
				_ = f.look(ctx, "", false) // noted in the status
			}
			f.age(ctx)
		}
	}
}

// resume goes on where the last run left off: what it kept is offered again, which
// changes nothing where it is in force.
func (f *feed) resume(ctx context.Context) {
	m, now := f.s.store.recall(f.list.Name), f.s.deps.Now()
	if m.Source != f.list.where() {
		m.Source, m.ETag, m.Modified, m.Checked, m.Held, m.HeldWhy, m.HeldSize = f.list.where(), "", "", time.Time{}, 0, "", 0
	}
	f.mu.Lock()
	f.mem, f.next = m, now
	if f.list.URL != "" && !m.Checked.IsZero() && m.Checked.Before(now) {
		f.next = m.Checked.Add(f.list.Every)
	}
	f.mu.Unlock()
	if m.Digest == 0 || m.Over {
		return
	}
	if _, err := os.Stat(f.s.store.path(f.list.Name, m.Digest)); err != nil {
		f.change(func(m *memory) { m.Digest, m.Prefixes, m.Address4, m.ETag, m.Modified = 0, 0, 0, "", "" })
		f.setNext(now)
		return
	}
	n := f.news(m.Digest, m.Prefixes, m.Address4)
	n.Was, n.WasCovers = n.Prefixes, n.Addresses
	if _, err := f.s.deps.Offer(ctx, f.list.Name, f.list.Verdict, n, ""); err != nil && ctx.Err() == nil {
		f.s.deps.Log.Error("offer a list", "list", f.list.Name, "err", err)
	}
}

// news is an offer of this content.
func (f *feed) news(d Digest, prefixes int, addresses uint64) gate.ListNews {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := gate.ListNews{
		Digest: uint64(d), Prefixes: prefixes, Addresses: addresses, Source: f.list.Source(),
		Direction: f.list.Direction, Shrink: f.list.Shrink, Grow: f.list.Grow,
	}
	if !f.mem.Over && f.mem.Digest != 0 {
		n.Was, n.WasCovers = f.mem.Prefixes, f.mem.Address4
	}
	return n
}

func (f *feed) due() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.next
}

func (f *feed) setNext(t time.Time) {
	f.mu.Lock()
	f.next = t
	f.mu.Unlock()
}

// wake is when there is something to do: a look, or the end of a list's life.
func (f *feed) wake() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if end := f.end(); !end.IsZero() && end.Before(f.next) {
		return end
	}
	return f.next
}

// end is when the list becomes too old; zero = never, or it is already.
func (f *feed) end() time.Time {
	if f.list.Expire <= 0 || f.list.Expire == gate.Forever || f.mem.Digest == 0 || f.mem.Over || f.mem.Checked.IsZero() {
		return time.Time{}
	}
	return f.mem.Checked.Add(f.list.Expire)
}

// age takes a list out of force that is too old.
func (f *feed) age(ctx context.Context) {
	f.mu.Lock()
	end := f.end()
	f.mu.Unlock()
	if now := f.s.deps.Now(); end.IsZero() || now.Before(end) {
		return
	}
	why := fmt.Sprintf("its source %s has given nothing for %s", f.list.Source(), gate.FormatDuration(f.list.Expire))
	if err := f.s.deps.Withdraw(ctx, f.list.Name, f.list.Verdict, why); err != nil {
		return // the daemon is stopping
	}
	f.change(func(m *memory) { m.Over = true })
}

// change changes what is kept of the list.
func (f *feed) change(edit func(*memory)) {
	f.mu.Lock()
	edit(&f.mem)
	m := f.mem
	f.mu.Unlock()
	if err := f.s.store.remember(f.list.Name, m); err != nil {
		f.s.deps.Log.Error("keep what is known of a list", "list", f.list.Name, "err", err)
	}
}

// look asks the source once and makes of it what can be made. forced looks even where
// nothing seems to have changed.
func (f *feed) look(ctx context.Context, by string, forced bool) error {
	err := f.take(ctx, by, forced)
	if ctx.Err() != nil {
		return err
	}
	now := f.s.deps.Now()
	pause := f.list.Every
	if err != nil {
		pause = min(pause, firstRetry<<min(f.failures, 10))
		if l, ok := errors.AsType[*later](err); ok {
			pause = max(pause, l.after)
		}
		f.failures++
	} else {
		f.failures = 0
	}
	if f.list.URL != "" {
		pause += time.Duration(rand.Int64N(int64(pause)/20 + 1)) // many machines must not ask at the same moment
	}
	f.setNext(now.Add(pause))
	f.note(ctx, err, now)
	return err
}

// note keeps and tells how the look went.
func (f *feed) note(ctx context.Context, err error, now time.Time) {
	name, problem := f.list.Name, ""
	if err != nil {
		problem = err.Error()
	}
	f.mu.Lock()
	f.problem = problem
	held, in := f.mem.Held != 0, f.mem.Prefixes
	f.mu.Unlock()
	if held {
		return // said by what held it back
	}
	hint := "what was good last stays in force; look at the source, then: gatehouse lists refresh " + name
	f.s.deps.Fault(name, problem, hint)
	switch {
	case err != nil && !f.told && now.Sub(f.toldAt) >= retell:
		f.told, f.toldAt = true, now
		stays := "nothing of it is in force"
		if in > 0 {
			stays = "what was good last stays in force"
		}
		f.s.deps.Tell(ctx, name, "failed", fmt.Sprintf("list %s could not be read from %s: %s; %s", name, f.list.Source(), problem, stays))
	case err == nil && f.told:
		f.told = false
		f.s.deps.Tell(ctx, name, "recovered", fmt.Sprintf("list %s is read again from %s", name, f.list.Source()))
	}
}
