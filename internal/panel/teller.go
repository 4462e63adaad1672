package panel

import (
	"sync"
	"time"

	"gatehouse/internal/ad2"
)

// zoneKey names a zone.
type zoneKey struct{ partition, zone int }

// teller takes events into the line. Faults of zones wait for their delay; a
// bucket bounds how many events of the less urgent kinds enter the ledger,
// because a broken sensor may open and close all day.
type teller struct {
	c       Config
	tell    func(ad2.Event)
	pending map[zoneKey]ad2.Event // faults that wait
	plain   budget                // of what happens all day
	urgent  budget                // of the rest: a house has a few such events a day
}

// plain are kinds that happen all day in a house, so that a broken sensor must not
// fill the ledger. The others have a budget that nothing but an attack uses up.
func plain(k ad2.Kind) bool {
	switch k.Begins() {
	case ad2.Fault, ad2.Trouble, ad2.Battery, ad2.Bypass, ad2.Reported, ad2.Undelivered, ad2.Reboot, ad2.Lost, ad2.Silent, ad2.Supervision:
		return true
	}
	return false
}

// passing are kinds that are not told: they are for those who follow.
func passing(k ad2.Kind) bool {
	switch k.Begins() {
	case ad2.Ready, ad2.Chime, ad2.Exit, ad2.Entry:
		return true
	}
	return false
}

// newTeller returns a teller with full budgets.
func newTeller(c Config, tell func(ad2.Event)) *teller {
	return &teller{
		c: c, tell: tell, pending: map[zoneKey]ad2.Event{},
		plain: budget{burst: 300, perHour: 600}, urgent: budget{burst: 1000, perHour: 1000},
	}
}

// take takes an event into the line, now or later, or not at all.
func (t *teller) take(e ad2.Event) {
	if passing(e.Kind) || t.c.Quiet[e.Kind] {
		return
	}
	key := zoneKey{e.Partition, e.Zone}
	switch {
	case e.Kind == ad2.Fault && t.c.Delay > 0:
		t.pending[key] = e
		return
	case e.Kind == ad2.Restore:
		if begun, waits := t.pending[key]; waits {
			delete(t.pending, key)
			if t.c.Suppress {
				return
			}
			t.send(begun)
		}
	}
	t.send(e)
}

// advance tells the faults whose delay is over.
func (t *teller) advance(now time.Time) {
	var due []ad2.Event
	for key, e := range t.pending {
		if now.Sub(e.Time) >= t.c.Delay {
			delete(t.pending, key)
			due = append(due, e)
		}
	}
	for _, e := range sorted(due, func(a, b ad2.Event) int { return a.Time.Compare(b.Time) }) {
		t.send(e)
	}
}

// next returns when advance has something to do.
func (t *teller) next() time.Time {
	var next time.Time
	for _, e := range t.pending {
		if at := e.Time.Add(t.c.Delay); next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next
}

// send tells an event unless there were too many of its like.
func (t *teller) send(e ad2.Event) {
	b := &t.urgent
	if plain(e.Kind) {
		b = &t.plain
	}
	if b.spend(e.Time) {
		b.held = false
		t.tell(e)
		return
	}
	if !b.held {
		b.held = true
		t.tell(ad2.Event{Time: e.Time, Kind: ad2.Trouble, Words: "so much happens that not all of it is recorded"})
	}
}

// budget bounds how many records of a kind enter the ledger. It is safe for
// concurrent use.
type budget struct {
	burst, perHour float64

	mu    sync.Mutex
	spent float64
	at    time.Time
	held  bool // it was told that there are too many; of the one who spends
}

// spend takes one record, and reports whether there was one left.
func (b *budget) spend(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if d := now.Sub(b.at); d > 0 {
		b.spent = max(0, b.spent-d.Hours()*b.perHour)
		b.at = now
	}
	if b.spent+1 > b.burst {
		return false
	}
	b.spent++
	return true
}
