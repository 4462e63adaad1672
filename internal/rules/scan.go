package rules

import (
	"bytes"
	"time"
)

// scanAll tries every pattern on every line.
func (s *Scanner) scanAll(block []byte, now time.Time, emit func(*Hit), st *Stats) {
	for from := 0; from < len(block); {
		to := lineEnd(block, from)
		if to-from <= MaxLine {
			for e := range s.m.table {
				s.seen[e>>6] |= 1 << (e & 63)
			}
			s.line(block, from, to, now, emit, st)
		}
		from = to + 1
	}
}

// scanEach looks at every line by itself: where there are patterns of which no
// text is known that is in each match, and where lines do not lie in one block.
func (s *Scanner) scanEach(block []byte, now time.Time, emit func(*Hit), st *Stats) {
	f := &s.finder
	for from := 0; from < len(block); {
		to := lineEnd(block, from)
		if line := block[from:to]; len(line) <= MaxLine {
			s.begin()
			found := len(s.plan.always) > 0
			for _, e := range s.plan.always {
				s.seen[e>>6] |= 1 << (e & 63)
			}
			f.open(s.plan, line)
			for at, which := f.place(); at < len(line); at, which = f.place() {
				found = s.markAll(line, at, which) || found
				f.pass(at, which, len(line))
			}
			if found {
				s.habit.tried++
				s.line(block, from, to, now, emit, st)
			}
		}
		from = to + 1
	}
}

// scanFound goes from one needle to the next, and looks at the lines that have
// any.
func (s *Scanner) scanFound(block []byte, now time.Time, emit func(*Hit), st *Stats) {
	f := &s.finder
	f.open(s.plan, block)
	from, to := 0, -1 // the line at hand; to < 0: none yet, and from is where it begins at the earliest
	s.begin()
	for at, which := f.place(); at < len(block); at, which = f.place() {
		if to >= 0 && at >= to {
			s.line(block, from, to, now, emit, st)
			from, to = to+1, -1
			s.begin()
		}
		if s.markAll(block, at, which) && to < 0 && at >= from {
			from += bytes.LastIndexByte(block[from:at], '\n') + 1
			to = lineEnd(block, at)
			s.habit.tried++
			if to-from > MaxLine {
				from, to = to+1, -1
				f.skip(from)
				s.begin()
				continue
			}
		}
		f.pass(at, which, to)
	}
	if to >= 0 {
		s.line(block, from, to, now, emit, st)
	}
}

// markAll notes the needles that stand at a place of the finder, and reports
// whether there are any.
func (s *Scanner) markAll(b []byte, at, which int) (found bool) {
	if which >= 0 {
		return s.mark(b, at, s.plan.sides[which].ref)
	}
	for _, r := range s.finder.refs {
		found = s.mark(b, at, r) || found
	}
	return found
}

// begin forgets what was found in the line before.
func (s *Scanner) begin() {
	clear(s.seen)
	if s.lineNo++; s.lineNo == 0 {
		clear(s.met)
		s.lineNo = 1
	}
}

// mark notes a needle of which a four stands at a place, if the rest of it does
// too, and reports whether it is there.
func (s *Scanner) mark(b []byte, at int, r ref) bool {
	if s.met[r.needle] == s.lineNo {
		return true
	}
	from := at - int(r.offset)
	if from < 0 || !s.plan.all[r.needle].in(b[from:]) {
		return false
	}
	s.met[r.needle] = s.lineNo
	for _, e := range s.plan.owners[r.needle] {
		s.seen[e>>6] |= 1 << (e & 63)
	}
	return true
}
