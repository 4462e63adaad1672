package ad2

import (
	"slices"
	"strings"
	"time"
)

// Panel follows an alarm panel. It is not for concurrent use; make one with New.
//
// Observe is told each message, Noise each line that was none, Link each change
// of the connection, Advance the time; each returns the events that follow, which
// are valid until the next call.
type Panel struct {
	c     Config
	parts [maxPartition + 1]*partition // [0] is not used
	dsc   bool
	heard time.Time // when the panel last spoke
	begun time.Time // when waiting for it began
	mute  bool      // it was told that the panel says nothing
	link  bool
	lost  bool // it was told that the connection is lost

	ac      supply // true = mains power is lost
	battery supply // true = the battery is low
	acSeen  bool
	reports time.Time // when a report was last heard
	booting time.Time
	Version *Version  // as the device last said; nil = it has not
	Config  *Settings // the same
	modules map[int]time.Time
	relays  map[[2]int]bool

	out []Event
}

// supply is the state of a power supply.
type supply struct {
	Bad      bool
	Since    time.Time
	ShownAt  time.Time // when the display last said that it is bad
	KeyBad   time.Time // when the keypads last changed to bad
	KeyGood  time.Time // ... and to good
	Reported bool      // bad because a report said so, and the display never did
	until    time.Time // a report was just told: the keypads may lag behind
}

// New returns a Panel that has heard nothing yet.
func New(c Config) *Panel {
	if c.Silence == 0 {
		c.Silence = DefaultSilence
	}
	if c.EntryDelay == 0 {
		c.EntryDelay = DefaultEntryDelay
	}
	p := &Panel{c: c, link: true, modules: map[int]time.Time{}, relays: map[[2]int]bool{}}
	for _, pc := range c.Partitions {
		if pc.Number >= 1 && pc.Number <= maxPartition {
			p.partition(pc.Number).Mask = maskOf(pc.Keypads)
		}
	}
	return p
}

// partition returns the partition with this number, 1 to 8, made where there was
// none.
func (p *Panel) partition(n int) *partition {
	if p.parts[n] == nil {
		p.parts[n] = &partition{Number: n, Zones: map[int]*zone{}, Cursor: -1}
	}
	return p.parts[n]
}

// all yields the partitions that are known, ascending.
func (p *Panel) all(yield func(*partition) bool) {
	for _, part := range p.parts[1:] {
		if part != nil && !yield(part) {
			return
		}
	}
}

// Observe takes one message that came at now and returns the events.
func (p *Panel) Observe(m Message, now time.Time) []Event {
	p.begin(now)
	switch m := m.(type) {
	case *Keypad:
		p.keypad(m, now)
	case *Expander:
		p.expander(m, now)
	case *Radio:
		p.radio(m, now)
	case *Report:
		p.report(m, now)
	case *Note:
		p.note(m, now)
	case *Version:
		p.Version = m
	case *Settings:
		p.Config = m
		p.dsc = p.dsc || m.DSC
	}
	return p.out
}

// Noise takes a line that was no message: one may have been lost.
func (p *Panel) Noise(now time.Time) []Event {
	p.begin(now)
	for part := range p.all {
		part.cycle.disturb(now, part.Zones)
	}
	return p.out
}

// Link takes that the connection to the device is there or gone. why says what
// happened.
func (p *Panel) Link(up bool, why string, now time.Time) []Event {
	p.begin(now)
	p.linked(up, why, now)
	return p.out
}

func (p *Panel) linked(up bool, why string, now time.Time) {
	if up {
		if p.lost {
			p.tell(Event{Time: now, Kind: Lost.Over(), Words: why})
		}
		p.begun, p.heard = now, time.Time{}
	} else if !p.lost {
		p.tell(Event{Time: now, Kind: Lost, Words: why})
	}
	p.link, p.lost = up, !up
	for part := range p.all {
		part.cycle.disturb(now, part.Zones)
	}
}

// begin starts a call: the time is that of the first one, events are empty.
func (p *Panel) begin(now time.Time) {
	p.out = p.out[:0]
	if p.begun.IsZero() {
		p.begun = now
		p.rebase(now)
	}
	p.advance(now)
}

func (p *Panel) tell(e Event) {
	if e.Name == "" {
		e.Name = p.name(e.Partition, e.Zone)
	}
	p.out = append(p.out, e)
}

// name returns the name of a zone, or of a partition for zone 0.
func (p *Panel) name(partition, zone int) string {
	if zone > 0 {
		if c := p.zoneConfig(partition, zone); c != nil && c.Name != "" {
			return c.Name
		}
		if partition >= 1 && partition <= maxPartition && p.parts[partition] != nil {
			if z := p.parts[partition].Zones[zone]; z != nil {
				return titled(z.Name)
			}
		}
		return ""
	}
	for _, c := range p.c.Partitions {
		if c.Number == partition {
			return c.Name
		}
	}
	return ""
}

func (p *Panel) zoneConfig(partition, zone int) *ZoneConfig {
	i := slices.IndexFunc(p.c.Zones, func(c ZoneConfig) bool { return c.Zone == zone && max(c.Partition, 1) == partition })
	if i < 0 {
		return nil
	}
	return &p.c.Zones[i]
}

// home returns the partition that a zone belongs to which has no keypad message
// of its own.
func (p *Panel) home(zone int) *partition {
	for _, c := range p.c.Zones {
		if c.Zone == zone {
			return p.partition(max(c.Partition, 1))
		}
	}
	for part := range p.all {
		if part.Zones[zone] != nil {
			return part
		}
	}
	for part := range p.all {
		return part
	}
	return p.partition(1)
}

// addressed returns the partition whose keypads a message is for; nil where it is
// for the system as a whole.
func (p *Panel) addressed(k *Keypad) *partition {
	if k.DSC {
		for n := 1; n <= maxPartition-1; n++ {
			if k.Mask>>24&(1<<n) != 0 {
				return p.partition(n)
			}
		}
		return p.partition(1)
	}
	if k.Mask == 0 {
		return nil
	}
	var best *partition
	most, several := 0, 0
	for part := range p.all {
		if part.Mask == k.Mask {
			return part
		}
		n := overlap(part.Mask, k.Mask)
		if n > 0 {
			several++
		}
		if n > most {
			best, most = part, n
		}
	}
	if best == nil && len(p.c.Partitions) > 0 {
		// Partitions are configured: a message for other keypads belongs to the one
		// that lists none, if there is one.
		for _, c := range p.c.Partitions {
			if len(c.Keypads) == 0 && c.Number >= 1 && c.Number <= maxPartition {
				return p.partition(c.Number)
			}
		}
		return nil
	}
	if best == nil {
		for n := 1; n <= maxPartition; n++ {
			if p.parts[n] == nil || p.parts[n].Mask == 0 {
				best = p.partition(n)
				break
			}
		}
	}
	if best != nil && several < 2 && !slices.ContainsFunc(p.c.Partitions, func(c PartitionConfig) bool { return c.Number == best.Number && len(c.Keypads) > 0 }) {
		best.Mask |= k.Mask
	}
	return best
}

// note takes what the device says of itself.
func (p *Panel) note(n *Note, now time.Time) {
	switch n.Kind {
	case NoteUndelivered:
		p.tell(Event{Time: now, Kind: Undelivered})
	case NoteBoot, NoteReady:
		if now.Sub(p.booting) > time.Minute || p.booting.IsZero() { // the start and its end are one restart
			p.tell(Event{Time: now, Kind: Reboot})
		}
		p.booting = now
	case NoteLink:
		if n.Up != p.link {
			p.linked(n.Up, "ser2sock says that its serial line is "+map[bool]string{true: "there", false: "gone"}[n.Up], now)
		}
	}
}

// power follows mains power and the battery of the panel.
func (p *Panel) power(k *Keypad, upper string, now time.Time) {
	bad := !k.Has(BitAC)
	if k.Has(BitAC) || k.at(BitAC) == '0' {
		switch {
		case !p.acSeen:
			p.acSeen = true
			if p.ac.Since.IsZero() { // the first word is the base line
				p.ac.Bad, p.ac.Since = bad, now
			} else {
				p.setAC(bad, now)
			}
		case bad != p.ac.Bad && !now.Before(p.ac.until):
			p.setAC(bad, now)
		}
	}
	if strings.HasPrefix(upper, "SYSTEM LO BAT") || k.Code == "2fc" && k.Has(BitLowBattery) {
		p.battery.ShownAt, p.battery.Reported = now, false
		p.setBattery(true, now)
	}
}

func (p *Panel) setAC(bad bool, now time.Time) {
	if bad == p.ac.Bad {
		return
	}
	p.ac.Bad, p.ac.Since = bad, now
	kind := AC
	if bad {
		p.ac.KeyBad = now
	} else {
		p.ac.KeyGood, kind = now, AC.Over()
	}
	p.tell(Event{Time: now, Kind: kind})
}

func (p *Panel) setBattery(bad bool, now time.Time) {
	if bad == p.battery.Bad {
		return
	}
	p.battery.Bad, p.battery.Since = bad, now
	kind := Battery
	if !bad {
		kind = Battery.Over()
	}
	p.tell(Event{Time: now, Kind: kind})
}
