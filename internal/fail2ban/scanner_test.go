package fail2ban

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// filter compiles the text of a section Definition.
func filter(t testing.TB, definition string) *Filter {
	t.Helper()
	f, err := Compile(files("filter.d/f.conf", "[Definition]\n"+definition), "f", Options{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// scan returns what a scanner finds in lines, one word a failure.
func scan(s *Scanner, now time.Time, lines ...string) (out []string) {
	for _, l := range lines {
		s.Line([]byte(l), now, func(f *Failure) { out = append(out, describe(f)) })
	}
	return out
}

func describe(f *Failure) string {
	d := f.ID
	if f.User != "" {
		d += "/" + f.User
	}
	if f.Lines != 1 {
		d += fmt.Sprintf("*%d", f.Lines)
	}
	return d
}

func TestLines(t *testing.T) {
	for _, c := range []struct {
		name, definition string
		lines            []string
		want             string
	}{
		{"the date is cut out", "failregex = ^ bad <HOST>$", []string{"2026-06-14 10:00:01 bad 192.0.2.1"}, "192.0.2.1"},
		{"brackets of a date stay", `failregex = ^\[\] bad <HOST>$`, []string{"[14/Jun/2026:10:00:01 +0000] bad 192.0.2.1"}, "192.0.2.1"},
		{"addresses of both families", "failregex = bad <ADDR>$", []string{"bad 192.0.2.1", "bad [2001:db8::1]", "bad ::ffff:192.0.2.3", "bad host.example"}, "192.0.2.1 2001:db8::1 192.0.2.3"},
		{"a name", "failregex = bad <HOST>$", []string{"bad host.example"}, "host.example"},
		{"usedns no", "usedns = no\nfailregex = bad <HOST>$", []string{"bad host.example", "bad 192.0.2.1"}, "192.0.2.1"},
		{"IP4, IP6", "failregex = a <IP4>$\n   b <IP6>$", []string{"a 192.0.2.1", "a ::1", "b ::1", "b 192.0.2.1"}, "192.0.2.1 ::1"},
		{"networks", "failregex = bad <SUBNET>$", []string{"bad 192.0.2.9/24"}, "192.0.2.9"},
		{"another identity", "failregex = bad <F-ID>\\S+ \\S+</F-ID> <HOST>$", []string{"bad a b 192.0.2.1"}, "a b"},
		{"a user", "failregex = bad <F-USER>\\S*</F-USER> from <HOST>$", []string{"bad root from 192.0.2.1"}, "192.0.2.1/root"},
		{"an alternation in a tag", "failregex = bad <F-USER>a b|\\S+</F-USER> from <HOST>$", []string{"bad a b from 192.0.2.1"}, "192.0.2.1/a b"},
		{"another user where there is none", "failregex = u=<F-ALT_USER>\\S*</F-ALT_USER> user=<F-USER>\\S*</F-USER> <HOST>$", []string{"u=a user= 192.0.2.1", "u=a user=b 192.0.2.1"}, "192.0.2.1/a 192.0.2.1/b"},
		{"the first of several", "failregex = bad (?P<x>1) <HOST>\n   bad \\d <HOST>$", []string{"bad 1 192.0.2.1"}, "192.0.2.1"},
		{"an expression to ignore", "failregex = bad <HOST>\nignoreregex = friend", []string{"bad 192.0.2.1 friend", "bad 192.0.2.2"}, "192.0.2.2"},
		{"a prefix", "prefregex = ^app: <F-CONTENT>.+</F-CONTENT>$\nfailregex = ^bad <HOST>$", []string{"app: bad 192.0.2.1", "bad 192.0.2.1", "xapp: bad 192.0.2.1"}, "192.0.2.1"},
		{"an address in the prefix", "prefregex = ^<ADDR>: <F-CONTENT>.+</F-CONTENT>$\nfailregex = ^bad", []string{"192.0.2.1: bad"}, "192.0.2.1"},
		{"the end is before a newline, too", "failregex = ^bad <HOST>\\s$", []string{"bad 192.0.2.1"}, "192.0.2.1"},
		{"a word of another script", "failregex = ^\\w+ <HOST>$", []string{"plötzlich 192.0.2.1"}, "192.0.2.1"},
		{"bytes that are no UTF-8", "failregex = ^user \\S+ from <HOST>$", []string{"user \xff\xfe from 192.0.2.1"}, "192.0.2.1"},
		{"lines end as in Windows", "failregex = ^bad <HOST>$", []string{"bad 192.0.2.1\r"}, "192.0.2.1"},
		{"flags of a part", "failregex = ((?i)BAD) <HOST>$", []string{"bAd 192.0.2.1"}, "192.0.2.1"},
		{"several lines", "maxlines = 3\nfailregex = ^from <HOST>$<SKIPLINES>^failed$", []string{"from 192.0.2.1", "other", "failed", "failed"}, "192.0.2.1*2"},
		{"too many lines", "maxlines = 2\nfailregex = ^from <HOST>$<SKIPLINES>^failed$", []string{"from 192.0.2.1", "other", "failed"}, ""},
		{"what was skipped stays", "maxlines = 5\nfailregex = ^(?P<i>\\d) from <HOST>$<SKIPLINES>^(?P=i) failed$", []string{"1 from 192.0.2.1", "2 from 192.0.2.2", "1 failed", "2 failed"}, "192.0.2.1*2 192.0.2.2*2"},
	} {
		s := filter(t, c.definition).Scanner(ScanOptions{})
		if got := strings.Join(scan(s, noon, c.lines...), " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestSessions(t *testing.T) {
	const definition = `prefregex = ^<F-MLFID>\S+\[\d+\]: </F-MLFID><F-CONTENT>.+</F-CONTENT>$
failregex = ^<F-NOFAIL>from</F-NOFAIL> <HOST>$
            ^failed for <F-USER>\S+</F-USER>$
            ^<F-MLFFORGET>bye</F-MLFFORGET>$
            ^<F-NOFAIL><F-MLFFORGET>quit</F-MLFFORGET></F-NOFAIL>$
            ^<F-MLFFORGET><F-MLFGAINED>welcome</F-MLFGAINED></F-MLFFORGET> <F-USER>\S+</F-USER>$
`
	for _, c := range []struct {
		name, lines, want string
	}{
		{"an address from an earlier line", "d[1]: from 192.0.2.1|d[1]: failed for a", "192.0.2.1/a*2"},
		{"sessions do not mix", "d[1]: from 192.0.2.1|d[2]: failed for a", ""},
		{"an address from a later line", "d[1]: failed for a|d[1]: from 192.0.2.1", "192.0.2.1/a*2"},
		{"information alone", "d[1]: from 192.0.2.1|d[1]: from 192.0.2.1", ""},
		{"each failure", "d[1]: from 192.0.2.1|d[1]: failed for a|d[1]: failed for a", "192.0.2.1/a*2 192.0.2.1/a"},
		{"the end forgets", "d[1]: from 192.0.2.1|d[1]: quit|d[1]: failed for a", ""},
		{"the end is a failure", "d[1]: from 192.0.2.1|d[1]: bye", "192.0.2.1*2"},
		{"success takes back what is pending", "d[1]: failed for a|d[1]: from 192.0.2.1", "192.0.2.1/a*2"},
		{"success", "d[1]: failed for a|d[1]: welcome a|d[1]: from 192.0.2.1", ""},
		{"success of another account", "d[1]: from 192.0.2.1|d[1]: failed for a|d[1]: welcome b", "192.0.2.1/a*2 192.0.2.1/b"},
	} {
		s := filter(t, definition).Scanner(ScanOptions{})
		if got := strings.Join(scan(s, noon, strings.Split(c.lines, "|")...), " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestSessionsAreBounded(t *testing.T) {
	s := filter(t, "failregex = ^<F-MLFID>\\d+</F-MLFID> <F-NOFAIL>from</F-NOFAIL> <HOST>$\n  ^<F-MLFID>\\d+</F-MLFID> failed$\n").Scanner(ScanOptions{})
	for i := range 1000 {
		scan(s, noon, fmt.Sprintf("%d from 192.0.2.1", i))
	}
	if n, q := len(s.sessions.byKey), len(s.sessions.queue); n != maxSessions || q > 4*maxSessions {
		t.Errorf("%d sessions, %d in the queue", n, q)
	}
	if got := scan(s, noon, "0 failed", "999 failed"); !slices.Equal(got, []string{"192.0.2.1*2"}) {
		t.Errorf("%q: the oldest must be forgotten, the newest not", got)
	}
	if got := scan(s, noon.Add(sessionLife), "998 failed"); got != nil {
		t.Errorf("%q: what is over must be forgotten", got)
	}
}

func TestClocks(t *testing.T) {
	f := filter(t, "failregex = bad <HOST>$\n")
	old, fresh := "2026-06-15 11:00:00 bad 192.0.2.1", "2026-06-15 11:59:30 bad 192.0.2.2"
	at := func(o ScanOptions, line string) string {
		got := "none"
		f.Scanner(o).Line([]byte(line), noon, func(f *Failure) { got = f.Time.Format(time.TimeOnly) })
		return got
	}
	for _, c := range []struct {
		name string
		o    ScanOptions
		line string
		want string
	}{
		{"as the line says", ScanOptions{}, old, "11:00:00"},
		{"too old when catching up", ScanOptions{Clock: ClockCatchUp, FindTime: 10 * time.Minute}, old, "none"},
		{"fresh when catching up", ScanOptions{Clock: ClockCatchUp, FindTime: 10 * time.Minute}, fresh, "11:59:30"},
		{"far off when live", ScanOptions{Clock: ClockLive}, old, "12:00:00"},
		{"near when live", ScanOptions{Clock: ClockLive}, fresh, "11:59:30"},
		{"no date when live", ScanOptions{Clock: ClockLive}, "bad 192.0.2.1", "12:00:00"},
		{"no date when catching up", ScanOptions{Clock: ClockCatchUp}, "bad 192.0.2.1", "none"},
	} {
		if got := at(c.o, c.line); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestDateOfEarlierLine pins that a line without a date takes that of the line
// before it, also where that line was passed over.
func TestDateOfEarlierLine(t *testing.T) {
	f := filter(t, "failregex = ^\\s+bad <HOST>$\ndatepattern = {^LN-BEG}\n")
	log := []byte("2026-06-15 11:59:10 x\n2026-06-15 11:59:20 start\n  bad 192.0.2.1\n")
	for _, naive := range []bool{false, true} {
		got := ""
		f.Scanner(ScanOptions{Naive: naive}).Scan(log, noon, func(f *Failure) { got = f.Time.Format(time.TimeOnly) })
		if got != "11:59:20" {
			t.Errorf("naive %v: %q", naive, got)
		}
	}
}

// hostile are lines that make expressions of stock filters backtrack.
var hostile = []struct{ spec, line string }{
	{"dovecot", "Disconnected" + strings.Repeat(": a", 23) + " (a"},
	{"dovecot[mode=aggressive]", "Jun 14 10:00:01 h dovecot: imap-login: Aborted login" + strings.Repeat(": a", 40) + " (auth"},
	{"domino-smtp", "14-06-2026 10:00:01 smtp: " + strings.Repeat("a ", 29) + "x"},
	{"domino-smtp", "[0A48:0002-0C78] 14.06.2026 10:00:01 smtp: " + strings.Repeat("a ", 400) + "x"},
}

// TestHostileLines pins GHSA-33wh-ccjc-p397: lines of 85 bytes that take
// fail2ban seconds. A step takes about 5 ns, so that 100,000 are half a
// millisecond.
func TestHostileLines(t *testing.T) {
	fsys := debian(t)
	for _, c := range hostile {
		f, err := Compile(fsys, c.spec, Options{})
		if err != nil {
			t.Fatal(err)
		}
		s := f.Scanner(ScanOptions{CheckAll: true})
		steps := 0
		s.spent = func(n int) { steps += n }
		st := s.Line([]byte(c.line), noon, func(*Failure) {})
		t.Logf("%s: %d steps", c.spec, steps)
		if st.GaveUp != 0 || steps > 100_000 {
			t.Errorf("%s: %d steps, gave up %d on %q", c.spec, steps, st.GaveUp, c.line)
		}
	}
}

// TestFilterIsExact checks that the literal filter passes over no line that
// matters: for each of Debian's filters on its own sample log, many times over,
// and among other lines.
func TestFilterIsExact(t *testing.T) {
	fsys := debian(t)
	dir := "../../build/fail2ban/usr/lib/python3/dist-packages/fail2ban/tests/files/logs"
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Skip("the package has no sample logs")
	}
	other := append(authLog(80), accessLog(80)...)
	for _, e := range entries {
		f, err := Compile(fsys, e.Name(), Options{})
		if err != nil {
			continue // samples of another filter
		}
		log, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		log = append(log, '\n')
		log = slices.Concat(other, log, other, log)
		run := func(naive bool) (out []string) {
			s := f.Scanner(ScanOptions{Naive: naive})
			for range 2 {
				s.Scan(log, noon, func(f *Failure) {
					out = append(out, fmt.Sprint(f.Expression, f.Offset, f.ID, f.User, f.Lines))
				})
			}
			return out
		}
		fast, slow := run(false), run(true)
		if !slices.Equal(fast, slow) {
			t.Errorf("%s: %d failures with the literal filter, %d without", e.Name(), len(fast), len(slow))
		}
	}
}

// FuzzScanEqualsLines checks that a block gives what its lines give one by one,
// whatever is in it.
func FuzzScanEqualsLines(f *testing.F) {
	flt := filter(f, "prefregex = ^\\S* app: <F-CONTENT>.+</F-CONTENT>$\nfailregex = ^login failed for <F-USER>.*</F-USER> from <HOST>$\n   ^denied <HOST>\n   (?i)^refused <ADDR>\nignoreregex = ^login failed for root\n")
	f.Add("Jun 14 10:00:01 app: login failed for a from 192.0.2.1\nx\nJun 14 10:00:02 app: denied ::1\n")
	f.Add("app: REFUSED 192.0.2.1\r\n\n\xff app: denied a.b\n")
	f.Fuzz(func(t *testing.T, log string) {
		run := func(naive bool) (out []string) {
			s := flt.Scanner(ScanOptions{Naive: naive})
			s.Scan([]byte(log), noon, func(f *Failure) { out = append(out, fmt.Sprint(f.Expression, f.Offset, describe(f))) })
			return out
		}
		if fast, slow := run(false), run(true); !slices.Equal(fast, slow) {
			t.Fatalf("%q: %q, line by line %q", log, fast, slow)
		}
	})
}
