package rules

import (
	"bytes"
	"net/netip"
)

// endpoint reads a whole text as an address, with or without a port: 192.0.2.1,
// 192.0.2.1:80, 2001:db8::1, [2001:db8::1], [2001:db8::1]:80. The address is
// unmapped and without zone, the port 0 where there is none.
func endpoint(b []byte) (a netip.Addr, port uint16, ok bool) {
	if len(b) < 2 || len(b) > 96 {
		return a, 0, false
	}
	host, tail := b, []byte(nil)
	if b[0] == '[' {
		i := bytes.IndexByte(b, ']')
		if i < 0 {
			return a, 0, false
		}
		host, tail = b[1:i], b[i+1:]
		if bytes.IndexByte(host, ':') < 0 {
			return a, 0, false
		}
	} else if i := bytes.IndexByte(b, ':'); i >= 0 && bytes.IndexByte(b[i+1:], ':') < 0 {
		host, tail = b[:i], b[i:]
	}
	if len(tail) > 0 {
		if tail[0] != ':' {
			return a, 0, false
		}
		if port, ok = portOf(tail[1:]); !ok {
			return a, 0, false
		}
	}
	a, ok = address(host, 0, len(host))
	return a, port, ok
}

// portOf reads a port from 0 to 65535.
func portOf(b []byte) (uint16, bool) {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' || len(b) > 5 {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return uint16(n), len(b) > 0 && n <= 65535
}
