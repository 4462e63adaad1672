package policy

import (
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// Prospect is what would follow if something happened now.
type Prospect struct {
	If        string // what would happen, a clause: `it crossed the threshold of sshd`
	Decisions []gate.Decision
	Refused   string // why nothing would follow, where it would be refused
	Hint      string // what to do instead
}

// unknownWatch judges by the defaults: no watch has this name.
const unknownWatch = ""

// WhatIf tells what would follow, for a subject, from another offence under each of
// these watches (by the defaults where none is named) and from what a person may ask
// for. Nothing changes.
func (p *Policy) WhatIf(s gate.Subject, watches []string, now time.Time, h gate.Host) (all []Prospect) {
	if !s.IsNet() {
		return nil
	}
	offender := p.punished(s, h)
	if len(watches) == 0 {
		watches = []string{unknownWatch}
	}
	for _, name := range watches {
		f := gate.Finding{Time: now, Origin: gate.Origin{Source: "what-if"}, Rule: name, Subject: offender, Evidence: gate.Proven}
		if offender != s {
			f.Last = s
		}
		x := Prospect{If: "it offended now, by the defaults"}
		if name != unknownWatch {
			x.If = "it crossed the threshold of " + name + " now"
		}
		x.Decisions, _ = p.trial(offender).Decide([]gate.Finding{f}, now, h)
		for i := range x.Decisions { // what it saw is made up: the rest is the reason
			d := &x.Decisions[i]
			d.Proof = nil
			if _, rest, ok := strings.Cut(d.Why, "; "); ok && d.Rule == name {
				d.Why = rest
			}
		}
		if len(x.Decisions) == 0 {
			x.Refused = "it would join the ban that covers it"
		}
		all = append(all, x)
	}
	for _, ask := range []struct {
		what    string
		verdict gate.Verdict
	}{{"you banned it", gate.Ban}, {"you lifted its bans", gate.Release}, {"you allowed it", gate.Allow}} {
		f := gate.Finding{Time: now, Origin: gate.Origin{Source: "what-if"}, Rule: byCommand, Subject: s, Evidence: gate.Proven, Ask: &gate.Ask{Verdict: ask.verdict, By: "you"}}
		ds, as := p.trial(s).Decide([]gate.Finding{f}, now, h)
		x := Prospect{If: ask.what, Decisions: ds}
		if len(as) > 0 {
			if x.Refused, x.Hint = as[0].Refused, as[0].Hint; x.Refused == "" && len(ds) == 0 {
				x.Refused = as[0].Note
			}
		}
		all = append(all, x)
	}
	return all
}

// trial returns a policy that knows of the surroundings of a subject what p knows,
// and that may be changed.
func (p *Policy) trial(s gate.Subject) *Policy {
	q := New(p.config, func(o gate.Subject) (int, time.Time) {
		x := p.offences(keyOf(o.Prefix()))
		return x.n, x.last
	})
	q.allow.table = *p.allow.table.Clone()
	around := s
	if wide, _, ok := p.grouping(keyOf(s.Prefix())); ok {
		around = wide.subject()
	}
	add := func(b *ban) {
		v := *b
		v.listed, v.rule, v.source = false, q.bans.name(p.bans.names[b.rule]), q.bans.name(p.bans.names[b.source])
		q.bans.enrol(q.bans.add(v), q)
	}
	for _, b := range p.bans.covering(keyOf(around.Prefix())) {
		add(b)
	}
	for _, b := range p.bans.all {
		if o := b.subject(); o != around && around.Covers(o) {
			add(b)
		}
	}
	for k, gs := range p.groups {
		if around.Covers(k.subject()) || k.subject().Covers(around) {
			for _, g := range gs {
				p.know(k, g)
				q.found(k, g)
			}
		}
	}
	return q
}
