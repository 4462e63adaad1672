package app

import (
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// How often host names of the allow list are looked up again, how long one
// look-up may take, and how many addresses one name may stand for.
const (
	resolveEvery   = 5 * time.Minute
	resolveRetry   = 30 * time.Second
	resolveTimeout = 10 * time.Second
	maxPerName     = 64
)

// names resolves the host names of the allow list. A name keeps its last good
// addresses when a look-up fails: a broken resolver must never take an exemption
// away. It is safe for concurrent use.
type names struct {
	log     *slog.Logger
	lookup  func(ctx context.Context, name string) ([]netip.Addr, error)
	changed chan struct{} // holds 1: one wake-up stands for several changes
	kick    chan struct{} // holds 1: the set of names was changed

	mu     sync.Mutex
	wanted []string
	good   map[string][]netip.Addr // last good answer of each name, sorted
	failed map[string]string       // name -> why the last look-up failed
}

func newNames(log *slog.Logger, lookup func(context.Context, string) ([]netip.Addr, error)) *names {
	return &names{
		log: log, lookup: lookup,
		changed: make(chan struct{}, 1), kick: make(chan struct{}, 1),
		good: map[string][]netip.Addr{}, failed: map[string]string{},
	}
}

// set says which names are wanted from now on; remembered gives last good
// addresses from an earlier run.
func (n *names) set(wanted []string, remembered map[string][]netip.Addr) {
	n.mu.Lock()
	n.wanted = slices.Compact(slices.Sorted(slices.Values(wanted)))
	for name, addrs := range remembered {
		if _, known := n.good[name]; !known {
			n.good[name] = addrs
		}
	}
	n.mu.Unlock()
	nudge(n.kick)
}

// addresses returns the last good addresses of each wanted name; a name without
// any is there with none.
func (n *names) addresses() map[string][]netip.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := make(map[string][]netip.Addr, len(n.wanted))
	for _, name := range n.wanted {
		out[name] = slices.Clone(n.good[name])
	}
	return out
}

// problems says which names could not be looked up, and why.
func (n *names) problems() map[string]string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.failed)
}

// Run looks the names up, again and again, until ctx ends.
func (n *names) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-n.kick:
		case <-timer.C:
		}
		if n.resolveAll(ctx) {
			timer.Reset(resolveEvery)
		} else {
			timer.Reset(resolveRetry)
		}
	}
}

func (n *names) resolveAll(ctx context.Context) (allGood bool) {
	n.mu.Lock()
	wanted := n.wanted
	n.mu.Unlock()
	allGood = true
	for _, name := range wanted {
		tctx, cancel := context.WithTimeout(ctx, resolveTimeout)
		addrs, err := n.lookup(tctx, name)
		cancel()
		if ctx.Err() != nil {
			return true
		}
		if !n.learn(name, addrs, err) {
			allGood = false
		}
	}
	return allGood
}

// learn takes in one answer; false if it was a failure.
func (n *names) learn(name string, addrs []netip.Addr, err error) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err != nil || len(addrs) == 0 {
		why := "no address"
		if err != nil {
			why = err.Error()
		}
		if n.failed[name] == "" {
			n.log.Warn("allowed name not resolved, keeping its last addresses", "subject", name, "err", why)
		}
		n.failed[name] = why
		return false
	}
	delete(n.failed, name)
	for i, a := range addrs {
		addrs[i] = a.Unmap().WithZone("")
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	addrs = slices.Compact(addrs)
	addrs = addrs[:min(len(addrs), maxPerName)]
	if !slices.Equal(addrs, n.good[name]) {
		n.good[name] = addrs
		nudge(n.changed)
	}
	return true
}

// nudge wakes the reader of a channel that holds one wake-up.
func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
