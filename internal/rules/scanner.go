package rules

import (
	"bytes"
	"math/bits"
	"net/netip"
	"slices"
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
	// Proxy is the trusted proxy that the line came by, and that said that it
	// spoke for Addr; the zero Addr where none did.
	Proxy  netip.Addr
	Repeat int // how often the line stands for: 1, or what `message repeated N times` says, at most 100
}

// Stats says what a Scan went over.
type Stats struct {
	Lines   int // lines in the block, an unfinished last one included
	Skipped int // of these, longer than MaxLine and not looked at
	Hits    int // calls of emit
	// Misfits are lines that had a text that a rule looks for, and are not of
	// the rule's format: JSON that is not.
	Misfits int
}

// Scanner is the state of one source: its zone, the last date that was worked
// out, and what it is best to look for. It is not for concurrent use.
type Scanner struct {
	m         *Matcher
	clock     clock
	trusted   bool
	plan      *plan
	habit     habit
	seen      []uint64 // by entry, as bits: candidates of the line at hand
	met       []uint32 // by needle of the plan: the last line that had it
	lineNo    uint32   // of the line at hand, in met
	finder    finder
	machine   machine
	names     names
	reader    reader                 // the line at hand, as the formats of the rules have it
	unwrapper *unwrapper             // nil where lines are as programs wrote them
	recall    recall                 // who the sessions are of, where rules ask for it
	programs  map[string]programBits // see readBy
	count     int                    // of attempts that the line at hand stands for, as its pattern has it
	hearsay   bool                   // the address of the line at hand is from a line that anybody could have written
	hit       Hit
}

// use makes the scanner look for what the plan says.
func (s *Scanner) use(p *plan) {
	s.plan, s.met, s.lineNo = p, make([]uint32, len(p.all)), 0
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
	if s.unwrapper != nil {
		if !s.m.naive {
			s.study(block)
		}
		s.scanWrapped(block, now, emit, &st)
		return st
	}
	st.Skipped = countLong(block)
	if s.reader.keeps {
		defer s.reader.past.addBlock(block)
	}
	if s.m.naive {
		s.scanAll(block, now, emit, &st)
		return st
	}
	s.study(block)
	if len(s.plan.always) > 0 {
		s.scanEach(block, now, emit, &st)
	} else {
		s.scanFound(block, now, emit, &st)
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

// line tries the candidates that seen has on one line, block[from:to].
func (s *Scanner) line(block []byte, from, to int, now time.Time, emit func(*Hit), st *Stats) {
	line := block[from:to]
	s.reader.begin(block, from, line)
	program := s.reader.syslog().program
	if !s.m.naive && len(program) > 0 && !s.ofProgram(program) {
		return
	}
	taken := -1 // the rule that has its hit
	wrong := -1 // the rule that is of another program, or of another format
	for w, word := range s.seen {
		for ; word != 0; word &= word - 1 {
			e := &s.m.table[w<<6+bits.TrailingZeros64(word)]
			if e.rule == taken || e.rule == wrong {
				continue
			}
			r := s.m.rules[e.rule]
			v := s.reader.view(r)
			if v == nil || s.m.naive && !r.takes(v.program) {
				wrong = e.rule
				continue
			}
			if !s.tryView(r, e.pattern, v, line) {
				continue
			}
			if s.hearsay = false; r.recalls && !s.peer(e.rule, e.pattern, v) {
				continue
			}
			taken = e.rule
			s.describe(r, e.pattern, v, now)
			s.hit.Offset, s.hit.Line = from, line
			st.Hits++
			emit(&s.hit)
		}
	}
	if taken >= 0 {
		s.habit.hit++
	}
	if s.reader.misfit {
		st.Misfits++
	}
}

// ofProgram leaves only those candidates that read lines of this program, and
// reports whether there are any.
func (s *Scanner) ofProgram(program []byte) bool {
	of, ok := s.m.programs[string(program)]
	if !ok {
		of = s.readBy(program)
	}
	any := uint64(0)
	for w := range s.seen {
		s.seen[w] &= of[w]
		any |= s.seen[w]
	}
	return any != 0
}

// Names reports whether a program is one that the rule names, as it is or with a
// star.
func (r *Rule) Names(program string) bool {
	return slices.ContainsFunc(r.Programs, func(p string) bool { return p == program || isGlob(p) && matchGlob(p, []byte(program)) })
}

// takes reports whether the rule reads lines of this program. A line that
// names none is read by every rule.
func (r *Rule) takes(program []byte) bool {
	if len(program) == 0 || len(r.Programs) == 0 {
		return true
	}
	for _, p := range r.Programs {
		if p == string(program) || isGlob(p) && matchGlob(p, program) {
			return true
		}
	}
	return false
}

// try matches one pattern and fills in what the message says.
func (s *Scanner) try(p *Pattern, message, line []byte) bool {
	if len(message) <= p.longest {
		if loc := s.search(p.exact, message); loc != nil {
			return s.take(p, message, loc)
		}
	}
	if p.whole {
		if loc := s.search(p.exact, line); loc != nil {
			return s.take(p, line, loc)
		}
	}
	return false
}

// search returns what FindSubmatchIndex does, until the next search.
func (s *Scanner) search(e *exact, b []byte) []int {
	if s.m.naive {
		return e.re.FindSubmatchIndex(b)
	}
	return e.find(&s.machine, b)
}

// take takes the fields out of a match. It is false where what stands in place
// of the address is none.
func (s *Scanner) take(p *Pattern, b []byte, loc []int) bool {
	h := &s.hit
	h.Addr, h.User, h.Port, h.Session = netip.Addr{}, "", 0, 0
	if from, _ := span(loc, p.groups.addr); from >= 0 {
		addr, ok := addressAt(b, loc, p.groups)
		if !ok {
			return false
		}
		h.Addr = addr
	} else if !p.whole && p.Peer == PeerLine {
		return false
	}
	if from, to := span(loc, p.groups.user); from >= 0 {
		h.User = s.names.user(b[from:to])
	}
	if from, to := span(loc, p.groups.port); from >= 0 && isDigits(b[from:to]) && to-from <= 5 {
		if n := number(b[from:to]); n < 1<<16 {
			h.Port = uint16(n)
		}
	}
	if from, to := span(loc, p.groups.session); from >= 0 {
		h.Session = session(b[from:to], nil)
	}
	return s.takeCount(p.groups, b, loc) && s.takeRest(p.groups, b, loc)
}

// takeCount takes the number of attempts that a line stands for. It is false
// for none.
func (s *Scanner) takeCount(g groups, b []byte, loc []int) bool {
	from, to := span(loc, g.count)
	if from < 0 {
		return true
	}
	s.count = maxRepeat
	if digits := bytes.TrimLeft(b[from:to], "0"); len(digits) < 10 {
		s.count = int(min(number(digits), maxRepeat))
	}
	return s.count > 0
}

// span returns where a group matched, or -1.
func span(loc []int, group int) (from, to int) {
	if group == 0 {
		return -1, -1
	}
	return loc[2*group], loc[2*group+1]
}

// number returns the value of at most 19 digits.
func number(digits []byte) (n uint64) {
	for _, c := range digits {
		n = n*10 + uint64(c-'0')
	}
	return n
}

// session returns the number that stands for one connection: a process number
// in its lower half as it is, the host's name hashed in its upper half; other
// text is hashed whole. It is 0 for no text.
func session(key, host []byte) uint64 {
	if len(key) == 0 {
		return 0
	}
	if isDigits(key) && len(key) <= 9 {
		n := number(key)
		if len(host) > 0 {
			n |= uint64(fnv32(host)) << 32
		}
		return n
	}
	return fnv64(fnv64(fnvBasis, host), key)
}

// The hash FNV-1a (RFC 9923) with 32 and with 64 bits.

func fnv32(b []byte) uint32 {
	h := uint32(0x811c9dc5)
	for _, c := range b {
		h = (h ^ uint32(c)) * 0x01000193
	}
	return h
}

const fnvBasis = 0xcbf29ce484222325

func fnv64(h uint64, b []byte) uint64 {
	for _, c := range b {
		h = (h ^ uint64(c)) * 0x100000001b3
	}
	return h
}
