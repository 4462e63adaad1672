package policy

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// Past tells the history of exactly this subject from the ledger: how many Ban
// decisions with an offence number it has had within the time that offences are
// remembered, and when the last of them was decided.
type Past func(gate.Subject) (offences int, last time.Time)

// Policy judges. Make one with [New]. It is not safe for concurrent use.
type Policy struct {
	config  Config
	watches map[string]*Watch
	other   Watch  // for watches that are not configured
	horizon string // ` within 90d`
	past    Past

	bans     bans
	allow    allowList
	history  history
	told     told
	scans    scans
	ports    portState
	lists    lists
	inside   Inside
	groups   map[netKey][]*group // whom each aggregate took the place of
	here     gate.Host           // as it was told last
	restored bool                // bans may have ended while nothing ran; until the first look at the time
}

// New returns a policy with no bans. past may be nil: nobody has a history.
func New(c Config, past Past) *Policy {
	p := &Policy{past: past, bans: newBans()}
	p.configure(c)
	p.ports.services(p.config.Services)
	return p
}

func (p *Policy) configure(c Config) {
	p.config = c.withDefaults()
	p.watches = make(map[string]*Watch, len(c.Watches))
	for i := range p.config.Watches {
		w := &p.config.Watches[i]
		p.watches[w.Name] = w
	}
	p.horizon = horizon(p.config.Forget)
	p.other = Watch{Ladder: p.config.Ladder, Noun: "failure"}
}

// Decide judges findings in their order. It returns the decisions that follow,
// those that time brought before them, and one answer for each ask, in order.
func (p *Policy) Decide(fs []gate.Finding, now time.Time, h gate.Host) (ds []gate.Decision, as []gate.Answer) {
	p.here = h
	ds = p.lapse(nil, now)
	for i := range fs {
		if fs[i].Ask == nil {
			if e := happening(&fs[i]); e != nil {
				ds = append(ds, pass(&fs[i], e, now))
			} else {
				ds = p.judge(ds, &fs[i], now, h)
			}
			continue
		}
		var a gate.Answer
		ds, a = p.ask(ds, &fs[i], now, h)
		as = append(as, a)
	}
	return ds, as
}

// Next returns when the next ban or wish about ports ends; the zero Time if none
// does.
func (p *Policy) Next() time.Time {
	first := p.ports.next()
	if len(p.bans.queue) > 0 {
		if t := fromNanos(p.bans.at(p.bans.queue[0]).until); first.IsZero() || t.Before(first) {
			return t
		}
	}
	return first
}

// Advance ends the bans whose time is over.
func (p *Policy) Advance(now time.Time, h gate.Host) []gate.Decision {
	p.here = h
	return p.lapse(nil, now)
}

// lapse ends the bans whose time is over.
func (p *Policy) lapse(ds []gate.Decision, now time.Time) []gate.Decision {
	ds = p.lapsePorts(ds, now)
	missed := p.restored
	p.restored = false
	for len(p.bans.queue) > 0 {
		i := p.bans.queue[0]
		b := p.bans.at(i)
		if b.until > now.UnixNano() {
			break
		}
		k, scope, why := b.netKey, *b.scope, whyOver(b, missed && b.earlier)
		p.remember(b, fromNanos(b.until))
		if p.outlasted(i) {
			p.bans.remove(i)
			ds = p.regroup(ds, k, now)
			continue
		}
		ds = append(ds, p.release(i, now, why))
		if scopeIsAll(scope) {
			ds = p.reassert(ds, k, now)
		}
		ds = p.regroup(ds, k, now)
	}
	return ds
}

// outlasted reports whether another ban of the same subject shuts all that ban
// i does.
func (p *Policy) outlasted(i uint32) bool {
	b := p.bans.at(i)
	for j, o := range p.bans.of(b.netKey) {
		if j != i && includes(*o.scope, *b.scope) && b.endsBefore(o.until) {
			return true
		}
	}
	return false
}

func scopeIsAll(s gate.Scope) bool { return sameScope(s, gate.Scope{}) }

// staysBanned begins the reason of a ban that is repeated: it is no new offence.
const staysBanned = "it stays banned"

// reassert repeats the bans that stay of a subject after that of everything was
// released.
func (p *Policy) reassert(ds []gate.Decision, k netKey, now time.Time) []gate.Decision {
	for _, b := range p.bans.of(k) {
		if b.until != 0 && b.until <= now.UnixNano() {
			continue // its own release follows
		}
		ds = append(ds, gate.Decision{
			Time: now, Until: fromNanos(b.until), Verdict: gate.Ban, Subject: k.subject(), Scope: *b.scope,
			Rule: p.bans.names[b.rule], Why: staysBanned + on(*b.scope) + untilWhen(b.until) + ": " + b.why,
		})
	}
	return ds
}

// release ends ban i for a reason that no event gave.
func (p *Policy) release(i uint32, now time.Time, why string) gate.Decision {
	b := p.bans.at(i)
	d := gate.Decision{
		Time: now, Verdict: gate.Release, Subject: b.subject(), Scope: *b.scope, Rule: p.bans.names[b.rule], Why: why,
	}
	p.bans.remove(i)
	return d
}

// ban puts a decision into force, in the place of a ban of the same subject and
// scope, and returns its number.
func (p *Policy) ban(d *gate.Decision) uint32 {
	k, offence, guilty := keyOf(d.Subject.Prefix()), uint32(max(d.Offence, 0)), nanos(d.Time)
	for i, b := range p.bans.of(k) {
		if sameScope(d.Scope, *b.scope) {
			if b.offence > offence {
				offence, guilty = b.offence, b.guilty
			}
			p.bans.remove(i)
		}
	}
	i := p.bans.add(ban{
		netKey: k, movable: true, rule: p.bans.name(d.Rule), source: p.bans.name(d.Origin.Source),
		epoch: d.Origin.Epoch, offset: d.Origin.Offset, offence: offence,
		since: nanos(d.Time), guilty: guilty, until: nanos(d.Until), scope: p.bans.shared(d.Scope), why: d.Why,
	})
	p.bans.enrol(i, p)
	return i
}

// makeRoom ends the ban that ends first if there is no room for another; false
// if none of them ends.
func (p *Policy) makeRoom(ds []gate.Decision, now time.Time) ([]gate.Decision, bool) {
	if p.bans.n < p.config.MaxBans {
		return ds, true
	}
	if len(p.bans.queue) == 0 {
		return ds, false
	}
	i := p.bans.queue[0]
	b := p.bans.at(i)
	k, all := b.netKey, scopeIsAll(*b.scope)
	p.remember(b, now)
	ds = append(ds, p.release(i, now, "it made room for another ban: "+strconv.Itoa(p.bans.n)+" are live"))
	if all {
		ds = p.reassert(ds, k, now)
	}
	p.disband(k)
	return ds, true
}

// Rejudge releases the bans that the guard against locking out forbids now that
// the machine has changed. A wider ban that a person asked for stays: the
// firewall exempts what lies in it.
func (p *Policy) Rejudge(now time.Time, h gate.Host) []gate.Decision {
	p.here = h
	ds := p.lapse(nil, now)
	for _, never := range h.Never() {
		if !never.IsSingleIP() {
			continue
		}
		for i, b := range p.bans.covering(keyOf(never)) {
			if s := b.subject(); s.Kind() == gate.KindAddr || p.bans.names[b.rule] != byCommand {
				p.remember(b, now)
				k := b.netKey
				ds = append(ds, p.release(i, now, "no ban of it may stand: "+guarded(h, s, "it")))
				ds = p.regroup(ds, k, now)
			}
		}
	}
	return ds
}

// Reconfigure judges by another configuration from now on. What is banned keeps
// its end, also when its watch is gone, unless it is to retire before. The allow list has a door of its own,
// SetAllow. It returns what follows at once.
func (p *Policy) Reconfigure(c Config, now time.Time, h gate.Host) []gate.Decision {
	p.here = h
	grouped := p.config.Aggregate
	p.configure(c)
	if p.config.Aggregate != grouped {
		p.bans.enrolAll(p)
	}
	return p.retireAll(append(p.reservices(now), p.lapse(nil, now)...), now)
}

// Restore puts a record of what was in force before the start back: a live ban,
// an allow entry that a command made. Records come oldest first; those of
// releases take back what earlier ones did. thisBoot says that the machine has
// not booted since the record's Until was stated, so that it moves when the
// wall clock jumps. Bans that ended meanwhile are released by the first call
// that tells the time.
func (p *Policy) Restore(r gate.Record, thisBoot bool) {
	if r.Subject.Kind() == gate.KindPort {
		p.restorePorts(&r, thisBoot)
	}
	if r.Subject.Kind() == gate.KindList {
		p.restoreList(r)
	}
	if !r.Subject.IsNet() {
		return
	}
	k := keyOf(r.Subject.Prefix())
	switch r.Verdict {
	case gate.Ban:
		p.restored = true
		i := p.ban(&r.Decision)
		b := p.bans.at(i)
		b.movable, b.earlier = thisBoot, true
		if p.past != nil && b.offence == 0 && r.Rule != byCommand && strings.HasPrefix(r.Why, staysBanned) {
			n, last := p.past(r.Subject)
			b.offence, b.guilty = uint32(n), nanos(last)
			p.bans.enrol(i, p)
		}
		if r.Rule == ByAggregate {
			p.found(k, &group{scope: b.scope})
		}
	case gate.Release:
		for i, b := range p.bans.of(k) {
			if sameScope(*b.scope, r.Scope) {
				p.remember(b, r.Time)
				p.bans.remove(i)
			}
		}
	case gate.Allow:
		p.allow.add(AllowEntry{r.Subject.Prefix(), cmp.Or(nameOf(r), r.Subject.String()), FromCommand}, true)
	case gate.Disallow:
		name := nameOf(r)
		p.allow.remove(func(e permit) bool {
			return e.own && e.Prefix == r.Subject.Prefix() && (name == "" || e.Text == name)
		})
	}
}

// nameOf returns the host name that the asker meant, if the record has it.
func nameOf(r gate.Record) string {
	if r.Proof != nil && len(r.Proof.First) > 0 && r.Proof.First[0].Ask != nil {
		return r.Proof.First[0].Ask.Name
	}
	return ""
}

// Shifted is what became of the bans that end when the wall clock jumped: each
// as a Ban decision with Subject, Scope and Until.
type Shifted struct {
	Moved []gate.Decision // their Until is another one; what they have left is the same
	Kept  []gate.Decision // their Until is the same; what they have left is not
}

// Shift tells that the wall clock jumped by delta. Bans that were decided since
// the machine booted keep the time that they have left; those from before keep
// their end, for the clock may have been wrong until now.
func (p *Policy) Shift(delta time.Duration) (s Shifted) {
	for _, b := range p.bans.all {
		if b.until == 0 {
			continue
		}
		if b.movable {
			b.until += int64(delta)
			b.moved += int64(delta)
		}
		d := gate.Decision{Verdict: gate.Ban, Subject: b.subject(), Scope: *b.scope, Until: fromNanos(b.until)}
		if b.movable {
			s.Moved = append(s.Moved, d)
		} else {
			s.Kept = append(s.Kept, d)
		}
	}
	p.bans.reorder()
	p.shiftGroups(int64(delta))
	p.told.shift(delta)
	s.Moved = append(s.Moved, p.shiftPorts(delta)...)
	return s
}

// covering returns the narrowest live ban that shuts all of a scope for a
// network.
func (p *Policy) covering(k netKey, scope gate.Scope) *ban {
	for _, b := range p.bans.covering(k) {
		if includes(*b.scope, scope) {
			return b
		}
	}
	return nil
}

// guarded returns why no ban of s may stand, "" if one may. If s is a prefix,
// the address in it is named, and the prefix is called it.
func guarded(h gate.Host, s gate.Subject, it string) string {
	why := h.Guarded(s)
	if why == "" || s.Kind() == gate.KindAddr {
		return why
	}
	for _, never := range h.Never() {
		if never.IsSingleIP() && s.Prefix().Overlaps(never) {
			a := gate.PrefixSubject(never)
			if inner := h.Guarded(a); inner != "" {
				return a.String() + " lies in " + it + " and " + strings.TrimPrefix(inner, "it ")
			}
		}
	}
	return strings.Replace(why, "it ", it+" ", 1)
}
