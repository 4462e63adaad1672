package report

import (
	"net/netip"
	"strings"
	"testing"

	"gatehouse/internal/gate"
)

// TestFit: one line a ban, and why it must not be reported.
func TestFit(t *testing.T) {
	evidence := func(e gate.Evidence, i int) func(*gate.Decision) {
		return func(d *gate.Decision) { d.Proof.First[i].Evidence = e }
	}
	all := func(do func(e *gate.Event)) func(*gate.Decision) {
		return func(d *gate.Decision) {
			for i := range d.Proof.First {
				do(&d.Proof.First[i])
			}
		}
	}
	c := Config{Offence: 1, Own: []netip.Prefix{netip.MustParsePrefix("45.9.0.0/16")}}
	for _, k := range []struct {
		name string
		d    gate.Decision
		want string // the address, or why not
	}{
		{"a ban", ban("45.0.0.7", noon), "45.0.0.7"},
		{"of a network of IPv6", ban("2a00:1:2:3::/64", noon), "2a00:1:2:3::"},
		{"one forgeable event", ban("45.0.0.7", noon, evidence(gate.Forgeable, 3)), "forged"},
		{"an event without a class of evidence", ban("45.0.0.7", noon, evidence(gate.EvidenceNone, 0)), "forged"},
		{"new connections only", ban("45.0.0.7", noon, func(d *gate.Decision) { d.Scope.New = true }), "forged"},
		{"by command", ban("45.0.0.7", noon, func(d *gate.Decision) { d.Proof, d.Rule = nil, "command" }), "no evidence"},
		{"without lines", ban("45.0.0.7", noon, all(func(e *gate.Event) { e.Line = " " })), "no line"},
		{"events that only inform", ban("45.0.0.7", noon, all(func(e *gate.Event) { e.Class = gate.ClassInfo })), "no line"},
		{"about others", ban("45.0.0.7", noon, func(d *gate.Decision) { d.Subject = gate.AddrSubject(netip.MustParseAddr("45.0.0.8")) }), "about others"},
		{"an aggregate", ban("45.0.0.0/24", noon, func(d *gate.Decision) { d.Proof = nil }), "no evidence"},
		{"a release", ban("45.0.0.7", noon, func(d *gate.Decision) { d.Verdict = gate.Release }), "no ban"},
		{"private", ban("192.168.1.9", noon), "not a public"},
		{"loopback", ban("127.0.0.1", noon), "not a public"},
		{"link-local", ban("fe80::1", noon), "not a public"},
		{"documentation", ban("192.0.2.7", noon), "not a public"},
		{"our own network", ban("45.9.3.4", noon), "our own network"},
	} {
		addr, why := c.Fit(&gate.Record{Decision: k.d})
		if why == "" {
			why = addr.String()
		}
		if !strings.Contains(why, k.want) {
			t.Errorf("%s: %s, want %s", k.name, why, k.want)
		}
	}
	c = Config{Offence: 2, Rules: []string{"web"}}
	if _, why := c.Fit(&gate.Record{Decision: ban("45.0.0.7", noon)}); !strings.Contains(why, "rules") {
		t.Error(why)
	}
	c.Rules = nil
	if _, why := c.Fit(&gate.Record{Decision: ban("45.0.0.7", noon)}); !strings.Contains(why, "from 2 on") {
		t.Error(why)
	}
}
