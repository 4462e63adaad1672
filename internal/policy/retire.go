package policy

import (
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// Retire ends bans some time after they were decided, however long they were
// meant to last. What is empty fits every ban.
type Retire struct {
	After   time.Duration
	Rule    string // the watch, or "command"
	Network string // of the subject
	Origin  string // where it was seen: `file`, `journal`, `syslog`, `command`; the part of the origin's source before its colon
}

// fits reports whether the clause is about a ban.
func (r *Retire) fits(rule, source, network string) bool {
	kind, _, _ := strings.Cut(source, ":")
	return (r.Rule == "" || r.Rule == rule) && (r.Network == "" || r.Network == network) && (r.Origin == "" || r.Origin == kind)
}

// retirement returns after how long a ban ends at the latest; gate.Forever if no
// clause is about it.
func (p *Policy) retirement(rule, source string, s gate.Subject) time.Duration {
	if len(p.config.Retire) == 0 {
		return gate.Forever
	}
	network := ""
	if n := Networks(p.config.Networks).Of(s); n != nil {
		network = n.Name
	}
	for i := range p.config.Retire {
		if r := &p.config.Retire[i]; r.fits(rule, source, network) {
			return r.After
		}
	}
	return gate.Forever
}

// retire shortens a ban that is about to be decided.
func (p *Policy) retire(d *gate.Decision) {
	after := p.retirement(d.Rule, d.Origin.Source, d.Subject)
	if after == gate.Forever {
		return
	}
	if end := d.Time.Add(after); d.Until.IsZero() || d.Until.After(end) {
		d.Until = end
		d.Why += "; retired after " + short(after)
	}
}

// retireAll shortens the bans that are live, or ends them, after another
// configuration.
func (p *Policy) retireAll(ds []gate.Decision, now time.Time) []gate.Decision {
	if len(p.config.Retire) == 0 {
		return ds
	}
	var due []uint32
	for i, b := range p.bans.all {
		after := p.retirement(p.bans.names[b.rule], p.bans.names[b.source], b.subject())
		if after != gate.Forever && (b.until == 0 || b.until-b.moved > b.since+int64(after)) {
			due = append(due, i)
		}
	}
	for _, i := range due {
		b := p.bans.at(i)
		after := p.retirement(p.bans.names[b.rule], p.bans.names[b.source], b.subject())
		end := b.since + int64(after) + b.moved
		if end <= now.UnixNano() {
			k, all := b.netKey, scopeIsAll(*b.scope)
			p.remember(b, now)
			ds = append(ds, p.release(i, now, "it was retired after "+short(after)))
			if all {
				ds = p.reassert(ds, k, now)
			}
			ds = p.regroup(ds, k, now)
			continue
		}
		p.bans.end(i, end)
		ds = append(ds, gate.Decision{
			Time: now, Until: fromNanos(end), Verdict: gate.Ban, Subject: b.subject(), Scope: *b.scope,
			Rule: p.bans.names[b.rule], Why: b.why + "; retired after " + short(after),
		})
	}
	return ds
}
