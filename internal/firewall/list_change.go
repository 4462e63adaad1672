package firewall

import (
	"cmp"
	"context"
	"slices"
)

// diffMost and diffShare bound differences, in prefixes and as a share of the
// content (one part in diffShare): beyond both a load is quicker.
const (
	diffMost  = 2000
	diffShare = 8
)

// setChange is what is to change in one set, in one transaction.
type setChange struct {
	v6        bool
	bits      int
	drop, add []element
}

// changes returns what turns one content into another in sets of a shape that
// holds both: all additions before all deletions, except in the interval set,
// whose ranges may overlap the old ones: it changes at once. It is false if a
// load is quicker.
func changes(has *shape, from, to *packed) (out []setChange, ok bool) {
	total, content := 0, 0
	for v6, bits := range has.sets {
		if bits != restSet {
			content += from.len(v6, bits)
		}
	}
	most := max(diffMost, content/diffShare)
	var drops []setChange
	for v6, bits := range has.sets {
		if bits == restSet {
			a, b := has.spans(from, v6), has.spans(to, v6)
			if !slices.Equal(a, b) {
				drop, add := without(a, b), without(b, a)
				n := keyLen(v6)
				if len(drop)+len(add) > restMost {
					return nil, false // more than one message to the kernel may hold
				}
				out = append(out, setChange{v6, bits, rangeElements(drop, n), rangeElements(add, n)})
			}
			continue
		}
		var drop, add []element
		note := func(to *[]element) func(key) bool {
			return func(k key) bool {
				*to = append(*to, element{key: k})
				total++
				return total < most
			}
		}
		if difference(from, to, v6, bits, note(&drop), note(&add)); total >= most {
			return nil, false
		}
		for part := range slices.Chunk(add, listChunk) {
			out = append(out, setChange{v6, bits, nil, part})
		}
		for part := range slices.Chunk(drop, listChunk) {
			drops = append(drops, setChange{v6, bits, part, nil})
		}
	}
	return append(out, drops...), true
}

// without returns the ranges of a that b does not have just so. Both are in
// order.
func without(a, b []span) (out []span) {
	for _, s := range a {
		if _, found := slices.BinarySearchFunc(b, s, func(x, y span) int {
			return cmp.Or(compareKeys(x.lo, y.lo), compareKeys(x.hi, y.hi))
		}); !found {
			out = append(out, s)
		}
	}
	return out
}

// applyChanges changes the sets in force.
func (f *Firewall) applyChanges(ctx context.Context, l, next *list, todo []setChange) error {
	for i := range todo {
		if err := f.applyChange(ctx, l, &todo[i]); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.unlock()
	if !f.current(l) {
		return ErrDropped
	}
	if l.number == 0 {
		return errRestart
	}
	l.content, l.prefixes, l.stale = next.content, next.prefixes, false
	return nil
}

func (f *Firewall) applyChange(ctx context.Context, l *list, c *setChange) error {
	f.lock()
	defer f.unlock()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !f.current(l):
		return ErrDropped
	case l.number == 0 || !f.writable():
		return errRestart
	}
	// Until the last change the sets hold neither content.
	l.stale = true
	name, spec := l.set(c.v6, c.bits, l.number), listSpec(c.v6, c.bits)
	ops := appendElements(nil, deleteElements, name, spec, c.drop)
	return f.kernel.commit(appendElements(ops, addElements, name, spec, c.add))
}
