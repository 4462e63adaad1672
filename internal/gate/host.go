package gate

import (
	"net/netip"
	"slices"
)

// Host is what is true of this machine at one moment, as far as decisions
// depend on it. It is a value: a new one replaces an old one whole. All lists
// are sorted and without doubles.
type Host struct {
	Own       []netip.Addr   // addresses of this machine, loopback excluded
	OnLink    []netip.Prefix // networks that are directly attached, link-local included
	Gateways  []netip.Addr   // next hops of its routes
	Resolvers []netip.Addr   // name servers in use
	Sessions  []Session      // authenticated SSH sessions
	Listeners []Listener     // ports that something listens on
}

// Session is a login from elsewhere that lasts.
type Session struct {
	Peer netip.Addr // the other end
	Port uint16     // our port that it came in by
	User string     // who is logged in
}

// Listener is a socket of this machine that takes what others send.
type Listener struct {
	Addr  netip.Addr // unspecified = any address
	Proto Proto
	Port  uint16
}

// Guarded says why the guard against locking out forbids a ban of this subject:
// a clause such as `it is a gateway of this machine`; "" where it does not.
func (h Host) Guarded(s Subject) string {
	if !s.IsNet() {
		return ""
	}
	p, is := s.Prefix(), "it is "
	if !p.IsSingleIP() {
		is = "it contains "
	}
	if p.Overlaps(loopback4) || p.Overlaps(loopback6) {
		return is + "loopback"
	}
	if p.Addr().IsUnspecified() && p.IsSingleIP() || p.Addr().IsMulticast() {
		return "it is not the address of one host"
	}
	if slices.ContainsFunc(h.Own, p.Contains) {
		return is + "an address of this machine"
	}
	if slices.ContainsFunc(h.Gateways, p.Contains) {
		return is + "a gateway of this machine"
	}
	if slices.ContainsFunc(h.Resolvers, p.Contains) {
		return is + "a name server of this machine"
	}
	for _, ses := range h.Sessions {
		if p.Contains(ses.Peer) {
			if ses.User != "" {
				return "the SSH session of " + Quote(ses.User, 64) + " comes from it"
			}
			return "a live SSH session comes from it"
		}
	}
	return ""
}

// Never returns the prefixes that no ban may touch: loopback, own addresses,
// gateways, resolvers and the peers of sessions; sorted, without doubles.
func (h Host) Never() []netip.Prefix {
	ps := []netip.Prefix{loopback4, loopback6}
	one := func(a netip.Addr) { ps = append(ps, netip.PrefixFrom(a, a.BitLen())) }
	for _, list := range [][]netip.Addr{h.Own, h.Gateways, h.Resolvers} {
		for _, a := range list {
			one(a)
		}
	}
	for _, s := range h.Sessions {
		one(s.Peer)
	}
	slices.SortFunc(ps, netip.Prefix.Compare)
	return slices.Compact(ps)
}

// IsOnLink reports whether the address lies in a directly attached network;
// such an address is banned alone and never as part of a prefix.
func (h Host) IsOnLink(a netip.Addr) bool {
	return a.IsLinkLocalUnicast() || slices.ContainsFunc(h.OnLink, func(p netip.Prefix) bool { return p.Contains(a) })
}

var (
	loopback4 = netip.MustParsePrefix("127.0.0.0/8")
	loopback6 = netip.MustParsePrefix("::1/128")
)
