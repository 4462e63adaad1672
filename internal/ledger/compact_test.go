package ledger

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

// TestCompact pins what retention takes away and what it never does.
func TestCompact(t *testing.T) {
	now := t0
	l, _ := start(t, t.TempDir(), Options{Forget: 90 * gate.Day, Now: func() time.Time { return now }})
	at := func(days int, v gate.Verdict, s string, change func(*gate.Decision)) gate.Decision {
		d := gate.Decision{Time: t0.Add(time.Duration(days) * gate.Day), Verdict: v, Subject: subject(t, s), Rule: "x"}
		change(&d)
		return d
	}
	plain := func(*gate.Decision) {}
	offence := func(d *gate.Decision) { d.Offence, d.Until = 1, d.Time.Add(time.Hour) }
	commit(t, l, Txn{Decisions: []gate.Decision{
		at(-400, gate.Ban, "192.0.2.1", plain),                                            // 1: for ever: in force
		at(-400, gate.Ban, "192.0.2.2", offence),                                          // 2: long over
		at(-400, gate.Ban, "192.0.2.3", plain),                                            // 3: released
		at(-399, gate.Release, "192.0.2.3", plain),                                        // 4: as such
		at(-398, gate.Allow, "192.0.2.0/24", plain),                                       // 5: in force
		at(-60, gate.Ban, "192.0.2.4", offence),                                           // 6: counts for 90 days
		at(-60, gate.Tell, "192.0.2.4", plain),                                            // 7: old
		at(-29, gate.Tell, "192.0.2.4", plain),                                            // 8: young
		at(-40, gate.Tell, "192.0.2.4", plain),                                            // 9: old, out of order
		at(-3, gate.Ban, "192.0.2.5", func(d *gate.Decision) { d.Until = d.Time.Add(1) }), // 10: over, but not for long
		at(0, gate.Tell, "192.0.2.6", plain),                                              // 11: the newest
	}})
	compact := func(what string, keep time.Duration, seqs ...uint64) {
		t.Helper()
		if err := l.Compact(t.Context(), keep); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		wantSeqs(t, what, records(t, l, Query{}), seqs...)
	}
	all := []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	compact("zero keeps all", 0, all...)
	compact("for ever keeps all", gate.Forever, all...)
	compact("a year", 365*gate.Day, 1, 5, 6, 7, 8, 9, 10, 11)
	now = t0.Add(-1000 * gate.Day)
	compact("a clock that is behind", 30*gate.Day, 1, 5, 6, 7, 8, 9, 10, 11)
	now = t0.Add(10000 * gate.Day)
	compact("a clock that runs ahead", 30*gate.Day, 1, 5, 6, 8, 10, 11)
	now = t0
	compact("an hour", time.Hour, 1, 5, 6, 10, 11) // 10 may still be asked for as lapsed
	if n, _ := l.Past(subject(t, "192.0.2.4")); n != 1 {
		t.Errorf("%d offences, want 1", n)
	}
	var lapsed []uint64
	for r, err := range l.Lapsed() {
		if err != nil {
			t.Fatal(err)
		}
		lapsed = append(lapsed, r.Seq)
	}
	if len(lapsed) != 1 || lapsed[0] != 10 {
		t.Errorf("lapsed are %v, want 10: others are long over", lapsed)
	}
	if rs := commit(t, l, Txn{Decisions: bans(0, 1)}); rs[0].Seq != 12 {
		t.Errorf("the next number is %d, want 12", rs[0].Seq)
	}
}

// TestCompactShrinks pins that space goes back to the disk, and that decisions
// are committed meanwhile.
func TestCompactShrinks(t *testing.T) {
	l, _ := start(t, t.TempDir(), Options{Forget: gate.Day})
	var old []gate.Decision
	for n := range 20_000 / slow {
		d := withProof(ban(n), 2)
		d.Time, d.Until = t0.Add(-400*gate.Day), t0.Add(-300*gate.Day)
		old = append(old, d)
	}
	commit(t, l, Txn{Decisions: old})
	commit(t, l, Txn{Decisions: bans(50_000, 50_010)})
	size := func() int64 {
		if err := l.do(t.Context(), func() error { l.copyBack(); return nil }); err != nil {
			t.Fatal(err)
		}
		fi, err := os.Stat(l.Path())
		if err != nil {
			t.Fatal(err)
		}
		return fi.Size()
	}
	before := size()
	done := make(chan error, 1)
	go func() { done <- l.Compact(t.Context(), 365*gate.Day) }()
	n := 60_000
	for compacting := true; compacting; n++ {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			compacting = false
		default:
		}
		commit(t, l, Txn{Decisions: bans(n, n+1)})
	}
	if after := size(); after > before/4+4096*spareFree {
		t.Errorf("%d bytes before, %d after", before, after)
	}
	if got := records(t, l, Query{Limit: 30_000, Bare: true}); len(got) != 10+n-60_000 {
		t.Errorf("%d records are left, want %d", len(got), 10+n-60_000)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Compact(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
