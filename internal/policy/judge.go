package policy

import (
	"time"

	"gatehouse/internal/gate"
)

// catchingUp is how far behind a finding is that was read late. A live one is
// never so far behind: then the arrival counts as its time.
const catchingUp = time.Minute

// judge decides what follows from one finding.
func (p *Policy) judge(ds []gate.Decision, f *gate.Finding, now time.Time, h gate.Host) []gate.Decision {
	if !f.Subject.IsNet() {
		return ds
	}
	t := p.aim(f, h)
	w, network := p.under(p.watch(f.Rule), t.subject)
	scope := gate.Scope{Ports: w.Ports, New: f.Evidence != gate.Proven, HTTP: proxied(f)}
	if t.never != "" {
		return p.tell(ds, f, t, w, scope, now)
	}
	k := keyOf(t.subject.Prefix())
	if b := p.covering(k, scope); b != nil {
		b.joined++
		return ds
	}
	if w.Scan && scope.New {
		if ds, done := p.probed(ds, f, t, w, now); done {
			return ds
		}
	}
	s := p.sentence(f, k, w, scope, now)
	if s.joins {
		return ds
	}
	until := time.Time{}
	if s.life != gate.Forever {
		until = s.start.Add(s.life)
		if !until.After(now) { // it would be over by now
			if s.climbs {
				p.history.put(k, past{uint32(s.offence), nanos(s.start), nanos(until)})
			}
			return ds
		}
	}
	proof := f.Proof
	d := gate.Decision{
		Time: now, Until: until, Verdict: gate.Ban, Subject: t.subject, Scope: scope,
		Rule: f.Rule, Origin: f.Origin, Why: p.whyBan(f, w, &s, t.alone, network, scope), Proof: &proof,
	}
	p.retire(&d)
	if s.climbs {
		d.Offence = s.offence
	}
	ds, ok := p.makeRoom(ds, now)
	if !ok {
		t.never = "there is no room for another ban"
		return p.tell(ds, f, t, w, scope, now)
	}
	i := p.ban(&d)
	b := p.bans.at(i)
	b.offence = uint32(s.offence)
	if s.guilty != 0 {
		b.guilty = s.guilty
	}
	p.bans.enrol(i, p)
	return p.aggregate(append(ds, d), i, f, now, h)
}

// target is whom a finding is aimed at.
type target struct {
	subject gate.Subject
	alone   string // why it is a single address of what was counted together; "" if it is all of it
	never   string // why it may not be banned; "" if it may
}

// aim finds whom a finding may hit: all that was counted together, or, where
// that holds somebody who must not be hit, the single address of the last
// event, or nobody.
func (p *Policy) aim(f *gate.Finding, h gate.Host) target {
	t := target{subject: f.Subject}
	if e, ok := p.allow.covering(t.subject.Prefix()); ok {
		t.never = "it is allowed" + by(e, t.subject)
		return t
	}
	if t.subject.Kind() == gate.KindAddr {
		t.never = h.Guarded(t.subject)
		return t
	}
	if t.alone = p.notWhole(f, h); t.alone == "" {
		return t
	}
	if f.Last.Kind() != gate.KindAddr || !f.Subject.Covers(f.Last) {
		t.never = t.alone
		return t
	}
	t.subject = f.Last
	if e, ok := p.allow.covering(t.subject.Prefix()); ok {
		t.never = "it is allowed" + by(e, t.subject)
	} else {
		t.never = h.Guarded(t.subject)
	}
	return t
}

// notWhole returns why the prefix of a finding may not be banned as a whole, ""
// if it may.
func (p *Policy) notWhole(f *gate.Finding, h gate.Host) string {
	net := f.Subject.Prefix()
	if net.Addr().IsLinkLocalUnicast() || f.Last.IsNet() && h.IsOnLink(f.Last.Addr()) {
		return "its network is attached directly"
	}
	for _, l := range h.OnLink {
		if l.Overlaps(net) {
			return f.Subject.String() + " holds a network that is attached directly"
		}
	}
	if why := guarded(h, f.Subject, f.Subject.String()); why != "" {
		return why
	}
	if e, ok := p.allow.inside(net); ok {
		return gate.PrefixSubject(e.Prefix).String() + " lies in " + f.Subject.String() + " and is allowed"
	}
	return ""
}

// sentence is what an offender gets.
type sentence struct {
	start   time.Time     // when the ban begins
	late    bool          // that is in the past
	life    time.Duration // how long it lasts
	offence int           // which offence it is; 0 = none
	climbs  bool          // it is a new offence, not more of one that is banned already
	already *ban          // the ban that this one goes beyond
	guilty  int64         // when that was decided, in nanoseconds since 1970, if earlier
	joins   bool          // it belongs to an earlier offence: nothing follows
}

// sentence looks the offender up in the history.
func (p *Policy) sentence(f *gate.Finding, k netKey, w *Watch, scope gate.Scope, now time.Time) sentence {
	s := sentence{start: now}
	if s.late = now.Sub(f.Time) > catchingUp; s.late {
		s.start = f.Time
	}
	for _, b := range p.bans.covering(k) {
		s.already = b
		break
	}
	if scope.New {
		s.life = w.life()
		return s
	}
	for _, b := range p.bans.of(k) {
		if int(b.offence) > s.offence {
			s.offence, s.guilty, s.already = int(b.offence), b.guilty, b
		}
	}
	if s.offence > 0 { // more of the same offence
		s.life = w.step(s.offence)
		return s
	}
	o := p.offences(k)
	if s.joins = o.owns(f.Time, now, s.late, w); s.joins {
		return s
	}
	s.offence, s.climbs = o.next(s.start, p.config.Forget), true
	s.life = w.step(s.offence)
	return s
}

// owns reports whether what happened at a time belongs to the last offence: it
// was over before that was decided, or, when it is read late, it fell into the
// time of its ban.
func (o offences) owns(at, now time.Time, late bool, w *Watch) bool {
	if o.n == 0 || o.last.After(now) { // from a clock that was wrong
		return false
	}
	if !at.After(o.last) {
		return true
	}
	if !late {
		return false
	}
	until := o.until
	if until.IsZero() {
		if w.step(o.n) == gate.Forever {
			return false
		}
		until = o.last.Add(w.step(o.n))
	}
	return at.Before(until)
}

// tell records that somebody would have been banned, but not often.
func (p *Policy) tell(ds []gate.Decision, f *gate.Finding, t target, w *Watch, scope gate.Scope, now time.Time) []gate.Decision {
	if !p.told.may(keyOf(t.subject.Prefix()), now) {
		return ds
	}
	proof := f.Proof
	return append(ds, gate.Decision{
		Time: now, Verdict: gate.Tell, Subject: t.subject, Scope: scope,
		Rule: f.Rule, Origin: f.Origin, Why: whatHappened(f, w) + "; it is not banned, because " + t.never, Proof: &proof,
	})
}
