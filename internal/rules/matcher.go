package rules

import (
	"slices"
	"time"
)

// Options say how a Matcher works.
type Options struct {
	// Naive tries each pattern on each line and uses no literal filter. It is
	// slow and gives the same hits: the oracle of the tests.
	Naive bool
}

// Matcher is any number of rules, ready to run over logs. It is immutable and
// safe for concurrent use; what belongs to one source lives in a Scanner.
type Matcher struct {
	rules  []*Rule
	naive  bool
	filter *filter
	owners [][]int // by literal: the entries that it may mean, ascending
	always []int   // entries of which no literal is known, ascending
	all    []int   // every entry
	table  []entry // every pattern of every rule, in order
}

// entry is one pattern of one rule.
type entry struct {
	rule    int // index in rules
	pattern *Pattern
}

// NewMatcher compiles rules. A line can hit several rules, once each: the
// first pattern of a rule that matches wins.
func NewMatcher(rs []*Rule, o Options) *Matcher {
	m := &Matcher{rules: slices.Clone(rs), naive: o.Naive}
	ids := map[string]int{}
	var texts []string
	for ri, r := range m.rules {
		for pi := range r.Patterns {
			p := &r.Patterns[pi]
			e := len(m.table)
			m.table = append(m.table, entry{ri, p})
			m.all = append(m.all, e)
			if len(p.anyOf) == 0 {
				m.always = append(m.always, e)
			}
			for _, t := range p.anyOf {
				id, ok := ids[t]
				if !ok {
					id = len(texts)
					ids[t] = id
					texts = append(texts, t)
					m.owners = append(m.owners, nil)
				}
				if !slices.Contains(m.owners[id], e) {
					m.owners[id] = append(m.owners[id], e)
				}
			}
		}
	}
	m.filter = newFilter(texts)
	return m
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
}

// Scanner returns a Scanner for one source.
func (m *Matcher) Scanner(o SourceOptions) *Scanner {
	if o.Zone == nil {
		o.Zone = time.Local
	}
	return &Scanner{m: m, clock: clock{zone: o.Zone}, trusted: o.Trusted, seen: make([]uint64, (len(m.table)+63)/64)}
}
