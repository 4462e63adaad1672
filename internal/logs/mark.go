package logs

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Bounds of a mark.
const (
	markVersion = "1"
	maxChain    = 64      // files of one source that are followed at the same time; the oldest are let go
	maxMark     = 1 << 14 // bytes; maxChain places fit
)

// mark is where a source can be read again from: the places in all of its
// files that are not yet done with, the oldest first. Its text form is
//
//	1 TIME PLACE...     PLACE = dev:ino:gen:off:headat:headlen:headsum:beforelen:beforesum:flag
//
// with all numbers in lower-case hexadecimal; TIME is in nanoseconds of the
// Unix epoch; the flag is `s` within a line that is skipped, else
// `-`.
type mark struct {
	at     time.Time // when it was made: files that were written to later are news
	places []place
}

// String returns the text form.
func (m mark) String() string {
	b := make([]byte, 0, 32+128*len(m.places))
	b = append(b, markVersion...)
	b = append(b, ' ')
	b = strconv.AppendUint(b, uint64(max(0, m.at.UnixNano())), 16)
	for _, p := range m.places {
		sep := byte(' ')
		for _, v := range p.numbers() {
			b = append(b, sep)
			b = strconv.AppendUint(b, v, 16)
			sep = ':'
		}
		if b = append(b, ':'); p.skip {
			b = append(b, 's')
		} else {
			b = append(b, '-')
		}
	}
	return string(b)
}

func (p place) numbers() [9]uint64 {
	return [9]uint64{p.id.dev, p.id.ino, uint64(p.gen), uint64(p.off),
		uint64(p.head.at), uint64(p.head.n), p.head.sum, uint64(p.before.n), p.before.sum}
}

var errMark = errors.New("not the mark of a log file")

// parseMark reads the text form. It accepts exactly what String writes; the
// error is always errMark.
func parseMark(s string) (mark, error) {
	if len(s) > maxMark {
		return mark{}, errMark
	}
	fields := strings.Split(s, " ")
	if len(fields) < 2 || len(fields) > 2+maxChain || fields[0] != markVersion {
		return mark{}, errMark
	}
	at, err := strconv.ParseUint(fields[1], 16, 63)
	if err != nil {
		return mark{}, errMark
	}
	m := mark{at: time.Unix(0, int64(at))}
	for _, f := range fields[2:] {
		p, ok := parsePlace(f)
		if !ok {
			return mark{}, errMark
		}
		m.places = append(m.places, p)
	}
	if m.String() != s { // leading zeros, capitals, signs
		return mark{}, errMark
	}
	return m, nil
}

func parsePlace(s string) (place, bool) {
	parts := strings.Split(s, ":")
	if len(parts) != 10 {
		return place{}, false
	}
	var n [9]uint64
	for i := range n {
		v, err := strconv.ParseUint(parts[i], 16, 64)
		if err != nil {
			return place{}, false
		}
		n[i] = v
	}
	if n[2] > 1<<32-1 || n[3] > 1<<62 || n[4] > 1<<62 || n[5] > maxHead || n[7] > maxBefore || n[7] > n[3] {
		return place{}, false
	}
	off := int64(n[3])
	p := place{
		id:     fileID{n[0], n[1]},
		gen:    uint32(n[2]),
		off:    off,
		head:   digest{int64(n[4]), int(n[5]), n[6]},
		before: digest{0, int(n[7]), n[8]},
		skip:   parts[9] == "s",
	}
	if p.before.n > 0 {
		p.before.at = off - int64(p.before.n)
	}
	return p, true
}
