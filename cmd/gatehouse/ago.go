package main

import (
	"strconv"
	"time"

	"gatehouse/internal/gate"
)

// rough writes a duration in one unit, rounded down: 45s, 9m, 3h, 12d.
func rough(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return strconv.Itoa(int(d/time.Second)) + "s"
	case d < 2*time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	case d < 2*gate.Day:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	}
	return strconv.Itoa(int(d/gate.Day)) + "d"
}

// ago writes how long ago a time is: `3m ago`; `never` for none.
func (e *env) ago(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "never"
	}
	d := e.now().Sub(*t)
	if d < 0 {
		return "in " + rough(-d)
	}
	if d < time.Second {
		return "now"
	}
	return rough(d) + " ago"
}

// ends writes when a ban ends: `in 9m`; `never` where it has no end.
func (e *env) ends(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "never"
	}
	d := t.Sub(e.now())
	if d <= 0 {
		return "now"
	}
	return "in " + rough(d)
}

// clock writes a time to the second in the zone of the reader.
func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }

// grouped writes a number with commas between thousands.
func grouped[N int | int64 | uint64](n N) string {
	s := strconv.FormatInt(int64(n), 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// counted writes a number with its noun: `1 ban`, `3 bans`.
func counted[N int | int64 | uint64](n N, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + one + "s"
}

// size writes a number of bytes in decimal units.
func size[N int | int64 | uint64](n N) string {
	f, unit := float64(n), "B"
	for _, u := range []string{"kB", "MB", "GB", "TB", "PB"} {
		if f < 1000 {
			break
		}
		f, unit = f/1000, u
	}
	if unit == "B" {
		return grouped(n) + " B"
	}
	return strconv.FormatFloat(f, 'f', 1, 64) + " " + unit
}
