package policy

import (
	"slices"
	"strconv"
	"time"

	"gatehouse/internal/gate"
)

// ByAggregate is the Rule of a ban that takes the place of those of the single
// offenders in it, and of the releases of these.
const ByAggregate = "aggregate"

// Aggregate says, for each family, when the offenders of one network become one
// ban.
type Aggregate struct{ IPv4, IPv6 Grouping }

// Grouping is how many offenders of one network of this length become one ban.
type Grouping struct {
	Prefix    int // bits
	Offenders int // 0 = never
}

// widest bounds how much an aggregate may cover: a /16, or a /32 of IPv6.
const (
	widest4 = 16
	widest6 = 32
)

// bounded returns g, or the Grouping that never groups where g makes no sense.
func (g Grouping) bounded(bits int) Grouping {
	widest := widest6
	if bits == 32 {
		widest = widest4
	}
	if g.Offenders < 2 || g.Prefix < widest || g.Prefix >= bits {
		return Grouping{}
	}
	return g
}

// grouping returns in which network a ban of k is counted with others, and how
// many of them become one ban; false if none do.
func (p *Policy) grouping(k netKey) (wide netKey, offenders int, ok bool) {
	g, bits := p.config.Aggregate.IPv6, 0
	if bits = g.Prefix; k.is4() {
		g = p.config.Aggregate.IPv4
		bits = g.Prefix + v4bits
	}
	if g.Offenders == 0 || int(k.bits) <= bits {
		return netKey{}, 0, false
	}
	return k.widened(uint8(bits)), g.Offenders, true
}

// member is an offender whose ban is part of a wider one.
type member struct {
	ban
	rule, source string
}

// group is what an aggregate took the place of.
type group struct {
	scope   *gate.Scope
	members []member
	known   bool // false after a restart, until the records were asked
}

// counts reports whether a ban counts towards an aggregate: only what a watch saw
// and nobody can have forged.
func (b *ban) counts() bool { return b.offence > 0 && !b.scope.New && !b.scope.HTTP }

// aggregate makes one ban of those around ban i, if they are enough. It is called
// after each new ban that a finding led to.
func (p *Policy) aggregate(ds []gate.Decision, i uint32, f *gate.Finding, now time.Time, h gate.Host) []gate.Decision {
	b := p.bans.at(i)
	wide, enough, ok := p.grouping(b.netKey)
	if !ok || !b.counts() {
		return ds
	}
	scope := *b.scope
	var found []uint32
	for j := range p.bans.neighbours(wide) {
		if o := p.bans.at(j); o.counts() && sameScope(*o.scope, scope) && !slices.ContainsFunc(found, func(k uint32) bool { return p.bans.at(k).netKey == o.netKey }) {
			found = append(found, j)
		}
	}
	net := wide.subject()
	if len(found) < enough || p.covering(wide, scope) != nil || p.unfit(net, h) != "" {
		return ds
	}
	slices.SortFunc(found, func(x, y uint32) int { return lasts(p.bans.at(y).until, p.bans.at(x).until) })
	d := gate.Decision{
		Time: now, Until: fromNanos(p.bans.at(found[enough-1]).until), Verdict: gate.Ban, Subject: net, Scope: scope,
		Rule: ByAggregate, Origin: f.Origin,
		Why: counted(len(found), "offender") + " in " + net.String() + " are banned" + on(scope) + " (aggregate allows " + strconv.Itoa(enough-1) + "), so all of it is, until fewer would be",
	}
	p.retire(&d)
	g := &group{scope: b.scope, known: true}
	for _, j := range found {
		g.members = append(g.members, member{*p.bans.at(j), p.bans.names[p.bans.at(j).rule], p.bans.names[p.bans.at(j).source]})
	}
	d.Proof = g.proof()
	ds = append(ds, d)
	for _, j := range found {
		ds = p.replace(ds, j, net, now)
	}
	p.ban(&d)
	p.found(wide, g)
	return ds
}

// found keeps a group, in the place of an earlier one of the same scope.
func (p *Policy) found(k netKey, g *group) {
	if p.groups == nil {
		p.groups = map[netKey][]*group{}
	}
	others := slices.DeleteFunc(p.groups[k], func(o *group) bool { return sameScope(*o.scope, *g.scope) })
	p.groups[k] = append(others, g)
}

// lasts compares two ends: the zero one is for ever, and so the last.
func lasts(a, b int64) int {
	switch {
	case a == b:
		return 0
	case a == 0 || b != 0 && a > b:
		return 1
	}
	return -1
}

// proof is who the offenders are.
func (g *group) proof() *gate.Proof {
	byTime := slices.Clone(g.members)
	slices.SortStableFunc(byTime, func(a, b member) int { return int(min(max(a.since-b.since, -1), 1)) })
	proof := &gate.Proof{}
	for _, m := range byTime {
		proof.Add(gate.Event{
			Time: fromNanos(m.since), Origin: gate.Origin{Source: m.source, Epoch: m.epoch, Offset: m.offset},
			Rule: m.rule, Subject: m.subject(), Class: gate.ClassInfo, Evidence: gate.Proven, Line: m.why,
		})
	}
	return proof
}

// replace releases ban i because it is part of a wider one now.
func (p *Policy) replace(ds []gate.Decision, i uint32, net gate.Subject, now time.Time) []gate.Decision {
	b := p.bans.at(i)
	k, all := b.netKey, scopeIsAll(*b.scope)
	p.remember(b, fromNanos(b.until))
	d := p.release(i, now, "it is part of "+net.String()+", which is banned as a whole")
	d.Rule = ByAggregate
	ds = append(ds, d)
	if all {
		ds = p.reassert(ds, k, now)
	}
	return ds
}

// unfit returns why a network may not be banned for what some of it did; "" if it
// may.
func (p *Policy) unfit(net gate.Subject, h gate.Host) string {
	pfx := net.Prefix()
	if pfx.Addr().IsLinkLocalUnicast() {
		return "it is a network that is attached directly"
	}
	for _, l := range h.OnLink {
		if l.Overlaps(pfx) {
			return "it holds a network that is attached directly"
		}
	}
	if why := guarded(h, net, "it"); why != "" {
		return why
	}
	if e, ok := p.allow.covering(pfx); ok {
		return "it is allowed" + by(e, net)
	}
	if e, ok := p.allow.inside(pfx); ok {
		return gate.PrefixSubject(e.Prefix).String() + " in it is allowed"
	}
	return ""
}

// regroup bans the offenders again, for the rest of their time, whose aggregate of
// this network has just ended. Who may not be banned any more is left out.
func (p *Policy) regroup(ds []gate.Decision, k netKey, now time.Time) []gate.Decision {
	for _, g := range p.fallen(k) {
		p.know(k, g)
		for _, m := range g.members {
			s := m.subject()
			if m.until != 0 && m.until <= now.UnixNano() || p.covering(m.netKey, *m.scope) != nil {
				continue
			}
			if _, ok := p.allow.covering(s.Prefix()); ok || p.here.Guarded(s) != "" {
				continue
			}
			d := gate.Decision{
				Time: now, Until: fromNanos(m.until), Verdict: gate.Ban, Subject: s, Scope: *m.scope, Rule: m.rule,
				Why: staysBanned + on(*m.scope) + untilWhen(m.until) + " by itself: " + m.why,
			}
			i := p.ban(&d)
			b := p.bans.at(i)
			b.offence, b.guilty, b.since, b.movable, b.moved, b.why = m.offence, m.guilty, m.since, m.movable, m.moved, m.why
			p.bans.enrol(i, p)
			ds = append(ds, d)
		}
	}
	return ds
}

// fallen takes the groups of a network out whose ban is no longer in force, by
// whomever.
func (p *Policy) fallen(k netKey) (gone []*group) {
	gs := p.groups[k]
	if len(gs) == 0 {
		return nil
	}
	var stand []*group
	for _, g := range gs {
		if p.stands(k, g) {
			stand = append(stand, g)
		} else {
			gone = append(gone, g)
		}
	}
	if len(stand) > 0 {
		p.groups[k] = stand
	} else {
		delete(p.groups, k)
	}
	return gone
}

func (p *Policy) stands(k netKey, g *group) bool {
	for _, b := range p.bans.of(k) {
		if sameScope(*b.scope, *g.scope) {
			return true
		}
	}
	return false
}

// disband forgets whom the ended bans of a network took the place of: they are
// free with it.
func (p *Policy) disband(k netKey) { p.fallen(k) }

// undo ends the aggregates that hold a network which must not be banned.
func (p *Policy) undo(ds []gate.Decision, s gate.Subject, why string, now time.Time) []gate.Decision {
	if len(p.groups) == 0 || !s.IsNet() {
		return ds
	}
	for i, b := range p.bans.covering(keyOf(s.Prefix())) {
		if p.bans.names[b.rule] != ByAggregate {
			continue
		}
		k := b.netKey
		ds = p.regroup(append(ds, p.release(i, now, why)), k, now)
		return p.undo(ds, s, why, now)
	}
	return ds
}
