package app

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"gatehouse/internal/detect"
	"gatehouse/internal/firewall"
	"gatehouse/internal/gate"
	"gatehouse/internal/ledger"
	"gatehouse/internal/policy"
)

// spine is the line itself: the one goroutine that owns detect and policy.
//
//	sensors ──Event──▶ detect ──Finding──▶ policy ──Decision──▶ ledger ──Record──▶ followers
//
// Batches of events come in by take, wishes and questions by do, time by the
// alarm. Decisions leave by carry: to the firewall at once, to the ledger in the
// same breath, and to everyone else after the commit.
type spine struct {
	log      *slog.Logger
	detect   *detect.Detector
	policy   *policy.Policy
	ledger   *ledger.Ledger
	firewall *firewall.Firewall
	host     hostWatcher
	names    *names
	clock    *clock
	alarm    *alarm

	batches chan gate.Batch // unbuffered: a sensor waits while the spine is busy
	calls   chan func()     // unbuffered: run on the spine's goroutine, in between batches
	stopped chan struct{}   // closed by Run when it no longer takes anything

	checkpoint checkpoint
	allow      allowList
	gates      gating
	exempted   func()         // called when who is exempt has changed; may be nil
	findings   []gate.Finding // reused
	counting   detect.Config  // what detect counts
	login      time.Time      // when a log last told of a login that succeeded
	epoch      uint64         // of this run's commands
	commands   int64          // how many there were
}

// hostWatcher is what the spine asks about this machine.
type hostWatcher interface {
	Snapshot() gate.Host
	Refresh() gate.Host
	Changed() <-chan struct{}
}

// errStopping is what a request gets that comes too late.
var errStopping = errors.New("the daemon is stopping")

// Run is the loop. It returns nil when ctx ends, with a last checkpoint queued.
func (s *spine) Run(ctx context.Context) error {
	defer close(s.stopped)
	for {
		s.rearm()
		select {
		case <-ctx.Done():
			s.save()
			return nil
		case b := <-s.batches:
			s.take(b)
		case call := <-s.calls:
			call()
		case <-s.alarm.C():
			s.tick()
		case delta := <-s.clock.Jumps():
			s.shift(delta)
		case <-s.host.Changed():
			s.rejudge()
		case <-s.names.changed:
			s.setAllow()
		}
	}
}

// Emit hands a sensor's batch to the loop; it is what sensors are given.
func (s *spine) Emit(ctx context.Context, b gate.Batch) error {
	select {
	case s.batches <- b:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopped:
		return errStopping
	}
}

// do runs f on the spine's goroutine and waits until it has.
func (s *spine) do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	call := func() { defer close(done); f() }
	select {
	case s.calls <- call:
		<-done
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopped:
		return errStopping
	}
}

// take carries one batch down the line.
func (s *spine) take(b gate.Batch) {
	now := time.Now()
	for i := range b.Events {
		if b.Events[i].Class == gate.ClassSuccess {
			s.login = now
		}
	}
	s.findings = s.detect.Observe(b.Events, now, s.findings[:0])
	if !b.Live {
		s.findings = s.unknown(s.findings)
	}
	if len(s.findings) > 0 {
		decisions, _ := s.policy.Decide(s.findings, now, s.here(now))
		s.carry(decisions, nil)
	}
	if b.Mark != "" {
		s.checkpoint.note(b.Source, b.Mark, now)
	}
}

// freshLogin is how long after a login the sessions of this machine are looked
// up anew for each decision, instead of those that were seen last.
const freshLogin = 5 * time.Second

// here is what is true of this machine, who has just logged in included.
func (s *spine) here(now time.Time) gate.Host {
	if now.Sub(s.login) < freshLogin {
		return s.host.Refresh()
	}
	return s.host.Snapshot()
}

// unknown leaves out findings that led to a record before a crash: their lines
// are being read again.
func (s *spine) unknown(fs []gate.Finding) []gate.Finding {
	kept := fs[:0]
	for _, f := range fs {
		if !s.ledger.Known(f.Origin, f.Rule) {
			kept = append(kept, f)
		}
	}
	return kept
}

// carry hands decisions to the firewall and the ledger; done, if any, is called
// once they are committed or refused.
func (s *spine) carry(ds []gate.Decision, done func(error)) {
	s.gate(time.Now())
	if len(ds) == 0 {
		if done != nil {
			done(nil)
		}
		return
	}
	s.firewall.Place(ds)
	s.ledger.Append(ledger.Txn{Decisions: ds, Done: func(rs []gate.Record, err error) {
		if err == nil {
			s.firewall.Commit(rs)
		}
		if done != nil {
			done(err)
		}
	}})
}

// tick does what time alone brings: windows that end, bans that are over, the
// checkpoint that is due.
func (s *spine) tick() {
	now := time.Now()
	if due(s.detect.Next(), now) {
		s.findings = s.detect.Advance(now, s.findings[:0])
		decisions, _ := s.policy.Decide(s.findings, now, s.host.Snapshot())
		s.carry(decisions, nil)
	}
	if due(s.policy.Next(), now) {
		s.carry(s.policy.Advance(now, s.host.Snapshot()), nil)
	}
	if due(s.gates.due, now) {
		s.carry(s.schedule(now), nil)
	}
	if due(s.checkpoint.next(), now) {
		s.save()
	}
}

// rearm sets the one timer to what comes first.
func (s *spine) rearm() {
	var first time.Time
	for _, t := range []time.Time{s.detect.Next(), s.policy.Next(), s.checkpoint.next(), s.gates.due} {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	if first.IsZero() {
		s.alarm.Set(-1)
		return
	}
	s.alarm.Set(max(0, time.Until(first)))
}

func due(t, now time.Time) bool { return !t.IsZero() && !t.After(now) }

// save queues a checkpoint: the marks of the sources and detect's windows, in
// one transaction behind all decisions that they led to.
func (s *spine) save() {
	marks, begun := s.checkpoint.take(), time.Now()
	if marks == nil {
		return
	}
	windows := s.detect.Snapshot()
	s.ledger.Append(ledger.Txn{Marks: marks, Windows: windows})
	s.checkpoint.took(time.Since(begun), len(windows))
}

// rejudge looks at the bans again after something about this machine changed.
func (s *spine) rejudge() {
	h := s.host.Snapshot()
	if !slices.Equal(h.OnLink, s.counting.Single) {
		s.counting.Single = slices.Clone(h.OnLink)
		s.detect.Reconfigure(s.counting)
	}
	s.exempt()
	s.carry(s.policy.Rejudge(time.Now(), h), nil)
}

// shift follows a jump of the wall clock: windows and bans keep the time they
// had left.
func (s *spine) shift(delta time.Duration) {
	s.log.Warn("the wall clock was set", "dur", delta)
	s.detect.Shift(delta)
	moved := s.policy.Shift(delta)
	s.ledger.Restate(moved.Moved)
	s.firewall.Place(moved.Kept) // they end at the same wall time, so the kernel gets another remainder
	s.firewall.Commit(asRecords(moved.Kept))
	s.checkpoint.shift(delta)
	s.carry(s.schedule(time.Now()), nil)
}

// asRecords wraps decisions that the ledger knows.
func asRecords(ds []gate.Decision) []gate.Record {
	rs := make([]gate.Record, len(ds))
	for i, d := range ds {
		rs[i].Decision = d
	}
	return rs
}
