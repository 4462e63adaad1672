package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

// watched collects the changes of health.
type watched struct {
	mu  sync.Mutex
	hs  []Health
	any chan struct{} // one token for each change
}

func watch() *watched { return &watched{any: make(chan struct{}, 100)} }

func (w *watched) changed(h Health) {
	w.mu.Lock()
	w.hs = append(w.hs, h)
	w.mu.Unlock()
	w.any <- struct{}{}
}

// until waits for a change to that state.
func (w *watched) until(t testing.TB, s State) Health {
	t.Helper()
	for {
		select {
		case <-w.any:
		case <-time.After(20 * time.Second):
			t.Fatalf("it never became %v", s)
		}
		w.mu.Lock()
		h := w.hs[len(w.hs)-1]
		w.mu.Unlock()
		if h.State == s {
			return h
		}
	}
}

// limit lets the database grow by no more than so many pages.
func limit(t testing.TB, l *Ledger, more int64) {
	t.Helper()
	err := l.do(t.Context(), func() error {
		n, err := l.w.c.number("PRAGMA page_count")
		if err != nil {
			return err
		}
		return l.w.c.exec(fmt.Sprintf("PRAGMA max_page_count=%d", n+more))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestFull pins what happens when the disk is full: nobody waits, nothing is
// forgotten, and all is written in order once there is room.
func TestFull(t *testing.T) {
	w := watch()
	dir := t.TempDir()
	l, stop := start(t, dir, Options{Forget: 90 * gate.Day, Changed: w.changed})
	commit(t, l, Txn{Decisions: bans(0, 10), Marks: map[string]string{"s": "10"}})
	limit(t, l, 0)
	rs, err := try(l, Txn{Decisions: bans(10, 500), Marks: map[string]string{"s": "500"}})
	if !errors.Is(err, ErrDegraded) || !strings.Contains(err.Error(), "no space is left") || len(rs) != 490 || rs[0].Seq != 0 || rs[489].Subject != ban(499).Subject {
		t.Errorf("full: %d records, %v", len(rs), err)
	}
	h := w.until(t, Degraded)
	if !strings.Contains(h.Why, "no space is left on the disk of "+dir) || h.Hint == "" || h.Queued != 490 || !h.Since.Equal(t0) {
		t.Errorf("health %+v", h)
	}
	if err := l.Flush(t.Context()); !errors.Is(err, ErrDegraded) {
		t.Errorf("flush: %v", err)
	}
	l.Keep("a").Put("x", []byte("1"))
	if v, found, err := l.Keep("a").Get("x"); string(v) != "1" || !found || err != nil {
		t.Errorf("keep: %q %v %v", v, found, err)
	}
	for n := 500; n < 600; n++ {
		if _, err := try(l, Txn{Decisions: bans(n, n+1), Marks: map[string]string{"s": fmt.Sprint(n + 1)}}); !errors.Is(err, ErrDegraded) {
			t.Errorf("%d: %v", n, err)
		}
	}
	moved := ban(3)
	moved.Until = t0.Add(99 * time.Hour)
	l.Restate([]gate.Decision{moved})
	released := ban(4)
	released.Verdict = gate.Release
	l.Append(Txn{Decisions: []gate.Decision{released}})
	if err := l.Flush(t.Context()); !errors.Is(err, ErrDegraded) {
		t.Errorf("flush: %v", err)
	}
	if n, _ := l.Past(ban(599).Subject); n != 1 {
		t.Errorf("%d offences of somebody in memory, want 1", n)
	}
	if marks, _, err := l.Checkpoint(); marks["s"] != "10" || err != nil {
		t.Errorf("the mark is %v, %v, ahead of its decisions", marks, err)
	}
	if h := l.Health(); h.Queued != 591 {
		t.Errorf("%d queued, want 591", h.Queued)
	}
	limit(t, l, 10_000)
	w.until(t, OK)
	flush(t, l)
	all := records(t, l, Query{})
	if len(all) != 601 {
		t.Fatalf("%d records, want 601", len(all))
	}
	for n, r := range all[:600] {
		if r.Seq != uint64(n+1) || r.Subject != ban(n).Subject {
			t.Errorf("record %d is number %d, of %s", n, r.Seq, r.Subject)
		}
	}
	if h := l.Health(); h.Queued != 0 || h.Lost != 0 || h.State != OK {
		t.Errorf("health %+v", h)
	}
	cur := live(t, l)
	if i := slices.IndexFunc(cur, func(r Live) bool { return r.Subject == ban(3).Subject }); len(cur) != 599 || !cur[i].Until.Equal(moved.Until) {
		t.Errorf("%d in force, the one that was moved ends %v", len(cur), cur[i].Until)
	}
	stop()
	l, _ = start(t, dir, Options{})
	if v, _, err := l.Keep("a").Get("x"); string(v) != "1" || err != nil {
		t.Errorf("keep: %q %v", v, err)
	}
	if marks, _, err := l.Checkpoint(); marks["s"] != "600" || err != nil {
		t.Errorf("marks %v, %v", marks, err)
	}
}

// TestFullAtTheEnd pins that stopping on a full disk takes no longer than
// stopping, and says so to those who wait.
func TestFullAtTheEnd(t *testing.T) {
	l, stop := start(t, t.TempDir(), Options{})
	commit(t, l, Txn{Decisions: bans(0, 10)})
	limit(t, l, 0)
	var got error
	l.Append(Txn{Decisions: bans(10, 500), Done: func(_ []gate.Record, err error) { got = err }})
	stop()
	if !errors.Is(got, ErrDegraded) {
		t.Errorf("the last one got %v", got)
	}
}

// TestBusy pins that a person's sqlite3 that holds the file only delays.
func TestBusy(t *testing.T) {
	w := watch()
	l, _ := start(t, t.TempDir(), Options{Changed: w.changed})
	person, err := openConn(l.Path(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := person.exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	if _, err := try(l, Txn{Decisions: bans(0, 1)}); !errors.Is(err, ErrDegraded) || !strings.Contains(err.Error(), "another program holds") {
		t.Errorf("held: %v", err)
	}
	if err := errors.Join(person.exec("ROLLBACK"), person.close()); err != nil {
		t.Fatal(err)
	}
	w.until(t, Degraded)
	w.until(t, OK)
	flush(t, l)
	if l.Newest() != 1 {
		t.Error("it was not written")
	}
}

// TestBacklog pins what memory holds at most, and what goes first.
func TestBacklog(t *testing.T) {
	var b backlog
	mine := bans(0, 10)
	b.add([]item{{Txn: Txn{Decisions: mine[:5], Marks: map[string]string{"a": "1", "b": "1"}, Windows: []byte("1")}}})
	b.add([]item{{Txn: Txn{Decisions: bans(20, 21), Marks: map[string]string{"a": "2"}}}, {restate: bans(0, 3)}, {Txn: Txn{Windows: []byte("2")}}})
	if mine[5].Subject != ban(5).Subject {
		t.Error("it wrote into its caller's slice")
	}
	if len(b.items) != 3 || b.items[0].Marks["a"] != "2" || b.items[0].Marks["b"] != "1" || len(b.items[0].Decisions) != 6 || string(b.items[2].Windows) != "2" || b.size != 9 {
		t.Errorf("%+v", b)
	}
	b = backlog{}
	proofs := []gate.Decision{}
	for n := range maxQueuedProof {
		proofs = append(proofs, withProof(ban(n), 3))
	}
	b.add([]item{{Txn: Txn{Decisions: proofs}}})
	if dropped := b.trim(); dropped != nil {
		t.Errorf("%d decisions dropped", len(dropped))
	}
	first, last := b.items[0].Decisions[0].Proof, b.items[0].Decisions[maxQueuedProof-1].Proof
	if first.First != nil || first.Count != 3 || len(last.First) != 3 || len(proofs[0].Proof.First) != 3 || b.events > maxQueuedProof {
		t.Errorf("proofs: %+v, %+v, %d events", first, last, b.events)
	}
	b.add([]item{{restate: bans(0, 10)}, {Txn: Txn{Decisions: bans(0, maxQueued), Marks: map[string]string{"a": "3"}}}})
	dropped := b.trim()
	if b.size != maxQueued*9/10 || len(dropped) != maxQueuedProof+maxQueued/10 || dropped[0].Subject != ban(0).Subject {
		t.Errorf("%d left, %d dropped", b.size, len(dropped))
	}
	if n := len(b.items); b.items[n-1].Marks["a"] != "3" || b.items[n-1].Decisions[0].Subject != ban(maxQueued/10).Subject {
		t.Error("the newest are not what is left")
	}
}

// TestGroup pins how much one commit takes.
func TestGroup(t *testing.T) {
	many := item{Txn: Txn{Decisions: make([]gate.Decision, maxGroup+1)}}
	one := item{Txn: Txn{Decisions: make([]gate.Decision, 1)}}
	for _, c := range []struct {
		items []item
		now   int
	}{{nil, 0}, {[]item{one, one}, 2}, {[]item{many, one}, 1}, {[]item{one, many}, 1}, {[]item{many}, 1}} {
		if now, later := group(c.items); len(now) != c.now || len(now)+len(later) != len(c.items) {
			t.Errorf("%d of %d now, want %d", len(now), len(c.items), c.now)
		}
	}
}

// TestDoWithoutRun pins that work for the writer ends with its context.
func TestDoWithoutRun(t *testing.T) {
	l, err := Open(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.do(ctx, func() error { return nil }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := l.Flush(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
