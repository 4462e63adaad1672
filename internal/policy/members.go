package policy

import (
	"bytes"
	"iter"
	"slices"

	"gatehouse/internal/gate"
)

// Inside tells from the ledger the bans and releases of what lies in this network,
// the network itself included, the oldest first.
type Inside func(gate.Subject) iter.Seq[gate.Record]

// Remember gives the policy the records that it asks for after a restart: whom a
// ban of a whole network took the place of. Without them those stay free when it
// ends.
func (p *Policy) Remember(inside Inside) { p.inside = inside }

// know asks the records whom an aggregate took the place of.
func (p *Policy) know(k netKey, g *group) {
	if g.known || p.inside == nil {
		return
	}
	g.known = true
	bans, members := map[netKey]member{}, map[netKey]member{}
	net := k.subject()
	for r := range p.inside(net) {
		if !net.Covers(r.Subject) || !sameScope(r.Scope, *g.scope) {
			continue
		}
		id := keyOf(r.Subject.Prefix())
		switch {
		case r.Subject == net && r.Verdict == gate.Release:
			clear(members)
		case r.Subject == net:
		case r.Verdict == gate.Ban:
			m := member{ban: ban{
				netKey: id, offence: uint32(max(r.Offence, 0)), epoch: r.Origin.Epoch, offset: r.Origin.Offset,
				since: nanos(r.Time), guilty: nanos(r.Time), until: nanos(r.Until), scope: p.bans.shared(r.Scope), why: r.Why,
			}, rule: r.Rule, source: r.Origin.Source}
			if old, ok := bans[id]; ok && r.Offence == 0 { // more of the same offence
				m.offence, m.guilty, m.why = old.offence, old.guilty, old.why
			}
			bans[id] = m
			delete(members, id)
		case r.Rule == ByAggregate:
			if m, ok := bans[id]; ok {
				members[id] = m
			}
		default:
			delete(bans, id)
			delete(members, id)
		}
	}
	for _, m := range members {
		g.members = append(g.members, m)
	}
	slices.SortFunc(g.members, func(a, b member) int { return bytes.Compare(a.addr[:], b.addr[:]) })
}

// neighbours yields the bans that were enrolled in this network.
func (b *bans) neighbours(wide netKey) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for i := b.enrolled[wide]; i != 0; i = b.at(i).after {
			if !yield(i) {
				return
			}
		}
	}
}

// enrol lists a ban with its neighbours, if it can be part of an aggregate.
func (b *bans) enrol(i uint32, p *Policy) {
	v := b.at(i)
	if v.listed || !v.counts() {
		return
	}
	wide, _, ok := p.grouping(v.netKey)
	if !ok {
		return
	}
	if b.enrolled == nil {
		b.enrolled = map[netKey]uint32{}
	}
	v.listed, v.wide, v.before, v.after = true, wide.bits, 0, b.enrolled[wide]
	if v.after != 0 {
		b.at(v.after).before = i
	}
	b.enrolled[wide] = i
}

// strike takes a ban off the list of its neighbours.
func (b *bans) strike(i uint32) {
	v := b.at(i)
	if !v.listed {
		return
	}
	v.listed = false
	if v.after != 0 {
		b.at(v.after).before = v.before
	}
	switch wide := v.widened(v.wide); {
	case v.before != 0:
		b.at(v.before).after = v.after
	case v.after != 0:
		b.enrolled[wide] = v.after
	default:
		delete(b.enrolled, wide)
	}
}

// enrolAll lists all bans anew after networks of another length are grouped.
func (b *bans) enrolAll(p *Policy) {
	b.enrolled = nil
	for i, v := range b.all {
		v.listed = false
		b.enrol(i, p)
	}
}

// shiftGroups moves the ends of those that an aggregate took the place of.
func (p *Policy) shiftGroups(delta int64) {
	for _, gs := range p.groups {
		for _, g := range gs {
			for i := range g.members {
				if m := &g.members[i]; m.movable && m.until != 0 {
					m.until += delta
					m.moved += delta
				}
			}
		}
	}
}
