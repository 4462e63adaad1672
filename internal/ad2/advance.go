package ad2

import (
	"maps"
	"slices"
	"time"
)

// Advance does what time alone brings: silence, holds that end, a disarm whose
// user was never said. It returns the events.
func (p *Panel) Advance(now time.Time) []Event {
	p.begin(now)
	return p.out
}

// Next returns when Advance has something to do; the zero Time for never.
func (p *Panel) Next() time.Time {
	var next time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if p.link && !p.mute && !p.begun.IsZero() {
		sooner(p.lastHeard().Add(p.c.Silence))
	}
	for part := range p.all {
		if part.Goodbye != nil {
			sooner(part.Due)
		}
	}
	if p.mute || !p.link {
		return next // nothing ends because nothing is heard
	}
	if p.battery.Bad && !p.battery.ShownAt.IsZero() {
		sooner(p.battery.ShownAt.Add(p.patience(hold)))
	}
	for part := range p.all {
		if part.Alarm && len(part.Reports) == 0 && part.Seen.After(part.BellAt) && !part.BellAt.IsZero() {
			sooner(part.BellAt.Add(hold))
		}
	}
	if len(p.modules) > 0 || p.lapsing() {
		sooner(p.lastHeard().Add(longHold))
	}
	return next
}

// lapsing reports whether a zone shows trouble that ends when it is no longer
// displayed.
func (p *Panel) lapsing() bool {
	for part := range p.all {
		for _, z := range part.Zones {
			if !z.CheckAt.IsZero() && z.Check || !z.BatAt.IsZero() && z.Battery {
				return true
			}
		}
	}
	return false
}

func (p *Panel) lastHeard() time.Time {
	if p.heard.After(p.begun) {
		return p.heard
	}
	return p.begun
}

// patience is how long something that is displayed among others may stay away:
// longer while the display goes through many zones.
func (p *Panel) patience(least time.Duration) time.Duration {
	longest := least
	for part := range p.all {
		open := 0
		for _, z := range part.Zones {
			if z.Open || z.Check || z.Battery {
				open++
			}
		}
		if open > 0 {
			longest = max(longest, 3*part.cycle.gap()*time.Duration(open+2))
		}
	}
	return longest
}

// advance is Advance without starting anew.
func (p *Panel) advance(now time.Time) {
	for part := range p.all {
		if part.Goodbye != nil && !now.Before(part.Due) {
			p.release(part)
		}
	}
	silent := now.Sub(p.lastHeard()) >= p.c.Silence
	if silent && p.link && !p.mute {
		p.mute = true
		e := Event{Time: p.lastHeard().Add(p.c.Silence), Kind: Silent}
		if e.Time.After(now) {
			e.Time = now
		}
		p.tell(e)
	}
	if silent || !p.link {
		return // nothing ends because nothing is heard
	}
	if b := &p.battery; b.Bad && !b.ShownAt.IsZero() && now.Sub(b.ShownAt) >= p.patience(hold) {
		b.ShownAt = time.Time{}
		p.setBattery(false, now)
	}
	for _, n := range slices.Sorted(maps.Keys(p.modules)) {
		if now.Sub(p.modules[n]) >= p.patience(longHold) && !p.anyArmed() {
			delete(p.modules, n)
			p.tell(Event{Time: now, Kind: Trouble.Over(), Words: "device " + itoa(n)})
		}
	}
	for part := range p.all {
		if part.Alarm && len(part.Reports) == 0 && !part.BellAt.IsZero() && now.Sub(part.BellAt) >= hold && part.Seen.Sub(part.BellAt) > 0 {
			p.silence(part, now)
		}
		if part.Mode.Armed() {
			continue // what is wrong is not displayed while armed
		}
		for _, n := range part.numbers() {
			z := part.Zones[n]
			e := Event{Time: now, Partition: part.Number, Zone: n}
			if z.Check && !z.CheckAt.IsZero() && now.Sub(z.CheckAt) >= p.patience(longHold) {
				p.change(&z.Check, false, Trouble, false, e)
			}
			if z.Battery && !z.BatAt.IsZero() && now.Sub(z.BatAt) >= p.patience(longHold) {
				p.change(&z.Battery, false, Battery, false, e)
			}
		}
	}
}

func (p *Panel) anyArmed() bool {
	for part := range p.all {
		if part.Mode.Armed() {
			return true
		}
	}
	return false
}
