package firewall

import (
	"time"

	"gatehouse/internal/gate"
)

// Place puts decisions in force at once, before the ledger has them: a ban goes
// into a fresh set, from which it lapses after at most MaxUncommitted unless
// Commit confirms it or the daemon lives on; a release takes effect in full. A
// release in the scope of everything lifts the subject's bans in all scopes.
// Verdicts other than ban and release, and subjects that are no addresses, are
// none of the firewall's business.
//
// It writes the kernel on the caller's goroutine: some microseconds for one
// decision, some tenths of a second for 100,000. What the kernel refuses is
// kept as wanted, shown by Status and tried again by Run.
func (f *Firewall) Place(ds []gate.Decision) {
	f.lock()
	defer f.unlock()
	if f.config.Observe {
		f.observe(ds)
	}
	var e edits
	now := f.clock()
	for i := range ds {
		switch d := &ds[i]; d.Verdict {
		case gate.Ban:
			f.placeBan(&e, d, now)
		case gate.Release:
			f.release(&e, d.Subject, d.Scope, now)
		}
	}
	f.apply("place decisions", &e)
}

// Commit makes the bans of these records last until their end. Records of bans
// that were not placed, or were released since, change nothing, and so do
// records of releases: Place has done what they say.
func (f *Firewall) Commit(rs []gate.Record) {
	f.lock()
	defer f.unlock()
	var e edits
	now := f.clock()
	for i := range rs {
		if d := &rs[i].Decision; d.Verdict == gate.Ban {
			f.commitBan(&e, d, now)
		}
	}
	f.apply("commit bans", &e)
}

func (f *Firewall) placeBan(e *edits, d *gate.Decision, now time.Duration) {
	ends := f.deadline(d.Until)
	if ends <= now {
		return
	}
	c, k, ok := f.want.place(d.Subject, d.Scope)
	if !ok {
		if d.Subject.IsNet() { // lists and ports come another way
			f.log.Warn("a ban that the firewall cannot enforce: it is not about what an address sends", "subject", d.Subject, "rule", d.Rule)
		}
		return
	}
	old, was := c.fresh[k]
	if last, ok := c.lasting[k]; ok && !was && same(last, ends) {
		return // decided again from the same lines, after a restart
	}
	p := placed{until: unixOf(d.Until), ends: ends, held: old.held}
	held, covered := f.hold(p, now), max(old.held, c.lasting[k])
	if covered <= now || covered < held-renewSlack {
		p.held = held
		e.of(c, true).put(k, life(held, now), was && old.held > now)
	}
	c.fresh[k] = p
}

// renewSlack is how much earlier than wished an element may lapse before it is
// written again: the time that one decision takes from being placed to being
// committed is far below.
const renewSlack = 5 * time.Second

func (f *Firewall) commitBan(e *edits, d *gate.Decision, now time.Duration) {
	ends := f.deadline(d.Until)
	if ends <= now || !d.Subject.IsNet() {
		return
	}
	c, k, ok := f.want.place(d.Subject, d.Scope)
	if !ok {
		return
	}
	p, waits := c.fresh[k]
	if !waits {
		return
	}
	old, was := c.lasting[k]
	if !was || !same(old, ends) {
		c.lasting[k] = ends
		e.of(c, false).put(k, life(ends, now), was && old > now)
	}
	if at := unixOf(d.Until); at-p.until > 1 || p.until-at > 1 || (at == 0) != (p.until == 0) {
		return // a later decision waits for its own record
	}
	delete(c.fresh, k)
	if len(c.fresh) == 0 {
		c.fresh = map[key]placed{} // give the room of a large batch back
	}
	if p.held > now {
		e.of(c, true).drop(k)
	}
}

func (f *Firewall) release(e *edits, s gate.Subject, sc gate.Scope, now time.Duration) {
	f.want.find(s, sc, func(c *class, k key) {
		if p, ok := c.fresh[k]; ok {
			delete(c.fresh, k)
			if p.held > now {
				e.of(c, true).drop(k)
			}
		}
		if ends, ok := c.lasting[k]; ok {
			delete(c.lasting, k)
			// What is over has lapsed in the kernel by itself.
			if ends > now {
				e.of(c, false).drop(k)
			}
		}
	})
}

// same reports whether two deadlines are one, worked out at different moments.
func same(a, b time.Duration) bool { return a-b < time.Second && b-a < time.Second }

// unixOf recognises a deadline: whole seconds survive any store.
func unixOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// observe says what would have been done.
func (f *Firewall) observe(ds []gate.Decision) {
	const some = 20 // more than that is one line
	if len(ds) > some {
		f.log.Info("observe: would place decisions", "count", len(ds))
		return
	}
	for i := range ds {
		if d := &ds[i]; d.Verdict == gate.Ban || d.Verdict == gate.Release {
			f.log.Info("observe: would "+d.Verdict.String(), "subject", d.Subject, "rule", d.Rule, "for", gate.FormatDuration(d.Life(f.now())))
		}
	}
}
