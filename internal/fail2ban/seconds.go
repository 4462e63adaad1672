package fail2ban

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// Lengths of units, as fail2ban counts them: a month is a twelfth of a year.
const (
	day  = 24 * 60 * 60.0
	year = 365.25 * day
)

// unitSeconds returns the length of a unit of time: d, day, days, mo, month...
func unitSeconds(s string) (float64, bool) {
	s = strings.ToLower(s)
	for _, u := range []struct {
		names   string
		seconds float64
	}{
		{"d dd da day days", day},
		{"w ww we wee week weeks", 7 * day},
		{"mo mon month months", year / 12},
		{"y yy ye yea year years", year},
		{"s ss se sec second seconds", 1},
		{"m mm mi min minute minutes", 60},
		{"h hh ho hou hour hours", 3600},
	} {
		for name := range strings.FieldsSeq(u.names) {
			if s == name {
				return u.seconds, true
			}
		}
	}
	return 0, false
}

// ParseTime reads a time string: seconds, or numbers with units, such as 10m,
// 1d12h30m, "1h 30m", 1year-6mo, 10*60. A negative result is -1: for ever, or
// never. It is a sum of products and nothing else: no expression is evaluated.
func ParseTime(s string) (time.Duration, error) {
	p := timeParser{rest: strings.TrimSpace(s)}
	v, err := p.sum()
	if err != nil {
		return 0, fmt.Errorf("%q is not a length of time: %w", clip(s), err)
	}
	if v < 0 {
		return -1, nil
	}
	if v >= gate.Forever.Seconds() {
		return gate.Forever, nil
	}
	return time.Duration(math.Round(v*1e6)) * time.Microsecond, nil
}

type timeParser struct{ rest string }

func (p *timeParser) blanks() { p.rest = strings.TrimLeft(p.rest, " \t") }

// sum reads terms; those that stand side by side are added.
func (p *timeParser) sum() (total float64, err error) {
	if p.rest == "" {
		return 0, fmt.Errorf("it is empty")
	}
	for p.rest != "" {
		sign := 1.0
		if c := p.rest[0]; c == '+' || c == '-' {
			if c == '-' {
				sign = -1
			}
			p.rest = p.rest[1:]
			p.blanks()
		}
		v, err := p.product()
		if err != nil {
			return 0, err
		}
		total += sign * v
		p.blanks()
	}
	return total, nil
}

func (p *timeParser) product() (float64, error) {
	v, err := p.quantity()
	for err == nil && strings.HasPrefix(p.rest, "*") {
		p.rest = p.rest[1:]
		p.blanks()
		var w float64
		w, err = p.quantity()
		v *= w
	}
	return v, err
}

// quantity reads a number, and a unit behind it.
func (p *timeParser) quantity() (float64, error) {
	n := len(p.rest) - len(strings.TrimLeft(p.rest, "0123456789."))
	v, err := strconv.ParseFloat(p.rest[:n], 64)
	if err != nil {
		return 0, fmt.Errorf("a number is expected at %q", clip(p.rest))
	}
	p.rest = p.rest[n:]
	p.blanks()
	n = 0
	for n < len(p.rest) && (p.rest[n]|0x20 >= 'a' && p.rest[n]|0x20 <= 'z') {
		n++
	}
	if n > 0 {
		u, ok := unitSeconds(p.rest[:n])
		if !ok {
			return 0, fmt.Errorf("%q is not a unit of time", clip(p.rest[:n]))
		}
		v *= u
		p.rest = p.rest[n:]
		p.blanks()
	}
	return v, nil
}

// ParseZone reads a jail's logtimezone: UTC, CET, UTC+0200, -07:00. It returns
// minutes east of UTC. Zones are fixed offsets, also those that have a summer
// time.
func ParseZone(s string) (minutes int, err error) {
	if minutes, err = zoneOffset(strings.TrimSpace(s)); err != nil {
		return 0, fmt.Errorf("%q is not a zone that fail2ban knows: write UTC+0200", clip(s))
	}
	return minutes, nil
}
