package rules

import "bytes"

// plain reads b as a message behind a date of the program's own. Outer is the
// syslog header that was before b, if any: b need not have a date then.
func (s *reader) plain(v *view, b []byte, outer *view) {
	v.fits, v.repeat = true, 1
	if outer != nil {
		*v = *outer
	}
	b = cutEnd(bytes.TrimLeft(b, "\x00"))
	v.message = b
	if st, rest, ok := cutDate(b, &s.shape); ok {
		v.stamp, v.message, v.stated = st, rest, true
	}
}

// maxBracket is how far behind a date the bracket may close that opened before
// it, in bytes: Samba puts level, process and users in between.
const maxBracket = 128

// cutDate reads the date that a plain line begins with, and returns the message
// behind it. Before the date there may be
//
//	[             to the bracket that closes, whatever else is in between
//	I, [          the same, of Ruby's Logger; E [ of CUPS
//	12:M          of Redis: process and role
//	time="  ts=   of logfmt: also t= and timestamp=
//
// and behind it blanks and a colon. Lock is the shape that is tried first, and
// becomes the one that fitted.
func cutDate(b []byte, lock *int) (st stamp, message []byte, ok bool) {
	rest, end := b, byte(0)
	switch {
	case len(rest) < 9:
		return st, b, false
	case rest[0] == '[':
		rest, end = rest[1:], ']'
	case rest[0] == 't':
		if rest, end, ok = cutTimeKey(rest); !ok {
			return st, b, false
		}
	case rest[1] == ' ' && rest[2] == '[':
		rest, end = rest[3:], ']'
	case rest[1] == ',' && rest[2] == ' ' && rest[3] == '[':
		rest, end = rest[4:], ']'
	default:
		rest = cutRole(rest)
	}
	if st, rest, ok = cutShape(rest, lock); !ok {
		return st, b, false
	}
	if end == 0 {
		if len(rest) > 0 && isWordByte(rest[0]) {
			return stamp{}, b, false
		}
		rest = bytes.TrimLeft(rest, " \t")
		if len(rest) > 0 && rest[0] == ':' {
			rest = rest[1:]
		}
	} else {
		i := bytes.IndexByte(rest[:min(len(rest), maxBracket)], end)
		if i < 0 {
			return stamp{}, b, false
		}
		if rest = rest[i+1:]; len(rest) > 0 && rest[0] == ':' {
			rest = rest[1:]
		}
	}
	return st, bytes.TrimLeft(rest, " \t"), true
}

// cutShape reads a date of any shape, that of the last one first.
func cutShape(b []byte, lock *int) (st stamp, rest []byte, ok bool) {
	if st, rest, ok = dateShapes[*lock].cut(b); ok {
		return st, rest, true
	}
	for i := range dateShapes {
		if i == *lock {
			continue
		}
		if st, rest, ok = dateShapes[i].cut(b); ok {
			*lock = i
			return st, rest, true
		}
	}
	return stamp{}, b, false
}

// cutTimeKey takes `time="` and the like off, and says what ends the value: a
// quotation mark or a blank.
func cutTimeKey(b []byte) (rest []byte, end byte, ok bool) {
	i := bytes.IndexByte(b[:min(len(b), 11)], '=')
	if i < 0 {
		return b, 0, false
	}
	switch string(b[:i]) {
	case "t", "ts", "time", "timestamp":
	default:
		return b, 0, false
	}
	if b = b[i+1:]; len(b) > 0 && b[0] == '"' {
		return b[1:], '"', true
	}
	return b, ' ', true
}

// cutRole takes `12:M ` off.
func cutRole(b []byte) []byte {
	i := 0
	for i < min(len(b), 10) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	if i == 0 || len(b) < i+3 || b[i] != ':' || b[i+1] < 'A' || b[i+1] > 'Z' || b[i+2] != ' ' {
		return b
	}
	return b[i+3:]
}

// How far a line without a date looks back for the dated one that it belongs
// to, in lines, and how much of each counts, in bytes.
const (
	maxBack = 8
	maxHead = 160
)

// past is the beginnings of the last lines that a source had before the block
// at hand, the latest last.
type past struct {
	n     int
	heads [maxBack][maxHead]byte
	lens  [maxBack]uint8
}

// add appends a line.
func (p *past) add(line []byte) {
	if p.n == maxBack {
		copy(p.heads[:], p.heads[1:])
		copy(p.lens[:], p.lens[1:])
		p.n--
	}
	p.lens[p.n] = uint8(copy(p.heads[p.n][:], line))
	p.n++
}

// addBlock appends the last lines of a block of whole lines.
func (p *past) addBlock(b []byte) {
	b = bytes.TrimSuffix(b, newline)
	var from [maxBack + 1]int
	n := 0
	for end := len(b); n < maxBack && end >= 0; n++ {
		from[n] = bytes.LastIndexByte(b[:end], '\n') + 1
		end = from[n] - 1
	}
	for n--; n >= 0; n-- {
		p.add(b[from[n]:lineEnd(b, from[n])])
	}
}

// inherit gives a line without a date the date of the line that it continues:
// the nearest dated one of the maxBack lines before it.
func (s *reader) inherit(v *view) {
	end := s.from - 1
	left := maxBack
	for ; s.from >= 0 && left > 0 && end >= 0; left-- {
		from := bytes.LastIndexByte(s.block[:end], '\n') + 1
		if s.dated(v, s.block[from:min(end, from+maxHead)]) {
			return
		}
		end = from - 1
	}
	for i := s.past.n - 1; i >= 0 && left > 0; i, left = i-1, left-1 {
		if s.dated(v, s.past.heads[i][:s.past.lens[i]]) {
			return
		}
	}
}

// dated takes the date of a line for v, if it has one.
func (s *reader) dated(v *view, head []byte) bool {
	st, _, ok := cutDate(bytes.TrimLeft(head, "\x00"), &s.shape)
	if !ok {
		return false
	}
	v.stamp, v.stated = st, true
	v.message = bytes.TrimLeft(v.message, " \t")
	return true
}
