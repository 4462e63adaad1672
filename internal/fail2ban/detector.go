package fail2ban

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gatehouse/internal/fail2ban/pyre"
)

// detector finds the date of each line of one source. It prefers the template
// that matched last, and those that match often and near the line's begin: so a
// date inside a message does not count where there is one in front of it.
type detector struct {
	zone    *time.Location
	fixed   *int // the jail's logtimezone, in minutes; nil = none
	list    []candidate
	last    int // index of the template that matched last; -1 = none
	pos     edge
	end     edge
	unused  int // templates before it have matched
	machine *pyre.Machine

	// The last date that was worked out.
	memoText string
	memoFor  *template
	memoNow  time.Time
	memoTime time.Time
}

// candidate is a template and how it has done in this source.
type candidate struct {
	*template
	hits     int // lines whose date it was
	matches  int // lines that it matched
	used     time.Time
	distance int // where in the line it was found last
}

// weight is what a candidate is worth.
func (c *candidate) weightNow() float64 {
	return float64(c.hits) * c.weight / float64(max(1, c.distance))
}

// edge is where a date began or ended, and what stood on both sides.
type edge struct {
	at            int
	before, after rune // -1 = the line ended there
}

// unusedFor is how long a template must be idle for another to pass it.
const unusedFor = 5 * time.Minute

func newDetector(ts []*template, zone *time.Location, fixed *int, m *pyre.Machine) *detector {
	d := &detector{zone: zone, fixed: fixed, last: -1, machine: m, pos: edge{at: 1, before: -2, after: -2}, end: edge{at: math.MaxInt32}}
	for _, t := range ts {
		d.list = append(d.list, candidate{template: t, distance: math.MaxInt32})
	}
	return d
}

// found is a date in a line: the whole match, and what is cut.
type found struct {
	caps  []int32
	of    *template
	index int
}

func (d *detector) match(i int, line []byte, from, to int) (caps []int32) {
	caps, err := d.machine.SearchIn(d.list[i].re, line, from, to)
	if err != nil || caps == nil {
		return nil
	}
	d.list[i].matches++
	return caps
}

// find finds the date of a line; ok is false where there is none. The result is
// valid until the machine is used again.
func (d *detector) find(line []byte, now time.Time) (f found, ok bool) {
	skip := -1
	var best []int32
	bestAt := -1
	if d.last >= 0 {
		var sure bool
		f, skip, sure = d.findLast(line)
		if sure {
			d.won(&f, line, now)
			return f, true
		}
		if f.caps != nil {
			best, bestAt = append(best, f.caps...), f.index
		}
	}
	for i := range d.list {
		if i == skip {
			continue
		}
		c := &d.list[i]
		caps := d.match(i, line, 0, len(line))
		if caps == nil {
			continue
		}
		at := int(caps[0])
		switch {
		case i+1 >= len(d.list), c.begin, c.end, at == 0 && c.hits > 0 && d.list[i+1].matches == 0:
		case at > c.distance, at > d.pos.at:
			// It may stand in the message: look on.
			if bestAt < 0 || at < int(best[0]) {
				best, bestAt = append(best[:0], caps...), i
			}
			continue
		}
		f = found{caps, c.template, i}
		d.won(&f, line, now)
		return f, true
	}
	if bestAt < 0 {
		return found{}, false
	}
	f = found{best, d.list[bestAt].template, bestAt}
	d.won(&f, line, now)
	return f, true
}

// findLast tries the template that matched last, at the same place where what
// surrounds it looks the same. Sure says that the search is over; skip is the
// template that need not be tried again.
func (d *detector) findLast(line []byte) (f found, skip int, sure bool) {
	c := &d.list[d.last]
	from, to, skip := 0, len(line), d.last
	anchored := c.begin || c.end
	if !anchored && d.sameEdges(line) {
		from, to, skip = min(d.pos.at, len(line)), min(d.end.at, len(line)), -1
		if from < len(line) && !utf8.RuneStart(line[from]) || to < len(line) && !utf8.RuneStart(line[to]) {
			from, to = 0, len(line)
		}
	}
	caps := d.match(d.last, line, from, max(from, to))
	if caps == nil {
		return found{}, skip, false
	}
	f = found{caps, c.template, d.last}
	return f, skip, len(d.list) == 1 || anchored || int(caps[0]) == d.pos.at && int(caps[1]) == d.end.at
}

func (d *detector) sameEdges(line []byte) bool {
	p, e := edgeOf(line, d.pos.at), edgeOf(line, d.end.at)
	return (p.before == d.pos.before || p.after == d.pos.after && !isAlnum(p.after)) &&
		(e.after == d.end.after || e.before == d.end.before && !isAlnum(e.before))
}

func isAlnum(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }

func edgeOf(line []byte, at int) edge {
	e := edge{at: at, before: -1, after: -1}
	if at > 0 && at <= len(line) {
		e.before, _ = utf8.DecodeLastRune(line[:at])
	}
	if at >= 0 && at < len(line) {
		e.after, _ = utf8.DecodeRune(line[at:])
	}
	return e
}

// won remembers which template found the date, and moves it to the front in
// steps.
func (d *detector) won(f *found, line []byte, now time.Time) {
	c := &d.list[f.index]
	c.hits++
	c.used = now
	c.distance = int(f.caps[0])
	if d.unused == f.index {
		d.unused++
	}
	d.pos, d.end = edgeOf(line, int(f.caps[0])), edgeOf(line, int(f.caps[1]))
	if f.index > 0 && f.index != d.last {
		f.index = d.promote(f.index)
	}
	d.last = f.index
}

func (d *detector) promote(num int) int {
	c := d.list[num]
	passes := func(pos int) bool {
		o := &d.list[pos]
		return c.weightNow() > o.weightNow() || c.used.Add(-unusedFor).After(o.used)
	}
	pos := num / 2
	if d.unused < num {
		pos = d.unused
	}
	if !passes(pos) {
		if pos == num-1 {
			return num
		}
		if pos = num - 1; !passes(pos) {
			return num
		}
	}
	copy(d.list[pos+1:num+1], d.list[pos:num])
	d.list[pos] = c
	for d.unused < len(d.list) && d.list[d.unused].hits > 0 {
		d.unused++
	}
	return pos
}

// time works out the time of a date that find has found.
func (d *detector) time(f found, line []byte, now time.Time) (time.Time, error) {
	whole := line[f.caps[0]:f.caps[1]]
	if f.of == d.memoFor && now.Equal(d.memoNow) && string(whole) == d.memoText {
		return d.memoTime, nil
	}
	t, err := d.compute(f, line, now)
	if err == nil {
		d.memoText, d.memoFor, d.memoNow, d.memoTime = string(whole), f.of, now, t
	}
	return t, err
}

func (d *detector) compute(f found, line []byte, now time.Time) (time.Time, error) {
	group := func(n int) (string, bool) {
		if 2*n+1 >= len(f.caps) || f.caps[2*n] < 0 {
			return "", false
		}
		return string(line[f.caps[2*n]:f.caps[2*n+1]]), true
	}
	switch f.of.kind {
	case kindEpoch:
		s, _ := group(f.of.group)
		return epochTime(s, f.of.long)
	case kindTAI:
		s, _ := group(1)
		if len(s) < 17 {
			return time.Time{}, errDate
		}
		v, err := strconv.ParseInt(s[2:17], 16, 64)
		if err != nil || v > maxEpoch {
			return time.Time{}, errDate
		}
		return time.Unix(v, 0), nil
	}
	return dateFrom(func(part byte) (string, bool) {
		if n := f.of.parts[part]; n > 0 {
			return group(int(n))
		}
		return "", false
	}, now, d.zone, d.fixed)
}

// maxEpoch is the last second of the year 9999.
const maxEpoch = 253402300799

// epochTime reads seconds since 1970, and with long also milliseconds and
// microseconds, told apart by their length.
func epochTime(s string, long bool) (time.Time, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return time.Time{}, errDate
	}
	if long && len(s) >= 13 {
		if len(s) >= 16 && !strings.Contains(s, ".") {
			v /= 1e6
		} else {
			v /= 1e3
		}
	}
	if v > maxEpoch {
		return time.Time{}, errDate
	}
	sec := math.Floor(v)
	return time.Unix(int64(sec), int64(math.Round((v-sec)*1e6))*1000), nil
}
