package policy

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gate"

	"pgregory.net/rapid"
)

func grouped(n int) Config {
	c := config()
	c.Aggregate = Aggregate{IPv4: Grouping{24, n}, IPv6: Grouping{48, n}}
	return c
}

// brief is what decisions do, one a line.
func brief(ds []gate.Decision) string {
	var out []string
	for _, d := range ds {
		life := ""
		if d.Verdict == gate.Ban {
			life = " " + gate.FormatDuration(d.Life(d.Time))
		}
		out = append(out, d.Verdict.String()+" "+d.Subject.String()+life+" by "+d.Rule)
	}
	return strings.Join(out, "; ")
}

// An aggregate is one ban and the releases of those that it takes the place of;
// when fewer offenders would still be banned, they are banned by themselves again.
func TestAggregate(t *testing.T) {
	type see struct {
		after    time.Duration
		rule, at string
		want     string
	}
	for _, c := range []struct {
		name  string
		steps []see
	}{
		{"three neighbours", []see{
			{0, "sshd", "192.0.2.7", "ban 192.0.2.7 10m by sshd"},
			{time.Minute, "sshd", "192.0.2.8", "ban 192.0.2.8 10m by sshd"},
			{time.Minute, "sshd", "192.0.2.9", "ban 192.0.2.9 10m by sshd; ban 192.0.2.0/24 8m by aggregate; release 192.0.2.9 by aggregate; release 192.0.2.8 by aggregate; release 192.0.2.7 by aggregate"},
			{time.Minute, "sshd", "192.0.2.10", ""},
			{7 * time.Minute, "", "", "release 192.0.2.0/24 by aggregate; ban 192.0.2.9 2m by sshd; ban 192.0.2.8 1m by sshd"},
			{time.Minute, "", "", "release 192.0.2.8 by sshd"},
		}},
		{"of another network", []see{
			{0, "sshd", "192.0.2.7", "ban 192.0.2.7 10m by sshd"},
			{0, "sshd", "192.0.3.8", "ban 192.0.3.8 10m by sshd"},
			{0, "sshd", "192.0.2.9", "ban 192.0.2.9 10m by sshd"},
		}},
		{"other ports", []see{
			{0, "web", "192.0.2.7", "ban 192.0.2.7 20m by web"},
			{0, "sshd", "192.0.2.8", "ban 192.0.2.8 10m by sshd"},
			{0, "sshd", "192.0.2.9", "ban 192.0.2.9 10m by sshd"},
		}},
		{"one offender twice", []see{
			{0, "sshd", "192.0.2.7", "ban 192.0.2.7 10m by sshd"},
			{11 * time.Minute, "sshd", "192.0.2.7", "release 192.0.2.7 by sshd; ban 192.0.2.7 1h by sshd"},
			{0, "sshd", "192.0.2.8", "ban 192.0.2.8 10m by sshd"},
		}},
		{"an own address in it", []see{
			{0, "sshd", "203.0.113.7", "ban 203.0.113.7 10m by sshd"},
			{0, "sshd", "203.0.113.8", "ban 203.0.113.8 10m by sshd"},
			{0, "sshd", "203.0.113.10", "ban 203.0.113.10 10m by sshd"},
		}},
		{"attached directly", []see{
			{0, "sshd", "198.51.100.7", "ban 198.51.100.7 10m by sshd"},
			{0, "sshd", "198.51.100.8", "ban 198.51.100.8 10m by sshd"},
			{0, "sshd", "198.51.100.9", "ban 198.51.100.9 10m by sshd"},
		}},
		{"networks of IPv6", []see{
			{0, "sshd", "2001:db8:1:1::/64", "ban 2001:db8:1:1::/64 10m by sshd"},
			{0, "sshd", "2001:db8:1:2::/64", "ban 2001:db8:1:2::/64 10m by sshd"},
			{0, "sshd", "2001:db8:1:3::/64", "ban 2001:db8:1:3::/64 10m by sshd; ban 2001:db8:1::/48 10m by aggregate; release 2001:db8:1:3::/64 by aggregate; release 2001:db8:1:2::/64 by aggregate; release 2001:db8:1:1::/64 by aggregate"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, now := New(grouped(3), nil), t0
			for _, s := range c.steps {
				now = now.Add(s.after)
				var ds []gate.Decision
				if s.rule == "" {
					ds = p.Advance(now, host())
				} else {
					ds, _ = p.Decide([]gate.Finding{finding(s.rule, s.at, now)}, now, host())
				}
				if got := brief(ds); got != s.want {
					t.Errorf("%s at %s:\n got %s\nwant %s", s.at, now.Sub(t0), got, s.want)
				}
			}
		})
	}
}

// What a person says about a part of an aggregate, and about all of it.
func TestAggregateUndone(t *testing.T) {
	three := func() *Policy {
		p := New(grouped(3), nil)
		for _, a := range []string{"192.0.2.7", "192.0.2.8", "192.0.2.9"} {
			p.Decide([]gate.Finding{finding("sshd", a, t0)}, t0, host())
		}
		return p
	}
	for _, c := range []struct {
		name string
		do   func(*Policy) []gate.Decision
		want string
	}{
		{"the whole lifted", func(p *Policy) []gate.Decision {
			ds, _ := p.Decide([]gate.Finding{wishes(gate.Release, "192.0.2.0/24", nil)}, t0, host())
			return ds
		}, "release 192.0.2.0/24 by command"},
		{"all lifted", func(p *Policy) []gate.Decision {
			ds, _ := p.Decide([]gate.Finding{wishes(gate.Release, "", func(a *gate.Ask) { a.All = true })}, t0, host())
			return ds
		}, "release 192.0.2.0/24 by command"},
		{"one of them lifted", func(p *Policy) []gate.Decision {
			ds, _ := p.Decide([]gate.Finding{wishes(gate.Release, "192.0.2.7", nil)}, t0, host())
			return ds
		}, ""},
		{"one of them allowed", func(p *Policy) []gate.Decision {
			ds, _ := p.Decide([]gate.Finding{wishes(gate.Allow, "192.0.2.7", nil)}, t0, host())
			return ds
		}, "allow 192.0.2.7 by command; release 192.0.2.0/24 by aggregate; ban 192.0.2.9 10m by sshd; ban 192.0.2.8 10m by sshd"},
		{"one of them allowed by the configuration", func(p *Policy) []gate.Decision {
			return p.SetAllow([]AllowEntry{{Prefix: netip.MustParsePrefix("192.0.2.7/32")}}, t0, host())
		}, "release 192.0.2.0/24 by aggregate; ban 192.0.2.9 10m by sshd; ban 192.0.2.8 10m by sshd"},
		{"all of it allowed by the configuration", func(p *Policy) []gate.Decision {
			return p.SetAllow([]AllowEntry{{Prefix: netip.MustParsePrefix("192.0.0.0/16")}}, t0, host())
		}, "release 192.0.2.0/24 by aggregate"},
		{"somebody logs in from it", func(p *Policy) []gate.Decision {
			h := host()
			h.Sessions = append(h.Sessions, gate.Session{Peer: netip.MustParseAddr("192.0.2.8"), Port: 22, User: "root"})
			return p.Rejudge(t0, h)
		}, "release 192.0.2.0/24 by aggregate; ban 192.0.2.9 10m by sshd; ban 192.0.2.7 10m by sshd"},
		{"banned for longer by a person, then over", func(p *Policy) []gate.Decision {
			p.Decide([]gate.Finding{wishes(gate.Ban, "192.0.2.0/24", func(a *gate.Ask) { a.For = time.Hour })}, t0, host())
			return p.Advance(t0.Add(time.Hour), host())
		}, "release 192.0.2.0/24 by command"},
	} {
		if got := brief(c.do(three())); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// Who is banned, minute by minute, is whom a slow model has banned, across restarts:
// it keeps the end of each offender's ban, and the networks of which enough were
// banned at once.
func TestAggregateEqualsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := grouped(rapid.IntRange(2, 4).Draw(t, "offenders"))
		c.Networks = []Network{{Name: "near", Match: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/25")}, Ladder: []time.Duration{3 * time.Minute, gate.Forever}}}
		now := t0
		led := &records{forget: 90 * gate.Day, now: &now}
		inside := func(s gate.Subject) iter.Seq[gate.Record] { return slices.Values(led.all) }
		p := New(c, led.past)
		p.Remember(inside)
		var pool []netip.Addr
		for _, s := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.129", "192.0.2.130", "192.0.2.131", "192.0.3.1", "192.0.3.2", "203.0.113.1", "203.0.113.2", "203.0.113.3"} {
			pool = append(pool, netip.MustParseAddr(s))
		}
		ends := map[netip.Addr]time.Time{}
		offences := map[netip.Addr]int{}
		nets := map[netip.Prefix]time.Time{}
		live := func(a netip.Addr) bool {
			end, ok := ends[a]
			return ok && (end.IsZero() || end.After(now))
		}
		netOf := func(a netip.Addr) netip.Prefix { n, _ := a.Prefix(24); return n }
		banned := func(a netip.Addr) bool {
			end, ok := nets[netOf(a)]
			return live(a) || ok && (end.IsZero() || end.After(now))
		}
		for range rapid.IntRange(1, 40).Draw(t, "calls") {
			now = now.Add(rapid.SampledFrom([]time.Duration{0, time.Second, time.Minute, 4 * time.Minute, 11 * time.Minute, time.Hour}).Draw(t, "step"))
			switch rapid.IntRange(0, 5).Draw(t, "op") {
			case 0:
				led.add(p.Advance(now, host()))
			case 1: // a restart
				led.add(p.Advance(now, host()))
				p = New(c, led.past)
				p.Remember(inside)
				for _, r := range led.all {
					p.Restore(r, true)
				}
				led.add(p.Advance(now, host()))
			default:
				a := rapid.SampledFrom(pool).Draw(t, "address")
				ds, _ := p.Decide([]gate.Finding{finding("sshd", a.String(), now)}, now, host())
				led.add(ds)
				if banned(a) {
					break
				}
				ladder := []time.Duration{10 * time.Minute, time.Hour, gate.Day}
				if c.Networks[0].Match[0].Contains(a) {
					ladder = c.Networks[0].Ladder
				}
				offences[a]++
				ends[a] = time.Time{}
				if life := ladder[min(offences[a], len(ladder))-1]; life != gate.Forever {
					ends[a] = now.Add(life)
				}
				var of []time.Time
				for o := range ends {
					if netOf(o) == netOf(a) && live(o) {
						of = append(of, ends[o])
					}
				}
				if len(of) >= c.Aggregate.IPv4.Offenders && netOf(a).String() != "203.0.113.0/24" { // which holds a resolver
					slices.SortFunc(of, func(a, b time.Time) int { return lasts(nanos(b), nanos(a)) })
					nets[netOf(a)] = of[c.Aggregate.IPv4.Offenders-1]
				}
			}
			led.add(p.Advance(now, host()))
			for _, a := range pool {
				if got := len(p.Covering(gate.AddrSubject(a))) > 0; got != banned(a) {
					var told []string
					for _, r := range led.all {
						told = append(told, fmt.Sprintf("%s %s %s until %s: %s", r.Time.Sub(t0), r.Verdict, r.Subject, stamp(r.Until), r.Why))
					}
					t.Fatalf("%s at %s: banned %v, want %v\n%s", a, now.Sub(t0), got, banned(a), strings.Join(told, "\n"))
				}
			}
		}
	})
}

// Bans end early by rule, network or origin, also those that are in force when the
// configuration says so.
func TestRetire(t *testing.T) {
	c := config()
	c.Networks = []Network{{Name: "lan", Match: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}}
	clauses := []Retire{{After: 5 * gate.Day, Network: "lan"}, {After: gate.Day, Rule: "ssh22"}, {After: 2 * gate.Day, Origin: "command"}}
	ask := func(s string) gate.Finding { return wishes(gate.Ban, s, nil) }
	for _, s := range []struct {
		f    gate.Finding
		want string // under the clauses
	}{
		{ask("192.0.2.7"), "ban 192.0.2.7 5d by command"},
		{ask("192.0.3.7"), "ban 192.0.3.7 2d by command"},
		{finding("ssh22", "192.0.3.8", t0), "ban 192.0.3.8 1h by ssh22"},
		{finding("sshd", "192.0.3.9", t0), "ban 192.0.3.9 10m by sshd"},
	} {
		with := c
		with.Retire = clauses
		d, a := decide(t, New(with, nil), s.f, t0, host())
		if got := brief([]gate.Decision{d}); got != s.want || s.f.Ask != nil && !a.Until.Equal(d.Until) {
			t.Errorf("%s, want %s; the answer says %v", got, s.want, a.Until)
		}
		p := New(c, nil)
		p.Decide([]gate.Finding{s.f}, t0, host())
		later := t0.Add(time.Minute)
		ds := p.Reconfigure(with, later, host())
		for b := range p.Bans() {
			if !b.Until.Equal(d.Until) {
				t.Errorf("after a reload %s ends %v, want %v", b.Subject, b.Until, d.Until)
			}
		}
		if short := s.f.Ask != nil; short != (len(ds) == 1) {
			t.Errorf("after a reload: %s", brief(ds))
		}
		if ds := p.Reconfigure(with, later, host()); len(ds) != 0 {
			t.Errorf("after another reload: %s", brief(ds))
		}
	}
	p := New(c, nil)
	p.Decide([]gate.Finding{ask("192.0.2.7")}, t0, host())
	c.Retire = clauses
	if got := brief(p.Reconfigure(c, t0.Add(6*gate.Day), host())); got != "release 192.0.2.7 by command" {
		t.Error(got)
	}
}
