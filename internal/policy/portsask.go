package policy

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// askPorts closes or opens ports, or takes back what was asked about them.
func (p *Policy) askPorts(ds []gate.Decision, w *wish, h gate.Host) []gate.Decision {
	set, direction := w.f.Subject.Ports()
	from, okFrom := placePrefix(w.From)
	to, okTo := placePrefix(w.To)
	at := PortPlace{direction, from, to}
	switch {
	case w.Verdict != gate.Close && w.Verdict != gate.Open && w.Verdict != gate.Release:
		w.refuse("only an address or a prefix can be banned or allowed", "write it as 192.0.2.1 or 2001:db8::/64")
	case w.For < 0:
		w.refuse("no "+doing(w.Verdict)+" lasts less than no time", "write a duration such as 90s, 30m, 2h or forever")
	case !okFrom || !okTo || at.From.IsValid() && at.To.IsValid() && at.From.Addr().Is4() != at.To.Addr().Is4():
		w.refuse("no connection comes from "+prefixText(w.From)+" and goes to "+prefixText(w.To), "write prefixes of one family")
	case len(set.Ranges()) > maxPortRanges:
		w.refuse("more than "+counted(maxPortRanges, "range")+" of ports", "close whole ranges, as in 8000-8500")
	case w.Verdict == gate.Release:
		return p.askPortReset(ds, w, set, at, h)
	case len(p.ports.wishes)+len(p.ports.pending) >= maxPortWishes:
		w.refuse("there is no room for another: "+counted(maxPortWishes, "wish")+" about ports are in force", "take some back: gatehouse port reset --all")
	case p.ports.crowded(at):
		w.refuse("there is no room for another: wishes about ports are in force for "+counted(maxPortPlaces, "place"), "use wider prefixes, or take some back: gatehouse port reset")
	default:
		return p.askPortChange(ds, w, p.portOp(w, set, at), h)
	}
	return ds
}

// crowded reports whether there are as many places as may be, and this is not one
// of them.
func (s *portState) crowded(at PortPlace) bool {
	seen := map[PortPlace]bool{}
	for i := range s.wishes {
		seen[s.wishes[i].PortPlace] = true
	}
	return len(seen) >= maxPortPlaces && !seen[at]
}

// placePrefix unmaps a prefix; one that covers all addresses of both families
// stays zero.
func placePrefix(p netip.Prefix) (netip.Prefix, bool) {
	if !p.IsValid() {
		return p, true
	}
	return gate.UnmapPrefix(p)
}

func prefixText(p netip.Prefix) string {
	if !p.IsValid() {
		return "anywhere"
	}
	return p.String()
}

// portOp is the operation that a wish asks for.
func (p *Policy) portOp(w *wish, set gate.Ports, at PortPlace) PortIntent {
	op := PortIntent{
		PortPlace: at, Kind: PortWish, Verdict: w.Verdict, Ports: set, Service: w.Name, Since: w.now, Rule: cmp.Or(w.f.Rule, byCommand),
		Origin: w.f.Origin, movable: true, Cut: w.Cut && w.Verdict == gate.Open, life: gate.Forever,
	}
	length := ""
	if w.For != 0 && w.For <= maxLife {
		op.life, op.Until = w.For, w.now.Add(w.For)
		length = " for " + short(w.For)
	}
	op.Why = w.who() + " asked to " + w.Verdict.String() + " " + op.about() + at.String() + length + w.because()
	return op
}

// askPortChange grants a closing or an opening, at once or until it is confirmed.
func (p *Policy) askPortChange(ds []gate.Decision, w *wish, op PortIntent, h gate.Host) []gate.Decision {
	s := &p.ports
	if p.portsSettled(w, &op) {
		return ds
	}
	next := s.clone()
	next.do(op)
	stays, by := next.against(&op, w.now)
	switch {
	case !stays.IsEmpty() && op.Ports.Minus(stays).IsEmpty():
		w.refuse(op.about()+" stays closed: "+by.Why, p.overrule(&op, by))
		return ds
	case !stays.IsEmpty():
		w.note(ports(stays) + " of it stays closed: " + by.Why)
	}
	for _, o := range next.narrower(&op, w.now) {
		w.note(o)
	}
	w.answer.Until = op.Until
	if !w.Sure && w.Peer.IsValid() && next.cuts(s, w.Peer, h, w.now) {
		return p.hold(ds, w, op)
	}
	s.do(op)
	d := w.decision(op.Verdict, w.f.Subject, op.Why)
	d.Until, d.Scope, d.Topic = op.Until, op.scope(), op.Service
	return append(ds, d)
}

// note adds something that the asker should know.
func (w *wish) note(s string) {
	if w.answer.Note != "" {
		w.answer.Note += "; "
	}
	w.answer.Note += s
}

// portsSettled answers a wish that changes nothing. An opening for some is kept
// even where nothing is closed: it is the exception of what closes later.
func (p *Policy) portsSettled(w *wish, op *PortIntent) bool {
	s := &p.ports
	switch {
	case op.Verdict == gate.Open && s.saidSo(op, w.now):
		w.answer.Note = "it is open already"
		return true
	case op.Verdict == gate.Open && op.everywhere() && s.closedIn(op.PortPlace, op.Ports, w.now).IsEmpty() && !s.endsOpen(op, w.now):
		w.answer.Note = "nothing here closes it"
		return true
	case op.Verdict == gate.Close && s.saidSo(op, w.now):
		w.answer.Note = "it is closed already"
		return true
	}
	return false
}

// saidSo reports whether the same wish, as long or longer, is what holds for all
// of its ports.
func (s *portState) saidSo(op *PortIntent, t time.Time) bool {
	left := op.Ports
	for _, st := range stretches(atPlace(s.live(t), op.PortPlace)) {
		w := held(st.of)
		if w.Kind == PortWish && w.Verdict == op.Verdict && w.Service == op.Service && w.Cut == op.Cut && w.Until.IsZero() && op.Until.IsZero() {
			left = left.Minus(gate.PortsOf(st.span))
		}
	}
	return left.IsEmpty()
}

// endsOpen reports whether an opening for all of the place ends, so that asking
// for one can change how long it lasts.
func (s *portState) endsOpen(op *PortIntent, t time.Time) bool {
	return slices.ContainsFunc(s.live(t), func(o *PortIntent) bool {
		return o.Verdict == gate.Open && !o.Until.IsZero() && o.overlaps(op.PortPlace) && comparePlaces(o.PortPlace, op.PortPlace) >= 0 && !intersection(o.Ports, op.Ports).IsEmpty()
	})
}

// closedIn returns which of these ports are closed to some of the connections of
// a place.
func (s *portState) closedIn(at PortPlace, of gate.Ports, t time.Time) gate.Ports {
	live := slices.DeleteFunc(s.live(t), func(i *PortIntent) bool { return !i.overlaps(at) })
	var shut []gate.PortRange
	open := gate.Ports{}
	for _, place := range places(live) {
		for _, st := range stretches(atPlace(live, place)) {
			part := intersection(gate.PortsOf(st.span), of).Minus(open)
			if w := held(st.of); w.Verdict == gate.Close {
				shut = append(shut, part.Ranges()...)
			} else if comparePlaces(place, at) >= 0 { // at least as wide: it opens for all of the place
				open = open.Union(part)
			}
		}
	}
	return gate.PortsOf(shut...)
}

// against returns the ports of an opening that another kind keeps closed at its
// place, and what does. It is asked of the state with the opening in it.
func (s *portState) against(op *PortIntent, t time.Time) (stays gate.Ports, by *PortIntent) {
	if op.Verdict != gate.Open {
		return stays, nil
	}
	for _, st := range stretches(atPlace(s.live(t), op.PortPlace)) {
		if w := held(st.of); w.Verdict == gate.Close {
			part := intersection(gate.PortsOf(st.span), op.Ports)
			if !part.IsEmpty() {
				stays, by = stays.Union(part), w
			}
		}
	}
	return stays, by
}

// overrule says how to open all the same.
func (p *Policy) overrule(op, by *PortIntent) string {
	if by.Service != "" {
		return "name the service: gatehouse port open " + by.Service
	}
	for _, v := range p.config.Services {
		if !intersection(v.Ports, op.Ports).IsEmpty() {
			return "name the service: gatehouse port open " + v.Name
		}
	}
	return "an opening that names a service beats it: give the port a name under services: in the configuration, or change what closes it"
}

// narrower says what at narrower places is the other way round.
func (s *portState) narrower(op *PortIntent, t time.Time) (notes []string) {
	live := s.live(t)
	for _, at := range places(live) {
		if at.Direction != op.Direction || at == op.PortPlace || comparePlaces(at, op.PortPlace) > 0 || !at.overlaps(op.PortPlace) {
			continue
		}
		var other gate.Ports
		for _, st := range stretches(atPlace(live, at)) {
			if w := held(st.of); w.Verdict != op.Verdict {
				other = other.Union(intersection(gate.PortsOf(st.span), op.Ports))
			}
		}
		if !other.IsEmpty() {
			state := map[gate.Verdict]string{gate.Close: " stays open", gate.Open: " stays closed"}[op.Verdict]
			notes = append(notes, ports(other)+state+strings.TrimPrefix(at.String(), " "+at.Direction.String()))
		}
	}
	return notes
}

// askPortReset takes back what was asked about ports: of one place, or of all
// places of the direction where none is named.
func (p *Policy) askPortReset(ds []gate.Decision, w *wish, set gate.Ports, at PortPlace, h gate.Host) []gate.Decision {
	s := &p.ports
	var of []PortPlace
	for i := range s.wishes {
		o := &s.wishes[i]
		if o.Direction == at.Direction && (at.everywhere() || o.PortPlace == at) && !intersection(o.Ports, set).IsEmpty() && !slices.Contains(of, o.PortPlace) {
			of = append(of, o.PortPlace)
		}
	}
	if len(of) == 0 {
		w.answer.Note = "nobody asked for anything about it"
		return ds
	}
	// What is taken back may have kept the asker's own way in open.
	next := s.clone()
	why := w.who() + " asked to take back what was said of " + portsNamed(w.Name, set) + w.because()
	op := PortIntent{Kind: PortWish, Verdict: gate.Release, Ports: set, Service: w.Name, Since: w.now, Rule: cmp.Or(w.f.Rule, byCommand), Origin: w.f.Origin, Why: why, life: gate.Forever}
	for _, place := range of {
		op.PortPlace = place
		next.do(op)
	}
	if !w.Sure && w.Peer.IsValid() && next.cuts(s, w.Peer, h, w.now) {
		w.refuse("it would cut your own"+w.ownSession(), "say --yes-cut-me-off if that is meant")
		return ds
	}
	for n, place := range of {
		op.PortPlace = place
		s.do(op)
		d := w.decision(gate.Release, w.f.Subject, why)
		d.Scope, d.Topic = scopeOfPlace(place), w.Name
		if n > 0 {
			d.Origin = gate.Origin{}
		}
		ds = append(ds, d)
	}
	return ds
}
