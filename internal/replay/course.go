package replay

import (
	"math"
	"net/netip"
	"time"

	"gatehouse/internal/detect"
	"gatehouse/internal/gate"
	"gatehouse/internal/policy"
)

// Decision is what a Course decided.
type Decision struct {
	gate.Decision
	Expiry   bool // time alone brought it: a ban is over
	KeptAway int  // of a release: what the ban would have kept away
}

// Config is what a Course judges by.
type Config struct {
	Detect detect.Config
	Policy policy.Config
	Allow  []policy.AllowEntry
	Host   gate.Host // what is true of the machine; by default nothing is known of it
	// History is asked once, at the first line, for what was before it: the
	// offences until then. nil = nobody has a history.
	History func(until time.Time) policy.Past
	// Decided takes each decision, in order; it is valid until the call returns.
	// An error ends the course.
	Decided func(*Decision) error
}

// Course judges a stream of lines by one configuration, as the daemon would have
// judged it when it was written. It is a [Listener]. Not for concurrent use.
type Course struct {
	config   Config
	detect   *detect.Detector
	policy   *policy.Policy
	before   policy.Past // offences from before the first line
	now      time.Time   // of the line
	until    int64       // when policy has something to do, in nanoseconds since 1970; 0 = never
	kept     time.Time   // when detect last let go of what is over
	findings []gate.Finding
	tally    tally
	sum      Summary
}

// NewCourse returns a course with nobody banned.
func NewCourse(c Config) *Course {
	t := &Course{config: c, detect: detect.New(c.Detect), tally: newTally()}
	t.policy = policy.New(c.Policy, t.past)
	t.policy.SetAllow(c.Allow, time.Time{}, c.Host)
	return t
}

// past is the history that policy asks for: what this course decided, else what
// was before it.
func (c *Course) past(s gate.Subject) (int, time.Time) {
	if n, last := c.tally.offences(s); n > 0 {
		return n, last
	}
	if c.before == nil {
		return 0, time.Time{}
	}
	return c.before(s)
}

// Line implements Listener.
func (c *Course) Line(l *Line) error {
	if err := c.advance(l.Time); err != nil {
		return err
	}
	c.notice(l)
	c.findings = c.detect.Observe(l.Events, c.now, c.findings[:0])
	if len(c.findings) == 0 {
		return nil
	}
	ds, _ := c.policy.Decide(c.findings, c.now, c.config.Host)
	return c.decided(ds, false)
}

// notice counts a line of somebody who is banned.
func (c *Course) notice(l *Line) {
	if c.sum.First.IsZero() || l.Time.Before(c.sum.First) {
		c.sum.First = l.Time
	}
	if l.Time.After(c.sum.Last) {
		c.sum.Last = l.Time
	}
	if !c.tally.knows(l.Addr) {
		return
	}
	at := l.Time.UnixNano()
	if c.tally.count(l.Addr, l.Ports, at, at, l.Times, nil) {
		c.sum.KeptAway += l.Times
		if l.Login {
			c.sum.Logins += l.Times
		}
	}
}

// Known implements Listener.
func (c *Course) Known() func(netip.Addr) bool {
	if len(c.tally.all) == 0 {
		return nil
	}
	return c.tally.knows
}

// Passing implements Listener.
func (c *Course) Passing(p *Passing) {
	to := int64(math.MaxInt64)
	if !p.To.IsZero() {
		to = p.To.UnixNano()
	}
	if c.tally.count(p.Addr, p.Ports, p.From.UnixNano(), to, 1, p) {
		c.sum.KeptAway++
	}
}

// setBack is how far a line must lie behind the one before to be taken for the
// sign of a clock that had gone wrong, rather than for one that came late. Then
// the course goes back to it: otherwise one line from the future would make all
// that follow late.
const setBack = time.Hour

// upkeep is how often detect lets go of what is over.
const upkeep = time.Minute

// advance does what time alone brings until t.
func (c *Course) advance(t time.Time) error {
	switch {
	case c.now.IsZero():
		if c.config.History != nil {
			c.before = c.config.History(t)
		}
		c.now, c.kept = t, t
	case t.After(c.now):
		c.now = t
	case c.now.Sub(t) > setBack:
		c.now, c.kept = t, t
	}
	if c.now.Sub(c.kept) >= upkeep {
		c.kept = c.now
		c.findings = c.detect.Advance(c.now, c.findings[:0]) // none arises from time alone
	}
	for c.until != 0 && c.until <= c.now.UnixNano() {
		next := time.Unix(0, c.until).UTC()
		if err := c.decided(c.policy.Advance(next, c.config.Host), true); err != nil {
			return err
		}
		c.rearm()
	}
	return nil
}

// rearm notes when policy has something to do.
func (c *Course) rearm() {
	c.until = 0
	if next := c.policy.Next(); !next.IsZero() {
		c.until = next.UnixNano()
	}
}

// decided takes note of decisions and passes them on.
func (c *Course) decided(ds []gate.Decision, expiry bool) error {
	if len(ds) == 0 {
		return nil
	}
	c.rearm()
	for i := range ds {
		d := Decision{Decision: ds[i], Expiry: expiry}
		switch {
		case d.Verdict == gate.Release:
			d.KeptAway = c.tally.release(&d.Decision)
		case d.Verdict == gate.Ban:
			c.tally.ban(&d.Decision)
		}
		switch {
		case expiry && d.Verdict == gate.Release:
			c.sum.Released++
		case !expiry:
			c.sum.Decisions++
			if d.Verdict == gate.Ban {
				c.sum.Bans++
			}
		}
		if c.config.Decided == nil {
			continue
		}
		if err := c.config.Decided(&d); err != nil {
			return err
		}
	}
	return nil
}

// Summary returns what came of the course.
func (c *Course) Summary() Summary {
	s := c.sum
	s.Banned = c.tally.banned
	s.Offenders, s.Effects = c.tally.worst()
	return s
}
