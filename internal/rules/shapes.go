package rules

import "bytes"

// dateShape is one way in which programs write dates.
type dateShape struct {
	example string
	cut     func(b []byte) (st stamp, rest []byte, ok bool)
}

// dateShapes are the dates that a line may begin with. No text is a date of two
// shapes, so their order matters to speed alone.
var dateShapes = [...]dateShape{
	{"2026-11-21 08:00:00", cutYMD},
	{"Nov 21 08:00:00", cutBSDYear},
	{"Sat Nov 21 08:00:00 2026", cutCtime},
	{"21/Nov/2026:08:00:00 +0100", cutDMY},
	{"1795244400.123", cutEpoch},
	{"Nov 21, 2026 8:00:00 AM", cutMDY},
	{"11/21/2026 08:00:00", cutDigits},
	{"20261121 08:00:00", cutCompact},
	{"261121  8:00:00", cutShort},
	{"@400000006b01417a1dcd6500", cutTAI},
	{"E1121 08:00:00.123456", cutGlog},
}

// cutYMD reads `2026-11-21 08:00:00` with -, / or . between the numbers, T, _
// or a blank behind the day, or a blank in place of the first digit of the
// hour; the month may be a name.
func cutYMD(b []byte) (st stamp, rest []byte, ok bool) {
	if len(b) < 18 {
		return st, b, false
	}
	sep := b[4]
	if sep != '-' && sep != '/' && sep != '.' {
		return st, b, false
	}
	y, ok1 := four(b)
	mon, ok2 := two(b[5:])
	i := 7
	if !ok2 {
		mon, i = month(b[5], b[6], b[7]), 8
	}
	day, ok3 := two(b[i+1:])
	if !ok1 || !ok3 || b[i] != sep {
		return st, b, false
	}
	i += 3
	switch b[i] {
	case 'T', '_', ' ', '-', ':':
	case ',':
		if i++; b[i] != ' ' {
			return st, b, false
		}
	default:
		return st, b, false
	}
	st = stamp{kind: stampFull, year: y, mon: mon, day: day}
	return finish(st, b[i+1:])
}

// finish reads the clock, and a zone behind it.
func finish(st stamp, b []byte) (stamp, []byte, bool) {
	rest, ok := cutLooseClock(&st, b)
	if !ok || !valid(&st) {
		return st, b, false
	}
	return st, cutZone(&st, rest), true
}

// cutLooseClock reads `08:00:00`, `8:00:00` or ` 8:00:00`, a fraction, and ` AM`
// or ` PM`.
func cutLooseClock(st *stamp, b []byte) ([]byte, bool) {
	if len(b) > 0 && b[0] == ' ' {
		b = b[1:]
	}
	if len(b) > 1 && b[1] == ':' {
		if len(b) < 7 || b[0] < '0' || b[0] > '9' || b[4] != ':' {
			return b, false
		}
		var ok1, ok2 bool
		st.h = b[0] - '0'
		st.m, ok1 = two(b[2:])
		st.s, ok2 = two(b[5:])
		if !ok1 || !ok2 || st.m > 59 || st.s > 60 {
			return b, false
		}
		b = cutFraction(st, b[7:])
	} else {
		var ok bool
		if b, ok = cutClock(st, b); !ok {
			return b, false
		}
	}
	if len(b) > 2 && b[0] == ' ' && b[2]|0x20 == 'm' && (b[1]|0x20 == 'a' || b[1]|0x20 == 'p') && (len(b) == 3 || !isWordByte(b[3])) {
		if st.h < 1 || st.h > 12 {
			return b, false
		}
		if st.h %= 12; b[1]|0x20 == 'p' {
			st.h += 12
		}
		b = b[3:]
	}
	return b, true
}

// cutZone reads `Z`, an offset, a blank and an offset of four digits, or a
// blank and the name of a zone; any of them may be missing.
func cutZone(st *stamp, b []byte) []byte {
	if len(b) > 0 && (b[0] == 'Z' || b[0] == '+' || b[0] == '-') {
		if rest, ok := cutOffset(st, b); ok {
			return rest
		}
		return b
	}
	if len(b) > 5 && b[0] == ' ' && (b[1] == '+' || b[1] == '-') {
		t := *st
		if rest, ok := cutOffset(&t, b[1:]); ok && len(b)-len(rest) >= 6 && (len(rest) == 0 || !isWordByte(rest[0])) {
			*st = t
			return rest
		}
		return b
	}
	return cutZoneName(st, b)
}

// cutBSDYear reads `Nov 21 08:00:00`, with a fraction, and a year behind it or
// before the clock.
func cutBSDYear(b []byte) (st stamp, rest []byte, ok bool) {
	if st, rest, ok = cutBSD(b); ok {
		if len(rest) == 5 && rest[0] == ' ' {
			if y, ok := four(rest[1:]); ok && y >= 1970 {
				st.kind, st.year = stampFull, y
				return st, rest[5:], valid(&st)
			}
		}
		if len(rest) > 5 && rest[0] == ' ' && !isWordByte(rest[5]) && st.kind == stampBSD {
			if y, ok := four(rest[1:]); ok && y >= 1970 && y < 2100 {
				st.kind, st.year, rest = stampFull, y, rest[5:]
			}
		}
		return st, rest, valid(&st)
	}
	if len(b) < 20 || b[3] != ' ' || b[6] != ' ' || b[11] != ' ' {
		return st, b, false
	}
	mon, day, ok1 := month(b[0], b[1], b[2]), uint8(0), false
	if day, ok1 = two(b[4:]); b[4] == ' ' {
		day, ok1 = b[5]-'0', b[5] >= '1' && b[5] <= '9'
	}
	y, ok2 := four(b[7:])
	if mon == 0 || !ok1 || !ok2 {
		return st, b, false
	}
	return finish(stamp{kind: stampFull, year: y, mon: mon, day: day}, b[12:])
}

// cutCtime reads `Sat Nov 21 08:00:00 2026`, `Sat Nov 21 08:00:00 CET 2026` and
// `CET Nov 21 08:00:00`; `Sat, 21 Nov 2026 08:00:00 +0100`.
func cutCtime(b []byte) (st stamp, rest []byte, ok bool) {
	if len(b) < 19 {
		return st, b, false
	}
	switch {
	case isWeekday(b):
		b = b[4:]
	case b[3] == ',' && b[4] == ' ' && isWeekday([]byte{b[0], b[1], b[2], ' '}):
		return cutDMY(b[5:])
	default:
		word := [6]byte{' ', b[0], b[1], b[2], b[3], b[4]}
		after := cutZoneName(&st, word[:])
		if st = (stamp{}); len(after) == 0 || len(after) > 2 || after[0] != ' ' {
			return st, b, false
		}
		b = b[6-len(after):]
	}
	if st, rest, ok = cutBSDYear(b); ok && st.kind == stampBSD {
		if after := cutZoneName(&st, rest); len(after) < len(rest) && len(after) >= 5 && after[0] == ' ' {
			if y, ok := four(after[1:]); ok && y >= 1970 {
				if st.year = y; st.kind == stampBSD {
					st.kind = stampFull
				}
				return st, after[5:], valid(&st)
			}
		}
		st.kind = stampBSD
	}
	return st, rest, ok
}

// cutDMY reads `21/Nov/2026:08:00:00`, `21-Nov-2026 08:00:00` and `21 Nov 2026
// 08:00:00`; in the last form the year may be missing.
func cutDMY(b []byte) (st stamp, rest []byte, ok bool) {
	i := 2
	day, ok := two(b)
	if !ok && len(b) > 1 && (b[1] == ' ' || b[1] == '-' || b[1] == '/') {
		i, day, ok = 1, b[0]-'0', b[0] >= '1' && b[0] <= '9'
	}
	if !ok || len(b) < i+13 {
		return st, b, false
	}
	sep := b[i]
	if sep != '/' && sep != '-' && sep != ' ' || b[i+4] != sep {
		return st, b, false
	}
	mon := month(b[i+1], b[i+2], b[i+3])
	if mon == 0 {
		return st, b, false
	}
	b = b[i+5:]
	y, ok := four(b)
	if !ok {
		if sep != ' ' {
			return st, b, false
		}
		return finish(stamp{kind: stampBSD, mon: mon, day: day}, b)
	}
	if len(b) < 6 || b[4] != ' ' && b[4] != ':' {
		return st, b, false
	}
	if b = b[5:]; b[0] == ':' {
		b = b[1:]
	}
	return finish(stamp{kind: stampFull, year: y, mon: mon, day: day}, b)
}

// longMonths are the names of the months that are longer than their abbreviations.
var longMonths = [12]string{"January", "February", "March", "April", "", "June", "July", "August", "September", "October", "November", "December"}

// cutMDY reads `Nov 21, 2026 8:00:00 AM` and `November 21, 2026 08:00:00`.
func cutMDY(b []byte) (st stamp, rest []byte, ok bool) {
	if len(b) < 19 {
		return st, b, false
	}
	whole := b
	mon := month(b[0], b[1], b[2])
	if mon > 0 && b[3] != ' ' && longMonths[mon-1] != "" && bytes.HasPrefix(b, []byte(longMonths[mon-1])) {
		b = b[len(longMonths[mon-1])-3:]
	}
	if len(b) < 19 || b[3] != ' ' {
		return st, whole, false
	}
	i := 6
	day, ok := two(b[4:])
	if !ok && b[5] == ',' {
		i, day, ok = 5, b[4]-'0', b[4] >= '1' && b[4] <= '9'
	}
	if !ok || mon == 0 || b[i] != ',' || b[i+1] != ' ' || b[i+6] != ' ' && b[i+6] != ',' {
		return st, b, false
	}
	y, ok := four(b[i+2:])
	if !ok {
		return st, b, false
	}
	if b = b[i+6:]; b[0] == ',' {
		b = b[1:]
	}
	return finish(stamp{kind: stampFull, year: y, mon: mon, day: day}, bytes.TrimPrefix(b, []byte(" ")))
}

// cutDigits reads `11/21/2026 08:00:00`, `21.11.2026 08:00:00` and `21-11-2026
// 08:00:00`. Between slashes the first number is the month, or the day: which
// of them comes nearer to now is found out when the date is worked out.
func cutDigits(b []byte) (st stamp, rest []byte, ok bool) {
	if len(b) < 18 || b[2] != b[5] || b[2] != '/' && b[2] != '.' && b[2] != '-' {
		return st, b, false
	}
	x, ok1 := two(b)
	y, ok2 := two(b[3:])
	year, ok3 := four(b[6:])
	if !ok1 || !ok2 || !ok3 || b[10] != ' ' && b[10] != ',' && b[10] != ':' && b[10] != '-' {
		return st, b, false
	}
	st = stamp{kind: stampFull, year: year, mon: x, day: y}
	switch {
	case b[2] != '/' || x > 12:
		st.mon, st.day = y, x
	case y <= 12 && x != y:
		st.either = true
	}
	b = b[11:]
	return finish(st, bytes.TrimPrefix(b, []byte(" ")))
}

// cutCompact reads `20261121 08:00:00`, `20261121-08:00:00` and
// `20261121T080000`.
func cutCompact(b []byte) (st stamp, rest []byte, ok bool) {
	if len(b) < 15 {
		return st, b, false
	}
	y, ok1 := four(b)
	mon, ok2 := two(b[4:])
	day, ok3 := two(b[6:])
	if !ok1 || !ok2 || !ok3 || b[8] != ' ' && b[8] != '-' && b[8] != 'T' && b[8] != ':' {
		return st, b, false
	}
	st = stamp{kind: stampFull, year: y, mon: mon, day: day}
	if b[8] != 'T' || b[11] == ':' {
		return finish(st, b[9:])
	}
	var ok4, ok5, ok6 bool
	st.h, ok4 = two(b[9:])
	st.m, ok5 = two(b[11:])
	st.s, ok6 = two(b[13:])
	if !ok4 || !ok5 || !ok6 || st.h > 23 || st.m > 59 || st.s > 60 || !valid(&st) {
		return st, b, false
	}
	return st, cutZone(&st, cutFraction(&st, b[15:])), true
}

// cutShort reads `261121  8:00:00` and `26-11-21 08:00:00`: two digits for a
// year from 2000 to 2068.
func cutShort(b []byte) (st stamp, rest []byte, ok bool) {
	if len(b) < 14 {
		return st, b, false
	}
	n := 2
	if b[2] == '-' {
		n = 3
	}
	y, ok1 := two(b)
	mon, ok2 := two(b[n:])
	day, ok3 := two(b[2*n:])
	i := 2*n + 2
	if !ok1 || !ok2 || !ok3 || y > 68 || n == 3 && b[5] != '-' || b[i] != ' ' {
		return st, b, false
	}
	return finish(stamp{kind: stampFull, year: 2000 + uint16(y), mon: mon, day: day}, b[i+1:])
}

// cutEpoch reads `1795244400`, `1795244400.123`, and milli-, micro- or
// nanoseconds: a number since 1970 says by its length which it is.
func cutEpoch(b []byte) (st stamp, rest []byte, ok bool) {
	n, v := 0, int64(0)
	for n < len(b) && n < 20 && b[n] >= '0' && b[n] <= '9' {
		if n < 19 {
			v = v*10 + int64(b[n]-'0')
		}
		n++
	}
	unit := int64(0)
	switch n {
	case 9, 10, 11:
		unit = 1
	case 13:
		unit = 1e3
	case 16:
		unit = 1e6
	case 19:
		unit = 1e9
	default:
		return st, b, false
	}
	if v < 0 {
		return st, b, false
	}
	st = stamp{kind: stampUnix, sec: v / unit, nsec: int32(v % unit * (1e9 / unit))}
	rest = b[n:]
	if unit == 1 {
		if len(rest) > 0 && rest[0] == '.' {
			rest = cutFraction(&st, rest)
		}
	} else {
		var drop stamp
		rest = cutFraction(&drop, rest)
	}
	return st, rest, true
}

// tai is how far TAI64 labels are ahead of the seconds since 1970: 2^62, and
// the 10 seconds that were between TAI and UTC then. What writes them, daemontools
// and s6, does not count leap seconds.
const tai = 1<<62 + 10

// cutTAI reads `@400000006b01417a1dcd6500`: TAI64N, 16 digits for seconds and
// 8 for nanoseconds.
func cutTAI(b []byte) (st stamp, rest []byte, ok bool) {
	if len(b) < 25 || b[0] != '@' || b[1] != '4' {
		return st, b, false
	}
	sec, ok1 := hex(b[1:17])
	nsec, ok2 := hex(b[17:25])
	if !ok1 || !ok2 || sec < tai || sec > tai+1<<37 || nsec > 999_999_999 {
		return st, b, false
	}
	return stamp{kind: stampUnix, sec: int64(sec - tai), nsec: int32(nsec)}, b[25:], true
}

func hex(b []byte) (v uint64, ok bool) {
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		v = v<<4 | uint64(c)
	}
	return v, true
}

// cutGlog reads `E1121 08:00:00.123456`: a letter for the level, no year.
func cutGlog(b []byte) (st stamp, rest []byte, ok bool) {
	if len(b) < 14 || b[5] != ' ' || b[0] != 'I' && b[0] != 'W' && b[0] != 'E' && b[0] != 'F' {
		return st, b, false
	}
	mon, ok1 := two(b[1:])
	day, ok2 := two(b[3:])
	if !ok1 || !ok2 {
		return st, b, false
	}
	st = stamp{kind: stampBSD, mon: mon, day: day}
	if rest, ok = cutClock(&st, b[6:]); !ok || !valid(&st) {
		return st, b, false
	}
	return st, rest, true
}
