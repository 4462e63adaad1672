package logs

import (
	"slices"
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
	scanner *rules.Scanner
	watches map[*rules.Rule][]string // names of the watches that a rule's hits count for
	last    time.Time                // of the last line that told its time
}

// readers makes lineReaders. Sources with the same rules share one Matcher. Safe
// for concurrent use.
type readers struct {
	zone     *time.Location
	mu       sync.Mutex
	matchers []*rules.Matcher
}

// open returns the lineReader for these watches.
func (r *readers) open(ws []Watch) lineReader {
	h := &hits{watches: map[*rules.Rule][]string{}}
	var set []*rules.Rule
	for _, w := range ws {
		if _, ok := h.watches[w.Rule]; !ok {
			set = append(set, w.Rule)
		}
		h.watches[w.Rule] = append(h.watches[w.Rule], w.Name)
	}
	h.scanner = r.matcher(set).Scanner(rules.SourceOptions{Zone: r.zone})
	return h
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
			Evidence: hit.Rule.Evidence,
			Detail:   gate.Detail{User: clip(hit.User, maxUser), Session: hit.Session, Via: clip(hit.Host, maxVia)},
			Line:     string(clip(chomp(hit.Line), gate.MaxLine)),
		}
		e.Origin.Offset += int64(hit.Offset)
		for range max(1, hit.Repeat) {
			for _, e.Rule = range h.watches[hit.Rule] {
				events = append(events, e)
			}
		}
	})
	return events, st.Lines, st.Skipped
}

// time returns when a line was written, by its own word where that is
// believable: never in the future, and for a line that came just now, not far
// from now. A line of the past without a time has that of the last one that had
// one, and at most when its file was last written to.
func (h *hits) time(said time.Time, at spot) time.Time {
	switch {
	case at.live:
		if said.IsZero() || said.After(at.now) || at.now.Sub(said) > believable {
			return at.now
		}
		return said
	case said.IsZero():
		if h.last.IsZero() {
			return at.written
		}
		return h.last
	case said.After(at.now):
		said = at.now
	}
	h.last = said
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
