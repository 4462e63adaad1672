package rules

import (
	"net/netip"
	"time"
)

// tryView matches one pattern against a line as its rule's format has it, and
// fills in the hit.
func (s *Scanner) tryView(r *Rule, p *Pattern, v *view, line []byte) bool {
	s.reader.found, s.count = stamp{}, 1
	switch {
	case r.format == FormatAccess:
		return len(v.message) <= p.longest && s.tryAccess(p)
	case r.format == FormatJSON:
		return len(v.message) <= p.longest && s.tryJSON(p)
	}
	return s.try(p, v.message, line)
}

// describe fills in what a hit says besides what its pattern found.
func (s *Scanner) describe(r *Rule, p *Pattern, v *view, now time.Time) {
	h := &s.hit
	at := v.stamp
	if s.reader.found.kind != stampNone {
		at = s.reader.found
	}
	stated := v.stated || s.reader.found.kind != stampNone
	if s.reader.outer.kind != stampNone {
		at = s.reader.outer
	}
	h.Time, h.Host = s.clock.time(at, now), s.names.host(v.host)
	h.Rule, h.Pattern, h.Class, h.Repeat = r, p, p.Class, min(max(v.repeat, 1)*s.count, maxRepeat)
	h.Evidence = s.weigh(r, p, stated)
	if h.Session == 0 && p.session == SessionPID {
		h.Session = session(v.pid, v.host)
	}
}

// reset empties what patterns find.
func (h *Hit) reset() {
	h.Addr, h.Proxy, h.User, h.Port, h.Session = netip.Addr{}, netip.Addr{}, "", 0, 0
}

// takeRest takes the groups that few patterns have. It is false where the line
// came by a trusted proxy that does not say for whom it spoke.
func (s *Scanner) takeRest(g groups, b []byte, loc []int) bool {
	s.hit.Proxy = netip.Addr{}
	if from, to := span(loc, g.time); from >= 0 {
		s.reader.readTime(b[from:to])
	}
	if g.via == 0 {
		return true
	}
	var via []byte
	if from, to := span(loc, g.via); from >= 0 {
		via = b[from:to]
	}
	return s.client(via)
}

// client replaces the address of the hit by that of the client, where it is one
// of a trusted proxy. It is false where nobody else is named.
func (s *Scanner) client(via []byte) bool {
	h := &s.hit
	if !h.Addr.IsValid() || !s.reader.trusts(h.Addr) {
		return true
	}
	client, port, ok := s.reader.lastUntrusted(via)
	h.Proxy, h.Addr, h.Port = h.Addr, client, port
	return ok
}

// readTime reads a date or a number since 1970 that stands alone.
func (s *reader) readTime(b []byte) {
	if st, rest, ok := cutShape(b, &s.shape); ok && len(rest) == 0 {
		s.found = st
	}
}

// tryAccess tries a pattern on a line of an access log.
func (s *Scanner) tryAccess(p *Pattern) bool {
	a := &s.reader.access
	for i := range p.conds {
		c := &p.conds[i]
		text := a.fields[c.field]
		if text == nil {
			return false
		}
		if _, ok := s.holds(c, text); !ok {
			return false
		}
	}
	s.hit.reset()
	s.hit.Addr = a.addr
	if !s.client(a.fields[accessForwarded]) {
		return false
	}
	s.hit.User = s.names.user(a.fields[accessUser])
	return true
}

// tryJSON tries a pattern on the values of a JSON line.
func (s *Scanner) tryJSON(p *Pattern) bool {
	s.hit.reset()
	values := s.reader.values
	via := []byte(nil)
	byAddr := false
	for i := range p.conds {
		c := &p.conds[i]
		v := values[c.field]
		if !v.found {
			return false
		}
		loc, ok := s.holds(c, v.text)
		if !ok {
			return false
		}
		if loc == nil {
			continue
		}
		if c.groups.addr > 0 {
			byAddr = true
		}
		if !s.takeGroups(c.groups, v.text, loc) {
			return false
		}
		if from, to := span(loc, c.groups.via); from >= 0 {
			via = v.text[from:to]
		}
	}
	return s.takeFields(p, values, byAddr, via)
}

// takeGroups takes what the expression of a condition keeps.
func (s *Scanner) takeGroups(g groups, b []byte, loc []int) bool {
	h := &s.hit
	if from, _ := span(loc, g.addr); from >= 0 {
		addr, ok := addressAt(b, loc, g)
		if !ok {
			return false
		}
		h.Addr = addr
	}
	if from, to := span(loc, g.user); from >= 0 {
		h.User = s.names.user(b[from:to])
	}
	if from, to := span(loc, g.port); from >= 0 {
		h.Port, _ = portOf(b[from:to])
	}
	if from, to := span(loc, g.session); from >= 0 {
		h.Session = session(b[from:to], nil)
	}
	if from, to := span(loc, g.time); from >= 0 {
		s.reader.readTime(b[from:to])
	}
	return s.takeCount(g, b, loc)
}

// takeFields takes what the fields of a line tell, where no expression did.
func (s *Scanner) takeFields(p *Pattern, values []jsonValue, byAddr bool, via []byte) bool {
	h := &s.hit
	var texts [len(fieldNames)][]byte
	for i, at := range p.places {
		if at >= 0 && values[at].found {
			texts[i] = values[at].text
		}
	}
	if p.Peer != PeerLine {
		h.Addr = netip.Addr{} // that of the session
	} else if !byAddr {
		addr, port, ok := endpoint(texts[0])
		if !ok {
			return false
		}
		if h.Addr = addr; h.Port == 0 {
			h.Port = port
		}
	} else if !h.Addr.IsValid() {
		return false
	}
	if h.User == "" && texts[1] != nil {
		h.User = s.names.user(texts[1])
	}
	if port, ok := portOf(texts[2]); ok {
		h.Port = port
	}
	if h.Session == 0 {
		h.Session = session(texts[3], nil)
	}
	if s.reader.found.kind == stampNone && texts[5] != nil {
		s.reader.readTime(texts[5])
	}
	if via == nil {
		via = texts[4]
	}
	if via == nil && p.places[4] < 0 {
		return true // the line would not say whom a proxy speaks for
	}
	return s.client(via)
}
