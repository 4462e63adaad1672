package replay

import (
	"cmp"
	"context"
	"encoding/binary"
	"hash/fnv"
	"io"
	"net/netip"
	"slices"
	"time"

	"gatehouse/internal/fail2ban"
	"gatehouse/internal/gate"
	"gatehouse/internal/rules"
)

// hit is one line that one rule takes.
type hit struct {
	offset   int       // of the line in the block
	end      int       // behind it, its newline left out
	time     time.Time // what it says; zero = nothing
	addr     netip.Addr
	rule     *rules.Rule
	pattern  *rules.Pattern
	session  uint64
	user     string
	host     string
	proxied  bool
	repeat   int
	class    gate.Class
	evidence gate.Evidence
}

// block is a piece of a log with what is known of its lines.
type block struct {
	feed   *feed
	buf    []byte
	text   []byte // the lines, in buf
	offset int64  // of text in the log
	hits   []hit
	stats  rules.Stats
	bare   int           // hits that are forgeable for want of a header
	from   time.Time     // the date of its first line; zero = it has none
	to     time.Time     // the same of its last line
	done   chan struct{} // capacity 1: it was scanned
}

// feed turns one log into blocks whose hits are known. The reading goroutine
// cuts blocks, workers scan them in any order, and the merge takes them in the
// order of the log.
type feed struct {
	source  *Source
	place   int // among the sources
	o       Options
	matcher *rules.Matcher
	dates   *rules.Matcher // see newDates
	ports   gate.Ports     // of all its rules; empty where one does not tell
	names   map[*rules.Rule][]string
	filters []*fail2ban.Installed
	serial  bool // what a line means may depend on the lines of the block before
	cutter  cutter

	free     chan *block      // capacity depth: blocks to be filled
	ready    chan *block      // capacity depth, so that sending never blocks: blocks in order; the reading goroutine closes it
	scanners chan *lineReader // capacity Workers: scanners that nobody uses
	err      error            // why the log could not be read to its end; written before ready is closed

	head head // belongs to the merge
}

// lineReader is what one worker needs for one log.
type lineReader struct {
	scanner *rules.Scanner
	dates   *dater
	filters []*fail2ban.Hits
}

func newFeed(s *Source, place int, m *matchers, dates *rules.Matcher, o Options) *feed {
	set, filters, names := rulesOf(s.Watches)
	f := &feed{
		source: s, place: place, o: o, matcher: m.of(set), filters: filters, dates: dates, names: names, cutter: cutter{r: s.Log},
		serial: len(filters) > 0 || s.Wrapper != rules.WrapperNone || slices.ContainsFunc(set, (*rules.Rule).Remembers),
		free:   make(chan *block, o.depth()), ready: make(chan *block, o.depth()), scanners: make(chan *lineReader, o.Workers),
	}
	for _, in := range filters {
		set = append(set, in.Rule)
	}
	if !slices.ContainsFunc(set, func(r *rules.Rule) bool { return r.Ports.IsEmpty() }) {
		for _, r := range set {
			f.ports = f.ports.Union(r.Ports)
		}
	}
	for range o.depth() {
		f.free <- &block{feed: f, done: make(chan struct{}, 1)}
	}
	return f
}

// read reads the log to its end.
func (f *feed) read(ctx context.Context, work chan<- *block) {
	defer close(f.ready)
	for {
		var b *block
		select {
		case b = <-f.free:
		case <-ctx.Done():
			return
		}
		if b.buf == nil {
			b.buf = make([]byte, f.o.Block)
		}
		n, offset, err := f.cutter.next(b.buf)
		if err != nil {
			if err != io.EOF {
				f.err = err
			}
			return
		}
		b.text, b.offset = b.buf[:n], offset
		f.ready <- b
		if f.serial {
			b.scan()
			continue
		}
		select {
		case work <- b:
		case <-ctx.Done():
			return
		}
	}
}

// reader returns a lineReader that nobody uses.
func (f *feed) reader() *lineReader {
	select {
	case r := <-f.scanners:
		return r
	default:
		r := &lineReader{scanner: f.matcher.Scanner(rules.SourceOptions{Zone: f.o.Zone, Wrapper: f.source.Wrapper, TrustedProxies: f.o.Proxies}), dates: newDater(f)}
		for _, in := range f.filters {
			r.filters = append(r.filters, in.Hits(fail2ban.ScanOptions{Zone: f.o.Zone}))
		}
		return r
	}
}

// scan runs the rules on the block.
func (b *block) scan() {
	f := b.feed
	r := f.reader()
	b.hits, b.bare = b.hits[:0], 0
	take := func(h *rules.Hit) {
		if !h.Addr.IsValid() {
			return
		}
		x := hit{
			offset: h.Offset, end: h.Offset + len(h.Line), time: h.Time, addr: h.Addr, rule: h.Rule, pattern: h.Pattern,
			session: h.Session, user: h.User, host: h.Host, proxied: h.Proxy.IsValid(), repeat: max(1, h.Repeat), class: h.Class, evidence: h.Evidence,
		}
		if h.Evidence != gate.Proven && h.Rule.Evidence == gate.Proven {
			b.bare++
			x.repeat = 1 // `message repeated` is what syslog writes, with a header
			if x.session == 0 && h.Port != 0 && joins(h) {
				x.session = connection(h.Addr, h.Port)
			}
		}
		b.hits = append(b.hits, x)
	}
	b.stats = r.scanner.Scan(b.text, f.source.Written, take)
	for _, s := range r.filters {
		s.Scan(b.text, f.source.Written, take)
	}
	if len(r.filters) > 0 {
		slices.SortStableFunc(b.hits, func(x, y hit) int { return cmp.Compare(x.offset, y.offset) })
	}
	b.from, b.to = r.dates.ends(b.text)
	f.scanners <- r // there are at most Workers of them
	b.done <- struct{}{}
}

// joins reports whether a line belongs to a connection, which its port tells in
// place of the process that its header would have told.
func joins(h *rules.Hit) bool {
	kind := h.Pattern.Session
	if kind == rules.SessionUnset {
		kind = h.Rule.Session
	}
	return kind == rules.SessionPID
}

// connection returns the session of a peer.
func connection(addr netip.Addr, port uint16) uint64 {
	h := fnv.New64a()
	h.Write(binary.BigEndian.AppendUint16(addr.AsSlice(), port))
	return h.Sum64()
}
