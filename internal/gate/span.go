package gate

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Forever is the duration that never ends; its text form is `forever`.
const Forever time.Duration = math.MaxInt64

// Day and Week are the larger units of a duration's text form. They are plain
// multiples of an hour; no calendar is involved.
const (
	Day  = 24 * time.Hour
	Week = 7 * Day
)

// maxDuration is the longest duration that is not Forever: 100 years. It keeps
// every sum of a time and a duration far from overflow.
const maxDuration = 100 * 365 * Day

var units = []struct {
	name string
	d    time.Duration
}{{"w", Week}, {"d", Day}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}}

// ParseDuration reads `90s`, `10m`, `1h30m`, `7d`, `2w`, `250ms` or `forever`:
// whole numbers, each with its unit, the larger units first. It accepts no
// sign, no fraction and no number without a unit.
func ParseDuration(s string) (time.Duration, error) {
	if s == "forever" {
		return Forever, nil
	}
	bad := func(why string) (time.Duration, error) {
		return 0, fmt.Errorf("%s is not a duration: %s", Quote(s, 32), why)
	}
	if s == "" || len(s) > 40 {
		return bad("write 90s, 10m, 1h30m, 7d, 2w or forever")
	}
	var sum time.Duration
	next := 0
	for rest := s; rest != ""; {
		i := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if i < 0 {
			return bad("the number needs a unit: s, m, h, d or w")
		}
		j := i
		for j < len(rest) && (rest[j] < '0' || rest[j] > '9') {
			j++
		}
		n, err := strconv.ParseInt(rest[:i], 10, 64)
		if err != nil {
			return bad("write 90s, 10m, 1h30m, 7d, 2w or forever")
		}
		k := next
		for k < len(units) && units[k].name != rest[i:j] {
			k++
		}
		if k == len(units) {
			return bad("units are w, d, h, m, s and ms, the larger ones first, each once")
		}
		if n > int64(maxDuration/units[k].d) {
			return bad("it is longer than 100 years; write forever")
		}
		sum += time.Duration(n) * units[k].d
		next, rest = k+1, rest[j:]
	}
	if sum > maxDuration {
		return bad("it is longer than 100 years; write forever")
	}
	return sum, nil
}

// FormatDuration returns the text form that ParseDuration reads, with at most
// whole milliseconds: `1h30m`, `7d`, `0s`, `forever`. A negative duration is
// written as 0s.
func FormatDuration(d time.Duration) string {
	if d == Forever {
		return "forever"
	}
	var b []byte
	for _, u := range units {
		if n := d / u.d; n > 0 && (u.d != Week || d%Week == 0) {
			b = strconv.AppendInt(b, int64(n), 10)
			b = append(b, u.name...)
			d -= n * u.d
		}
	}
	if len(b) == 0 {
		return "0s"
	}
	return string(b)
}

// Threshold is how many events within how long make a finding: `5 in 10m`
// fires on the fifth, inclusive. The zero value never fires.
type Threshold struct {
	Count  int           // at least 1
	Within time.Duration // more than 0, may be Forever
}

// ParseThreshold reads `5 in 10m`.
func ParseThreshold(s string) (Threshold, error) {
	a, b, ok := strings.Cut(s, " in ")
	n, err := strconv.Atoi(strings.TrimSpace(a))
	if !ok || err != nil || n < 1 || n > 1_000_000 {
		return Threshold{}, fmt.Errorf("%s is not a threshold: write a count from 1 and a duration, as in 5 in 10m", Quote(s, 32))
	}
	d, err := ParseDuration(strings.TrimSpace(b))
	if err != nil {
		return Threshold{}, fmt.Errorf("threshold %s: %w", Quote(s, 32), err)
	}
	if d <= 0 {
		return Threshold{}, fmt.Errorf("threshold %s: the duration must be more than 0", Quote(s, 32))
	}
	return Threshold{n, d}, nil
}

// String returns the text form; "" for the zero Threshold.
func (t Threshold) String() string {
	if t == (Threshold{}) {
		return ""
	}
	return strconv.Itoa(t.Count) + " in " + FormatDuration(t.Within)
}

// MarshalText implements encoding.TextMarshaler.
func (t Threshold) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Threshold) UnmarshalText(b []byte) (err error) {
	*t, err = ParseThreshold(string(b))
	return err
}
