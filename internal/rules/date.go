package rules

import "bytes"

// stampKind says how a date was written.
type stampKind uint8

const (
	stampNone stampKind = iota
	stampBSD            // no year: 11-21 08:00:00
	stampFull           // year, no zone
	stampZone           // year and offset from UTC
	stampUnix           // seconds since 1970, in sec
)

// stamp is a date as found in a line, not yet a time: the year may have to be
// guessed and the zone looked up. Only lines that hit pay for that.
type stamp struct {
	kind              stampKind
	mon, day, h, m, s uint8
	year              uint16
	offset            int32 // seconds east of UTC
	either            bool  // with stampFull: month and day may have changed places
	nsec              int32
	sec               int64 // stampUnix
}

// cutStamp reads a date at the beginning of b and returns what follows it and
// its space.
func cutStamp(b []byte) (st stamp, rest []byte, ok bool) {
	if len(b) < 12 {
		return st, b, false
	}
	c := b[0]
	switch {
	case c >= '0' && c <= '9':
		if b[4] == '-' {
			st, rest, ok = cutISO(b)
		} else {
			st, rest, ok = cutUnix(b)
		}
	case c >= 'A' && c <= 'Z':
		if b[3] != ' ' {
			return st, b, false
		}
		if isWeekday(b) {
			if b = b[4:]; len(b) > 4 && b[4] == '-' {
				if st, rest, ok = cutISO(b); ok && st.kind == stampFull {
					rest = cutAnyZone(&st, rest)
				}
				break
			}
		}
		st, rest, ok = cutBSD(b)
	}
	if !ok || len(rest) == 0 || rest[0] != ' ' {
		return stamp{}, b, false
	}
	return st, rest[1:], true
}

// cutBSD reads `Nov 21 08:00:00`, `Nov  1 08:00:00.123`, `Nov 1 08:00:00` and
// `Nov 21 08:00:00 2026`.
func cutBSD(b []byte) (st stamp, rest []byte, ok bool) {
	if len(b) < 15 || b[3] != ' ' {
		return st, b, false
	}
	mon := month(b[0], b[1], b[2])
	day, ok := two(b[4:])
	clock := b[6:]
	switch {
	case b[6] == ' ':
		clock = b[7:]
		if b[4] == ' ' {
			day, ok = b[5]-'0', b[5] >= '1' && b[5] <= '9'
		}
	case b[5] == ' ':
		day, ok = b[4]-'0', b[4] >= '1' && b[4] <= '9'
	default:
		return st, b, false
	}
	if mon == 0 || !ok {
		return st, b, false
	}
	st = stamp{kind: stampBSD, mon: mon, day: day}
	if rest, ok = cutClock(&st, clock); !ok {
		return st, b, false
	}
	if len(rest) > 5 && rest[0] == ' ' && rest[5] == ' ' {
		if y, ok := four(rest[1:]); ok && y >= 1970 {
			st.kind, st.year, rest = stampFull, y, rest[5:]
		}
	}
	return st, rest, valid(&st)
}

// cutISO reads `2026-11-21T08:00:00`, with a space in place of the T, with a
// fraction behind a point or a comma, with `Z`, `+01:00`, `+0100`, `+01`, ` UTC`
// or the name of another zone behind it (RFC 3339, ISO 8601).
func cutISO(b []byte) (st stamp, rest []byte, ok bool) {
	if len(b) < 19 || b[4] != '-' || b[7] != '-' || b[10] != 'T' && b[10] != ' ' {
		return st, b, false
	}
	y, ok1 := four(b)
	mon, ok2 := two(b[5:])
	day, ok3 := two(b[8:])
	st = stamp{kind: stampFull, year: y, mon: mon, day: day}
	if rest, ok = cutClock(&st, b[11:]); !ok || !ok1 || !ok2 || !ok3 || !valid(&st) {
		return st, b, false
	}
	if n := len(rest); n > 0 && (rest[0] == 'Z' || rest[0] == '+' || rest[0] == '-') {
		rest, ok = cutOffset(&st, rest)
		return st, rest, ok
	}
	if b[10] == ' ' {
		rest = cutZoneName(&st, rest)
	}
	return st, rest, true
}

// cutOffset reads `Z`, `+01:00`, `+0100` or `+01`. It is false for a sign that
// no offset follows.
func cutOffset(st *stamp, b []byte) ([]byte, bool) {
	if len(b) == 0 || b[0] == 'Z' {
		st.kind = stampZone
		return b[min(1, len(b)):], true
	}
	h, ok := two(b[1:])
	if !ok || h > 23 {
		return b, false
	}
	st.kind, st.offset = stampZone, int32(h)*3600
	rest := b[3:]
	if len(rest) > 2 && rest[0] == ':' {
		rest = rest[1:]
	}
	if m, ok := two(rest); ok && m < 60 {
		st.offset += int32(m) * 60
		rest = rest[2:]
	}
	if b[0] == '-' {
		st.offset = -st.offset
	}
	return rest, true
}

// cutZoneName takes ` CET` off. UTC is known; other names are read over, as
// several zones share one, and the date is taken for one of the source's zone.
func cutZoneName(st *stamp, b []byte) []byte {
	if len(b) < 4 || b[0] != ' ' {
		return b
	}
	n := 1
	for n < min(len(b), 6) && b[n] >= 'A' && b[n] <= 'Z' {
		n++
	}
	if n < len(b) && isWordByte(b[n]) {
		return b
	}
	switch string(b[1:n]) {
	case "UTC", "GMT":
		st.kind = stampZone
	case "CET", "CEST", "WET", "WEST", "BST", "IST", "EET", "EEST", "MSK", "TRT", "SAST", "WAT", "CAT", "EAT",
		"EST", "EDT", "CST", "CDT", "MST", "MDT", "PST", "PDT", "AKST", "AKDT", "HST", "AST", "ADT", "NST", "NDT", "BRT", "ART",
		"PKT", "WIB", "HKT", "SGT", "PHT", "KST", "JST", "AWST", "ACST", "ACDT", "AEST", "AEDT", "NZST", "NZDT":
	default:
		return b
	}
	return b[n:]
}

// cutAnyZone takes the zone off that journalctl writes behind a date: a name of
// three letters or more, or ` -03` where the zone has none.
func cutAnyZone(st *stamp, b []byte) []byte {
	n := bytes.IndexByte(b[min(1, len(b)):min(len(b), 8)], ' ') + 1
	if n < 4 || b[0] != ' ' {
		return b
	}
	if b[1] == '+' || b[1] == '-' {
		t := *st
		if rest, ok := cutOffset(&t, b[1:]); ok && len(b)-len(rest) == n {
			*st = t
			return rest
		}
		return b
	}
	for _, c := range b[1:n] {
		if c < 'A' || c > 'Z' {
			return b
		}
	}
	return b[n:]
}

// cutUnix reads `1795244400.123456`.
func cutUnix(b []byte) (st stamp, rest []byte, ok bool) {
	n := 0
	for n < len(b) && n < 12 && b[n] >= '0' && b[n] <= '9' {
		st.sec = st.sec*10 + int64(b[n]-'0')
		n++
	}
	if n < 9 || n > 11 || n >= len(b) || b[n] != '.' {
		return st, b, false
	}
	st.kind = stampUnix
	rest = cutFraction(&st, b[n:])
	return st, rest, true
}

// cutClock reads `08:00:00` and a fraction behind it.
func cutClock(st *stamp, b []byte) ([]byte, bool) {
	if len(b) < 8 || b[2] != ':' || b[5] != ':' {
		return b, false
	}
	var ok1, ok2, ok3 bool
	st.h, ok1 = two(b)
	st.m, ok2 = two(b[3:])
	st.s, ok3 = two(b[6:])
	if !ok1 || !ok2 || !ok3 || st.h > 23 || st.m > 59 || st.s > 60 {
		return b, false
	}
	return cutFraction(st, b[8:]), true
}

// cutFraction reads `.123456` or `,123`; digits beyond nanoseconds are dropped.
func cutFraction(st *stamp, b []byte) []byte {
	if len(b) < 2 || b[0] != '.' && b[0] != ',' || b[1] < '0' || b[1] > '9' {
		return b
	}
	unit := int32(100_000_000)
	i := 1
	for ; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
		st.nsec += int32(b[i]-'0') * unit
		unit /= 10
	}
	return b[i:]
}

func two(b []byte) (uint8, bool) {
	if len(b) < 2 {
		return 0, false
	}
	x, y := b[0]-'0', b[1]-'0'
	return x*10 + y, x <= 9 && y <= 9
}

func four(b []byte) (uint16, bool) {
	x, ok1 := two(b)
	y, ok2 := two(b[2:])
	return uint16(x)*100 + uint16(y), ok1 && ok2
}

// month returns 1 to 12 for an English abbreviation, else 0.
func month(a, b, c byte) uint8 {
	switch string([]byte{a, b, c}) {
	case "Jan":
		return 1
	case "Feb":
		return 2
	case "Mar":
		return 3
	case "Apr":
		return 4
	case "May":
		return 5
	case "Jun":
		return 6
	case "Jul":
		return 7
	case "Aug":
		return 8
	case "Sep":
		return 9
	case "Oct":
		return 10
	case "Nov":
		return 11
	case "Dec":
		return 12
	}
	return 0
}

func isWeekday(b []byte) bool {
	switch string(b[:4]) {
	case "Mon ", "Tue ", "Wed ", "Thu ", "Fri ", "Sat ", "Sun ":
		return true
	}
	return false
}

// valid reports whether the month has that day; without a year, 29 February
// is a day.
func valid(st *stamp) bool {
	if st.mon < 1 || st.mon > 12 || st.day < 1 {
		return false
	}
	if st.mon == 2 && st.day == 29 {
		return st.kind == stampBSD || leap(int(st.year))
	}
	return st.day <= monthDays[st.mon-1]
}

var monthDays = [12]uint8{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

func leap(y int) bool { return y%4 == 0 && (y%100 != 0 || y%400 == 0) }
