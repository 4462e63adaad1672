package detect

import (
	"time"

	"gatehouse/internal/gate"
)

// Detector counts. Make one with [New]. It is not safe for concurrent use.
type Detector struct {
	config   Config
	slots    []slot
	byName   map[string]uint16 // numbers of the slots in use
	windows  windows
	sessions sessions
	probes   probes
	scores   scores
	evidence evidence
	offset   int64  // what the wall clock jumped by, in milliseconds: its time minus ours
	touch    uint32 // arrival time of the present call, in seconds of our clock
	stale    bool   // restored: the next call says what time it is
	evicted  uint64 // windows that fell to a bound

	lastRule string // the rule that was looked up last, and its slot
	lastSlot int

	warmth uint32 // keeps the compiler from leaving warm out
}

// New returns a detector that has seen nothing.
func New(c Config) *Detector {
	d := &Detector{byName: make(map[string]uint16)}
	d.clear()
	d.Reconfigure(c)
	return d
}

// clear forgets all that was seen.
func (d *Detector) clear() {
	d.windows = windows{secret: newSecret()}
	d.sessions = sessions{secret: newSecret()}
	d.probes = probes{}
	d.scores = scores{}
	d.evidence = newEvidence(d.config.EvidenceBytes)
	d.offset, d.touch, d.stale = 0, 0, false
}

// Observe counts events in their order and appends a finding to out for each
// threshold that one of them crosses, and for each ask and each tell, which pass
// at once.
// Events of watches that are not configured, without a subject, or of a class
// that does not count, are passed over. now is when they arrived.
func (d *Detector) Observe(events []gate.Event, now time.Time, out []gate.Finding) []gate.Finding {
	d.arrive(now)
	for i := range events {
		e := &events[i]
		if i%warmed == 0 && d.windows.n() > manyItems {
			d.warmth += d.warm(events[i:min(i+warmed, len(events))])
		}
		if e.Class == gate.ClassAsk {
			out = ask(e, out)
			continue
		}
		if e.Class == gate.ClassTell {
			out = append(out, passed(e))
			continue
		}
		if !e.Class.Counts() && e.Class != gate.ClassSuccess {
			continue
		}
		n := d.slotOf(e.Rule)
		switch {
		case n < 0:
		case d.slots[n].distinct:
			out = d.probe(uint16(n), e, out)
		default:
			out = d.judge(uint16(n), e, out)
		}
		if len(d.config.Scores) > 0 {
			out = d.score(e, out)
		}
	}
	return out
}

func ask(e *gate.Event, out []gate.Finding) []gate.Finding {
	if e.Ask == nil {
		return out
	}
	return append(out, passed(e))
}

// passed is the finding of an event that needs no counting.
func passed(e *gate.Event) gate.Finding {
	return gate.Finding{
		Time:     e.Time,
		Origin:   e.Origin,
		Rule:     e.Rule,
		Subject:  e.Subject,
		Evidence: e.Evidence,
		Proof:    gate.Proof{Count: 1, First: []gate.Event{*e}},
		Ask:      e.Ask,
	}
}

// arrive notes what time it is.
func (d *Detector) arrive(now time.Time) {
	d.touch = uint32((now.UnixMilli() - d.offset) / 1000)
	if d.stale {
		d.stale = false
		d.restamp()
	}
}

func (d *Detector) slotOf(rule string) int {
	if rule == d.lastRule {
		return d.lastSlot
	}
	n := -1
	if i, ok := d.byName[rule]; ok && d.slots[i].fires() {
		n = int(i)
	}
	d.lastRule, d.lastSlot = rule, n
	return n
}

// judge decides whether an event counts, by its session if it has one.
func (d *Detector) judge(watch uint16, e *gate.Event, out []gate.Finding) []gate.Finding {
	ms := e.Time.UnixMilli() - d.offset
	if e.Detail.Session == 0 {
		if e.Class == gate.ClassSuccess || !e.Subject.IsNet() {
			return out
		}
		_, out = d.count(watch, ms, e, e.Subject, out)
		return out
	}
	s, subject := d.session(watch, e, ms)
	if s == nil {
		return out
	}
	before := s.counted()
	switch e.Class {
	case gate.ClassSuccess:
		s.flags |= succeeded
		if s.flags&sawFailure == 0 && before && !s.counted() {
			d.takeBack(s)
		}
	case gate.ClassFailure:
		first := s.flags&sawFailure == 0
		s.flags |= sawFailure
		if first && before {
			return d.replace(s, ms, e, subject, out)
		}
		_, out = d.count(watch, ms, e, subject, out)
	case gate.ClassHint, gate.ClassKey:
		if e.Class == gate.ClassHint {
			s.flags |= sawHint
		} else {
			s.flags |= sawKey
		}
		if s.flags&sawFailure != 0 || before || !s.counted() {
			return out
		}
		s.ref, out = d.count(watch, ms, e, subject, out)
		s.standIn = d.slots[watch].tick(ms)
		s.flags |= standsIn
	}
	return out
}

// takeBack withdraws the entry that stands for the session.
func (d *Detector) takeBack(s *session) bool {
	if s.flags&standsIn == 0 {
		return false
	}
	s.flags &^= standsIn
	addr, bits := d.config.counted(unpack(s.addr, s.bits).Prefix())
	return d.withdraw(&key{addr, s.watch, bits}, uint32(s.standIn), s.ref)
}

// replace lets a Failure take the place of the Hint or Key that stood for it.
// Where that is gone, or is the newer one, nothing changes.
func (d *Detector) replace(s *session, ms int64, e *gate.Event, subject gate.Subject, out []gate.Finding) []gate.Finding {
	if d.slots[s.watch].tick(ms) >= s.standIn && d.takeBack(s) {
		_, out = d.count(s.watch, ms, e, subject, out)
	}
	return out
}

// count adds an event to its window. It returns where its evidence lies, and
// out with the finding if the threshold is crossed.
func (d *Detector) count(watch uint16, ms int64, e *gate.Event, subject gate.Subject, out []gate.Finding) (uint32, []gate.Finding) {
	sl, w := &d.slots[watch], &d.windows
	tick := sl.tick(ms)
	addr, bits := d.config.counted(subject.Prefix())
	k := key{addr, watch, bits}
	i := w.find(&k)
	var win *window
	if i != 0 {
		win = w.at(i)
		if tick < win.newest-sl.within {
			return 0, out
		}
		d.expire(win, max(tick, win.newest), sl.within)
		if win.touched != d.touch {
			win.touched = d.touch
			w.use(i, int(watch))
		}
	}
	if live := w.live(i); live+1 >= sl.threshold.Count {
		out = append(out, d.finding(sl, &k, i, tick, e, subject))
		if i != 0 {
			d.close(i)
		}
		return 0, out
	}
	if i == 0 {
		for w.n() >= d.config.MaxSubjects {
			d.evict(0)
		}
		i = w.open(&k, min(sl.threshold.Count-1, smallBlock), d.touch)
		win = w.at(i)
	}
	ref := d.evidence.keep(&k, uint32(tick), e, subject)
	if e.Evidence != gate.Proven {
		ref |= forgeableBit
	}
	w.insert(win, tick, ref)
	for w.blocks.entries > d.config.MaxEvents && w.n() > 1 {
		d.evict(i)
	}
	return ref, out
}

// finding tells what crossed the threshold of the window i, or, where i is 0,
// of one that was empty.
func (d *Detector) finding(sl *slot, k *key, i uint32, tick int64, e *gate.Event, subject gate.Subject) gate.Finding {
	last := *e
	last.Time, last.Subject = e.Time.UTC(), subject
	if last.Evidence == gate.EvidenceNone {
		last.Evidence = gate.Forgeable
	}
	f := gate.Finding{
		Time: last.Time, Origin: e.Origin, Rule: sl.name,
		Subject: unpack(k.addr, k.bits), Threshold: sl.threshold, Evidence: last.Evidence,
	}
	if f.Subject != subject {
		f.Last = subject
	}
	if i == 0 {
		f.Proof.Add(last)
		return f
	}
	win := d.windows.at(i)
	if tick < win.newest && win.n > 0 {
		f.Time = d.wall(sl, win.newest)
	}
	f.Proof, f.Evidence = d.proof(win, sl.name, last)
	return f
}

// wall returns the wall time of a tick.
func (d *Detector) wall(sl *slot, tick int64) time.Time {
	return time.UnixMilli(tick*sl.unit + d.offset).UTC()
}

// Stats is how much a detector keeps.
type Stats struct {
	Windows  int    // live or recently live windows
	Sessions int    // sessions that may go on
	Evidence int    // bytes of memory for evidence
	Evicted  uint64 // windows that fell to a bound since the start
}

// Stats returns how much is kept.
func (d *Detector) Stats() Stats {
	return Stats{d.windows.n() + d.probes.n(), d.sessions.roster.n, len(d.evidence.pages) * pageBytes, d.evicted}
}
