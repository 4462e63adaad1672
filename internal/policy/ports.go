package policy

import (
	"slices"
	"strconv"
	"time"

	"gatehouse/internal/gate"
)

// Service is a named set of ports with a state that it has when nothing else is
// said.
type Service struct {
	Name  string
	Ports gate.Ports
	Rest  gate.Verdict // Close, or anything else for open
}

// Bounds of what is kept about ports.
const (
	maxPortWishes = 1000             // live wishes
	maxPortPlaces = 100              // different places of them: each costs a packet a look-up
	maxPortRanges = 4096             // ranges of one wish
	confirmTime   = 60 * time.Second // until an unconfirmed change is taken back, by default
)

// Topics of what is told about ports.
const (
	topicOver     = "port.over"     // an opening or a closing has ended
	topicPending  = "port.pending"  // a change waits to be confirmed
	topicRollback = "port.rollback" // nobody confirmed it
	topicRest     = "port.rest"     // the configuration changed a resting state
)

// portState is what is wanted of ports. Wishes of one place and without an end
// never overlap; those with an end lie over what is there when they end.
type portState struct {
	rest     []PortIntent
	schedule []PortIntent // that hold now
	wishes   []PortIntent // oldest first
	ended    []PortIntent // openings that are over and whose live connections go on
	pending  []PortIntent // operations that wait to be confirmed, oldest first
	deadline time.Time    // when they are taken back
	serial   uint64
	revision uint64 // counts changes
}

// clone returns a state that can be changed without changing this one.
func (s *portState) clone() *portState {
	c := *s
	c.wishes, c.pending, c.ended = slices.Clone(s.wishes), slices.Clone(s.pending), slices.Clone(s.ended)
	return &c
}

// live returns what holds at a time, the pending left out.
func (s *portState) live(t time.Time) []*PortIntent {
	var out []*PortIntent
	for _, list := range [][]PortIntent{s.rest, s.schedule, s.wishes} {
		for i := range list {
			if !list[i].over(t) {
				out = append(out, &list[i])
			}
		}
	}
	return out
}

// services makes the resting states what the configuration says.
func (s *portState) services(list []Service) {
	s.rest = s.rest[:0:0]
	for _, v := range list {
		if v.Rest != gate.Close {
			continue
		}
		s.rest = append(s.rest, PortIntent{
			PortPlace: PortPlace{Direction: gate.In}, Kind: PortRest, Name: "rest-" + v.Name, Verdict: gate.Close, Ports: v.Ports,
			Service: v.Name, Rule: "rest", Why: "the configuration lets " + v.Name + " rest closed",
		})
	}
	s.revision++
}

// do applies a wish: one without an end takes the place of all earlier ones of
// its ports and its place, one with an end lies over them. A Release only takes
// them away.
func (s *portState) do(op PortIntent) {
	s.serial++
	s.revision++
	op.serial = s.serial
	op.Name = "wish-" + strconv.FormatUint(op.serial, 10)
	if op.Verdict != gate.Open {
		s.cutEnded(&op)
	}
	kept := s.wishes[:0:0]
	for _, w := range s.wishes {
		switch {
		case w.PortPlace != op.PortPlace:
		case op.Until.IsZero():
			w.Ports = w.Ports.Minus(op.Ports)
		case !w.Until.IsZero() && w.Verdict == op.Verdict && w.Ports.Equal(op.Ports):
			continue // said again: the newest says how long
		}
		if !w.Ports.IsEmpty() {
			kept = append(kept, w)
		}
	}
	s.wishes = kept
	// An opening by number that is for everybody and for good only takes back: it
	// beats nothing that comes later, or of another kind.
	inert := op.Verdict == gate.Open && op.Service == "" && op.Until.IsZero() && op.everywhere()
	if op.Verdict != gate.Release && !inert {
		s.wishes = append(s.wishes, op)
	}
}

// Bounds of what is kept of openings that are over: how long, and how many.
const (
	endedFor = gate.Day
	maxEnded = 100
)

// end keeps an opening that is over, so that connections that it let in go on.
func (s *portState) end(i PortIntent) {
	if i.Verdict != gate.Open || i.Cut || i.Until.IsZero() {
		return
	}
	s.ended = slices.DeleteFunc(append(s.ended, i), func(o PortIntent) bool { return o.Until.Before(i.Until.Add(-endedFor)) })
	if n := len(s.ended) - maxEnded; n > 0 {
		s.ended = s.ended[n:]
	}
}

// cutEnded lets a newer closing cut what earlier openings let in.
func (s *portState) cutEnded(op *PortIntent) {
	kept := s.ended[:0:0]
	for _, o := range s.ended {
		if o.overlaps(op.PortPlace) {
			o.Ports = o.Ports.Minus(op.Ports)
		}
		if !o.Ports.IsEmpty() {
			kept = append(kept, o)
		}
	}
	s.ended = kept
}

// next returns when something ends next; the zero Time if nothing does.
func (s *portState) next() (first time.Time) {
	sooner := func(t time.Time) {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	sooner(s.deadline)
	for i := range s.wishes {
		sooner(s.wishes[i].Until)
	}
	return first
}

// PortsRevision changes whenever what is wanted of ports may have changed.
func (p *Policy) PortsRevision() uint64 { return p.ports.revision }

// lapsePorts ends what is over, and takes back what nobody confirmed.
func (p *Policy) lapsePorts(ds []gate.Decision, now time.Time) []gate.Decision {
	s := &p.ports
	if !s.deadline.IsZero() && !s.deadline.After(now) {
		for i := range s.pending {
			op := &s.pending[i]
			ds = append(ds, gate.Decision{
				Time: now, Verdict: gate.Tell, Topic: topicRollback, Subject: gate.PortSubject(op.Ports, op.Direction), Rule: op.Rule,
				Scope: scopeOfPlace(op.PortPlace), Why: op.about() + " is as it was before: nobody confirmed that " + op.Why,
			})
		}
		s.pending, s.deadline = nil, time.Time{}
		s.revision++
	}
	kept := s.wishes[:0:0]
	for _, w := range s.wishes {
		if !w.over(now) {
			kept = append(kept, w)
			continue
		}
		s.end(w)
		ds = append(ds, gate.Decision{
			Time: now, Verdict: gate.Tell, Topic: topicOver, Subject: gate.PortSubject(w.Ports, w.Direction), Rule: w.Rule,
			Scope: scopeOfPlace(w.PortPlace), Why: "the " + doing(w.Verdict) + " of " + w.about() + w.PortPlace.String() + " for " + short(w.life) + " is over",
		})
	}
	if len(kept) < len(s.wishes) {
		s.wishes = kept
		s.revision++
	}
	return ds
}

// doing is what a verdict on ports is called.
func doing(v gate.Verdict) string {
	if v == gate.Close {
		return "closing"
	}
	return "opening"
}

func scopeOfPlace(p PortPlace) gate.Scope {
	return gate.Scope{Direction: p.Direction, From: p.From, To: p.To}
}

// restorePorts puts a record of an earlier run back.
func (p *Policy) restorePorts(r *gate.Record, thisBoot bool) {
	if r.Rule == PortSchedule.String() || r.Verdict != gate.Close && r.Verdict != gate.Open && r.Verdict != gate.Release {
		return // what schedules want is worked out anew
	}
	set, direction := r.Subject.Ports()
	p.ports.do(PortIntent{
		PortPlace: PortPlace{Direction: direction, From: r.Scope.From, To: r.Scope.To}, Kind: PortWish, Verdict: r.Verdict, Ports: set, Service: r.Topic,
		Since: r.Time, Until: r.Until, Cut: r.Verdict == gate.Open && !r.Scope.New, Rule: r.Rule, Why: r.Why, Origin: r.Origin,
		movable: thisBoot, life: lifeOf(r.Time, r.Until),
	})
}

func lifeOf(since, until time.Time) time.Duration {
	if until.IsZero() {
		return gate.Forever
	}
	return until.Sub(since)
}

// reservices puts other resting states in force and tells what changed.
func (p *Policy) reservices(now time.Time) (ds []gate.Decision) {
	old := p.ports.rest
	p.ports.services(p.config.Services)
	same := func(list []PortIntent, i *PortIntent) bool {
		return slices.ContainsFunc(list, func(o PortIntent) bool { return o.Service == i.Service && o.Ports.Equal(i.Ports) })
	}
	tell := func(i *PortIntent, why string) {
		ds = append(ds, gate.Decision{Time: now, Verdict: gate.Tell, Topic: topicRest, Subject: gate.PortSubject(i.Ports, gate.In), Rule: "rest", Why: why})
	}
	for i := range p.ports.rest {
		if r := &p.ports.rest[i]; !same(old, r) {
			tell(r, r.Why)
		}
	}
	for i := range old {
		if !same(p.ports.rest, &old[i]) {
			tell(&old[i], "the configuration no longer lets "+old[i].Service+" rest closed")
		}
	}
	return ds
}

// Scheduled is what one schedule wants now.
type Scheduled struct {
	Name         string // of the schedule
	Verdict      gate.Verdict
	Ports        gate.Ports
	Place        PortPlace
	Service      string
	Since, Until time.Time
	Cut          bool
	Origin       gate.Origin // the same for the same schedule and beginning
}

// intent turns what a schedule wants into an intent.
func (v Scheduled) intent() PortIntent {
	does := "closes "
	if v.Verdict == gate.Open {
		does = "opens "
	}
	return PortIntent{
		PortPlace: v.Place, Kind: PortSchedule, Name: "schedule-" + v.Name + "-" + v.Verdict.String(), Verdict: v.Verdict, Ports: v.Ports, Service: v.Service,
		Since: v.Since, Until: v.Until, Cut: v.Cut, Rule: PortSchedule.String(), Origin: v.Origin, life: v.Until.Sub(v.Since),
		Why: "the schedule " + plain(v.Name) + " " + does + portsNamed(v.Service, v.Ports) + v.Place.String() + untilWhen(nanos(v.Until)),
	}
}

// SetSchedule tells what the schedules want now, all of them. It returns a
// decision for each that has begun, and one for each that is over.
func (p *Policy) SetSchedule(list []Scheduled, now time.Time) []gate.Decision {
	ds := p.lapsePorts(nil, now)
	fresh := make([]PortIntent, len(list))
	for i, v := range list {
		fresh[i] = v.intent()
	}
	same := func(among []PortIntent, i *PortIntent) bool {
		return slices.ContainsFunc(among, func(o PortIntent) bool {
			return o.Name == i.Name && o.Verdict == i.Verdict && o.PortPlace == i.PortPlace && o.Service == i.Service && o.Since.Equal(i.Since) && o.Ports.Equal(i.Ports)
		})
	}
	for i := range p.ports.schedule {
		if o := &p.ports.schedule[i]; !same(fresh, o) {
			if o.over(now) {
				p.ports.end(*o)
			}
			ds = append(ds, gate.Decision{
				Time: now, Verdict: gate.Tell, Topic: topicOver, Subject: gate.PortSubject(o.Ports, o.Direction), Rule: o.Rule,
				Scope: scopeOfPlace(o.PortPlace), Why: "it is over that " + o.Why,
			})
		}
	}
	for i := range fresh {
		if f := &fresh[i]; !same(p.ports.schedule, f) {
			if f.Verdict == gate.Close {
				p.ports.cutEnded(f)
			}
			ds = append(ds, gate.Decision{
				Time: now, Until: f.Until, Verdict: f.Verdict, Subject: gate.PortSubject(f.Ports, f.Direction), Topic: f.Service,
				Scope: f.scope(), Rule: f.Rule, Origin: f.Origin, Why: f.Why,
			})
		}
	}
	p.ports.schedule = fresh
	p.ports.revision++
	return ds
}

// scope is the scope of a decision that grants an intent.
func (i *PortIntent) scope() gate.Scope {
	s := scopeOfPlace(i.PortPlace)
	s.New = i.Verdict == gate.Open && !i.Cut
	return s
}

// shiftPorts follows a jump of the wall clock.
func (p *Policy) shiftPorts(delta time.Duration) (moved []gate.Decision) {
	s := &p.ports
	for i := range s.wishes {
		w := &s.wishes[i]
		if !w.movable {
			continue
		}
		w.Since = w.Since.Add(delta)
		if w.Until.IsZero() {
			continue
		}
		w.Until = w.Until.Add(delta)
		moved = append(moved, gate.Decision{Verdict: w.Verdict, Subject: gate.PortSubject(w.Ports, w.Direction), Scope: w.scope(), Until: w.Until, Rule: w.Rule})
	}
	if !s.deadline.IsZero() {
		s.deadline = s.deadline.Add(delta)
	}
	s.revision++
	return moved
}
