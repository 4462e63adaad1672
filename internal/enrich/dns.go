package enrich

import (
	"context"
	"net/netip"
	"slices"
	"time"
)

// nameTime is how long the name servers have to answer for one address.
const nameTime = 5 * time.Second

// namesOf asks for the names of an address and for what each leads back to.
// Names by which others call themselves are no proof; only the way back is.
func namesOf(ctx context.Context, r Resolver, addr netip.Addr) (names []Name, problem string) {
	ctx, cancel := context.WithTimeout(ctx, nameTime)
	defer cancel()
	found, err := r.LookupAddr(ctx, addr.String())
	if err != nil && len(found) == 0 {
		return nil, "reverse DNS: " + clean(err.Error(), maxText)
	}
	for _, f := range found {
		n := hostName(f)
		if n == "" || slices.ContainsFunc(names, func(o Name) bool { return o.Name == n }) {
			continue
		}
		if len(names) == maxNames {
			break
		}
		names = append(names, Name{Name: n, Confirmed: leadsTo(ctx, r, n, addr)})
	}
	slices.SortStableFunc(names, func(a, b Name) int {
		switch {
		case a.Confirmed == b.Confirmed:
			return 0
		case a.Confirmed:
			return -1
		}
		return 1
	})
	return names, ""
}

// leadsTo reports whether a name stands for an address.
func leadsTo(ctx context.Context, r Resolver, name string, addr netip.Addr) bool {
	network := "ip4"
	if addr.Is6() {
		network = "ip6"
	}
	addrs, err := r.LookupNetIP(ctx, network, name+".") // with its dot: no search list of ours is tried
	return err == nil && slices.ContainsFunc(addrs, func(a netip.Addr) bool { return a.Unmap() == addr })
}
