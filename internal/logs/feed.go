package logs

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/gate"
)

// stream is what brings lines by another way than a file: the journal, a socket,
// the output of a program.
type stream interface {
	// run brings lines until ctx ends and returns nil then. It calls settled once
	// what was written before the start has been brought, or cannot be. An error
	// means that a batch was refused.
	run(ctx context.Context, settled func()) error
	// statuses tells how its sources fare.
	statuses() []SourceStatus
}

// feed is one source of a stream: what hands its lines to the line and keeps its
// status. Its methods other than those of the status are for one goroutine.
type feed struct {
	env    *env
	name   string // as origin and as path of the status
	lines  lineReader
	bundle bundle
	bare   lineReader // reads the same lines without the header that was put before them; nil = nobody wants that
	plain  bundle     // of these lines; those of bundle stay the ones that count
	since  time.Time  // see spot
	dated  bool       // see spot

	mu     sync.Mutex
	status SourceStatus
	told   string // the last failure that the log was told of
}

func newFeed(e *env, name string, watches []string) *feed {
	return &feed{env: e, name: name, status: SourceStatus{Path: name, Rules: watches}}
}

// hand hands what was gathered to the line. Without a line and without a mark it
// does nothing.
func (f *feed) hand(ctx context.Context, mark string, live bool) error {
	if f.bundle.empty() && mark == "" {
		return nil
	}
	b := f.batch(live)
	b.Mark = mark
	return f.send(ctx, b)
}

// batch makes a batch of what was gathered, which is empty then.
func (f *feed) batch(live bool) gate.Batch {
	now := f.env.now()
	b := gate.Batch{Source: f.name, Live: live}
	if !f.bundle.empty() {
		b.Events = f.read(spot{origin: gate.Origin{Source: f.name}, now: now, written: now, live: live, since: f.since, dated: f.dated})
	}
	f.drop()
	return b
}

// send hands a batch to the line.
func (f *feed) send(ctx context.Context, b gate.Batch) error {
	if err := f.env.emit(ctx, b); err != nil {
		return fmt.Errorf("hand over lines of %s: %w", f.name, err)
	}
	return nil
}

// drop forgets what was gathered.
func (f *feed) drop() {
	f.bundle.clear()
	f.plain.clear()
}

// read makes events of what was gathered, and counts it.
func (f *feed) read(at spot) []gate.Event {
	events, void, skipped := f.bundle.read(f.lines, at)
	doubts, odd := remarks(f.lines)
	if f.bare != nil {
		more, v, s := f.plain.read(f.bare, at)
		d, o := remarks(f.bare)
		void, skipped, doubts, odd = void+v, max(skipped, s), doubts+d, odd+o
		events = append(events, more...)
		slices.SortStableFunc(events, func(a, b gate.Event) int { return cmp.Compare(a.Origin.Offset, b.Origin.Offset) })
	}
	last := f.bundle.about[len(f.bundle.about)-1].time
	if last.IsZero() || last.After(at.now) {
		last = at.now
	}
	f.count(func(st *SourceStatus) {
		st.Lines += uint64(len(f.bundle.at))
		st.Hits += uint64(len(events))
		st.Skipped += uint64(skipped)
		st.Unproven += uint64(doubts + void)
		st.Odd += uint64(odd)
		st.filtered(f.lines)
		st.LastLine = last
	})
	return events
}

func remarks(r lineReader) (doubts, odd int) {
	if r, ok := r.(remarker); ok {
		return r.remarks()
	}
	return 0, 0
}

// fares notes how the source fares, and why if it does not; a failure that is
// news is told to the log.
func (f *feed) fares(state State, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if state == Unreadable && f.told != why {
		f.told = why
		f.env.log.Warn("a source cannot be read", "source", f.name, "error", why)
	}
	f.status.State, f.status.Why = state, why
}

// count adds to what the status tells.
func (f *feed) count(add func(*SourceStatus)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	add(&f.status)
}

// note sets what the status says of the source that is no failure.
func (f *feed) note(notes ...string) {
	text := strings.Join(slices.DeleteFunc(notes, func(s string) bool { return s == "" }), "; ")
	f.count(func(st *SourceStatus) { st.Note = text })
}

// tell returns the status.
func (f *feed) tell() SourceStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	st := f.status
	if st.Why == "" {
		st.Why = unproven(st.Unproven)
	}
	return st
}
