package lists

import "net/netip"

// The widest networks that a list may name: wider ones are a mistake, or an attempt
// to shut out everybody.
const (
	MinBits4 = 8
	MinBits6 = 16
)

// special are the networks that no list of others can sensibly mean here: private,
// reserved and multicast ones (IANA's registries of special-purpose addresses).
var special = NewSet([]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("224.0.0.0/3"),
	netip.MustParsePrefix("::/16"), netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("ff00::/8"),
}).Prefixes()
