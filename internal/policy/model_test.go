package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gate"

	"pgregory.net/rapid"
)

// model is the slow policy: plain lists, written from the documentation. It
// knows what is decided, not the words.
type model struct {
	config   Config
	host     gate.Host
	bans     []modelBan
	offences map[gate.Subject][]time.Time
	given    []netip.Prefix
	own      []netip.Prefix
	told     map[gate.Subject]time.Time
}

type modelBan struct {
	subject gate.Subject
	scope   gate.Scope
	until   time.Time
	offence int
	command bool
}

func (b modelBan) String() string {
	return fmt.Sprintf("%s %s new=%v until %s", b.subject, b.scope.Ports, b.scope.New, stamp(b.until))
}

func (m *model) allowed(s gate.Subject) bool {
	return slices.ContainsFunc(slices.Concat(m.given, m.own), func(p netip.Prefix) bool { return gate.PrefixSubject(p).Covers(s) })
}

func (m *model) allowedInside(s gate.Subject) bool {
	return slices.ContainsFunc(slices.Concat(m.given, m.own), func(p netip.Prefix) bool { return s.Covers(gate.PrefixSubject(p)) })
}

func shuts(a, b gate.Scope) bool {
	if a.New && !b.New {
		return false
	}
	if a.Ports.IsEmpty() {
		return true
	}
	if b.Ports.IsEmpty() {
		return false
	}
	for _, r := range b.Ports.Ranges() {
		for port := r.Lo; port <= r.Hi; port++ {
			if !a.Ports.Contains(r.Proto, port) {
				return false
			}
		}
	}
	return true
}

func same(a, b gate.Scope) bool { return a.New == b.New && a.Ports.Equal(b.Ports) }

// later reports whether an end is after another; the zero Time is for ever.
func later(a, b time.Time) bool { return !b.IsZero() && (a.IsZero() || a.After(b)) }

func (m *model) drop(keep func(modelBan) bool) (gone []modelBan) {
	var kept []modelBan
	for _, b := range m.bans {
		if keep(b) {
			kept = append(kept, b)
		} else {
			gone = append(gone, b)
		}
	}
	m.bans = kept
	return gone
}

func line(v gate.Verdict, s gate.Subject, sc gate.Scope, until time.Time, offence int) string {
	return fmt.Sprintf("%s %s %q new=%v %s %d", v, s, sc.Ports, sc.New, stamp(until), offence)
}

func releases(gone []modelBan) (out []string) {
	for _, b := range gone {
		out = append(out, line(gate.Release, b.subject, b.scope, time.Time{}, 0))
	}
	return out
}

func (m *model) lapse(now time.Time) (out []string) {
	over := m.drop(func(b modelBan) bool { return b.until.IsZero() || b.until.After(now) })
	slices.SortStableFunc(over, func(a, b modelBan) int { return a.until.Compare(b.until) })
	for i, b := range over {
		rest := append(slices.Clone(over[i+1:]), m.bans...)
		rest = slices.DeleteFunc(rest, func(o modelBan) bool { return o.subject != b.subject })
		if slices.ContainsFunc(rest, func(o modelBan) bool { return shuts(o.scope, b.scope) && later(o.until, b.until) }) {
			continue
		}
		out = append(out, line(gate.Release, b.subject, b.scope, time.Time{}, 0))
		if same(b.scope, gate.Scope{}) {
			for _, o := range rest {
				if !o.until.IsZero() && !o.until.After(now) {
					continue
				}
				out = append(out, line(gate.Ban, o.subject, o.scope, o.until, 0))
			}
		}
	}
	return out
}

func (m *model) ban(b modelBan) {
	for _, o := range m.drop(func(o modelBan) bool { return o.subject != b.subject || !same(o.scope, b.scope) }) {
		b.offence = max(b.offence, o.offence)
	}
	m.bans = append(m.bans, b)
}

func (m *model) judge(f *gate.Finding, now time.Time) []string {
	var w *Watch
	for i := range m.config.Watches {
		if m.config.Watches[i].Name == f.Rule {
			w = &m.config.Watches[i]
		}
	}
	scope := gate.Scope{Ports: w.Ports, New: f.Evidence == gate.Forgeable}
	target, never := f.Subject, m.allowed(f.Subject)
	if !never && target.Kind() == gate.KindPrefix {
		onLink := slices.ContainsFunc(m.host.OnLink, target.Prefix().Overlaps)
		if onLink || m.host.Guarded(target) != "" || m.allowedInside(target) {
			target = f.Last
		}
	}
	if never || m.allowed(target) || m.host.Guarded(target) != "" {
		if at, ok := m.told[target]; ok && now.Sub(at) < time.Hour && now.Sub(at) >= 0 {
			return nil
		}
		m.told[target] = now
		return []string{line(gate.Tell, target, scope, time.Time{}, 0)}
	}
	n, exact := 0, false
	for _, b := range m.bans {
		if b.subject.Covers(target) && shuts(b.scope, scope) {
			return nil
		}
		if b.subject == target && b.offence > 0 {
			n, exact = max(n, b.offence), true
		}
	}
	var life time.Duration
	offence := 0
	switch {
	case scope.New:
		n, life = 0, min(w.Ladder[0], 10*time.Minute)
	case exact:
		life = w.Ladder[min(n, len(w.Ladder))-1]
	default:
		times := m.offences[target]
		n = 1
		for _, at := range times {
			if at.After(now.Add(-m.config.Forget)) {
				n++
				if !at.After(now) && !f.Time.After(at) {
					return nil
				}
			}
		}
		offence, life = n, w.Ladder[min(n, len(w.Ladder))-1]
		m.offences[target] = append(times, now)
	}
	until := time.Time{}
	if life != gate.Forever {
		until = now.Add(life)
	}
	m.ban(modelBan{target, scope, until, n, false})
	return []string{line(gate.Ban, target, scope, until, offence)}
}

func (m *model) ask(f *gate.Finding, now time.Time) (out []string, a gate.Answer) {
	s, ask := f.Subject, f.Ask
	a.Subject = s
	switch {
	case ask.Verdict == gate.Release && ask.All:
		return releases(m.drop(func(modelBan) bool { return false })), a
	case ask.Verdict == gate.Ban:
		if m.host.Guarded(s) != "" || m.allowed(s) {
			a.Refused = "refused"
			return nil, a
		}
		until, scope := time.Time{}, gate.Scope{Ports: ask.Ports}
		if ask.For != 0 && ask.For != gate.Forever {
			until = now.Add(ask.For)
		}
		covered := false
		for _, b := range m.bans {
			if b.subject.Covers(s) && shuts(b.scope, scope) && !later(until, b.until) {
				if !covered || later(b.until, a.Until) {
					a.Until = b.until
				}
				covered = true
			}
		}
		if covered {
			return nil, a
		}
		m.ban(modelBan{s, scope, until, 0, true})
		a.Until = until
		return []string{line(gate.Ban, s, scope, until, 0)}, a
	case ask.Verdict == gate.Release:
		gone := m.drop(func(b modelBan) bool { return b.subject != s })
		if len(gone) == 0 && slices.ContainsFunc(m.bans, func(b modelBan) bool { return b.subject.Covers(s) }) {
			a.Refused = "refused"
		}
		return releases(gone), a
	case ask.Verdict == gate.Allow:
		if slices.Contains(m.given, s.Prefix()) || slices.Contains(m.own, s.Prefix()) {
			return nil, a
		}
		m.own = append(m.own, s.Prefix())
		gone := m.drop(func(b modelBan) bool { return !s.Covers(b.subject) })
		return append([]string{line(gate.Allow, s, gate.Scope{}, time.Time{}, 0)}, releases(gone)...), a
	default:
		i := slices.Index(m.own, s.Prefix())
		if i < 0 {
			if m.allowed(s) {
				a.Refused = "refused"
			}
			return nil, a
		}
		m.own = slices.Delete(m.own, i, i+1)
		return []string{line(gate.Disallow, s, gate.Scope{}, time.Time{}, 0)}, a
	}
}

// records is a ledger of lists.
type records struct {
	all    []gate.Record
	forget time.Duration
	now    *time.Time
}

func (r *records) past(s gate.Subject) (n int, last time.Time) {
	for _, d := range r.all {
		if d.Verdict == gate.Ban && d.Subject == s && d.Offence > 0 && d.Time.After(r.now.Add(-r.forget)) {
			n, last = n+1, d.Time
		}
	}
	return n, last
}

func (r *records) add(ds []gate.Decision) (out []string) {
	for _, d := range ds {
		r.all = append(r.all, gate.Record{Seq: uint64(len(r.all) + 1), Decision: d})
		out = append(out, line(d.Verdict, d.Subject, d.Scope, d.Until, d.Offence))
	}
	return out
}

// The fast policy decides what the slow one does: ladders, forgetting, joins,
// scopes, the allow list, extensions that never shorten, ends; and so does one
// that was restored from its own decisions.
func TestPolicyEqualsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := config().withDefaults()
		now := t0
		led := &records{forget: c.Forget, now: &now}
		m := &model{config: c, host: host(), offences: map[gate.Subject][]time.Time{}, told: map[gate.Subject]time.Time{}}
		p := New(c, led.past)
		subjects := []string{"192.0.2.7", "192.0.2.8", "192.0.2.0/24", "198.51.100.1", "198.51.100.77", "2001:db8:1::/64", "2001:db8:1::1", "2001:db8:53::/64", "2001:db8:ffff::/64", "2001:db8::/32"}
		lives := []time.Duration{0, time.Minute, 10 * time.Minute, time.Hour, gate.Day, gate.Forever}
		steps := []time.Duration{0, time.Second, time.Second, time.Minute, 10 * time.Minute, time.Hour, gate.Day, 50 * gate.Day}
		for range rapid.IntRange(1, 60).Draw(t, "calls") {
			now = now.Add(rapid.SampledFrom(steps).Draw(t, "step"))
			subject := rapid.SampledFrom(subjects).Draw(t, "subject")
			var got, want []string
			switch op := rapid.IntRange(0, 12).Draw(t, "op"); op {
			case 0:
				want = m.lapse(now)
				got = led.add(p.Advance(now, m.host))
			case 1:
				var list []AllowEntry
				m.given = nil
				for _, s := range rapid.SliceOfNDistinct(rapid.SampledFrom(subjects), 0, 2, rapid.ID[string]).Draw(t, "list") {
					list = append(list, AllowEntry{Prefix: sub(s).Prefix()})
					m.given = append(m.given, sub(s).Prefix())
				}
				want = m.lapse(now)
				want = append(want, releases(m.drop(func(b modelBan) bool { return !m.allowed(b.subject) }))...)
				got = led.add(p.SetAllow(list, now, m.host))
			case 2:
				delta := rapid.SampledFrom([]time.Duration{time.Hour, 40 * gate.Day}).Draw(t, "delta")
				for i := range m.bans {
					if !m.bans[i].until.IsZero() {
						m.bans[i].until = m.bans[i].until.Add(delta)
					}
				}
				for s, at := range m.told {
					m.told[s] = at.Add(delta)
				}
				s := p.Shift(delta)
				for _, d := range s.Moved { // as the ledger restates them
					for i := len(led.all) - 1; i >= 0; i-- {
						if r := &led.all[i]; r.Verdict == gate.Ban && r.Subject == d.Subject && sameScope(r.Scope, d.Scope) {
							r.Until = d.Until
							break
						}
					}
				}
				now = now.Add(delta)
			case 3:
				want = m.lapse(now)
				got = led.add(p.Advance(now, m.host))
				fresh := New(c, led.past)
				for _, r := range led.all {
					fresh.Restore(r, true)
				}
				var list []AllowEntry
				for _, g := range m.given {
					list = append(list, AllowEntry{Prefix: g})
				}
				fresh.SetAllow(list, now, m.host)
				fresh.told = p.told
				p = fresh
			default:
				var f gate.Finding
				if op < 9 {
					f = finding(rapid.SampledFrom([]string{"sshd", "ssh22", "web", "short"}).Draw(t, "rule"), subject, now.Add(-rapid.SampledFrom([]time.Duration{0, time.Second}).Draw(t, "lag")))
					f.Evidence = rapid.SampledFrom([]gate.Evidence{gate.Proven, gate.Proven, gate.Forgeable}).Draw(t, "evidence")
				} else {
					f = wishes(rapid.SampledFrom([]gate.Verdict{gate.Ban, gate.Ban, gate.Release, gate.Allow, gate.Disallow}).Draw(t, "verdict"), subject, func(a *gate.Ask) {
						a.For = rapid.SampledFrom(lives).Draw(t, "for")
						if a.Verdict == gate.Ban && rapid.Bool().Draw(t, "ports") {
							a.Ports = prts("22,80/tcp")
						}
						a.All = a.Verdict == gate.Release && rapid.IntRange(0, 5).Draw(t, "all") == 0
					})
				}
				want = m.lapse(now)
				ds, as := p.Decide([]gate.Finding{f}, now, m.host)
				got = led.add(ds)
				if f.Ask == nil {
					want = append(want, m.judge(&f, now)...)
				} else {
					w, a := m.ask(&f, now)
					want = append(want, w...)
					if len(as) != 1 || (as[0].Refused != "") != (a.Refused != "") || as[0].Changed != (len(w) > 0) || !as[0].Until.Equal(a.Until) {
						t.Fatalf("answer %+v, want %+v and %v", as, a, w)
					}
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Fatalf("decisions\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			sameState(t, p, m)
		}
	})
}

// sameState compares what is in force.
func sameState(t *rapid.T, p *Policy, m *model) {
	t.Helper()
	var got, want []string
	first := time.Time{}
	for b := range p.Bans() {
		got = append(got, modelBan{b.Subject, b.Scope, b.Until, 0, false}.String())
	}
	for _, b := range m.bans {
		want = append(want, b.String())
		if !b.until.IsZero() && (first.IsZero() || b.until.Before(first)) {
			first = b.until
		}
		if m.allowed(b.subject) {
			t.Fatalf("%s is banned and allowed", b.subject)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Fatalf("bans\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !p.Next().Equal(first) || p.Len() != len(m.bans) {
		t.Fatalf("next end %v of %d bans, want %v of %d", p.Next(), p.Len(), first, len(m.bans))
	}
}
