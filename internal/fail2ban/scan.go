package fail2ban

import (
	"bytes"
	"slices"
	"time"

	"gatehouse/internal/fail2ban/pyre"
)

// Scan reads whole lines from block, of which the last may lack its newline,
// and calls emit for each failure, in order.
//
// Lines that cannot matter are passed over unread, so that their dates count
// for nothing: a line without a date takes that of the nearest line before it
// in the block that has one.
func (s *Scanner) Scan(block []byte, now time.Time, emit func(*Failure)) Stats {
	var st Stats
	if s.o.Naive {
		s.scanAll(block, now, emit, &st)
		return st
	}
	s.study(block)
	if s.f.MaxLines > 1 || s.habit.plan.each {
		s.scanEach(block, now, emit, &st)
	} else {
		s.scanFound(block, now, emit, &st)
	}
	return st
}

// ScanEntries does what Scan does with lines whose times are known, such as
// messages of the journal: at returns that of the line at an offset of block.
// Nothing is cut out of them.
func (s *Scanner) ScanEntries(block []byte, at func(offset int) time.Time, now time.Time, emit func(*Failure)) Stats {
	s.at = at
	defer func() { s.at = nil }()
	return s.Scan(block, now, emit)
}

func lineEnd(b []byte, i int) int {
	if n := bytes.IndexByte(b[i:], '\n'); n >= 0 {
		return i + n
	}
	return len(b)
}

// scanAll tries every expression on every line.
func (s *Scanner) scanAll(block []byte, now time.Time, emit func(*Failure), st *Stats) {
	for from := 0; from < len(block); {
		to := lineEnd(block, from)
		if to-from > MaxLine {
			st.Lines++
			st.Skipped++
		} else {
			s.begin(from, block[from:to], now, emit, st)
			s.want = nil
			s.dated()
		}
		from = to + 1
	}
}

// scanFound goes from one text that is looked for to the next, and looks at the
// lines that have any.
func (s *Scanner) scanFound(block []byte, now time.Time, emit func(*Failure), st *Stats) {
	p := s.habit.plan
	st.Lines = bytes.Count(block, []byte{'\n'})
	if n := len(block); n > 0 && block[n-1] != '\n' {
		st.Lines++
	}
	want := make([]uint64, len(p.always))
	from, to, passed := 0, -1, 0 // the line at hand; to < 0: there is none
	finish := func() {
		if to < 0 {
			return
		}
		if to-from > MaxLine {
			st.Skipped++
		} else {
			st.Lines--
			s.begin(from, block[from:to], now, emit, st)
			s.want = want
			s.passed = block[passed:from]
			s.dated()
		}
		passed = to + 1
		clear(want)
		to = -1
	}
	found := func(at, n int) {
		if to >= 0 && at > to {
			finish()
		}
		if at < passed {
			return
		}
		if to < 0 {
			from = passed + 1 + bytes.LastIndexByte(block[passed:at], '\n')
			to = lineEnd(block, at)
		}
		for i, w := range p.needles[n].wanted {
			want[i] |= w
		}
	}
	for at := p.next(block, 0, found); at >= 0; at = p.next(block, at+p.stride, found) {
	}
	finish()
}

// required reports whether the subject can match at all, and takes from the
// expressions worth trying those that cannot.
func (s *Scanner) required() bool {
	p := s.habit.exact
	if s.o.Naive || p == nil {
		return true
	}
	has := append(s.has[:0], p.always...)
	s.has = has
	for at := 0; at >= 0; at += p.stride {
		at = p.next(s.subject, at, func(_, n int) {
			for i, w := range p.needles[n].wanted {
				has[i] |= w
			}
		})
		if at < 0 {
			break
		}
	}
	any := uint64(0)
	for i := range has {
		if s.want != nil {
			has[i] &= s.want[i]
		}
		any |= has[i]
	}
	s.want = has
	return any != 0
}

// holding leaves of the expressions worth trying those of which all that they
// require stands in the subject, and reports whether there are any. It pays where
// the subject is many lines, each of which has something of it.
func (s *Scanner) holding() bool {
	has := append(s.held[:0], make([]uint64, (len(s.f.fail)+63)/64)...)
	s.held = has
	any := false
	for e, clauses := range s.f.sieve.exact {
		if s.want != nil && s.want[e>>6]>>(e&63)&1 == 0 {
			continue
		}
		if !slices.ContainsFunc(clauses, func(c pyre.Clause) bool { return !inText(c, s.subject) }) {
			has[e>>6] |= 1 << (e & 63)
			any = true
		}
	}
	s.want = has
	return any
}

// near reports whether all that some expression requires stands in the lines that can
// be buffered: so that their dates need not be looked for where it does not.
func (s *Scanner) near() bool {
	for _, clauses := range s.f.sieve.raw {
		if !slices.ContainsFunc(clauses, func(c pyre.Clause) bool {
			return !slices.ContainsFunc(s.latest, func(l []byte) bool { return inText(c, l) })
		}) {
			return true
		}
	}
	return false
}

// inText reports whether a text has one of the needles; one that is written in any
// case is not looked for.
func inText(c pyre.Clause, text []byte) bool {
	return slices.ContainsFunc(c, func(n pyre.Needle) bool { return n.Fold || bytes.Contains(text, []byte(n.Text)) })
}

// maxLookBack is how many lines without a date are looked at for one, backwards.
const maxLookBack = 32

// lookBack finds the date of the nearest line before the one at hand that was
// passed over.
func (s *Scanner) lookBack() {
	block := s.passed
	s.passed = nil
	for range maxLookBack {
		block = bytes.TrimSuffix(block, []byte{'\n'})
		if len(block) == 0 {
			return
		}
		i := bytes.LastIndexByte(block, '\n') + 1
		if len(block)-i <= MaxLine && s.noteDate(toText(nil, block[i:])) {
			return
		}
		block = block[:i]
	}
}

// noteDate remembers the date of a line, if it has one.
func (s *Scanner) noteDate(line []byte) bool {
	f, ok := s.dates.find(line, s.now)
	if !ok || f.caps[3] <= f.caps[2] {
		return false
	}
	t, err := s.dates.time(f, line, s.now)
	if err == nil {
		s.lastDate, s.hasLast = t, true
	}
	return err == nil
}

// scanEach looks for texts line by line. Where expressions span lines, those
// that follow a line with such a text are tried, too, as long as it is
// buffered.
func (s *Scanner) scanEach(block []byte, now time.Time, emit func(*Failure), st *Stats) {
	p := s.habit.plan
	want := make([]uint64, len(p.always))
	for from := 0; from < len(block); {
		to := lineEnd(block, from)
		line := block[from:to]
		if len(line) > MaxLine {
			st.Lines++
			st.Skipped++
			from = to + 1
			continue
		}
		copy(want, p.always)
		hit := p.each
		found := func(_, n int) {
			hit = true
			for i, w := range p.needles[n].wanted {
				want[i] |= w
			}
		}
		for at := p.next(line, 0, found); at >= 0; at = p.next(line, at+p.stride, found) {
		}
		s.each(from, line, hit, want, now, emit, st)
		from = to + 1
	}
}

// each tries a line, or puts it off until a later one is tried.
func (s *Scanner) each(from int, line []byte, hit bool, want []uint64, now time.Time, emit func(*Failure), st *Stats) {
	multi := s.f.MaxLines > 1
	if multi {
		if hit {
			s.hot = s.f.MaxLines
		}
		s.latest = append(s.latest, slices.Clone(line))
		if n := len(s.latest) - s.f.MaxLines; n > 0 {
			s.latest = append(s.latest[:0], s.latest[n:]...)
		}
		hit = s.hot > 0 && s.near()
		s.hot = max(0, s.hot-1)
		want = nil
	}
	if hit {
		s.begin(from, line, now, emit, st)
		s.want = want
		s.dated()
		return
	}
	st.Lines++
	if multi {
		s.waiting = append(s.waiting, s.latest[len(s.latest)-1])
		if len(s.waiting) > s.f.MaxLines {
			s.waiting = s.waiting[1:]
		}
	}
}

// catchUp buffers the lines that were put off, without their dates.
func (s *Scanner) catchUp() {
	if len(s.waiting) == 0 {
		return
	}
	for _, raw := range s.waiting {
		line := toText(nil, raw)
		if s.at != nil {
			s.buffer = append(s.buffer, line)
			continue
		}
		if f, ok := s.dates.find(line, s.now); ok && f.caps[3] > f.caps[2] {
			from, to := f.caps[2], f.caps[3]
			if t, err := s.dates.time(f, line, s.now); err == nil {
				s.lastDate, s.hasLast = t, true
			}
			line = slices.Delete(line, int(from), int(to))
		}
		s.buffer = append(s.buffer, line)
	}
	if n := len(s.buffer); n > s.f.MaxLines {
		s.buffer = slices.Clone(s.buffer[n-s.f.MaxLines:])
	}
	s.waiting = nil
}
