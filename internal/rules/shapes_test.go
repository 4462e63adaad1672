package rules

import (
	"fmt"
	"testing"
	"time"
)

func TestDateShapes(t *testing.T) {
	zone := time.FixedZone("CET", 3600)
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	const at, utc = "2026-11-21T07:00:00Z", "2026-11-21T08:00:00Z" // 8 o'clock here, and in UTC
	cases := []struct{ text, want, rest string }{
		// year first
		{"2026-11-21 08:00:00", at, ""},
		{"2026-11-21T08:00:00", at, ""},
		{"2026-11-21 08:00:00.123456", "2026-11-21T07:00:00.123456Z", ""},
		{"2026-11-21 08:00:00,123", "2026-11-21T07:00:00.123Z", ""},
		{"2026-11-21T08:00:00.123456789Z", "2026-11-21T08:00:00.123456789Z", ""},
		{"2026-11-21T08:00:00+01:00", at, ""},
		{"2026-11-21 08:00:00+01", at, ""},
		{"2026-11-21 08:00:00 +0100", at, ""},
		{"2026-11-21 08:00:00 -0500", "2026-11-21T13:00:00Z", ""},
		{"2026-11-21 08:00:00.123 UTC", "2026-11-21T08:00:00.123Z", ""},
		{"2026-11-21 08:00:00 CET", at, ""},
		{"2026-11-21 08:00:00 INFO", at, " INFO"},
		{"2026-11-21 08:00:00 WARN x", at, " WARN x"},
		{"2026-11-21 08:00:00 - x", at, " - x"},
		{"2026-11-21 08:00:00 -1 x", at, " -1 x"},
		{"2026-11-21  8:00:00 12 [Warning]", at, " 12 [Warning]"},
		{"2026-11-21 8:00:00", at, ""},
		{"2026-11-21_08:00:00.12345", "2026-11-21T07:00:00.12345Z", ""},
		{"2026-11-21, 08:00:00", at, ""},
		{"2026/11/21 08:00:00", at, ""},
		{"2026/11/21 08:00:00.5", "2026-11-21T07:00:00.5Z", ""},
		{"2026/11/21 08:00:00, 0", at, ", 0"},
		{"2026.11.21 08:00:00", at, ""},
		{"2026-Nov-21 08:00:00", at, ""},
		{"2026/11-21 08:00:00", "", ""},
		{"2026-11-31 08:00:00", "", ""},
		{"2026-13-01 08:00:00", "", ""},
		{"2026-11-21 24:00:00", "", ""},
		{"2026-11-21 08:00", "", ""},
		// names of months
		{"Nov 21 08:00:00", at, ""},
		{"Nov 21 08:00:00.250", "2026-11-21T07:00:00.25Z", ""},
		{"Nov  1 08:00:00", "2026-11-01T07:00:00Z", ""},
		{"Nov 21 08:00:00 2026", at, ""},
		{"Nov 21 08:00:00 1234", at, " 1234"},
		{"Nov 21 08:00:00 20261", at, " 20261"},
		{"Nov 21 2020 08:00:00", "2020-11-21T07:00:00Z", ""},
		{"Feb 29 08:00:00", "2024-02-29T07:00:00Z", ""},
		{"Feb 29 08:00:00 2025", "", ""},
		{"Feb 30 08:00:00", "", ""},
		{"Dec 31 08:00:00", "2025-12-31T07:00:00Z", ""},
		{"Sat Nov 21 08:00:00 2026", at, ""},
		{"Sat Nov 21 08:00:00.123456 2026", "2026-11-21T07:00:00.123456Z", ""},
		{"Sat Nov 21 08:00:00 CET 2026", at, ""},
		{"Sat Nov 21 08:00:00 UTC 2026", utc, ""},
		{"Sat Nov 21 08:00:00 x", at, " x"},
		{"CET Nov 21 08:00:00", at, ""},
		{"CEST Nov 21 08:00:00", at, ""},
		{"XYZ Nov 21 08:00:00", "", ""},
		{"21/Nov/2026:08:00:00 +0100", at, ""},
		{"21/Nov/2026:08:00:00.123 +0000", "2026-11-21T08:00:00.123Z", ""},
		{"21/Nov/2026 08:00:00", at, ""},
		{"21-Nov-2026 08:00:00.123", "2026-11-21T07:00:00.123Z", ""},
		{"21-Nov-2026::08:00:00", at, ""},
		{"1-Nov-2026 08:00:00", "2026-11-01T07:00:00Z", ""},
		{"21 Nov 2026 08:00:00.123", "2026-11-21T07:00:00.123Z", ""},
		{"21 Nov 08:00:00.123", "2026-11-21T07:00:00.123Z", ""},
		{"Sat, 21 Nov 2026 08:00:00 +0100", at, ""},
		{"Sat, 21 Nov 2026 08:00:00 GMT", utc, ""},
		{"21/Nov-2026:08:00:00", "", ""},
		{"31 Nov 2026 08:00:00", "", ""},
		{"Nov 21, 2026 8:00:00 AM", at, ""},
		{"Nov 21, 2026 8:00:00 PM x", "2026-11-21T19:00:00Z", " x"},
		{"November 21, 2026 8:00:00 PM x", "2026-11-21T19:00:00Z", " x"},
		{"May 21, 2026 8:00:00 PM x", "2026-05-21T19:00:00Z", " x"},
		{"Nov 21, 2026 12:00:00 AM", "2026-11-20T23:00:00Z", ""},
		{"Nov 21, 2026 12:30:00 PM", "2026-11-21T11:30:00Z", ""},
		{"Nov 21, 2026 13:00:00 PM", "", ""},
		{"Nov 21, 2026, 8:00:00 AM", at, ""},
		{"Nov 1, 2026 08:00:00.123", "2026-11-01T07:00:00.123Z", ""},
		// digits alone
		{"11/21/2026 08:00:00", at, ""},
		{"21/11/2026 08:00:00", at, ""},
		{"11/10/2026 08:00:00", "2026-11-10T07:00:00Z", ""}, // nearer than 11 October
		{"10/11/2026 08:00:00", "2026-11-10T07:00:00Z", ""},
		{"12/10/2026 08:00:00", "2026-10-12T07:00:00Z", ""}, // 10 December is yet to come
		{"11/21/2026 8:00:00 PM", "2026-11-21T19:00:00Z", ""},
		{"11/21/2026, 8:00:00 AM", at, ""},
		{"21.11.2026 08:00:00", at, ""},
		{"21-11-2026 08:00:00", at, ""},
		{"21.13.2026 08:00:00", "", ""},
		{"13/13/2026 08:00:00", "", ""},
		{"20261121 08:00:00", at, ""},
		{"20261121-08:00:00.5", "2026-11-21T07:00:00.5Z", ""},
		{"20261121T080000", at, ""},
		{"20261121T080000Z", utc, ""},
		{"20261121T246000", "", ""},
		{"261121  8:00:00", at, ""},
		{"261121 08:00:00", at, ""},
		{"26-11-21 08:00:00", at, ""},
		{"1795244400", at, ""},
		{"1795244400.123", "2026-11-21T07:00:00.123Z", ""},
		{"1795244400.123456", "2026-11-21T07:00:00.123456Z", ""},
		{"1795244400123", "2026-11-21T07:00:00.123Z", ""},
		{"1795244400123456", "2026-11-21T07:00:00.123456Z", ""},
		{"1795244400123456789", "2026-11-21T07:00:00.123456789Z", ""},
		{"1795244400: x", at, ": x"},
		{"17952444001234", "", ""},
		{"12345678", "", ""},
		{"@400000006b01417a1dcd6500", "2026-11-21T07:00:00.5Z", ""},
		{"@400000006b01417a1dcd6500 x", "2026-11-21T07:00:00.5Z", " x"},
		{"@400000006b01417afdcd6500", "", ""},
		{"@500000006b01417a1dcd6500", "", ""},
		{"E1121 08:00:00.123456", "2026-11-21T07:00:00.123456Z", ""},
		{"X1121 08:00:00.123456", "", ""},
		{"2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z", ""}, // a leap second
		{"", "", ""},
		{"no date at all, but long enough", "", ""},
	}
	for _, c := range cases {
		fits := 0
		for i := range dateShapes {
			if _, _, ok := dateShapes[i].cut([]byte(c.text)); ok {
				fits++
			}
		}
		if fits > 1 {
			t.Errorf("%q is of %d shapes", c.text, fits)
		}
		for lock := range dateShapes {
			l := lock
			st, rest, ok := cutShape([]byte(c.text), &l)
			got := ""
			if ok {
				got = (&clock{zone: zone}).time(st, now).Format(time.RFC3339Nano)
			} else {
				rest = nil
			}
			if got != c.want || string(rest) != c.rest {
				t.Errorf("%q: got %s %q, want %s %q", c.text, got, rest, c.want, c.rest)
				break
			}
		}
	}
}

// Each shape reads its own example, so that the lock has something to lock on.
func TestDateShapeExamples(t *testing.T) {
	for i, s := range dateShapes {
		lock := 0
		if _, rest, ok := cutShape([]byte(s.example), &lock); !ok || len(rest) > 0 || lock != i {
			t.Errorf("%s: shape %d, rest %q, %t", s.example, lock, rest, ok)
		}
	}
}

// FuzzDateShapes: what a hand-written parser reads is what the standard library
// reads, and no text is a date of two shapes.
func FuzzDateShapesEqualTimeParse(f *testing.F) {
	at := time.Date(2026, 2, 3, 4, 5, 6, 789_000_000, time.FixedZone("", -5400))
	layouts := []string{
		"2006-01-02 15:04:05", "2006-01-02T15:04:05.999999999Z07:00", "2006-01-02 15:04:05 -0700", "2006/01/02 15:04:05", "2006.01.02 15:04:05.000",
		"2006-Jan-02 15:04:05", "Jan _2 15:04:05 2006", "Mon Jan _2 15:04:05 2006", "Mon Jan _2 15:04:05.000000 2006", "Jan 02 2006 15:04:05",
		"02/Jan/2006:15:04:05 -0700", "02-Jan-2006 15:04:05.000", "02 Jan 2006 15:04:05.000", "Mon, 02 Jan 2006 15:04:05 -0700", "Jan 2, 2006 3:04:05 PM", "Jan 2, 2006 15:04:05.000",
		"02.01.2006 15:04:05", "02-01-2006 15:04:05", "20060102 15:04:05", "20060102T150405", "060102 15:04:05", "06-01-02 15:04:05",
	}
	for _, l := range layouts {
		f.Add(at.Format(l))
	}
	f.Add("@400000006b01417a1dcd6500")
	f.Add("1795244400.5")
	f.Add("E1121 08:00:00.123456")
	f.Fuzz(func(t *testing.T, s string) {
		fits, first := 0, ""
		for i := range dateShapes {
			if _, _, ok := dateShapes[i].cut([]byte(s)); ok {
				if fits++; fits == 1 {
					first = dateShapes[i].example
				} else {
					t.Fatalf("%q is of the shapes of %s and %s", s, first, dateShapes[i].example)
				}
			}
		}
		lock := 0
		st, rest, ok := cutShape([]byte(s), &lock)
		if !ok || len(rest) > 0 || st.s == 60 {
			return
		}
		got := (&clock{zone: time.UTC}).time(st, at)
		for _, l := range layouts {
			if want, err := time.Parse(l, s); err == nil && !want.Equal(got) {
				t.Fatalf("%q as %s: got %s, want %s", s, l, got, want)
			}
		}
	})
}

// FuzzEpochEqualsUnix: numbers since 1970 by their length.
func FuzzEpochEqualsUnix(f *testing.F) {
	f.Add(int64(1795244400), int64(123456789))
	f.Fuzz(func(t *testing.T, sec, nsec int64) {
		if sec < 1e9 || sec > 9e9 || nsec < 0 || nsec > 999_999_999 {
			return
		}
		want := time.Unix(sec, nsec).UTC()
		for text, unit := range map[string]time.Duration{
			fmt.Sprint(sec): time.Second, fmt.Sprint(want.UnixMilli()): time.Millisecond, fmt.Sprint(want.UnixMicro()): time.Microsecond, fmt.Sprint(want.UnixNano()): time.Nanosecond,
			fmt.Sprintf("%d.%09d", sec, nsec): time.Nanosecond,
		} {
			st, rest, ok := cutEpoch([]byte(text))
			if got := (&clock{zone: time.UTC}).time(st, want); !ok || len(rest) > 0 || !got.Equal(want.Truncate(unit)) {
				t.Fatalf("%s: got %s %q %t, want %s", text, got, rest, ok, want.Truncate(unit))
			}
		}
	})
}

func BenchmarkCutDate(b *testing.B) {
	for _, text := range []string{"2026/11/21 08:00:00 [error] x", "[Sat Nov 21 08:00:00.123456 2026] [x] y", "1795244400.123 x", "Nov 21, 2026 8:00:00 AM x"} {
		b.Run(text[:10], func(b *testing.B) {
			line, lock := []byte(text), 0
			b.ReportAllocs()
			for b.Loop() {
				if _, _, ok := cutDate(line, &lock); !ok {
					b.Fatal(text)
				}
			}
		})
	}
}
