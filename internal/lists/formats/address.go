package formats

import (
	"fmt"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"

	"gatehouse/internal/gate"
)

// parseNet reads an address, a prefix, a network with its mask (192.0.2.0/255.255.255.0)
// or a range (192.0.2.1-192.0.2.9); the result is one prefix, or those that make up
// the range. Brackets around an IPv6 address are taken off.
func parseNet(s string) ([]netip.Prefix, error) {
	if i := strings.IndexByte(s, '-'); i >= 0 {
		from, err1 := parseAddr(strings.TrimSpace(s[:i]))
		to, err2 := parseAddr(strings.TrimSpace(s[i+1:]))
		if err1 != nil || err2 != nil {
			return nil, fmt.Errorf("%s is not a range of addresses", gate.Quote(s, 64))
		}
		return span(s, from, to)
	}
	p, err := parsePrefix(s)
	if err != nil {
		return nil, err
	}
	return []netip.Prefix{p}, nil
}

func parseAddr(s string) (netip.Addr, error) {
	if n := len(s); n > 2 && s[0] == '[' && s[n-1] == ']' {
		s = s[1 : n-1]
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("%s is not an address", gate.Quote(s, 64))
	}
	return a.Unmap(), nil
}

// parsePrefix reads an address or a prefix, masked.
func parsePrefix(s string) (netip.Prefix, error) {
	wrong := func() (netip.Prefix, error) {
		return netip.Prefix{}, fmt.Errorf("%s is not an address or a prefix", gate.Quote(s, 64))
	}
	host, length, has := strings.Cut(s, "/")
	if n := len(host); n > 2 && host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
	}
	a, err := netip.ParseAddr(host)
	if err != nil || a.Zone() != "" {
		return wrong()
	}
	size := a.BitLen()
	if has {
		if size, err = parseLength(length, a); err != nil {
			return wrong()
		}
	}
	p, ok := gate.UnmapPrefix(netip.PrefixFrom(a, size))
	if !ok {
		return wrong()
	}
	return p, nil
}

// parseLength reads the length of a prefix: a number, or for IPv4 a mask.
func parseLength(s string, a netip.Addr) (int, error) {
	if n, err := strconv.Atoi(s); err == nil && n >= 0 && n <= a.BitLen() && (len(s) == 1 || s[0] != '0' && s[0] != '+') {
		return n, nil
	}
	mask, err := netip.ParseAddr(s)
	if err != nil || !mask.Is4() || !a.Is4() {
		return 0, fmt.Errorf("not a length")
	}
	m := uint32From(mask)
	n := bits.LeadingZeros32(^m)
	if m != ^uint32(0)<<(32-n) {
		return 0, fmt.Errorf("not a mask")
	}
	return n, nil
}

func uint32From(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// span returns the prefixes that make up a range, both ends included.
func span(text string, from, to netip.Addr) ([]netip.Prefix, error) {
	if from.Is4() != to.Is4() || to.Less(from) {
		return nil, fmt.Errorf("%s is not a range: it ends before it begins, or is of two families", gate.Quote(text, 64))
	}
	return Span(from, to), nil
}

// Span returns the fewest prefixes that hold exactly the addresses from one to
// another, both included, in order. Both must be of one family, the first not behind
// the second.
func Span(from, to netip.Addr) (out []netip.Prefix) {
	for {
		n := from.BitLen()
		for n > 0 {
			wider, _ := from.Prefix(n - 1) // n-1 is in range
			if wider.Addr() != from || to.Less(Last(wider)) {
				break
			}
			n--
		}
		p := netip.PrefixFrom(from, n)
		out = append(out, p)
		last := Last(p)
		if last == to {
			return out
		}
		from = last.Next()
	}
}

// Last returns the last address of a prefix.
func Last(p netip.Prefix) netip.Addr {
	if a := p.Addr(); a.Is4() {
		v := uint32From(a) | uint32(uint64(1)<<(32-p.Bits())-1)
		return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
	}
	b := p.Addr().As16()
	for i := range b {
		if keep := p.Bits() - 8*i; keep <= 0 {
			b[i] = 0xff
		} else if keep < 8 {
			b[i] |= 0xff >> keep
		}
	}
	return netip.AddrFrom16(b)
}
