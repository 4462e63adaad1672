package policy

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"gatehouse/internal/gate"
)

// sshPort is where a session came in if nothing is known of it.
const sshPort = 22

// cuts reports whether the state, in place of an older one, would close the port
// that the asker's own session came in by.
func (s *portState) cuts(old *portState, peer netip.Addr, h gate.Host, t time.Time) bool {
	var by []uint16
	if peer.IsUnspecified() { // any session may be the asker's
		for _, ses := range h.Sessions {
			if s.shut(ses.Port, ses.Peer, t) && !old.shut(ses.Port, ses.Peer, t) {
				return true
			}
		}
		return s.shut(sshPort, netip.Addr{}, t) && !old.shut(sshPort, netip.Addr{}, t)
	}
	for _, ses := range h.Sessions {
		if ses.Peer == peer && ses.Port != 0 && !slices.Contains(by, ses.Port) {
			by = append(by, ses.Port)
		}
	}
	if len(by) == 0 {
		by = []uint16{sshPort}
	}
	return slices.ContainsFunc(by, func(port uint16) bool {
		return s.shut(port, peer, t) && !old.shut(port, peer, t)
	})
}

// PortsWouldCut returns who is logged in by SSH and would be cut off if these were
// the services; the zero Session if nobody would be.
func (p *Policy) PortsWouldCut(services []Service, now time.Time, h gate.Host) gate.Session {
	next := p.ports.clone()
	next.services(services)
	for _, ses := range h.Sessions {
		if next.shut(ses.Port, ses.Peer, now) && !p.ports.shut(ses.Port, ses.Peer, now) {
			return ses
		}
	}
	return gate.Session{}
}

// shut reports whether a TCP port may be closed to an address. To which of our
// addresses it connects is not known, so that any closing counts.
func (s *portState) shut(port uint16, from netip.Addr, t time.Time) bool {
	tos := []netip.Addr{{}}
	for _, i := range s.live(t) {
		if i.To.IsValid() {
			tos = append(tos, i.To.Addr())
		}
	}
	return slices.ContainsFunc(tos, func(to netip.Addr) bool {
		w := s.holder(gate.TCP, port, gate.In, from, to, t)
		return w != nil && w.Verdict == gate.Close
	})
}

// hold puts an operation in force until it is confirmed, or no longer.
func (p *Policy) hold(ds []gate.Decision, w *wish, op PortIntent) []gate.Decision {
	s := &p.ports
	within := cmp.Or(p.config.Confirm, confirmTime)
	s.pending = append(s.pending, op)
	s.deadline = w.now.Add(within)
	s.revision++
	w.answer.Confirm, w.answer.Until = s.deadline, op.Until
	own := w.ownSession()
	w.note("it cuts your own" + own + ": it is taken back in " + short(within) + " unless you confirm it")
	d := w.decision(gate.Tell, w.f.Subject, op.Why+", which cuts their own"+own+": it is taken back at "+stamp(s.deadline)+" unless it is confirmed")
	d.Topic, d.Scope = topicPending, op.scope()
	return append(ds, d)
}

// ownSession names the session of who asks.
func (w *wish) ownSession() string {
	if w.Peer.IsUnspecified() {
		return " SSH session"
	}
	return " session from " + w.Peer.String()
}

// ConfirmPorts makes what is pending last. It returns the decisions, and how
// many changes there were.
func (p *Policy) ConfirmPorts(by string, now time.Time) (ds []gate.Decision, n int) {
	ds = p.lapsePorts(nil, now)
	s := &p.ports
	pending := s.pending
	s.pending, s.deadline = nil, time.Time{}
	for _, op := range pending {
		op.Why += "; " + plain(by) + " confirmed it"
		s.do(op)
		ds = append(ds, gate.Decision{
			Time: now, Until: op.Until, Verdict: op.Verdict, Subject: gate.PortSubject(op.Ports, op.Direction), Scope: op.scope(), Topic: op.Service,
			Rule: op.Rule, Origin: op.Origin, Why: op.Why,
		})
	}
	return ds, len(pending)
}
