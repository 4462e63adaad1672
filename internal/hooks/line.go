package hooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/gate"
)

// line is one hook at work.
type line struct {
	hook Hook
	all  *Hooks

	mu     sync.Mutex // guards what follows
	status Status
	seen   uint64
	told   time.Time // when a failure was last recorded
	untold int       // failures since
	late   int       // records passed over since that was last recorded
}

func (l *line) cursor() string { return "hook:" + l.hook.Name }

// follow delivers what is recorded, in order, until ctx ends.
func (l *line) follow(ctx context.Context) error {
	d := &l.all.deps
	after, err := d.Ledger.Cursor(l.cursor())
	if err != nil {
		return fmt.Errorf("hook %s: %w", l.hook.Name, err)
	}
	if after == 0 { // a new hook begins with what comes
		after = d.Ledger.Newest()
		d.Ledger.SetCursor(l.cursor(), after)
	}
	p := &progress{newest: after, saved: after, save: func(seq uint64) { d.Ledger.SetCursor(l.cursor(), seq) }}
	slots := make(chan struct{}, l.hook.Parallel) // full = the next record waits for a run to end
	var wg sync.WaitGroup
	defer func() { wg.Wait(); p.flush(d.Now()) }()
	err = d.Ledger.Follow(ctx, after, func(r gate.Record) bool {
		l.look(r.Seq)
		if !l.hook.Wants(&r) {
			p.pass(r.Seq, d.Now())
			return true
		}
		if l.tooLate(&r) {
			l.pass(ctx)
			p.pass(r.Seq, d.Now())
			return true
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return false
		}
		p.begin(r.Seq)
		wg.Go(func() {
			if l.deliver(ctx, &r) {
				p.end(r.Seq, d.Now())
			}
			<-slots
		})
		return true
	})
	if err != nil {
		return fmt.Errorf("hook %s: %w", l.hook.Name, err)
	}
	return nil
}

func (l *line) look(seq uint64) {
	l.mu.Lock()
	l.seen = seq
	l.mu.Unlock()
}

func (l *line) tooLate(r *gate.Record) bool {
	return l.hook.Late > 0 && l.hook.Late != gate.Forever && l.all.deps.Now().Sub(r.Time) > l.hook.Late
}

// pass counts a record that came too late.
func (l *line) pass(ctx context.Context) {
	l.mu.Lock()
	l.status.Passed++
	l.late++
	n := l.late
	now := l.all.deps.Now()
	quiet := now.Sub(l.told) < tellEvery
	if !quiet {
		l.told, l.late = now, 0
	}
	l.mu.Unlock()
	if !quiet {
		l.all.deps.Tell(ctx, "late", gate.Subject{}, fmt.Sprintf("hook %s passed over %s, which waited for longer than %s", l.hook.Name, counted(n, "record"), gate.FormatDuration(l.hook.Late)))
	}
}

// tellEvery is how often a hook is recorded to fail at most.
const tellEvery = time.Minute

// firstRetry is the pause before the second try; each further one is twice as long.
const firstRetry = time.Second

// lostRetries is how often a record is delivered again at least where it is not known
// whether the command ran.
const lostRetries = 2

// deliver runs the command for a record, again where it fails and that was asked for.
// It is false where the daemon stops in the middle: then the record comes again.
func (l *line) deliver(ctx context.Context, r *gate.Record) bool {
	d := &l.all.deps
	l.running(1)
	defer l.running(-1)
	run := Run{Hook: l.hook.Name, Seq: r.Seq, Delivery: delivery(&l.hook, r), Subject: r.Subject}
	body, err := json.Marshal(r)
	if err != nil {
		body = nil // it was read from the ledger's form, so it has another
	}
	retries := l.hook.Retries
	for pause := firstRetry; ; pause *= 2 {
		vs := values(&l.hook, r, d.Now())
		res, err := d.Do(ctx, Command{
			Argv: arguments(l.hook.Run, vs), Env: environment(vs), Stdin: append(body, '\n'), User: l.hook.User,
			Limit: l.hook.Timeout, Output: maxOutput,
		})
		if ctx.Err() != nil {
			return false
		}
		run.Tries++
		if err != nil { // perhaps another hook's fault: it is tried again in any case
			res = Result{Exit: -1, Problem: err.Error()}
			retries = max(retries, lostRetries)
		}
		run.Time, run.Took, run.Exit, run.Problem, run.Output, run.Lost = d.Now().UTC(), res.Took, res.Exit, res.Problem, res.Output, res.Lost
		if res.Problem == "" || run.Tries > retries {
			break
		}
		if wait(ctx, pause) != nil {
			return false
		}
	}
	l.all.history.add(run)
	l.note(ctx, &run)
	return true
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *line) running(n int) {
	l.mu.Lock()
	l.status.Running += n
	l.mu.Unlock()
}

// note keeps and tells how a run ended.
func (l *line) note(ctx context.Context, r *Run) {
	d := &l.all.deps
	l.mu.Lock()
	l.status.Runs++
	l.status.Last, l.status.Problem = r.Time, r.Problem
	tell, more := false, 0
	if r.Problem != "" {
		l.status.Failed++
		if tell = r.Time.Sub(l.told) >= tellEvery; tell {
			more, l.untold, l.told = l.untold, 0, r.Time
		} else {
			l.untold++
		}
	}
	l.mu.Unlock()
	d.Fault("hook "+l.hook.Name, r.Problem, "see what it wrote: gatehouse hooks "+l.hook.Name)
	if tell {
		d.Tell(ctx, "failed", r.Subject, failure(r, more))
	}
}

// failure is the sentence about a run that failed.
func failure(r *Run, more int) string {
	s := fmt.Sprintf("hook %s failed for record %d: %s", r.Hook, r.Seq, r.Problem)
	if r.Tries > 1 {
		s += fmt.Sprintf(", at the last of %d tries", r.Tries)
	}
	if last := lastLine(r.Output); last != "" {
		s += "; it wrote " + gate.Quote(last, 120)
	}
	if more > 0 {
		s += "; it failed " + counted(more, "time") + " more since that was last recorded"
	}
	return s
}

// lastLine returns the last line that has something in it.
func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// state is how the hook is.
func (l *line) state() Status {
	l.mu.Lock()
	s, seen := l.status, l.seen
	l.mu.Unlock()
	s.Name, s.On = l.hook.Name, l.hook.On
	if newest := l.all.deps.Ledger.Newest(); seen > 0 && newest > seen {
		s.Behind = newest - seen
	}
	return s
}

// Latest returns the latest runs of one hook, oldest first.
func (h *Hooks) Latest(name string) ([]Run, error) {
	for _, l := range h.lines {
		if l.hook.Name == name {
			return h.history.of(func(r *Run) bool { return r.Hook == name }), nil
		}
	}
	return nil, errors.New("there is no hook " + gate.Quote(name, 64))
}
