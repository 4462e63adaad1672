package firewall

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// listChunk is how many elements one transaction of a load holds: with it the
// kernel is busy for a millisecond or so, which is what a ban may have to wait.
const listChunk = 250

// loadTries is how often a load that somebody's flush destroyed begins anew.
// Between two of them it waits, from retryFirst on, twice as long each time.
const loadTries = 5

// errRestart says that the sets which are being filled are gone.
var errRestart = errors.New("somebody keeps deleting the sets that are being filled")

// setList makes next the wanted list. The caller has the turn.
func (f *Firewall) setList(ctx context.Context, next *list) error {
	f.mu.Lock()
	l := f.lists.byName[next.name]
	if !f.writable() {
		defer f.unlock()
		f.keepList(l, next)
		return nil
	}
	if l == nil {
		// From now on it can be dropped, and its sets belong to the table.
		l = &list{name: next.name, direction: next.direction}
		f.lists.byName[next.name] = l
	}
	old := l.content
	small := old != nil && l.number != 0 && !l.stale && l.direction == next.direction && l.has.holds(next.content)
	has := l.has
	f.unlock()
	if small {
		if todo, ok := changes(&has, old, next.content); ok {
			if err := f.applyChanges(ctx, l, next, todo); err == nil || ctx.Err() != nil || errors.Is(err, ErrDropped) {
				return err
			}
		}
	}
	err := f.loadList(ctx, l, next)
	if err != nil {
		f.forgetLoad(l)
	}
	return err
}

// keepList notes a list for later. What the kernel may still have of the one
// before stays until then.
func (f *Firewall) keepList(l, next *list) {
	if l != nil {
		next.number, next.has, next.stale, next.count = l.number, l.has, true, l.count
	}
	f.lists.byName[next.name] = next
	if f.config.Observe {
		f.log.Info("observe: would load a list", "list", next.name, "prefixes", next.prefixes)
	}
}

// current reports whether l is still the list of its name, under the mutex.
func (f *Firewall) current(l *list) bool { return f.lists.byName[l.name] == l }

// loadList fills new sets and swaps them in.
func (f *Firewall) loadList(ctx context.Context, l, next *list) (err error) {
	for wait := retryFirst; ; wait *= 2 {
		var number uint32
		if number, err = f.beginLoad(l, next); err == nil && number == 0 {
			return nil
		}
		if err == nil {
			err = f.fillList(ctx, l, next, number)
		}
		if err == nil {
			err = f.finishLoad(l, next, number)
		}
		if !errors.Is(err, errRestart) || wait > retryFirst<<loadTries {
			return err
		}
		healed := time.NewTimer(wait) // Run builds the table anew meanwhile
		select {
		case <-healed.C:
		case <-ctx.Done():
			healed.Stop()
			return context.Cause(ctx)
		}
	}
}

// beginLoad makes the new sets, and returns their number; 0 if there is no
// table now, so that the list is kept for later.
func (f *Firewall) beginLoad(l, next *list) (uint32, error) {
	f.mu.Lock()
	defer f.unlock()
	if !f.current(l) {
		return 0, ErrDropped
	}
	if !f.writable() {
		f.keepList(l, next)
		return 0, nil
	}
	if f.fault != nil {
		return 0, errRestart
	}
	f.serial++
	number, g := f.serial, f.gen
	var ops []op
	g.owner = g.own[f.lists]
	if g.owner.sets == nil {
		g.owner = newThings()
		g.own[f.lists] = g.owner
	}
	fills := shapeOf(next.content)
	for v6, bits := range fills.sets {
		ops = append(ops, g.newSet(l.set(v6, bits, number), listSpec(v6, bits), nil)...)
	}
	g.owner = things{}
	if err := f.kernel.commit(ops); err != nil {
		f.fail("make the sets of list "+l.name, err)
		if errors.Is(err, unix.ENOENT) {
			err = errRestart
		}
		return 0, err
	}
	l.loading, l.fills = number, fills
	return number, nil
}

// fillList loads the content in chunks, and lets others in between.
func (f *Firewall) fillList(ctx context.Context, l, next *list, number uint32) error {
	has := shapeOf(next.content)
	part := make([]element, 0, listChunk)
	for v6, bits := range has.sets {
		name, spec := l.set(v6, bits, number), listSpec(v6, bits)
		if bits == restSet {
			ops := appendElements(nil, addElements, name, spec, rangeElements(has.spans(next.content, v6), spec.keyLen))
			if err := f.loadChunk(ctx, l, number, ops); err != nil {
				return err
			}
			continue
		}
		for n := 0; n < next.content.len(v6, bits); n += len(part) {
			part = part[:0]
			for j := n; j < next.content.len(v6, bits) && len(part) < listChunk; j++ {
				part = append(part, element{key: next.content.at(v6, bits, j)})
			}
			if err := f.loadChunk(ctx, l, number, []op{{verb: addElements, name: name, set: spec, elems: part}}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *Firewall) loadChunk(ctx context.Context, l *list, number uint32, ops []op) error {
	f.lock()
	defer f.unlock()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !f.current(l):
		return ErrDropped
	case l.loading != number || !f.writable():
		return errRestart
	}
	err := f.kernel.commit(ops)
	if errors.Is(err, unix.ENOENT) {
		l.loading = 0 // the table is gone, and the monitor will say so
		return errRestart
	}
	return err
}

// finishLoad makes sure that the new sets are full and puts them in force.
func (f *Firewall) finishLoad(l, next *list, number uint32) error {
	f.mu.Lock()
	defer f.unlock()
	switch {
	case !f.current(l):
		return ErrDropped
	case l.loading != number || !f.writable():
		return errRestart
	}
	seen, err := f.kernel.inspect()
	if err != nil {
		return err
	}
	for v6, bits := range l.fills.sets {
		name := l.set(v6, bits, number)
		found, ok := seen.sets[name]
		if !ok {
			return errRestart
		}
		if want := l.fills.count(next.content, v6, bits); found.count >= 0 && found.count < want {
			return fmt.Errorf("verify set %s: the kernel has %d of %d elements", name, found.count, want)
		}
	}
	l.direction, l.content, l.prefixes = next.direction, next.content, next.prefixes
	l.number, l.has, l.loading, l.stale = number, l.fills, 0, false
	if err := f.replace(f.lists); err != nil {
		f.fail("put list "+l.name+" in force", err)
		return err
	}
	return nil
}

// forgetLoad takes the half-filled sets away, and a list of which nothing came.
func (f *Firewall) forgetLoad(l *list) {
	f.mu.Lock()
	defer f.unlock()
	l.loading = 0
	if f.current(l) && l.content == nil && l.number == 0 {
		delete(f.lists.byName, l.name)
	}
	if !f.writable() {
		return
	}
	if err := f.replace(f.lists); err != nil {
		f.fail("take away what is left of list "+l.name, err)
	}
}
