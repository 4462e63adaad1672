package rules

import "bytes"

// DateShape returns an example of how the date of a line is written: the one in
// its header, in the fields of an access log, or at its beginning; "" where no date
// is known. A date in a field of JSON is not looked for. With a wrapper it is the
// wrapper's.
func DateShape(line []byte, w Wrapper) string {
	if w != WrapperNone {
		u := unwrapper{kind: w}
		if _, ok := u.open(line); ok {
			return "2026-11-21T08:00:00.123456789Z"
		}
		return ""
	}
	line = bytes.TrimLeft(line, "\x00")
	if h := parseHeader(line); h.stamp.kind != stampNone && len(h.program) > 0 {
		return headerShape(h.stamp, line)
	}
	shape := 0
	if _, _, ok := cutDate(line, &shape); ok {
		return dateShapes[shape].example
	}
	var a access
	if a.parse(line) {
		return "21/Nov/2026:08:00:00 +0100"
	}
	if st, _, ok := cutStamp(line); ok {
		return headerShape(st, line)
	}
	return ""
}

// headerShape returns an example of the date of a syslog header.
func headerShape(st stamp, line []byte) string {
	switch {
	case st.kind == stampUnix:
		return "1795244400.123456"
	case st.kind == stampBSD:
		return "Nov 21 08:00:00"
	case bytes.IndexByte(line[:min(len(line), 40)], 'T') >= 0 && st.kind == stampZone:
		return "2026-11-21T08:00:00.123456+01:00"
	case len(line) > 3 && isWeekday(line):
		return "Sat Nov 21 08:00:00 2026"
	}
	return "2026-11-21 08:00:00"
}
