package ledger

import (
	"slices"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

// What was said about ports is left behind in its order, as far as it still
// counts: the newest of the same ports, place and kind, those that end apart from
// those that do not.
func TestPortsLeft(t *testing.T) {
	at := func(verdict gate.Verdict, subject, rule string, after, lasts time.Duration) gate.Decision {
		s, err := gate.ParseSubject(subject)
		if err != nil {
			t.Fatal(err)
		}
		d := gate.Decision{Time: t0.Add(after), Verdict: verdict, Subject: s, Rule: rule, Topic: "svc"}
		if lasts > 0 {
			d.Until = d.Time.Add(lasts)
		}
		return d
	}
	const c, o, r, in22, in80 = gate.Close, gate.Open, gate.Release, "port:22/tcp/in", "port:80/tcp/in"
	for _, k := range []struct {
		name string
		said []gate.Decision
		left []int // of said
	}{
		{"an opening takes the place of a closing", []gate.Decision{at(c, in22, "command", 0, 0), at(o, in22, "command", 1, 0)}, []int{1}},
		{"what ends lies over what does not", []gate.Decision{at(c, in22, "command", 0, 0), at(o, in22, "command", 1, time.Hour)}, []int{0, 1}},
		{"said again, the newest says how long", []gate.Decision{at(o, in22, "command", 0, time.Hour), at(o, in22, "remote", 1, time.Minute)}, []int{1}},
		{"taking back stays, for what was said of parts of it", []gate.Decision{at(c, in22, "command", 0, 0), at(r, in22, "command", 1, 0)}, []int{1}},
		{"a schedule is apart", []gate.Decision{at(c, in22, "schedule", 0, time.Hour), at(c, in22, "command", 1, time.Hour)}, []int{0, 1}},
		{"what is over goes when more is said", []gate.Decision{at(o, in22, "command", 0, time.Second), at(c, in80, "command", 48*time.Hour, 0)}, []int{1}},
	} {
		dir := t.TempDir()
		l, _ := start(t, dir, Options{})
		commit(t, l, Txn{Decisions: k.said})
		var got []int
		for live, err := range l.Left() {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, slices.IndexFunc(k.said, func(d gate.Decision) bool {
				return d.Time.Equal(live.Time) && d.Verdict == live.Verdict && d.Subject == live.Subject && d.Topic == live.Topic
			}))
		}
		if !slices.Equal(got, k.left) {
			t.Errorf("%s: left %v, want %v", k.name, got, k.left)
		}
	}
}
