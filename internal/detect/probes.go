package detect

import (
	"math"
	"net/netip"
	"slices"

	"gatehouse/internal/gate"
)

// A watch with Distinct counts how many different ports a subject has tried, or
// how many different addresses of ours, whichever is more. One door is a port
// of an address; trying it again counts for nothing, and keeps it young.
//
// A door counts 1 for as long as the window of the threshold, then half as much
// after each further length of it, so that a slow scan is not forgotten at
// once. `10 in 1d` therefore fires at the tenth different port within a day, and
// at some later one if they come more slowly.
//
// A proven event, and one of class Held, make a finding at once: its proof is
// all that was counted before.

// door is one port of one address of ours that a subject tried.
type door struct {
	ms       int64      // when it was last tried, on the detector's clock
	offset   int64      // of that event's origin
	to       netip.Addr // which address of ours; invalid = unknown
	pattern  string     // of that event
	port     uint16
	proto    gate.Proto
	evidence gate.Evidence
}

// prober is who tried doors.
type prober struct {
	key
	touched    uint32 // when an event last arrived, in seconds of the detector's clock
	source     string // of the last event's origin
	epoch      uint64 // the same
	doors      []door // in no particular order, at most maxDoors
	prev, next *prober
}

// The bounds of what is kept. Who tried a single door goes first: forged
// packets come from ever new addresses, and must not make a scanner forgotten.
const (
	maxProbers  = 1 << 16 // about 200 bytes each
	maxDoors    = 128     // of one subject, about 100 bytes each
	maxAllDoors = 1 << 18 // of all
	halvings    = 8       // how many lengths of the window a door is remembered
)

// probes is everybody who tried doors. Its zero value is ready to use.
type probes struct {
	byKey map[key]*prober
	lists [2]struct{ first, last *prober } // by use: of one door, of several
	doors int
}

func (p *probes) n() int { return len(p.byKey) }

// list returns the list that a prober belongs to.
func (p *probes) list(b *prober) *struct{ first, last *prober } {
	return &p.lists[min(len(b.doors)/2, 1)]
}

func (p *probes) link(b *prober) {
	l := p.list(b)
	if b.prev = l.last; b.prev != nil {
		b.prev.next = b
	} else {
		l.first = b
	}
	l.last = b
}

func (p *probes) unlink(b *prober) {
	l := p.list(b)
	if b.prev != nil {
		b.prev.next = b.next
	} else {
		l.first = b.next
	}
	if b.next != nil {
		b.next.prev = b.prev
	} else {
		l.last = b.prev
	}
	b.prev, b.next = nil, nil
}

func (p *probes) drop(b *prober) {
	p.unlink(b)
	p.doors -= len(b.doors)
	delete(p.byKey, b.key)
	if len(p.byKey) == 0 {
		*p = probes{} // the memory of a flood goes back
	}
}

func (p *probes) dropWatch(watch uint16) {
	for _, b := range p.byKey {
		if b.watch == watch {
			p.drop(b)
		}
	}
}

func (p *probes) restamp(touch uint32) {
	for _, b := range p.byKey {
		b.touched = touch
	}
}

// oldest returns who is to be forgotten first, except one; nil if there is none.
func (p *probes) oldest(except *prober) *prober {
	for i := range p.lists {
		b := p.lists[i].first
		if b == except && b != nil {
			b = b.next
		}
		if b != nil {
			return b
		}
	}
	return nil
}

// probe counts one event of a watch that counts doors.
func (d *Detector) probe(watch uint16, e *gate.Event, out []gate.Finding) []gate.Finding {
	if !e.Subject.IsNet() || e.Class == gate.ClassSuccess {
		return out
	}
	sl := &d.slots[watch]
	addr, bits := d.config.counted(e.Subject.Prefix())
	k := key{addr, watch, bits}
	b := d.probes.byKey[k]
	if b == nil {
		b = d.newProber(k)
	}
	ms := e.Time.UnixMilli() - d.offset
	d.probes.unlink(b)
	b.touched, b.source, b.epoch = d.touch, e.Origin.Source, e.Origin.Epoch
	d.probes.doors += b.open(doorOf(e, ms), ms, sl)
	d.probes.link(b)
	for d.probes.doors > maxAllDoors {
		old := d.probes.oldest(b)
		if old == nil {
			break
		}
		d.probes.drop(old)
		d.evicted++
	}
	enough := b.counts(ms, sl) >= float64(sl.threshold.Count)
	if e.Class != gate.ClassHeld && e.Evidence != gate.Proven && !enough {
		return out
	}
	out = append(out, d.probed(b, sl, e))
	d.probes.drop(b)
	return out
}

func (d *Detector) newProber(k key) *prober {
	for len(d.probes.byKey) >= maxProbers {
		d.probes.drop(d.probes.oldest(nil))
		d.evicted++
	}
	b := &prober{key: k}
	if d.probes.byKey == nil {
		d.probes.byKey = make(map[key]*prober)
	}
	d.probes.byKey[k] = b
	d.probes.link(b)
	return b
}

func doorOf(e *gate.Event, ms int64) door {
	dr := door{ms: ms, offset: e.Origin.Offset, pattern: clip(e.Pattern, maxNameLen), port: e.Detail.Port, proto: e.Detail.Proto, evidence: e.Evidence}
	dr.to, _ = netip.ParseAddr(e.Detail.Via)
	return dr
}

// open adds a door, or makes it young again, and forgets what is long past. It
// returns by how many doors there are more.
func (b *prober) open(dr door, ms int64, sl *slot) (more int) {
	before := len(b.doors)
	b.doors = slices.DeleteFunc(b.doors, func(o door) bool { return weight(ms-o.ms, sl) == 0 })
	for i := range b.doors {
		if o := &b.doors[i]; o.port == dr.port && o.proto == dr.proto && o.to == dr.to {
			if dr.ms >= o.ms {
				*o = dr
			}
			return len(b.doors) - before
		}
	}
	if len(b.doors) == maxDoors {
		oldest := 0
		for i := range b.doors {
			if b.doors[i].ms < b.doors[oldest].ms {
				oldest = i
			}
		}
		b.doors[oldest] = dr
		return len(b.doors) - before
	}
	b.doors = append(b.doors, dr)
	return len(b.doors) - before
}

// weight is how much a door counts that was tried so many milliseconds ago.
func weight(age int64, sl *slot) float64 {
	if sl.threshold.Within == gate.Forever {
		return 1
	}
	within := sl.threshold.Within.Milliseconds()
	switch {
	case age <= within:
		return 1
	case age > halvings*within:
		return 0
	}
	return math.Exp2(-float64(age-within) / float64(within))
}

// slack makes up for sums of fractions.
const slack = 1e-9

// counts returns how much the different ports count, or the different
// addresses, whichever is more.
func (b *prober) counts(ms int64, sl *slot) float64 {
	type port struct {
		proto gate.Proto
		port  uint16
	}
	ports, addrs := make(map[port]float64, len(b.doors)), make(map[netip.Addr]float64, len(b.doors))
	for i := range b.doors {
		o := &b.doors[i]
		w := weight(ms-o.ms, sl)
		p := port{o.proto, o.port}
		ports[p] = max(ports[p], w)
		if o.to.IsValid() {
			addrs[o.to] = max(addrs[o.to], w)
		}
	}
	// Sums in the order of the doors: the same doors give the same sum.
	var sumPorts, sumAddrs float64
	for i := range b.doors {
		o := &b.doors[i]
		p := port{o.proto, o.port}
		sumPorts += ports[p]
		delete(ports, p)
		sumAddrs += addrs[o.to]
		delete(addrs, o.to)
	}
	return max(sumPorts, sumAddrs) + slack
}

// probed is the finding that an event of a prober leads to.
func (d *Detector) probed(b *prober, sl *slot, e *gate.Event) gate.Finding {
	f := gate.Finding{
		Time: e.Time.UTC(), Origin: e.Origin, Rule: sl.name, Subject: unpack(b.addr, b.bits), Evidence: e.Evidence,
	}
	if f.Evidence == gate.EvidenceNone {
		f.Evidence = gate.Forgeable
	}
	if e.Class != gate.ClassHeld && f.Evidence != gate.Proven {
		f.Threshold = sl.threshold
	}
	if f.Subject != e.Subject {
		f.Last = e.Subject
	}
	last := doorOf(e, 0)
	for _, o := range b.sorted() {
		if o.port == last.port && o.proto == last.proto && o.to == last.to {
			continue
		}
		f.Proof.Add(d.eventOf(b, sl, o))
	}
	end := *e
	end.Time, end.Evidence = f.Time, f.Evidence
	f.Proof.Add(end)
	return f
}

// sorted returns the doors, the first tried first.
func (b *prober) sorted() []door {
	out := slices.Clone(b.doors)
	slices.SortStableFunc(out, func(x, y door) int {
		switch {
		case x.ms != y.ms:
			return int(max(-1, min(1, x.ms-y.ms)))
		case x.proto != y.proto:
			return int(x.proto) - int(y.proto)
		}
		return int(x.port) - int(y.port)
	})
	return out
}

// eventOf tells of a door as the event that it was.
func (d *Detector) eventOf(b *prober, sl *slot, o door) gate.Event {
	e := gate.Event{
		Time:   d.wall(&slot{unit: 1}, o.ms),
		Origin: gate.Origin{Source: b.source, Epoch: b.epoch, Offset: o.offset},
		Rule:   sl.name, Pattern: o.pattern, Subject: unpack(b.addr, b.bits), Class: gate.ClassFailure, Evidence: o.evidence,
		Detail: gate.Detail{Proto: o.proto, Port: o.port},
		Line:   o.pattern + " at ",
	}
	if o.to.IsValid() {
		e.Detail.Via = o.to.String()
		e.Line += e.Detail.Via + " "
	}
	e.Line += "port " + gate.PortsOf(gate.PortRange{Proto: o.proto, Lo: o.port, Hi: o.port}).String()
	return e
}

// probersLife is after how many seconds without an event a prober may go; false
// for never.
func (s *slot) probersLife() (int64, bool) {
	if s.threshold.Within == gate.Forever {
		return 0, false
	}
	return halvings*s.threshold.Within.Milliseconds()/1000 + grace, true
}

// probesEnd returns when the next prober may go, in seconds of the detector's
// clock; -1 for never.
func (d *Detector) probesEnd() int64 {
	end := int64(-1)
	for i := range d.probes.lists {
		if b := d.probes.lists[i].first; b != nil {
			if life, ends := d.slots[b.watch].probersLife(); ends && (end < 0 || int64(b.touched)+life < end) {
				end = int64(b.touched) + life
			}
		}
	}
	return end
}

func (d *Detector) endProbes() {
	for i := range d.probes.lists {
		for b := d.probes.lists[i].first; b != nil; b = d.probes.lists[i].first {
			life, ends := d.slots[b.watch].probersLife()
			if !ends || int64(d.touch)-int64(b.touched) < life {
				break
			}
			d.probes.drop(b)
		}
	}
}

// probesOf returns the probers that a subject is counted under, or that lie
// within it.
func (d *Detector) probesOf(s gate.Subject) (found []*prober) {
	if !s.IsNet() || d.probes.n() == 0 {
		return nil
	}
	addr, bits := d.config.counted(s.Prefix())
	if s.Kind() == gate.KindAddr || s.Prefix().Addr().Is6() && s.Prefix().Bits() >= d.config.IPv6Prefix {
		for n := range d.slots {
			if b := d.probes.byKey[key{addr, uint16(n), bits}]; b != nil {
				found = append(found, b)
			}
		}
		if s.Kind() == gate.KindAddr {
			return found
		}
	}
	in, inBits := pack(s.Prefix())
	for _, b := range d.probes.byKey {
		if b.bits >= inBits && mask(b.addr, inBits) == in && !slices.Contains(found, b) {
			found = append(found, b)
		}
	}
	return found
}

// probeWindow is what is being counted of a prober at a time.
func (d *Detector) probeWindow(b *prober, ms int64) (Window, bool) {
	sl := &d.slots[b.watch]
	w := Window{Rule: sl.name, Subject: unpack(b.addr, b.bits), Threshold: sl.threshold, Count: int(b.counts(ms, sl))}
	if w.Count == 0 {
		return w, false
	}
	for i, o := range b.sorted() {
		if i == 0 {
			w.Oldest = d.wall(&slot{unit: 1}, o.ms)
		}
		w.Newest = d.wall(&slot{unit: 1}, o.ms)
		w.Proof.Add(d.eventOf(b, sl, o))
	}
	return w, true
}
