package firewall

import (
	"maps"
	"slices"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// part is what the table holds beside bans: lists, port gates, traps. A part
// knows what is wanted of it and writes that into a generation; when the kernel
// is written is not its affair. All methods are called under the firewall's
// mutex.
//
// A part's life: plan and rules for each generation, and again when it alone is
// replaced; whole when messages of the kernel were lost; gone when the table
// was deleted.
type part interface {
	// plan returns the operations that make and fill the part's sets, chains
	// and counters beside what the table has. It makes them by the methods of g
	// alone (newSet, keepSet, newChain, newCounter), which note whose they are.
	// number makes names that meet no older ones: see numbered.
	plan(g *generation, number uint32) []op
	// rules writes the part's rules: those of its own chains, and those at
	// places of the base chains.
	rules(g *generation, b *book)
	// whole reports whether the kernel's sets still have what they should, as
	// far as their counts tell: that they exist, and all rules, is known.
	whole(seen *contents) bool
	// gone takes in that the table is no more.
	gone()
}

// spot is a place in a base chain where parts put rules. The order is that of
// the packet's way through each chain: see allRules.
type spot uint8

// The places.
const (
	placeLists      spot = iota // ban, behind never, allow and bans: every packet, no connection tracking
	placeLive                   // doubt, behind never, allow and bans of ports: every packet, live connections included
	placeProbes                 // doubt, behind what belongs to a live connection: before TCP in mid-stream is let through
	placeHolds                  // doubt, behind that: new, untracked and invalid packets are left; before bans of new connections
	placeTraps                  // doubt, behind bans of new connections
	placeThresholds             // doubt, behind traps
	placeOut                    // outgoing, behind loopback, never and allow (of the destination)
	placeAnswersOut             // answers-out: loopback is exempt
	placeAnswersIn              // answers-in: loopback is exempt
	placeArrivals               // arrivals, behind loopback, never and allow: everything for this machine itself, behind destination NAT
	placeCount
)

// book is all rules that parts have, before they are laid out.
type book struct {
	places [placeCount][][]expr.Any
	own    []op // rules of the parts' own chains
	exits  map[string]exit
	pass   [][]expr.Any // of doubt: what no hold and no ban of new connections touches
}

// exit is where packets go that a base chain has no more to say about: chains,
// "" = they are accepted. `accept` and `goto` end the base chain; what comes
// from an exempt address, or belongs to a live connection, takes the exit early.
type exit struct {
	all   string // everything
	never string // what comes from (in outgoing: goes to) an address in never
}

// put adds a rule at a place.
func (b *book) put(at spot, parts ...[]expr.Any) {
	b.places[at] = append(b.places[at], join(parts...))
}

// add adds a rule at the end of a part's own chain.
func (b *book) add(chain string, parts ...[]expr.Any) {
	b.own = append(b.own, op{verb: addRule, name: chain, rule: join(parts...)})
}

// leave returns the rule's end that takes a packet to the exit of a chain.
func (e exit) leave(exempt bool) []expr.Any {
	to := e.all
	if exempt {
		to = e.never
	}
	if to == "" {
		return verdict(expr.VerdictAccept)
	}
	return goTo(to)
}

// things are what a table has, or what belongs to somebody in it, by full name.
type things struct {
	sets     map[string]setSpec
	chains   map[string]bool
	counters map[string]bool
}

func newThings() things {
	return things{map[string]setSpec{}, map[string]bool{}, map[string]bool{}}
}

// thingsOf returns what was found in a table.
func thingsOf(seen *contents) things {
	t := newThings()
	for name, s := range seen.sets {
		t.sets[name] = s.setSpec
	}
	for name := range seen.chains {
		t.chains[name] = true
	}
	for _, o := range seen.objects {
		if o.kind == unix.NFT_OBJECT_COUNTER {
			t.counters[o.name] = true
		}
	}
	return t
}

// partly plans one part and notes what it makes as its own.
func (g *generation) partly(p part, number uint32) []op {
	g.owner = newThings()
	ops := p.plan(g, number)
	g.own[p], g.owner = g.owner, things{}
	return ops
}

// keepSet is newSet for a set whose elements the kernel or the part put there
// earlier and that must live on: one of this name and kind that the table has
// already stays as it is.
func (g *generation) keepSet(name string, spec setSpec) []op {
	if have, ok := g.there.sets[name]; ok && have == spec {
		g.note(name, spec)
		return nil
	}
	return g.newSet(name, spec, nil)
}

// newChain returns the operation that makes a chain that others jump to. Its
// rules come later, from the part's method rules. A chain of this name that the
// table has already is emptied and filled anew.
func (g *generation) newChain(name string) []op {
	g.partChains[name], g.owner.chains[name] = true, true
	if g.there.chains[name] {
		return nil
	}
	return []op{{verb: addChain, name: name}}
}

// newCounter returns the operation that makes a named counter, unless the
// table has it already: then it counts on.
func (g *generation) newCounter(name string) []op {
	g.counters[name], g.owner.counters[name] = true, true
	if g.there.counters[name] {
		return nil
	}
	return []op{{verb: addCounter, name: name}}
}

// note notes that the generation has a set, and whose it is.
func (g *generation) note(name string, spec setSpec) {
	g.sets[name] = spec
	if g.owner.sets != nil {
		g.owner.sets[name] = spec
	}
}

// replace makes one part anew, beside what it had, and swaps the rules by one
// transaction. It is called with the table writable; after an error the table
// must be built anew, which the next call does.
func (f *Firewall) replace(p part) error {
	if f.fault != nil {
		return f.rebuild()
	}
	g, old := f.gen, f.gen.own[p]
	g.there = things{maps.Clone(g.sets), maps.Clone(g.partChains), maps.Clone(g.counters)}
	for name := range old.sets {
		delete(g.sets, name)
	}
	for name := range old.chains {
		delete(g.partChains, name)
	}
	for name := range old.counters {
		delete(g.counters, name)
	}
	filled := g.chains()
	f.serial++
	ops := g.partly(p, f.serial)
	g.there = things{}
	if err := f.commitParts(ops); err != nil {
		return err
	}
	var refill, unused, sweep []op
	for _, name := range slices.Sorted(maps.Keys(old.chains)) {
		if o := (op{verb: emptyChain, name: name}); g.partChains[name] {
			refill = append(refill, o)
		} else {
			unused = append(unused, o)
			sweep = append(sweep, op{verb: deleteChain, name: name})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(old.sets)) {
		if _, kept := g.sets[name]; !kept {
			unused = append(unused, op{verb: deleteSet, name: name})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(old.counters)) {
		if !g.counters[name] {
			sweep = append(sweep, op{verb: deleteObject, name: name, kind: unix.NFT_OBJECT_COUNTER})
		}
	}
	ahead, rules := g.split(g.rules(filled), func(chain string) bool { return old.chains[chain] })
	if err := f.commitParts(ahead); err != nil {
		return err
	}
	if err := f.kernel.commit(concat(refill, rules)); err != nil {
		return err
	}
	// Rules before the sets that they look at, and these before the chains that
	// their elements name.
	return f.commitParts(concat(unused, sweep))
}
