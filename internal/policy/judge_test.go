package policy

import (
	"net/netip"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

// step is one call in a story: what comes, and the decision that follows.
type step struct {
	after time.Duration // since the step before
	f     gate.Finding  // happens at the time of the step
	want  string        // `verdict subject life why`; "" = no decision
}

func (s step) at(d time.Duration) step { s.after = d; return s }

func see(rule, subject, want string) step {
	return step{f: finding(rule, subject, t0), want: want}
}

func forged(rule, subject, want string) step {
	s := see(rule, subject, want)
	s.f.Evidence = gate.Forgeable
	return s
}

func text(d gate.Decision) string {
	if d.Verdict == gate.VerdictNone {
		return ""
	}
	life := gate.FormatDuration(d.Life(d.Time))
	if d.Verdict != gate.Ban {
		life = "-"
	}
	scope := d.Scope.Ports.String()
	if scope == "" {
		scope = "all"
	}
	if d.Scope.New {
		scope += "/new"
	}
	return d.Verdict.String() + " " + d.Subject.String() + " " + scope + " " + life + ": " + d.Why
}

const fived = "5 failed logins in 3m20s (sshd allows 4 in 10m)"

// Each story shows one rule. Releases of bans that are over come as decisions
// of their own and are left out here.
func TestStories(t *testing.T) {
	for _, c := range []struct {
		name  string
		past  Past
		setup func(p *Policy)
		steps []step
	}{
		{name: "the ladder climbs, and its last step stays", steps: []step{
			see("sshd", "192.0.2.7", "ban 192.0.2.7 all 10m: "+fived+"; first offence, so 10m"),
			see("sshd", "192.0.2.7", "ban 192.0.2.7 all 1h: "+fived+"; second offence within 90d, so 1h").at(20 * time.Minute),
			see("sshd", "192.0.2.7", "ban 192.0.2.7 all 1d: "+fived+"; third offence within 90d, so 1d").at(2 * time.Hour),
			see("sshd", "192.0.2.7", "ban 192.0.2.7 all 1d: "+fived+"; fourth offence within 90d, so 1d").at(2 * gate.Day),
		}},
		{name: "a ladder may end with forever", steps: []step{
			see("ssh22", "192.0.2.7", "ban 192.0.2.7 22/tcp 1h: 5 failed logins in 3m20s (ssh22 allows 4 in 10m); first offence, so 1h on 22/tcp"),
			see("ssh22", "192.0.2.7", "ban 192.0.2.7 22/tcp forever: 5 failed logins in 3m20s (ssh22 allows 4 in 10m); second offence within 90d, so forever on 22/tcp").at(2 * time.Hour),
			see("ssh22", "192.0.2.7", "").at(100 * gate.Day),
		}},
		{name: "an offence is forgotten after 90d", steps: []step{
			see("sshd", "192.0.2.7", "ban 192.0.2.7 all 10m: "+fived+"; first offence, so 10m"),
			see("sshd", "192.0.2.7", "ban 192.0.2.7 all 10m: "+fived+"; first offence, so 10m").at(90*gate.Day + time.Second),
		}},
		{name: "the ledger's history counts", past: func(gate.Subject) (int, time.Time) { return 11, t0.Add(-gate.Day) }, steps: []step{
			see("sshd", "192.0.2.7", "ban 192.0.2.7 all 1d: "+fived+"; 12th offence within 90d, so 1d"),
		}},
		{name: "findings during a ban join it and never climb", steps: []step{
			see("sshd", "192.0.2.7", "ban 192.0.2.7 all 10m: "+fived+"; first offence, so 10m"),
			see("sshd", "192.0.2.7", "").at(time.Second),
			see("web", "192.0.2.7", "").at(time.Second),
			see("sshd", "192.0.2.7", "ban 192.0.2.7 all 1h: "+fived+"; second offence within 90d, so 1h").at(10 * time.Minute),
		}},
		{name: "what lies in a banned prefix joins its ban", setup: func(p *Policy) {
			p.Decide([]gate.Finding{wishes(gate.Ban, "192.0.2.0/24", nil)}, t0, gate.Host{})
		}, steps: []step{
			see("sshd", "192.0.2.7", ""),
		}},
		{name: "a scope that is not covered makes a further ban of the same offence", steps: []step{
			see("ssh22", "192.0.2.7", "ban 192.0.2.7 22/tcp 1h: 5 failed logins in 3m20s (ssh22 allows 4 in 10m); first offence, so 1h on 22/tcp"),
			see("web", "192.0.2.7", "ban 192.0.2.7 80,443/tcp 20m: 5 failures in 3m20s (web allows 4 in 10m); banned already on 22/tcp, so now on 80,443/tcp too, for 20m"),
			see("sshd", "192.0.2.7", "ban 192.0.2.7 all 10m: "+fived+"; banned already on 80,443/tcp, so now on all ports too, for 10m"),
			see("sshd", "192.0.2.7", ""),
			see("sshd", "192.0.2.7", "ban 192.0.2.7 all 1h: "+fived+"; second offence within 90d, so 1h").at(2 * time.Hour),
		}},
		{name: "what anyone can forge is short, for new connections, and never climbs", steps: []step{
			forged("ssh22", "192.0.2.7", "ban 192.0.2.7 22/tcp/new 10m: 5 failed logins in 3m20s (ssh22 allows 4 in 10m), which anyone can forge, so only new connections and only 10m on 22/tcp"),
			forged("ssh22", "192.0.2.7", ""),
			forged("ssh22", "192.0.2.7", "ban 192.0.2.7 22/tcp/new 10m: 5 failed logins in 3m20s (ssh22 allows 4 in 10m), which anyone can forge, so only new connections and only 10m on 22/tcp").at(11 * time.Minute),
			forged("short", "192.0.2.8", "ban 192.0.2.8 all/new 30s: 5 failures in 3m20s (short allows 4 in 10m), which anyone can forge, so only new connections and only 30s"),
			see("sshd", "192.0.2.7", "ban 192.0.2.7 all 10m: "+fived+"; first offence, so 10m"),
			forged("sshd", "192.0.2.7", ""),
		}},
		{name: "forged evidence never touches the peer of a session", steps: []step{
			forged("sshd", "203.0.113.9", `tell 203.0.113.9 all/new -: `+fived+`; it is not banned, because the SSH session of "root" comes from it`),
		}},
		{name: "the guard: told, but once an hour", steps: []step{
			see("sshd", "198.51.100.1", "tell 198.51.100.1 all -: "+fived+"; it is not banned, because it is a gateway of this machine"),
			see("sshd", "198.51.100.1", "").at(59 * time.Minute),
			see("sshd", "198.51.100.1", "tell 198.51.100.1 all -: "+fived+"; it is not banned, because it is a gateway of this machine").at(time.Minute),
			see("sshd", "198.51.100.2", "tell 198.51.100.2 all -: "+fived+"; it is not banned, because it is an address of this machine"),
			see("sshd", "127.0.0.5", "tell 127.0.0.5 all -: "+fived+"; it is not banned, because it is loopback"),
			see("sshd", "203.0.113.53", "tell 203.0.113.53 all -: "+fived+"; it is not banned, because it is a name server of this machine"),
		}},
		{name: "the allow list", setup: func(p *Policy) {
			p.SetAllow([]AllowEntry{
				{Prefix: netip.MustParsePrefix("192.0.2.10/32"), Text: "192.0.2.10"},
				{Prefix: netip.MustParsePrefix("192.0.3.0/24"), Text: "192.0.3.0/24"},
				{Prefix: netip.MustParsePrefix("192.0.4.1/32"), Text: "admin.example.org"},
			}, t0, gate.Host{})
		}, steps: []step{
			see("sshd", "192.0.2.10", "tell 192.0.2.10 all -: "+fived+"; it is not banned, because it is allowed"),
			see("sshd", "192.0.3.5", "tell 192.0.3.5 all -: "+fived+"; it is not banned, because it is allowed by 192.0.3.0/24"),
			see("sshd", "192.0.4.1", "tell 192.0.4.1 all -: "+fived+"; it is not banned, because it is allowed by admin.example.org"),
		}},
		{name: "IPv6: the /64, but an attached network singly", steps: []step{
			see("sshd", "2001:db8:1::/64", "ban 2001:db8:1::/64 all 10m: "+fived+"; first offence, so 10m"),
			see("sshd", "2001:db8:ffff::/64", "ban 2001:db8:ffff::1 all 10m: "+fived+"; first offence, so 10m; this address alone, because its network is attached directly"),
			see("sshd", "fe80::/64", "ban fe80::1 all 10m: "+fived+"; first offence, so 10m; this address alone, because its network is attached directly"),
			see("sshd", "fe80::7", "ban fe80::7 all 10m: "+fived+"; first offence, so 10m"),
			see("sshd", "2001:db8::/32", "ban 2001:db8::1 all 10m: "+fived+"; first offence, so 10m; this address alone, because 2001:db8::/32 holds a network that is attached directly"),
		}},
		{name: "IPv6: a /64 that holds somebody else is never banned whole", setup: func(p *Policy) {
			p.SetAllow([]AllowEntry{{Prefix: netip.MustParsePrefix("2001:db8:2::5/128")}, {Prefix: netip.MustParsePrefix("2001:db8:3::1/128")}, {Prefix: netip.MustParsePrefix("2001:db8:4::/48")}}, t0, gate.Host{})
		}, steps: []step{
			see("sshd", "2001:db8:2::/64", "ban 2001:db8:2::1 all 10m: "+fived+"; first offence, so 10m; this address alone, because 2001:db8:2::5 lies in 2001:db8:2::/64 and is allowed"),
			see("sshd", "2001:db8:53::/64", "ban 2001:db8:53::1 all 10m: "+fived+"; first offence, so 10m; this address alone, because 2001:db8:53::53 lies in 2001:db8:53::/64 and is a name server of this machine"),
			see("sshd", "2001:db8:3::/64", "tell 2001:db8:3::1 all -: "+fived+"; it is not banned, because it is allowed"),
			see("sshd", "2001:db8:4::/64", "tell 2001:db8:4::/64 all -: "+fived+"; it is not banned, because it is allowed by 2001:db8:4::/48"),
		}},
		{name: "a watch that is not configured is judged by the defaults", steps: []step{
			see("gone", "192.0.2.7", "ban 192.0.2.7 all 10m: 5 failures in 3m20s (gone allows 4 in 10m); first offence, so 10m"),
		}},
		{name: "what was over before the last offence belongs to it", past: func(gate.Subject) (int, time.Time) { return 1, t0 }, steps: []step{
			see("sshd", "192.0.2.7", ""),
			see("sshd", "192.0.2.7", "ban 192.0.2.7 all 1h: "+fived+"; second offence within 90d, so 1h").at(time.Second),
		}},
		{name: "an offence in the future is from a clock that was wrong", past: func(gate.Subject) (int, time.Time) { return 1, t0.Add(gate.Day) }, steps: []step{
			see("sshd", "192.0.2.7", "ban 192.0.2.7 all 1h: "+fived+"; second offence within 90d, so 1h"),
		}},
		{name: "not an address", steps: []step{{f: gate.Finding{Rule: "x", Subject: gate.ListSubject("drop")}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, now := New(config(), c.past), t0
			if c.setup != nil {
				c.setup(p)
			}
			for i, s := range c.steps {
				now = now.Add(s.after)
				p.Advance(now, host())
				f := s.f
				move(&f, now)
				d, _ := decide(t, p, f, now, host())
				if got := text(d); got != s.want {
					t.Errorf("step %d:\n got %s\nwant %s", i+1, got, s.want)
				}
				if d.Verdict != gate.VerdictNone && (d.Origin != f.Origin || d.Rule != f.Rule || d.Proof == nil || !d.Time.Equal(now)) {
					t.Errorf("step %d: origin, rule, proof or time are missing: %+v", i+1, d)
				}
			}
		})
	}
}

// move lets a finding happen at another time.
func move(f *gate.Finding, at time.Time) {
	delta := at.Sub(f.Time)
	f.Time = at
	first := append([]gate.Event(nil), f.Proof.First...)
	for i := range first {
		first[i].Time = first[i].Time.Add(delta)
	}
	f.Proof.First = first
}

// Logs that were written while nothing ran are read late: their bans begin when
// they would have begun.
func TestCatchingUp(t *testing.T) {
	p, now := New(config(), nil), t0.Add(9*time.Hour)
	for i, s := range []struct {
		at   time.Duration // since t0
		want string
	}{
		{0, ""},               // 10m, over
		{5 * time.Minute, ""}, // during that
		{time.Hour, ""},       // second: 1h, over
		{90 * time.Minute, ""},
		{3 * time.Hour, "ban 192.0.2.7 all 18h: " + fived + "; third offence within 90d, so 1d from 2026-11-21T11:00:00Z"},
		{4 * time.Hour, ""},
	} {
		f := finding("sshd", "192.0.2.7", t0.Add(s.at))
		d, _ := decide(t, p, f, now, host())
		if got := text(d); got != s.want {
			t.Errorf("finding %d:\n got %s\nwant %s", i+1, got, s.want)
		}
	}
}

// Reading the same lines again after a crash leads to nothing new, also when
// the ban is over by then.
func TestReadAgain(t *testing.T) {
	past := func(gate.Subject) (int, time.Time) { return 1, t0.Add(100 * time.Millisecond) }
	p := New(config(), past)
	for _, at := range []time.Duration{0, 5 * time.Minute} {
		if d, _ := decide(t, p, finding("sshd", "192.0.2.7", t0.Add(at)), t0.Add(20*time.Minute), host()); d.Verdict != gate.VerdictNone {
			t.Errorf("at %v: %s", at, text(d))
		}
	}
}

func TestOrdinal(t *testing.T) {
	for n, want := range map[int]string{1: "first", 10: "tenth", 11: "11th", 12: "12th", 13: "13th", 21: "21st", 22: "22nd", 23: "23rd", 24: "24th", 101: "101st", 111: "111th"} {
		if got := ordinal(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func TestWhatHappened(t *testing.T) {
	w := &Watch{Noun: "failed login"}
	for _, c := range []struct {
		count  int
		over   time.Duration
		kept   int
		t      string
		within string
	}{
		{1, 0, 1, "1 in 1d", "1 failed login (sshd allows none)"},
		{5, 0, 5, "5 in 10m", "5 failed logins at once (sshd allows 4 in 10m)"},
		{5, 900 * time.Millisecond, 5, "5 in 10m", "5 failed logins at once (sshd allows 4 in 10m)"},
		{5, 59*time.Second + 700*time.Millisecond, 5, "5 in 10m", "5 failed logins in 1m (sshd allows 4 in 10m)"},
		{5, 200 * time.Second, 3, "5 in 10m", "5 failed logins within 10m (sshd allows 4 in 10m)"},
		{5, 3*gate.Day + 5*time.Hour + 29*time.Minute, 5, "5 in 1w", "5 failed logins in 3d5h (sshd allows 4 in 1w)"},
		{50, 100 * time.Second, 32, "50 in forever", "50 failed logins in 1m40s (sshd allows 49)"},
		{50, 100 * time.Second, 0, "50 in forever", "50 failed logins (sshd allows 49)"},
		{2, time.Second, 2, "", "2 failed logins in 1s (sshd)"},
	} {
		th := gate.Threshold{}
		if c.t != "" {
			var err error
			if th, err = gate.ParseThreshold(c.t); err != nil {
				t.Fatal(err)
			}
		}
		f := gate.Finding{Time: t0, Rule: "sshd", Threshold: th}
		for i := range c.kept {
			f.Proof.Add(gate.Event{Time: t0.Add(-c.over * time.Duration(c.kept-1-i) / time.Duration(max(1, c.kept-1)))})
		}
		f.Proof.Count = c.count
		if got := whatHappened(&f, w); got != c.within {
			t.Errorf("got %s, want %s", got, c.within)
		}
	}
}
