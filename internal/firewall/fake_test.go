package firewall

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// fakeKernel is a model of nf_tables, strict where the real one is: what does
// not exist, exists already or is still referred to fails the transaction.
type fakeKernel struct {
	mu       sync.Mutex
	table    *fakeTable // nil = there is none
	revision uint32
	commits  int
	counts   bool                 // says how many elements a set has
	renews   bool                 // adding an element again renews it
	refuse   func(ops []op) error // asked before a transaction
	after    func(ops []op) error // asked behind one that was carried out
	log      []string             // one line an operation
}

type fakeTable struct {
	dormant  bool
	sets     map[string]fakeSet
	chains   map[string]fakeChain
	counters map[string]Counter
}

type fakeSet struct {
	setSpec
	elems map[fakeKey]time.Time // when each lapses; zero = never
	goes  map[key]string        // of a map: the chain that each names
}

type fakeKey struct {
	key key
	end bool
}

type fakeChain struct {
	hook  *hookSpec
	rules [][]expr.Any
}

func newFakeKernel() *fakeKernel { return &fakeKernel{counts: true, renews: true} }

func (t *fakeTable) clone() *fakeTable {
	if t == nil {
		return nil
	}
	c := &fakeTable{t.dormant, maps.Clone(t.sets), maps.Clone(t.chains), maps.Clone(t.counters)}
	for n, s := range c.sets {
		s.elems, s.goes = maps.Clone(s.elems), maps.Clone(s.goes)
		c.sets[n] = s
	}
	return c
}

func (k *fakeKernel) commit(ops []op) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(ops) == 0 {
		return nil
	}
	k.commits++
	if k.refuse != nil {
		if err := k.refuse(ops); err != nil {
			return err
		}
	}
	next := k.table.clone()
	for i, o := range ops {
		k.log = append(k.log, fmt.Sprintf("%s %s %d", verbNames[o.verb], o.name, len(o.elems)))
		if errno := k.apply(&next, o); errno != 0 {
			return &refusal{op: i, verb: o.verb, name: o.name, errno: errno}
		}
	}
	k.table = next
	k.revision++
	if k.after != nil {
		return k.after(ops)
	}
	return nil
}

func (k *fakeKernel) apply(tp **fakeTable, o op) unix.Errno {
	t := *tp
	if t == nil && o.verb != addTable {
		return unix.ENOENT
	}
	switch o.verb {
	case addTable:
		if t == nil {
			*tp = &fakeTable{false, map[string]fakeSet{}, map[string]fakeChain{}, map[string]Counter{}}
		}
	case wakeTable:
		t.dormant = false
	case deleteTable:
		*tp = nil
	case addCounter:
		if _, ok := t.counters[o.name]; ok {
			return unix.EEXIST
		}
		t.counters[o.name] = Counter{}
	case addSet:
		if _, ok := t.sets[o.name]; ok {
			return unix.EEXIST
		}
		t.sets[o.name] = fakeSet{o.set, map[fakeKey]time.Time{}, map[key]string{}}
	case deleteSet:
		if _, ok := t.sets[o.name]; !ok {
			return unix.ENOENT
		}
		if t.refers(func(x expr.Any) bool { l, ok := x.(*expr.Lookup); return ok && l.SetName == o.name }) > 0 {
			return unix.EBUSY
		}
		delete(t.sets, o.name)
	case addChain:
		if _, ok := t.chains[o.name]; ok {
			return unix.EEXIST
		}
		t.chains[o.name] = fakeChain{hook: o.hook}
	case deleteChain:
		c, ok := t.chains[o.name]
		if !ok {
			return unix.ENOENT
		}
		if len(c.rules) > 0 || t.jumps(o.name) > 0 {
			return unix.EBUSY
		}
		delete(t.chains, o.name)
	case deleteObject:
		if _, ok := t.counters[o.name]; !ok || o.kind != unix.NFT_OBJECT_COUNTER {
			return unix.ENOENT
		}
		if t.refers(func(x expr.Any) bool { r, ok := x.(*expr.Objref); return ok && r.Name == o.name }) > 0 {
			return unix.EBUSY
		}
		delete(t.counters, o.name)
	case emptyChain:
		c, ok := t.chains[o.name]
		if !ok {
			return unix.ENOENT
		}
		c.rules = nil
		t.chains[o.name] = c
	case addRule:
		return t.addRule(o)
	case addElements, deleteElements:
		return k.elementsOp(t, o)
	default:
		return unix.EOPNOTSUPP
	}
	return 0
}

func (t *fakeTable) addRule(o op) unix.Errno {
	c, ok := t.chains[o.name]
	if !ok {
		return unix.ENOENT
	}
	for _, x := range o.rule {
		found := true
		switch x := x.(type) {
		case *expr.Lookup:
			_, found = t.sets[x.SetName]
		case *expr.Objref:
			_, found = t.counters[x.Name]
		case *expr.Verdict:
			if x.Chain != "" {
				_, found = t.chains[x.Chain]
			}
		}
		if !found {
			return unix.ENOENT
		}
	}
	c.rules = append(slices.Clone(c.rules), o.rule)
	t.chains[o.name] = c
	return 0
}

func (k *fakeKernel) elementsOp(t *fakeTable, o op) unix.Errno {
	s, ok := t.sets[o.name]
	if !ok {
		return unix.ENOENT
	}
	if s.keyLen != o.set.keyLen || len(o.elems) > maxElements {
		return unix.EINVAL
	}
	now := time.Now()
	for _, x := range o.elems {
		fk := fakeKey{x.key, x.end}
		at, there := s.elems[fk]
		there = there && (at.IsZero() || at.After(now))
		if o.verb == deleteElements {
			if !there {
				return unix.ENOENT
			}
			delete(s.elems, fk)
			delete(s.goes, x.key)
			continue
		}
		if x.life != 0 && !s.timeout || s.verdicts != (x.goes != "") {
			return unix.EINVAL
		}
		if s.verdicts {
			if _, ok := t.chains[x.goes]; !ok {
				return unix.ENOENT
			}
			s.goes[x.key] = x.goes
		}
		if there && !k.renews {
			continue
		}
		at = time.Time{}
		if x.life != 0 {
			at = now.Add(x.life)
		}
		s.elems[fk] = at
	}
	return 0
}

func (t *fakeTable) refers(match func(expr.Any) bool) (n int) {
	for _, c := range t.chains {
		for _, r := range c.rules {
			for _, x := range r {
				if match(x) {
					n++
				}
			}
		}
	}
	return n
}

func (t *fakeTable) jumps(chain string) int {
	n := t.refers(func(x expr.Any) bool { v, ok := x.(*expr.Verdict); return ok && v.Chain == chain })
	for _, s := range t.sets {
		for _, to := range s.goes {
			if to == chain {
				n++
			}
		}
	}
	return n
}

func (k *fakeKernel) inspect() (*contents, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := &contents{revision: k.revision, sets: map[string]foundSet{}, chains: map[string]foundChain{}}
	if k.table == nil {
		return c, nil
	}
	c.exists, c.dormant = true, k.table.dormant
	for n, s := range k.table.sets {
		count := -1
		if k.counts {
			count = len(s.elems)
		}
		c.sets[n] = foundSet{s.setSpec, count}
	}
	for n, x := range k.table.chains {
		c.chains[n] = foundChain{hook: x.hook, base: x.hook != nil, uses: len(x.rules) + k.table.jumps(n)}
	}
	for n := range k.table.counters {
		c.objects = append(c.objects, foundObject{n, unix.NFT_OBJECT_COUNTER})
	}
	return c, nil
}

func (k *fakeKernel) elements(set string) (out []element, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.table == nil {
		return nil, unix.ENOENT
	}
	s, ok := k.table.sets[set]
	if !ok {
		return nil, unix.ENOENT
	}
	now := time.Now()
	for fk, at := range s.elems {
		x := element{key: fk.key, end: fk.end}
		if !at.IsZero() {
			if x.life = at.Sub(now); x.life <= 0 {
				continue
			}
		}
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b element) int { return bytes.Compare(a.key[:], b.key[:]) })
	return out, nil
}

func (k *fakeKernel) element(set string, _ setSpec, want key) (element, bool, error) {
	list, err := k.elements(set)
	for _, x := range list {
		if x.key == want {
			return x, true, err
		}
	}
	return element{}, false, err
}

func (k *fakeKernel) counters() (map[string]Counter, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.table == nil {
		return nil, nil
	}
	return maps.Clone(k.table.counters), nil
}

// fakeMonitor hands on what a test says.
type fakeMonitor chan foreign

func (m fakeMonitor) next(ctx context.Context) (foreign, bool, error) {
	select {
	case e, ok := <-m:
		if !ok {
			return e, false, errors.New("the socket broke")
		}
		return e, true, nil
	case <-ctx.Done():
		return foreign{}, false, nil
	}
}

// flush is what `nft flush ruleset` does to the table.
func (k *fakeKernel) flush() foreign {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.table = nil
	k.revision++
	return foreign{revision: k.revision, deleted: true}
}
