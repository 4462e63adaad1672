package netlab

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// End is one end of a wire: a host and the addresses of the interface there.
type End struct {
	host     *Host
	prefixes []string
}

// At returns an end of a wire at the host; prefixes are addresses with the
// length of their network, "192.0.2.1/24", "2001:db8::1/64".
func (h *Host) At(prefixes ...string) End { return End{h, prefixes} }

// Link joins two hosts by a wire. The interfaces are called eth0, eth1, … in
// the order in which the host got them.
func (l *Lab) Link(a, b End) {
	l.tb.Helper()
	if err := l.link(a, b); err != nil {
		l.tb.Fatalf("netlab: link %s to %s: %v", a.host.Name, b.host.Name, err)
	}
}

func (l *Lab) link(a, b End) error {
	an, bn := a.host.nextLink(), b.host.nextLink()
	if err := a.host.Do(func() error {
		return netlink.LinkAdd(&netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: an, TxQLen: 1000},
			PeerName:  bn, PeerNamespace: netlink.NsFd(b.host.net),
		})
	}); err != nil {
		return fmt.Errorf("make a veth pair: %w", err)
	}
	if err := a.host.up(an, a.prefixes); err != nil {
		return err
	}
	if err := b.host.up(bn, b.prefixes); err != nil {
		return err
	}
	// Only now, with both ends up, does either of them work.
	for _, e := range []struct {
		End
		name string
	}{{a, an}, {b, bn}} {
		if hasIPv6(e.prefixes) {
			if err := e.host.settle(e.name); err != nil {
				return err
			}
		}
	}
	return nil
}

// Switch joins hosts as on one Ethernet switch. The switch is a host of its own,
// without addresses: what it sees passing can be watched there.
func (l *Lab) Switch(name string, ends ...End) *Host {
	l.tb.Helper()
	sw := l.Host(name)
	off := false
	if err := sw.Do(func() error {
		br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "switch"}, MulticastSnooping: &off}
		if err := netlink.LinkAdd(br); err != nil {
			return err
		}
		return netlink.LinkSetUp(br)
	}); err != nil {
		l.tb.Fatalf("netlab: make switch %s: %v", name, err)
	}
	for _, e := range ends {
		l.Plug(sw, e)
	}
	return sw
}

// Plug joins one more host to a switch.
func (l *Lab) Plug(sw *Host, e End) {
	l.tb.Helper()
	port := "eth" + strconv.Itoa(sw.links)
	if err := l.link(sw.At(), e); err != nil {
		l.tb.Fatalf("netlab: plug %s into %s: %v", e.host.Name, sw.Name, err)
	}
	if err := sw.Do(func() error {
		br, err := netlink.LinkByName("switch")
		if err != nil {
			return err
		}
		p, err := netlink.LinkByName(port)
		if err != nil {
			return err
		}
		return netlink.LinkSetMaster(p, br)
	}); err != nil {
		l.tb.Fatalf("netlab: plug %s into %s: %v", e.host.Name, sw.Name, err)
	}
}

// nextLink names the host's next interface.
func (h *Host) nextLink() string {
	h.lab.mu.Lock()
	defer h.lab.mu.Unlock()
	h.links++
	return "eth" + strconv.Itoa(h.links-1)
}

// up gives an interface its addresses and sets it up.
func (h *Host) up(name string, prefixes []string) error {
	return h.Do(func() error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("find %s on %s: %w", name, h.Name, err)
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return fmt.Errorf("set %s of %s up: %w", name, h.Name, err)
		}
		return addAddrs(link, prefixes)
	})
}

func addAddrs(link netlink.Link, prefixes []string) error {
	for _, p := range prefixes {
		a, err := netlink.ParseAddr(p)
		if err != nil {
			return fmt.Errorf("address %s: %w", p, err)
		}
		if a.IP.To4() == nil {
			a.Flags |= unix.IFA_F_NODAD
		}
		if err := netlink.AddrAdd(link, a); err != nil {
			return fmt.Errorf("add address %s: %w", p, err)
		}
	}
	return nil
}

// AddAddr gives the host further addresses on its first interface.
func (h *Host) AddAddr(prefixes ...string) {
	h.lab.tb.Helper()
	h.must("add an address", func() error {
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		return addAddrs(link, prefixes)
	})
	if hasIPv6(prefixes) {
		if err := h.settle("eth0"); err != nil {
			h.lab.tb.Fatalf("netlab: add an address: %v", err)
		}
	}
}

// DelAddr takes addresses from the host's first interface.
func (h *Host) DelAddr(prefixes ...string) {
	h.lab.tb.Helper()
	h.must("delete an address", func() error {
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		for _, p := range prefixes {
			a, err := netlink.ParseAddr(p)
			if err != nil {
				return err
			}
			if err := netlink.AddrDel(link, a); err != nil {
				return fmt.Errorf("%s: %w", p, err)
			}
		}
		return nil
	})
}

// Route adds a route: dst is a prefix or "default", via the next hop.
func (h *Host) Route(dst, via string) {
	h.lab.tb.Helper()
	h.must("add a route", func() error { return changeRoute(netlink.RouteAdd, dst, via) })
}

// Unroute deletes what Route added.
func (h *Host) Unroute(dst, via string) {
	h.lab.tb.Helper()
	h.must("delete a route", func() error { return changeRoute(netlink.RouteDel, dst, via) })
}

func changeRoute(change func(*netlink.Route) error, dst, via string) error {
	gw, err := netlink.ParseAddr(via + map[bool]string{true: "/128", false: "/32"}[strings.Contains(via, ":")])
	if err != nil {
		return err
	}
	r := &netlink.Route{Gw: gw.IP}
	switch {
	case dst != "default":
		if r.Dst, err = netlink.ParseIPNet(dst); err != nil {
			return err
		}
	case gw.IP.To4() == nil:
		if r.Dst, err = netlink.ParseIPNet("::/0"); err != nil {
			return err
		}
	default:
		if r.Dst, err = netlink.ParseIPNet("0.0.0.0/0"); err != nil {
			return err
		}
	}
	return change(r)
}

// Sysctl sets a kernel setting of the host's network, "net.ipv4.ip_forward".
func (h *Host) Sysctl(name, value string) {
	h.lab.tb.Helper()
	h.must("set "+name, func() error { return writeSysctl(name, value) })
}

// writeSysctl writes a setting of the calling thread's network namespace.
func writeSysctl(name, value string) error {
	return os.WriteFile("/proc/sys/"+strings.ReplaceAll(name, ".", "/"), []byte(value), 0)
}

// must ends the test if fn, run on the host, fails.
func (h *Host) must(what string, fn func() error) {
	h.lab.tb.Helper()
	if err := h.Do(fn); err != nil {
		h.lab.tb.Fatalf("netlab: host %s: %s: %v", h.Name, what, err)
	}
}
