package fail2ban

import (
	"hash/fnv"
	"time"

	"gatehouse/internal/rules"
)

// Hits is a Scanner that tells failures as hits of the rule that stands for its
// filter: for whoever reads logs by rules. It is not for concurrent use.
type Hits struct {
	in      *Installed
	scanner *Scanner
	hit     rules.Hit
}

// Hits returns a scanner of one source; see rules.Matcher.Scanner.
func (in *Installed) Hits(o ScanOptions) *Hits {
	if o.Offset == nil {
		o.Offset = in.Offset
	}
	return &Hits{in: in, scanner: in.Filter.Scanner(o)}
}

// Scan does what rules.Scanner's does. A failure that names no address has a hit
// with the zero Addr; of a network the first address is told.
func (h *Hits) Scan(block []byte, now time.Time, emit func(*rules.Hit)) rules.Stats {
	hits := 0
	st := h.scanner.Scan(block, now, func(f *Failure) {
		hits++
		p := &h.in.Rule.Patterns[f.Expression]
		h.hit = rules.Hit{
			Rule: h.in.Rule, Pattern: p, Offset: f.Offset, Line: f.Line, Time: f.Time, Addr: f.Prefix.Addr(), User: f.User,
			Session: f.Session(), Class: p.Class, Evidence: h.in.Evidence(f), Repeat: 1,
		}
		emit(&h.hit)
	})
	return rules.Stats{Lines: st.Lines, Skipped: st.Skipped, Hits: hits}
}

// Session returns the number that joins the lines of one session; 0 = none is
// told (F-MLFID).
func (f *Failure) Session() uint64 {
	key, ok := f.Group("mlfid")
	if !ok {
		return 0
	}
	sum := fnv.New64a()
	sum.Write([]byte(key))
	return sum.Sum64()
}
