package firewall

import (
	"fmt"
	"iter"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// rebuild makes a new generation of everything that is wanted, beside what is
// there, and swaps the rules.
func (f *Firewall) rebuild() error {
	err := f.rebuildOnce()
	if uncleanable(err) {
		f.log.Warn("the table that is there cannot be replaced at once; deleting it first", "table", f.config.Table, "err", err)
		if err = f.deleteTable(); err == nil {
			err = f.rebuildOnce()
		}
	}
	if f.traps.active() && notSupported(err) {
		f.log.Warn("this kernel cannot hold scanners by itself; going on without traps", "err", err)
		f.traps.refuse(err)
		err = f.rebuildOnce()
	}
	if f.reject && notSupported(err) {
		f.log.Warn("this kernel cannot answer what it drops so early; dropping in silence", "err", err)
		f.reject = false
		err = f.rebuildOnce()
	}
	if err == nil {
		f.fault = nil
	}
	return err
}

func (f *Firewall) rebuildOnce() error {
	seen, err := f.kernel.inspect()
	if err != nil {
		return err
	}
	f.covered = seen.revision
	f.serial = max(f.serial, seen.lastNumber()) + 1
	g := newGeneration(f.serial, f.reject, f.parts)
	ops := []op{{verb: addTable}}
	for i, name := range baseCounters {
		if !seen.has(foundObject{name, unix.NFT_OBJECT_COUNTER}) {
			ops = append(ops, op{verb: addCounter, name: name})
			f.drops[i].restart()
		}
	}
	if g.reject {
		ops = append(ops, op{verb: addChain, name: numbered(chainReject, g.number)})
	}
	ops = append(ops, g.newExempt(f.serial, &f.exempt)...)
	for _, c := range f.want.sorted() {
		ops = append(ops, g.newClass(c, f.want.scopes[c.scope])...)
	}
	g.there = thingsOf(seen)
	for _, p := range f.parts {
		ops = append(ops, g.partly(p, g.number)...)
	}
	g.there = things{}
	if err := f.commitParts(ops); err != nil {
		return err
	}
	for _, c := range g.classes {
		if err := f.fillClass(g, c); err != nil {
			return err
		}
	}
	if err := f.swap(g, seen); err != nil {
		return err
	}
	if seen.dormant {
		// Not earlier: what it said before would be in force meanwhile.
		if err := f.kernel.commit([]op{{verb: wakeTable}}); err != nil {
			return err
		}
	}
	f.gen = g
	if f.renews == unknown {
		return f.learn()
	}
	return nil
}

// fillClass loads both sets of a class and makes sure that they are full.
func (f *Firewall) fillClass(g *generation, c *class) error {
	now := f.clock()
	for k, p := range c.fresh {
		p.held = f.hold(p, now)
		if c.lasting[k] >= p.held {
			p.held = 0 // the lasting set holds it
		}
		c.fresh[k] = p
	}
	if err := f.fill(g.set(c, true), c.spec(), c.heldUntil, now); err != nil {
		return err
	}
	return f.fill(g.set(c, false), c.spec(), c.lastsUntil, now)
}

// hold returns until when the fresh set should hold a ban from now on.
func (f *Firewall) hold(p placed, now time.Duration) time.Duration {
	if p.alien {
		return p.ends
	}
	return min(p.ends, now+MaxUncommitted)
}

// fill loads what has not lapsed into a set that is new, in chunks, and
// verifies it.
func (f *Firewall) fill(set string, spec setSpec, want iter.Seq2[key, time.Duration], now time.Duration) error {
	total := 0
	part := make([]element, 0, maxElements)
	flush := func() error {
		if len(part) == 0 {
			return nil
		}
		total += len(part)
		err := f.kernel.commit([]op{{verb: addElements, name: set, set: spec, elems: part}})
		part = part[:0]
		return err
	}
	for k, ends := range want {
		if ends <= now {
			continue
		}
		part = append(part, element{key: k, life: life(ends, now)})
		if len(part) == maxElements {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	return f.verify(set, total, want)
}

// verify makes sure that the set holds what was loaded. nf_tables has been seen
// to take a list and store nothing, so an answer is not enough for many: then
// the kernel is asked for its own count, or, where it does not keep one, for
// the elements.
func (f *Firewall) verify(set string, total int, want iter.Seq2[key, time.Duration]) error {
	if total < maxElements {
		return nil
	}
	seen, err := f.kernel.inspect()
	if err != nil {
		return err
	}
	have := seen.sets[set].count
	if have < 0 {
		elems, err := f.kernel.elements(set)
		if err != nil {
			return err
		}
		have = len(elems)
	}
	if have >= total {
		return nil
	}
	// Some may have lapsed meanwhile; they are not missed.
	sure, soon := 0, f.clock()+time.Second
	for _, ends := range want {
		if ends > soon {
			sure++
		}
	}
	if have < sure {
		return fmt.Errorf("verify set %s: the kernel has %d of %d elements", set, have, sure)
	}
	return nil
}

// swap replaces all rules by those of g and deletes what else the table has.
// The order is what nf_tables wants: first rules, then what they refer to. It
// is one transaction, unless there is more of it than one message may hold:
// then what nothing refers to yet goes before it, and what nothing refers to
// any more behind it.
func (f *Firewall) swap(g *generation, seen *contents) error {
	var empty, clean []op
	for name, c := range seen.chains {
		if o := (op{verb: emptyChain, name: name}); c.base || g.partChains[name] {
			empty = append(empty, o)
		} else {
			clean = append(clean, o)
		}
	}
	for name, set := range seen.sets {
		if _, ours := g.sets[name]; !ours && !set.unnamed {
			clean = append(clean, op{verb: deleteSet, name: name})
		}
	}
	for name, c := range seen.chains {
		switch {
		case c.isBase(name):
			g.bases[name] = true
		case g.partChains[name] && !c.base:
			// filled anew
		case c.base:
			empty = append(empty, op{verb: deleteChain, name: name})
		default:
			clean = append(clean, op{verb: deleteChain, name: name})
		}
	}
	for _, o := range seen.objects {
		if !g.isCounter(o) {
			clean = append(clean, op{verb: deleteObject, name: o.name, kind: o.kind})
		}
	}
	for _, name := range seen.flowtables {
		clean = append(clean, op{verb: deleteFlowtable, name: name})
	}
	rules := g.rules(nil)
	if len(empty)+len(clean)+len(rules) <= maxOps {
		return f.kernel.commit(slices.Concat(empty, clean, rules))
	}
	ahead, rules := g.split(rules, func(chain string) bool { _, there := seen.chains[chain]; return there })
	if err := f.commitParts(ahead); err != nil {
		return err
	}
	if err := f.kernel.commit(slices.Concat(empty, rules)); err != nil {
		return err
	}
	return f.commitParts(clean)
}

// maxOps is how many operations without elements one transaction may have.
// They take 300 bytes at most, and without rights over the whole machine a
// message may have 200 kB.
const maxOps = 600

// split takes the rules of the parts' chains that are not there yet out of ops:
// nothing refers to them, so they may be written before the rest.
func (g *generation) split(ops []op, there func(chain string) bool) (ahead, rest []op) {
	for _, o := range ops {
		if o.verb == addRule && g.partChains[o.name] && !there(o.name) {
			ahead = append(ahead, o)
		} else {
			rest = append(rest, o)
		}
	}
	return ahead, rest
}

// isBase reports whether a chain of this name is one of the base chains, and as
// it should be.
func (c foundChain) isBase(name string) bool {
	for _, b := range baseChains {
		if b.name == name {
			return c.hook != nil && *c.hook == b.hookSpec
		}
	}
	return false
}

// isCounter reports whether an object is a counter of this generation.
func (g *generation) isCounter(o foundObject) bool {
	return o.kind == unix.NFT_OBJECT_COUNTER && (slices.Contains(baseCounters[:], o.name) || g.counters[o.name])
}

// has reports whether the table has this object.
func (c *contents) has(o foundObject) bool { return slices.Contains(c.objects, o) }

// lastNumber returns the highest number of a generation that a name of the
// table bears.
func (c *contents) lastNumber() (n uint32) {
	for name := range c.sets {
		if _, v, ok := splitNumber(name); ok {
			n = max(n, v)
		}
	}
	for name := range c.chains {
		if _, v, ok := splitNumber(name); ok {
			n = max(n, v)
		}
	}
	return n
}
