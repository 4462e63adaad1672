package main

import (
	"cmp"
	"net/netip"
	"os"
	"slices"
	"time"

	"gatehouse/internal/rules"
)

// ruleScanner is a lineScanner of rules. It tells by the first block whether a
// container runtime wrapped the lines, and how their dates are written. Not for
// concurrent use.
type ruleScanner struct {
	matcher *rules.Matcher
	options rules.SourceOptions
	scanner *rules.Scanner // nil before the first block
}

// newRuleScanner returns one for these rules and proxies that are trusted.
func newRuleScanner(rs []*rules.Rule, proxies []netip.Prefix, naive bool) *ruleScanner {
	return &ruleScanner{
		matcher: rules.NewMatcher(rs, rules.Options{Naive: naive}),
		options: rules.SourceOptions{Zone: time.Local, TrustedProxies: proxies},
	}
}

// Scan implements lineScanner.
func (s *ruleScanner) Scan(block []byte, now time.Time, emit func(*rules.Hit)) rules.Stats {
	if s.scanner == nil {
		s.options.Wrapper = rules.DetectWrapper(block[:min(len(block), wrapperPeek)])
		s.scanner = s.matcher.Scanner(s.options)
	}
	return s.scanner.Scan(block, now, emit)
}

// wrapper says what stands around each line, in a word for people; "" for nothing.
func (s *ruleScanner) wrapper() string { return s.options.Wrapper.String() }

// trustedProxies returns the proxies that the configuration names; none where it
// cannot be read.
func (e *env) trustedProxies() []netip.Prefix {
	if c, err := e.settings(); err == nil {
		return c.AllProxies()
	}
	return nil
}

// dateCount says how many of the lines that were looked at have dates of one shape.
type dateCount struct {
	Shape string `json:"shape"` // an example of it; "" = no date that is known
	Lines int    `json:"lines"`
}

// datedLines is how many lines are looked at for their dates: enough to tell which
// shapes a log has.
const datedLines = 10_000

// dateTally counts the shapes of dates.
type dateTally struct {
	seen  int
	lines map[string]int
}

// add takes in the lines of a block, up to datedLines in all.
func (d *dateTally) add(block []byte, wrapper rules.Wrapper) {
	if d.lines == nil {
		d.lines = map[string]int{}
	}
	for line := range linesOf(block) {
		if d.seen == datedLines {
			return
		}
		d.seen++
		d.lines[rules.DateShape(line, wrapper)]++
	}
}

// counts returns the shapes, the most frequent first.
func (d *dateTally) counts() []dateCount {
	out := []dateCount{}
	for shape, n := range d.lines {
		out = append(out, dateCount{shape, n})
	}
	slices.SortFunc(out, func(a, b dateCount) int { return cmp.Or(cmp.Compare(b.Lines, a.Lines), cmp.Compare(a.Shape, b.Shape)) })
	return out
}

// service is one whose lines were found in a log.
type service struct {
	Rule  string `json:"rule"`
	Title string `json:"title"`
	Lines int    `json:"lines"` // that its rule matched
}

// services returns whose lines were found, those with the most first.
func (m *matching) services() []service {
	out := []service{}
	for _, p := range m.hits {
		i := slices.IndexFunc(out, func(s service) bool { return s.Rule == p.Rule })
		if i < 0 {
			i = len(out)
			out = append(out, service{Rule: p.Rule, Title: p.title})
		}
		out[i].Lines += p.Hits
	}
	slices.SortFunc(out, func(a, b service) int { return cmp.Or(cmp.Compare(b.Lines, a.Lines), cmp.Compare(a.Rule, b.Rule)) })
	return out
}

// isJournal reports whether an argument names the journal rather than a file.
func isJournal(arg string) bool {
	_, err := os.Stat(arg)
	return err != nil && (arg == "journal" || len(arg) > len("journal:") && arg[:len("journal:")] == "journal:")
}
