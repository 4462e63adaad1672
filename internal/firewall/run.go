package firewall

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Run keeps the table as it should be until ctx ends: it undoes what others do
// to it, tries again what the kernel refused, watches the emergency file, and
// renews what the ledger has not confirmed. It returns nil when ctx ends, and
// may be called again after an error. Its helper goroutines end with it.
func (f *Firewall) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()

	k := keeper{f: f}
	// Neither channel has room: a reader that waits is what the queue of the
	// kernel is for.
	events, failed := make(chan foreign), make(chan error, 3)
	opened := make(chan bool)
	if f.kernel != nil {
		wg.Go(func() { failed <- f.relist(ctx) })
	}
	if f.monitor != nil {
		wg.Go(func() { failed <- f.listen(ctx, events) })
		if f.config.OpenFile != "" {
			wg.Go(func() { failed <- f.watchOpenFile(ctx, opened) })
		}
	}
	keep := time.NewTicker(keepTime)
	defer keep.Stop()
	due := time.NewTimer(time.Hour) // set anew before each wait
	defer due.Stop()
	for {
		due.Stop()
		if wait, ok := k.wait(); ok {
			due.Reset(wait)
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			if err != nil {
				return err
			}
		case e := <-events:
			k.noticed(e)
		case is := <-opened:
			k.opened(is)
		case <-f.wake:
			k.failed()
		case <-due.C:
			k.due()
		case <-keep.C:
			f.keep()
		}
	}
}

func (f *Firewall) listen(ctx context.Context, out chan<- foreign) error {
	for {
		e, ok, err := f.monitor.next(ctx)
		if err != nil || !ok {
			return err
		}
		select {
		case out <- e:
		case <-ctx.Done():
			return nil
		}
	}
}

// keeper is what Run remembers between two events.
type keeper struct {
	f         *Firewall
	deletions []time.Time   // foreign ones, within handsOffWindow
	counted   uint32        // revision up to which deletions are counted already
	buildAt   time.Time     // when to build anew; zero = no need
	heals     bool          // building anew undoes a foreign change
	retry     time.Duration // the last wait after a refusal
	undone    time.Time     // when a foreign change was last undone
}

// wait returns how long until due should be called.
func (k *keeper) wait() (time.Duration, bool) {
	k.f.mu.Lock()
	defer k.f.unlock()
	at := k.buildAt
	if h := k.f.handsOff; !h.IsZero() {
		at = h
	}
	if at.IsZero() {
		return 0, false
	}
	return max(0, at.Sub(k.f.now())), true
}

// noticed takes in a foreign transaction.
func (k *keeper) noticed(e foreign) {
	f := k.f
	f.mu.Lock()
	defer f.unlock()
	if !f.minded() {
		return
	}
	now := f.now()
	switch {
	case e.lost, e.first:
		if f.fault != nil || f.intact(e.lost) {
			return
		}
		// Somebody deleted something before we listened, or unheard.
		if k.deleted(now) {
			return
		}
		k.heal(now)
		k.counted = f.covered // news of the same deletion may still arrive
	case e.deleted:
		if int32(e.revision-k.counted) > 0 && k.deleted(now) {
			return
		}
		if int32(e.revision-f.covered) > 0 { // else a rebuild has already undone it
			k.heal(now)
		}
	case int32(e.revision-f.covered) > 0:
		k.heal(later(now, k.undone.Add(tamperPause)))
	}
}

// deleted counts a foreign deletion and reports whether it was one too many.
func (k *keeper) deleted(now time.Time) bool {
	k.deletions = slices.DeleteFunc(append(k.deletions, now), func(t time.Time) bool { return now.Sub(t) >= handsOffWindow })
	if len(k.deletions) < handsOffCount {
		return false
	}
	k.letGo(now)
	return true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// minded reports whether foreign changes matter.
func (f *Firewall) minded() bool {
	return (f.gen != nil || f.fault != nil) && !f.open && !f.removed && f.handsOff.IsZero()
}

func (k *keeper) heal(at time.Time) {
	k.heals = true
	if k.buildAt.IsZero() || at.Before(k.buildAt) {
		k.buildAt = at
	}
	if !at.After(k.f.now()) {
		k.build()
	}
}

// letGo leaves the table to whoever wants it gone.
func (k *keeper) letGo(now time.Time) {
	f := k.f
	f.handsOff, f.gen = now.Add(handsOffTime), nil
	k.deletions, k.buildAt, k.heals = nil, time.Time{}, false
	f.log.Error("somebody else keeps deleting the firewall's rules: NOTHING IS ENFORCED until the pause is over",
		"table", f.config.Table, "pause", handsOffTime, "hint", "find out who runs nft flush ruleset; restart gatehouse to enforce at once")
}

// opened takes in that the emergency file came or went.
func (k *keeper) opened(is bool) {
	f := k.f
	f.mu.Lock()
	defer f.unlock()
	if is == f.open {
		return
	}
	f.open = is
	if f.removed || !f.loaded {
		return
	}
	if is {
		f.log.Error("the emergency file exists: NOTHING IS ENFORCED until it is deleted", "file", f.config.OpenFile)
		k.buildAt, k.heals, f.handsOff = time.Time{}, false, time.Time{}
		if err := f.deleteTable(); err != nil {
			f.log.Error("the table could not be removed", "err", err)
		}
		return
	}
	f.log.Warn("the emergency file is gone: enforcing again", "file", f.config.OpenFile)
	k.deletions = nil
	k.build()
}

// failed takes in that the kernel refused something.
func (k *keeper) failed() {
	k.f.mu.Lock()
	defer k.f.unlock()
	if k.f.fault != nil && k.f.minded() && k.buildAt.IsZero() {
		k.build()
	}
}

// due does what wait waited for.
func (k *keeper) due() {
	f := k.f
	f.mu.Lock()
	defer f.unlock()
	now := f.now()
	if !f.handsOff.IsZero() && !now.Before(f.handsOff) {
		f.log.Warn("the pause is over: enforcing again", "table", f.config.Table)
		f.handsOff = time.Time{}
		k.build()
		return
	}
	if !k.buildAt.IsZero() && !now.Before(k.buildAt) {
		k.build()
	}
}

// build makes the table anew, or notes when to try again.
func (k *keeper) build() {
	f := k.f
	if f.open || f.removed || !f.handsOff.IsZero() {
		k.buildAt = time.Time{}
		return
	}
	start := f.now()
	if err := f.rebuild(); err != nil {
		k.retry = min(max(2*k.retry, retryFirst), retryLast)
		k.buildAt = start.Add(k.retry)
		f.fault = explain("build table inet "+f.config.Table, err)
		f.log.Error("the firewall's rules could not be built; trying again", "err", err, "in", k.retry)
		return
	}
	if k.heals {
		f.heals++
		f.lastHeal = f.now()
		k.undone = f.lastHeal
		f.log.Warn("somebody else changed the firewall's rules: undone", "table", f.config.Table, "dur", f.lastHeal.Sub(start))
	}
	k.buildAt, k.retry, k.heals = time.Time{}, 0, false
}

// intact reports whether the kernel still has what was built, as far as that
// can be told without a listing of large sets. Where the kernel does not count
// elements (before 6.16), the answer is no if strict, else yes.
func (f *Firewall) intact(strict bool) bool {
	if f.gen == nil || f.fault != nil {
		return false
	}
	seen, err := f.kernel.inspect()
	if err != nil || !seen.exists || seen.dormant {
		return false
	}
	now := f.clock()
	for name, spec := range f.gen.sets {
		if found, ok := seen.sets[name]; !ok || found.setSpec != spec {
			return false
		}
	}
	for _, b := range baseChains {
		if c, ok := seen.chains[b.name]; ok != f.gen.bases[b.name] || ok && !c.isBase(b.name) {
			return false
		}
	}
	for name, uses := range f.gen.uses {
		// The elements of maps count as uses of a part's chains, too.
		if have := seen.chains[name].uses; have < uses || have > uses && !f.gen.partChains[name] {
			return false
		}
	}
	for _, p := range f.parts {
		if !p.whole(seen) {
			return false
		}
	}
	for _, c := range f.gen.classes {
		lasting, fresh := seen.sets[f.gen.set(c, false)].count, seen.sets[f.gen.set(c, true)].count
		if lasting < 0 && !strict {
			continue
		}
		if !atLeast(lasting, c.lastsUntil, now) || !atLeast(fresh, c.heldUntil, now) {
			return false
		}
	}
	return true
}

// atLeast reports whether a set with this count can hold all that has not
// lapsed.
func atLeast(count int, want func(func(key, time.Duration) bool), now time.Duration) bool {
	for _, ends := range want {
		if ends > now+time.Second {
			count--
		}
		if count < 0 {
			return false
		}
	}
	return count >= 0
}
