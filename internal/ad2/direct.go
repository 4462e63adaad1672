package ad2

import (
	"strconv"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

// expander takes what a channel of an expander or a relay says.
func (p *Panel) expander(e *Expander, now time.Time) {
	if e.Relay {
		if len(p.relays) < maxModules || hasKey(p.relays, [2]int{e.Address, e.Channel}) {
			p.relays[[2]int{e.Address, e.Channel}] = e.Value != 0
		}
		for _, c := range p.c.Zones {
			if c.Relay == [2]int{e.Address, e.Channel} {
				p.said(p.partition(max(c.Partition, 1)), c.Zone, e.Value, now)
			}
		}
		return
	}
	if n, ok := e.Zone(p.dsc); ok {
		p.said(p.home(n), n, e.Value, now)
	}
}

func hasKey[K comparable, V any](m map[K]V, k K) bool { _, ok := m[k]; return ok }

// said takes what a source of its own says of a zone: 0 closed, 1 open, 2 trouble
// of the wire.
func (p *Panel) said(part *partition, n, value int, now time.Time) {
	if value < 0 || value > 2 {
		return
	}
	z := part.zone(n)
	z.Direct = now
	switch value {
	case 0:
		p.close(part, z, now)
	case 1:
		p.open(part, z, now)
	}
	z.CheckAt = time.Time{} // what is told directly does not lapse
	p.change(&z.Check, value == 2, Trouble, false, Event{Time: now, Partition: part.Number, Zone: n, Words: wire(value)})
}

func wire(value int) string {
	if value == 2 {
		return "the wire is cut or shorted"
	}
	return ""
}

// radio takes what a wireless sensor sent. A sensor that no zone names is left
// alone: the panel knows its zone, and shows it.
func (p *Panel) radio(r *Radio, now time.Time) {
	for _, c := range p.c.Zones {
		if c.Serial == "" || c.Serial != r.Serial {
			continue
		}
		part := p.partition(max(c.Partition, 1))
		z := part.zone(c.Zone)
		z.BatAt = time.Time{}
		p.change(&z.Battery, r.Battery, Battery, false, Event{Time: now, Partition: part.Number, Zone: c.Zone})
		p.change(&z.Missing, false, Supervision, false, Event{Time: now, Partition: part.Number, Zone: c.Zone})
		if r.Quiet() {
			continue
		}
		loop := min(max(c.Loop, 1), 4)
		z.Direct = now
		if r.Loop[loop-1] {
			p.open(part, z, now)
		} else {
			p.close(part, z, now)
		}
	}
}
