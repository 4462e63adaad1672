package config

import (
	"net/netip"
	"reflect"
)

// proxy wants a network of proxies that is not everybody: of whom all speak for
// others, nobody is known.
func proxy(v reflect.Value) error {
	p, ok := v.Interface().(netip.Prefix)
	if ok && p.Bits() == 0 {
		return wrong(p.String()+" would have everybody speak for others", "name the addresses of your proxies")
	}
	return nil
}

// TrustedProxies returns the proxies that speak for others in the logs of a
// watch: its own, or those of the whole configuration.
func (c *Config) TrustedProxies(w Watch) []netip.Prefix {
	if len(w.Proxies) > 0 {
		return w.Proxies
	}
	return c.Proxies
}

// AllProxies returns all proxies that are trusted anywhere: none of them is ever
// banned.
func (c *Config) AllProxies() []netip.Prefix {
	all := append([]netip.Prefix(nil), c.Proxies...)
	for _, w := range c.Watch {
		all = append(all, w.Proxies...)
	}
	return all
}
