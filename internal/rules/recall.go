package rules

import (
	"net/netip"

	"gatehouse/internal/gate"
)

// Peer says where a pattern has the address from.
type Peer uint8

// Where the address of a pattern comes from.
const (
	PeerLine    Peer = iota // the line itself
	PeerSession             // the last line of the same session that told one
	PeerGone                // the same, and the session is over with this line
)

var peerNames = [...]string{"", "session", "gone"}

// String returns the word as in a rule file; "" for PeerLine.
func (p Peer) String() string { return peerNames[p%Peer(len(peerNames))] }

// maxRecalled bounds the sessions of one source whose peers are known: some
// 100 bytes each. Where there are more, the one that was named longest ago is
// forgotten, and what it does later is not seen.
const maxRecalled = 8192

// recallKey names a session: a number of a process or a connection is one of a
// host and of a service.
type recallKey struct {
	rule    int32
	host    uint32 // hashed; 0 where the line names none
	session uint64
}

// recalled is what is known of the peer of a session.
type recalled struct {
	key         recallKey
	addr, proxy netip.Addr
	port        uint16
	stated      bool  // the line that told it had a header or a date
	older       int32 // towards the one that was named longest ago; -1 = it is that
	newer       int32 // towards the one that was named last; -1 = it is that
}

// recall knows the peers of the last sessions of a source, at most limit of
// them. The zero value knows none; it is not for concurrent use.
type recall struct {
	at     map[recallKey]int32
	all    []recalled
	free   []int32
	newest int32
	oldest int32
	limit  int // 0 = maxRecalled
}

// keep notes the peer of a session in place of what was known of it.
func (r *recall) keep(x recalled) {
	if r.at == nil {
		r.at, r.newest, r.oldest = map[recallKey]int32{}, -1, -1
	}
	i, known := r.at[x.key]
	limit := r.limit
	if limit == 0 {
		limit = maxRecalled
	}
	switch {
	case known:
		r.unlink(i)
	case len(r.at) >= limit:
		i = r.oldest
		delete(r.at, r.all[i].key)
		r.unlink(i)
	case len(r.free) > 0:
		i = r.free[len(r.free)-1]
		r.free = r.free[:len(r.free)-1]
	default:
		i = int32(len(r.all))
		r.all = append(r.all, recalled{})
	}
	r.at[x.key] = i
	x.older, x.newer = r.newest, -1
	r.all[i] = x
	if r.newest >= 0 {
		r.all[r.newest].newer = i
	}
	if r.newest = i; r.oldest < 0 {
		r.oldest = i
	}
}

// of returns the peer of a session. A session that is asked about is as good as
// new.
func (r *recall) of(key recallKey) (recalled, bool) {
	i, ok := r.at[key]
	if !ok {
		return recalled{}, false
	}
	x := r.all[i]
	if i != r.newest {
		r.keep(x)
	}
	return x, true
}

// drop forgets a session.
func (r *recall) drop(key recallKey) {
	i, ok := r.at[key]
	if !ok {
		return
	}
	delete(r.at, key)
	r.unlink(i)
	r.all[i] = recalled{}
	r.free = append(r.free, i)
}

// unlink takes one out of the order.
func (r *recall) unlink(i int32) {
	x := r.all[i]
	if x.older >= 0 {
		r.all[x.older].newer = x.newer
	} else {
		r.oldest = x.newer
	}
	if x.newer >= 0 {
		r.all[x.newer].older = x.older
	} else {
		r.newest = x.older
	}
}

// peer settles who it was for a pattern that matched, in a rule of which some
// patterns have the address of their session. It is false where that is not
// known.
func (s *Scanner) peer(rule int, p *Pattern, v *view) bool {
	h := &s.hit
	if h.Session == 0 && p.session == SessionPID {
		h.Session = session(v.pid, v.host)
	}
	key := recallKey{rule: int32(rule), session: h.Session}
	if len(v.host) > 0 {
		key.host = fnv32(v.host)
	}
	if p.Peer == PeerLine {
		if h.Session != 0 && h.Addr.IsValid() {
			s.recall.keep(recalled{key: key, addr: h.Addr, proxy: h.Proxy, port: h.Port, stated: v.stated || s.reader.found.kind != stampNone})
		}
		return true
	}
	x, ok := s.recall.of(key)
	if !ok {
		return false
	}
	if p.Peer == PeerGone {
		s.recall.drop(key)
	}
	h.Addr, h.Proxy, h.Port, s.hearsay = x.addr, x.proxy, x.port, !x.stated
	return true
}

// settlePeers notes whether patterns of the rule have the address of their
// session.
func (r *Rule) settlePeers() {
	r.recalls = false
	for i := range r.Patterns {
		r.recalls = r.recalls || r.Patterns[i].Peer != PeerLine
	}
}

// hasSession reports whether the lines of the pattern say of which session they
// are.
func (p *Pattern) hasSession(r *Rule) bool {
	kind := p.Session
	if kind == SessionUnset {
		kind = r.Session
	}
	if p.groups.session > 0 || kind == SessionPID || p.Fields.over(r.Fields).Session != "" {
		return true
	}
	for _, c := range p.conds {
		if c.groups.session > 0 {
			return true
		}
	}
	return false
}

// tellsAddr reports whether the lines of the pattern have an address.
func (p *Pattern) tellsAddr() bool { return p.Peer == PeerLine }

// peers checks that a pattern without an address of its own can have one.
func (d *document) peers(r *Rule) {
	told := false
	for i := range r.Patterns {
		p := &r.Patterns[i]
		told = told || p.tellsAddr() && p.hasSession(r)
	}
	for i := range r.Patterns {
		p := &r.Patterns[i]
		if p.Peer == PeerLine {
			continue
		}
		line, col := d.find("name: " + p.Name)
		switch {
		case !p.hasSession(r):
			d.fail(line, col, "pattern "+p.Name+" has the address of its session, and nothing says which session that is", "write <session> in the expression, or session: pid")
		case !told:
			d.fail(line, col, "pattern "+p.Name+" has the address of its session, and no pattern has one with <addr> and a session", "add a pattern for the line that tells who connected: class: info")
		}
	}
}

// weigh returns what a line proves, given what its rule says.
func (s *Scanner) weigh(r *Rule, p *Pattern, stated bool) gate.Evidence {
	if (!stated || s.hearsay) && !s.trusted && (len(r.Programs) > 0 || r.format == FormatPlain) {
		return gate.Forgeable
	}
	return p.evidence
}
