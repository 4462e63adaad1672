package gate

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Hours is a part of the week on the clock of a place: `22:00-07:00`, `mon-fri
// 08:00-18:00`, `sat,sun`. What begins before midnight and ends after it belongs
// to the day on which it begins. The zero value holds never.
type Hours struct {
	days     uint8 // bit 0 is Sunday
	from, to int16 // minutes of the day; from == to is the whole day
}

var dayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

const everyDay = 1<<7 - 1

// ParseHours reads `22:00-07:00`, days in front of it (`mon-fri`, `sat,sun`), or
// days alone. 24:00 is the end of a day.
func ParseHours(s string) (Hours, error) {
	bad := func(why string) (Hours, error) { return Hours{}, fmt.Errorf("%s: %s", Quote(s, 64), why) }
	fields := strings.Fields(s)
	if len(s) > 100 || len(fields) == 0 || len(fields) > 2 {
		return bad("write hours as 22:00-07:00, or mon-fri 08:00-18:00, or sat,sun")
	}
	h := Hours{days: everyDay}
	if !strings.Contains(fields[0], ":") {
		days, ok := parseDays(fields[0])
		if !ok {
			return bad("write days as mon-fri or sat,sun")
		}
		h.days, fields = days, fields[1:]
	}
	switch {
	case len(fields) == 0:
		return h, nil
	case len(fields) > 1:
		return bad("the days stand in front of the hours")
	}
	from, to, ok := strings.Cut(fields[0], "-")
	a, okA := parseClock(from)
	b, okB := parseClock(to)
	if !ok || !okA || !okB {
		return bad("write hours from 00:00 to 24:00, as in 22:00-07:00")
	}
	if a == b || a == 24*60 {
		return bad("it begins when it ends; leave the hours out for the whole day")
	}
	h.from, h.to = a, b%(24*60)
	return h, nil
}

func parseDays(s string) (days uint8, ok bool) {
	for part := range strings.SplitSeq(strings.ToLower(s), ",") {
		first, last, isRange := strings.Cut(part, "-")
		a := slices.Index(dayNames, first)
		b := a
		if isRange {
			b = slices.Index(dayNames, last)
		}
		if a < 0 || b < 0 {
			return 0, false
		}
		for d := a; ; d = (d + 1) % 7 {
			days |= 1 << d
			if d == b {
				break
			}
		}
	}
	return days, days != 0
}

// parseClock reads 07:00 as minutes of the day.
func parseClock(s string) (int16, bool) {
	if len(s) != 5 || s[2] != ':' {
		return 0, false
	}
	for _, i := range []int{0, 1, 3, 4} {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	h, m := int16(s[0]-'0')*10+int16(s[1]-'0'), int16(s[3]-'0')*10+int16(s[4]-'0')
	return h*60 + m, m < 60 && h*60+m <= 24*60
}

// IsZero reports whether h is the zero value, which holds never.
func (h Hours) IsZero() bool { return h == Hours{} }

// whole reports whether h covers whole days.
func (h Hours) whole() bool { return h.from == h.to }

// Contains reports whether h holds at t, on the clock of t's location.
func (h Hours) Contains(t time.Time) bool {
	minute, day := int16(t.Hour()*60+t.Minute()), int(t.Weekday())
	today, yesterday := h.days&(1<<day) != 0, h.days&(1<<((day+6)%7)) != 0
	switch {
	case h.whole():
		return today
	case h.from < h.to || h.to == 0:
		return today && minute >= h.from && (h.to == 0 || minute < h.to)
	}
	return today && minute >= h.from || yesterday && minute < h.to
}

// End returns when h ceases to hold, for a t at which it holds: t itself where it
// does not, and the zero time where it always holds.
func (h Hours) End(t time.Time) time.Time {
	for range 16 { // a week of whole days and some
		if !h.Contains(t) {
			return t
		}
		next := time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, t.Location())
		if !h.whole() && h.to > 0 {
			if at := time.Date(t.Year(), t.Month(), t.Day(), int(h.to)/60, int(h.to)%60, 0, 0, t.Location()); at.After(t) {
				next = at
			}
		}
		t = next
	}
	return time.Time{}
}

// String returns the text form; "" for the zero value.
func (h Hours) String() string {
	if h.IsZero() {
		return ""
	}
	var parts []string
	if h.days != everyDay || h.whole() {
		parts = append(parts, h.dayText())
	}
	if !h.whole() {
		to := h.to
		if to == 0 {
			to = 24 * 60
		}
		parts = append(parts, fmt.Sprintf("%02d:%02d-%02d:%02d", h.from/60, h.from%60, to/60, to%60))
	}
	return strings.Join(parts, " ")
}

// dayText writes the days: runs of three and more as a range, beginning on
// Monday.
func (h Hours) dayText() string {
	var parts []string
	for i := 0; i < 7; {
		name := func(i int) string { return dayNames[(i+1)%7] }
		on := func(i int) bool { return i < 7 && h.days&(1<<((i+1)%7)) != 0 }
		if !on(i) {
			i++
			continue
		}
		j := i
		for on(j + 1) {
			j++
		}
		if j-i >= 2 {
			parts = append(parts, name(i)+"-"+name(j))
		} else {
			for k := i; k <= j; k++ {
				parts = append(parts, name(k))
			}
		}
		i = j + 1
	}
	return strings.Join(parts, ",")
}

// MarshalText implements encoding.TextMarshaler.
func (h Hours) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hours) UnmarshalText(b []byte) (err error) {
	*h, err = ParseHours(string(b))
	return err
}
