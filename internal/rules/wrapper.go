package rules

import (
	"bytes"
	"time"
)

// Wrapper is what a container runtime puts around each line of a program.
type Wrapper uint8

// The wrappers.
const (
	WrapperNone   Wrapper = iota
	WrapperDocker         // {"log":"line\n","stream":"stderr","time":"2026-11-21T08:00:00.123456789Z"}
	WrapperCRI            // 2026-11-21T08:00:00.123456789Z stderr F line
)

var wrapperNames = [...]string{"", "docker", "cri"}

// String returns `docker`, `cri` or "".
func (w Wrapper) String() string { return wrapperNames[w%Wrapper(len(wrapperNames))] }

// sampledLines is how many lines of a log tell its wrapper, at most.
const sampledLines = 8

// DetectWrapper tells the wrapper of a log by its beginning, of which 64 KB are
// enough for any first line: the one that more than half of its first lines have,
// so that neither a torn line nor one that somebody made up hides it or makes it.
// Of Docker's json-file driver is a line that is a JSON object with the keys log,
// stream (stdout or stderr) and time; a single line counts as far as it is there.
// Of the container runtime interface of Kubernetes is one that has a date, stdout
// or stderr, and the tag F or P.
func DetectWrapper(beginning []byte) Wrapper {
	rest := bytes.TrimLeft(beginning, "\x00")
	var lines int
	var of [WrapperCRI + 1]int
	for lines < sampledLines && len(rest) > 0 {
		line, more, whole := bytes.Cut(rest, newline)
		rest = more
		if !whole && lines > 0 {
			break // cut off, and enough is known without it
		}
		lines++
		of[wrapperOf(line, whole)]++
	}
	for _, w := range [...]Wrapper{WrapperDocker, WrapperCRI} {
		if 2*of[w] > lines {
			return w
		}
	}
	return WrapperNone
}

// wrapperOf tells the wrapper of one line, which need not be whole.
func wrapperOf(line []byte, whole bool) Wrapper {
	u := unwrapper{kind: WrapperCRI}
	if _, ok := u.open(line); ok {
		return WrapperCRI
	}
	u.kind = WrapperDocker
	if _, ok := u.open(line); ok || !whole && bytes.HasPrefix(line, []byte(`{"log":"`)) {
		return WrapperDocker
	}
	return WrapperNone
}

// unwrapper takes the lines of programs out of the lines of a container's log,
// and joins the pieces of long ones. It is not for concurrent use.
type unwrapper struct {
	kind   Wrapper
	json   jsonScanner
	values [3]jsonValue
	open2  [2]pieces // of stdout and of stderr
}

// pieces is what has come of a line that is in pieces.
type pieces struct {
	text []byte
	open bool // more is to come
	long bool // it is longer than MaxLine, and text is not kept
}

// piece is what one line of the log holds.
type piece struct {
	text   []byte
	stream int  // 0 stdout, 1 stderr
	last   bool // the line of the program ends here
	stamp  stamp
}

var wrapperPaths = []string{"log", "stream", "time"}

// open reads one line of the log.
func (u *unwrapper) open(line []byte) (p piece, ok bool) {
	if u.kind == WrapperDocker {
		return u.openDocker(line)
	}
	st, rest, ok := cutISO(line)
	if !ok || len(rest) == 0 || rest[0] != ' ' {
		return p, false
	}
	stream, rest := cutField(rest[1:])
	tags, rest := cutField(rest)
	tag, _, _ := bytes.Cut(tags, []byte(":"))
	p = piece{text: rest, stamp: st, last: string(tag) == "F"}
	p.stream, ok = streamOf(stream)
	return p, ok && (p.last || string(tag) == "P")
}

func (u *unwrapper) openDocker(line []byte) (p piece, ok bool) {
	line = bytes.TrimSuffix(line, []byte("\r"))
	if !u.json.scan(line, wrapperPaths, u.values[:]) || !u.values[0].found {
		return p, false
	}
	st, rest, ok := cutISO(u.values[2].text)
	if !ok || len(rest) > 0 {
		return p, false
	}
	p.stamp = st
	p.text, p.last = bytes.CutSuffix(u.values[0].text, newline)
	p.stream, ok = streamOf(u.values[1].text)
	return p, ok
}

func streamOf(name []byte) (int, bool) {
	switch string(name) {
	case "stdout":
		return 0, true
	case "stderr":
		return 1, true
	}
	return 0, false
}

// unwrap takes up one line of the log. Where a line of the program ends with it,
// that is returned, all its pieces joined, and valid until the next call; long
// says that it is longer than MaxLine.
func (u *unwrapper) unwrap(line []byte) (text []byte, at stamp, ended, long, ok bool) {
	p, ok := u.open(line)
	if !ok {
		return nil, stamp{}, false, false, false
	}
	o := &u.open2[p.stream]
	if !o.open {
		if p.last {
			return p.text, p.stamp, true, len(p.text) > MaxLine, true
		}
		*o = pieces{text: o.text[:0], open: true}
	}
	if o.long = o.long || len(o.text)+len(p.text) > MaxLine; !o.long {
		o.text = append(o.text, p.text...)
	}
	if !p.last {
		return nil, stamp{}, false, false, true
	}
	o.open = false
	return o.text, p.stamp, true, o.long, true
}

// scanWrapped is Scan for a log of which each line is wrapped.
func (s *Scanner) scanWrapped(block []byte, now time.Time, emit func(*Hit), st *Stats) {
	from, line := 0, []byte(nil)
	relate := func(h *Hit) {
		h.Offset, h.Line = from, line
		emit(h)
	}
	for ; from < len(block); from += len(line) + 1 {
		line = block[from:lineEnd(block, from)]
		if len(line) == 0 {
			continue
		}
		text, at, ended, long, ok := s.unwrapper.unwrap(line)
		switch {
		case !ok:
			st.Misfits++
		case long:
			st.Skipped++
		case ended:
			s.reader.outer = at
			if s.m.naive {
				s.scanAll(text, now, relate, st)
			} else {
				s.scanEach(text, now, relate, st)
			}
			if s.reader.keeps {
				s.reader.past.add(text)
			}
		}
	}
}
