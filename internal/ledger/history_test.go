package ledger

import (
	"context"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

// TestHistorySwitchesNothing: bans that were over before they came here count as
// offences, once, and neither put anything into force nor take it away.
func TestHistorySwitchesNothing(t *testing.T) {
	l, err := Open(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	defer func() { cancel(); <-done; l.Close() }()
	now := time.Now()
	s, err := gate.ParseSubject("192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	live := gate.Decision{Time: now, Until: now.Add(time.Hour), Verdict: gate.Ban, Subject: s, Rule: "sshd", Origin: gate.Origin{Source: "a", Offset: 1}, Offence: 1, Why: "live"}
	l.Append(Txn{Decisions: []gate.Decision{live}})
	var past []gate.Decision
	for i := range 100 {
		at := now.Add(-time.Duration(200-i) * time.Hour)
		past = append(past, gate.Decision{Time: at, Until: at.Add(time.Minute), Verdict: gate.Ban, Subject: s, Rule: "sshd", Origin: gate.Origin{Source: "fail2ban", Offset: at.Unix()}, Offence: i + 1, Why: "past"})
	}
	for range 2 {
		l.Append(Txn{Decisions: past, History: true})
		if err := l.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for r, err := range l.Left() {
		if err != nil {
			t.Fatal(err)
		}
		if n++; r.Why != "live" {
			t.Errorf("in force is %+v", r.Decision)
		}
	}
	if n != 1 {
		t.Errorf("%d decisions in force, want 1", n)
	}
	if count, last := l.Past(s); count != 101 || !last.Equal(live.Time) {
		t.Errorf("%d offences, the last at %v", count, last)
	}
	if got := l.Newest(); got != 101 {
		t.Errorf("%d records, want 101", got)
	}
}
