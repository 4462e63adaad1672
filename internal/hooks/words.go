package hooks

import (
	"strconv"
	"strings"
	"time"
	"unicode"

	"gatehouse/internal/gate"
)

// value is a word and what stands for it.
type value struct{ word, text string }

// delivery identifies one record for one hook, the same each time it is delivered.
func delivery(h *Hook, r *gate.Record) string { return strconv.FormatUint(r.Seq, 10) + "/" + h.Name }

// values are the words of a record, for arguments and environment.
func values(h *Hook, r *gate.Record, now time.Time) []value {
	address, prefix, family, list := "", "", "", ""
	if r.Subject.IsNet() {
		address, prefix, family = r.Subject.Addr().String(), r.Subject.Prefix().String(), "ipv6"
		if r.Subject.Addr().Is4() {
			family = "ipv4"
		}
	}
	if r.Subject.Kind() == gate.KindList {
		list = r.Subject.Name()
	}
	until, seconds := "", int64(0)
	if !r.Until.IsZero() {
		until, seconds = r.Until.UTC().Format(time.RFC3339), max(1, int64(r.Until.Sub(now)/time.Second))
	}
	return []value{
		{"subject", r.Subject.String()}, {"address", address}, {"prefix", prefix}, {"family", family}, {"list", list},
		{"rule", r.Rule}, {"kind", r.Kind()}, {"verdict", r.Verdict.String()},
		{"until", until}, {"seconds", strconv.FormatInt(seconds, 10)}, {"ports", r.Scope.Ports.String()},
		{"direction", r.Scope.Direction.String()}, {"offence", strconv.Itoa(r.Offence)}, {"why", harmless(r.Why)},
		{"seq", strconv.FormatUint(r.Seq, 10)}, {"delivery", delivery(h, r)}, {"time", r.Time.UTC().Format(time.RFC3339)},
	}
}

// Words returns the words in braces that arguments may have.
func Words() (words []string) {
	for _, v := range values(&Hook{}, &gate.Record{}, time.Time{}) {
		words = append(words, v.word)
	}
	return words
}

// harmless takes out what a terminal or a program could take for a command to it.
func harmless(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return ' '
	}, s)
}

// arguments puts values in for words in braces, at one go: what is put in is not
// looked at again.
func arguments(run []string, vs []value) []string {
	pairs := make([]string, 0, 2*len(vs))
	for _, v := range vs {
		pairs = append(pairs, "{"+v.word+"}", v.text)
	}
	r := strings.NewReplacer(pairs...)
	out := make([]string, len(run))
	for i, a := range run {
		out[i] = r.Replace(a)
	}
	return out
}

// environment is the values as variables: GATEHOUSE_SUBJECT and so on.
func environment(vs []value) []string {
	out := make([]string, len(vs))
	for i, v := range vs {
		out[i] = "GATEHOUSE_" + strings.ToUpper(v.word) + "=" + v.text
	}
	return out
}
