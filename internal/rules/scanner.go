package rules

import (
	"bytes"
	"hash/fnv"
	"math/bits"
	"net/netip"
	"strconv"
	"time"

	"gatehouse/internal/gate"
)

// MaxLine is the longest line that is looked at, in bytes: rsyslog's default
// limit for a message (8 KiB) and room for a header. Longer ones are skipped.
const MaxLine = 8*1024 + 512

// maxUser is how much of an account's name a Hit keeps, in bytes: as much as
// gate.Detail.
const maxUser = 128

// Hit is one line that a pattern matched. Scan reuses it: it is valid until
// emit returns, and so is Line, which aliases the block.
type Hit struct {
	Rule    *Rule
	Pattern *Pattern
	Offset  int        // of the line's first byte in the block
	Line    []byte     // the raw line without its end
	Time    time.Time  // the log's own time, UTC; zero if none was read
	Addr    netip.Addr // unmapped, without zone; the zero Addr only for a rule of Adhoc
	User    string     // as the log has it, escapes included; at most 128 bytes
	Session uint64     // joins the lines of one connection; 0 = none
	Class   gate.Class
	// Evidence is what the line proves: what its rule says, but no more than
	// gate.Forgeable where a rule that reads certain programs took a line that
	// names none, unless the source is Trusted.
	Evidence gate.Evidence
	Host     string // who wrote the line; "" where the line does not say, at most 64 bytes
	Port     uint16 // theirs; 0 = not told
	Repeat   int    // how often the line stands for: 1, or what `message repeated N times` says, at most 100
}

// Stats says what a Scan went over.
type Stats struct {
	Lines   int // lines in the block, an unfinished last one included
	Skipped int // of these, longer than MaxLine and not looked at
	Hits    int // calls of emit
}

// Scanner is the state of one source: its zone and the last date that was
// worked out. It is not for concurrent use.
type Scanner struct {
	m       *Matcher
	clock   clock
	trusted bool
	seen    []uint64 // by entry: candidates of the line at hand
	hit     Hit
}

// Scan reads whole lines from block, of which the last may lack its newline,
// and calls emit for each line that hits, in order; for a line that hits
// several rules once for each, in the order of the rules. Now is used for dates
// without a year. A line without a date has a zero Time.
func (s *Scanner) Scan(block []byte, now time.Time, emit func(*Hit)) Stats {
	st := Stats{Lines: bytes.Count(block, newline)}
	if n := len(block); n > 0 && block[n-1] != '\n' {
		st.Lines++
	}
	st.Skipped = countLong(block)
	if s.m.naive || len(s.m.always) > 0 {
		for from := 0; from < len(block); {
			to := lineEnd(block, from)
			s.line(block, from, to, from, now, emit, &st)
			from = to + 1
		}
		return st
	}
	for pos := 0; pos < len(block); {
		at := s.m.filter.next(block, pos)
		if at < 0 {
			break
		}
		from := bytes.LastIndexByte(block[pos:at], '\n') + 1 + pos
		to := lineEnd(block, at)
		s.line(block, from, to, at, now, emit, &st)
		pos = to + 1
	}
	return st
}

var newline = []byte{'\n'}

// lineEnd returns the index of the newline at or after i, or the length of b.
func lineEnd(b []byte, i int) int {
	if n := bytes.IndexByte(b[i:], '\n'); n >= 0 {
		return i + n
	}
	return len(b)
}

// countLong returns the number of lines that are longer than MaxLine, looking
// at few bytes of the others.
func countLong(b []byte) (n int) {
	for from := 0; len(b)-from > MaxLine; {
		if last := bytes.LastIndexByte(b[from:from+MaxLine+1], '\n'); last >= 0 {
			from += last + 1
			continue
		}
		n++
		from = lineEnd(b, from) + 1
	}
	return n
}

// line tries one line: block[from:to], in which no literal begins before at.
func (s *Scanner) line(block []byte, from, to, at int, now time.Time, emit func(*Hit), st *Stats) {
	line := block[from:to]
	if len(line) > MaxLine {
		return
	}
	if !s.candidates(line, at-from) {
		return
	}
	h := parseHeader(line)
	message, repeat := cutRepeat(cutEnd(h.message))
	message = cutEnd(message)
	taken := -1 // the rule that has its hit
	wrong := -1 // the rule that is of another program
	dated := false
	for w, word := range s.seen {
		for ; word != 0; word &= word - 1 {
			e := s.m.table[w<<6+bits.TrailingZeros64(word)]
			if e.rule == taken || e.rule == wrong {
				continue
			}
			r := s.m.rules[e.rule]
			if !r.takes(h.program) {
				wrong = e.rule
				continue
			}
			if !s.try(e.pattern, message, line) {
				continue
			}
			taken = e.rule
			if !dated {
				s.hit.Time, s.hit.Host, dated = s.clock.time(h.stamp, now), clip(h.host, 64), true
			}
			s.hit.Rule, s.hit.Pattern, s.hit.Class = r, e.pattern, e.pattern.Class
			s.hit.Evidence = r.Evidence
			if len(h.program) == 0 && len(r.Programs) > 0 && !s.trusted {
				s.hit.Evidence = gate.Forgeable
			}
			s.hit.Offset, s.hit.Line, s.hit.Repeat = from, line, repeat
			if s.hit.Session == 0 && e.pattern.session == SessionPID {
				s.hit.Session = session(h.pid, h.host)
			}
			st.Hits++
			emit(&s.hit)
		}
	}
}

// candidates marks in seen the entries that the line may match, and reports
// whether there is any.
func (s *Scanner) candidates(line []byte, at int) bool {
	if s.m.naive {
		for _, e := range s.m.all {
			s.seen[e>>6] |= 1 << (e & 63)
		}
		return len(s.m.all) > 0
	}
	clear(s.seen)
	for _, e := range s.m.always {
		s.seen[e>>6] |= 1 << (e & 63)
	}
	found := len(s.m.always) > 0
	s.m.filter.all(line, at, func(id int) {
		found = true
		for _, e := range s.m.owners[id] {
			s.seen[e>>6] |= 1 << (e & 63)
		}
	})
	return found
}

// takes reports whether the rule reads lines of this program. A line that
// names none is read by every rule.
func (r *Rule) takes(program []byte) bool {
	if len(program) == 0 || len(r.Programs) == 0 {
		return true
	}
	for _, p := range r.Programs {
		if p == string(program) {
			return true
		}
	}
	return false
}

// try matches one pattern and fills in what the message says.
func (s *Scanner) try(p *Pattern, message, line []byte) bool {
	if len(message) <= p.longest {
		if loc := p.re.FindSubmatchIndex(message); loc != nil {
			return s.read(p, message, loc)
		}
	}
	if p.whole {
		if loc := p.re.FindSubmatchIndex(line); loc != nil {
			return s.read(p, line, loc)
		}
	}
	return false
}

// read takes the fields out of a match. It is false where what stands in place
// of the address is none.
func (s *Scanner) read(p *Pattern, b []byte, loc []int) bool {
	h := &s.hit
	h.Addr, h.User, h.Port, h.Session = netip.Addr{}, "", 0, 0
	if from, to := span(loc, p.groups.addr); from >= 0 {
		addr, ok := address(b, from, to)
		if !ok {
			return false
		}
		h.Addr = addr
	} else if !p.whole {
		return false
	}
	if from, to := span(loc, p.groups.user); from >= 0 {
		h.User = clip(b[from:to], maxUser)
	}
	if from, to := span(loc, p.groups.port); from >= 0 && to-from <= 5 {
		if n, err := strconv.ParseUint(string(b[from:to]), 10, 16); err == nil {
			h.Port = uint16(n)
		}
	}
	if from, to := span(loc, p.groups.session); from >= 0 {
		h.Session = session(b[from:to], nil)
	}
	return true
}

// span returns where a group matched, or -1.
func span(loc []int, group int) (from, to int) {
	if group == 0 {
		return -1, -1
	}
	return loc[2*group], loc[2*group+1]
}

// clip returns at most n bytes of b as a string.
func clip(b []byte, n int) string { return string(b[:min(len(b), n)]) }

// session returns the number that stands for one connection: a process number
// in its lower half as it is, the host's name hashed in its upper half; other
// text is hashed whole. It is 0 for no text.
func session(key, host []byte) uint64 {
	if len(key) == 0 {
		return 0
	}
	if isDigits(key) && len(key) <= 9 {
		n, _ := strconv.ParseUint(string(key), 10, 32)
		if len(host) > 0 {
			f := fnv.New32a()
			f.Write(host)
			n |= uint64(f.Sum32()) << 32
		}
		return n
	}
	f := fnv.New64a()
	f.Write(host)
	f.Write(key)
	return f.Sum64()
}
