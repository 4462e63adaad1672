package hooks

import (
	"context"
	"log/slog"
	"time"

	"gatehouse/internal/gate"
)

// Command is what to run.
type Command struct {
	Argv   []string      // the absolute path of a program, and its arguments
	Env    []string      // NAME=value
	Stdin  []byte        // what it reads
	User   string        // whose rights it has; "" = the daemon's own
	Limit  time.Duration // how long it may run
	Output int           // how much is kept of what it writes, in bytes
}

// Result is how a command ended.
type Result struct {
	Exit    int
	Output  string
	Lost    int64
	Took    time.Duration
	Problem string // why it did not end well, a clause; "" = it did
}

// Ledger is what is followed.
type Ledger interface {
	Follow(ctx context.Context, after uint64, yield func(gate.Record) bool) error
	Cursor(follower string) (uint64, error)
	SetCursor(follower string, seq uint64)
	Newest() uint64
}

// Deps is what Hooks is given.
type Deps struct {
	Log    *slog.Logger // nil = none
	Now    func() time.Time
	Ledger Ledger
	Memory Memory // for the latest runs
	// Do runs a command to its end.
	Do func(ctx context.Context, c Command) (Result, error)
	// Tell records that a hook failed, or passed records over.
	Tell func(ctx context.Context, kind string, s gate.Subject, sentence string)
	// Fault notes what is wrong with a hook at present; "" = nothing any more.
	Fault func(name, why, hint string)
}

// Hooks runs all hooks. Make it with New. Its methods are safe for concurrent use.
type Hooks struct {
	deps    Deps
	lines   []*line
	history history
}

// Status is how one hook is.
type Status struct {
	Name    string
	On      []string
	Runs    uint64    // since the start
	Failed  uint64    // of these, after all tries
	Passed  uint64    // records that were too late
	Running int       // now
	Behind  uint64    // records that it has not looked at
	Last    time.Time // when a run last ended; zero = never
	Problem string    // of the last run; "" = it ended well
}

// New returns what runs these hooks. Call Run.
func New(hs []Hook, d Deps) *Hooks {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	h := &Hooks{deps: d, history: history{memory: d.Memory}}
	for _, hook := range hs {
		hook.Parallel = max(1, hook.Parallel)
		if hook.Timeout <= 0 {
			hook.Timeout = 30 * time.Second
		}
		h.lines = append(h.lines, &line{hook: hook, all: h})
	}
	return h
}

// Run follows the ledger for each hook until ctx ends, then waits for what runs, and
// returns nil.
func (h *Hooks) Run(ctx context.Context) error {
	if err := h.history.recall(); err != nil {
		h.deps.Log.Warn("the latest runs of hooks are forgotten", "err", err)
	}
	errs := make(chan error, len(h.lines))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, l := range h.lines {
		go func() {
			err := l.follow(ctx)
			if err != nil {
				cancel()
			}
			errs <- err
		}()
	}
	var first error
	for range h.lines {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	if len(h.lines) == 0 {
		<-ctx.Done()
	}
	return first
}

// Status returns how each hook is.
func (h *Hooks) Status() []Status {
	out := make([]Status, len(h.lines))
	for i, l := range h.lines {
		out[i] = l.state()
	}
	return out
}

// About returns the latest runs for a subject, oldest first.
func (h *Hooks) About(s gate.Subject) []Run {
	return h.history.of(func(r *Run) bool { return r.Subject == s })
}
