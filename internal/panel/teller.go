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
	tokens  float64
	filled  time.Time
	held    int // events that the bucket held back
}

// Bounds of the bucket.
const (
	burst   = 300.0
	perHour = 600.0
)

// plain are kinds that happen all day in a house; the others are never held back.
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
	if !plain(e.Kind) {
		t.tell(e)
		return
	}
	if t.filled.IsZero() {
		t.tokens = burst
	} else if d := e.Time.Sub(t.filled); d > 0 {
		t.tokens = min(burst, t.tokens+d.Hours()*perHour)
	}
	if t.filled.Before(e.Time) {
		t.filled = e.Time
	}
	if t.tokens < 1 {
		if t.held++; t.held == 1 {
			t.tell(ad2.Event{Time: e.Time, Kind: ad2.Trouble, Words: "so much happens that not all of it is recorded; alarms still are"})
		}
		return
	}
	t.tokens--
	t.held = 0
	t.tell(e)
}

// budget bounds how many records about clients enter the ledger. It is safe for
// concurrent use; the zero value is full.
type budget struct {
	mu    sync.Mutex
	spent float64
	at    time.Time
}

// Bounds of a budget.
const (
	budgetBurst   = 60.0
	budgetPerHour = 60.0
)

// spend takes one record, and reports whether there was one left.
func (b *budget) spend(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if d := now.Sub(b.at); d > 0 {
		b.spent = max(0, b.spent-d.Hours()*budgetPerHour)
	}
	b.at = now
	if b.spent+1 > budgetBurst {
		return false
	}
	b.spent++
	return true
}
