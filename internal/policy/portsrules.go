package policy

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"gatehouse/internal/gate"
)

// PortRule is one of an ordered list of rules about ports: of those that match a
// connection, the first decides.
type PortRule struct {
	PortPlace
	Verdict gate.Verdict // Close or Open
	Ports   gate.Ports
	Until   time.Time // the rule is gone then, whoever lives; zero = it stays
	Pending bool      // it waits to be confirmed, and goes at Until otherwise
	Cut     bool      // of an opening: when it ends, live connections end too
	Name    string    // under which what it stops is counted
}

// foldFrom is the number of closings of one place and without an end from which
// on they are one rule with one name.
const foldFrom = 16

// PortRules returns the rules that make what is wanted of ports true, from now
// on and until they run out by themselves, even if nobody asks again. A narrower
// place comes before a wider one; at one place, what ends sooner comes before
// what it lies over. Changes that wait to be confirmed come first.
func (p *Policy) PortRules(now time.Time) []PortRule {
	s := &p.ports
	var base []PortRule
	for i := range s.ended { // for what they let in and still lives: in front, for newer closings were taken out of them
		o := &s.ended[i]
		base = append(base, PortRule{PortPlace: o.PortPlace, Verdict: gate.Open, Ports: o.Ports, Until: o.Until, Name: o.Name})
	}
	base = append(base, rulesOf(s.live(now), now, false)...)
	if len(s.pending) == 0 {
		return base
	}
	next, touched := s.confirmed(), [3]gate.Ports{}
	for _, op := range s.pending {
		touched[op.Direction] = touched[op.Direction].Union(op.Ports)
	}
	var front []PortRule
	for _, r := range rulesOf(next.live(now), now, true) {
		r.Ports = intersection(r.Ports, touched[r.Direction])
		if r.Ports.IsEmpty() {
			continue
		}
		r.Pending = true
		if r.Until.IsZero() || r.Until.After(s.deadline) {
			r.Until = s.deadline
		}
		front = append(front, r)
	}
	for _, d := range []gate.Direction{gate.In, gate.Out} {
		if !touched[d].IsEmpty() { // what nothing closes any more is not to fall through to what closes it now
			front = append(front, PortRule{PortPlace: PortPlace{Direction: d}, Verdict: gate.Open, Ports: touched[d], Until: s.deadline, Pending: true, Name: "pending"})
		}
	}
	return append(front, base...)
}

// confirmed returns the state as it is once what is pending is confirmed.
func (s *portState) confirmed() *portState {
	c := s.clone()
	for _, op := range s.pending {
		c.do(op)
	}
	c.pending, c.deadline = nil, time.Time{}
	return c
}

func intersection(a, b gate.Ports) gate.Ports { return a.Minus(a.Minus(b)) }

// run is a stretch of time in which one intent holds.
type run struct {
	intent *PortIntent
	until  time.Time // zero = from then on
}

// runs returns who holds, from now on, if of these intents about one port and
// one place each ends when it ends.
func runs(list []*PortIntent, now time.Time) (out []run) {
	for t := now; ; {
		rest := list[:0:0]
		var next time.Time
		for _, i := range list {
			if i.over(t) {
				continue
			}
			rest = append(rest, i)
			if !i.Until.IsZero() && (next.IsZero() || i.Until.Before(next)) {
				next = i.Until
			}
		}
		w := held(rest)
		if w == nil {
			return out
		}
		if n := len(out); n > 0 && out[n-1].intent == w {
			out[n-1].until = next
		} else {
			out = append(out, run{w, next})
		}
		if next.IsZero() {
			return out
		}
		list, t = rest, next
	}
}

// stretch is the ports of a place that the same intents are about.
type stretch struct {
	span gate.PortRange
	of   []*PortIntent
}

// stretches cuts the ports of intents of one place into ranges that the same
// intents are about.
func stretches(list []*PortIntent) (out []stretch) {
	for _, proto := range []gate.Proto{gate.TCP, gate.UDP} {
		type edge struct {
			at     int
			intent int
			on     bool
		}
		var edges []edge
		for n, i := range list {
			for _, r := range i.Ports.Ranges() {
				if r.Proto == proto {
					edges = append(edges, edge{int(r.Lo), n, true}, edge{int(r.Hi) + 1, n, false})
				}
			}
		}
		slices.SortStableFunc(edges, func(a, b edge) int { return cmp.Compare(a.at, b.at) })
		on := make([]bool, len(list))
		for k := 0; k < len(edges); {
			at := edges[k].at
			for ; k < len(edges) && edges[k].at == at; k++ {
				on[edges[k].intent] = edges[k].on
			}
			var of []*PortIntent
			for n, is := range on {
				if is {
					of = append(of, list[n])
				}
			}
			if len(of) > 0 {
				out = append(out, stretch{gate.PortRange{Proto: proto, Lo: uint16(at), Hi: uint16(edges[k].at - 1)}, of})
			}
		}
	}
	return out
}

// places returns the places of intents, the narrower first.
func places(list []*PortIntent) (out []PortPlace) {
	for _, i := range list {
		out = append(out, i.PortPlace)
	}
	slices.SortFunc(out, comparePlaces)
	return slices.Compact(out)
}

func atPlace(list []*PortIntent, at PortPlace) (out []*PortIntent) {
	for _, i := range list {
		if i.PortPlace == at {
			out = append(out, i)
		}
	}
	return out
}

// rulesOf returns the rules that make intents true. Unless all are wanted, those
// are left out that change nothing: openings with nothing closed below them.
func rulesOf(list []*PortIntent, now time.Time, all bool) (out []PortRule) {
	type key struct {
		until  int64
		intent *PortIntent
	}
	for _, at := range places(list) {
		parts := map[key][]gate.PortRange{}
		var order []key
		for _, st := range stretches(atPlace(list, at)) {
			rs := runs(st.of, now)
			for !all && at.everywhere() && len(rs) > 0 && rs[len(rs)-1].intent.Verdict == gate.Open {
				rs = rs[:len(rs)-1]
			}
			for _, r := range rs {
				k := key{nanos(r.until), r.intent}
				if parts[k] == nil {
					order = append(order, k)
				}
				parts[k] = append(parts[k], st.span)
			}
		}
		slices.SortStableFunc(order, func(a, b key) int { return cmp.Compare(uint64(a.until)-1, uint64(b.until)-1) }) // 0, no end, comes last
		begun := len(out)
		for _, k := range order {
			out = append(out, PortRule{
				PortPlace: at, Verdict: k.intent.Verdict, Ports: gate.PortsOf(parts[k]...), Until: fromNanos(k.until), Cut: k.intent.Cut, Name: k.intent.Name,
			})
		}
		out = append(out[:begun], folded(out[begun:])...)
	}
	return out
}

// folded makes many closings without an end one, so that a range that was closed
// port by port is one set.
func folded(rules []PortRule) []PortRule {
	lasting := func(r PortRule) bool { return r.Verdict == gate.Close && r.Until.IsZero() }
	var ranges []gate.PortRange
	n := 0
	for _, r := range rules {
		if lasting(r) {
			ranges = append(ranges, r.Ports.Ranges()...)
			n++
		}
	}
	if n < foldFrom {
		return rules
	}
	one := PortRule{PortPlace: rules[0].PortPlace, Verdict: gate.Close, Ports: gate.PortsOf(ranges...), Name: foldedName}
	return append(slices.DeleteFunc(slices.Clone(rules), lasting), one)
}

// foldedName is the name under which many closings are counted together.
const foldedName = "closed"

// holder returns the intent that holds for one connection at a time; nil if
// none does. from and to may be unknown: then the first of all places counts
// that the connection may be of.
func (s *portState) holder(proto gate.Proto, port uint16, d gate.Direction, from, to netip.Addr, t time.Time) *PortIntent {
	list := slices.DeleteFunc(s.live(t), func(i *PortIntent) bool {
		return i.Direction != d || !i.contains(from, to) || !i.Ports.Contains(proto, port)
	})
	for _, at := range places(list) {
		if w := held(atPlace(list, at)); w != nil {
			return w
		}
	}
	return nil
}
