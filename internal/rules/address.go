package rules

import "net/netip"

// maxAddr is the longest text of an address without its zone: eight groups of
// IPv6, the last two written as IPv4.
const maxAddr = 45

// addressAt reads the address that a group of an expression matched. Where the
// port is right behind it, with a colon between them, nobody can take the one
// for a part of the other: 2001:db8::1:40022 is 2001:db8::1 and a port.
func addressAt(b []byte, loc []int, g groups) (netip.Addr, bool) {
	from, to := span(loc, g.addr)
	if at, end := span(loc, g.port); at == to+1 && b[to] == ':' {
		addr, ok := address(b[:to], from, to)
		return addr, ok && (addr.Is4() || !goesOn(b, end))
	}
	return address(b, from, to)
}

// tagged reports whether the colon before i ends a word that says what follows,
// as in `IPv6:2001:db8::1` (RFC 5321, section 4.1.3) or `IP:::1`: it has a letter
// that no address has.
func tagged(b []byte, i int) bool {
	for n := i - 2; n >= 0 && isWordByte(b[n]); n-- {
		if c := b[n] | 0x20; c > 'f' && c <= 'z' {
			return true
		}
	}
	return false
}

// address reads b[from:to] as an IP address, unmapped and without its zone. It
// is false where that is no address, or only a piece of something longer:
// 1.2.3.4 out of 1.2.3.45, host-1.2.3.4 or 1.2.3.4.example.org.
func address(b []byte, from, to int) (netip.Addr, bool) {
	if from > 0 && (isWordByte(b[from-1]) || b[from-1] == '.' || b[from-1] == '-') {
		return netip.Addr{}, false
	}
	if to < len(b) && (isWordByte(b[to]) || b[to] == '-' || b[to] == '.' && to+1 < len(b) && isWordByte(b[to+1])) {
		return netip.Addr{}, false
	}
	text := b[from:to]
	v6, end := false, len(text)
	for i, c := range text {
		if c == '%' {
			end = i
			break
		}
		v6 = v6 || c == ':'
	}
	text = text[:end]
	if len(text) > maxAddr || len(text) < 2 {
		return netip.Addr{}, false
	}
	if !v6 {
		return ipv4(text)
	}
	if from > 0 && b[from-1] == ':' && !tagged(b, from) {
		return netip.Addr{}, false
	}
	if goesOn(b, to) {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(string(text))
	return a.Unmap(), err == nil
}

// goesOn reports whether an address of IPv6, or a port behind it, that ends at i
// is only a piece of what stands there.
func goesOn(b []byte, i int) bool {
	return i < len(b) && (isWordByte(b[i]) || b[i] == ':' && i+1 < len(b) && (b[i+1] == ':' || isWordByte(b[i+1])))
}

// ipv4 reads four decimal numbers without leading zeros.
func ipv4(b []byte) (netip.Addr, bool) {
	var a [4]byte
	field, n, digits := 0, 0, 0
	for i := 0; i <= len(b); i++ {
		if i == len(b) || b[i] == '.' {
			if digits == 0 || field > 3 {
				return netip.Addr{}, false
			}
			a[field], n, digits = byte(n), 0, 0
			field++
			continue
		}
		c := b[i]
		if c < '0' || c > '9' || digits == 1 && n == 0 {
			return netip.Addr{}, false
		}
		if n = n*10 + int(c-'0'); n > 255 {
			return netip.Addr{}, false
		}
		digits++
	}
	return netip.AddrFrom4(a), field == 4
}

func isWordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '_'
}
