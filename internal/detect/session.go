package detect

import "gatehouse/internal/gate"

// session is what is kept of one session: what of it has been counted. It holds
// no pointer and fills one cache line.
type session struct {
	id      uint64   // gate.Detail.Session
	via     uint64   // hash of gate.Detail.Via
	addr    [16]byte // the subject of its events
	last    int64    // time of its newest event, in milliseconds of the detector's clock
	standIn int64    // time of the entry that a Hint or a Key made, in ticks of the watch
	ref     uint32   // where that entry's evidence lies
	touched uint32   // when an event last arrived, in seconds of the detector's clock
	watch   uint16
	bits    uint8
	flags   uint8
}

// The flags of a session.
const (
	sawFailure uint8 = 1 << iota
	sawHint
	sawKey
	succeeded
	standsIn // standIn and ref are set
	allFlags = sawFailure | sawHint | sawKey | succeeded | standsIn
)

// counted reports whether the session counts one without any Failure.
func (s *session) counted() bool {
	return s.flags&sawHint != 0 || s.flags&(sawKey|succeeded) == sawKey
}

// idle is the silence after which a session is over, in milliseconds.
const idle = 10 * 60 * 1000

// sessions finds sessions by watch, identifier and via.
type sessions struct {
	roster
	slab[session]
	secret secret
}

func (s *sessions) at(i uint32) *session { return s.slab.at(i) }

func (s *sessions) hash(watch uint16, id, via uint64) uint64 {
	return s.secret.hash(id, via+uint64(watch))
}

func (s *sessions) hashOf(i uint32) uint64 {
	v := s.at(i)
	return s.hash(v.watch, v.id, v.via)
}

// find returns the number of the session, 0 if there is none.
func (s *sessions) find(watch uint16, id, via uint64) uint32 {
	hash := s.hash(watch, id, via)
	for i := s.head(hash); i != 0; i = s.after(i, hash) {
		if v := s.at(i); v.id == id && v.via == via && v.watch == watch {
			return i
		}
	}
	return 0
}

func (s *sessions) open(v session) uint32 {
	i := s.roster.add(s.hash(v.watch, v.id, v.via), int(v.watch), s.hashOf)
	s.slab.reach(i)
	*s.at(i) = v
	return i
}

func (s *sessions) close(i uint32) {
	s.roster.remove(i, s.hashOf(i), int(s.at(i).watch))
	if s.roster.n == 0 && s.top > manyItems {
		s.roster, s.slab = roster{}, slab[session]{}
	}
}

// hashVia returns the 64-bit FNV-1a hash of a host name, 0 for none; it must be
// the same in every process.
func hashVia(s string) uint64 {
	if s == "" {
		return 0
	}
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// session returns the session that the event belongs to and the event's
// subject; nil if the event has neither a session nor a subject that could
// start one.
func (d *Detector) session(watch uint16, e *gate.Event, ms int64) (*session, gate.Subject) {
	via := hashVia(e.Detail.Via)
	i := d.sessions.find(watch, e.Detail.Session, via)
	if i != 0 {
		s := d.sessions.at(i)
		same := ms-s.last <= idle && s.last-ms <= idle
		if same && e.Subject.IsValid() {
			addr, bits := pack(e.Subject.Prefix())
			same = addr == s.addr && bits == s.bits
		}
		if same {
			s.last = max(s.last, ms)
			if s.touched != d.touch {
				s.touched = d.touch
				d.sessions.use(i, int(watch))
			}
			return s, unpack(s.addr, s.bits)
		}
	}
	if !e.Subject.IsNet() {
		return nil, gate.Subject{}
	}
	if i != 0 {
		d.sessions.close(i)
	}
	for d.sessions.n >= d.config.MaxSessions {
		d.sessions.close(d.oldestSession())
	}
	addr, bits := pack(e.Subject.Prefix())
	i = d.sessions.open(session{
		id: e.Detail.Session, via: via, addr: addr, bits: bits, watch: watch, last: ms, touched: d.touch,
	})
	return d.sessions.at(i), e.Subject
}

func (d *Detector) oldestSession() (oldest uint32) {
	for l := range d.sessions.lists {
		i := d.sessions.first(l)
		if i != 0 && (oldest == 0 || d.sessions.at(i).touched < d.sessions.at(oldest).touched) {
			oldest = i
		}
	}
	return oldest
}
