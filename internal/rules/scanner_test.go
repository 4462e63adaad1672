package rules

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// two is a pair of rules that are small enough to reason about.
func twoRules(tb testing.TB) []*Rule {
	tb.Helper()
	var rs []*Rule
	for _, src := range []string{`
rule: one
title: One
evidence: proven
programs: [one]
session: pid
patterns:
  - {name: bad, class: failure, match: '^bad <user> from <addr>(?: port <port>)?$'}
  - {name: worse, class: hint, match: '^(?:bad|worse) .*from <addr>', session: none, longest: 40}
  - {name: joined, class: info, match: 'id=<session> ip=<addr>'}
`, `
rule: any
title: Any
evidence: forgeable
patterns:
  - {name: seen, class: info, match: '<addr>$'}
`} {
		r, err := Parse("test.yaml", []byte(src))
		if err != nil {
			tb.Fatal(err)
		}
		rs = append(rs, r)
	}
	return rs
}

func hitString(h *Hit) string {
	return fmt.Sprintf("%s/%s %s user=%q port=%d session=%x class=%s evidence=%s host=%s repeat=%d at=%d time=%s", h.Rule.Name, h.Pattern.Name, h.Addr, h.User, h.Port, h.Session, h.Class, h.Evidence, h.Host, h.Repeat, h.Offset, h.Time.Format(time.RFC3339))
}

func TestScan(t *testing.T) {
	log := strings.Join([]string{
		"Nov 21 08:00:00 h one[7]: bad joe from 192.0.2.1 port 22",
		"Nov 21 08:00:00 h two[7]: bad joe from 192.0.2.1 port 22",
		"",
		"Nov 21 08:00:00 h one[7]: worse joe from 192.0.2.2 ",
		"Nov 21 08:00:00 h one[7]: worse joe who is far too long from 192.0.2.2 ",
		"Nov 21 08:00:00 h one[7]: message repeated 3 times: [ bad joe from 192.0.2.3]",
		"bad joe from 192.0.2.4\r",
		"Nov 21 08:00:00 h one[7]: x id=abc ip=2001:db8::1 y",
		"Nov 21 08:00:00 h one[7]: bad joe from 192.0.2.256",
		"Nov 21 08:00:00 h one[7]: bad \xff\xfe from 192.0.2.5",
	}, "\n")
	want := []string{
		`one/bad 192.0.2.1 user="joe" port=22 session=%[1]x00000007 class=failure evidence=proven host=h repeat=1 at=0 time=2026-11-21T08:00:00Z`,
		`one/worse 192.0.2.2 user="" port=0 session=0 class=hint evidence=proven host=h repeat=1 at=115 time=2026-11-21T08:00:00Z`,
		`one/bad 192.0.2.3 user="joe" port=0 session=%[1]x00000007 class=failure evidence=proven host=h repeat=3 at=239 time=2026-11-21T08:00:00Z`,
		`any/seen 192.0.2.3 user="" port=0 session=0 class=info evidence=forgeable host=h repeat=3 at=239 time=2026-11-21T08:00:00Z`,
		`one/bad 192.0.2.4 user="joe" port=0 session=0 class=failure evidence=forgeable host= repeat=1 at=317 time=0001-01-01T00:00:00Z`,
		`any/seen 192.0.2.4 user="" port=0 session=0 class=info evidence=forgeable host= repeat=1 at=317 time=0001-01-01T00:00:00Z`,
		`one/joined 2001:db8::1 user="" port=0 session=` + fmt.Sprintf("%x", session([]byte("abc"), nil)) + ` class=info evidence=proven host=h repeat=1 at=341 time=2026-11-21T08:00:00Z`,
		`one/bad 192.0.2.5 user="\xff\xfe" port=0 session=%[1]x00000007 class=failure evidence=proven host=h repeat=1 at=444 time=2026-11-21T08:00:00Z`,
		`any/seen 192.0.2.5 user="" port=0 session=0 class=info evidence=forgeable host=h repeat=1 at=444 time=2026-11-21T08:00:00Z`,
	}
	for i, w := range want {
		if strings.Contains(w, "%[1]x") {
			want[i] = fmt.Sprintf(w, session([]byte("7"), []byte("h"))>>32)
		}
	}
	for _, naive := range []bool{false, true} {
		s := NewMatcher(twoRules(t), Options{Naive: naive}).Scanner(SourceOptions{Zone: time.UTC})
		var got []string
		st := s.Scan([]byte(log), sampleNow, func(h *Hit) { got = append(got, hitString(h)) })
		if !slices.Equal(got, want) {
			t.Errorf("naive=%t: got\n%s\nwant\n%s", naive, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if st != (Stats{Lines: 10, Skipped: 0, Hits: len(want)}) {
			t.Errorf("naive=%t: stats %+v", naive, st)
		}
	}
}

func TestScanLongLines(t *testing.T) {
	rs := twoRules(t)[:1]
	hit := "Nov 21 08:00:00 h one[7]: bad joe from 192.0.2.1"
	fits := "Nov 21 08:00:00 h one[7]: bad " + strings.Repeat("x", MaxLine-len(hit)+3) + " from 192.0.2.1"
	for _, c := range []struct {
		log           string
		hits, skipped int
	}{
		{hit + "\n" + strings.Repeat("x", 1<<20) + "\n" + hit, 2, 1},
		{strings.Repeat("bad joe from 192.0.2.1 ", 50_000) + "\n" + hit + "\n", 1, 1},
		{fits, 1, 0},
		{"x" + strings.Repeat(" ", MaxLine), 0, 1},
		{strings.Repeat("\x00", 4000) + hit, 1, 0},
		{strings.Repeat("\n", 20_000) + hit, 1, 0},
		{"", 0, 0},
		{"\n", 0, 0},
	} {
		s := NewMatcher(rs, Options{}).Scanner(SourceOptions{Zone: time.UTC})
		st := s.Scan([]byte(c.log), sampleNow, func(*Hit) {})
		if st.Hits != c.hits || st.Skipped != c.skipped {
			t.Errorf("%.40q…: %+v, want %d hits, %d skipped", c.log, st, c.hits, c.skipped)
		}
	}
}

func TestIrrelevantLineAllocatesNothing(t *testing.T) {
	log := authLog(2000, 0)
	s := NewMatcher(Builtin(), Options{}).Scanner(SourceOptions{Zone: time.UTC})
	if n := testing.AllocsPerRun(10, func() { s.Scan(log, sampleNow, func(*Hit) {}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAdhoc(t *testing.T) {
	cases := []struct {
		expr, line string
		want       string // the address; "-" = a hit without one; "" = none
	}{
		{`bad .* from <addr>`, "Nov 21 08:00:00 h x[1]: bad joe from 192.0.2.1 port 2", "192.0.2.1"},
		{`^bad`, "Nov 21 08:00:00 h x[1]: bad joe", "-"},
		{`^Nov .* h x`, "Nov 21 08:00:00 h x[1]: bad joe", "-"}, // the whole line
		{`from <addr>`, "bad joe from host.example", ""},
		{`(?i)BAD`, "bad", "-"},
		{`good`, "bad", ""},
	}
	for _, c := range cases {
		r, err := Adhoc(c.expr)
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
			continue
		}
		got := ""
		for _, h := range scan(t, r, []byte(c.line), SourceOptions{}) {
			if got = "-"; h.Addr.IsValid() {
				got = h.Addr.String()
			}
		}
		if got != c.want {
			t.Errorf("%s on %q: got %q, want %q", c.expr, c.line, got, c.want)
		}
	}
	for _, expr := range []string{"(", "<adr>", "(?P<x>a)", "<addr> <addr>", `(?=x)`, strings.Repeat("x", maxExpr+1)} {
		if _, err := Adhoc(expr); err == nil {
			t.Errorf("%.40s: no error", expr)
		}
	}
}

// fuzzLog makes lines out of fuzz input: real ones with some of it put in.
func fuzzLog(junk []byte) []byte {
	var b bytes.Buffer
	pieces := bytes.Split(junk, []byte("|"))
	real := []string{
		"Nov 21 08:00:00 h sshd[1]: Failed password for %s from 192.0.2.1 port 4 ssh2\n",
		"2026-11-21T08:00:00Z h sshd-session[2]: Invalid user %s from 2001:db8::1 port 4\n",
		"Connection closed by invalid user %s 192.0.2.1 port 4 [preauth]\r\n",
		"Nov 21 08:00:00 h CRON[3]: %s\n",
		"Nov 21 08:00:00 h sshd[1]: message repeated 2 times: [ %s]\n",
		"%s\n",
	}
	for i, p := range pieces {
		fmt.Fprintf(&b, real[i%len(real)], p)
	}
	return b.Bytes()
}

func collect(s *Scanner, block []byte, base int, out []string) []string {
	s.Scan(block, sampleNow, func(h *Hit) {
		h.Offset += base
		out = append(out, hitString(h))
	})
	return out
}

// FuzzScanInAnyBlocks: the hits are the same in whatever blocks of whole lines
// the log arrives, and each has an address.
func FuzzScanInAnyBlocks(f *testing.F) {
	f.Add([]byte("root|x from 1.2.3.4 port 5 ssh2|y"), uint64(5))
	f.Add([]byte("|||Failed password for root from 1.2.3.4 port 5 ssh2|Accepted publickey for x from ::1 port 2 ssh2"), uint64(77))
	m := NewMatcher(append(Builtin(), twoRules(f)...), Options{})
	f.Fuzz(func(t *testing.T, junk []byte, cuts uint64) {
		log := fuzzLog(junk)
		s := m.Scanner(SourceOptions{Zone: time.UTC})
		s.Scan(log, sampleNow, func(h *Hit) {
			if h.Addr == (netip.Addr{}) || h.Addr.Zone() != "" || h.Addr.Is4In6() {
				t.Fatalf("hit of %s in %q", h.Addr, h.Line)
			}
			if string(h.Line) != strings.TrimSuffix(string(log[h.Offset:h.Offset+len(h.Line)]), "\n") {
				t.Fatalf("offset %d is not of %q", h.Offset, h.Line)
			}
		})
		whole := collect(m.Scanner(SourceOptions{Zone: time.UTC}), log, 0, nil)
		s = m.Scanner(SourceOptions{Zone: time.UTC})
		var pieces []string
		for from, i := 0, 0; from < len(log); {
			to := lineEnd(log, from) + 1
			for ; cuts>>(i&63)&1 == 1 && to < len(log); i++ {
				to = lineEnd(log, to) + 1
			}
			i++
			to = min(to, len(log))
			pieces = collect(s, log[from:to], from, pieces)
			from = to
		}
		if !slices.Equal(whole, pieces) {
			t.Fatalf("%q: whole\n%s\nin pieces\n%s", log, strings.Join(whole, "\n"), strings.Join(pieces, "\n"))
		}
	})
}

// FuzzScanEqualsNaive: the literal filter loses nothing and finds nothing.
func FuzzScanEqualsNaive(f *testing.F) {
	f.Add([]byte("root|x from 1.2.3.4 port 5 ssh2|y"))
	f.Add([]byte("\xff\xef\xbf\xbd|||Failed none for x from 1.2.3.4 port 5 ssh2"))
	rs := Builtin()
	fast, slow := NewMatcher(rs, Options{}), NewMatcher(rs, Options{Naive: true})
	f.Fuzz(func(t *testing.T, junk []byte) {
		log := fuzzLog(junk)
		got := collect(fast.Scanner(SourceOptions{Zone: time.UTC}), log, 0, nil)
		want := collect(slow.Scanner(SourceOptions{Zone: time.UTC}), log, 0, nil)
		if !slices.Equal(got, want) {
			t.Fatalf("%q: fast\n%s\nnaive\n%s", log, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

// The same on logs that real programs wrote.
func TestScanEqualsNaive(t *testing.T) {
	rs := Builtin()
	for _, log := range [][]byte{readTestdata(t, "sessions.log"), readTestdata(t, "attack-syslog.log"), readTestdata(t, "attack-stderr.log"), authLog(5000, 30)} {
		got := collect(NewMatcher(rs, Options{}).Scanner(SourceOptions{Zone: time.UTC}), log, 0, nil)
		want := collect(NewMatcher(rs, Options{Naive: true}).Scanner(SourceOptions{Zone: time.UTC}), log, 0, nil)
		if !slices.Equal(got, want) || len(got) == 0 {
			t.Errorf("fast %d hits, naive %d", len(got), len(want))
		}
	}
}

func TestLint(t *testing.T) {
	r, err := Parse("x.yaml", []byte(`
rule: x
title: X
evidence: proven
patterns:
  - {name: mid, class: failure, match: 'bad password from <addr>'}
  - {name: open, class: failure, match: '^bad <user> from <addr>', reads: y}
  - {name: cut, class: failure, match: '^bad <user> from <addr>$', reads: y}
  - {name: both, class: failure, match: '^bad <user> from <addr> for <any>$', reads: y}
  - {name: none, class: failure, match: '^<addr>$', reads: y}
  - {name: told, class: info, match: '^bad <user> from <addr>', reads: y}
  - {name: fine, class: failure, match: '^bad <user> from <addr>$', reads: y, longest: 200}
  - {name: fine2, class: failure, match: '^bad <word> from <addr> for <any>', reads: y}
  - {name: fine3, class: failure, match: '^at <time>, <addr> for <any>', reads: y}
`))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, m := range Lint(r) {
		if m.Problem != "no sample shows it" {
			got[m.Pattern] += m.Problem + "\n"
		}
	}
	want := map[string][]string{
		"":     {"every program", "where its log is"},
		"mid":  {"which statement", "middle of a message"},
		"open": {"the end is open"},
		"cut":  {"was cut"},
		"both": {"writes both"},
		"none": {"each line must be tried"},
	}
	for name, problems := range want {
		for _, p := range problems {
			if !strings.Contains(got[name], p) {
				t.Errorf("%s: no remark with %q in %q", name, p, got[name])
			}
		}
		if n := strings.Count(got[name], "\n"); n != len(problems) {
			t.Errorf("%s: %d remarks, want %d: %q", name, n, len(problems), got[name])
		}
		delete(got, name)
	}
	for name, problems := range got {
		t.Errorf("%s: %q", name, problems)
	}
}

// TestLintFields looks at the rules whose lines have fields.
func TestLintFields(t *testing.T) {
	r, err := Parse("x.yaml", []byte(`
rule: x
title: X
evidence: proven
format: json
sources: {files: /var/log/x.json}
fields: {addr: remote_ip}
patterns:
  - {name: fine, class: failure, where: {msg: 'refused'}, reads: y}
  - {name: none, class: failure, where: {msg: '^.'}, reads: y}
  - {name: open, class: failure, where: {msg: '^bad <user> from <addr>'}, reads: y}
  - {name: tied, class: failure, where: {msg: '^bad <user> from <addr>$'}, reads: y}
  - {name: header, class: failure, where: {msg: 'refused'}, reads: y, fields: {addr: request.headers.X-Forwarded-For.0}}
`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range Lint(r) {
		if m.Problem != "no sample shows it" {
			got = append(got, m.Pattern+": "+m.Problem)
		}
	}
	want := []string{
		"none: no text is in all messages that it matches, so each line must be tried",
		"open: free text stands before <addr>, and the end is open: an address in that text is taken",
		"header: the address is that of request.headers.X-Forwarded-For.0, which anyone can send",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}
