package policy

import (
	"cmp"
	"strconv"
	"time"

	"gatehouse/internal/gate"
)

// byCommand is the Rule of decisions that a person asked for.
const byCommand = "command"

// wish is an ask while it is answered.
type wish struct {
	*gate.Ask
	f      *gate.Finding
	now    time.Time
	answer gate.Answer
}

// refuse answers that the wish is not granted.
func (w *wish) refuse(why, hint string) { w.answer.Refused, w.answer.Hint = why, hint }

// decision begins a decision that grants the wish.
func (w *wish) decision(v gate.Verdict, s gate.Subject, why string) gate.Decision {
	w.answer.Changed = true
	return gate.Decision{
		Time: w.now, Verdict: v, Subject: s, Rule: cmp.Or(w.f.Rule, byCommand), Origin: w.f.Origin, Why: why,
	}
}

// who names the asker.
func (w *wish) who() string {
	if w.By == "" {
		return "somebody"
	}
	return plain(w.By)
}

// because returns the asker's reason.
func (w *wish) because() string {
	const max = 512 // as gate.Ask promises
	if w.Reason == "" {
		return ""
	}
	return ": " + gate.Quote(w.Reason, max)
}

// ask grants or refuses one wish.
func (p *Policy) ask(ds []gate.Decision, f *gate.Finding, now time.Time, h gate.Host) ([]gate.Decision, gate.Answer) {
	w := &wish{Ask: f.Ask, f: f, now: now, answer: gate.Answer{Subject: f.Subject}}
	switch {
	case w.Verdict == gate.Release && w.All:
		ds = p.askReleaseAll(ds, w)
	case w.Verdict == gate.Disallow && w.Name != "" && !f.Subject.IsValid():
		ds = p.askDisallow(ds, w)
	case f.Subject.Kind() == gate.KindPort:
		ds = p.askPorts(ds, w, h)
	case f.Subject.Kind() == gate.KindList:
		ds = p.askList(ds, w)
	case !f.Subject.IsNet():
		w.refuse("only an address or a prefix can be banned or allowed", "write it as 192.0.2.1 or 2001:db8::/64")
	case w.Verdict == gate.Ban:
		ds = p.askBan(ds, w, h)
	case w.Verdict == gate.Release:
		ds = p.askRelease(ds, w)
	case w.Verdict == gate.Allow:
		ds = p.askAllow(ds, w)
	case w.Verdict == gate.Disallow:
		ds = p.askDisallow(ds, w)
	default:
		w.refuse("nothing here can "+w.Verdict.String()+" "+f.Subject.String(), "")
	}
	return ds, w.answer
}

// forbidden refuses a ban of what must not be banned.
func (p *Policy) forbidden(w *wish, h gate.Host) bool {
	s := w.f.Subject
	if why := guarded(h, s, "it"); why != "" {
		hint := "such an address is never banned, so that nobody locks the machine out"
		if s.Kind() == gate.KindPrefix {
			hint = "ban smaller prefixes that leave it out"
		}
		w.refuse(s.String()+" cannot be banned: "+why, hint)
		return true
	}
	if e, ok := p.allow.covering(s.Prefix()); ok {
		w.refuse(s.String()+" is allowed"+by(e, s), undo(e))
		return true
	}
	return false
}

// undo says how an entry of the allow list goes away.
func undo(e AllowEntry) string {
	if e.Origin == FromCommand {
		return "take it back first: gatehouse allow remove " + plain(e.Text)
	}
	return "take " + plain(e.Text) + " out of `allow` in the configuration and reload"
}

// whose says where an entry comes from.
func whose(e AllowEntry) string {
	if e.Origin == FromCommand {
		return plain(e.Text)
	}
	return "the configuration"
}

// askBan bans, or makes a ban longer.
func (p *Policy) askBan(ds []gate.Decision, w *wish, h gate.Host) []gate.Decision {
	if w.For < 0 {
		w.refuse("a ban cannot last less than no time", "write a duration such as 90s, 10m, 7d or forever")
		return ds
	}
	if p.forbidden(w, h) {
		return ds
	}
	s := w.f.Subject
	k, scope := keyOf(s.Prefix()), gate.Scope{Ports: w.Ports}
	life := cmp.Or(w.For, p.config.ManualFor)
	if life > maxLife {
		life = gate.Forever
	}
	until := time.Time{}
	if life != gate.Forever {
		until = w.now.Add(life)
	}
	extends := ""
	var longest *ban
	for _, b := range p.bans.covering(k) {
		if includes(*b.scope, scope) && !b.endsBefore(nanos(until)) && (longest == nil || longest.endsBefore(b.until)) {
			longest = b
		}
		if b.netKey == k && sameScope(*b.scope, scope) {
			extends = ", which extends the one" + untilWhen(b.until)
		}
	}
	if b := longest; b != nil {
		w.answer.Until = fromNanos(b.until)
		w.answer.Note = "it is banned" + untilWhen(b.until) + " already"
		if b.netKey != k {
			w.answer.Note = "it lies in " + b.subject().String() + ", which is banned" + untilWhen(b.until)
		}
		return ds
	}
	ds, ok := ds, true
	if extends == "" {
		ds, ok = p.makeRoom(ds, w.now)
	}
	if !ok {
		w.refuse("there is no room for another ban: "+strconv.Itoa(p.bans.n)+" are live", "lift some that are no longer needed, or ban a prefix instead of its addresses")
		return ds
	}
	length := " forever"
	if life != gate.Forever {
		length = " of " + short(life)
	}
	d := w.decision(gate.Ban, s, w.who()+" asked for a ban"+length+on(scope)+extends+w.because())
	d.Until, d.Scope = until, scope
	p.retire(&d)
	p.ban(&d)
	w.answer.Until = d.Until
	if e, ok := p.allow.inside(s.Prefix()); ok {
		w.answer.Note = gate.PrefixSubject(e.Prefix).String() + " in it stays allowed"
	}
	return append(ds, d)
}

// askRelease lifts the bans of exactly one subject.
func (p *Policy) askRelease(ds []gate.Decision, w *wish) []gate.Decision {
	s := w.f.Subject
	k := keyOf(s.Prefix())
	before := len(ds)
	for i, b := range p.bans.of(k) {
		if w.Ports.IsEmpty() || w.Ports.Equal(b.scope.Ports) {
			ds = append(ds, p.lift(w, i, before == len(ds), w.who()+" lifted it"+w.because()))
		}
	}
	if before < len(ds) && !w.Ports.IsEmpty() {
		return ds
	}
	for _, b := range p.bans.covering(k) {
		wider := b.subject().String()
		if before < len(ds) {
			w.answer.Note = wider + " is banned too and covers it"
		} else if b.netKey != k {
			w.refuse(s.String()+" lies in "+wider+", which is banned", "lift "+wider+", or allow "+s.String())
		}
		break
	}
	if before == len(ds) && w.answer.Refused == "" {
		w.answer.Note = "it is not banned" + on(gate.Scope{Ports: w.Ports}) + p.bannedInside(s)
	}
	return ds
}

// bannedInside counts the bans within a prefix.
func (p *Policy) bannedInside(s gate.Subject) string {
	if s.Kind() != gate.KindPrefix {
		return ""
	}
	n := 0
	for _, b := range p.bans.all {
		if s.Covers(b.subject()) {
			n++
		}
	}
	switch n {
	case 0:
		return ""
	case 1:
		return " as a whole; 1 ban within it stays"
	}
	return " as a whole; " + counted(n, "ban") + " within it stay"
}

// lift ends ban i because of a wish. Only the first release of one wish and
// subject bears its origin.
func (p *Policy) lift(w *wish, i uint32, first bool, why string) gate.Decision {
	b := p.bans.at(i)
	d := w.decision(gate.Release, b.subject(), why)
	d.Scope = *b.scope
	if !first {
		d.Origin = gate.Origin{}
	}
	p.remember(b, w.now)
	k := b.netKey
	p.bans.remove(i)
	p.disband(k)
	return d
}

// askReleaseAll lifts every ban.
func (p *Policy) askReleaseAll(ds []gate.Decision, w *wish) []gate.Decision {
	why, n := w.who()+" lifted every ban"+w.because(), 0
	for i, b := range p.bans.all {
		first := p.bans.index[b.netKey] == i && b.next == 0
		ds = append(ds, p.lift(w, i, first, why))
		n++
	}
	w.answer.Note = "nothing is banned"
	if n > 0 {
		w.answer.Note = counted(n, "ban") + " lifted"
	}
	return ds
}

// askAllow adds to the allow list, and lifts what it allows.
func (p *Policy) askAllow(ds []gate.Decision, w *wish) []gate.Decision {
	s := w.f.Subject
	e := AllowEntry{Prefix: s.Prefix(), Text: cmp.Or(w.Name, s.String()), Origin: FromCommand}
	if old, ok := p.allow.covering(e.Prefix); ok {
		w.answer.Note = "it is allowed" + by(old, s) + " already"
		if old.Prefix == e.Prefix && (old.Origin == FromConfig || old == e) || !p.allow.add(e, true) {
			return ds
		}
	} else {
		p.allow.add(e, true)
	}
	d := w.decision(gate.Allow, s, w.who()+" allowed "+plain(e.Text)+w.because())
	proof := w.f.Proof
	d.Proof = &proof // it bears the name that was meant
	ds = append(ds, d)
	ds = p.undo(ds, s, s.String()+" in it is allowed now", w.now)
	lifted := 0
	for i, b := range p.bans.all {
		if s.Covers(b.subject()) {
			ds = append(ds, p.lift(w, i, b.next == 0 && p.bans.index[b.netKey] == i, w.who()+" allowed "+plain(e.Text)))
			lifted++
		}
	}
	if lifted > 0 {
		w.answer.Note = counted(lifted, "ban") + " lifted"
	} else if b := p.covering(keyOf(s.Prefix()), gate.Scope{}); b != nil {
		w.answer.Note = b.subject().String() + " stays banned, except for it"
	}
	return ds
}

// askDisallow takes back what a command allowed: by name, or by prefix.
func (p *Policy) askDisallow(ds []gate.Decision, w *wish) []gate.Decision {
	s := w.f.Subject
	meant := func(e AllowEntry) bool {
		if w.Name != "" {
			return e.Text == w.Name
		}
		return e.Prefix == s.Prefix()
	}
	gone := p.allow.remove(func(e permit) bool { return e.own && meant(e.AllowEntry) })
	for _, e := range gone {
		d := w.decision(gate.Disallow, gate.PrefixSubject(e.Prefix), w.who()+" no longer allows "+plain(e.Text)+w.because())
		proof := w.f.Proof
		d.Proof = &proof
		ds = append(ds, d)
	}
	for _, e := range p.Allow() {
		if !meant(e) {
			continue
		}
		if len(gone) > 0 {
			w.answer.Note = "it stays allowed by " + whose(e)
		} else {
			w.refuse(gate.PrefixSubject(e.Prefix).String()+" is allowed by "+whose(e), undo(e))
		}
		return ds
	}
	if len(gone) > 0 {
		return ds
	}
	if !s.IsValid() {
		w.answer.Note = "it is not on the allow list"
		return ds
	}
	if e, ok := p.allow.covering(s.Prefix()); ok {
		w.refuse(s.String()+" is allowed"+by(e, s), undo(e))
		return ds
	}
	w.answer.Note = "it is not on the allow list"
	return ds
}
