package host

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// widest are the shortest prefixes that are believed to be attached networks. A
// tunnel that takes all traffic routes 0.0.0.0/1 without a gateway, too.
const (
	widest4 = 8
	widest6 = 32
)

// dumpWait bounds how long the kernel may take for one answer.
const dumpWait = 5 * time.Second

// network is what rtnetlink says. All lists are sorted and without doubles.
type network struct {
	own      []netip.Addr
	onLink   []netip.Prefix
	gateways []netip.Addr
}

// openRoutes opens a lasting rtnetlink socket.
func openRoutes() (*netlink.Handle, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open rtnetlink: %w", err)
	}
	if err := h.SetSocketTimeout(dumpWait); err != nil {
		h.Close()
		return nil, fmt.Errorf("set the time-out of rtnetlink: %w", err)
	}
	return h, nil
}

// readNetwork asks the kernel for all addresses and routes of all tables.
func readNetwork(h *netlink.Handle) (network, error) {
	var n network
	addrs, err := again(func() ([]netlink.Addr, error) { return h.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return n, fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addrs {
		n.addr(a)
	}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		// One by one: a router may have a million.
		_, err := again(func() (struct{}, error) {
			return struct{}{}, h.RouteListFilteredIter(family, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE, func(r netlink.Route) bool {
				n.route(r)
				return true
			})
		})
		if err != nil {
			return n, fmt.Errorf("list routes: %w", err)
		}
	}
	n.normalise()
	return n, nil
}

// again repeats a listing that a change of the table interrupted.
func again[T any](list func() (T, error)) (v T, err error) {
	for range 5 {
		if v, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return v, err
		}
	}
	return v, nil // torn, but the change that tore it comes as an event
}

// addr takes one address of the machine in.
func (n *network) addr(a netlink.Addr) {
	if a.IPNet == nil {
		return
	}
	if ip, ok := toAddr(a.IP); ok && !ip.IsLoopback() && !ip.IsUnspecified() {
		n.own = append(n.own, ip)
		n.attached(toPrefix(a.IPNet))
	}
	if a.Peer != nil { // the other end of a point-to-point link
		n.attached(toPrefix(a.Peer))
	}
}

// route takes one route in.
func (n *network) route(r netlink.Route) {
	if r.Type != unix.RTN_UNICAST || r.Table == unix.RT_TABLE_LOCAL {
		return
	}
	direct := len(r.MultiPath) == 0 && !n.hop(r.Gw, r.Via)
	for _, p := range r.MultiPath {
		n.hop(p.Gw, p.Via)
	}
	if direct && r.Dst != nil {
		n.attached(toPrefix(r.Dst))
	}
}

// hop takes a next hop in and reports whether there is one. Via is an address of
// the other family (RTA_VIA).
func (n *network) hop(gw net.IP, via netlink.Destination) bool {
	ip, ok := toAddr(gw)
	if v, isVia := via.(*netlink.Via); !ok && isVia && v != nil {
		ip, ok = toAddr(v.Addr)
	}
	if !ok || ip.IsUnspecified() {
		return false
	}
	n.gateways = append(n.gateways, ip)
	return true
}

// attached takes a directly attached network in, unless it is a single address,
// loopback, multicast, or too wide to be one.
func (n *network) attached(p netip.Prefix) {
	if !p.IsValid() || p.IsSingleIP() || p.Addr().IsLoopback() || p.Addr().IsMulticast() {
		return
	}
	if p.Addr().Is4() && p.Bits() < widest4 || p.Addr().Is6() && p.Bits() < widest6 && !p.Addr().IsLinkLocalUnicast() {
		return
	}
	n.onLink = append(n.onLink, p)
}

// normalise sorts the lists, takes doubles out and makes none of them nil.
func (n *network) normalise() {
	n.own = tidy(n.own, netip.Addr.Compare)
	n.onLink = tidy(n.onLink, netip.Prefix.Compare)
	n.gateways = tidy(n.gateways, netip.Addr.Compare)
}

// tidy sorts a list and takes doubles out; the result is never nil.
func tidy[T comparable](list []T, compare func(a, b T) int) []T {
	slices.SortFunc(list, compare)
	if list = slices.Compact(list); list == nil {
		return []T{}
	}
	return list
}

func toAddr(ip net.IP) (netip.Addr, bool) {
	a, ok := netip.AddrFromSlice(ip)
	return a.Unmap(), ok
}

func toPrefix(n *net.IPNet) netip.Prefix {
	a, ok := toAddr(n.IP)
	ones, bits := n.Mask.Size()
	if !ok || bits == 0 {
		return netip.Prefix{}
	}
	if bits == 128 && a.Is4() {
		ones -= 96
	}
	p, err := a.Prefix(ones)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
