package policy

import (
	"iter"
	"net/netip"
	"strconv"
	"time"

	"gatehouse/internal/gate"
)

// Ban is a live ban, as others see it.
type Ban struct {
	Subject gate.Subject
	Since   time.Time // when it was decided, or last extended
	Until   time.Time // zero = forever
	Scope   gate.Scope
	Rule    string // the watch, or "command"
	Origin  gate.Origin
	Offence int    // which offence of the subject; 0 = none
	Joined  int    // findings since that joined it
	Why     string // the reason of the decision
}

func (p *Policy) view(b *ban) Ban {
	return Ban{
		Subject: b.subject(), Since: fromNanos(b.since), Until: fromNanos(b.until), Scope: *b.scope,
		Rule: p.bans.names[b.rule], Origin: p.bans.origin(b), Offence: int(b.offence), Joined: int(b.joined), Why: b.why,
	}
}

// Len returns how many bans are live.
func (p *Policy) Len() int { return p.bans.n }

// Bans yields the live bans, in no particular order that lasts. The policy must
// not be changed meanwhile.
func (p *Policy) Bans() iter.Seq[Ban] {
	return func(yield func(Ban) bool) {
		for _, b := range p.bans.all {
			if !yield(p.view(b)) {
				return
			}
		}
	}
}

// Covering returns the live bans of a subject and of the prefixes that it lies
// in, the narrowest first.
func (p *Policy) Covering(s gate.Subject) (found []Ban) {
	if !s.IsNet() {
		return nil
	}
	for _, b := range p.bans.covering(keyOf(s.Prefix())) {
		found = append(found, p.view(b))
	}
	return found
}

// Exempt says why a subject is never banned, each as a clause, "" if that is no
// reason: because of the guard against locking out, because of the allow list.
func (p *Policy) Exempt(s gate.Subject, h gate.Host) (guard, allow string) {
	if !s.IsNet() {
		return "", ""
	}
	if e, ok := p.allow.covering(s.Prefix()); ok {
		allow = "it is allowed" + by(e, s)
	}
	return guarded(h, s, "it"), allow
}

// Window is what is being counted of a subject under one watch, from detect.
type Window struct {
	Rule      string
	Threshold gate.Threshold
	Count     int
	Oldest    time.Time
	Newest    time.Time
}

// Outlook is a live window and what follows when it is full.
type Outlook struct {
	Window
	Offence int           // which offence it would be; 0 where nothing would follow
	For     time.Duration // how long the ban would last
	Text    string        // the same as a sentence
}

// Explanation is what the policy knows of one subject.
type Explanation struct {
	Subject  gate.Subject
	Bans     []Ban        // that cover it, the narrowest first
	Inside   int          // bans of what lies within it
	Guarded  string       // why the guard against locking out forbids a ban of it: a clause; "" = it does not
	Allowed  []AllowEntry // that cover it, the narrowest first
	Offences int          // that still count
	Last     time.Time    // the last of them; zero = none
	Windows  []Outlook    // what is being counted
	Text     []string     // all of it in sentences, the most important first
}

// Explain tells all that the policy knows of a subject. windows is what detect
// counts of it.
func (p *Policy) Explain(s gate.Subject, windows []Window, now time.Time, h gate.Host) Explanation {
	x := Explanation{Subject: s}
	if !s.IsNet() {
		return x
	}
	x.Bans, x.Guarded = p.Covering(s), guarded(h, s, "it")
	for _, es := range p.allow.table.Supernets(s.Prefix()) {
		for _, e := range es {
			x.Allowed = append(x.Allowed, e.AllowEntry)
		}
	}
	if s.Kind() == gate.KindPrefix {
		for _, b := range p.bans.all {
			if o := b.subject(); o != s && s.Covers(o) {
				x.Inside++
			}
		}
	}
	o := p.offences(keyOf(p.punished(s, h).Prefix()))
	if o.n > 0 && o.next(now, p.config.Forget) > 1 {
		x.Offences, x.Last = o.n, o.last
	}
	for _, w := range windows {
		x.Windows = append(x.Windows, p.outlook(&x, w))
	}
	x.Text = p.sentences(&x, now)
	return x
}

// punished returns what is banned for what an address does.
func (p *Policy) punished(s gate.Subject, h gate.Host) gate.Subject {
	a := s.Addr()
	if s.Kind() != gate.KindAddr || a.Is4() || h.IsOnLink(a) || p.bans.index[keyOf(s.Prefix())] != 0 {
		return s
	}
	return gate.PrefixSubject(netip.PrefixFrom(a, p.config.IPv6Prefix))
}

func (p *Policy) outlook(x *Explanation, w Window) Outlook {
	o := Outlook{Window: w, Text: w.Rule + ": " + strconv.Itoa(w.Count) + " of " + w.Threshold.String()}
	if x.Guarded != "" || len(x.Allowed) > 0 || len(x.Bans) > 0 {
		return o
	}
	o.Offence = x.Offences + 1
	o.For = p.watch(w.Rule).step(o.Offence)
	o.Text += "; the next ban would be for the " + ordinal(o.Offence) + " offence, " + forHow(o.For)
	return o
}

func forHow(d time.Duration) string {
	if d == gate.Forever {
		return "forever"
	}
	return "for " + short(d)
}

// sentences tells an explanation in words.
func (p *Policy) sentences(x *Explanation, now time.Time) (text []string) {
	name := x.Subject.String()
	if x.Guarded != "" {
		text = append(text, name+" is never banned: "+x.Guarded)
	}
	for _, e := range x.Allowed {
		text = append(text, name+" is allowed"+by(e, x.Subject)+", says "+map[bool]string{true: "the configuration", false: "a command"}[e.Origin == FromConfig])
	}
	for _, b := range x.Bans {
		who := name
		if b.Subject != x.Subject {
			who += " lies in " + b.Subject.String() + ", which"
		}
		text = append(text, who+" is banned"+on(b.Scope)+untilWhen(nanos(b.Until))+" by "+b.Rule+": "+b.Why)
		if b.Joined > 0 {
			text = append(text, "since then "+counted(b.Joined, "finding")+" joined that ban")
		}
	}
	if x.Inside > 0 {
		text = append(text, counted(x.Inside, "ban")+" within "+name)
	}
	if len(text) == 0 {
		text = append(text, name+" is not banned")
	}
	if x.Offences > 0 {
		text = append(text, counted(x.Offences, "offence")+p.horizon+", the last one "+short(now.Sub(x.Last))+" ago")
	}
	for _, w := range x.Windows {
		text = append(text, w.Text)
	}
	return text
}
