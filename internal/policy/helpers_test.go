package policy

import (
	"net/netip"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

var t0 = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

func sub(s string) gate.Subject {
	v, err := gate.ParseSubject(s)
	if err != nil {
		panic(err)
	}
	return v
}

func prts(s string) gate.Ports {
	p, err := gate.ParsePorts(s)
	if err != nil {
		panic(err)
	}
	return p
}

// host is a machine with one of everything.
func host() gate.Host {
	a := netip.MustParseAddr
	return gate.Host{
		Own:       []netip.Addr{a("198.51.100.2"), a("2001:db8:ffff::2")},
		OnLink:    []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("2001:db8:ffff::/64"), netip.MustParsePrefix("fe80::/64")},
		Gateways:  []netip.Addr{a("198.51.100.1")},
		Resolvers: []netip.Addr{a("203.0.113.53"), a("2001:db8:53::53")},
		Sessions:  []gate.Session{{Peer: a("203.0.113.9"), Port: 22, User: "root"}},
	}
}

// config has a watch for each case.
func config() Config {
	return Config{Watches: []Watch{
		{Name: "sshd", Ladder: []time.Duration{10 * time.Minute, time.Hour, gate.Day}, Noun: "failed login"},
		{Name: "ssh22", Ladder: []time.Duration{time.Hour, gate.Forever}, Ports: prts("22/tcp"), Noun: "failed login"},
		{Name: "web", Ladder: []time.Duration{20 * time.Minute}, Ports: prts("80,443/tcp")},
		{Name: "short", Ladder: []time.Duration{30 * time.Second, gate.Forever}},
	}}
}

var offset int64

// finding is a crossing of `5 in 10m` that took 3m20s until at; each has an
// origin of its own.
func finding(rule, subject string, at time.Time) gate.Finding {
	offset++
	f := gate.Finding{
		Time: at, Origin: gate.Origin{Source: "file:/log", Offset: offset}, Rule: rule, Subject: sub(subject),
		Threshold: gate.Threshold{Count: 5, Within: 10 * time.Minute}, Evidence: gate.Proven,
	}
	if f.Subject.Kind() == gate.KindPrefix {
		f.Last = gate.AddrSubject(f.Subject.Addr().Next())
	}
	for i := range 5 {
		f.Proof.Add(gate.Event{Time: at.Add(time.Duration(i-4) * 50 * time.Second), Rule: rule, Subject: f.Subject, Class: gate.ClassFailure, Evidence: gate.Proven})
	}
	return f
}

func wishes(verdict gate.Verdict, subject string, change func(*gate.Ask)) gate.Finding {
	offset++
	a := &gate.Ask{Verdict: verdict, By: "root"}
	if change != nil {
		change(a)
	}
	f := gate.Finding{Origin: gate.Origin{Source: "command", Offset: offset}, Rule: "command", Evidence: gate.Proven, Ask: a}
	if subject != "" {
		f.Subject = sub(subject)
	}
	f.Proof.Add(gate.Event{Rule: "command", Subject: f.Subject, Class: gate.ClassAsk, Ask: a})
	return f
}

// decide judges one finding and returns the only decision and the only answer,
// if there are any.
func decide(t testing.TB, p *Policy, f gate.Finding, now time.Time, h gate.Host) (d gate.Decision, a gate.Answer) {
	t.Helper()
	ds, as := p.Decide([]gate.Finding{f}, now, h)
	if len(ds) > 1 {
		t.Fatalf("%d decisions: %+v", len(ds), ds)
	}
	if len(ds) == 1 {
		d = ds[0]
	}
	if len(as) == 1 {
		a = as[0]
	}
	return d, a
}
