package fail2ban

import "time"

// Bounds of what is remembered of sessions that are not over: as in fail2ban.
const (
	maxSessions = 100
	sessionLife = 5 * time.Minute
)

// sessions are records by the session's key (F-MLFID).
type sessions struct {
	byKey map[string]*session
	queue []*session // in the order of their beginning, those that are over included
}

type session struct {
	key    string
	record *record
	until  time.Time
}

func (c *sessions) get(key []byte, now time.Time) *record {
	s := c.byKey[string(key)]
	if s == nil {
		return nil
	}
	if !now.Before(s.until) {
		delete(c.byKey, string(key))
		return nil
	}
	return s.record
}

func (c *sessions) put(key []byte, r *record, now time.Time) {
	if c.byKey == nil {
		c.byKey = map[string]*session{}
	}
	n := &session{string(key), r, now.Add(sessionLife)}
	c.byKey[n.key] = n
	c.queue = append(c.queue, n)
	for len(c.byKey) > maxSessions || len(c.queue) > 4*maxSessions {
		c.dropOldest()
	}
}

// dropOldest takes the oldest session out, unless it was over already.
func (c *sessions) dropOldest() {
	old := c.queue[0]
	c.queue[0] = nil
	c.queue = c.queue[1:]
	if c.byKey[old.key] == old {
		delete(c.byKey, old.key)
	}
}

func (c *sessions) drop(key []byte) { delete(c.byKey, string(key)) }

// join adds a line to its session, and returns what is now known of the
// attempt. Matched is how many lines the expression matched.
//
// A line can say: this alone is no failure (NOFAIL), the session is over
// (MLFFORGET), it has succeeded (MLFGAINED). A success takes away what was
// pending, unless more than one account was tried.
func (s *Scanner) join(key []byte, r *record, matched int, now time.Time) *record {
	k := &s.f.known
	gained := r.at(k.gained).full()
	if gained && !r.at(k.nofail).full() && k.nofail >= 0 {
		r.vals[k.nofail] = r.vals[k.gained]
	}
	nofail := gained || r.at(k.nofail).full()
	forget := r.at(k.forget).full()
	r.clear(k.forget)

	all := s.sessions.get(key, now)
	switch {
	case all != nil:
		all.addUser(r.at(k.user))
		was := all.at(k.nofail).full() || all.at(k.gained).full()
		all.clear(k.nofail)
		all.clear(k.gained)
		if gained {
			all.pending = false
		}
		// Lines that were handed on before do not count again.
		if !was && !all.pending {
			all.lines = 0
		}
		all.merge(r)
		r = all
		if forget {
			s.sessions.drop(key)
		}
	case !forget:
		r = r.keep()
		r.addUser(r.at(k.user))
		s.sessions.put(key, r, now)
	}
	failed := r.pending || len(r.users) > 1
	r.pending = false
	if failed {
		r.clear(k.nofail)
		r.clear(k.gained)
		nofail, gained = false, false
	}
	switch {
	case !nofail:
		r.lines += r.held + matched
		r.held = 0
	case !forget:
		r.held += matched
	}
	return r
}
