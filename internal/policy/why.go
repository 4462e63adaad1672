package policy

import (
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// sentenceLen is room for most reasons, in bytes.
const sentenceLen = 256

// whatHappened says what a finding saw: `5 failed logins in 3m20s (sshd allows
// 4 in 10m)`.
func whatHappened(f *gate.Finding, w *Watch) string {
	var buf [sentenceLen]byte
	return string(appendWhat(buf[:0], f, w))
}

func appendWhat(b []byte, f *gate.Finding, w *Watch) []byte {
	if w.Scan {
		return appendScan(b, f)
	}
	b = appendCount(b, f.Proof.Count, w.Noun)
	b = appendSpan(b, f)
	b = append(append(b, " ("...), f.Rule...)
	switch t := f.Threshold; {
	case t == gate.Threshold{}:
	case t.Count <= 1:
		b = append(b, " allows none"...)
	default:
		b = strconv.AppendInt(append(b, " allows "...), int64(t.Count-1), 10)
		if t.Within != gate.Forever {
			b = append(append(b, " in "...), short(t.Within)...)
		}
	}
	return append(b, ')')
}

// counted returns a number with its noun.
func counted(n int, noun string) string { return string(appendCount(nil, n, noun)) }

func appendCount(b []byte, n int, noun string) []byte {
	b = append(append(strconv.AppendInt(b, int64(n), 10), ' '), noun...)
	if n != 1 {
		b = append(b, 's')
	}
	return b
}

// appendSpan says how long the events of a finding took, from its proof; where
// the first of them was not kept, the threshold bounds it.
func appendSpan(b []byte, f *gate.Finding) []byte {
	kept := len(f.Proof.First) + len(f.Proof.Last)
	if f.Proof.Count <= 1 {
		return b
	}
	if kept == 0 || kept < min(f.Proof.Count, gate.ProofFirst+gate.ProofLast) {
		if f.Threshold.Within <= 0 || f.Threshold.Within == gate.Forever {
			return b
		}
		return append(append(b, " within "...), short(f.Threshold.Within)...)
	}
	if d := f.Time.Sub(f.Proof.First[0].Time); d >= time.Second {
		return append(append(b, " in "...), short(d)...)
	}
	return append(b, " at once"...)
}

// short returns a duration as people say it: without what is too small to
// matter.
func short(d time.Duration) string {
	switch d { // the usual ones, many times a second
	case 10 * time.Minute:
		return "10m"
	case time.Hour:
		return "1h"
	case gate.Day:
		return "1d"
	}
	switch {
	case d == gate.Forever, d < time.Second:
	case d >= 2*gate.Day:
		d = d.Round(time.Hour)
	case d >= 2*time.Hour:
		d = d.Round(time.Minute)
	default:
		d = d.Round(time.Second)
	}
	return gate.FormatDuration(d)
}

// whyBan is the reason of a ban that a finding led to.
func (p *Policy) whyBan(f *gate.Finding, w *Watch, s *sentence, alone, network string, scope gate.Scope) string {
	var buf [sentenceLen]byte
	b := appendWhat(buf[:0], f, w)
	add := func(parts ...string) {
		for _, s := range parts {
			b = append(b, s...)
		}
	}
	switch {
	case scope.New:
		add(", which anyone can forge, so only new connections and only ")
	case s.already != nil && !s.climbs:
		add("; banned already", on(*s.already.scope), ", so now", orAll(scope), " too, for ")
	case s.offence == 1:
		add("; first offence, so ")
	default:
		add("; ", ordinal(s.offence), " offence", p.horizon, ", so ")
	}
	add(short(s.life))
	if network != "" {
		add(" as in network ", network)
	}
	if s.climbs || scope.New {
		add(on(gate.Scope{Ports: scope.Ports}))
	}
	if s.late && s.life != gate.Forever {
		add(" from ", stamp(s.start))
	}
	if alone != "" {
		add("; this address alone, because ", alone)
	}
	if scope.HTTP {
		add(behindProxy)
	}
	return string(b)
}

// horizon returns ` within 90d`, or nothing where offences are never forgotten.
func horizon(forget time.Duration) string {
	if forget == gate.Forever {
		return ""
	}
	return " within " + short(forget)
}

// whyOver is the reason of the release of a ban whose time is over.
func whyOver(b *ban, missed bool) string {
	s := "the " + short(time.Duration(b.until-b.moved-b.since)) + " ban" + on(*b.scope)
	if missed {
		return s + " ended at " + stamp(fromNanos(b.until)) + ", while gatehouse was not running"
	}
	return s + " is over"
}

// on returns ` on 22/tcp`, ` for new connections`, both, or nothing for a scope
// of everything.
func on(s gate.Scope) string {
	var b string
	if !s.Ports.IsEmpty() {
		b = " on " + ports(s.Ports)
	}
	if s.New {
		b += " for new connections"
	}
	return b
}

// orAll returns what on does, and ` on all ports` for a scope of everything.
func orAll(s gate.Scope) string {
	if s.Ports.IsEmpty() {
		return " on all ports"
	}
	return on(s)
}

// maxPorts bounds how much of a long list of ports a reason repeats, in bytes.
const maxPorts = 120

func ports(p gate.Ports) string {
	s := p.String()
	if len(s) <= maxPorts {
		return s
	}
	return strconv.Itoa(p.Len()) + " ports"
}

// untilWhen returns ` until 2026-11-21T08:10:00Z` or ` forever`.
func untilWhen(until int64) string {
	if until == 0 {
		return " forever"
	}
	return " until " + stamp(fromNanos(until))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// by names the entry that allows s, unless it is s itself.
func by(e AllowEntry, s gate.Subject) string {
	if e.Text == s.String() {
		return ""
	}
	return " by " + plain(e.Text)
}

// plain returns a text as it is where it is harmless, and quoted otherwise.
func plain(s string) string {
	const max = 64
	if s == "" || len(s) > max {
		return gate.Quote(s, max)
	}
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(" -_.:/@", c) >= 0) {
			return gate.Quote(s, max)
		}
	}
	return s
}

var ordinals = [...]string{"", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"}

// ordinal returns `second`, `11th`, `22nd`.
func ordinal(n int) string {
	if n > 0 && n < len(ordinals) {
		return ordinals[n]
	}
	suffix := "th"
	if n/10%10 != 1 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return strconv.Itoa(n) + suffix
}
