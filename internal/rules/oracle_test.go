package rules

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/internal/rules/corpus"
)

// texts are messages and lines of every sort that the rules read.
func texts(tb testing.TB, rs []*Rule) (out []string) {
	for _, r := range rs {
		for _, s := range r.Samples {
			out = append(out, s.Line, string(parseHeader([]byte(s.Line)).message))
		}
	}
	for _, log := range [][]byte{corpus.AuthLog(300), corpus.AccessLog(200), readTestdata(tb, "attack-syslog.log")} {
		for line := range strings.Lines(string(log[:min(len(log), 60_000)])) {
			line = strings.TrimSuffix(line, "\n")
			out = append(out, line, string(parseHeader([]byte(line)).message))
		}
	}
	return out
}

// mutate changes a text as an attacker, a bad disk or another version might.
func mutate(t *rapid.T, text string, all []string) []byte {
	b := []byte(text)
	for range rapid.IntRange(0, 4).Draw(t, "changes") {
		at := rapid.IntRange(0, len(b)).Draw(t, "at")
		to := min(len(b), at+rapid.IntRange(0, 12).Draw(t, "length"))
		switch rapid.IntRange(0, 5).Draw(t, "change") {
		case 0:
			b = slices.Delete(b, at, to)
		case 1:
			b = slices.Insert(b, at, slices.Clone(b[at:to])...)
		case 2:
			b = slices.Insert(b, at, []byte(rapid.SampledFrom([]string{" ", " from ", " for ", " port 22", "1.2.3.4", "::1", "[preauth]", "\xff", "é", "\x00", "\"", "]", "user=", "x", "\\u0041", "ſ", "\r"}).Draw(t, "piece"))...)
		case 3:
			other := rapid.SampledFrom(all).Draw(t, "other")
			b = append(b[:at:at], other[min(at, len(other)):]...)
		case 4:
			b = b[:at]
		case 5:
			if at < len(b) {
				b[at] = rapid.Byte().Draw(t, "byte")
			}
		}
	}
	return slices.DeleteFunc(b, func(c byte) bool { return c == '\n' })
}

// TestLibraryEqualsOracle: every expression of every rule gives on lines of log,
// whole and damaged, what package regexp gives.
func TestLibraryEqualsOracle(t *testing.T) {
	rs := append(Builtin(), rulesOf(t, corpus.AuthRules(), corpus.WebRules())...)
	all := texts(t, rs)
	var es []*exact
	for _, r := range rs {
		for _, p := range r.Patterns {
			if p.exact != nil {
				es = append(es, p.exact)
			}
			for _, c := range p.conds {
				if c.exact != nil {
					es = append(es, c.exact)
				}
			}
		}
	}
	var m machine
	rapid.Check(t, func(t *rapid.T) {
		b := mutate(t, rapid.SampledFrom(all).Draw(t, "text"), all)
		from := rapid.IntRange(0, len(es)-1).Draw(t, "expression")
		for _, e := range es[from:min(from+20, len(es))] {
			if err := sameMatch(e, &m, b); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestScanEqualsOracle: so does the whole matcher, on blocks of such lines.
func TestScanEqualsOracle(t *testing.T) {
	rs := append(Builtin(), rulesOf(t, corpus.AuthRules()[1:], corpus.WebRules())...)
	rs = slices.CompactFunc(rs, func(a, b *Rule) bool { return a.Name == b.Name })
	all := texts(t, rs)
	fast, slow := NewMatcher(rs, Options{}), NewMatcher(rs, Options{Naive: true})
	rapid.Check(t, func(t *rapid.T) {
		var block []byte
		for range rapid.IntRange(1, 8).Draw(t, "lines") {
			block = append(append(block, mutate(t, rapid.SampledFrom(all).Draw(t, "text"), all)...), '\n')
		}
		got := collect(fast.Scanner(SourceOptions{Zone: time.UTC}), block, 0, nil)
		want := collect(slow.Scanner(SourceOptions{Zone: time.UTC}), block, 0, nil)
		if !slices.Equal(got, want) {
			t.Fatalf("%q: fast\n%s\nnaive\n%s", block, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

// TestSamplesEqualOracle: so does each rule of the library on its own samples.
func TestSamplesEqualOracle(t *testing.T) {
	for _, r := range Builtin() {
		fast := NewMatcher([]*Rule{r}, Options{}).Scanner(SourceOptions{Zone: time.UTC})
		slow := NewMatcher([]*Rule{r}, Options{Naive: true}).Scanner(SourceOptions{Zone: time.UTC})
		for _, s := range r.Samples {
			got, want := collect(fast, []byte(s.Line), 0, nil), collect(slow, []byte(s.Line), 0, nil)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %q: fast %v, naive %v", r.Name, s.Line, got, want)
			}
		}
	}
}
