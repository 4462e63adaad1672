package fail2ban

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// datePart is what a letter of a date pattern stands for.
type datePart struct {
	group string // that it captures; "" = none
	body  string // in Python's syntax
	blank bool   // a blank may stand before it
}

// expr returns the expression of the field.
func (f datePart) expr() string {
	s := f.body
	if f.group != "" {
		s = "(?P<" + f.group + ">" + s + ")"
	}
	if f.blank {
		s = " ?" + s
	}
	return s
}

// The parts of dates that several letters share. The order of alternatives counts:
// it decides what a letter takes of digits that stand without a sign between them.
const (
	twoDigits   = `\d\d`
	fourDigits  = `\d{4}`
	sixty       = `[0-5]\d`
	weekNumber  = `5[0-3]|[0-4]\d|\d`
	abbreviated = `[A-Z](?:[A-Z]{2,4})?`   // of zones
	hoursAway   = `[+-][01]\d(?::?\d{2})?` // from UTC
)

// dateFields are the letters of strptime, as widely as fail2ban takes them, and its
// own with Ex in front, which want two digits where two are due. Those of Python's
// strptime are documented in its library reference.
var dateFields = map[string]datePart{
	"%": {body: `%`},
	"a": {group: "a", body: shortNames(dayNames)},
	"A": {group: "A", body: longNames(dayNames)},
	"b": {group: "b", body: shortNames(monthNames)},
	"B": {group: "B", body: longNames(monthNames)},
	"p": {group: "p", body: `am|pm`},
	// Parts of a day.
	"H": {group: "H", body: `[01]?\d|2[0-3]`},
	"I": {group: "I", body: `1[012]|0[1-9]|[1-9]`},
	"k": {group: "H", body: `[012]?\d`, blank: true},
	"l": {group: "I", body: `1?\d`, blank: true},
	"M": {group: "M", body: `[0-5]?\d`},
	"S": {group: "S", body: `[0-5]?\d|6[01]`},
	"f": {group: "f", body: `\d{1,6}`},
	// Parts of a year.
	"d": {group: "d", body: `[12]\d|[ 0]?[1-9]|3[01]`},
	"m": {group: "m", body: `0?[1-9]|1[012]`},
	"Y": {group: "Y", body: fourDigits},
	"y": {group: "y", body: twoDigits},
	"j": {group: "j", body: `36[0-6]|3[0-5]\d|[12]\d\d|0[1-9]\d|00[1-9]|[1-9]\d|0?[1-9]`},
	"w": {group: "w", body: `[0-6]`},
	"u": {group: "u", body: `[1-7]`},
	"U": {group: "U", body: weekNumber},
	"W": {group: "W", body: weekNumber},
	"V": {group: "V", body: `5[0-3]|0[1-9]|[1-4]\d|\d`},
	"G": {group: "G", body: fourDigits},
	// Zones.
	"Z": {group: "Z", body: `Z|[A-Z]{3,5}`},
	"z": {group: "z", body: `Z|GMT|UTC|` + hoursAway},
	// With all digits that are due.
	"ExZ": {group: "Z", body: abbreviated},
	"Exz": {group: "z", body: `(?:` + abbreviated + `)?` + hoursAway + `|` + abbreviated},
	"Exd": {group: "d", body: `[12]\d|0[1-9]|3[01]`},
	"Exm": {group: "m", body: `0[1-9]|1[012]`},
	"ExH": {group: "H", body: `[01]\d|2[0-3]`},
	"Exk": {group: "H", body: `[01]?\d|2[0-3]`, blank: true},
	"Exl": {group: "I", body: `1[012]|\d`, blank: true},
	"ExM": {group: "M", body: sixty},
	"ExS": {group: "S", body: sixty + `|6[01]`},
	// fail2ban allows the decades up to the next but few; which ones they are
	// depends on its clock, and we read none.
	"ExY": {group: "Y", body: `20\d\d`},
	"Exy": {group: "y", body: twoDigits},
}

// shortNames are the first three letters of names, one or the other.
func shortNames(names []string) string {
	var out []string
	for _, n := range names {
		out = append(out, n[:3])
	}
	return strings.Join(out, "|")
}

// longNames are names, one or the other, the longest first.
func longNames(names []string) string {
	out := slices.Clone(names)
	slices.SortStableFunc(out, func(a, b string) int { return len(b) - len(a) })
	return strings.Join(out, "|")
}

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

// zoneHours are the offsets of named zones in hours; the letters of military
// zones are worked out.
var zoneHours = map[string]float64{
	"UTC": 0, "GMT": 0, "WET": 0, "WT": 0, "EGST": 0,
	"CET": 1, "WAT": 1, "WEST": 1, "DFT": 1, "CEST": 2, "CEDT": 2, "EET": 2, "SAST": 2, "CAT": 2, "WAST": 2,
	"MSK": 3, "EAT": 3, "EEST": 3, "EEDT": 3, "IDT": 3, "IRST": 3.5, "MSD": 4, "GST": 4, "GET": 4, "AZT": 4, "AMT": 4, "SAMT": 4, "MUT": 4,
	"AFT": 4.5, "IRDT": 4.5, "UZT": 5, "TMT": 5, "TJT": 5, "YEKT": 5, "MVT": 5, "SLT": 5.5, "NPT": 5.75, "ALMT": 6, "OMST": 6, "NOVT": 6, "MMT": 6.5, "CCT": 6.5,
	"ICT": 7, "WIB": 7, "KRAT": 7, "HKT": 8, "SGT": 8, "PHT": 8, "MYT": 8, "AWST": 8, "IRKT": 8, "ULAT": 8, "WITA": 8, "BNT": 8, "JST": 9, "KST": 9, "YAKT": 9, "WIT": 9,
	"ACST": 9.5, "AEST": 10, "PGT": 10, "VLAT": 10, "ACDT": 10.5, "LHST": 10.5, "AEDT": 11, "MAGT": 11, "NCT": 11, "SBT": 11, "NFT": 11.5, "NZST": 12, "FJT": 12, "PETT": 12, "NZDT": 13,
	"AZOT": -1, "CVT": -1, "FNT": -2, "BRST": -2, "UYST": -2, "NDT": -2.5, "HAT": -2.5, "ART": -3, "BRT": -3, "ADT": -3, "UYT": -3, "CLST": -3, "GFT": -3, "PYST": -3, "NST": -3.5, "NT": -3.5, "HNT": -3.5,
	"AST": -4, "EDT": -4, "CLT": -4, "BOT": -4, "PYT": -4, "GYT": -4, "VET": -4.5, "EST": -5, "ET": -5, "CDT": -5, "COT": -5, "PET": -5, "ECT": -5,
	"CST": -6, "MDT": -6, "GALT": -6, "MST": -7, "PDT": -7, "PST": -8, "PT": -8, "AKDT": -8, "AKST": -9, "HADT": -9, "MART": -9.5, "HAST": -10, "HST": -10, "CKT": -10, "TAHT": -10, "SST": -11, "NUT": -11,
}

// zoneOffset returns the offset of a zone such as Z, CEST, +0200, UTC-07:00, in
// minutes east of UTC.
func zoneOffset(s string) (int, error) {
	i := strings.IndexAny(s, "+-")
	name, off := s, ""
	if i >= 0 {
		name, off = s[:i], s[i:]
	}
	base, ok := zoneHours[name]
	if len(name) == 1 {
		base, ok = militaryHours(name[0])
	}
	if !ok && name != "" {
		return 0, fmt.Errorf("%w: the zone %q is not known", errDate, clip(s))
	}
	if off == "" {
		return int(base * 60), nil
	}
	digits := strings.Replace(off[1:], ":", "", 1)
	v, err := strconv.Atoi(digits)
	if err != nil || len(digits) != 2 && len(digits) != 4 {
		return 0, errDate
	}
	if len(digits) == 2 {
		v *= 100
	}
	minutes := v/100*60 + v%100
	if off[0] == '-' {
		minutes = -minutes
	}
	return int(base*60) + minutes, nil
}

// militaryHours returns the offset of a zone of one letter.
func militaryHours(c byte) (float64, bool) {
	switch {
	case c == 'Z':
		return 0, true
	case c >= 'A' && c <= 'I':
		return float64(c-'A') + 1, true
	case c >= 'K' && c <= 'M':
		return float64(c - 'A'), true
	case c >= 'N' && c <= 'Y':
		return -float64(c-'N') - 1, true
	}
	return 0, false
}
