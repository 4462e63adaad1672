package enrich

import (
	"net/netip"
	"strconv"
	"strings"
)

// Widest networks that an answer may be about, in bits: what is wider is not held
// by anybody in particular.
const (
	leastBits4 = 8
	leastBits6 = 16
)

// isHolding reports whether a network can be somebody's who holds the address.
func isHolding(p netip.Prefix, addr netip.Addr) bool {
	least := leastBits4
	if addr.Is6() {
		least = leastBits6
	}
	return p.IsValid() && p.Bits() >= least && p.Contains(addr)
}

// prefixWithin returns the widest prefix around an address that lies between two
// others, both included; false if it does not lie there itself.
func prefixWithin(first, last, addr netip.Addr) (netip.Prefix, bool) {
	if first.BitLen() != addr.BitLen() || last.BitLen() != addr.BitLen() || first.Compare(addr) > 0 || last.Compare(addr) < 0 {
		return netip.Prefix{}, false
	}
	best := netip.PrefixFrom(addr, addr.BitLen())
	for bits := addr.BitLen() - 1; bits >= 0; bits-- {
		p, err := addr.Prefix(bits)
		if err != nil || p.Addr().Compare(first) < 0 || lastOf(p).Compare(last) > 0 {
			break
		}
		best = p
	}
	return best, true
}

// lastOf returns the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b) // it has the length of an address
	return a
}

// parseNetworks reads networks as registries write them: `192.0.2.0 - 192.0.2.255`,
// `192.0.2.0/24`, `200.160/16`, several with commas. It returns the smallest that
// holds the address.
func parseNetworks(s string, addr netip.Addr) (best netip.Prefix, ok bool) {
	for _, item := range strings.SplitN(s, ",", 64) {
		p, found := parseNetwork(strings.TrimSpace(item), addr)
		if found && isHolding(p, addr) && (!ok || p.Bits() > best.Bits()) {
			best, ok = p, true
		}
	}
	return best, ok
}

func parseNetwork(s string, addr netip.Addr) (netip.Prefix, bool) {
	if first, last, ok := strings.Cut(s, "-"); ok {
		f, err := netip.ParseAddr(strings.TrimSpace(first))
		l, err2 := netip.ParseAddr(strings.TrimSpace(last))
		if err != nil || err2 != nil || f.Zone() != "" || l.Zone() != "" {
			return netip.Prefix{}, false
		}
		return prefixWithin(f, l, addr)
	}
	head, bits, ok := strings.Cut(s, "/")
	if ok && !strings.Contains(head, ":") {
		for strings.Count(head, ".") < 3 { // zeros at the end may be left out
			head += ".0"
		}
		s = head + "/" + bits
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err == nil
}

// parseAS reads the number of a network: `AS64496` or `64496`.
func parseAS(s string) uint32 {
	s = strings.TrimSpace(s)
	if len(s) > 2 && strings.EqualFold(s[:2], "AS") {
		s = s[2:]
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		s = s[:i]
	}
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}
