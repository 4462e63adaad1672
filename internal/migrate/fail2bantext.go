package migrate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// write writes the configuration.
func (r *fail2banReader) write() {
	var p page
	p.line("# Configuration of Gatehouse, made of that of fail2ban in %s", oneLine(r.o.Folder))
	p.line("# by: gatehouse import fail2ban")
	p.line("#")
	p.comment("", "Behind NOT CARRIED OVER stands what fail2ban did and this file does not, and what to do about it. "+
		"gatehouse config reference shows all that can be set, gatehouse check finds mistakes, gatehouse reload puts a change in force.")
	for _, n := range r.notes {
		p.line("")
		p.remark("", n)
	}
	p.line("")
	r.writeAllow(&p)
	r.writeLimits(&p)
	if slices.ContainsFunc(r.entries, func(e entry) bool { return e.filter != "" && e.instead == "" }) {
		p.line("")
		p.comment("", "Where the filters of fail2ban lie that entries below run. Keep the folder when fail2ban itself is removed.")
		p.line("filters: %s", quoted(r.o.Folder))
	}
	p.line("")
	r.writeWatches(&p)
	r.writeNotify(&p)
	r.out.Text = []byte(p.String())
	for i := range r.out.Jails {
		j := &r.out.Jails[i]
		for _, e := range r.entries {
			if slices.Contains(e.jails, j.Name) {
				j.Remarks = len(e.remarks)
			}
		}
		for _, w := range r.out.watches[j.Name] {
			j.Watches = append(j.Watches, w.name)
		}
	}
}

func (r *fail2banReader) writeAllow(p *page) {
	p.comment("", "ignoreip: who is never banned. This machine itself, its gateway, its name servers and whoever is logged in over SSH are safe without being named here.")
	if len(r.allowed) == 0 {
		p.line("allow: []")
		return
	}
	p.line("allow:")
	for _, a := range r.allowed {
		line := "  - " + quoted(a.text)
		if m := a.remarkOf(len(r.enabled)); m != "" {
			line += " # " + oneLine(m)
		}
		p.line("%s", line)
	}
}

// most returns the value that most entries have, the earliest of several; other
// where there are none.
func most[T any](entries []entry, other T, of func(entry) T, text func(T) string) T {
	counts, best := map[string]int{}, 0
	for _, e := range entries {
		if e.instead == "" {
			counts[text(of(e))]++
			best = max(best, counts[text(of(e))])
		}
	}
	for _, e := range entries {
		if e.instead == "" && counts[text(of(e))] == best {
			return of(e)
		}
	}
	return other
}

func (r *fail2banReader) usualLadder() []time.Duration {
	return most(r.entries, []time.Duration{10 * time.Minute}, func(e entry) []time.Duration { return e.ladder }, ladderText)
}

func (r *fail2banReader) writeLimits(p *page) {
	limit := most(r.entries, gate.Threshold{Count: 5, Within: 10 * time.Minute}, func(e entry) gate.Threshold { return e.limit }, gate.Threshold.String)
	p.line("")
	p.comment("", "maxretry in findtime, and bantime: what most jails have.")
	p.line("threshold: %s", limit)
	p.line("ban: %s", ladderText(r.usualLadder()))
	if forget := r.forget(); forget > 0 {
		p.comment("", "dbpurgeage: how long an earlier ban makes the next one longer. Longer is better: 90d is our default.")
		p.line("forget: %s", gate.FormatDuration(forget))
		if forget > 365*gate.Day {
			p.line("keep: %s", gate.FormatDuration(forget))
		}
	}
}

// forget is how long offences count, where ban times grow; 0 = our default.
func (r *fail2banReader) forget() time.Duration {
	long := time.Duration(0)
	for _, e := range r.entries {
		if len(e.ladder) > 1 {
			long = max(long, r.server.Purge)
		}
	}
	if long > 0 && r.recidive != nil {
		long = max(long, r.recidive.FindTime)
	}
	if long > 0 {
		long = max(long, time.Minute)
	}
	return long
}

func (r *fail2banReader) writeWatches(p *page) {
	if !slices.ContainsFunc(r.entries, func(e entry) bool { return e.instead == "" }) {
		p.comment("", "No jail is enabled that could be carried over, so what is installed here is watched.")
		for _, e := range r.entries {
			e.explain(p, "")
		}
		p.line("watch: [auto]")
		return
	}
	p.line("watch:")
	p.comment("  ", "Each jail that is enabled. Take the # away to watch whatever else is installed here, too:")
	p.line("  #- auto")
	usual := ladderText(r.usualLadder())
	for _, e := range r.entries {
		p.line("")
		e.explain(p, "  ")
		if e.instead != "" {
			continue
		}
		if e.rule != "" {
			p.line("  - rule: %s", quoted(e.rule))
		} else {
			p.line("  - fail2ban: %s", quoted(e.filter))
		}
		if len(e.files) > 0 {
			p.list("    ", "files", e.files)
		}
		if len(e.journal) > 0 {
			p.list("    ", "journal", e.journal)
		}
		p.line("    threshold: %s", e.limit)
		if l := ladderText(e.ladder); l != usual {
			p.line("    ban: %s", l)
		}
		if !e.ports.IsEmpty() {
			p.list("    ", "ports", strings.Fields(e.ports.String()))
		}
	}
}

// writeNotify writes who is told of the bans of which watches.
func (r *fail2banReader) writeNotify(p *page) {
	var all []string
	rules := map[string][]string{}
	for _, e := range r.entries {
		for _, to := range e.mail {
			if ws := r.out.watches[e.jails[0]]; e.instead == "" && len(ws) > 0 {
				if rules[to] == nil {
					all = append(all, to)
				}
				rules[to] = append(rules[to], ws[0].name)
			}
		}
	}
	if len(all) == 0 {
		return
	}
	name := func(i int) string {
		if i == 0 {
			return "mail"
		}
		return fmt.Sprintf("mail-%d", i+1)
	}
	p.line("")
	p.comment("", "The mail actions: who is told of bans. Messages go through the machine's own sendmail, many bans in one; gatehouse notify test mail tries it.")
	p.line("notify:\n  channels:")
	for i, to := range all {
		p.line("    - name: %s", name(i))
		p.list("      ", "mail", []string{to})
	}
	p.line("  routes:")
	for i, to := range all {
		p.line("    - kinds: [ban]")
		p.list("      ", "rules", rules[to])
		p.line("      to: [%s]", name(i))
	}
	p.line("    - kinds: [ban, release]\n      to: []")
}

// explain writes which jail an entry stands for, and what of it is not there.
func (e entry) explain(p *page, indent string) {
	what := "jail " + strings.Join(e.jails, ", ") + " (" + e.place + ")"
	if e.instead != "" {
		what += " has no entry: " + e.instead
	}
	p.comment(indent, what)
	for _, m := range e.remarks {
		m.Place = cmp.Or(m.Place, "")
		p.remark(indent, m)
	}
}
