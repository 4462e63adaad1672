package host

import (
	"fmt"
	"net"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func ipnet(s string) *net.IPNet {
	ip, n, err := net.ParseCIDR(s)
	if err != nil {
		panic(err)
	}
	return &net.IPNet{IP: ip, Mask: n.Mask}
}

func TestAddresses(t *testing.T) {
	for _, tc := range []struct {
		name          string
		addr          netlink.Addr
		own, attached string
	}{
		{"IPv4", netlink.Addr{IPNet: ipnet("192.0.2.1/24")}, "[192.0.2.1]", "[192.0.2.0/24]"},
		{"IPv6", netlink.Addr{IPNet: ipnet("2001:db8::1/64")}, "[2001:db8::1]", "[2001:db8::/64]"},
		{"link-local", netlink.Addr{IPNet: ipnet("fe80::1/64")}, "[fe80::1]", "[fe80::/64]"},
		{"single address", netlink.Addr{IPNet: ipnet("192.0.2.1/32")}, "[192.0.2.1]", "[]"},
		{"loopback", netlink.Addr{IPNet: ipnet("127.0.0.1/8")}, "[]", "[]"},
		{"loopback IPv6", netlink.Addr{IPNet: ipnet("::1/128")}, "[]", "[]"},
		{"point to point", netlink.Addr{IPNet: ipnet("192.0.2.1/32"), Peer: ipnet("198.51.100.1/30")}, "[192.0.2.1]", "[198.51.100.0/30]"},
		{"nothing", netlink.Addr{}, "[]", "[]"},
	} {
		var n network
		n.addr(tc.addr)
		n.normalise()
		if got := fmt.Sprint(n.own); got != tc.own {
			t.Errorf("%s: own %s, want %s", tc.name, got, tc.own)
		}
		if got := fmt.Sprint(n.onLink); got != tc.attached {
			t.Errorf("%s: attached %s, want %s", tc.name, got, tc.attached)
		}
	}
}

func TestRoutes(t *testing.T) {
	gw, gw2 := net.ParseIP("192.0.2.254"), net.ParseIP("fe80::1")
	for _, tc := range []struct {
		name               string
		route              netlink.Route
		gateways, attached string
	}{
		{"default", netlink.Route{Type: unix.RTN_UNICAST, Dst: ipnet("0.0.0.0/0"), Gw: gw}, "[192.0.2.254]", "[]"},
		{"default by a link-local router", netlink.Route{Type: unix.RTN_UNICAST, Dst: ipnet("::/0"), Gw: gw2}, "[fe80::1]", "[]"},
		{"a net behind a router", netlink.Route{Type: unix.RTN_UNICAST, Dst: ipnet("198.51.100.0/24"), Gw: gw}, "[192.0.2.254]", "[]"},
		{"another table", netlink.Route{Type: unix.RTN_UNICAST, Table: 100, Dst: ipnet("0.0.0.0/0"), Gw: gw}, "[192.0.2.254]", "[]"},
		{"two hops", netlink.Route{Type: unix.RTN_UNICAST, Dst: ipnet("0.0.0.0/0"), MultiPath: []*netlink.NexthopInfo{{Gw: gw}, {Gw: gw2}}}, "[192.0.2.254 fe80::1]", "[]"},
		{"IPv4 by an IPv6 router", netlink.Route{Type: unix.RTN_UNICAST, Dst: ipnet("0.0.0.0/0"), Via: &netlink.Via{AddrFamily: unix.AF_INET6, Addr: gw2}}, "[fe80::1]", "[]"},
		{"attached", netlink.Route{Type: unix.RTN_UNICAST, Dst: ipnet("192.0.2.0/24")}, "[]", "[192.0.2.0/24]"},
		{"tunnel for everything", netlink.Route{Type: unix.RTN_UNICAST, Dst: ipnet("0.0.0.0/1")}, "[]", "[]"},
		{"tunnel for everything, IPv6", netlink.Route{Type: unix.RTN_UNICAST, Dst: ipnet("8000::/1")}, "[]", "[]"},
		{"point-to-point default", netlink.Route{Type: unix.RTN_UNICAST, Dst: ipnet("0.0.0.0/0")}, "[]", "[]"},
		{"local table", netlink.Route{Type: unix.RTN_UNICAST, Table: unix.RT_TABLE_LOCAL, Dst: ipnet("192.0.2.0/24")}, "[]", "[]"},
		{"blackhole", netlink.Route{Type: unix.RTN_BLACKHOLE, Dst: ipnet("192.0.2.0/24")}, "[]", "[]"},
		{"multicast", netlink.Route{Type: unix.RTN_UNICAST, Dst: ipnet("ff00::/8")}, "[]", "[]"},
	} {
		var n network
		n.route(tc.route)
		n.normalise()
		if got := fmt.Sprint(n.gateways); got != tc.gateways {
			t.Errorf("%s: gateways %s, want %s", tc.name, got, tc.gateways)
		}
		if got := fmt.Sprint(n.onLink); got != tc.attached {
			t.Errorf("%s: attached %s, want %s", tc.name, got, tc.attached)
		}
	}
}
