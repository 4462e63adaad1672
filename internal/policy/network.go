package policy

import (
	"net/netip"
	"slices"
	"time"

	"gatehouse/internal/gate"
)

// Network is a part of the address space that is judged in its own way.
type Network struct {
	Name   string
	Match  []netip.Prefix  // masked
	Ladder []time.Duration // in place of those of the watches; nil = those
}

// covers reports whether all of p lies in the network.
func (n *Network) covers(p netip.Prefix) bool {
	return slices.ContainsFunc(n.Match, func(m netip.Prefix) bool { return m.Bits() <= p.Bits() && m.Contains(p.Addr()) })
}

// Networks finds the network of a subject, the first in their order.
type Networks []Network

// Of returns the first network that covers the subject; nil if none does.
func (ns Networks) Of(s gate.Subject) *Network {
	if !s.IsNet() {
		return nil
	}
	for i := range ns {
		if ns[i].covers(s.Prefix()) {
			return &ns[i]
		}
	}
	return nil
}

// under returns how findings of a watch are judged on a subject: by the ladder of
// its network, where that has one. The name is that of the network; "" if the watch
// decides.
func (p *Policy) under(w *Watch, s gate.Subject) (*Watch, string) {
	n := Networks(p.config.Networks).Of(s)
	if n == nil || len(n.Ladder) == 0 {
		return w, ""
	}
	own := *w
	own.Ladder = n.Ladder
	return &own, n.Name
}
