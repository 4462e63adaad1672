package config

import (
	"net/netip"
	"strings"

	"gatehouse/internal/gate"
)

// Allow is one entry of the allow list: either a prefix (a single address has
// its full length) or a host name. The zero value is invalid.
type Allow struct {
	Prefix netip.Prefix // masked and unmapped; the zero Prefix for a name
	Name   string       // host name without a final dot, in lower case; "" for a prefix
}

// String returns the text form that UnmarshalText reads; "" for the zero Allow.
func (a Allow) String() string {
	switch {
	case a.Name != "":
		return a.Name
	case !a.Prefix.IsValid():
		return ""
	case a.Prefix.IsSingleIP():
		return a.Prefix.Addr().String()
	}
	return a.Prefix.String()
}

// MarshalText implements encoding.TextMarshaler.
func (a Allow) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads an address, a prefix or a host name. It refuses a prefix
// with bits set behind its length (is the network meant, or the one address?)
// and one of length 0, which would allow everybody.
func (a *Allow) UnmarshalText(b []byte) error {
	s := string(b)
	if !looksNumeric(s) {
		if !isHostName(s) {
			hint := allowHint
			if strings.IndexFunc(s, func(c rune) bool { return c > 0x7f }) >= 0 {
				hint = "write the name in ASCII, as the DNS has it: xn--..."
			}
			return wrong(gate.Quote(s, 64)+" is not an address, a prefix or a host name", hint)
		}
		*a = Allow{Name: strings.ToLower(strings.TrimSuffix(s, "."))}
		return nil
	}
	if addr, _, zoned := strings.Cut(s, "%"); zoned {
		return wrong(gate.Quote(s, 64)+" has a zone", "write "+addr+": it is allowed on every link")
	}
	sub, err := gate.ParseSubject(s)
	if err != nil || !sub.IsNet() {
		return wrong(gate.Quote(s, 64)+" is not an address or a prefix", allowHint)
	}
	p := sub.Prefix()
	if p.Bits() == 0 {
		return wrong(s+" would allow everybody, so that nobody is ever banned", "to watch without banning, start gatehouse run --observe")
	}
	if written, err := netip.ParsePrefix(s); err == nil && written.Masked() != written {
		return wrong(s+" has bits set behind its length", "write "+p.String()+" for the whole network, "+written.Addr().String()+" for the one address")
	}
	*a = Allow{Prefix: p}
	return nil
}

const allowHint = "write 192.0.2.10, 192.0.2.0/24, 2001:db8::/64 or admin.example.org"

// looksNumeric reports whether s can only have been meant as an address or a
// prefix: it has a colon or a slash, or its last label has no letter.
func looksNumeric(s string) bool {
	if strings.ContainsAny(s, ":/") {
		return true
	}
	s = strings.TrimSuffix(s, ".")
	last := s[strings.LastIndexByte(s, '.')+1:]
	return last != "" && strings.Trim(last, "0123456789") == ""
}

// isHostName reports whether s is a host name in ASCII (RFC 1123, section 2.1,
// and the underscore that the DNS allows), with or without a final dot.
func isHostName(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
	}
	return true
}
