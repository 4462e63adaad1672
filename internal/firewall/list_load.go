package firewall

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of loading lists, in ranges of addresses. Each range is two elements.
const (
	// listChunk is what one transaction of a load holds: with it the kernel is
	// busy for a millisecond or so, which is what a ban may have to wait.
	listChunk = 250
	// stepSize is the same for differences, whose transactions search more.
	stepSize = 200
	// stepMost bounds a transaction that cannot be cut: a prefix that is
	// replaced by those within it.
	stepMost = 1500
	// diffMost and diffShare bound differences, in ranges and as a share of the
	// content (one part in diffShare): beyond both a load is quicker.
	diffMost  = 2000
	diffShare = 8
	// loadTries is how often a load that somebody's flush destroyed begins anew.
	loadTries = 5
)

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
	var todo []step
	small := l.content != nil && l.number != 0 && !l.stale && l.direction == next.direction && l.has == next.content.families()
	old := l.content
	f.unlock()
	if small {
		limit := max(diffMost, (len(next.content.v4)+len(next.content.v6))/diffShare)
		if todo, small = steps(old, next.content, stepSize, stepMost, limit); small {
			if err := f.applySteps(ctx, l, next, todo); err == nil || ctx.Err() != nil {
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

// applySteps changes the sets in force.
func (f *Firewall) applySteps(ctx context.Context, l, next *list, todo []step) error {
	for i := range todo {
		if err := f.applyStep(ctx, l, &todo[i]); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.unlock()
	if !f.current(l) {
		return ErrDropped
	}
	l.content, l.prefixes, l.stale = next.content, next.prefixes, false
	return nil
}

func (f *Firewall) applyStep(ctx context.Context, l *list, s *step) error {
	f.mu.Lock()
	defer f.unlock()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !f.current(l):
		return ErrDropped
	case l.number == 0 || !f.writable():
		return errRestart
	}
	// Until the last step the sets hold neither content.
	l.stale = true
	name, spec := l.set(s.v6, l.number), addressSet(s.v6, false)
	ops := appendElements(nil, deleteElements, name, spec, rangeElements(s.drop, spec.keyLen))
	ops = appendElements(ops, addElements, name, spec, rangeElements(s.add, spec.keyLen))
	if err := f.kernel.commit(ops); err != nil {
		return err
	}
	return nil
}

// loadList fills new sets and swaps them in.
func (f *Firewall) loadList(ctx context.Context, l, next *list) (err error) {
	for range loadTries {
		var number uint32
		if number, err = f.beginLoad(l, next); err != nil || number == 0 {
			return err
		}
		if err = f.fillList(ctx, l, next, number); err == nil {
			err = f.finishLoad(l, next, number)
		}
		if !errors.Is(err, errRestart) {
			return err
		}
	}
	return err
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
	f.serial++
	number, g := f.serial, f.gen
	var ops []op
	g.owner = g.own[f.lists]
	if g.owner.sets == nil {
		g.owner = newThings()
		g.own[f.lists] = g.owner
	}
	for i, has := range next.content.families() {
		if has {
			ops = append(ops, g.newSet(l.set(i == 1, number), addressSet(i == 1, false), nil)...)
		}
	}
	g.owner = things{}
	if err := f.kernel.commit(ops); err != nil {
		f.fail("make the sets of list "+l.name, err)
		return 0, err
	}
	l.loading, l.fills = number, next.content.families()
	return number, nil
}

// fillList loads the content in chunks, and lets others in between.
func (f *Firewall) fillList(ctx context.Context, l, next *list, number uint32) error {
	part := make([]span, 0, listChunk)
	for i, has := range next.content.families() {
		v6 := i == 1
		if !has {
			continue
		}
		name, spec := l.set(v6, number), addressSet(v6, false)
		for n := 0; n < next.content.len(v6); n += len(part) {
			part = part[:0]
			for j := n; j < next.content.len(v6) && len(part) < listChunk; j++ {
				part = append(part, next.content.at(v6, j))
			}
			ops := appendElements(nil, addElements, name, spec, rangeElements(part, spec.keyLen))
			if err := f.loadChunk(ctx, l, number, ops); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *Firewall) loadChunk(ctx context.Context, l *list, number uint32, ops []op) error {
	f.mu.Lock()
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
	for i, has := range l.fills {
		found, ok := seen.sets[l.set(i == 1, number)]
		if has && !ok {
			return errRestart
		}
		if want := next.content.len(i == 1); has && found.count >= 0 && found.count < want {
			return fmt.Errorf("verify set %s: the kernel has %d of %d ranges", l.set(i == 1, number), found.count, want)
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

// relist loads what should be in force and is not: after a start, a foreign
// flush, or a load that the kernel refused. It is a part of Run.
func (f *Firewall) relist(ctx context.Context) error {
	retry := time.NewTimer(time.Hour)
	retry.Stop()
	defer retry.Stop()
	wait := retryFirst
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.lists.missing:
		case <-retry.C:
		}
		start := f.now()
		done, err := f.relistAll(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			f.log.Warn("a list could not be loaded; trying again", "err", err, "in", wait)
			retry.Reset(wait)
			wait = min(2*wait, retryLast)
		case err == nil:
			wait = retryFirst
			if done > 0 {
				f.log.Info("lists are in force again", "lists", done, "dur", f.now().Sub(start))
			}
		}
	}
}

func (f *Firewall) relistAll(ctx context.Context) (done int, err error) {
	for {
		select {
		case f.lists.turn <- struct{}{}:
		case <-ctx.Done():
			return done, nil
		}
		l, next := f.nextMissing()
		if l != nil {
			if err = f.loadList(ctx, l, next); err != nil {
				f.forgetLoad(l)
			}
		}
		<-f.lists.turn
		if l == nil || err != nil && !errors.Is(err, ErrDropped) {
			return done, err
		}
		done++
	}
}

// nextMissing returns a list that is to be loaded, and what; nil if there is
// none.
func (f *Firewall) nextMissing() (l, next *list) {
	f.mu.Lock()
	defer f.unlock()
	if !f.writable() {
		return nil, nil
	}
	for _, l := range f.lists.sorted() {
		if l.wants() {
			return l, &list{name: l.name, direction: l.direction, content: l.content, prefixes: l.prefixes}
		}
	}
	return nil, nil
}
