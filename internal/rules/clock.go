package rules

import "time"

// days returns the number of days from 1 January 1970 to a date of the
// Gregorian calendar.
func days(y, mon, day int) int64 {
	if mon <= 2 {
		y, mon = y-1, mon+12
	}
	// Counted from 1 March of year 0, so that the leap day ends a year.
	return int64(365*y+y/4-y/100+y/400+(153*(mon-3)+2)/5+day-1) - 719468
}

// clock turns stamps into times: it knows the zone of a source and remembers
// the last minute that it worked out. Not for concurrent use.
type clock struct {
	zone     *time.Location
	last     stamp // minute of the last answer: seconds and fraction zero
	unix     int64 // the answer
	from, to int64 // of a stamp without a year: while now is in [from, to) the answer holds
}

// futureYear is how far ahead of now a date without a year may be: clocks
// differ, and zones differ by less than a day. Seconds are not looked at.
const futureYear = 24 * 3600

// time returns the time of the stamp, in UTC; the zero time where it has none.
func (c *clock) time(st stamp, now time.Time) time.Time {
	sec, nsec := int64(0), int64(st.nsec)
	switch st.kind {
	case stampNone:
		return time.Time{}
	case stampUnix:
		return time.Unix(st.sec, nsec).UTC()
	case stampZone:
		sec = days(int(st.year), int(st.mon), int(st.day))*86400 + int64(st.h)*3600 + int64(st.m)*60 - int64(st.offset)
	default:
		minute := st
		minute.s, minute.nsec = 0, 0
		n := now.Unix()
		if minute != c.last || st.either || st.kind == stampBSD && (n < c.from || n >= c.to) {
			if !c.resolve(minute, now) {
				return time.Time{}
			}
		}
		sec = c.unix
	}
	return time.Unix(sec+int64(st.s), nsec).UTC()
}

// resolve works out a minute in the zone of the source. A missing year is the
// latest one that makes the date at most futureYear later than now; of a leap
// day it may lie up to 8 years back.
func (c *clock) resolve(st stamp, now time.Time) bool {
	c.last = stamp{}
	n := now.Unix()
	if st.kind == stampFull {
		c.last, c.unix = st, c.at(int(st.year), st)
		if st.either {
			swapped := st
			swapped.mon, swapped.day = st.day, st.mon
			if other := c.at(int(st.year), swapped); c.further(c.unix, n) > c.further(other, n) {
				c.unix = other
			}
		}
		return true
	}
	this := now.In(c.zone).Year()
	c.to = 1<<63 - 1
	for y := this + 1; y >= this-8; y-- {
		if st.mon == 2 && st.day == 29 && !leap(y) {
			continue
		}
		unix := c.at(y, st)
		if unix-futureYear <= n {
			c.last, c.unix, c.from = st, unix, unix-futureYear
			return true
		}
		c.to = unix - futureYear
	}
	return false
}

// further returns how far a date lies from now in seconds; the future counts as
// further away than any past.
func (c *clock) further(unix, now int64) int64 {
	if unix-futureYear > now {
		return unix - now + 1<<40
	}
	return max(now-unix, unix-now)
}

func (c *clock) at(year int, st stamp) int64 {
	return time.Date(year, time.Month(st.mon), int(st.day), int(st.h), int(st.m), 0, 0, c.zone).Unix()
}
