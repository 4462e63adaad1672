package report

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"gatehouse/internal/gate"
)

// Bounds of the queue.
const (
	dayOff     = 24 * time.Hour // how long an offender is not reported again
	giveUp     = 24 * time.Hour // how old a job may get
	firstRetry = time.Minute
	lastRetry  = time.Hour
	sendTime   = time.Minute // for one report, the question for its addressee included
	saveEvery  = time.Second // how long the place in the ledger waits at most to be stored
	maxJobs    = 4000        // of all targets; the limit of offenders keeps it far below
	workers    = 3           // reports on their way to one target at once: a registry that hangs holds few up
	keyState   = "state"
)

// Reporter reports abuse. Make one with New, and Run it; its other methods are
// safe for concurrent use.
type Reporter struct {
	c Config
	d Deps

	mu    sync.Mutex    // guards what follows
	news  chan struct{} // closed, and replaced, when there is something new to send
	state state
	saved time.Time
	over  time.Time // when it was last logged that the limit is reached
}

// state is what is remembered, as one value.
type state struct {
	Seq       uint64               `json:"seq"`                 // the last record that was looked at
	Salt      string               `json:"salt"`                // secret of this machine, for identifiers
	Offenders map[string]time.Time `json:"offenders,omitempty"` // when each was last reported
	Jobs      []*job               `json:"jobs,omitempty"`      // what is to be sent
	Digest    time.Time            `json:"digest,omitzero"`     // when the last digest was due that was dealt with
}

// job is one report for one target.
type job struct {
	Seq    uint64     `json:"seq"`
	Target string     `json:"target"`
	Addr   netip.Addr `json:"addr"`
	Born   time.Time  `json:"born"`
	Next   time.Time  `json:"next"`
	Tries  int        `json:"tries,omitempty"`

	busy bool // a worker has it
}

// New returns a Reporter that goes on where the last one left off.
func New(c Config, d Deps) (*Reporter, error) {
	if c.Offence < 1 {
		c.Offence = 1
	}
	if c.Limit == (gate.Threshold{}) {
		c.Limit = DefaultLimit()
	}
	if c.Zone == nil {
		c.Zone = time.Local
	}
	rp := &Reporter{c: c, d: d, news: make(chan struct{})}
	value, found, err := d.Store.Get(keyState)
	if err != nil {
		return nil, fmt.Errorf("read what is to be reported: %w", err)
	}
	if found {
		if err := json.Unmarshal(value, &rp.state); err != nil {
			d.Log.Error("what was to be reported is lost", "err", err)
			found, rp.state = false, state{}
		}
	}
	if !found { // what happened before anybody wanted reports is not reported
		rp.state.Seq, rp.state.Digest = d.Newest(), d.Now()
	}
	rp.state.Seq = min(rp.state.Seq, d.Newest())
	if rp.state.Salt == "" {
		rp.state.Salt = rand.Text()
	}
	if rp.state.Offenders == nil {
		rp.state.Offenders = map[string]time.Time{}
	}
	rp.state.Jobs = slices.DeleteFunc(rp.state.Jobs, func(j *job) bool { return j == nil || rp.target(j.Target) == nil })
	return rp, nil
}

func (rp *Reporter) target(name string) *Target {
	if i := slices.IndexFunc(rp.c.Targets, func(t Target) bool { return t.Name == name }); i >= 0 {
		return &rp.c.Targets[i]
	}
	return nil
}

// Run follows the ledger, reports, and sends digests, until ctx ends.
func (rp *Reporter) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	var failed error
	if len(rp.c.Targets) > 0 {
		wg.Go(func() {
			rp.mu.Lock()
			from := rp.state.Seq
			rp.mu.Unlock()
			if failed = rp.d.Follow(ctx, from, func(r gate.Record) bool { rp.take(ctx, &r); return true }); failed != nil {
				cancel()
			}
		})
		for i := range rp.c.Targets {
			for range workers {
				wg.Go(func() { rp.work(ctx, rp.c.Targets[i].Name) })
			}
		}
	}
	wg.Go(func() { rp.digests(ctx) })
	wg.Wait()
	rp.mu.Lock()
	defer rp.mu.Unlock()
	rp.save()
	return failed
}

// take looks at one record.
func (rp *Reporter) take(ctx context.Context, r *gate.Record) {
	addr, why := rp.c.Fit(r)
	if why == "" && rp.d.Now().Sub(r.Time) > dayOff {
		why = "it is too long ago"
	}
	if why == "" {
		if why, _ = rp.spared(ctx, addr); ctx.Err() != nil {
			return // seen again after the restart
		}
	}
	rp.mu.Lock()
	defer rp.mu.Unlock()
	rp.state.Seq = r.Seq
	if why == "" {
		_, why = rp.admit(r.Seq, addr, rp.d.Now())
	}
	if why == "" || rp.d.Now().Sub(rp.saved) > saveEvery {
		rp.save()
	}
}

// spared asks whether an address may be reported at all.
func (rp *Reporter) spared(ctx context.Context, addr netip.Addr) (string, error) {
	why, err := rp.d.Spared(ctx, gate.AddrSubject(addr))
	if err != nil {
		return "it cannot be told whether it is allowed: " + err.Error(), err
	}
	return why, nil
}

// admit makes the jobs of a report, if the offender and the limit admit it.
func (rp *Reporter) admit(seq uint64, addr netip.Addr, now time.Time) (jobs []*job, why string) {
	who, within := offender(addr), 0
	for o, at := range rp.state.Offenders {
		age := now.Sub(at)
		if age >= 0 && age < rp.c.Limit.Within {
			within++
		}
		if age >= max(dayOff, rp.c.Limit.Within) || age < -dayOff {
			delete(rp.state.Offenders, o)
		}
	}
	if at, known := rp.state.Offenders[who]; known && now.Sub(at) < dayOff {
		return nil, "it was reported " + at.UTC().Format(time.RFC3339) + ", and an offender is reported once a day"
	}
	if within >= rp.c.Limit.Count || len(rp.state.Jobs)+len(rp.c.Targets) > maxJobs {
		if now.Sub(rp.over) > time.Hour {
			rp.over = now
			rp.d.Log.Warn("offenders are not reported: the limit is reached", "limit", rp.c.Limit.String())
		}
		return nil, "the limit of " + rp.c.Limit.String() + " is reached"
	}
	rp.state.Offenders[who] = now
	for _, t := range rp.c.Targets {
		jobs = append(jobs, &job{Seq: seq, Target: t.Name, Addr: addr, Born: now, Next: now})
	}
	rp.state.Jobs = append(rp.state.Jobs, jobs...)
	close(rp.news)
	rp.news = make(chan struct{})
	return jobs, ""
}

// save stores the state.
func (rp *Reporter) save() {
	b, err := json.Marshal(&rp.state)
	if err != nil {
		rp.d.Log.Error("store what is to be reported", "err", err)
		return
	}
	rp.d.Store.Put(keyState, b)
	rp.saved = rp.d.Now()
}

// work sends what is due for a target, one after the other.
func (rp *Reporter) work(ctx context.Context, target string) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		j, wait, news := rp.next(target)
		if j != nil {
			rp.attempt(ctx, j)
			if ctx.Err() != nil {
				return
			}
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-news:
		case <-timer.C:
		}
	}
}

// next returns a copy of the job of a target that is due, which is then the
// caller's, or how long to wait for one unless there is news.
func (rp *Reporter) next(target string) (*job, time.Duration, <-chan struct{}) {
	rp.mu.Lock()
	defer rp.mu.Unlock()
	var first *job
	for _, j := range rp.state.Jobs {
		if j.Target == target && !j.busy && (first == nil || j.Next.Before(first.Next)) {
			first = j
		}
	}
	if first == nil {
		return nil, time.Hour, rp.news
	}
	if wait := first.Next.Sub(rp.d.Now()); wait > 0 {
		return nil, min(wait, time.Hour), rp.news
	}
	first.busy = true
	copied := *first
	return &copied, 0, rp.news
}

// errGone is what a job gets whose record is no longer there.
var errGone = errors.New("its record is no longer in the ledger")

// attempt does one job, and says what became of it.
func (rp *Reporter) attempt(ctx context.Context, j *job) (out Outgoing, answer string, err error) {
	sctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	out, answer, final, after, err := rp.try(sctx, j)
	if ctx.Err() != nil { // the daemon stops, or who asked went away: it stays due
		rp.mu.Lock()
		defer rp.mu.Unlock()
		for _, o := range rp.state.Jobs {
			if o.Seq == j.Seq && o.Target == j.Target {
				o.busy = false
			}
		}
		return out, answer, cmp.Or(err, ctx.Err())
	}
	s := gate.AddrSubject(j.Addr)
	now := rp.d.Now()
	switch {
	case err == nil && rp.c.DryRun:
		rp.d.Tell("dry", s, fmt.Sprintf("it would have been reported to %s (%s); report: dry_run: true", j.Target, out.To))
		rp.finish(j)
	case err == nil:
		rp.d.Fault(j.Target, "", "")
		rp.d.Tell("sent", s, fmt.Sprintf("it was reported to %s (%s): %s", j.Target, out.To, clean(answer, 160)))
		rp.finish(j)
	case final || now.Sub(j.Born) >= giveUp:
		rp.d.Tell("failed", s, fmt.Sprintf("it was not reported to %s: %s", j.Target, clean(err.Error(), 300)))
		rp.finish(j)
	default:
		rp.later(j, now, after)
	}
	return out, answer, err
}

// try sends one report. final says that trying again is in vain.
func (rp *Reporter) try(ctx context.Context, j *job) (out Outgoing, answer string, final bool, after time.Duration, err error) {
	t := rp.target(j.Target)
	rs, err := rp.d.Records(j.Seq-1, time.Time{}, 1)
	switch {
	case err != nil:
		return out, "", false, 0, err
	case len(rs) == 0 || rs[0].Seq != j.Seq:
		return out, "", true, 0, errGone
	}
	addr, why := rp.c.Fit(&rs[0])
	if why == "" {
		if why, err = rp.spared(ctx, addr); err != nil {
			return out, "", false, 0, err
		}
	}
	if why != "" {
		return out, "", true, 0, errors.New(why)
	}
	whom := rp.whom(ctx, t, addr)
	p, err := t.wrap(rp.report(&rs[0], addr, whom), whom, !rp.c.DryRun)
	if err != nil {
		return p.shown, "", errors.Is(err, errNobody), 0, err
	}
	if rp.c.DryRun {
		return p.shown, "", false, 0, nil
	}
	if err := rp.d.Flush(ctx); err != nil { // that it was reported must not be forgotten with a crash
		return p.shown, "", false, 0, fmt.Errorf("store what is reported: %w", err)
	}
	if answer, err = rp.send(ctx, &p); err != nil {
		if _, no := errors.AsType[*refusal](err); no {
			final = true
		} else {
			final, after = rp.d.Again(err)
		}
		err = errors.New(p.withoutSecrets(err.Error()))
		rp.d.Fault(j.Target, clean(err.Error(), 300), "gatehouse log --kind report shows what became of reports")
	}
	return p.shown, answer, final, after, err
}

// whom looks for the holder of an address, who is asked for where a mail goes to
// them.
func (rp *Reporter) whom(ctx context.Context, t *Target, addr netip.Addr) Whom {
	if t.Channel != "" {
		return rp.d.Look(ctx, addr)
	}
	return rp.d.Known(addr)
}

// report writes the report of a record.
func (rp *Reporter) report(r *gate.Record, addr netip.Addr, whom Whom) *Report {
	return rp.c.New(r, addr, whom, rp.d.Service(r.Rule), rp.d.Private(), rp.state.Salt) // the salt never changes after New
}

// finish takes a job away.
func (rp *Reporter) finish(j *job) {
	rp.mu.Lock()
	defer rp.mu.Unlock()
	rp.state.Jobs = slices.DeleteFunc(rp.state.Jobs, func(o *job) bool { return o.Seq == j.Seq && o.Target == j.Target })
	rp.save()
}

// later puts a job off.
func (rp *Reporter) later(j *job, now time.Time, after time.Duration) {
	rp.mu.Lock()
	defer rp.mu.Unlock()
	for _, o := range rp.state.Jobs {
		if o.Seq != j.Seq || o.Target != j.Target {
			continue
		}
		o.busy = false
		o.Tries++
		wait := firstRetry
		for range min(o.Tries-1, 10) {
			wait = min(2*wait, lastRetry)
		}
		o.Next = now.Add(min(max(wait, after), 6*time.Hour))
	}
	rp.save()
}
