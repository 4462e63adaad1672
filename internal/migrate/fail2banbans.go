package migrate

import (
	"fmt"
	"hash/fnv"
	"time"

	"gatehouse/internal/gate"
)

// Decisions returns what the bans of a database are here, the oldest first: bans of
// the watch that takes the place of the jail, as offences with their number. Each
// has an origin of its own, so that it is taken over once. Forget is how long an
// offence counts: what is older and not in force is left out; 0 keeps all.
func (f *Fail2ban) Decisions(b *Bans, now time.Time, forget time.Duration) []gate.Decision {
	out := make([]gate.Decision, 0, len(b.List))
	offences := map[gate.Subject]int{}
	for _, x := range b.List {
		s := gate.PrefixSubject(x.Prefix)
		if forget > 0 && forget != gate.Forever && !x.Live && now.Sub(x.Since) > forget {
			continue
		}
		offences[s]++
		name, ports := f.WatchOf(x.Jail)
		d := gate.Decision{
			Time: x.Since, Until: x.Until, Verdict: gate.Ban, Subject: s, Scope: gate.Scope{Ports: ports}, Rule: name,
			Origin:  gate.Origin{Source: "fail2ban:" + f.Database, Epoch: epochOf(x.Jail), Offset: x.Since.Unix()},
			Offence: offences[s], Why: why(x, offences[s]),
		}
		if !x.Live && (d.Until.IsZero() || d.Until.After(now)) {
			// Somebody lifted it, or fail2ban forgot it: it is history.
			d.Until = later(x.Since, now.Add(-time.Second))
		}
		out = append(out, d)
	}
	return out
}

// later returns a time that is not before t and not after limit, unless t is.
func later(t, limit time.Time) time.Time {
	if limit.Before(t) {
		return t
	}
	return limit.UTC()
}

// epochOf tells the jails of one database apart.
func epochOf(jail string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(jail))
	return h.Sum64()
}

func why(x Ban, n int) string {
	long := "for ever"
	if !x.Until.IsZero() {
		long = "for " + gate.FormatDuration(x.Until.Sub(x.Since))
	}
	s := fmt.Sprintf("fail2ban's jail %s banned it %s, taken over by import", gate.Quote(x.Jail, 64), long)
	if n > 1 {
		s += fmt.Sprintf("; offence %d", n)
	}
	return s
}
