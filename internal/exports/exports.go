package exports

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/gate"
	"gatehouse/internal/lists/formats"
)

// Config is all files and sites.
type Config struct {
	Files []File
	Sites []Site
}

// Deps is what Exports is given.
type Deps struct {
	Log *slog.Logger // nil = none
	Now func() time.Time
	// Bans returns the bans in force, in any order.
	Bans func(ctx context.Context) ([]formats.Ban, error)
	// Changed returns a channel that is closed when the bans may have changed.
	Changed func() <-chan struct{}
	// Run runs a command to its end; its error says how that ended.
	Run func(ctx context.Context, argv []string) error
	// Fault notes what is wrong with an export at present; "" = nothing any more.
	Fault func(name, why, hint string)
}

// Exports keeps files and serves sites. Make one with New. Its methods are safe for
// concurrent use.
type Exports struct {
	deps    Deps
	files   []*file
	sites   map[string][]Site // by address
	fetches chan struct{}     // holds maxFetches: full = one more is refused
}

// New returns what keeps these exports. Call Run, and Serve for each of Addresses.
func New(c Config, d Deps) *Exports {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	x := &Exports{deps: d, sites: map[string][]Site{}, fetches: make(chan struct{}, maxFetches)}
	for _, f := range c.Files {
		x.files = append(x.files, &file{File: f})
	}
	for _, s := range c.Sites {
		x.sites[s.Address] = append(x.sites[s.Address], s)
	}
	return x
}

// gather is how long a change waits for others: a burst of bans is one write.
const gather = 200 * time.Millisecond

// Run keeps the files current until ctx ends, then returns nil.
func (x *Exports) Run(ctx context.Context) error {
	if len(x.files) == 0 {
		<-ctx.Done()
		return nil
	}
	for {
		changed := x.deps.Changed()
		again := x.update(ctx)
		timer := time.NewTimer(again)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(gather):
		}
	}
}

// idle is how often files are looked at where nothing has changed: somebody may have
// removed one.
const idle = time.Minute

// update makes every file equal to the bans, and returns when to look again.
func (x *Exports) update(ctx context.Context) time.Duration {
	now := x.deps.Now()
	bans, err := x.deps.Bans(ctx)
	if err != nil {
		if ctx.Err() == nil {
			x.deps.Log.Error("read the bans for exports", "err", err)
		}
		return retryEvery
	}
	var wg sync.WaitGroup // one command that hangs holds up no other file
	var failed atomic.Bool
	for _, f := range x.files {
		wg.Go(func() {
			err := f.update(ctx, bans, now, x.deps.Run)
			if ctx.Err() != nil {
				return
			}
			why := ""
			if err != nil {
				why = err.Error()
				failed.Store(true)
			}
			x.deps.Fault("export "+f.To, why, "it is tried again; the systemd unit must let the daemon write there: see docs/lists.md")
		})
	}
	wg.Wait()
	if failed.Load() {
		return retryEvery
	}
	return idle
}

// Addresses returns where sites are to be served.
func (x *Exports) Addresses() (out []string) {
	for a := range x.sites {
		out = append(out, a)
	}
	return out
}

// Serve serves the sites of one address until ctx ends, then returns nil.
func (x *Exports) Serve(ctx context.Context, address string) error {
	sites := x.sites[address]
	if len(sites) == 0 {
		return fmt.Errorf("nothing is served at %s", address)
	}
	return x.serve(ctx, sites)
}

// Enforced reports whether a web server shuts out a client that the kernel cannot:
// it is in a file for one, which is in use.
func (x *Exports) Enforced(s gate.Subject) bool {
	for _, f := range x.files {
		if !f.Format.Web {
			continue
		}
		f.mu.Lock()
		_, in := f.http[s]
		in = in && f.settled
		f.mu.Unlock()
		if in {
			return true
		}
	}
	return false
}

// Status is how one file is.
type Status struct {
	To      string
	Format  string
	Bans    int
	Written time.Time // zero = never
	Problem string    // "" = none
}

// Status returns how each file is, in the order of the configuration.
func (x *Exports) Status() []Status {
	out := make([]Status, len(x.files))
	for i, f := range x.files {
		f.mu.Lock()
		out[i] = Status{f.To, f.Format.Name, f.n, f.written, f.problem}
		f.mu.Unlock()
	}
	return out
}

// onceFlag is true once.
type onceFlag struct{ used atomic.Bool }

func (o *onceFlag) first() bool { return !o.used.Swap(true) }
