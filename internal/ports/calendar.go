package ports

import "time"

// lookFar bounds how far ahead and back a time is looked for: from one leap day
// to the next may be eight years.
const lookFar = 9 * 366 // days

// zoneSpan is a stretch of time in which a zone is so far from UTC.
type zoneSpan struct {
	start, end int64 // Unix seconds; end is not in it
	offset     int64 // seconds east of UTC
}

// spansAround returns the stretches of a zone that a day of its calendar may
// touch; midnight is the day's beginning as if it were in UTC.
func spansAround(midnight int64, zone *time.Location) (out []zoneSpan) {
	const reach = 50 * 3600 // no zone is further from UTC, and none ever skipped more
	for t := midnight - reach; t < midnight+86400+reach; {
		_, offset := time.Unix(t, 0).In(zone).Zone()
		from, to := time.Unix(t, 0).In(zone).ZoneBounds()
		s := zoneSpan{start: -1 << 62, end: 1 << 62, offset: int64(offset)}
		if !from.IsZero() {
			s.start = from.Unix()
		}
		if !to.IsZero() {
			s.end = to.Unix()
		}
		out = append(out, s)
		t = s.end
	}
	return out
}

// instant returns when a clock on the wall first shows a time, which is given as
// if it were in UTC. A time that it never shows is when it jumps over it.
func instant(wall int64, spans []zoneSpan) int64 {
	for _, s := range spans {
		if t := wall - s.offset; t >= s.start && t < s.end {
			return t
		}
	}
	for i := 1; i < len(spans); i++ {
		if jump := spans[i].start; wall-spans[i-1].offset >= jump && wall-spans[i].offset < jump {
			return jump
		}
	}
	return wall - spans[0].offset // not reached: the stretches have no gap
}

// dayOf returns the beginning of the day of a zone's calendar that a time is on,
// as if it were in UTC.
func dayOf(t time.Time, zone *time.Location) int64 {
	y, m, d := t.In(zone).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix()
}

// Next returns when c next fires behind a time; the zero Time if never.
func (c Cron) Next(after time.Time, zone *time.Location) time.Time {
	day := dayOf(after, zone) - 2*86400
	for range lookFar {
		if t, ok := c.first(day, after.Unix(), zone); ok {
			return time.Unix(t, 0).UTC()
		}
		day += 86400
	}
	return time.Time{}
}

// Last returns when c last fired at or before a time; the zero Time if never.
func (c Cron) Last(at time.Time, zone *time.Location) time.Time {
	day := dayOf(at, zone) + 2*86400
	for range lookFar {
		if t, ok := c.last(day, at.Unix(), zone); ok {
			return time.Unix(t, 0).UTC()
		}
		day -= 86400
	}
	return time.Time{}
}

// matches reports whether a day matches, given as the Unix time of its beginning
// as if in UTC.
func (c Cron) matches(day int64) bool {
	t := time.Unix(day, 0).UTC()
	return c.onDay(int(t.Month()), t.Day(), int(t.Weekday()))
}

// first returns the first firing of a day behind a time. Firings come in the
// order of the clock on the wall.
func (c Cron) first(day, after int64, zone *time.Location) (int64, bool) {
	if !c.matches(day) {
		return 0, false
	}
	spans := spansAround(day, zone)
	for m := range 24 * 60 {
		if c.at(m/60, m%60) {
			if t := instant(day+int64(m)*60, spans); t > after {
				return t, true
			}
		}
	}
	return 0, false
}

func (c Cron) last(day, at int64, zone *time.Location) (int64, bool) {
	if !c.matches(day) {
		return 0, false
	}
	spans := spansAround(day, zone)
	for m := 24*60 - 1; m >= 0; m-- {
		if c.at(m/60, m%60) {
			if t := instant(day+int64(m)*60, spans); t <= at {
				return t, true
			}
		}
	}
	return 0, false
}
