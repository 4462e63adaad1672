package fail2ban

import (
	"bytes"
	"net/netip"
	"time"
	"unicode/utf8"

	"gatehouse/internal/fail2ban/pyre"
)

// MaxLine is the longest line that is looked at, in bytes: rsyslog's default
// limit for a message (8 KiB) and room for a header. Longer ones are skipped.
const MaxLine = 8*1024 + 512

// Clock says how the time of a line is taken.
type Clock uint8

// The clocks.
const (
	ClockLog     Clock = iota // as the line says
	ClockCatchUp              // the same, and lines older than FindTime are left out
	ClockLive                 // a line that differs by more than a minute happens now
)

// ScanOptions say what a scanner needs to know of its source.
type ScanOptions struct {
	Zone     *time.Location // of dates that do not name theirs; nil = UTC
	Offset   *int           // the jail's logtimezone as ParseZone returns it; nil = none
	Clock    Clock
	FindTime time.Duration // for ClockCatchUp
	// CheckAll tries every expression, as fail2ban's own tests do, and hands on
	// what is no failure by itself, too.
	CheckAll bool
	// Naive looks at each line without the literal filter: the slow model of
	// the fast path, for tests.
	Naive bool
}

// Failure is one failure that a line shows. It and all in it are valid until
// emit returns.
type Failure struct {
	Expression int          // index of the failregex
	Offset     int          // of the line's first byte in the block
	Line       []byte       // the raw line without its end
	Time       time.Time    // zero if none is known
	ID         string       // what counts together: an address, a name, or what F-ID captured
	Prefix     netip.Prefix // the address or network; invalid for a name, or for another identity
	Resolve    bool         // ID is a host name that has to be looked up, by the filter's UseDNS
	User       string       // account that was tried; "" = not told
	Lines      int          // how many lines show it
	NoFail     bool         // with CheckAll: no failure by itself
	Pending    bool         // with CheckAll: nobody knows yet whose

	names []string
	rec   *record
}

// Group returns what the filter captured under a name; false if nothing.
func (f *Failure) Group(name string) (string, bool) {
	for i, n := range f.names {
		if n != name {
			continue
		}
		switch v := &f.rec.vals[i]; v.kind {
		case text:
			return string(v.text), true
		case tuple:
			return string(bytes.Join(toBytes(v.parts), []byte(" "))), true
		}
	}
	return "", false
}

// Tuple returns the parts of a group that F-TUPLE joined; nil for any other.
func (f *Failure) Tuple(name string) []string {
	for i, n := range f.names {
		if n == name && f.rec.vals[i].kind == tuple {
			return f.rec.vals[i].parts
		}
	}
	return nil
}

// Users returns the accounts that were tried in the session.
func (f *Failure) Users() []string { return f.rec.users }

func toBytes(parts []string) (out [][]byte) {
	for _, p := range parts {
		out = append(out, []byte(p))
	}
	return out
}

// Stats says what a scan went over.
type Stats struct {
	Lines   int // lines in the block, an unfinished last one included
	Skipped int // of these, longer than MaxLine and not looked at
	Tried   int // of these, looked at closely
	GaveUp  int // expressions that took too many steps on a line
}

// Scanner runs a filter over one source. It holds the state that lines have in
// common: form of dates, sessions, buffered lines. It is not for concurrent
// use.
type Scanner struct {
	f        *Filter
	o        ScanOptions
	machine  pyre.Machine
	dates    *detector
	sessions sessions
	habit    habit

	lastDate time.Time
	hasLast  bool

	buffer  [][]byte // the last lines, without their dates; of one line if MaxLines is 1
	waiting [][]byte // lines behind these that were not looked at yet
	latest  [][]byte // the last lines as they came, where expressions span lines
	hot     int      // how many more lines can hold a text that is looked for
	subject []byte   // of the expressions: lines, each with its end
	joint   []byte   // the same for ignoreregex, where it is another
	line    []byte   // the line as text
	cut     []byte   // the same without its date
	passed  []byte   // what was passed over before it
	pre     record
	recs    [2]record
	fail    Failure

	// Of the line at hand.
	offset int
	raw    []byte
	now    time.Time
	emit   func(*Failure)
	stats  *Stats
	at     func(offset int) time.Time // of ScanEntries; nil = as the line says
	spent  func(steps int)            // told of each search; for tests
	want   []uint64                   // expressions worth trying, as bits; nil = all
	has    []uint64                   // room for these
	held   []uint64                   // the same
}

// Scanner returns a scanner of one source.
func (f *Filter) Scanner(o ScanOptions) *Scanner {
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	s := &Scanner{f: f, o: o}
	s.dates = newDetector(f.dates, o.Zone, o.Offset, &s.machine)
	return s
}

// SetClock changes how times are taken: a source has caught up.
func (s *Scanner) SetClock(c Clock) { s.o.Clock = c }

// Line looks at one line without its end, and calls emit for each failure.
func (s *Scanner) Line(line []byte, now time.Time, emit func(*Failure)) (st Stats) {
	s.begin(0, line, now, emit, &st)
	s.want = nil
	s.dated()
	return st
}

// Entry looks at a line whose time is known, such as a message of the journal.
func (s *Scanner) Entry(line []byte, at, now time.Time, emit func(*Failure)) (st Stats) {
	s.begin(0, line, now, emit, &st)
	s.want = nil
	s.lastDate, s.hasLast = at, true
	s.timed(s.line, at, true, false)
	return st
}

// lineSteps is how many steps all that is done with one line may take: about 50
// milliseconds. Ordinary lines take some hundred.
const lineSteps = 1 << 22

func (s *Scanner) begin(offset int, raw []byte, now time.Time, emit func(*Failure), st *Stats) {
	s.offset, s.raw, s.now, s.emit, s.stats = offset, raw, now, emit, st
	st.Lines++
	st.Tried++
	s.passed = nil
	s.machine.Allow(lineSteps)
	s.catchUp()
	s.line = toText(s.line[:0], raw)
}

// toText appends the line as valid UTF-8, for each byte that is none a
// replacement character.
func toText(dst, raw []byte) []byte {
	raw = bytes.TrimRight(raw, "\r\n")
	if utf8.Valid(raw) {
		return append(dst, raw...)
	}
	for i := 0; i < len(raw); {
		r, n := utf8.DecodeRune(raw[i:])
		if r == utf8.RuneError && n == 1 {
			n = badLen(raw[i:])
		}
		dst = utf8.AppendRune(dst, r)
		i += n
	}
	return dst
}

// badLen is how many bytes stand for one replacement character: a beginning of
// a character that is not finished counts once, as in Python.
func badLen(b []byte) int {
	lo, hi, need := byte(0x80), byte(0xbf), 0
	switch c := b[0]; {
	case c >= 0xc2 && c <= 0xdf:
		need = 1
	case c >= 0xe0 && c <= 0xef:
		need = 2
		if c == 0xe0 {
			lo = 0xa0
		}
		if c == 0xed {
			hi = 0x9f
		}
	case c >= 0xf0 && c <= 0xf4:
		need = 3
		if c == 0xf0 {
			lo = 0x90
		}
		if c == 0xf4 {
			hi = 0x8f
		}
	}
	n := 1
	for n < len(b) && n <= need && b[n] >= lo && b[n] <= hi {
		lo, hi = 0x80, 0xbf
		n++
	}
	return n
}
