package notify

import (
	"slices"
	"time"

	"gatehouse/internal/gate"
)

// subject is what routes look at.
type subject struct {
	kind    string
	rule    string
	network string
	text    string    // of the subject of the record
	at      time.Time // on the clock of the zone
}

// routes says who is told.
type routes struct {
	list     []Route
	fallback []string // of the default route: the channels that are nobody's fallback
}

func newRoutes(c *Config) routes {
	r := routes{list: c.Routes}
	for _, ch := range c.Channels {
		if !slices.ContainsFunc(c.Channels, func(o Channel) bool { return o.Fallback == ch.Name }) {
			r.fallback = append(r.fallback, ch.Name)
		}
	}
	return r
}

// to returns the channels that are told of a record, each once.
func (r routes) to(s subject) []string {
	for _, route := range r.list {
		if route.matches(s) {
			return route.To
		}
	}
	if SeverityOf(s.kind) >= Notice {
		return r.fallback
	}
	return nil
}

// matches reports whether a route means a record.
func (r *Route) matches(s subject) bool {
	if len(r.Kinds) > 0 && !slices.ContainsFunc(r.Kinds, func(p string) bool { return KindMatches(p, s.kind) }) {
		return false
	}
	if SeverityOf(s.kind) < r.Severity {
		return false
	}
	if len(r.Networks) > 0 && !slices.Contains(r.Networks, s.network) {
		return false
	}
	if len(r.Subjects) > 0 && !slices.ContainsFunc(r.Subjects, func(p string) bool { return KindMatches(p, s.text) }) {
		return false
	}
	if len(r.Rules) > 0 && !slices.Contains(r.Rules, s.rule) {
		return false
	}
	return len(r.Hours) == 0 || slices.ContainsFunc(r.Hours, func(h gate.Hours) bool { return h.Contains(s.at) })
}

// quietUntil returns when the quiet hours of a channel end that hold at t; the
// zero time where none holds.
func (c *Channel) quietUntil(t time.Time) time.Time {
	begun := t
	for range 2 * len(c.Quiet) { // hours that touch follow one another
		i := slices.IndexFunc(c.Quiet, func(h gate.Hours) bool { return h.Contains(t) })
		if i < 0 {
			break
		}
		if t = c.Quiet[i].End(t); t.IsZero() {
			return begun.Add(giveUpAfter / 2) // always quiet: told all the same, before it is given up
		}
	}
	if t.Equal(begun) {
		return time.Time{}
	}
	return t
}
