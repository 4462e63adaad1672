package fail2ban

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gatehouse/internal/fail2ban/pyre"
)

var noon = time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)

// read finds the date of a line, and what is left of the line.
func read(t *testing.T, option, line string, zone *time.Location) (at time.Time, cut string) {
	t.Helper()
	ts, err := datePatterns(option)
	if err != nil {
		t.Fatalf("%q: %v", option, err)
	}
	var m pyre.Machine
	d := newDetector(ts, zone, nil, &m)
	f, ok := d.find([]byte(line), noon)
	if !ok || f.caps[3] <= f.caps[2] {
		return time.Time{}, line
	}
	cut = line[:f.caps[2]] + line[f.caps[3]:]
	at, err = d.time(f, []byte(line), noon)
	if err != nil {
		return time.Time{}, cut
	}
	return at, cut
}

func TestDates(t *testing.T) {
	cet := time.FixedZone("CET", 3600)
	for _, c := range []struct{ pattern, line, want, cut string }{
		{"", "Jun 14 10:00:01 host x", "2026-06-14T10:00:01Z", " host x"},
		{"", "Jun  4 10:00:01 host x", "2026-06-04T10:00:01Z", " host x"},
		{"", "Jul 14 10:00:01 host x", "2025-07-14T10:00:01Z", " host x"}, // last year
		{"", "Jun 16 11:59:00 host x", "2026-06-16T11:59:00Z", " host x"}, // less than a day ahead
		{"", "2026-06-14T10:00:01.123456+02:00 host x", "2026-06-14T08:00:01Z", " host x"},
		{"", "2026-06-14 10:00:01,123 x", "2026-06-14T10:00:01Z", " x"},
		{"", "2026/06/14 10:00:01 x", "2026-06-14T10:00:01Z", " x"},
		{"", `1.2.3.4 - - [14/Jun/2026:10:00:01 +0200] "GET /"`, "2026-06-14T08:00:01Z", `1.2.3.4 - - [] "GET /"`},
		{"", "[Sun Jun 14 10:00:01.123456 2026] [error]", "2026-06-14T10:00:01Z", "[] [error]"},
		{"", "Sun Jun 14 2026 10:00:01 x", "2026-06-14T10:00:01Z", " x"},
		{"", "14/06/2026 10:00:01 x", "2026-06-14T10:00:01Z", " x"},
		{"", "14-06-26 10:00:01 x", "2026-06-14T10:00:01Z", " x"},
		{"", "06/14/2026:10:00:01 x", "2026-06-14T10:00:01Z", " x"},
		{"", "260614 10:00:01 x", "2026-06-14T10:00:01Z", " x"},
		{"", "20260614T100001 x", "2026-06-14T10:00:01Z", " x"},
		{"", "Jun 14, 2026 10:00:01 PM x", "2026-06-14T22:00:01Z", " x"},
		{"", "Jun 14, 2026 12:00:01 AM x", "2026-06-14T00:00:01Z", " x"},
		{"", "<06/14/26@10:00:01> x", "2026-06-14T10:00:01Z", " x"},
		{"", "Jun-14-26 10:00:01 x", "2026-06-14T10:00:01Z", " x"},
		{"", "1781431201 x", "2026-06-14T10:00:01Z", " x"},
		{"", "[1781431201] x", "2026-06-14T10:00:01Z", "[] x"},
		{"", "type=X msg=audit(1781431201.123:45): y", "2026-06-14T10:00:01.123Z", "type=X msg=audit(:45): y"},
		{"", "@400000006a2e7b21aabbccdd x", "2026-06-14T09:57:53Z", " x"},
		{"", "10:00:01 x", "2026-06-15T10:00:01Z", " x"},
		{"", "13:00:01 x", "2026-06-14T13:00:01Z", " x"}, // yesterday
		{"", "PDT Jun 14 10:00:01 x", "2026-06-14T17:00:01Z", " x"},
		{"", "Feb 30 10:00:01 x", "", " x"},
		{"", "nothing here", "", "nothing here"},
		{"{^LN-BEG}", "x Jun 14 10:00:01 y", "", "x Jun 14 10:00:01 y"},
		{"{^LN-BEG}", "[Jun 14 10:00:01] y", "2026-06-14T10:00:01Z", "[] y"},
		{"{^LN-BEG}EPOCH", "1781431201 x", "2026-06-14T10:00:01Z", " x"},
		{"LEPOCH", "1781431201123 x", "2026-06-14T10:00:01.123Z", " x"},
		{"LEPOCH", "1781431201123456 x", "2026-06-14T10:00:01.123456Z", " x"},
		{"^a {EPOCH}", "a 1781431201 x", "2026-06-14T10:00:01Z", " x"},
		{`^<\d+>\d+\s+{DATE}`, "<34>1 2026-06-14T10:00:01Z host", "2026-06-14T10:00:01Z", " host"},
		{`^[^\[]*\[({DATE})\]`, "a [14/Jun/2026:10:00:01 +0000] b", "2026-06-14T10:00:01Z", "a [] b"},
		{"%Y-%m-%d %H:%M:%S", "a 2026-06-14 10:00:01 b", "2026-06-14T10:00:01Z", "a  b"},
		{"{^LN-BEG}%%%Y-%m-%d", "%2026-06-14 x", "2026-06-14T00:00:00Z", " x"},
		{"**%Y%m%d**", "a20260614b", "2026-06-14T00:00:00Z", "ab"},
		{"%Y%m%d", "a20260614b", "", "a20260614b"},
		{"{UNB}%Y%m%d", "a20260614b", "2026-06-14T00:00:00Z", "ab"},
		{"{NONE}", "Jun 14 10:00:01 x", "", "Jun 14 10:00:01 x"},
		{"%H.%M\n{^LN-BEG}", "at 10.05 x", "2026-06-15T10:05:00Z", "at  x"},
		{"%Y %j", "2026 165 x", "2026-06-14T00:00:00Z", " x"},
		{"%ExY%Exm%Exd %l%p", "20260614 3PM x", "2026-06-14T15:00:00Z", " x"},
	} {
		at, cut := read(t, c.pattern, c.line, time.UTC)
		got := ""
		if !at.IsZero() {
			got = at.UTC().Format(time.RFC3339Nano)
		}
		if got != c.want || cut != c.cut {
			t.Errorf("%q on %q: %s %q, want %s %q", c.pattern, c.line, got, cut, c.want, c.cut)
		}
	}
	if at, _ := read(t, "", "Jun 14 10:00:01 x", cet); !at.Equal(time.Date(2026, 6, 14, 9, 0, 1, 0, time.UTC)) {
		t.Errorf("in another zone: %v", at)
	}
}

// TestDateInFront pins that a date inside a message, written by who attacks,
// does not count where there is one in front of it.
func TestDateInFront(t *testing.T) {
	ts, err := datePatterns("")
	if err != nil {
		t.Fatal(err)
	}
	var m pyre.Machine
	d := newDetector(ts, time.UTC, nil, &m)
	for range 3 {
		line := []byte("Jun 14 10:00:01 host app: user 2026-01-02 03:04:05 failed")
		f, ok := d.find(line, noon)
		if !ok || f.caps[2] != 0 {
			t.Fatalf("the date is found at %v", f.caps)
		}
	}
}

func TestDatePatternErrors(t *testing.T) {
	for _, c := range []struct{ pattern, want string }{
		{"%Q", "%Q is not a part of a date"},
		{"abc%", "a % stands at its end"},
		{"%Y (", "missing )"},
		{"%Y %Y", "redefinition"},
		{"%Y-%m\n%Y-%m", "stands twice"},
	} {
		if _, err := datePatterns(c.pattern); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.pattern, err, c.want)
		}
	}
}

func TestZones(t *testing.T) {
	for in, want := range map[string]int{"Z": 0, "UTC": 0, "+0200": 120, "-07:00": -420, "+02": 120, "CET": 60, "UTC+0530": 330, "A": 60, "Y": -720, "NPT": 345} {
		if got, err := ParseZone(in); err != nil || got != want {
			t.Errorf("%s: %d, %v, want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"Europe/Berlin", "utc", "+2", "J"} {
		if got, err := ParseZone(in); err == nil {
			t.Errorf("%s: %d", in, got)
		}
	}
}

func TestTimes(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"600": 10 * time.Minute, "10m": 10 * time.Minute, "1d12h30m": 36*time.Hour + 30*time.Minute, "1h 30m": 90 * time.Minute,
		"1 hour + 30 min": 90 * time.Minute, "1year-6mo": 15778800 * time.Second, "6 months": 15778800 * time.Second,
		"10*60": 10 * time.Minute, "1.5h": 90 * time.Minute, "-1": -1, "2W": 14 * 24 * time.Hour, "0": 0,
	} {
		if got, err := ParseTime(in); err != nil || got != want {
			t.Errorf("%q: %v, %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "x", "10 parsecs", "__import__('os')", "1**9", "(1)"} {
		if got, err := ParseTime(in); err == nil {
			t.Errorf("%q: %v", in, got)
		}
	}
}

// FuzzDatePatterns checks that a pattern that is read finds, in any line, no
// date outside of it, and nothing before the year 1 or after 9999.
func FuzzDatePatterns(f *testing.F) {
	f.Add("%Y-%m-%d %H:%M:%S", "2026-06-14 10:00:01 x")
	f.Add("^<\\d+>{DATE}\n{^LN-BEG}", "<3>Jun 14 10:00:01")
	f.Add("{EPOCH}\nTAI64N", "1781431201")
	f.Add("%b %d, %ExY %I:%M:%S %p", "Feb 29, 2025 10:00:00 PM")
	f.Fuzz(func(t *testing.T, option, line string) {
		if len(option) > 200 || len(line) > 300 || !utf8.ValidString(line) || strings.Contains(line, "\n") {
			return
		}
		ts, err := datePatterns(option)
		if err != nil {
			return
		}
		var m pyre.Machine
		d := newDetector(ts, time.UTC, nil, &m)
		for range 2 {
			found, ok := d.find([]byte(line), noon)
			if !ok {
				continue
			}
			if c := found.caps; c[2] >= 0 && (c[2] > c[3] || int(c[3]) > len(line)) {
				t.Fatalf("%q on %q: cut %v", option, line, c)
			}
			at, err := d.time(found, []byte(line), noon)
			if err == nil && (at.Year() < 0 || at.Year() > 10000) {
				t.Fatalf("%q on %q: %v", option, line, at)
			}
		}
	})
}
