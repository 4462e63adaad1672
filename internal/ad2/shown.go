package ad2

import (
	"strings"
	"time"
)

// open and close tell what became of a zone.
func (p *Panel) open(part *partition, z *zone, now time.Time) {
	if !z.Open {
		z.Open, z.Since, z.Shown, z.missed, z.idle, z.late = true, now, false, 0, 0, 0
		p.tell(Event{Time: now, Kind: Fault, Partition: part.Number, Zone: z.Number})
	}
}

func (p *Panel) close(part *partition, z *zone, now time.Time) {
	if z.Open {
		z.Open, z.Since, z.Shown, z.missed, z.idle, z.late = false, now, false, 0, 0, 0
		p.tell(Event{Time: now, Kind: Restore, Partition: part.Number, Zone: z.Number})
	}
}

// shown takes what the display says of zones.
func (p *Panel) shown(part *partition, k *Keypad, upper string, what display, woken bool, now time.Time) {
	if part.Program || part.Exit {
		return // numbers are not zones there
	}
	switch what {
	case displayFault, displayAlarm:
		n, name, ok := zoneOf(k, upper)
		if !ok || what == displayAlarm && (!k.Has(BitBell) || k.Code != pad(n)) {
			part.cycle.disturb(now, part.Zones)
			return
		}
		z := part.zone(n)
		p.learn(z, name)
		p.faulted(part, z, what, woken, now)
	case displayCheck:
		part.cycle.other()
		p.check(part, k, upper, now)
	case displayBat:
		part.cycle.other()
		if n, name, ok := zoneOf(k, upper); ok {
			z := part.zone(n)
			p.learn(z, name)
			z.BatAt = now
			p.change(&z.Battery, true, Battery, false, Event{Time: now, Partition: part.Number, Zone: n})
		}
	case displaySystem, displayBypass:
		part.cycle.other()
	default:
		part.cycle.disturb(now, part.Zones)
	}
}

// pad writes a number of a zone as the second section of a message has it.
func pad(n int) string {
	s := "000" + itoa(n)
	return s[len(s)-3:]
}

// faulted takes that the display shows a zone as open.
func (p *Panel) faulted(part *partition, z *zone, what display, woken bool, now time.Time) {
	if woken {
		part.cycle.disturb(now, part.Zones)
	}
	if !z.Open {
		part.cycle.disturb(now, part.Zones)
		for _, o := range part.Zones {
			o.idle = 0
		}
		if !z.Direct.IsZero() { // its own source says closed
			if z.late++; z.fresh(now) || z.late < 2 {
				return
			}
		}
		p.open(part, z, now)
	}
	z.Shown = true
	if what != displayFault || part.Mode.Armed() {
		return
	}
	for _, n := range part.cycle.step(z.Number, now, part.Zones) {
		o := part.Zones[n]
		if o.Bypassed || !o.Direct.IsZero() && (!o.Shown || o.fresh(now)) {
			continue
		}
		p.close(part, o, now)
	}
}

// check takes `CHECK 09`: trouble of a zone, of a module, or supervision.
func (p *Panel) check(part *partition, k *Keypad, upper string, now time.Time) {
	n, name, ok := displayNumber(upper)
	if k.frame(14) == 0xff || k.Code == "0bf" || !ok || n < 1 {
		p.module(k, upper, now)
		return
	}
	z := part.zone(n)
	p.learn(z, name)
	z.CheckAt = now
	p.change(&z.Check, true, Trouble, false, Event{Time: now, Partition: part.Number, Zone: n})
}

// maxModules bounds how many modules in trouble are remembered.
const maxModules = 64

// module takes trouble of a module of the panel, which is no zone.
func (p *Panel) module(k *Keypad, upper string, now time.Time) {
	n, what, ok := displayNumber(upper)
	if !ok || n < 1 || n > maxZone {
		return
	}
	_, known := p.modules[n]
	if !known && len(p.modules) >= maxModules {
		return
	}
	p.modules[n] = now
	if !known {
		kind := Trouble
		if k.Code == "0bf" {
			kind = Supervision
		}
		p.tell(Event{Time: now, Kind: kind, Words: strings.TrimSpace("device " + itoa(n) + " " + strings.ToLower(what))})
	}
}
