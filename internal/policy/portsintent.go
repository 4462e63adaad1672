package policy

import (
	"cmp"
	"net/netip"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// PortKind says where an intent about ports comes from.
type PortKind uint8

// The kinds of intent. The zero PortKind is invalid.
const (
	PortRest     PortKind = iota + 1 // the resting state of a service
	PortSchedule                     // a schedule of the configuration that holds now
	PortWish                         // what a person asked for: by command, by a remote file, by a knock
)

// String returns `rest`, `schedule`, `wish` or "".
func (k PortKind) String() string {
	switch k {
	case PortRest:
		return "rest"
	case PortSchedule:
		return "schedule"
	case PortWish:
		return "wish"
	}
	return ""
}

// PortPlace is which traffic an intent about ports is about: connections in one
// direction, from anywhere or from a prefix, to anywhere or to a prefix.
type PortPlace struct {
	Direction gate.Direction
	From, To  netip.Prefix // the zero Prefix is anywhere
}

// everywhere reports whether the place is as wide as can be.
func (p PortPlace) everywhere() bool { return !p.From.IsValid() && !p.To.IsValid() }

// contains reports whether a connection from one address to another is of this
// place. An invalid address is one that is not known: it is taken to be in it.
func (p PortPlace) contains(from, to netip.Addr) bool {
	in := func(n netip.Prefix, a netip.Addr) bool { return !n.IsValid() || !a.IsValid() || n.Contains(a) }
	return in(p.From, from) && in(p.To, to)
}

// overlaps reports whether a connection can be of both places.
func (p PortPlace) overlaps(o PortPlace) bool {
	meet := func(a, b netip.Prefix) bool { return !a.IsValid() || !b.IsValid() || a.Overlaps(b) }
	return p.Direction == o.Direction && meet(p.From, o.From) && meet(p.To, o.To)
}

// wideness returns how many bits of an address a prefix leaves open: the more, the
// wider it is. Anywhere is wider than all.
func wideness(p netip.Prefix) int {
	if !p.IsValid() {
		return 1 << 10
	}
	return p.Addr().BitLen() - p.Bits()
}

// comparePlaces puts the narrower place first: by where it comes from, then by
// where it goes to. What is left is an order for order's sake.
func comparePlaces(a, b PortPlace) int {
	return cmp.Or(cmp.Compare(a.Direction, b.Direction), cmp.Compare(wideness(a.From), wideness(b.From)), cmp.Compare(wideness(a.To), wideness(b.To)),
		a.From.Compare(b.From), a.To.Compare(b.To))
}

// String says the place in words that stand behind ports: ` in from 192.0.2.1`.
func (p PortPlace) String() string {
	s := " " + p.Direction.String()
	if p.From.IsValid() {
		s += " from " + gate.PrefixSubject(p.From).String()
	}
	if p.To.IsValid() {
		s += " to " + gate.PrefixSubject(p.To).String()
	}
	return s
}

// PortIntent is that ports of a place are to be closed or open.
type PortIntent struct {
	PortPlace
	Kind    PortKind
	Name    string       // of its own among those in force: what is counted under it
	Verdict gate.Verdict // Close or Open
	Ports   gate.Ports
	Service string    // the service that it names; "" = ports by number
	Since   time.Time // the zero Time for a resting state
	Until   time.Time // the zero Time for no end
	Cut     bool      // of an opening: when it ends, live connections end too
	Rule    string    // the watch of its decisions: `command`, `remote`, `schedule night`
	Why     string    // a sentence
	Origin  gate.Origin

	serial  uint64 // order among wishes
	movable bool   // decided since the machine booted: moves when the wall clock jumps
	life    time.Duration
}

func (i *PortIntent) over(t time.Time) bool { return !i.Until.IsZero() && !i.Until.After(t) }

// about names what the intent is about: its service, or its ports.
func (i *PortIntent) about() string { return portsNamed(i.Service, i.Ports) }

func portsNamed(service string, p gate.Ports) string {
	if service != "" {
		return service
	}
	return ports(p)
}

// By names who is behind the intent, as far as its sentence says so.
func (i *PortIntent) By() string {
	if by, _, ok := strings.Cut(i.Why, " asked "); ok && i.Kind == PortWish {
		return by
	}
	if i.Kind == PortRest {
		return "configuration"
	}
	return i.Rule
}

// held returns which of several intents about one port and one place holds;
// nil of none. This is the table of docs/ports.md, from its third line on:
//
//   - of one kind, the latest;
//   - between kinds, close beats open, whichever is later;
//   - except that an opening which names the service beats what closed its
//     ports earlier.
//
// The two lines above it, a ban before all and the narrower place before the
// wider, are a matter of order: see [Policy.PortRules].
func held(list []*PortIntent) *PortIntent {
	var last [PortWish + 1]*PortIntent
	for _, i := range list {
		if o := last[i.Kind]; o == nil || i.after(o) {
			last[i.Kind] = i
		}
	}
	var closed, opened, named *PortIntent
	for _, i := range last {
		switch {
		case i == nil:
		case i.Verdict == gate.Close && (closed == nil || i.Since.After(closed.Since)):
			closed = i
		case i.Verdict == gate.Open && i.Service != "" && (named == nil || i.Since.After(named.Since)):
			named = i
		case i.Verdict == gate.Open && i.Service == "" && (opened == nil || i.Since.After(opened.Since)):
			opened = i
		}
	}
	switch {
	case closed == nil:
		return cmp.Or(named, opened)
	case named != nil && named.Since.After(closed.Since):
		return named
	}
	return closed
}

// after reports whether i is later than another intent of its kind; among those
// of one moment, a closing is.
func (i *PortIntent) after(o *PortIntent) bool {
	if i.serial != o.serial {
		return i.serial > o.serial
	}
	if c := i.Since.Compare(o.Since); c != 0 {
		return c > 0
	}
	return i.Verdict == gate.Close && o.Verdict == gate.Open
}
