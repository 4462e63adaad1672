package replay

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"gatehouse/internal/gate"
)

// finish counts a ban that will keep nothing more away among the best.
func (t *tally) finish(p netip.Prefix, s *standing) {
	if s.kept == 0 {
		return
	}
	t.best = push(t.best, Effect{
		Subject: gate.PrefixSubject(p), Rule: s.rule, Time: time.Unix(0, s.since).UTC(), Until: pointer(s.until), KeptAway: s.kept,
	})
}

// push adds an effect to a heap of at most maxEffects, of which the least is first.
func push(heap []Effect, e Effect) []Effect {
	if len(heap) == maxEffects {
		if compareEffects(e, heap[0]) >= 0 {
			return heap
		}
		heap[0] = e
		for i := 0; ; {
			last := i
			for c := 2*i + 1; c <= 2*i+2 && c < len(heap); c++ {
				if compareEffects(heap[c], heap[last]) > 0 {
					last = c
				}
			}
			if last == i {
				return heap
			}
			heap[i], heap[last] = heap[last], heap[i]
			i = last
		}
	}
	heap = append(heap, e)
	for i := len(heap) - 1; i > 0; {
		up := (i - 1) / 2
		if compareEffects(heap[i], heap[up]) <= 0 {
			break
		}
		heap[i], heap[up] = heap[up], heap[i]
		i = up
	}
	return heap
}

// compareEffects puts what kept most away first.
func compareEffects(a, b Effect) int {
	return cmp.Or(cmp.Compare(b.KeptAway, a.KeptAway), a.Time.Compare(b.Time), a.Subject.Prefix().Compare(b.Subject.Prefix()), cmp.Compare(a.Rule, b.Rule))
}

// worst returns the worst offenders and the bans that would have kept most away.
func (t *tally) worst() (offenders []Offender, effects []Effect) {
	offenders, effects = []Offender{}, append([]Effect{}, t.best...) // lists in JSON, even when empty
	rest := tally{best: effects}
	for _, p := range slices.SortedFunc(maps.Keys(t.all), netip.Prefix.Compare) {
		o := t.all[p]
		for i := range o.standings {
			rest.finish(p, &o.standings[i])
		}
		if o.bans > 0 {
			offenders = append(offenders, Offender{
				Subject: gate.PrefixSubject(p), Rule: o.rule, Bans: o.bans, KeptAway: o.kept,
				First: time.Unix(0, o.first).UTC(), Last: time.Unix(0, o.last).UTC(), Until: pointer(o.until),
			})
		}
	}
	slices.SortFunc(rest.best, compareEffects)
	slices.SortFunc(offenders, func(a, b Offender) int {
		return cmp.Or(cmp.Compare(b.KeptAway, a.KeptAway), cmp.Compare(b.Bans, a.Bans), a.First.Compare(b.First), a.Subject.Prefix().Compare(b.Subject.Prefix()))
	})
	return offenders[:min(len(offenders), maxWorst)], rest.best
}

// pointer returns a time, nil for 0.
func pointer(ns int64) *time.Time {
	if ns == 0 {
		return nil
	}
	return new(time.Unix(0, ns).UTC())
}
