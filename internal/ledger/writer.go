package ledger

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"modernc.org/sqlite"

	"gatehouse/internal/gate"
)

// When the writer acts.
const (
	gather     = 4 * time.Millisecond   // commits under load start this far apart: at most 250 fsyncs a second, far below 50 ms
	retryFirst = 250 * time.Millisecond // after the first failure; each further one doubles it
	retryLast  = 10 * time.Second       // but not beyond this: a person who freed space looks at status soon
	tidyAfter  = 30 * time.Second       // of quiet: the WAL goes back into the database, spare memory to the system
	walPages   = 1000                   // pages of 4 kB in the WAL after which it goes back even when there is no quiet
	bulk       = 5000                   // decisions in one commit that are worth a large page cache
)

// job is work that needs the writer: one slice of it, and where its error goes.
type job struct {
	do   func() error
	done chan error // buffered: the writer never waits
}

// writer is the state of the one writer. It belongs to the owner.
type writer struct {
	c         *conn
	next      uint64 // number of the next record
	backlog   backlog
	tries     int               // failures in a row
	retryAt   time.Time         // when to try again
	last      time.Time         // when the last commit began
	pages     int               // written to the WAL since it went back
	windows   [sha256.Size]byte // sum of the windows that are stored; zero = unknown
	prover    prover
	wreck     *wreck    // a damaged file that still has history to read
	salvageAt time.Time // when to read some more of it
}

// retry notes a failure: the next try is later each time.
func (w *writer) retry() {
	w.tries++
	w.retryAt = time.Now().Add(min(retryLast, retryFirst<<min(w.tries-1, 10)))
}

// loop is the writer's life.
func (l *Ledger) loop(ctx context.Context) error {
	timer := time.NewTimer(tidyAfter)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			l.drain()
			return nil
		case <-l.wake:
			l.pause(ctx)
			l.work()
		case j := <-l.jobs:
			j.done <- j.do()
			l.countPages()
		case <-timer.C:
			l.idle()
		}
		timer.Reset(l.nextIdle())
	}
}

// pause lets a commit wait for company if the last one has only just begun.
func (l *Ledger) pause(ctx context.Context) {
	wait := gather - time.Since(l.w.last)
	if wait <= 0 {
		return
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// nextIdle returns how long the writer may sleep if nothing comes.
func (l *Ledger) nextIdle() time.Duration {
	switch {
	case l.w.tries > 0:
		return max(time.Millisecond, time.Until(l.w.retryAt))
	case l.w.wreck != nil:
		return max(0, time.Until(l.w.salvageAt))
	case l.w.pages == 0:
		return time.Hour // nothing to tidy up
	}
	return tidyAfter
}

// idle does what waits for time: another try, history to salvage, tidying up.
func (l *Ledger) idle() {
	switch {
	case l.w.tries > 0:
		l.work()
	case l.w.wreck != nil:
		l.salvageSome()
	default:
		l.tidy()
	}
}

// drain writes what is queued, with one more try if writing has been failing,
// and answers everybody.
func (l *Ledger) drain() {
	for range 3 { // a file that is found damaged is replaced, and then there is work again
		l.w.retryAt = time.Time{}
		if l.work(); l.isQueueEmpty() {
			break
		}
	}
	if l.w.c != nil {
		l.tidy()
	}
}

// work writes all that is queued, what could not be written before first.
func (l *Ledger) work() {
	if l.suspected.Swap(false) && l.w.c != nil {
		l.inspect()
	}
	for {
		items := l.take()
		if l.w.tries > 0 && time.Now().Before(l.w.retryAt) {
			l.keepInMemory(items)
			return
		}
		items = append(l.w.backlog.items, items...)
		l.w.backlog = backlog{}
		left, err := l.writeAll(items)
		if err != nil {
			l.failed(err, left)
			return
		}
		l.w.tries = 0
		l.recover()
		if l.isQueueEmpty() {
			return
		}
	}
}

// writeAll commits items, group by group; it returns those that it did not get
// to.
func (l *Ledger) writeAll(items []item) (left []item, err error) {
	if l.w.c == nil {
		if err := l.reconnect(); err != nil {
			return items, err
		}
	}
	for len(items) > 0 || l.hasDirty() {
		now, later := group(items)
		if err := l.write(now); err != nil {
			return items, err
		}
		items = later
	}
	return nil, nil
}

// failed keeps what could not be written and decides when to try again. A file
// that turned out to be damaged is replaced at once.
func (l *Ledger) failed(err error, items []item) {
	if l.w.c != nil && isUnusable(err) {
		if err = l.replace(err); err == nil {
			l.requeue(items)
			l.nudge()
			return
		}
	}
	if l.w.c != nil && l.w.tries > 0 && !isPassing(err) {
		// A connection that saw the disk fail may not see it recover.
		err = errors.Join(err, l.disconnect())
		l.readStale()
	}
	l.w.retry()
	l.degrade(err)
	l.keepInMemory(items)
}

// inspect looks for damage that a reader has met.
func (l *Ledger) inspect() {
	err := check(l.w.c, tables...)
	if isUnusable(err) {
		l.failed(err, nil)
	}
}

// requeue puts items back in front of the queue.
func (l *Ledger) requeue(items []item) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(items, l.queue...)
}

// keepInMemory answers the callers of items that the ledger is degraded, and
// keeps what they brought.
func (l *Ledger) keepInMemory(items []item) {
	for _, it := range items {
		if it.Done != nil {
			rs := make([]gate.Record, len(it.Decisions))
			for i := range rs {
				rs[i].Decision = it.Decisions[i]
			}
			it.Done(rs, fmt.Errorf("%w: %s", ErrDegraded, l.Health().Why))
		}
	}
	l.w.backlog.add(items)
	dropped := l.w.backlog.trim()
	if len(dropped) == 0 {
		return
	}
	l.mu.Lock()
	l.settle(dropped)
	l.health.Lost += uint64(len(dropped))
	l.mu.Unlock()
	l.o.Log.Error("memory has no room for more decisions; the oldest will not be recorded", "decisions", len(dropped))
}

// reconnect opens the database anew.
func (l *Ledger) reconnect() error {
	if err := l.query.swap(nil); err != nil { // it may show what could be read without writing
		return err
	}
	err := l.connect(nil)
	if err != nil {
		l.readStale()
	}
	return err
}

// write commits items, and the changes of Keep with them; then it answers their
// callers.
func (l *Ledger) write(items []item) error {
	l.w.last = time.Now()
	size := 0
	for i := range items {
		size += items[i].size()
	}
	if size >= bulk {
		if err := l.w.c.exec(fmt.Sprintf("PRAGMA cache_size=-%d", bulkCache)); err != nil {
			return err
		}
	}
	g := transaction{w: &l.w, boot: l.boot, kept: l.takeDirty()}
	err := g.commit(items)
	if err != nil {
		l.keepDirty()
		return err
	}
	l.committed(items, g.records)
	if size >= bulk {
		if err := l.w.shrink(); err != nil {
			return err
		}
	}
	l.countPages()
	return nil
}

// committed tells everybody what was written.
func (l *Ledger) committed(items []item, records [][]gate.Record) {
	l.mu.Lock()
	l.flying = state{}
	if newest := l.w.next - 1; newest > l.newest {
		l.newest = newest
		close(l.news)
		l.news = make(chan struct{})
	}
	for i := range items {
		l.settle(items[i].Decisions)
	}
	l.mu.Unlock()
	for i, it := range items {
		if it.Done != nil {
			it.Done(records[i], nil)
		}
	}
}

// countPages adds up what went to the WAL, and copies it back when it is much.
func (l *Ledger) countPages() {
	if l.w.c == nil {
		return
	}
	if n, _, err := l.w.c.c.Status(sqlite.DBStatusCacheWrite, true); err == nil {
		l.w.pages += n
	}
	if l.w.pages > walPages {
		l.copyBack()
	}
}

// copyBack copies the WAL back into the database, as far as readers allow.
func (l *Ledger) copyBack() {
	l.w.pages = 0
	// What cannot be copied back now stays in the WAL, where it is just as safe.
	l.suspect(l.w.c.exec("PRAGMA wal_checkpoint(PASSIVE)"))
}

// shrink gives the memory of a bulk back.
func (w *writer) shrink() error {
	w.prover.drop()
	w.c.forget(insertRecords)
	w.c.forget(insertLives)
	return w.c.exec(fmt.Sprintf("PRAGMA cache_size=-%d; PRAGMA shrink_memory", writerCache))
}

// tidy puts the house in order while nothing happens.
func (l *Ledger) tidy() {
	if l.w.c == nil || l.w.pages == 0 {
		return
	}
	l.copyBack()
	if err := l.w.shrink(); err != nil {
		l.o.Log.Warn("tidy up the ledger", "err", err)
	}
}

// do runs f on the writer, in between commits.
func (l *Ledger) do(ctx context.Context, f func() error) error {
	j := job{do: f, done: make(chan error, 1)} // one result, so the writer never waits
	select {
	case l.jobs <- j:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
