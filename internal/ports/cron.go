package ports

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"gatehouse/internal/gate"
)

// Cron is when something begins, in the five fields of crontab(5): minute, hour,
// day of the month, month, day of the week. Where both days are restricted,
// either is enough. The zero Cron never matches.
type Cron struct {
	minute, hour, day, month, weekday uint64 // a bit for each value
	anyDay, anyWeekday                bool   // the field is *
}

// fieldOf is what a field of a Cron may say.
type fieldOf struct {
	name   string
	lo, hi int
	words  []string // names of the values from lo on
}

var cronFields = [5]fieldOf{
	{"minute", 0, 59, nil},
	{"hour", 0, 23, nil},
	{"day of the month", 1, 31, nil},
	{"month", 1, 12, []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	{"day of the week", 0, 7, []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun"}},
}

// cronWords are what may stand for five fields.
var cronWords = map[string]string{
	"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *",
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}

// maxCron bounds the text of a Cron, in bytes.
const maxCron = 256

// ParseCron reads five fields, each `*`, a value, a range or a list of them, with
// a step behind a slash: `30 17 * * 1-5`, `*/15 8-18 * * mon,wed`.
func ParseCron(s string) (Cron, error) {
	if len(s) > maxCron {
		return Cron{}, fmt.Errorf("%s: a time has at most %d characters", gate.Quote(s, 32), maxCron)
	}
	text := strings.ToLower(strings.TrimSpace(s))
	if w, ok := cronWords[text]; ok {
		text = w
	}
	words := strings.Fields(text)
	if len(words) != len(cronFields) {
		return Cron{}, fmt.Errorf("%s is not a time: write minute, hour, day, month and day of the week, as in 30 17 * * 1-5", gate.Quote(s, 64))
	}
	var set [5]uint64
	for i, w := range words {
		b, err := cronFields[i].parse(w)
		if err != nil {
			return Cron{}, fmt.Errorf("%s: %w", gate.Quote(s, 64), err)
		}
		set[i] = b
	}
	c := Cron{minute: set[0], hour: set[1], day: set[2], month: set[3], weekday: set[4]&0x7f | set[4]>>7,
		anyDay: strings.HasPrefix(words[2], "*"), anyWeekday: strings.HasPrefix(words[4], "*")}
	if c.anyWeekday && !c.comes() {
		return Cron{}, fmt.Errorf("%s never comes: no such month has that day", gate.Quote(s, 64))
	}
	return c, nil
}

// comes reports whether some month has one of the days.
func (c Cron) comes() bool {
	longest := [13]int{0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}
	for m := 1; m <= 12; m++ {
		if c.month>>m&1 == 1 && bits.TrailingZeros64(c.day) <= longest[m] {
			return true
		}
	}
	return false
}

// parse reads one field.
func (f fieldOf) parse(s string) (set uint64, err error) {
	for item := range strings.SplitSeq(s, ",") {
		span, step, stepped := strings.Cut(item, "/")
		lo, hi := f.lo, f.hi
		if span != "*" {
			a, b, isRange := strings.Cut(span, "-")
			if lo, err = f.value(a); err != nil {
				return 0, err
			}
			hi = lo
			if isRange {
				if hi, err = f.value(b); err != nil {
					return 0, err
				}
				if f.words != nil && f.hi == 7 && hi == 0 {
					hi = 7 // until Sunday
				}
			} else if stepped {
				hi = f.hi
			}
		}
		if hi < lo {
			return 0, fmt.Errorf("%s: the range is reversed: write %d-%d", f.name, hi, lo)
		}
		by := 1
		if stepped {
			if by, err = number(step); err != nil || by < 1 || by > f.hi {
				return 0, fmt.Errorf("%s: %s is not a step: write */15", f.name, gate.Quote(step, 16))
			}
		}
		for v := lo; v <= hi; v += by {
			set |= 1 << v
		}
	}
	return set, nil
}

// number reads digits; strconv would also take a sign.
func number(s string) (int, error) {
	if s == "" || len(s) > 4 || strings.Trim(s, "0123456789") != "" {
		return 0, fmt.Errorf("%s is not a number", gate.Quote(s, 16))
	}
	return strconv.Atoi(s)
}

func (f fieldOf) value(s string) (int, error) {
	for i, w := range f.words {
		if s == w {
			return f.lo + i, nil
		}
	}
	n, err := number(s)
	if err != nil || n < f.lo || n > f.hi {
		return 0, fmt.Errorf("%s: %s is not from %d to %d", f.name, gate.Quote(s, 16), f.lo, f.hi)
	}
	return n, nil
}

// onDay reports whether a day of the calendar matches; weekday counts from
// Sunday, 0.
func (c Cron) onDay(month, day, weekday int) bool {
	if c.month>>month&1 == 0 {
		return false
	}
	d, w := c.day>>day&1 == 1, c.weekday>>weekday&1 == 1
	if c.anyDay || c.anyWeekday {
		return d && w
	}
	return d || w
}

// at reports whether a minute of a day matches.
func (c Cron) at(hour, minute int) bool { return c.hour>>hour&1 == 1 && c.minute>>minute&1 == 1 }
