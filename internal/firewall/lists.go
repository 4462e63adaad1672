package firewall

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/google/nftables/expr"

	"gatehouse/internal/gate"
)

// List is a block list.
type List struct {
	Name      string         // as gate.IsName wants it
	Direction gate.Direction // In: what they send; Out: what this machine sends to them; DirectionNone: both
	Prefixes  []netip.Prefix // sorted, not overlapping; other orders cost time, and overlaps are joined
}

// ListStatus is the state of a block list.
type ListStatus struct {
	Name      string         `json:"name"`
	Direction gate.Direction `json:"direction,omitzero"` // "" = both
	Prefixes  int            `json:"prefixes"`           // 0 while adopted: nobody counted them
	InForce   bool           `json:"in_force"`           // the kernel looks at it, if perhaps with the content from before
	Loading   bool           `json:"loading,omitempty"`  // a new content is being loaded beside it
	Adopted   bool           `json:"adopted,omitempty"`  // found in the kernel at start; its content is not known here
	Stopped   Counter        `json:"stopped"`            // since it came into use, restarts of the daemon included
}

// ErrDropped says that a list was dropped while it was being loaded.
var ErrDropped = errors.New("the list was dropped meanwhile")

// lists is the part of the table that holds block lists, in sets without
// timeouts. A million prefixes take seconds to load, so their sets outlive
// generations of the table: each content has a number of its own. The chain
// list-DIRECTION-NAME.NUMBER, to which a hit goes, is there only while the sets
// of that number are complete, which is how the next daemon knows them.
type lists struct {
	byName  map[string]*list
	turn    chan struct{} // capacity 1: holds one value while somebody loads
	missing chan struct{} // capacity 1: Run should load what is not in force; a second wake adds nothing
	sum     odometer
}

// list is one block list. What is in force stays so until a new content is
// complete in the kernel.
type list struct {
	name      string
	direction gate.Direction // of what is in force, or should be
	content   *packed        // what should be in force; nil = adopted
	prefixes  int            // in the content, as they were given
	number    uint32         // of the sets in force; 0 = none
	has       shape          // which they are
	stale     bool           // what is in force is not the content
	loading   uint32         // number of the sets that are being filled; 0 = none
	fills     shape          // which they are
	count     odometer
}

func newLists() *lists {
	return &lists{byName: map[string]*list{}, turn: make(chan struct{}, 1), missing: make(chan struct{}, 1)}
}

const (
	counterLists = "lists" // counts what all of them stop
	listChain    = "list-"
)

var listFamilies = [2]string{"list4-", "list6-"}

var listDirections = [...]string{gate.DirectionNone: "both", gate.In: "in", gate.Out: "out"}

// set names a set: the number tells it from all others.
func (l *list) set(v6 bool, bits int, number uint32) string {
	name := listFamilies[order(v6)] + l.name
	if bits != restSet {
		name += "-" + strconv.Itoa(bits)
	}
	return numbered(name, number)
}

func (l *list) counter() string { return listChain + l.name }

func (l *list) chain() string {
	return numbered(listChain+listDirections[l.direction]+"-"+l.name, l.number)
}

// wants reports whether the content has to be loaded.
func (l *list) wants() bool { return l.content != nil && (l.number == 0 || l.stale) }

func (ls *lists) sorted() []*list {
	out := make([]*list, 0, len(ls.byName))
	for _, name := range slices.Sorted(maps.Keys(ls.byName)) {
		out = append(out, ls.byName[name])
	}
	return out
}

func (ls *lists) plan(g *generation, _ uint32) (ops []op) {
	if len(ls.byName) == 0 {
		return nil
	}
	ops = g.newCounter(counterLists)
	for _, l := range ls.sorted() {
		ops = append(ops, g.newCounter(l.counter())...)
		if l.number != 0 && !ls.claim(g, l, l.number, &l.has) {
			l.number = 0
		}
		if l.loading != 0 && !ls.claim(g, l, l.loading, &l.fills) {
			l.loading = 0
		}
		if l.number != 0 {
			ops = append(ops, g.newChain(l.chain())...)
		}
		if l.wants() {
			ls.wake()
		}
	}
	return ops
}

// claim notes that sets which the table has belong to this part; false if they
// are not there.
func (ls *lists) claim(g *generation, l *list, number uint32, has *shape) bool {
	for v6, bits := range has.sets {
		if spec, ok := g.there.sets[l.set(v6, bits, number)]; !ok || spec != listSpec(v6, bits) {
			return false
		}
	}
	for v6, bits := range has.sets {
		g.note(l.set(v6, bits, number), listSpec(v6, bits))
	}
	return true
}

func (ls *lists) wake() {
	select {
	case ls.missing <- struct{}{}:
	default:
	}
}

func (ls *lists) rules(g *generation, b *book) {
	for _, l := range ls.sorted() {
		if l.number == 0 {
			continue
		}
		for v6, bits := range l.has.sets {
			hit := join(lookup(l.set(v6, bits, l.number)), goTo(l.chain()))
			if l.direction != gate.Out {
				b.put(placeLists, source(v6, bits), hit)
			}
			if l.direction != gate.In {
				b.put(placeOut, destination(v6, bits), hit)
			}
		}
		end := verdict(expr.VerdictDrop)
		if g.reject {
			end = goTo(numbered(chainReject, g.number))
		}
		b.add(l.chain(), count(counterLists), count(l.counter()), end)
	}
}

// whole compares counts where the kernel keeps them.
func (ls *lists) whole(seen *contents) bool {
	for _, l := range ls.byName {
		if l.number == 0 || l.content == nil || l.stale {
			continue
		}
		for v6, bits := range l.has.sets {
			if have := seen.sets[l.set(v6, bits, l.number)].count; have >= 0 && have < l.has.count(l.content, v6, bits) {
				l.stale = true
				ls.wake()
			}
		}
	}
	return true // the rules are right; the content is loaded again beside
}

func (ls *lists) gone() {
	for name, l := range ls.byName {
		l.number, l.loading = 0, 0
		if l.content == nil {
			delete(ls.byName, name)
		}
	}
}

// adopt takes over the lists that an earlier daemon left in force.
func (ls *lists) adopt(seen *contents) {
	for full, c := range seen.chains {
		rest, number, ok := splitNumber(full)
		rest, isList := strings.CutPrefix(rest, listChain)
		way, name, _ := strings.Cut(rest, "-")
		d := slices.Index(listDirections[:], way)
		if !ok || !isList || c.base || d < 0 || !gate.IsName(name) {
			continue
		}
		l := ls.byName[name]
		if l == nil {
			l = &list{name: name, direction: gate.Direction(d)}
			ls.byName[name] = l
		} else if l.number != 0 {
			continue
		}
		l.number, l.stale = number, true
		l.has = shape{}
		for f, v6 := range []bool{false, true} {
			there := func(bits int) bool { return seen.sets[l.set(v6, bits, number)].setSpec == listSpec(v6, bits) }
			l.has.rest[f] = there(restSet)
			for bits := range lengths(v6) {
				l.has.hash[f][bits] = there(bits)
			}
		}
	}
}

func (ls *lists) read(now map[string]Counter) {
	if c, ok := now[counterLists]; ok {
		ls.sum.read(c)
	}
	for _, l := range ls.byName {
		if c, ok := now[l.counter()]; ok {
			l.count.read(c)
		}
	}
}

// Lists returns the state of all lists, by name: those that were set, and those
// that Load found in the kernel. It reads counters and lists nothing.
func (f *Firewall) Lists() []ListStatus {
	f.mu.Lock()
	defer f.unlock()
	f.readParts()
	return f.listStatus()
}

func (f *Firewall) listStatus() []ListStatus {
	out := make([]ListStatus, 0, len(f.lists.byName))
	for _, l := range f.lists.sorted() {
		out = append(out, ListStatus{
			Name: l.name, Direction: l.direction, Prefixes: l.prefixes, Adopted: l.content == nil, Stopped: l.count.total(),
			InForce: l.number != 0 && f.health.Mode == Enforcing, Loading: l.loading != 0 || l.wants() && f.writable(),
		})
	}
	return out
}

// DropList takes a list away, also while it is being loaded. One that is not
// there is no error. After an error the list is no longer wanted, and Run tries
// again.
func (f *Firewall) DropList(name string) error {
	f.mu.Lock()
	defer f.unlock()
	if f.lists.byName[name] == nil {
		return nil
	}
	delete(f.lists.byName, name)
	if !f.writable() {
		return nil
	}
	if err := f.replace(f.lists); err != nil {
		f.fail("drop list "+name, err)
		return f.fault
	}
	return nil
}

// SetList makes a list the wanted one of its name and direction, and returns
// when it is in force. Meanwhile what was in force stays so. A small change is
// written as a difference; anything else is filled into new sets beside the
// old ones, in small steps that hold up nobody else, and then swapped in. Lists
// are loaded one at a time. Where nothing is enforced (before Load, in observe
// mode, while the emergency file exists) the list is kept for later.
//
// After an error, and when ctx ends, the old content is still wanted.
func (f *Firewall) SetList(ctx context.Context, l List) error {
	if !gate.IsName(l.Name) {
		return fmt.Errorf("a list cannot have the name %s", gate.Quote(l.Name, 64))
	}
	if int(l.Direction) >= len(listDirections) {
		return fmt.Errorf("list %s: it has no direction: use in, out or none for both", l.Name)
	}
	next := &list{name: l.Name, direction: l.Direction, prefixes: len(l.Prefixes)}
	var err error
	if next.content, err = pack(l.Prefixes); err != nil {
		return fmt.Errorf("list %s: %w", l.Name, err)
	}
	l.Prefixes = nil // the packed form is an eighth of it
	select {
	case f.lists.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-f.lists.turn }()
	if err := f.setList(ctx, next); err != nil {
		return fmt.Errorf("load list %s: %w", l.Name, err)
	}
	return nil
}
