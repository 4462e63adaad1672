package logs

import (
	"bytes"
	"slices"
	"sort"
	"time"

	"gatehouse/internal/fail2ban"
	"gatehouse/internal/gate"
	"gatehouse/internal/rules"
)

// filtering is a lineReader: it runs one filter of fail2ban on the blocks of a
// source. What lines have in common (sessions, the form of their dates) lives in
// its scanner, and begins anew with it.
type filtering struct {
	filter  *fail2ban.Installed
	scanner *fail2ban.Scanner
	names   []string // of the watches that its failures count for
	entries bool     // lines begin with the header that the reader of the journal writes
	lookups *lookups
	pace

	nameless, gaveUp int // not yet told of

	stripped stripped // reused
}

// filtered returns a lineReader for all of these watches: those with a filter have
// one each, rest makes that of the others.
func (r *readers) filtered(ws []Watch, entries bool, rest func([]Watch) lineReader) lineReader {
	all := several{}
	var others []Watch
	for _, w := range ws {
		if w.Filter == nil {
			others = append(others, w)
			continue
		}
		same := func(l lineReader) bool { f, ok := l.(*filtering); return ok && f.filter == w.Filter }
		if i := slices.IndexFunc(all, same); i >= 0 {
			f := all[i].(*filtering)
			f.names = append(f.names, w.Name)
			continue
		}
		all = append(all, r.filtering(w, entries))
	}
	switch {
	case len(all) == 0:
		return r.with(others, rest)
	case len(others) > 0:
		all = append(all, r.with(others, rest))
	}
	return all
}

// entries returns the lineReader for these watches of the journal.
func (r *readers) entries(ws []Watch) lineReader {
	return r.filtered(ws, true, func(ws []Watch) lineReader { return r.hits(ws, rules.SourceOptions{Format: ws[0].Format}) })
}

func (r *readers) filtering(w Watch, entries bool) *filtering {
	zone := r.zone
	if zone == nil {
		zone = time.Local
	}
	return &filtering{
		filter: w.Filter, names: []string{w.Name}, entries: entries, lookups: r.lookups,
		scanner: w.Filter.Filter.Scanner(fail2ban.ScanOptions{Zone: zone, Offset: w.Filter.Offset}),
	}
}

// read implements lineReader.
func (h *filtering) read(block []byte, at spot) (events []gate.Event, lines, skipped int) {
	today := at.now
	if !at.live {
		today = at.written // of a date without a year
	}
	budget := h.lookups.begin(at)
	take := func(f *fail2ban.Failure, offset int) {
		e := h.event(f, at)
		if e.Time.Before(at.since) {
			return
		}
		e.Origin.Offset += int64(offset)
		subjects := h.who(f, budget)
		if len(subjects) == 0 {
			h.nameless++
		}
		for _, e.Subject = range subjects {
			for _, e.Rule = range h.names {
				events = append(events, e)
			}
		}
	}
	var st fail2ban.Stats
	if h.entries {
		s := &h.stripped
		s.fill(block)
		st = h.scanner.ScanEntries(s.text, s.time, today, func(f *fail2ban.Failure) { take(f, s.from(f.Offset)) })
	} else {
		st = h.scanner.Scan(block, today, func(f *fail2ban.Failure) { take(f, f.Offset) })
	}
	h.gaveUp += st.GaveUp
	return events, st.Lines, st.Skipped
}

// event is what a failure says besides who.
func (h *filtering) event(f *fail2ban.Failure, at spot) gate.Event {
	e := gate.Event{
		Time: h.time(f.Time, at), Origin: at.origin, Pattern: h.filter.Rule.Patterns[f.Expression].Name,
		Class: gate.ClassFailure, Evidence: h.filter.Evidence(f),
		Detail: gate.Detail{User: clip(f.User, maxUser), Session: f.Session()},
		Line:   string(clip(chomp(f.Line), gate.MaxLine)),
	}
	return e
}

// who returns whom a failure is about.
func (h *filtering) who(f *fail2ban.Failure, b *lookupBudget) []gate.Subject {
	if f.Prefix.IsValid() {
		return []gate.Subject{gate.PrefixSubject(f.Prefix)}
	}
	if !f.Resolve {
		return nil
	}
	var all []gate.Subject
	for _, a := range h.lookups.addresses(f.ID, b) {
		all = append(all, gate.AddrSubject(a))
	}
	return all
}

// aside is a lineReader that runs filters.
type aside interface {
	// strange returns how many failures named nobody who can be banned, and how many
	// expressions took too long, since it was last asked.
	strange() (nameless, gaveUp int)
}

func (h *filtering) strange() (nameless, gaveUp int) {
	nameless, gaveUp = h.nameless, h.gaveUp
	h.nameless, h.gaveUp = 0, 0
	return nameless, gaveUp
}

func (s several) strange() (nameless, gaveUp int) {
	for _, r := range s {
		if r, ok := r.(aside); ok {
			n, g := r.strange()
			nameless, gaveUp = nameless+n, gaveUp+g
		}
	}
	return nameless, gaveUp
}

// filtered counts what is strange about what a lineReader read.
func (s *SourceStatus) filtered(r lineReader) {
	if r, ok := r.(aside); ok {
		n, g := r.strange()
		s.Nameless += uint64(n)
		s.GaveUp += uint64(g)
	}
}

// stripped is lines of the journal without the dates that its reader wrote before
// them.
type stripped struct {
	text  []byte
	at    []int // where each line begins
	was   []int // where it began with its date
	times []time.Time
}

// fill takes the dates off the lines.
func (s *stripped) fill(block []byte) {
	s.text, s.at, s.was, s.times = s.text[:0], s.at[:0], s.was[:0], s.times[:0]
	for from := 0; from < len(block); {
		to := len(block)
		if n := bytes.IndexByte(block[from:], '\n'); n >= 0 {
			to = from + n + 1
		}
		line := block[from:to]
		t := time.Time{}
		if i := bytes.IndexByte(line, ' '); i > 0 {
			var err error
			if t, err = time.Parse(time.RFC3339Nano, string(line[:i])); err == nil {
				line = line[i+1:]
			}
		}
		s.at, s.was, s.times = append(s.at, len(s.text)), append(s.was, from), append(s.times, t)
		s.text = append(s.text, line...)
		from = to
	}
}

// line returns the number of the line at an offset of the text.
func (s *stripped) line(offset int) int { return sort.SearchInts(s.at, offset+1) - 1 }

func (s *stripped) from(offset int) int       { return s.was[s.line(offset)] }
func (s *stripped) time(offset int) time.Time { return s.times[s.line(offset)] }
