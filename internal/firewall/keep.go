package firewall

import (
	"slices"
	"time"
)

// keep is the housekeeping of every keepTime.
func (f *Firewall) keep() {
	f.mu.Lock()
	defer f.unlock()
	now := f.clock()
	var e edits
	for _, c := range f.want.classes {
		c.forgetLapsed(now)
		f.renewFresh(&e, c, now)
	}
	f.apply("renew what is not committed", &e)
	if f.writable() && f.fault == nil {
		if err := f.prune(); err != nil {
			f.fail("take away sets that are empty", err)
		}
	}
}

func (f *Firewall) renewFresh(e *edits, c *class, now time.Duration) {
	for k, p := range c.fresh {
		held := f.hold(p, now)
		if p.alien || p.held >= now+renewBefore || held <= p.held+renewSlack || c.lasting[k] >= held {
			continue
		}
		e.of(c, true).put(k, life(held, now), p.held > now)
		p.held = held
		c.fresh[k] = p
	}
}

// prune takes away rules and sets of classes that hold nothing any more: each
// rule costs every packet.
func (f *Firewall) prune() error {
	g := f.gen
	idle := slices.Clone(g.classes)
	idle = slices.DeleteFunc(idle, func(c *class) bool { return !c.empty() })
	if len(idle) == 0 {
		return nil
	}
	g.classes = slices.DeleteFunc(g.classes, (*class).empty)
	var drop []op
	for _, c := range idle {
		for _, fresh := range []bool{true, false} {
			drop = append(drop, g.dropSet(g.set(c, fresh)))
		}
	}
	for n, s := range g.scopes {
		if slices.ContainsFunc(g.classes, func(c *class) bool { return c.scope == n }) {
			continue
		}
		delete(g.scopes, n)
		if !s.ports.IsEmpty() {
			name := numbered(s.chain(), g.number)
			drop = append(drop, op{verb: emptyChain, name: name}, op{verb: deleteChain, name: name})
			for _, p := range s.protos() {
				drop = append(drop, g.dropSet(numbered(s.portSet(p), g.number)))
			}
		}
	}
	return f.kernel.commit(concat(g.rules(g.chains()), drop))
}
