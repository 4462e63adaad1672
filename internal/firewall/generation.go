package firewall

import (
	"maps"
	"slices"

	"github.com/google/nftables/expr"
)

// generation is what one table full of rules is made from.
type generation struct {
	number  uint32             // in the names of its chains and sets
	exempt  uint32             // in the names of the never and allow sets
	reject  bool               // answer what is dropped for proven evidence
	classes []*class           // those that have sets, in the order of their rules
	scopes  map[int]*scope     // those that classes refer to
	uses    map[string]int     // rules in, and jumps to, each chain, once made
	sets    map[string]setSpec // all sets, by full name
	bases   map[string]bool    // base chains that the kernel has, as they should be

	parts      []part
	partChains map[string]bool // of the parts
	counters   map[string]bool // of the parts
	own        map[part]things // what belongs to each part
	there      things          // while parts are planned: what the table has already
	owner      things          // while one part is planned: what it makes
}

func newGeneration(number uint32, reject bool, parts []part) *generation {
	return &generation{
		number: number, reject: reject, scopes: map[int]*scope{}, sets: map[string]setSpec{}, bases: map[string]bool{},
		parts: parts, partChains: map[string]bool{}, counters: map[string]bool{}, own: map[part]things{},
	}
}

func (g *generation) set(c *class, fresh bool) string {
	if fresh {
		return numbered(c.name+freshSuffix, g.number)
	}
	return numbered(c.name, g.number)
}

// ported returns the scopes that have ports, and so a chain of their own.
func (g *generation) ported() (out []*scope) {
	for _, n := range slices.Sorted(maps.Keys(g.scopes)) {
		if s := g.scopes[n]; !s.ports.IsEmpty() {
			out = append(out, s)
		}
	}
	return out
}

// chains returns the names of the chains that belong to this generation alone,
// those of its parts included.
func (g *generation) chains() map[string]bool {
	out := maps.Clone(g.partChains)
	if g.reject {
		out[numbered(chainReject, g.number)] = true
	}
	for _, s := range g.ported() {
		out[numbered(s.chain(), g.number)] = true
	}
	return out
}

// tally counts what the kernel will count as uses of each chain: rules in it
// and jumps to it.
func tally(ops []op) map[string]int {
	uses := map[string]int{}
	for _, o := range ops {
		if o.verb != addRule {
			continue
		}
		uses[o.name]++
		for _, x := range o.rule {
			if v, ok := x.(*expr.Verdict); ok && v.Chain != "" {
				uses[v.Chain]++
			}
		}
	}
	return uses
}

// newScope returns the operations that make the chain and the sets of a scope,
// and fill the sets.
func (g *generation) newScope(s *scope) (ops []op) {
	g.scopes[s.number] = s
	if s.ports.IsEmpty() {
		return nil
	}
	ops = append(ops, op{verb: addChain, name: numbered(s.chain(), g.number)})
	for _, p := range s.protos() {
		ops = append(ops, g.newSet(numbered(s.portSet(p), g.number), portSet, rangeElements(portSpans(s.ports, p), portSet.keyLen))...)
	}
	return ops
}

var portSet = setSpec{keyType: typePort, keyLen: 2, interval: true}

// newClass returns the operations that make the two sets of a class, and its
// scope if it is the first one of that.
func (g *generation) newClass(c *class, s *scope) []op {
	g.classes = append(g.classes, c)
	slices.SortFunc(g.classes, compareClasses)
	ops := append(g.newSet(g.set(c, true), c.spec(), nil), g.newSet(g.set(c, false), c.spec(), nil)...)
	if g.scopes[s.number] == nil {
		ops = append(ops, g.newScope(s)...)
	}
	return ops
}

func (g *generation) has(c *class) bool { return slices.Contains(g.classes, c) }

// newExempt returns the operations that make and fill the never and allow sets
// under a number of their own, and forgets the old ones.
func (g *generation) newExempt(n uint32, e *exempt) (ops []op) {
	for _, x := range exemptSets {
		delete(g.sets, numbered(x.name, g.exempt))
	}
	g.exempt = n
	for i, x := range exemptSets {
		spec := addressSet(x.v6, false)
		ops = append(ops, g.newSet(numbered(x.name, n), spec, rangeElements(e[i], spec.keyLen))...)
	}
	return ops
}

// exempt is the content of exemptSets, in their order.
type exempt [len(exemptSets)][]span

func (g *generation) newSet(name string, spec setSpec, elems []element) []op {
	g.note(name, spec)
	return appendElements([]op{{verb: addSet, name: name, set: spec}}, addElements, name, spec, elems)
}

func (g *generation) dropSet(name string) op {
	delete(g.sets, name)
	return op{verb: deleteSet, name: name}
}

// appendElements appends one operation for each maxElements elements, or
// maxVerdicts of a map.
func appendElements(ops []op, v verb, set string, spec setSpec, elems []element) []op {
	n := maxElements
	if spec.verdicts {
		n = maxVerdicts
	}
	for part := range slices.Chunk(elems, n) {
		ops = append(ops, op{verb: v, name: set, set: spec, elems: part})
	}
	return ops
}
