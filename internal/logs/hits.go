package logs

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"gatehouse/internal/gate"
	"gatehouse/internal/rules"
)

// believable is how far the time in a line that was written just now may be
// from our clock, to be taken for when it happened.
const believable = time.Minute

// Bounds of what an event quotes, in bytes: those of gate.Detail.
const (
	maxUser = 128
	maxVia  = 64
)

// hits is a lineReader: it runs the rules of a source's watches on its blocks.
type hits struct {
	matcher *rules.Matcher
	scanner *rules.Scanner
	options rules.SourceOptions
	bared   bool                     // the wrapper of a container, if any, is found out from the lines
	epoch   uint64                   // of the file whose wrapper is known
	odd     int                      // lines that are not of the format that a rule expects, and were not yet told of
	astray  bool                     // the last block was nothing but such lines
	watches map[*rules.Rule][]string // names of the watches that a rule's hits count for
	ported  map[*rules.Rule]bool     // its lines tell the port of the peer
	pace
	spoke  func(netip.AddrPort) bool
	doubts int // lines that could not be proven, and were not yet told of
}

// readers makes lineReaders. Sources with the same rules share one Matcher. Safe
// for concurrent use.
type readers struct {
	zone     *time.Location
	spoke    func(netip.AddrPort) bool // see Deps
	lookups  *lookups
	mu       sync.Mutex
	matchers []*rules.Matcher
}

// open returns the lineReader of a file for these watches.
func (r *readers) open(ws []Watch) lineReader {
	return r.filtered(ws, false, func(ws []Watch) lineReader {
		h := r.hits(ws, rules.SourceOptions{Format: ws[0].Format})
		h.bared = true
		return h
	})
}

// feed returns the lineReader for these watches of a source that is no file.
func (r *readers) feed(ws []Watch, o rules.SourceOptions) lineReader {
	return r.filtered(ws, false, func(ws []Watch) lineReader {
		o := o
		o.Format = ws[0].Format
		return r.hits(ws, o)
	})
}

// with returns one lineReader for all of these watches: where they want the lines
// in several formats, or trust several proxies, one made of several.
func (r *readers) with(ws []Watch, open func([]Watch) lineReader) lineReader {
	var groups [][]Watch
	for _, w := range ws {
		if i := slices.IndexFunc(groups, func(g []Watch) bool { return g[0].readsAs(w) }); i >= 0 {
			groups[i] = append(groups[i], w)
		} else {
			groups = append(groups, []Watch{w})
		}
	}
	if len(groups) == 1 {
		return open(ws)
	}
	all := several{}
	for _, g := range groups {
		all = append(all, open(g))
	}
	return all
}

// readsAs reports whether both watches want a line read in the same way.
func (w Watch) readsAs(o Watch) bool {
	return w.Format == o.Format && slices.Equal(w.Proxies, o.Proxies)
}

// hits returns the lineReader for these watches, which want one format and trust
// the same proxies.
func (r *readers) hits(ws []Watch, o rules.SourceOptions) *hits {
	o.Zone = r.zone
	if len(ws) > 0 {
		o.TrustedProxies = ws[0].Proxies
	}
	h := &hits{options: o, watches: map[*rules.Rule][]string{}, ported: map[*rules.Rule]bool{}, spoke: r.spoke}
	var set []*rules.Rule
	for _, w := range ws {
		if _, ok := h.watches[w.Rule]; !ok {
			set = append(set, w.Rule)
			h.ported[w.Rule] = slices.ContainsFunc(w.Rule.Patterns, func(p rules.Pattern) bool { return strings.Contains(p.Match, "<port>") })
		}
		h.watches[w.Rule] = append(h.watches[w.Rule], w.Name)
	}
	h.matcher = r.matcher(set)
	h.scanner = h.matcher.Scanner(h.options)
	return h
}

// several is a lineReader that has several read the same lines.
type several []lineReader

func (s several) read(block []byte, at spot) (events []gate.Event, lines, skipped int) {
	for _, r := range s {
		more, n, long := r.read(block, at)
		events, lines, skipped = append(events, more...), n, long
	}
	slices.SortStableFunc(events, func(a, b gate.Event) int { return cmp.Compare(a.Origin.Offset, b.Origin.Offset) })
	return events, lines, skipped
}

func (s several) remarks() (doubts, odd int) {
	for _, r := range s {
		if r, ok := r.(remarker); ok {
			d, o := r.remarks()
			doubts, odd = doubts+d, odd+o
		}
	}
	return doubts, odd
}

// remarker is a lineReader that has something to tell of the lines that it read.
type remarker interface {
	// remarks returns how many lines could not be proven, and how many are not of
	// the format that a rule expects, since it was last asked.
	remarks() (doubts, odd int)
}

// maxWrapped is how much of a block is looked at to tell a container's log, in
// bytes.
const maxWrapped = 64 << 10

// unwrap finds out what stands around the lines of a file, from its first lines
// and whenever none of them is what was expected.
func (h *hits) unwrap(block []byte, epoch uint64) {
	if epoch == h.epoch && !h.astray {
		return
	}
	h.epoch, h.astray = epoch, false
	if w := rules.DetectWrapper(block[:min(len(block), maxWrapped)]); w != h.options.Wrapper {
		h.options.Wrapper = w
		h.scanner = h.matcher.Scanner(h.options)
	}
}

// matcher returns the Matcher of this set, in this order.
func (r *readers) matcher(set []*rules.Rule) *rules.Matcher {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.matchers {
		if slices.Equal(m.Rules(), set) {
			return m
		}
	}
	m := rules.NewMatcher(set, rules.Options{})
	r.matchers = append(r.matchers, m)
	return m
}

// read implements lineReader.
func (h *hits) read(block []byte, at spot) (events []gate.Event, lines, skipped int) {
	today := at.now
	if !at.live {
		today = at.written // of a date without a year
	}
	if h.bared {
		h.unwrap(block, at.origin.Epoch)
	}
	st := h.scanner.Scan(block, today, func(hit *rules.Hit) {
		t := h.time(hit.Time, at)
		if t.Before(at.since) {
			return
		}
		e := gate.Event{
			Time:     t,
			Origin:   at.origin,
			Pattern:  hit.Pattern.Name,
			Subject:  gate.AddrSubject(hit.Addr),
			Class:    hit.Class,
			Evidence: hit.Evidence,
			Detail:   gate.Detail{User: clip(hit.User, maxUser), Session: hit.Session, Via: clip(hit.Host, maxVia), Proxied: hit.Proxy.IsValid()},
			Line:     string(clip(chomp(hit.Line), gate.MaxLine)),
		}
		e.Origin.Offset += int64(hit.Offset)
		times := max(1, hit.Repeat)
		if bare(hit) {
			h.witness(hit, at, &e)
			times = 1 // `message repeated` is what syslog writes, with a header
		}
		for range times {
			for _, e.Rule = range h.watches[hit.Rule] {
				events = append(events, e)
			}
		}
	})
	h.odd += st.Misfits
	h.astray = st.Misfits > 0 && st.Misfits == st.Lines
	return events, st.Lines, st.Skipped
}

// bare reports whether a line could be anybody's only because it has no header.
// A daemon that writes to standard error, as sshd -e does, leaves line ends in
// what its peers say, so that these can write whole lines.
func bare(hit *rules.Hit) bool {
	return hit.Evidence != gate.Proven && hit.Rule.Evidence == gate.Proven
}

// witness has the kernel confirm that who a bare line speaks of was connected just
// now, from the very port that the line tells. What it does not confirm does not
// count. That goes for all lines of the past, and for those without a port where
// the service tells ports: most addresses that are worth a forgery have some
// connection.
func (h *hits) witness(hit *rules.Hit, at spot, e *gate.Event) {
	if hit.Session == 0 && joins(hit) {
		e.Detail.Session = connection(hit.Addr, hit.Port)
	}
	switch {
	case !hit.Class.Counts():
	case at.live && h.spoke != nil && (hit.Port != 0 || !h.ported[hit.Rule]) && h.spoke(netip.AddrPortFrom(hit.Addr, hit.Port)):
		e.Evidence = gate.Proven
	default:
		e.Class = gate.ClassInfo
		h.doubts++
	}
}

// joins reports whether a bare line belongs to a connection that its port tells, in
// place of the process that its header would have told.
func joins(hit *rules.Hit) bool {
	kind := hit.Pattern.Session
	if kind == rules.SessionUnset {
		kind = hit.Rule.Session
	}
	return kind == rules.SessionPID && hit.Port != 0
}

// connection returns the session of a peer.
func connection(addr netip.Addr, port uint16) uint64 {
	f := fnv.New64a()
	f.Write(binary.BigEndian.AppendUint16(addr.AsSlice(), port))
	return f.Sum64()
}

// remarks implements remarker.
func (h *hits) remarks() (doubts, odd int) {
	odd, h.odd = h.odd, 0
	return h.doubted(), odd
}

// doubted returns how many lines could not be proven since it was last asked.
func (h *hits) doubted() (n int) {
	n, h.doubts = h.doubts, 0
	return n
}

// pace is how far the times have come that the lines of a source tell.
type pace struct {
	last time.Time // of the last line that told its time
}

// time returns when a line was written, by its own word where that is
// believable: never in the future, and for a line that came just now, not far
// from now. A line of the past without a time has that of the last one that had
// one, and at most when its file was last written to.
func (p *pace) time(said time.Time, at spot) time.Time {
	switch {
	case at.live && !at.dated:
		if said.IsZero() || said.After(at.now) || at.now.Sub(said) > believable {
			return at.now
		}
		return said
	case said.IsZero():
		if p.last.IsZero() || at.live {
			return at.written
		}
		return p.last
	case said.After(at.now):
		said = at.now
	}
	p.last = said
	return said
}

// chomp returns the line without its end.
func chomp(line []byte) []byte {
	for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r') {
		line = line[:len(line)-1]
	}
	return line
}

// clip returns at most n bytes of s, not cut within a character.
func clip[T ~string | ~[]byte](s T, n int) T {
	if len(s) <= n {
		return s
	}
	for i := n; i > n-utf8.UTFMax && i > 0; i-- {
		if utf8.RuneStart(s[i]) {
			return s[:i]
		}
	}
	return s[:n]
}
