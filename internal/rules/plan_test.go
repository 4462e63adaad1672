package rules

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/rules/corpus"
)

// drawn returns a plan for a source like the log.
func drawn(m *Matcher, log []byte) *plan {
	var s sample
	s.take(log)
	return m.compile(m.draw(&s, m.odds(&s)))
}

// TestHitsDoNotDependOnPlan: whatever a source is taken for, the hits are those
// of the oracle.
func TestHitsDoNotDependOnPlan(t *testing.T) {
	logs := [][]byte{corpus.AuthLog(600), corpus.AccessLog(400), corpus.SSHLog(400, 50), readTestdata(t, "attack-syslog.log"), []byte(strings.Repeat("PAM: for \" 404 ~ union\n", 400)), nil}
	rs := append(Builtin(), rulesOf(t, corpus.AuthRules()[1:], corpus.WebRules(), corpus.IdleRules(5))...)
	fast, slow := NewMatcher(rs, Options{}), NewMatcher(rs, Options{Naive: true})
	for i, log := range logs {
		want := collect(slow.Scanner(SourceOptions{Zone: time.UTC}), log, 0, nil)
		for j, like := range logs {
			s := fast.Scanner(SourceOptions{Zone: time.UTC})
			s.habit.wait, s.habit.fret = 1<<40, 1<<40
			s.use(drawn(fast, like))
			if got := collect(s, log, 0, nil); !slices.Equal(got, want) {
				t.Errorf("log %d, taken for log %d: %d hits, naive %d", i, j, len(got), len(want))
			}
		}
	}
}

// TestPlanChanges: a source that turns out other than it was thought gets
// another plan, and the hits stay the same.
func TestPlanChanges(t *testing.T) {
	rs := rulesOf(t, []string{`
rule: x
title: X
evidence: proven
patterns:
  - {name: a, class: failure, match: '^refused login .* password <addr>$'}
`})
	m := NewMatcher(rs, Options{})
	s := m.Scanner(SourceOptions{Zone: time.UTC})
	const lines = 20_000
	hit := "refused login of joe, wrong password 192.0.2.1\n"
	seek := func() (texts []string) {
		for _, n := range s.plan.all {
			texts = append(texts, n.text)
		}
		return texts
	}
	for _, c := range []struct{ idle, seek string }{
		{"refused login of joe, wrong key 192.0.2.1\n", " password "},
		{"refused to change password of joe 192.0.2.1\n", "refused login "},
		{"refused login of joe, wrong key 192.0.2.1\n", " password "},
	} {
		log := []byte(strings.Repeat(strings.Repeat(c.idle, 99)+hit, lines/100))
		hits := 0
		for range 4 {
			for _, b := range blocks(log) {
				hits += s.Scan(b, sampleNow, func(*Hit) {}).Hits
			}
		}
		if hits != 4*lines/100 {
			t.Errorf("%d hits, want %d", hits, 4*lines/100)
		}
		if got := seek(); !slices.Equal(got, []string{c.seek}) {
			t.Errorf("in a log full of %q it looks for %q", c.idle, got)
		}
	}
}

// TestShortNeedles: those that are looked for by themselves are found in each
// line, be there one after the other or many in one.
func TestShortNeedles(t *testing.T) {
	rs := rulesOf(t, []string{`
rule: x
title: X
evidence: proven
patterns:
  - {name: a, class: failure, match: '^ab: (?:ab: )*(?:zq )*<addr>$'}
  - {name: b, class: failure, match: 'zq <addr>'}
  - {name: c, class: failure, match: 'something longer from <addr>'}
`})
	m := NewMatcher(rs, Options{})
	if len(m.first.sides) != 2 {
		t.Fatalf("%d needles are looked for by themselves", len(m.first.sides))
	}
	log := []byte("ab: 192.0.2.1\nab: 192.0.2.2\n\nab: ab: ab: zq zq 192.0.2.3\nzq 192.0.2.4\nab: something longer from 192.0.2.5\nab:\nab: " + strings.Repeat("x", MaxLine) + " zq 192.0.2.6\nzq 192.0.2.7\nab: 192.0.2.8")
	got := collect(m.Scanner(SourceOptions{Zone: time.UTC}), log, 0, nil)
	want := collect(NewMatcher(rs, Options{Naive: true}).Scanner(SourceOptions{Zone: time.UTC}), log, 0, nil)
	if !slices.Equal(got, want) || len(got) != 7 {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestScannersShareMatcher: scanners of one matcher at work at once give what
// each gives alone. It is worth its while with the race detector.
func TestScannersShareMatcher(t *testing.T) {
	rs := append(Builtin(), rulesOf(t, corpus.AuthRules()[1:], corpus.WebRules())...)
	m := NewMatcher(rs, Options{})
	logs := [][]byte{corpus.AuthLog(3000), corpus.AccessLog(3000), corpus.SSHLog(3000, 50)}
	var want [3]int
	for i, log := range logs {
		want[i] = NewMatcher(rs, Options{}).Scanner(SourceOptions{Zone: time.UTC}).Scan(log, sampleNow, func(*Hit) {}).Hits
	}
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			s := m.Scanner(SourceOptions{Zone: time.UTC})
			hits := 0
			for _, b := range blocks(logs[i%3]) {
				hits += s.Scan(b, sampleNow, func(*Hit) {}).Hits
			}
			if hits != want[i%3] {
				t.Errorf("scanner %d: %d hits, want %d", i, hits, want[i%3])
			}
		})
	}
	wg.Wait()
	if len(m.plans) > maxPlans {
		t.Errorf("%d plans", len(m.plans))
	}
}

// TestPlansAreShared: sources that are alike have one plan.
func TestPlansAreShared(t *testing.T) {
	m := NewMatcher(rulesOf(t, corpus.AuthRules()), Options{})
	log := corpus.AuthLog(4000)
	var all []*Scanner
	for range 50 {
		s := m.Scanner(SourceOptions{Zone: time.UTC})
		s.Scan(log, sampleNow, func(*Hit) {})
		all = append(all, s)
	}
	for _, s := range all {
		if s.plan == m.first || s.plan != all[0].plan {
			t.Fatal("a source has a plan of its own")
		}
	}
}

// TestHostileLinesTakeBoundedTime: lines that were built to be slow to match
// cost at most some hundred times what others do, in proportion to their
// length.
func TestHostileLinesTakeBoundedTime(t *testing.T) {
	rs := append(Builtin(), rulesOf(t, corpus.AuthRules()[1:], corpus.WebRules(), corpus.IdleRules(100), []string{`
rule: explodes
title: Explodes
evidence: proven
patterns:
  - {name: a, class: failure, match: '(?:x+x+)+y <addr>$'}
  - {name: b, class: failure, match: '^(?:.* from )*(?:.* for )*<user> by <addr>!$'}
  - {name: c, class: failure, match: '<any>a<any>b<any>c<any>d<any>e <addr>$'}
  - {name: d, class: failure, match: '^(?:a|b|ab)*(?:[a-c]+ )*<addr>;$'}
`})...)
	m := NewMatcher(rs, Options{})
	var needles strings.Builder
	for _, n := range m.needles {
		needles.WriteString(n.text + " ")
	}
	long := func(s string) string { return strings.Repeat(s, (MaxLine-200)/len(s)) }
	for name, line := range map[string]string{
		"explodes x":       long("x") + "y 1.2.3.4 ",
		"explodes from":    long("a from b for c ") + " by 1.2.3.4!x",
		"explodes a to e":  long("abcde ") + "1.2.3",
		"explodes ab":      long("ab") + " abc 1.2.3.4;x",
		"sshd, PAM":        "Nov 21 08:00:00 h sshd[1]: PAM: " + long("x for y from 1.2.3.4 ") + "!",
		"sshd, failed":     "Nov 21 08:00:00 h sshd[1]: Failed password for " + long("x from 1.2.3.4 port 22 ssh2 ") + "!",
		"needles":          needles.String(),
		"one needle":       long("Failed password for "),
		"needle beginning": long("Failed passwor"),
		"web":              `192.0.2.1 - - [21/Nov/2026:08:00:00 +0100] "GET ` + long("/../../.env%2e%2e/UNION SELECT") + `" 404 1 "-" "-"`,
		"spaces":           long(" "),
		"digits":           long("1.2.3.4 "),
		"quotes":           `192.0.2.1 - - [21/Nov/2026:08:00:00 +0100] "GET ` + long(`\"" `),
		"zeros":            long("\x00"),
	} {
		line = line[:min(len(line), MaxLine)]
		const n = 20
		log := []byte(strings.Repeat(line+"\n", n))
		s := m.Scanner(SourceOptions{Zone: time.UTC})
		began := cpu(t)
		s.Scan(log, sampleNow, func(*Hit) {})
		each := (cpu(t) - began) / n
		t.Logf("%-18s %8v a line of %d bytes, %d searches over budget", name, each.Round(time.Microsecond), len(line), s.machine.over)
		if limit := 100 * time.Millisecond; each > limit {
			t.Errorf("%s: %v a line, limit %v", name, each, limit)
		}
	}
}

// TestEndlessLine: a line of 100 MB is gone over once, whatever is in it.
func TestEndlessLine(t *testing.T) {
	m := NewMatcher(append(Builtin(), rulesOf(t, corpus.AuthRules()[1:])...), Options{})
	hit := "Nov 21 08:00:00 h sshd[1]: Failed password for root from 192.0.2.1 port 4 ssh2"
	size := 100 << 20
	for _, filling := range []string{"Failed password for root from 192.0.2.1 port 4 ssh2 ", "x", "\x00", "PAM: "} {
		log := bytes.Join([][]byte{[]byte(hit), bytes.Repeat([]byte(filling), size/len(filling)), []byte(hit), nil}, []byte("\n"))
		s := m.Scanner(SourceOptions{Zone: time.UTC})
		began := cpu(t)
		st := s.Scan(log, sampleNow, func(*Hit) {})
		took := cpu(t) - began
		if st.Lines != 3 || st.Skipped != 1 || st.Hits < 2 || st.Hits > 4 {
			t.Errorf("%q: %+v", filling, st)
		}
		if took > 5*time.Second {
			t.Errorf("%q: took %v", filling, took)
		}
		t.Logf("%.20q: %v", filling, took)
		size = 10 << 20 // once is enough
	}
}
