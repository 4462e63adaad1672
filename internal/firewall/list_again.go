package firewall

import (
	"context"
	"errors"
	"time"
)

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
