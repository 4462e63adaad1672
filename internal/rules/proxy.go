package rules

import (
	"bytes"
	"net/netip"
)

// maxHops bounds how many addresses of a list are looked at, from its end.
const maxHops = 32

// lastUntrusted walks a list of addresses, as X-Forwarded-For or Forwarded (RFC
// 7239) have it, from its end, and returns the first that is not that of a
// trusted proxy: each proxy appends whom it had the request from, so what lies
// further left anyone can have written. It is false where an entry is no
// address, or all of them are trusted.
func (s *reader) lastUntrusted(list []byte) (a netip.Addr, port uint16, ok bool) {
	for range maxHops {
		i := bytes.LastIndexByte(list, ',')
		if a, port, ok = endpoint(hop(list[i+1:])); !ok {
			return netip.Addr{}, 0, false
		}
		if !s.trusts(a) {
			return a, port, true
		}
		if i < 0 {
			break
		}
		list = list[:i]
	}
	return netip.Addr{}, 0, false
}

// hop returns what an entry of the list names: for=… of a Forwarded header, or
// all of it, without blanks and quotation marks, escaped as a log has them.
func hop(b []byte) []byte {
	b = bytes.TrimSpace(b)
	if bytes.IndexByte(b, '=') >= 0 {
		var found []byte
		for len(b) > 0 {
			pair, rest, _ := bytes.Cut(b, []byte(";"))
			key, value, _ := bytes.Cut(pair, []byte("="))
			if found == nil && bytes.EqualFold(bytes.TrimSpace(key), []byte("for")) {
				found = bytes.TrimSpace(value)
			}
			b = rest
		}
		b = found
	}
	b = bytes.TrimSuffix(bytes.TrimPrefix(b, nginxQuote), nginxQuote)
	return bytes.Trim(b, `"\`)
}

// nginxQuote is how nginx escapes a quotation mark.
var nginxQuote = []byte(`\x22`)
