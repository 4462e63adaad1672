package rules

import (
	"net/netip"
	"slices"
	"sync"
	"time"
	"weak"
)

// Options say how a Matcher works.
type Options struct {
	// Naive tries each pattern on each line with package regexp, and uses no
	// filter. It is slow and gives the same hits: the oracle of the tests.
	Naive bool
}

// Matcher is any number of rules, ready to run over logs. It is safe for
// concurrent use; what belongs to one source lives in a Scanner.
type Matcher struct {
	rules    []*Rule
	naive    bool
	table    []entry                // every pattern of every rule, in order
	needles  []needle               // of all clauses of the table, each once
	programs map[string]programBits // by program that some rule names: who reads it
	globs    []globbed              // the same for names with a star
	others   programBits            // the same for every other program
	first    *plan                  // for a source of which nothing is known

	samples sync.Pool // of *sample

	mu    sync.Mutex
	plans []weak.Pointer[plan] // that scanners may be using
}

// entry is one pattern of one rule.
type entry struct {
	rule    int // index in rules
	pattern *Pattern
	clauses []indexed
}

// indexed is a clause, its needles as indices into Matcher.needles.
type indexed struct{ needles []int32 }

// NewMatcher compiles rules. A line can hit several rules, once each: the
// first pattern of a rule that matches wins.
func NewMatcher(rs []*Rule, o Options) *Matcher {
	m := &Matcher{rules: slices.Clone(rs), naive: o.Naive}
	ids := map[needle]int32{}
	for ri, r := range m.rules {
		for pi := range r.Patterns {
			p := &r.Patterns[pi]
			e := entry{rule: ri, pattern: p}
			for _, c := range p.needs {
				x := indexed{}
				for _, n := range c {
					id, ok := ids[n]
					if !ok {
						id = int32(len(m.needles))
						ids[n] = id
						m.needles = append(m.needles, n)
					}
					x.needles = append(x.needles, id)
				}
				e.clauses = append(e.clauses, x)
			}
			m.table = append(m.table, e)
		}
	}
	m.sortPrograms()
	if !m.naive {
		s := &sample{}
		m.first = m.compile(m.draw(s, m.odds(s)))
	}
	return m
}

// words is how many words have a bit for each entry.
func (m *Matcher) words() int { return (len(m.table) + 63) / 64 }

// sortPrograms fills in which entries read which programs.
func (m *Matcher) sortPrograms() {
	m.programs, m.others = map[string]programBits{}, make(programBits, m.words())
	for _, r := range m.rules {
		for _, p := range r.Programs {
			if !isGlob(p) {
				m.programs[p] = make(programBits, m.words())
			} else if !slices.ContainsFunc(m.globs, func(g globbed) bool { return g.glob == p }) {
				m.globs = append(m.globs, globbed{p, make(programBits, m.words())})
			}
		}
	}
	for i, e := range m.table {
		r := m.rules[e.rule]
		word, bit := i>>6, uint64(1)<<(i&63)
		// Of a plain line nobody knows yet whether its tag is one.
		if len(r.Programs) == 0 || r.format == FormatPlain {
			m.others[word] |= bit
		}
		for name, bits := range m.programs {
			if len(r.Programs) == 0 || r.format == FormatPlain || r.takes([]byte(name)) {
				bits[word] |= bit
			}
		}
		for _, g := range m.globs {
			if slices.Contains(r.Programs, g.glob) {
				g.bits[word] |= bit
			}
		}
	}
}

// Rules returns the rules of the matcher, in order. The caller must not change
// them.
func (m *Matcher) Rules() []*Rule { return m.rules }

// SourceOptions say what is known of one source of lines.
type SourceOptions struct {
	// Zone is the time zone of dates that name none; nil = time.Local.
	Zone *time.Location
	// Trusted says that a line without a header proves as much as one with a
	// header. By default it does not: what a daemon writes to standard error
	// often has line ends in it that its peers chose, as with sshd -e.
	Trusted bool
	// Format takes the place of a rule's for the lines of this source, where
	// both are of FormatSyslog or FormatPlain; FormatUnset = as the rules say.
	Format Format
	// Wrapper is what stands around each line: see DetectWrapper.
	Wrapper Wrapper
	// TrustedProxies are those that speak for others: where the peer of a line
	// is one of them, the address is that of the client which the line says it
	// spoke for, and where it says none there is no hit. For an access log this
	// vouches that what is in quotation marks behind the agent is
	// X-Forwarded-For or Forwarded.
	TrustedProxies []netip.Prefix
}

// Scanner returns a Scanner for one source.
func (m *Matcher) Scanner(o SourceOptions) *Scanner {
	if o.Zone == nil {
		o.Zone = time.Local
	}
	s := &Scanner{m: m, clock: clock{zone: o.Zone}, trusted: o.Trusted, seen: make([]uint64, m.words())}
	s.reader.open(m.rules, o)
	if o.Wrapper != WrapperNone {
		s.unwrapper = &unwrapper{kind: o.Wrapper}
	}
	if !m.naive {
		s.use(m.first)
	}
	return s
}

// enough is how much cheaper a new plan must be to take the place of one that
// was drawn from a sample too.
const enough = 0.9

// maxPlans bounds the plans of a matcher that are in use at a time: each has
// some tens of kilobytes.
const maxPlans = 16

// planFor returns a plan for a source that is like the sample: the one that it
// has unless another is clearly better, one that another source has rather than
// a new one.
func (m *Matcher) planFor(s *sample, now *plan) *plan {
	odds := m.odds(s)
	d := m.draw(s, odds)
	price, least := m.price(&d, s, odds), m.price(&now.draft, s, odds)
	if now != m.first {
		least *= enough
	}
	if price >= least {
		return now
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.plans = slices.DeleteFunc(m.plans, func(w weak.Pointer[plan]) bool { return w.Value() == nil })
	best := now
	for _, w := range m.plans {
		if p := w.Value(); p != nil {
			if x := m.price(&p.draft, s, odds); x < least {
				best, least = p, x
			}
		}
	}
	if best != now && price > enough*least || len(m.plans) >= maxPlans {
		return best
	}
	p := m.compile(d)
	m.plans = append(m.plans, weak.Make(p))
	return p
}
