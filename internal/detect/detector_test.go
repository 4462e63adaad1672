package detect

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

func threshold(s string) gate.Threshold {
	t, err := gate.ParseThreshold(s)
	if err != nil {
		panic(err)
	}
	return t
}

func one(s string) Config { return Config{Watches: []Watch{{Name: "sshd", Threshold: threshold(s)}}} }

func event(at time.Duration, class gate.Class, session uint64) gate.Event {
	return gate.Event{
		Time: t0.Add(at), Rule: "sshd", Subject: must("192.0.2.7"), Class: class, Evidence: gate.Proven,
		Origin: gate.Origin{Source: "file:/log", Offset: int64(at / time.Second)}, Detail: gate.Detail{Session: session},
	}
}

// What is counted after a story of events: `F1` is a Failure of session 1, H a
// Hint, K a Key, S a Success, I an Info; a comma is a second, a semicolon
// eleven minutes.
func TestSessions(t *testing.T) {
	classes := map[byte]gate.Class{'F': gate.ClassFailure, 'H': gate.ClassHint, 'K': gate.ClassKey, 'S': gate.ClassSuccess, 'I': gate.ClassInfo}
	for _, c := range []struct {
		story string
		want  int
	}{
		{"F0,F0,F0", 3}, // no session: each counts
		{"H0,K0", 2},
		{"S0,I0", 0},
		{"F1,F1", 2}, // each failure of a session counts
		{"H1,H1,H1", 1},
		{"K1,K1,K1,K1,K1", 1}, // an agent that offers five keys
		{"H1,K1", 1},
		{"H1,F1", 1}, // one wrong password with its hints
		{"H1,F1,H1", 1},
		{"F1,H1", 1},
		{"K1,F1,F1", 2},
		{"K1,K1,S1", 0}, // the right key at last
		{"S1,K1", 0},
		{"K1,S1,K1", 0},
		{"F1,K1,S1", 1}, // a failure stays
		{"K1,F1,S1", 1},
		{"K1,H1,S1", 1}, // so does a hint
		{"H1,K1,S1", 1},
		{"K1,S1,F1", 1},
		{"K1,S1,H1", 1},
		{"K1,K2,S1", 1},
		{"K1;S1", 0}, // by then the window is empty
		{"F1;H1", 1}, // and the session is another one
		{"H1,F1;H1", 1},
	} {
		d := New(one("100 in 10m"))
		at := time.Duration(0)
		for i := 0; i < len(c.story); i++ {
			switch c.story[i] {
			case ',':
				at += time.Second
			case ';':
				at += 11 * time.Minute
			default:
				d.Observe([]gate.Event{event(at, classes[c.story[i]], uint64(c.story[i+1]-'0'))}, t0, nil)
				i++
			}
		}
		got := 0
		for _, w := range d.Windows(must("192.0.2.7"), t0.Add(at)) {
			got += w.Count
		}
		if got != c.want {
			t.Errorf("%s: %d, want %d", c.story, got, c.want)
		}
	}
}

func TestThresholdIsInclusive(t *testing.T) {
	for _, c := range []struct {
		threshold string
		at        []int // seconds
		fires     int   // on which event, from 1; 0 = on none
	}{
		{"1 in 10m", []int{0}, 1},
		{"5 in 10m", []int{0, 1, 2, 3, 4}, 5},
		{"5 in 10m", []int{0, 1, 2, 3}, 0},
		{"2 in 10m", []int{0, 600}, 2},
		{"2 in 10m", []int{0, 601}, 0},
		{"3 in 10m", []int{0, 500, 700, 1100}, 4},
		{"2 in 10m", []int{700, 100}, 2}, // late, but within
		{"2 in 10m", []int{701, 100}, 0}, // from before the window
		{"2 in forever", []int{0, 1 << 30}, 2},
		{"2 in 90d", []int{0, 90 * 86400}, 2},
		{"2 in 90d", []int{0, 90*86400 + 1}, 0},
	} {
		d, fired := New(one(c.threshold)), 0
		for i, at := range c.at {
			e := event(time.Duration(at)*time.Second, gate.ClassFailure, 0)
			if fs := d.Observe([]gate.Event{e}, e.Time, nil); len(fs) > 0 {
				fired = i + 1
				if f := fs[0]; f.Proof.Count != d.slots[0].threshold.Count || f.Origin != e.Origin || f.Rule != "sshd" || f.Evidence != gate.Proven {
					t.Errorf("%s %v: finding %+v", c.threshold, c.at, f)
				}
			}
		}
		if fired != c.fires {
			t.Errorf("%s %v: fires on event %d, want %d", c.threshold, c.at, fired, c.fires)
		}
	}
}

// An event without an address belongs to the address of its session; one
// session never has two.
func TestSessionsKeepTheirAddress(t *testing.T) {
	d := New(one("3 in 10m"))
	known, bare := event(0, gate.ClassFailure, 7), event(time.Second, gate.ClassFailure, 7)
	bare.Subject = gate.Subject{}
	stray := bare
	stray.Detail.Session = 8
	other := event(2*time.Second, gate.ClassHint, 7)
	other.Subject = must("192.0.2.8")
	d.Observe([]gate.Event{known, bare, stray, other}, t0, nil)
	for addr, want := range map[string]int{"192.0.2.7": 2, "192.0.2.8": 1} {
		if w := d.Windows(must(addr), t0); len(w) != 1 || w[0].Count != want || w[0].Proof.Count != want || len(w[0].Proof.First) != want {
			t.Errorf("%s: %+v", addr, w)
		}
	}
}

func TestIPv6(t *testing.T) {
	c := one("100 in 10m")
	c.Single = []netip.Prefix{netip.MustParsePrefix("2001:db8:1::/64")}
	d := New(c)
	for _, a := range []string{"2001:db8::1", "2001:db8::2", "2001:db8:1::1", "2001:db8:1::2", "fe80::1", "fe80::2"} {
		e := event(0, gate.ClassFailure, 0)
		e.Subject = must(a)
		d.Observe([]gate.Event{e}, t0, nil)
	}
	for s, want := range map[string]int{"2001:db8::9": 2, "2001:db8::/64": 2, "2001:db8:1::1": 1, "2001:db8:1::3": 0, "2001:db8:1::/64": 2, "fe80::1": 1, "::/0": 6, "192.0.2.1": 0} {
		n := 0
		for _, w := range d.Windows(must(s), t0) {
			n += w.Count
		}
		if n != want {
			t.Errorf("%s: %d, want %d", s, n, want)
		}
	}
	d.Forget(must("2001:db8::/32"))
	if n := d.Stats().Windows; n != 2 {
		t.Errorf("%d windows are left, want those of fe80", n)
	}
}

// Whatever arrives, the bounds hold, and the least recently used window goes.
func TestBounds(t *testing.T) {
	c := one("100 in 10m")
	c.MaxSubjects, c.MaxSessions, c.EvidenceBytes = 100, 50, 3*pageBytes
	d := New(c)
	for i := range 5000 {
		e := event(time.Duration(i)*time.Second/10, gate.ClassFailure, uint64(i))
		e.Subject = gate.AddrSubject(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
		e.Line = strings.Repeat("x", 500)
		d.Observe([]gate.Event{e}, e.Time, nil)
		if s := d.Stats(); s.Windows > 100 || s.Sessions > 50 || s.Evidence > 3*pageBytes {
			t.Fatalf("after %d: %+v", i, s)
		}
	}
	if len(d.Windows(must("10.0.19.135"), t0.Add(500*time.Second))) != 1 || len(d.Windows(must("10.0.18.1"), t0.Add(500*time.Second))) != 0 {
		t.Error("not the least recently used windows went")
	}
	if s := d.Stats(); s.Evicted != 4900 {
		t.Errorf("%+v", s)
	}
	c.MaxSubjects, c.MaxSessions = 10, 5
	d.Reconfigure(c)
	if s := d.Stats(); s.Windows != 10 || s.Sessions != 5 {
		t.Errorf("%+v", s)
	}
}

// A threshold of thousands takes no more memory than MaxEvents.
func TestMaxEvents(t *testing.T) {
	c := one("5000 in 1d")
	c.MaxEvents = 10_000
	d := New(c)
	for i := range 100_000 {
		e := event(time.Duration(i)*time.Millisecond, gate.ClassFailure, 0)
		e.Subject = gate.AddrSubject(netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 100)}))
		d.Observe([]gate.Event{e}, e.Time, nil)
		if d.windows.blocks.entries > c.MaxEvents {
			t.Fatalf("after %d: %d entries", i, d.windows.blocks.entries)
		}
	}
}

// Over the budget there are fewer lines, but the count is true.
func TestEvidenceBudget(t *testing.T) {
	for _, b := range []struct{ bytes, least, most int }{
		{-1, 1, 1}, // what crossed the threshold is always there
		{pageBytes, 1, 10},
		{0, gate.ProofFirst + gate.ProofLast, gate.ProofFirst + gate.ProofLast},
	} {
		c := one("40 in 10m")
		c.EvidenceBytes = b.bytes
		d := New(c)
		var fs []gate.Finding
		for i := range 40 {
			for noise := range 50 {
				e := event(time.Duration(i)*time.Second, gate.ClassFailure, 0)
				e.Subject = gate.AddrSubject(netip.AddrFrom4([4]byte{10, 0, byte(i), byte(noise)}))
				e.Line = strings.Repeat("x", 400)
				d.Observe([]gate.Event{e}, t0, nil)
			}
			e := event(time.Duration(i)*time.Second, gate.ClassFailure, 0)
			e.Line = fmt.Sprint(i)
			fs = d.Observe([]gate.Event{e}, t0, fs)
		}
		if len(fs) != 1 || fs[0].Proof.Count != 40 {
			t.Fatalf("%+v", fs)
		}
		p := fs[0].Proof
		kept := len(p.First) + len(p.Last)
		if kept < b.least || kept > b.most {
			t.Errorf("budget %d: %d lines kept", b.bytes, kept)
		}
		if b.bytes == 0 && (p.First[0].Line != "0" || p.First[7].Line != "7" || p.Last[0].Line != "16" || p.Last[23].Line != "39") {
			t.Errorf("not the first and the last lines: %+v", p)
		}
	}
}

// Evidence goes with the windows that it belongs to.
func TestEvidenceIsReleased(t *testing.T) {
	d := New(one("3 in 10m"))
	for i := range 20_000 {
		e := event(time.Duration(i)*time.Second, gate.ClassFailure, 0)
		e.Line = strings.Repeat("x", 400)
		d.Observe([]gate.Event{e}, e.Time, nil)
	}
	if s := d.Stats(); s.Evidence > 2*pageBytes || s.Windows > 1 {
		t.Errorf("%+v", s)
	}
}

// What is over goes by itself, and an idle detector has nothing pending.
func TestAdvance(t *testing.T) {
	d := New(Config{Watches: []Watch{{Name: "sshd", Threshold: threshold("5 in 10m")}, {Name: "ever", Threshold: threshold("5 in forever")}}})
	if !d.Next().IsZero() {
		t.Error("something is pending")
	}
	a, b := event(0, gate.ClassFailure, 1), event(0, gate.ClassFailure, 0)
	b.Rule = "ever"
	d.Observe([]gate.Event{a, b}, t0, nil)
	calls, now := 0, t0
	for next := d.Next(); !next.IsZero(); next = d.Next() {
		if !next.After(now) || calls > 5 || next.Second() != 0 {
			t.Fatalf("call %d: next is %v", calls, next)
		}
		now = next
		d.Advance(now, nil)
		calls++
	}
	if s := d.Stats(); s.Windows != 1 || s.Sessions != 0 {
		t.Errorf("%+v", s)
	}
}

// A source that is read again long after a restart finds its windows.
func TestRestoreAfterALongTime(t *testing.T) {
	d := New(one("2 in 10m"))
	d.Observe([]gate.Event{event(0, gate.ClassFailure, 0)}, t0, nil)
	fresh := New(one("2 in 10m"))
	if err := fresh.Restore(d.Snapshot()); err != nil {
		t.Fatal(err)
	}
	now := t0.Add(9 * time.Hour)
	fresh.Advance(now, nil)
	if fs := fresh.Observe([]gate.Event{event(time.Minute, gate.ClassFailure, 0)}, now, nil); len(fs) != 1 {
		t.Errorf("%d findings", len(fs))
	}
}

func TestRestoreRefusesDamage(t *testing.T) {
	d := New(one("5 in 10m"))
	d.Observe([]gate.Event{event(0, gate.ClassFailure, 1), event(time.Second, gate.ClassFailure, 2)}, t0, nil)
	snap := d.Snapshot()
	for i := range snap {
		bad := append([]byte(nil), snap...)
		bad[i] ^= 0x40
		if err := d.Restore(bad); !errors.Is(err, ErrDamaged) || d.Stats().Windows != 0 {
			t.Fatalf("byte %d: %v", i, err)
		}
		if err := d.Restore(snap[:i]); !errors.Is(err, ErrDamaged) {
			t.Fatalf("%d bytes: %v", i, err)
		}
	}
	if err := d.Restore(snap); err != nil || d.Stats().Windows != 1 {
		t.Fatal(err)
	}
	d.Reconfigure(one("6 in 10m"))
	if err := d.Restore(snap); err != nil || d.Stats().Windows != 0 {
		t.Fatalf("windows of another threshold were restored: %v, %+v", err, d.Stats())
	}
}

// Watches come and go; windows stay where name and threshold are the same.
func TestReconfigure(t *testing.T) {
	c := Config{Watches: []Watch{{Name: "a", Threshold: threshold("5 in 10m")}, {Name: "sshd", Threshold: threshold("5 in 10m")}, {Name: "c", Threshold: threshold("5 in 10m")}}}
	d := New(c)
	for _, r := range []string{"a", "sshd", "c"} {
		e := event(0, gate.ClassFailure, 3)
		e.Rule = r
		d.Observe([]gate.Event{e}, t0, nil)
	}
	d.Reconfigure(Config{Watches: []Watch{{Name: "new", Threshold: threshold("5 in 10m")}, {Name: "c", Threshold: threshold("4 in 10m")}, {Name: "sshd", Threshold: threshold("5 in 10m")}}})
	if w := d.Windows(must("192.0.2.7"), t0); len(w) != 1 || w[0].Rule != "sshd" {
		t.Errorf("%+v", w)
	}
	if s := d.Stats(); s.Sessions != 1 {
		t.Errorf("%+v", s)
	}
}

// The usual paths cost the collector nothing.
func TestObserveAllocatesNothing(t *testing.T) {
	d := New(one("1000000 in 10m"))
	var batch []gate.Event
	for i := range 64 {
		e := event(time.Duration(i), gate.ClassFailure, uint64(i%8))
		e.Line, e.Detail.User, e.Detail.Via = "a line", "root", "host"
		e.Subject = must(fmt.Sprintf("192.0.2.%d", i%8))
		switch i % 16 {
		case 1:
			e.Rule = "unknown"
		case 2:
			e.Class = gate.ClassInfo
		case 3:
			e.Class = gate.ClassSuccess
		case 4:
			e.Subject = must("2001:db8::1")
		}
		batch = append(batch, e)
	}
	i := 0
	observe := func() {
		for range 20 {
			for j := range batch {
				batch[j].Time = batch[j].Time.Add(time.Minute)
			}
			d.Observe(batch, t0, nil)
		}
		i++
	}
	observe()
	if n := testing.AllocsPerRun(20, observe); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Restore takes what Snapshot made, refuses anything else, and never fails
// otherwise; what it takes can be counted on.
func FuzzRestoreIsSafe(f *testing.F) {
	seed := New(Config{Watches: modelWatches})
	for i, r := range []string{"five", "many", "ever", "three"} {
		e := event(time.Duration(i)*time.Second, gate.ClassFailure, uint64(i))
		e.Rule = r
		seed.Observe([]gate.Event{e}, t0, nil)
	}
	f.Add(seed.Snapshot())
	f.Add(New(Config{}).Snapshot())
	f.Fuzz(func(t *testing.T, b []byte) {
		d := New(Config{Watches: modelWatches, MaxSubjects: 50, MaxEvents: 100, MaxSessions: 10, EvidenceBytes: 2 * pageBytes})
		if len(b) > 4 { // a right checksum, so that the rest is reached
			b = seal(b[:len(b)-4])
		}
		if d.Restore(b) != nil {
			if s := d.Stats(); s != (Stats{}) {
				t.Fatalf("not empty: %+v", s)
			}
		}
		for i := range 30 {
			e := event(time.Duration(i)*time.Minute, gate.Class(i%5+1), uint64(i%4))
			e.Rule = modelWatches[i%len(modelWatches)].Name
			d.Observe([]gate.Event{e}, e.Time, nil)
		}
		d.Windows(must("::/0"), t0)
		d.Forget(must("192.0.2.7"))
		if err := New(d.config).Restore(d.Snapshot()); err != nil {
			t.Fatal(err)
		}
		d.Advance(t0.Add(time.Hour), nil)
	})
}
