package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func at(e *env) *env {
	e.now = func() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }
	return e
}

func TestColumns(t *testing.T) {
	var b bytes.Buffer
	e := &env{out: &b}
	rows := func() table {
		return table{head: []string{"WHO", "WHY"}, rows: [][]string{{"äöü", "x"}, {"a", "esc \x1b[2J and a long reason that goes on"}, {"b", ""}}}
	}
	if err := e.columns(rows()); err != nil {
		t.Fatal(err)
	}
	if want := "WHO  WHY\näöü  x\na    esc \\x1b[2J and a long reason that goes on\nb\n"; b.String() != want {
		t.Errorf("piped:\n%swant\n%s", b.String(), want)
	}
	b.Reset()
	e.width, e.colour = 25, true
	if err := e.columns(rows()); err != nil {
		t.Fatal(err)
	}
	if want := "\x1b[1mWHO  WHY\x1b[0m\näöü  x\na    esc \\x1b[2J and a l…\nb\n"; b.String() != want {
		t.Errorf("on a terminal:\n%swant\n%s", b.String(), want)
	}
}

func TestTimesForPeople(t *testing.T) {
	e := at(&env{})
	for _, c := range []struct {
		d         time.Duration
		ago, ends string
	}{
		{0, "now", "now"},
		{45 * time.Second, "in 45s", "in 45s"},
		{9*time.Minute + 59*time.Second, "in 9m", "in 9m"},
		{3 * time.Hour, "in 3h", "in 3h"},
		{49 * time.Hour, "in 2d", "in 2d"},
		{-3 * time.Minute, "3m ago", "now"},
		{-100 * 24 * time.Hour, "100d ago", "now"},
	} {
		at := e.now().Add(c.d)
		if a, n := e.ago(&at), e.ends(&at); a != c.ago || n != c.ends {
			t.Errorf("%v: %q %q, want %q %q", c.d, a, n, c.ago, c.ends)
		}
	}
	if e.ago(nil) != "never" || e.ends(nil) != "never" {
		t.Error("no time is never")
	}
}

func TestNumbersForPeople(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{grouped(0), "0"}, {grouped(999), "999"}, {grouped(1000), "1,000"}, {grouped(1234567), "1,234,567"}, {grouped(-1234), "-1,234"}, {grouped(-123), "-123"},
		{counted(1, "ban"), "1 ban"}, {counted(0, "ban"), "0 bans"}, {counted(2000, "ban"), "2,000 bans"},
		{size(999), "999 B"}, {size(5100000), "5.1 MB"}, {size(uint64(1) << 62), "4611.7 PB"},
		{ordinal(2), "second"}, {ordinal(11), "11th"}, {ordinal(21), "21st"}, {ordinal(112), "112th"}, {ordinal(103), "103rd"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestProgress(t *testing.T) {
	var b bytes.Buffer
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	e := &env{err: &b, errTerm: true, now: func() time.Time { return now }}
	p := e.progress("banning", 200)
	p.set(1) // work that ends at once shows nothing
	now = now.Add(time.Second)
	p.set(100)
	p.set(101) // not drawn again so soon
	p.end()
	p.set(200)
	if want := "\rbanning [############............]  50%\r\x1b[K"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
	b.Reset()
	e.errTerm = false
	p = e.progress("banning", 200)
	now = now.Add(time.Second)
	p.set(100)
	p.end()
	if b.Len() > 0 {
		t.Errorf("without a terminal nothing is drawn: %q", b.String())
	}
}

func TestWrap(t *testing.T) {
	got := wrap("one two three\n\n  stays as it is, however long\nfour", 8)
	if want := "one two\nthree\n\n  stays as it is, however long\nfour"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Troff obeys a line that begins with a dot, and a backslash anywhere.
func TestRoff(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`a\b -c 'd'`, `a\eb \-c \(aqd\(aq`},
		{"one\n\n\ntwo", "one\n.PP\ntwo"},
		{"  nft  a table", ".br\nnft  a table"},
	} {
		if got := roffText(c.in); got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
	if got := roffLines(".so /etc/passwd"); !strings.HasPrefix(got, `\&.so`) {
		t.Errorf("%q", got)
	}
}
