package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// adhocHits returns the hits of an expression on a bare message, by the fast
// scanner and by the naive one.
func adhocHits(t *testing.T, expr, message string) (out [2]string) {
	t.Helper()
	r, err := Adhoc(expr)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	for i, naive := range []bool{false, true} {
		s := NewMatcher([]*Rule{r}, Options{Naive: naive}).Scanner(SourceOptions{Zone: time.UTC})
		s.Scan([]byte(message), sampleNow, func(h *Hit) { out[i] = fmt.Sprintf("%s %d %d", h.Addr, h.Port, h.Repeat) })
	}
	return out
}

func TestAddressAndPort(t *testing.T) {
	const bare, port = `^from <addr>$`, `^from <addr>:<port>(?: end)?$`
	for _, c := range []struct{ expr, message, want string }{
		{port, "from 192.0.2.1:80", "192.0.2.1 80 1"},
		{port, "from 2001:db8::1:40022", "2001:db8::1 40022 1"},
		{port, "from [2001:db8::1]:40022 end", "2001:db8::1 40022 1"},
		{port, "from 2001:db8:0:0:0:0:0:1:40022", "2001:db8::1 40022 1"},
		{port, "from ::ffff:192.0.2.1:40022", "192.0.2.1 40022 1"},
		{port, "from fe80::1%eth0:40022", "fe80::1 40022 1"},
		{port, "from ::1:22", "::1 22 1"},
		{port, "from 2001:db8::1:40022:1", ""},
		{port, "from 1:192.0.2.1:80", ""},
		{`<addr>:<port>`, "x2001:db8::1:40022", ""},
		{`<addr>:<port>`, "2001:db8::1:40022a", ""},
		{`<addr>:<port>`, "2001:db8::1:40022: gone", "2001:db8::1 40022 1"},
		{`<addr>:<port>`, "192.0.2.1:40022: gone", "192.0.2.1 40022 1"},
		{bare, "from 2001:db8::1", "2001:db8::1 0 1"},
		{bare, "from IPv6:2001:db8::1", ""},
		{`^from \[?IPv6:<addr>\]?$`, "from IPv6:2001:db8::1", "2001:db8::1 0 1"},
		{`^from \[IPv6:<addr>\]$`, "from [IPv6:2001:db8::1]", "2001:db8::1 0 1"},
		{`\[ipv[46]:<addr>:<port>\]`, "remote [ipv6:2001:db8::1:445]", "2001:db8::1 445 1"},
		{`^from IP:<addr>:<port>$`, "from IP:2001:db8::1:5060", "2001:db8::1 5060 1"},
		{`:<addr>$`, "bead:2001:db8::1", ""},
		{`:<addr>$`, "abcd:2001:db8::1", ""},
		{`^<count> fails from <addr>$`, "7 fails from 192.0.2.1", "192.0.2.1 0 7"},
		{`^<count> fails from <addr>$`, "007 fails from 192.0.2.1", "192.0.2.1 0 7"},
		{`^<count> fails from <addr>$`, "0 fails from 192.0.2.1", ""},
		{`^<count> fails from <addr>$`, "99999999999999999999999 fails from 192.0.2.1", "192.0.2.1 0 100"},
		{`^(?:<count> )?fails from <addr>$`, "fails from 192.0.2.1", "192.0.2.1 0 1"},
		{`(?i)^KISS from <addr>$`, "kiss from 192.0.2.1", "192.0.2.1 0 1"},
		{`(?i)^KISS from <addr>$`, "kiſs from 192.0.2.1", ""},
		{`(?i)^KISS from <addr>$`, "\u212aiss from 192.0.2.1", ""},
		{`(?i)^[k-s]+ from <addr>$`, "SK from 192.0.2.1", "192.0.2.1 0 1"},
		{`(?i)^[k-s]+ from <addr>$`, "ſ from 192.0.2.1", ""},
		{`^[k-sſ]+ from <addr>$`, "ſ from 192.0.2.1", "192.0.2.1 0 1"},
		{`(?i)^É from <addr>$`, "é from 192.0.2.1", "192.0.2.1 0 1"},
	} {
		if got := adhocHits(t, c.expr, c.message); got != [2]string{c.want, c.want} {
			t.Errorf("%s on %q: fast %q, naive %q, want %q", c.expr, c.message, got[0], got[1], c.want)
		}
	}
}

// TestFoldIsASCII: on text of ASCII nothing changes.
func TestFoldIsASCII(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		expr := drawExpr(t, rapid.IntRange(1, 4).Draw(t, "depth"))
		if rapid.Bool().Draw(t, "fold") {
			expr = "(?i)" + expr
		}
		re, err := regexp.Compile(expr)
		if err != nil {
			t.Skip()
		}
		folded, err := regexp.Compile(asciiFold(expr))
		if err != nil {
			t.Fatalf("%s became %s: %v", expr, asciiFold(expr), err)
		}
		text := rapid.StringOfN(rapid.SampledFrom([]rune("aAbBkKsS c[\n")), 0, 12, -1).Draw(t, "text")
		if got, want := folded.FindStringSubmatchIndex(text), re.FindStringSubmatchIndex(text); !slices.Equal(got, want) {
			t.Fatalf("%s became %s, which gives %v in place of %v", expr, asciiFold(expr), got, want)
		}
	})
}

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		glob, name string
		want       bool
	}{
		{"postfix/*smtpd", "postfix/smtpd", true},
		{"postfix/*smtpd", "postfix/submission/smtpd", true},
		{"postfix/*smtpd", "postfix/smtp", false},
		{"postfix*/*smtpd", "postfix-out/smtps/smtpd", true},
		{"ovpn-*", "ovpn-", true},
		{"*d", "dddx", false},
		{"a*b*c", "abbbc", true},
		{"a*b*c", "ac", false},
		{"*a*a*", "a", false},
		{"a", "ab", false},
	} {
		if got := matchGlob(c.glob, []byte(c.name)); got != c.want {
			t.Errorf("%s on %s: %t", c.glob, c.name, got)
		}
	}
}

// TestProgramGlobs: the lines of a program that a name with a star means are read,
// by the fast matcher as by the naive one, however many programs there are.
func TestProgramGlobs(t *testing.T) {
	rs := rulesOf(t, []string{
		"rule: a\ntitle: t\nevidence: proven\nprograms: ['mail/*smtpd', exact]\npatterns: [{name: p, class: failure, match: '^refused from <addr>$'}]\n",
		"rule: b\ntitle: t\nevidence: proven\nprograms: [mail/out/smtpd]\npatterns: [{name: p, class: failure, match: '^refused from <addr>$'}]\n",
	})
	var log strings.Builder
	for i := range 2 * maxPrograms {
		fmt.Fprintf(&log, "Nov 21 08:00:00 h mail/%d/smtpd[1]: refused from 192.0.2.1\n", i)
	}
	log.WriteString("Nov 21 08:00:00 h mail/out/smtpd[1]: refused from 192.0.2.1\nNov 21 08:00:00 h mail/smtp[1]: refused from 192.0.2.1\nNov 21 08:00:00 h exact: refused from 192.0.2.1\n")
	var counts [2]int
	for i, naive := range []bool{false, true} {
		s := NewMatcher(rs, Options{Naive: naive}).Scanner(SourceOptions{Zone: time.UTC})
		s.Scan([]byte(log.String()), sampleNow, func(*Hit) { counts[i]++ })
		if len(s.programs) > maxPrograms {
			t.Errorf("%d programs are remembered", len(s.programs))
		}
	}
	if want := 2*maxPrograms + 3; counts != [2]int{want, want} {
		t.Errorf("%v hits, should be %d", counts, want)
	}
	if !rs[0].Names("mail/x/smtpd") || rs[0].Names("mail/x") || !rs[0].Names("exact") {
		t.Error("Names is wrong")
	}
}
