package emulator

import (
	"fmt"
	"slices"
	"time"
)

// Style is what a zone does when it opens.
type Style string

// The styles of zones.
const (
	Door     Style = "door"   // entry and exit: the entry delay runs
	Window   Style = "window" // perimeter: alarm at once while armed
	Motion   Style = "motion" // interior: alarm at once while armed away, after a door also delayed
	Smoke    Style = "smoke"  // fire, always
	Water    Style = "water"  // 24 hours, always
	Internal Style = ""       // none of it
)

// Zone is one zone of a house.
type Zone struct {
	Number   int
	Name     string // on the display, in capitals, at most 20 characters
	Style    Style
	Expander [2]int // address and channel; zero = not on an expander
	Serial   string // of a wireless sensor; "" = wired

	open, check, battery, bypassed, alarm bool
}

// Partition is one partition of a house.
type Partition struct {
	Number  int
	Keypads []int // addresses
	Zones   []Zone
	Exit    time.Duration // 0 = 60 s
	Entry   time.Duration // 0 = 30 s

	mode     string // "", away, stay, night, instant, max
	exitEnds time.Time
	entry    time.Time // when the entry delay ends
	bell     bool
	memory   bool
	fire     bool
	chime    bool
	program  bool
	shown    bool // faults are shown one by one
	noted    int

	turn    int // of what is displayed in turn
	due     time.Time
	lit     time.Time // the backlight is on until then
	beeps   int
	keys    string
	keyed   time.Time
	locked  time.Time
	wrong   []time.Time
	newest  int // zone that opened last and is shown first
	by      int
	panicky bool
}

// Config is how a house is.
type Config struct {
	Partitions []Partition    // at least one
	Codes      map[string]int // code -> user
	DSC        bool
	Reports    bool   // it has a long-range radio: reports are sent
	HideFaults bool   // open zones are shown after the * key only
	Firmware   string // "" = a recent one
}

// House is a panel and its adapter.
type House struct {
	c        Config
	now      time.Time
	parts    []*Partition
	acLost   bool
	battery  bool
	out      []byte
	address  int
	settings map[string]string
	pending  []byte // of a command that is not complete
	booting  time.Time
	deaf     int // so many sendings fail
	mute     bool
	serials  []pendingLine
}

// pendingLine is a line that comes later.
type pendingLine struct {
	at   time.Time
	line string
}

// Times of the panel.
const (
	idleEvery  = 10 * time.Second // an unchanged display is repeated
	cycleEvery = 4 * time.Second  // the display goes on to the next thing
	litFor     = 10 * time.Second
	keyWithin  = 3 * time.Second // keys of one sequence
	lockAfter  = 5               // wrong codes
	lockFor    = 90 * time.Second
	bootFor    = 2 * time.Second
)

// New returns a house at now. It panics without a partition: a programmer's error.
func New(c Config, now time.Time) *House {
	if len(c.Partitions) == 0 {
		panic("emulator: a house without a partition")
	}
	h := &House{c: c, now: now, address: 18, settings: map[string]string{
		"MODE": "A", "CONFIGBITS": "ff04", "ADDRESS": "18", "LRR": "N", "COM": "N", "EXP": "NNNNN", "REL": "NNNN", "MASK": "ffffffff", "DEDUPLICATE": "N",
	}}
	if c.DSC {
		h.settings["MODE"] = "D"
	}
	if h.c.Firmware == "" {
		h.c.Firmware = "08000002,V2.2a.8.9b-306,TX;RX;SM;VZ;RF;ZX;RE;AU;3X;CG;DD;MF;L2;KE;M2;CB;DS;ER;CR"
	}
	for i := range c.Partitions {
		p := c.Partitions[i]
		p.Zones = slices.Clone(p.Zones)
		if p.Exit == 0 {
			p.Exit = 60 * time.Second
		}
		if p.Entry == 0 {
			p.Entry = 30 * time.Second
		}
		p.due = now
		h.parts = append(h.parts, &p)
	}
	return h
}

// Advance moves the clock and returns what the house says meanwhile. The bytes
// are the caller's.
func (h *House) Advance(now time.Time) []byte {
	for {
		next := h.Next()
		if next.After(now) {
			break
		}
		h.now = next
		h.tick()
	}
	h.now = now
	return h.take()
}

func (h *House) take() []byte {
	out := h.out
	h.out = nil
	return out
}

// Next returns when the house says something of its own next.
func (h *House) Next() time.Time {
	next := h.now.Add(time.Hour)
	for _, p := range h.parts {
		for _, t := range []time.Time{p.due, p.exitEnds, p.entry} {
			if !t.IsZero() && t.Before(next) {
				next = t
			}
		}
	}
	for _, l := range h.serials {
		if l.at.Before(next) {
			next = l.at
		}
	}
	if next.Before(h.now) {
		next = h.now
	}
	return next
}

// tick does what is due now.
func (h *House) tick() {
	for i := 0; i < len(h.serials); {
		if l := h.serials[i]; !l.at.After(h.now) {
			h.serials = slices.Delete(h.serials, i, i+1)
			h.say(l.line)
			continue
		}
		i++
	}
	for _, p := range h.parts {
		if !p.exitEnds.IsZero() && !p.exitEnds.After(h.now) {
			h.leftHouse(p)
		}
		if !p.entry.IsZero() && !p.entry.After(h.now) {
			p.entry = time.Time{}
			h.alarm(p, p.noted)
		}
		if !p.due.After(h.now) {
			h.display(p)
		}
	}
}

// leftHouse ends the exit delay.
func (h *House) leftHouse(p *Partition) {
	p.exitEnds = time.Time{}
	code := map[bool]string{true: "CID_3401", false: "CID_3441"}[p.mode == "away" || p.mode == "max"]
	if p.by == 0 {
		code = "CID_3408"
	}
	h.changed(p)
	h.report(p.by, p, code)
}

// say puts a line on the wire.
func (h *House) say(line string) {
	if !h.mute && h.booting.Before(h.now.Add(time.Nanosecond)) {
		h.out = append(append(h.out, line...), '\r', '\n')
	}
}

// report sends a report to the receiving centre.
func (h *House) report(data int, p *Partition, code string) {
	if h.c.Reports {
		n := 0
		if p != nil {
			n = p.Number
		}
		h.say(fmt.Sprintf("!LRR:%03d,%d,%s,ff", data, n, code))
	}
}

// changed shows the partition at once, lit.
func (h *House) changed(p *Partition) {
	p.lit, p.due = h.now.Add(litFor), h.now
	h.display(p)
}

// find returns a zone and its partition.
func (h *House) find(n int) (*Partition, *Zone) {
	for _, p := range h.parts {
		for i := range p.Zones {
			if p.Zones[i].Number == n {
				return p, &p.Zones[i]
			}
		}
	}
	return nil, nil
}
