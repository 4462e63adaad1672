package ledger

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

func lines(s string) iter.Seq[string] { return strings.SplitSeq(strings.TrimSpace(s), "\n") }

// TestPast pins what counts as an offence, and that nothing is counted twice on
// its way from memory to the disk.
func TestPast(t *testing.T) {
	now := t0
	l, stop := start(t, t.TempDir(), Options{Forget: 90 * gate.Day, Now: func() time.Time { return now }})
	who := ban(1).Subject
	check := func(what string, n int, last time.Time) {
		t.Helper()
		if got, at := l.Past(who); got != n || !at.Equal(last) {
			t.Errorf("%s: %d, %v; want %d, %v", what, got, at, n, last)
		}
	}
	at := func(days int, change func(*gate.Decision)) gate.Decision {
		d := ban(1)
		d.Time = t0.Add(time.Duration(days) * gate.Day)
		d.Origin.Offset = int64(days)
		change(&d)
		return d
	}
	check("never seen", 0, time.Time{})
	commit(t, l, Txn{Decisions: []gate.Decision{
		at(-100, func(*gate.Decision) {}),
		at(-80, func(*gate.Decision) {}),
		at(-30, func(*gate.Decision) {}),
		at(-20, func(d *gate.Decision) { d.Offence = 0 }),
		at(-10, func(d *gate.Decision) { d.Verdict = gate.Release }),
		at(-5, func(d *gate.Decision) { d.Subject = subject(t, "10.0.0.0/24") }),
	}})
	check("two within 90 days", 2, t0.Add(-30*gate.Day))
	l.SetForget(365 * gate.Day)
	check("three within a year", 3, t0.Add(-30*gate.Day))
	l.SetForget(10 * gate.Day)
	check("none within 10 days", 0, time.Time{})
	l.SetForget(0)
	check("for ever", 3, t0.Add(-30*gate.Day))
	for n := range 200 {
		l.Append(Txn{Decisions: []gate.Decision{at(n, func(*gate.Decision) {})}})
		check("while it is written", 4+n, t0.Add(time.Duration(n)*gate.Day))
	}
	flush(t, l)
	check("when it is written", 203, t0.Add(199*gate.Day))
	var many []gate.Decision
	for n := range 2000 {
		many = append(many, at(200+n, func(d *gate.Decision) { d.Time = t0 }))
	}
	commit(t, l, Txn{Decisions: many})
	check("more than count", maxOffences, t0.Add(199*gate.Day))
	stop()
	if len(l.recent) != 0 {
		t.Errorf("%d subjects are still counted in memory", len(l.recent))
	}
}

// TestKeep pins that changes are seen at once, last, and stay apart.
func TestKeep(t *testing.T) {
	dir := t.TempDir()
	l, stop := start(t, dir, Options{})
	check := func(k *Keep, name, want string, there bool) {
		t.Helper()
		got, found, err := k.Get(name)
		if err != nil || found != there || string(got) != want {
			t.Errorf("%s: %q %v %v, want %q %v", name, got, found, err, want, there)
		}
	}
	a, b := l.Keep("a"), l.Keep("b")
	check(a, "x", "", false)
	for n := range 300 {
		a.Put("x", []byte(fmt.Sprint(n)))
		check(a, "x", fmt.Sprint(n), true)
	}
	b.Put("x", nil)
	b.Put("y", []byte("1"))
	b.Put("y", []byte("2"))
	a.Put("gone", []byte("1"))
	flush(t, l)
	a.Delete("gone")
	check(a, "gone", "", false)
	for range 2 {
		all, err := l.Keep("b").All()
		if err != nil || !maps.EqualFunc(all, map[string]string{"x": "", "y": "2"}, func(b []byte, s string) bool { return string(b) == s }) {
			t.Errorf("all of b: %q, %v", all, err)
		}
		check(l.Keep("a"), "x", "299", true)
		check(l.Keep("a"), "gone", "", false)
		check(l.Keep("b"), "x", "", true)
		stop()
		l, stop = start(t, dir, Options{})
	}
}

// TestFollow pins that a follower sees each record once and in order, those
// included that come while it waits, and goes on behind its cursor.
func TestFollow(t *testing.T) {
	l, _ := start(t, t.TempDir(), Options{})
	commit(t, l, Txn{Decisions: bans(0, 600)})
	ctx, cancel := context.WithCancel(t.Context())
	seen := make(chan uint64, 2000) // all of them
	done := make(chan error, 1)
	go func() {
		done <- l.Follow(ctx, 10, func(r gate.Record) bool {
			seen <- r.Seq
			return true
		})
	}()
	for want := uint64(11); want <= 600; want++ {
		if got := <-seen; got != want {
			t.Fatalf("saw %d, want %d", got, want)
		}
	}
	for n := 600; n < 700; n++ {
		l.Append(Txn{Decisions: bans(n, n+1)})
		if got := <-seen; got != uint64(n+1) {
			t.Fatalf("saw %d, want %d", got, n+1)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := l.Follow(t.Context(), 0, func(gate.Record) bool { return false }); err != nil {
		t.Error(err)
	}
	if seq, err := l.Cursor("mail"); seq != 0 || err != nil {
		t.Errorf("a new follower is at %d, %v", seq, err)
	}
	l.SetCursor("mail", 650)
	l.SetCursor("sms", 1<<40)
	for range 2 {
		if seq, err := l.Cursor("mail"); seq != 650 || err != nil {
			t.Errorf("mail is at %d, %v", seq, err)
		}
		if seq, err := l.Cursor("sms"); seq != 700 || err != nil {
			t.Errorf("sms is at %d, %v", seq, err)
		}
		flush(t, l)
	}
}
