package detect

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gate"

	"pgregory.net/rapid"
)

// pest mixes three watches, crowd sees those of one network who take turns.
func scored2() Config {
	return Config{
		Watches: []Watch{{Name: "sshd", Threshold: gate.Threshold{Count: 100, Within: time.Hour}}, {Name: "scan", Threshold: gate.Threshold{Count: 100, Within: time.Hour}}},
		Scores: []Score{
			{Name: "pest", Limit: 10, HalfLife: time.Hour, Weights: map[string]float64{"sshd": 2, "scan": 3}},
			{Name: "crowd", Limit: 6, HalfLife: 10 * time.Minute, Weights: map[string]float64{"sshd": 1}, IPv4: 24, IPv6: 48, Addresses: 3},
		},
	}
}

func TestScores(t *testing.T) {
	type ev struct {
		after      time.Duration
		rule, from string
		class      gate.Class
		evidence   gate.Evidence
	}
	many := func(n int, e ev) (out []ev) {
		for range n {
			out = append(out, e)
		}
		return out
	}
	fail := func(after time.Duration, rule, from string) ev {
		return ev{after, rule, from, gate.ClassFailure, gate.Proven}
	}
	forged := func(rule, from string) ev { return ev{0, rule, from, gate.ClassFailure, gate.Forgeable} }
	for _, c := range []struct {
		name   string
		events []ev
		want   string
	}{
		{"logs and scans of one address", []ev{fail(0, "scan", "192.0.2.7"), fail(0, "sshd", "192.0.2.7"), fail(0, "sshd", "192.0.2.7"), fail(0, "scan", "192.0.2.7")}, "pest 192.0.2.7 proven 4"},
		{"short of it", []ev{fail(0, "scan", "192.0.2.7"), fail(0, "scan", "192.0.2.7"), fail(0, "scan", "192.0.2.7")}, ""},
		{"points fade", []ev{fail(0, "scan", "192.0.2.7"), fail(0, "scan", "192.0.2.7"), fail(time.Hour, "scan", "192.0.2.7"), fail(0, "scan", "192.0.2.7")}, ""},
		{"so slowly that it still counts", []ev{fail(0, "scan", "192.0.2.7"), fail(0, "scan", "192.0.2.7"), fail(10*time.Minute, "scan", "192.0.2.7"), fail(0, "scan", "192.0.2.7")}, "pest 192.0.2.7 proven 4"},
		{"a watch without points", many(20, fail(0, "web", "192.0.2.7")), ""},
		{"what anyone can forge", many(4, forged("scan", "192.0.2.7")), "pest 192.0.2.7 forgeable 4"},
		{"forged beside one honest mistake", append(many(3, forged("scan", "192.0.2.7")), fail(0, "sshd", "192.0.2.7")), "pest 192.0.2.7 forgeable 4"},
		{"hints and keys add nothing", many(20, ev{0, "sshd", "192.0.2.7", gate.ClassKey, gate.Proven}), ""},
		{"three take turns", []ev{fail(0, "sshd", "192.0.2.1"), fail(0, "sshd", "192.0.2.2"), fail(0, "sshd", "192.0.2.1"), fail(0, "sshd", "192.0.2.2"), fail(0, "sshd", "192.0.2.3"), fail(0, "sshd", "192.0.2.3")}, "crowd 192.0.2.0/24 proven 6"},
		{"two do", []ev{fail(0, "sshd", "192.0.2.1"), fail(0, "sshd", "192.0.2.2"), fail(0, "sshd", "192.0.2.1"), fail(0, "sshd", "192.0.2.2"), fail(0, "sshd", "192.0.2.1"), fail(0, "sshd", "192.0.2.2")}, ""},
		{"three of IPv6", []ev{fail(0, "sshd", "2001:db8:1:1::1"), fail(0, "sshd", "2001:db8:1:2::1"), fail(0, "sshd", "2001:db8:1:3::1"), fail(0, "sshd", "2001:db8:1:4::1"), fail(0, "sshd", "2001:db8:1:5::1"), fail(0, "sshd", "2001:db8:1:6::1")}, "crowd 2001:db8:1::/48 proven 6"},
	} {
		for _, restart := range []bool{false, true} {
			d, now := New(scored2()), time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
			var got []string
			for i, v := range c.events {
				now = now.Add(v.after)
				e := gate.Event{Time: now, Origin: gate.Origin{Source: "file:/log", Offset: int64(i)}, Rule: v.rule, Subject: gate.AddrSubject(netip.MustParseAddr(v.from)), Class: v.class, Evidence: v.evidence, Line: strings.Repeat("x", 500)}
				for _, f := range d.Observe([]gate.Event{e}, now, nil) {
					got = append(got, fmt.Sprintf("%s %s %s %d", f.Rule, f.Subject, f.Evidence, f.Proof.Count))
					if f.Last.IsValid() {
						t.Errorf("%s: one is to bear it: %s", c.name, f.Last)
					}
				}
				if restart {
					snap := d.Snapshot()
					d = New(scored2())
					if err := d.Restore(snap); err != nil {
						t.Fatal(err)
					}
				}
			}
			if strings.Join(got, "; ") != c.want {
				t.Errorf("%s (restarts %v): %q, want %q", c.name, restart, got, c.want)
			}
		}
	}
}

// Points are the sum of what each event added and has left; nothing else is.
func TestScoreEqualsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := scored2()
		d, now := New(c), time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
		type point struct {
			at     time.Time
			points float64
			proven bool
			from   string
		}
		pools := []map[string][]point{{}, {}}
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			now = now.Add(rapid.SampledFrom([]time.Duration{0, time.Second, time.Minute, 20 * time.Minute}).Draw(t, "step"))
			from := rapid.SampledFrom([]string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.3.1"}).Draw(t, "from")
			rule := rapid.SampledFrom([]string{"sshd", "scan"}).Draw(t, "rule")
			at := now.Add(-rapid.SampledFrom([]time.Duration{0, time.Second, 5 * time.Minute}).Draw(t, "late"))
			proven := rapid.Bool().Draw(t, "proven")
			e := gate.Event{Time: at, Rule: rule, Subject: gate.AddrSubject(netip.MustParseAddr(from)), Class: gate.ClassFailure, Evidence: gate.Forgeable}
			if proven {
				e.Evidence = gate.Proven
			}
			got := map[string]string{}
			for _, f := range d.Observe([]gate.Event{e}, now, nil) {
				got[f.Rule] = f.Subject.String() + " " + f.Evidence.String()
			}
			for i, s := range c.Scores {
				w := s.Weights[rule]
				if w == 0 {
					continue
				}
				who := from
				if s.IPv4 > 0 {
					who = netip.PrefixFrom(netip.MustParseAddr(from), s.IPv4).Masked().String()
				}
				ps := append(pools[i][who], point{at, w, proven, from})
				latest := at
				for _, p := range ps {
					if p.at.After(latest) {
						latest = p.at
					}
				}
				sum, sure, froms := 0.0, 0.0, map[string]bool{}
				for _, p := range ps {
					left := p.points * math.Exp2(-float64(latest.Sub(p.at))/float64(s.HalfLife))
					sum += left
					if p.proven {
						sure += left
					}
					if latest.Sub(p.at) <= halvingsKept*s.HalfLife {
						froms[p.from] = true
					}
				}
				want := ""
				if near := math.Abs(sum-s.Limit) < 1e-6 || math.Abs(sure-s.Limit) < 1e-6; near {
					t.Skip("too near to say")
				}
				if sum >= s.Limit && len(froms) >= s.Addresses {
					want, ps = who+" "+map[bool]string{true: "proven", false: "forgeable"}[sure >= s.Limit], nil
				}
				pools[i][who] = ps
				if got[s.Name] != want {
					t.Fatalf("%s: %q, want %q (%v points, %d addresses)", s.Name, got[s.Name], want, sum, len(froms))
				}
			}
		}
	})
}

// Memory is bounded, forgetting and reloading do what they say.
func TestScoreMemory(t *testing.T) {
	d, now := New(scored2()), time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	event := func(a netip.Addr) []gate.Event {
		return []gate.Event{{Time: now, Rule: "scan", Subject: gate.AddrSubject(a), Class: gate.ClassFailure, Evidence: gate.Proven}}
	}
	a := netip.MustParseAddr("192.0.2.1")
	for range 2 * maxScored {
		d.Observe(event(a), now, nil)
		a = a.Next()
	}
	if n := len(d.scores.byKey); n != maxScored {
		t.Errorf("%d are scored, want %d", n, maxScored)
	}
	last := a.Prev()
	d.Forget(gate.AddrSubject(last))
	if n := len(d.scores.byKey); n != maxScored-1 {
		t.Errorf("%d after one was forgotten", n)
	}
	c := scored2()
	c.Scores = append([]Score{{Name: "new", Limit: 1, HalfLife: time.Hour}}, c.Scores...)
	d.Reconfigure(c)
	if n := len(d.scores.byKey); n != maxScored-1 {
		t.Errorf("%d after a reload that leaves the score as it was", n)
	}
	c.Scores[1].Weights = map[string]float64{"scan": 1}
	d.Reconfigure(c)
	if n := len(d.scores.byKey); n != 0 {
		t.Errorf("%d after a reload that changes what points are worth", n)
	}
	d.Observe(event(a), now, nil)
	d.Advance(now.Add(13*time.Hour), nil)
	if n := len(d.scores.byKey); n != 0 {
		t.Errorf("%d after their points are gone", n)
	}
}
