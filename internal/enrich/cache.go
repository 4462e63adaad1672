package enrich

import (
	"encoding/json"
	"log/slog"
	"net/netip"
	"sync"
	"time"
)

// Bounds of the cache.
const (
	maxCached = 512 // answers of registries; the ledger keeps them
	maxValue  = 4 << 10
	// An answer holds for its network, but no wider than this: a registry answers
	// with the smallest network that it has for one address, and within a wide one
	// there may be smaller ones for others.
	widest4 = 20
	widest6 = 40
)

// cache is what registries answered, by network. Safe for concurrent use.
type cache struct {
	store Store
	keep  time.Duration

	mu sync.Mutex // guards m
	m  map[netip.Prefix]Registration
}

// newCache reads what earlier runs learned.
func newCache(s Store, keep time.Duration, log *slog.Logger) *cache {
	c := &cache{store: s, keep: keep, m: map[netip.Prefix]Registration{}}
	all, err := s.All()
	if err != nil {
		log.Warn("what is known of networks is not read", "err", err)
		return c
	}
	for name, value := range all {
		p, err := netip.ParsePrefix(name)
		var r Registration
		if err != nil || len(value) > maxValue || json.Unmarshal(value, &r) != nil || len(c.m) >= maxCached {
			s.Delete(name)
			continue
		}
		c.m[p] = r
	}
	return c
}

// get returns the answer for the smallest network that holds an address.
func (c *cache) get(addr netip.Addr, now time.Time) (Registration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	least := widest4
	if addr.Is6() {
		least = widest6
	}
	for bits := addr.BitLen(); bits >= least; bits-- {
		p, err := addr.Prefix(bits)
		if err != nil {
			break
		}
		if r, ok := c.m[p]; ok {
			if age := now.Sub(r.At); age >= 0 && age < c.keep {
				return r, true
			}
		}
	}
	return Registration{}, false
}

// put keeps an answer, for the network around the address that it was about.
func (c *cache) put(addr netip.Addr, r Registration) {
	least := widest4
	if addr.Is6() {
		least = widest6
	}
	p, err := addr.Prefix(max(r.Network.Bits(), least))
	if err != nil {
		return
	}
	value, err := json.Marshal(r)
	if err != nil || len(value) > maxValue {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.m[p]; !known && len(c.m) >= maxCached {
		var oldest netip.Prefix
		for q, o := range c.m {
			if !oldest.IsValid() || o.At.Before(c.m[oldest].At) {
				oldest = q
			}
		}
		delete(c.m, oldest)
		c.store.Delete(oldest.String())
	}
	c.m[p] = r
	c.store.Put(p.String(), value)
}
