package policy

import (
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

func TestWhatIf(t *testing.T) {
	p := New(grouped(3), nil)
	for _, a := range []string{"192.0.2.7", "192.0.2.8", "198.51.100.50"} {
		p.Decide([]gate.Finding{finding("sshd", a, t0)}, t0, host())
	}
	p.Decide([]gate.Finding{wishes(gate.Allow, "203.0.113.77", nil)}, t0, host())
	for _, c := range []struct {
		subject string
		watches []string
		want    []string // after each if, what follows, or why nothing does
	}{
		{"192.0.2.9", []string{"sshd"}, []string{
			"it crossed the threshold of sshd now: ban 192.0.2.9 10m by sshd; ban 192.0.2.0/24 10m by aggregate; release 192.0.2.9 by aggregate; release 192.0.2.8 by aggregate; release 192.0.2.7 by aggregate",
			"you banned it: ban 192.0.2.9 forever by command", "you lifted its bans: it is not banned", "you allowed it: allow 192.0.2.9 by command"}},
		{"192.0.2.7", nil, []string{
			"it offended now, by the defaults: it would join the ban that covers it",
			"you banned it: ban 192.0.2.7 forever by command", "you lifted its bans: release 192.0.2.7 by command", "you allowed it: allow 192.0.2.7 by command; release 192.0.2.7 by command"}},
		{"203.0.113.9", nil, []string{
			"it offended now, by the defaults: tell 203.0.113.9 by ",
			"you banned it: 203.0.113.9 cannot be banned: the SSH session of \"root\" comes from it", "you lifted its bans: it is not banned", "you allowed it: allow 203.0.113.9 by command"}},
		{"2001:db8:7::1", []string{"sshd"}, []string{
			"it crossed the threshold of sshd now: ban 2001:db8:7::/64 10m by sshd",
			"you banned it: ban 2001:db8:7::1 forever by command", "you lifted its bans: it is not banned", "you allowed it: allow 2001:db8:7::1 by command"}},
		{"203.0.113.77", nil, []string{
			"it offended now, by the defaults: tell 203.0.113.77 by ",
			"you banned it: 203.0.113.77 is allowed", "you lifted its bans: it is not banned", "you allowed it: it is allowed already"}},
	} {
		before := p.Len()
		var got []string
		for _, x := range p.WhatIf(sub(c.subject), c.watches, t0.Add(time.Second), host()) {
			what := brief(x.Decisions)
			if what == "" {
				what = x.Refused
			}
			got = append(got, x.If+": "+strings.ReplaceAll(what, "9m59s", "10m"))
		}
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s:\n%s\nwant\n%s", c.subject, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
		if p.Len() != before {
			t.Errorf("%s: %d bans, before %d", c.subject, p.Len(), before)
		}
	}
}
