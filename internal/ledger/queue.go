package ledger

import (
	"context"
	"maps"
	"slices"
	"time"

	"gatehouse/internal/gate"
)

// Txn is what is committed together: decisions, and a checkpoint that holds them.
// The ledger owns it once it was appended.
type Txn struct {
	Decisions []gate.Decision   // in the order of their numbers
	Marks     map[string]string // source -> position behind what was read; "" takes the mark away; others stay
	Windows   []byte            // detect's windows at that point; nil = unchanged
	// History says that the decisions were over before they came here: they are
	// recorded, offences among them count, and nothing that is in force changes.
	History bool

	// Done, if set, is called once on the writer's goroutine, in the order of the
	// Txns, and must not block. Usually it gets the records, without the decisions
	// that were known already by their origin. With an error that wraps ErrDegraded
	// it gets all decisions with number 0: they are kept in memory and written
	// later. After Close it gets ErrClosed.
	Done func([]gate.Record, error)
}

// How much waits in memory while the disk cannot be written. A decision takes
// about 300 bytes, one event of its proof up to 1 kB.
const (
	maxQueued      = 100_000 // decisions; above it the oldest are lost
	maxQueuedProof = 32_000  // events in their proofs; above it the oldest decisions lose their proof
	maxGroup       = 200_000 // decisions in one commit, unless one Txn alone has more
)

// item is one thing in the queue: a Txn or a restatement.
type item struct {
	Txn
	restate []gate.Decision // live states whose Until is another one now
}

func (i *item) size() int { return len(i.Decisions) + len(i.restate) }

// Append queues t and returns at once; it never fails. It is written in the
// order of the calls.
func (l *Ledger) Append(t Txn) { l.enqueue(item{Txn: t}) }

// Restate gives live states another end, for a wall clock that was set: of each
// decision only Verdict, Scope, Subject and Until count. History stays as it was
// recorded. What is not live is left out.
func (l *Ledger) Restate(ds []gate.Decision) {
	if len(ds) > 0 {
		l.enqueue(item{restate: ds})
	}
}

// Flush waits until all that was appended before is committed. It returns an
// error that wraps ErrDegraded if it was not, ErrClosed, or the context's.
func (l *Ledger) Flush(ctx context.Context) error {
	done := make(chan error, 1) // one result, so Done never waits
	l.Append(Txn{Done: func(_ []gate.Record, err error) { done <- err }})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *Ledger) enqueue(it item) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		if it.Done != nil {
			it.Done(nil, ErrClosed)
		}
		return
	}
	l.queue = append(l.queue, it)
	l.queued += len(it.Decisions)
	for i := range it.Decisions {
		l.recent.add(&it.Decisions[i], 1)
	}
	l.mu.Unlock()
	l.nudge()
}

// nudge wakes the writer.
func (l *Ledger) nudge() {
	select {
	case l.wake <- struct{}{}:
	default: // it has been told already
	}
}

// take hands the queue over.
func (l *Ledger) take() []item {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.queue
	l.queue = nil
	return q
}

func (l *Ledger) isQueueEmpty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue) == 0
}

// settle takes decisions out of the account of what is only in memory. It needs
// the lock.
func (l *Ledger) settle(ds []gate.Decision) {
	l.queued -= len(ds)
	for i := range ds {
		l.recent.add(&ds[i], -1)
	}
	if l.queued == 0 {
		l.recent = recent{} // a map that held many does not shrink by itself
	}
}

// recent counts the offences that are only in memory yet.
type recent map[gate.Subject]offences

type offences struct {
	n    int
	last time.Time
}

// isOffence reports whether a decision counts for the ladder.
func isOffence(d *gate.Decision) bool { return d.Verdict == gate.Ban && d.Offence > 0 }

func (r recent) add(d *gate.Decision, n int) {
	if !isOffence(d) {
		return
	}
	o := r[d.Subject]
	o.n += n
	if d.Time.After(o.last) {
		o.last = d.Time
	}
	if o.n <= 0 {
		delete(r, d.Subject)
		return
	}
	r[d.Subject] = o
}

// backlog is what could not be written yet, in order. Its decisions are its own.
type backlog struct {
	items  []item
	size   int // decisions and restatements in items
	events int // at least the events in their proofs
}

// add appends items whose callers were answered, as few items as the order
// allows.
func (b *backlog) add(items []item) {
	for _, it := range items {
		b.size += it.size()
		for i := range it.Decisions {
			b.events += proofEvents(&it.Decisions[i])
		}
		n := len(b.items)
		if n == 0 || it.restate != nil || b.items[n-1].restate != nil || it.History != b.items[n-1].History {
			it.Done = nil
			it.Decisions = slices.Clone(it.Decisions)
			it.Marks = maps.Clone(it.Marks)
			b.items = append(b.items, it)
			continue
		}
		last := &b.items[n-1]
		last.Decisions = append(last.Decisions, it.Decisions...)
		if last.Marks == nil {
			last.Marks = map[string]string{}
		}
		maps.Copy(last.Marks, it.Marks)
		if it.Windows != nil {
			last.Windows = it.Windows
		}
	}
}

func proofEvents(d *gate.Decision) int {
	if d.Proof == nil {
		return 0
	}
	return len(d.Proof.First) + len(d.Proof.Last)
}

// trim keeps the backlog within its bounds, and a tenth below them once it had
// to act, so that it does not have to each time. It returns the decisions that it
// dropped, the oldest ones.
func (b *backlog) trim() (dropped []gate.Decision) {
	if b.events > maxQueuedProof {
		b.trimProofs(maxQueuedProof * 9 / 10)
	}
	if b.size <= maxQueued {
		return nil
	}
	excess := b.size - maxQueued*9/10
	for i := range b.items {
		it := &b.items[i]
		n := min(excess, len(it.Decisions))
		dropped = append(dropped, it.Decisions[:n]...)
		it.Decisions = slices.Clone(it.Decisions[n:])
		r := min(excess-n, len(it.restate))
		it.restate = it.restate[r:]
		excess -= n + r
		b.size -= n + r
	}
	return dropped
}

// trimProofs leaves the newest proofs, with at most this many events in all.
func (b *backlog) trimProofs(events int) {
	b.events = 0
	for _, it := range slices.Backward(b.items) {
		for j := range slices.Backward(it.Decisions) {
			d := &it.Decisions[j]
			if n := proofEvents(d); b.events+n <= events {
				b.events += n
			} else {
				d.Proof = &gate.Proof{Count: d.Proof.Count}
			}
		}
	}
}

// group takes from the front what one commit should hold.
func group(items []item) (now, later []item) {
	size := 0
	for i := range items {
		if size += items[i].size(); size > maxGroup && i > 0 {
			return items[:i], items[i:]
		}
	}
	return items, nil
}
