package rules

import "net/netip"

// maxAddr is the longest text of an address without its zone: eight groups of
// IPv6, the last two written as IPv4.
const maxAddr = 45

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
	if from > 0 && b[from-1] == ':' {
		return netip.Addr{}, false
	}
	if to+1 < len(b) && b[to] == ':' && (b[to+1] == ':' || isWordByte(b[to+1])) {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(string(text))
	return a.Unmap(), err == nil
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
