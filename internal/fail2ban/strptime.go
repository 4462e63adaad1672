package fail2ban

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// dateExpr replaces the letters of a pattern by expressions.
func dateExpr(pattern string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		if pattern[i] != '%' {
			b.WriteByte(pattern[i])
			continue
		}
		rest, n := pattern[i+1:], 1
		if strings.HasPrefix(rest, "Ex") && len(rest) > 2 {
			n = 3
		}
		switch {
		case rest == "":
			return "", errors.New("a % stands at its end: write %% for a percent sign")
		case strings.HasPrefix(rest, "c"):
			b.WriteString(composed(`%a %b %d %H:%M:%S %Y`))
		case strings.HasPrefix(rest, "x"):
			b.WriteString(composed(`%m/%d/%y`))
		case strings.HasPrefix(rest, "X"):
			b.WriteString(composed(`%H:%M:%S`))
		default:
			f, ok := dateFields[rest[:n]]
			if !ok {
				return "", fmt.Errorf("%%%s is not a part of a date", rest[:n])
			}
			b.WriteString(f.expr())
		}
		i += n
	}
	return b.String(), nil
}

func composed(pattern string) string {
	s, _ := dateExpr(strings.ReplaceAll(pattern, " ", `\s+`))
	return s
}

var (
	monthNames = []string{"january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"}
	dayNames   = []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}
)

// nameIndex finds a name, or its first three letters.
func nameIndex(names []string, s string) int {
	s = strings.ToLower(s)
	for i, n := range names {
		if n == s || n[:3] == s {
			return i
		}
	}
	return -1
}

// errDate says that what looked like a date is none, such as the 30th of
// February.
var errDate = errors.New("not a date")

// fields are the parts of a date that were found; -1 = not found.
type fields struct {
	year, month, day, hour, minute, second int
	weekday, yearday, week                 int
	sundays                                bool // weeks begin on Sunday
	offset                                 int  // minutes east of UTC
	hasOffset                              bool
}

// dateFrom works out a date from its parts; at returns the text of a part. A
// missing year is this one or the last, a missing day today or yesterday. Zone
// holds where nothing else is said; fixed is the offset of a zone given by the
// jail, in minutes.
func dateFrom(at func(part byte) (string, bool), now time.Time, zone *time.Location, fixed *int) (time.Time, error) {
	f := fields{year: -1, month: -1, day: -1, weekday: -1, yearday: -1, week: -1}
	for _, part := range []byte("yYmBbdHIMSAaw" + "jUWzZ") {
		if s, ok := at(part); ok {
			if err := f.set(part, s, at); err != nil {
				return time.Time{}, err
			}
		}
	}
	if !f.hasOffset && fixed != nil {
		f.offset, f.hasOffset = *fixed, true
	}
	return f.date(now.In(zone), zone)
}

func (f *fields) set(part byte, s string, at func(byte) (string, bool)) error {
	n := 0
	if strings.IndexByte("yYmdHIMSwjUW", part) >= 0 {
		var err error
		if n, err = atoi(s); err != nil {
			return err
		}
	}
	switch part {
	case 'y':
		if f.year = n; n <= 2000 {
			f.year += 2000
		}
	case 'Y':
		f.year = n
	case 'm':
		f.month = n
	case 'b', 'B':
		f.month = nameIndex(monthNames, s) + 1
	case 'd':
		f.day = n
	case 'H':
		f.hour = n
	case 'I':
		half, _ := at('p')
		half = strings.ToLower(half)
		switch {
		case half == "pm" && n != 12:
			n += 12
		case half != "pm" && n == 12:
			n = 0
		}
		f.hour = n
	case 'M':
		f.minute = n
	case 'S':
		f.second = n
	case 'a', 'A':
		f.weekday = nameIndex(dayNames, s)
	case 'w':
		f.weekday = (n + 6) % 7
	case 'j':
		f.yearday = n
	case 'U', 'W':
		f.week, f.sundays = n, part == 'U'
	case 'z', 'Z':
		off, err := zoneOffset(s)
		if err != nil {
			return err
		}
		f.offset, f.hasOffset = off, true
	}
	return nil
}

// atoi reads decimal digits, also those of other scripts.
func atoi(s string) (int, error) {
	n := 0
	for _, r := range strings.TrimSpace(s) {
		d := digit(r)
		if d < 0 || n > 1e8 {
			return 0, errDate
		}
		n = n*10 + d
	}
	return n, nil
}

func (f *fields) date(now time.Time, zone *time.Location) (time.Time, error) {
	assumeYear := f.year < 0
	if assumeYear {
		f.year = now.Year()
	}
	if f.month < 0 || f.day < 0 {
		if f.yearday < 0 && f.week >= 0 && f.weekday >= 0 {
			f.yearday = yeardayOf(f.year, f.week, f.weekday, f.sundays)
		}
		if f.yearday >= 0 {
			t := time.Date(f.year, 1, f.yearday, 0, 0, 0, 0, time.UTC)
			f.year, f.month, f.day = t.Year(), int(t.Month()), t.Day()
		}
	}
	assumeToday := f.month < 0 && f.day < 0
	if assumeToday {
		f.month, f.day = int(now.Month()), now.Day()
	}
	if !isDate(f.year, f.month, f.day) || f.hour > 23 || f.minute > 59 || f.second > 59 {
		return time.Time{}, errDate
	}
	// Compared as fail2ban does: the clock on the wall with the date's, without
	// regard to what zone it was written in.
	t := time.Date(f.year, time.Month(f.month), f.day, f.hour, f.minute, f.second, 0, time.UTC)
	wall := time.Date(now.Year(), now.Month(), now.Day(), now.Hour(), now.Minute(), now.Second(), now.Nanosecond(), time.UTC)
	if f.hasOffset {
		t = t.Add(-time.Duration(f.offset) * time.Minute)
	}
	if assumeToday && t.After(wall) {
		t = t.AddDate(0, 0, -1)
	}
	if assumeYear && t.After(wall.Add(24*time.Hour)) {
		if !isDate(f.year-1, f.month, f.day) {
			return time.Time{}, errDate
		}
		t = time.Date(f.year-1, time.Month(f.month), f.day, t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
	}
	if f.hasOffset {
		return t, nil
	}
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, zone), nil
}

func isDate(y, m, d int) bool {
	if y < 1 || y > 9999 || m < 1 || m > 12 || d < 1 {
		return false
	}
	return time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC).Day() == d
}

// yeardayOf returns the day of the year of a weekday (0 = Monday) in a week.
func yeardayOf(year, week, weekday int, sundays bool) int {
	first := (int(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).Weekday()) + 6) % 7
	if sundays {
		first, weekday = (first+1)%7, (weekday+1)%7
	}
	zero := (7 - first) % 7
	if week == 0 {
		return 1 + weekday - first
	}
	return 1 + zero + 7*(week-1) + weekday
}
