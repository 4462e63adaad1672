package rules

import (
	"testing"
	"time"
)

func TestStampTime(t *testing.T) {
	zurich := time.FixedZone("CET", 3600)
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	cases := []struct {
		stamp string
		now   time.Time
		want  string // RFC 3339 with fraction; "" = no time
	}{
		{"Nov 21 08:00:00", now, "2026-11-21T07:00:00Z"},
		{"Nov 21 08:00:00.25", now, "2026-11-21T07:00:00.25Z"},
		{"Nov 22 12:59:59", now, "2026-11-22T11:59:59Z"}, // less than a day ahead
		{"Nov 22 13:01:00", now, "2025-11-22T12:01:00Z"}, // more
		{"Dec 31 23:00:00", time.Date(2027, 1, 1, 5, 0, 0, 0, time.UTC), "2026-12-31T22:00:00Z"},
		{"Jan  1 00:30:00", time.Date(2026, 12, 31, 23, 0, 0, 0, time.UTC), "2026-12-31T23:30:00Z"}, // their clock is ahead
		{"Feb 29 12:00:00", now, "2024-02-29T11:00:00Z"},
		{"Feb 29 12:00:00", time.Date(1903, 1, 1, 0, 0, 0, 0, time.UTC), "1896-02-29T11:00:00Z"}, // 1900 was no leap year
		{"Sat Nov 21 08:00:00 2020", now, "2020-11-21T07:00:00Z"},
		{"2026-11-21T08:00:00", now, "2026-11-21T07:00:00Z"},
		{"2026-11-21T08:00:00Z", now, "2026-11-21T08:00:00Z"},
		{"2026-11-21T08:00:00.123456789123+05:30", now, "2026-11-21T02:30:00.123456789Z"},
		{"2026-11-21T08:00:00-0800", now, "2026-11-21T16:00:00Z"},
		{"2026-11-21T08:00:00+01", now, "2026-11-21T07:00:00Z"},
		{"2026-11-21 08:00:00 UTC", now, "2026-11-21T08:00:00Z"},
		{"Sat 2026-11-21 08:00:00 CET", now, "2026-11-21T07:00:00Z"},
		{"Sat 2026-11-21 08:00:00 -03", now, "2026-11-21T11:00:00Z"},
		{"2016-12-31T23:59:60Z", now, "2017-01-01T00:00:00Z"}, // a leap second
		{"0001-01-01T00:00:00Z", now, "0001-01-01T00:00:00Z"},
		{"2000-02-29T00:00:00Z", now, "2000-02-29T00:00:00Z"},
		{"1795244400.5", now, "2026-11-21T07:00:00.5Z"},
		{"Nov 31 08:00:00", now, ""},
		{"Nov 21 24:00:00", now, ""},
		{"Nov 21 08:60:00", now, ""},
		{"Nov  0 08:00:00", now, ""},
		{"nov 21 08:00:00", now, ""},
		{"2026-02-29T08:00:00Z", now, ""},
		{"2026-13-01T08:00:00Z", now, ""},
		{"2026-11-21T08:00:00+24:00", now, ""},
	}
	for _, c := range cases {
		clk := clock{zone: zurich}
		st, _, ok := cutStamp([]byte(c.stamp + " rest"))
		if !ok {
			if c.want != "" {
				t.Errorf("%q is not read", c.stamp)
			}
			continue
		}
		for range 2 { // the second answer comes from memory
			if got := clk.time(st, c.now).Format(time.RFC3339Nano); got != c.want {
				t.Errorf("%q: got %s, want %s", c.stamp, got, c.want)
			}
		}
	}
}

// The memory of a clock must not outlive the year that it was true for.
func TestClockForgetsYear(t *testing.T) {
	clk := clock{zone: time.UTC}
	st, _, _ := cutStamp([]byte("Nov 21 08:00:00 x"))
	for _, c := range []struct {
		now  string
		year int
	}{{"2026-11-21T09:00:00Z", 2026}, {"2027-11-20T07:59:00Z", 2026}, {"2027-11-20T08:01:00Z", 2027}, {"2026-11-20T07:00:00Z", 2025}} {
		now, _ := time.Parse(time.RFC3339, c.now)
		if got := clk.time(st, now).Year(); got != c.year {
			t.Errorf("at %s: got %d, want %d", c.now, got, c.year)
		}
	}
}

func TestDays(t *testing.T) {
	for at := time.Date(1968, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2110; at = at.AddDate(0, 0, 1) {
		if got := days(at.Year(), int(at.Month()), at.Day()); got != at.Unix()/86400 {
			t.Fatalf("%s: got %d, want %d", at.Format(time.DateOnly), got, at.Unix()/86400)
		}
	}
}

// FuzzDateEqualsTimeParse: what the hand-written parsers read, the standard
// library reads alike.
func FuzzDateEqualsTimeParse(f *testing.F) {
	for _, s := range []string{"2026-11-21T08:00:00Z", "2026-11-21T08:00:00.123456+01:00", "Nov 21 08:00:00", "Nov  1 08:00:00", "2026-11-21 08:00:00", "Feb 29 00:00:00", "1795244400.5"} {
		f.Add(s, int64(1795244400))
	}
	f.Fuzz(func(t *testing.T, s string, unix int64) {
		if unix < 0 || unix > 1<<34 {
			return
		}
		now := time.Unix(unix, 0).UTC()
		st, rest, ok := cutStamp([]byte(s + " x"))
		if !ok || string(rest) != "x" || st.s == 60 {
			return
		}
		got := (&clock{zone: time.UTC}).time(st, now)
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05"} {
			if want, err := time.Parse(layout, s); err == nil && !want.Equal(got) {
				t.Fatalf("%q: got %s, want %s", s, got, want)
			}
		}
		if want, err := time.Parse("2006 "+time.StampNano, "2024 "+s); err == nil && st.kind == stampBSD {
			if got.Month() != want.Month() || got.Day() != want.Day() || got.Hour() != want.Hour() || got.Nanosecond() != want.Nanosecond() {
				t.Fatalf("%q: got %s, want %s in some year", s, got, want)
			}
			if got.After(now.Add(24*time.Hour + time.Minute)) {
				t.Fatalf("%q at %s: %s is in the future", s, now, got)
			}
			if st.day != 29 && got.AddDate(1, 0, 0).Before(now.Add(23*time.Hour)) {
				t.Fatalf("%q at %s: %s is not the nearest year", s, now, got)
			}
		}
	})
}
