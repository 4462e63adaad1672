package replay

import (
	"io"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"gatehouse/internal/fail2ban"
	"gatehouse/internal/rules"
)

// Watch is a rule that runs on a log, under the name that its events carry.
type Watch struct {
	Name string
	Rule *rules.Rule
	// Filter is a filter of fail2ban that runs in place of the rule's patterns; Rule
	// is the one that stands for it. nil = the rule.
	Filter *fail2ban.Installed
}

// Source is one log.
type Source struct {
	Name    string    // what gate.Origin.Source says of its events: its path
	Log     io.Reader // its lines; unpacked, if they were packed
	Written time.Time // when it was last written to: what a date without a year, and a first line without a date, goes by
	Watches []Watch   // what runs on it, in the order of the configuration
	// Wrapper is what a container runtime put around each line: see
	// [rules.DetectWrapper].
	Wrapper rules.Wrapper
}

// Options say how logs are read. The zero value works, but for Now.
type Options struct {
	Now     time.Time      // no line is later than this
	Zone    *time.Location // of dates that name none; nil = time.Local
	Proxies []netip.Prefix // that speak for others in the logs
	Workers int            // how many blocks are scanned at a time; 0 = GOMAXPROCS
	Block   int            // bytes of a block, and of the longest line; 0 = as many as pay, fewer where logs are many
}

// Bounds of a block in bytes: large enough that the cost of a block does not
// count, small enough for the cache of a processor; never smaller than a few of
// the longest lines that are looked at.
const (
	maxBlock = 256 << 10
	minBlock = 4 * rules.MaxLine
)

// allBlocks is how many bytes the blocks of all logs together take, unless the
// logs are so many that the smallest blocks take more.
const allBlocks = 16 << 20

// withDefaults returns the options for so many logs.
func (o Options) withDefaults(logs int) Options {
	if o.Zone == nil {
		o.Zone = time.Local
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Block <= 0 {
		o.Block = min(max(allBlocks/max(1, logs)/o.depth(), minBlock), maxBlock)
	}
	return o
}

// depth is how many blocks of one log are under way: one that is judged, one
// that waits, and one for each worker.
func (o Options) depth() int { return o.Workers + 2 }

// rulesOf returns the rules and the filters of a source's watches, each once, and
// the names of the watches of each.
func rulesOf(ws []Watch) (set []*rules.Rule, filters []*fail2ban.Installed, names map[*rules.Rule][]string) {
	names = map[*rules.Rule][]string{}
	for _, w := range ws {
		switch {
		case names[w.Rule] != nil:
		case w.Filter != nil:
			filters = append(filters, w.Filter)
		default:
			set = append(set, w.Rule)
		}
		names[w.Rule] = append(names[w.Rule], w.Name)
	}
	return set, filters, names
}

// matchers makes a matcher for each set of rules that is asked for.
type matchers []*rules.Matcher

func (m *matchers) of(set []*rules.Rule) *rules.Matcher {
	for _, have := range *m {
		if slices.Equal(have.Rules(), set) {
			return have
		}
	}
	made := rules.NewMatcher(set, rules.Options{})
	*m = append(*m, made)
	return made
}
