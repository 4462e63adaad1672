package policy

import (
	"cmp"
	"slices"
	"time"

	"gatehouse/internal/gate"
)

// PortView is what holds for some ports of a place at one time.
type PortView struct {
	PortIntent
	Pending bool // it waits to be confirmed
	Folded  bool // what it stops is counted together with others
}

// PortsNow returns what holds now: closings, and openings of what would be
// closed without them. In first, the narrower place first.
func (p *Policy) PortsNow(now time.Time) []PortView {
	s := &p.ports
	if len(s.pending) == 0 {
		return viewsOf(s.live(now), now)
	}
	next := s.confirmed()
	list := viewsOf(next.live(now), now)
	for i := range list {
		for _, op := range s.pending {
			if v := &list[i]; v.PortPlace == op.PortPlace && v.Kind == PortWish && !intersection(v.Ports, op.Ports).IsEmpty() && v.Verdict == op.Verdict && v.Since.Equal(op.Since) {
				v.Pending, v.Until = true, s.deadline
			}
		}
	}
	return list
}

// PortsAt returns what will hold at a time if nobody asks for anything until
// then; schedule is what the schedules will want.
func (p *Policy) PortsAt(t time.Time, schedule []Scheduled) []PortView {
	s := p.ports.clone()
	s.schedule = nil
	for _, v := range schedule {
		s.schedule = append(s.schedule, v.intent())
	}
	return viewsOf(s.live(t), t)
}

// PortsDeadline returns until when what is pending has to be confirmed; the zero
// Time if nothing is.
func (p *Policy) PortsDeadline() time.Time { return p.ports.deadline }

func viewsOf(list []*PortIntent, t time.Time) (out []PortView) {
	folded := map[PortPlace]bool{}
	for _, r := range rulesOf(list, t, false) {
		if r.Name == foldedName {
			folded[r.PortPlace] = true
		}
	}
	for _, at := range places(list) {
		parts := map[*PortIntent][]gate.PortRange{}
		for _, st := range stretches(atPlace(list, at)) {
			if w := held(st.of); w != nil {
				parts[w] = append(parts[w], st.span)
			}
		}
		begun := len(out)
		for w, spans := range parts {
			v := PortView{PortIntent: *w, Folded: folded[at] && w.Verdict == gate.Close && w.Until.IsZero()}
			v.Ports = gate.PortsOf(spans...)
			if w.Verdict == gate.Open && at.everywhere() && !opensSomething(list, w, v.Ports, t) {
				continue
			}
			out = append(out, v)
		}
		slices.SortFunc(out[begun:], func(a, b PortView) int {
			return cmp.Or(comparePorts(a.Ports, b.Ports), cmp.Compare(a.Name, b.Name))
		})
	}
	return out
}

// comparePorts orders sets of ports by their first range.
func comparePorts(a, b gate.Ports) int {
	x, y := a.Ranges(), b.Ranges()
	if len(x) == 0 || len(y) == 0 {
		return cmp.Compare(len(x), len(y))
	}
	return cmp.Or(cmp.Compare(x[0].Lo, y[0].Lo), cmp.Compare(x[0].Proto, y[0].Proto))
}

// opensSomething reports whether some of these ports would be closed to somebody
// without the opening.
func opensSomething(list []*PortIntent, w *PortIntent, of gate.Ports, t time.Time) bool {
	return slices.ContainsFunc(list, func(o *PortIntent) bool {
		return o != w && o.Verdict == gate.Close && o.overlaps(w.PortPlace) && comparePlaces(o.PortPlace, w.PortPlace) >= 0 && !intersection(o.Ports, of).IsEmpty()
	})
}

// PortState is the state of one service to people.
type PortState struct {
	Service Service
	Open    bool      // from everywhere
	Some    bool      // it is not open from everywhere, but from somewhere
	Until   time.Time // until when that holds, as far as is known; zero = no end is known
}

// Services returns the state of each service of the configuration, in its order.
// A service with several ports is open if all of them are.
func (p *Policy) Services(now time.Time) (out []PortState) {
	live := p.ports.live(now)
	for _, v := range p.config.Services {
		st := PortState{Service: v, Open: true}
		sooner := func(t time.Time) {
			if !t.IsZero() && (st.Until.IsZero() || t.Before(st.Until)) {
				st.Until = t
			}
		}
		for _, at := range places(live) {
			if at.Direction != gate.In {
				continue
			}
			for _, stretch := range stretches(atPlace(live, at)) {
				if intersection(gate.PortsOf(stretch.span), v.Ports).IsEmpty() {
					continue
				}
				rs := runs(stretch.of, now)
				switch {
				case len(rs) == 0:
				case at.everywhere():
					if rs[0].intent.Verdict == gate.Close {
						st.Open = false
					}
					for k, r := range rs { // until the verdict changes
						if r.intent.Verdict != rs[0].intent.Verdict {
							break
						}
						if k == len(rs)-1 && r.until.IsZero() || k < len(rs)-1 && rs[k+1].intent.Verdict == r.intent.Verdict {
							continue
						}
						sooner(r.until)
					}
				case rs[0].intent.Verdict == gate.Open:
					st.Some = true
				}
			}
		}
		st.Some = st.Some && !st.Open
		out = append(out, st)
	}
	return out
}
