package logs

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

// Bounds of looking up host names that stand in a log in place of addresses. Their
// owners choose them: so few are asked for, each answer holds for a while, and
// what takes long is left out. A log is not read on meanwhile.
const (
	lookupLife    = 5 * time.Minute // of an answer, as in fail2ban
	maxLookups    = 1024            // answers that are remembered
	lookupLive    = time.Second     // for all names of a block that came just now
	lookupPast    = 200 * time.Millisecond
	maxNamesHosts = 8 // addresses of one name that count
)

// lookups looks up host names and remembers the answers. Safe for concurrent use.
type lookups struct {
	ask func(ctx context.Context, name string) ([]netip.Addr, error)

	mu    sync.Mutex
	known map[string]answer
}

type answer struct {
	addrs []netip.Addr
	until time.Time
}

// lookupBudget is what may be spent on the names of one block.
type lookupBudget struct {
	now  time.Time
	left time.Duration
}

func newLookups(ask func(context.Context, string) ([]netip.Addr, error)) *lookups {
	return &lookups{ask: ask, known: map[string]answer{}}
}

// begin returns the budget of a block.
func (l *lookups) begin(at spot) *lookupBudget {
	if at.live {
		return &lookupBudget{at.now, lookupLive}
	}
	return &lookupBudget{at.now, lookupPast}
}

// addresses returns the addresses of a name; none where it has none, or where the
// budget is spent.
func (l *lookups) addresses(name string, b *lookupBudget) []netip.Addr {
	l.mu.Lock()
	have, ok := l.known[name]
	l.mu.Unlock()
	if ok && b.now.Before(have.until) {
		return have.addrs
	}
	if l.ask == nil || b.left <= 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), b.left)
	defer cancel()
	begun := time.Now()
	found, err := l.ask(ctx, name)
	b.left -= time.Since(begun)
	if err != nil {
		found = nil // a name that has no address is asked for again when its answer is over
	}
	var addrs []netip.Addr
	for _, a := range found[:min(len(found), maxNamesHosts)] {
		addrs = append(addrs, a.Unmap().WithZone(""))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.known) >= maxLookups {
		for old := range l.known { // any of them
			delete(l.known, old)
			break
		}
	}
	l.known[name] = answer{addrs, b.now.Add(lookupLife)}
	return addrs
}
