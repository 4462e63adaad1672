package gate

import (
	"testing"
	"time"
)

func TestHoursText(t *testing.T) {
	for _, c := range []struct{ in, out string }{
		{"22:00-07:00", "22:00-07:00"},
		{"00:00-24:00", "mon-sun"},
		{"18:00-24:00", "18:00-24:00"},
		{"mon-fri 08:00-18:00", "mon-fri 08:00-18:00"},
		{"sat,sun", "sat,sun"},
		{"sun,sat", "sat,sun"},
		{"fri-mon 20:00-06:00", "mon,fri-sun 20:00-06:00"},
		{"MON 08:00-09:00", "mon 08:00-09:00"},
	} {
		h, err := ParseHours(c.in)
		if err != nil || h.String() != c.out {
			t.Errorf("%q: %q, %v; want %q", c.in, h, err, c.out)
			continue
		}
		if again, err := ParseHours(h.String()); err != nil || again != h {
			t.Errorf("%q does not parse back: %v, %v", h, again, err)
		}
	}
	for _, in := range []string{"", "22-7", "7:00-8:00", "25:00-26:00", "08:60-09:00", "08:00", "08:00-08:00", "monday", "mon-", "08:00-09:00 mon", "mon tue 08:00-09:00", "24:00-07:00", "mon,,tue"} {
		if h, err := ParseHours(in); err == nil {
			t.Errorf("%q is read as %q", in, h)
		}
	}
}

func TestHours(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err)
	}
	for _, c := range []struct {
		hours, at, end string // end "" = it does not hold
	}{
		{"22:00-07:00", "2026-11-20 21:59", ""},
		{"22:00-07:00", "2026-11-20 22:00", "2026-11-21 07:00"},
		{"22:00-07:00", "2026-11-21 06:59", "2026-11-21 07:00"},
		{"22:00-07:00", "2026-11-21 07:00", ""},
		{"fri 22:00-07:00", "2026-11-21 03:00", "2026-11-21 07:00"}, // begins on Friday, the 20th
		{"fri 22:00-07:00", "2026-11-20 03:00", ""},
		{"sat,sun", "2026-11-21 12:00", "2026-11-23 00:00"},
		{"18:00-24:00", "2026-11-21 20:00", "2026-11-22 00:00"},
		{"mon-fri 08:00-18:00", "2026-11-21 12:00", ""},
		{"mon-fri 08:00-18:00", "2026-11-20 12:00", "2026-11-20 18:00"},
		{"22:00-07:00", "2026-10-25 01:00", "2026-10-25 07:00"}, // the night with an hour more
		{"22:00-07:00", "2026-03-29 01:00", "2026-03-29 07:00"}, // the night with an hour less
	} {
		h, err := ParseHours(c.hours)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.ParseInLocation("2006-01-02 15:04", c.at, zone)
		if err != nil {
			t.Fatal(err)
		}
		if got := h.Contains(at); got != (c.end != "") {
			t.Errorf("%s at %s: %v", c.hours, c.at, got)
		}
		if got := h.End(at).Format("2006-01-02 15:04"); c.end != "" && got != c.end {
			t.Errorf("%s at %s ends %s, want %s", c.hours, c.at, got, c.end)
		}
	}
	always, _ := ParseHours("mon-sun")
	if !always.End(time.Now()).IsZero() {
		t.Error("what always holds ends")
	}
	if (Hours{}).Contains(time.Now()) {
		t.Error("the zero value holds")
	}
}
