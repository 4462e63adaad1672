package gate

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Kind says what a Subject is.
type Kind uint8

// The kinds of subject. KindNone is the kind of the zero Subject.
const (
	KindNone      Kind = iota
	KindAddr           // one address: 192.0.2.1
	KindPrefix         // a network: 2001:db8::/64
	KindPort           // a set of ports and a direction: port:22/tcp/in
	KindList           // a block list: list:drop
	KindPartition      // a partition of the alarm panel: partition:1
	KindZone           // a zone of a partition: zone:1/7
)

// String returns the kind in one lower-case word.
func (k Kind) String() string {
	switch k {
	case KindAddr:
		return "address"
	case KindPrefix:
		return "prefix"
	case KindPort:
		return "port"
	case KindList:
		return "list"
	case KindPartition:
		return "partition"
	case KindZone:
		return "zone"
	}
	return "none"
}

// Subject is who or what an observation or a decision is about. It is
// comparable, so it serves as a map key; the zero value is invalid. The text
// form (String, MarshalText) is canonical and parses back with ParseSubject.
type Subject struct {
	kind Kind
	net  netip.Prefix // KindAddr (full length) and KindPrefix (masked)
	text string       // canonical text after the colon, for the other kinds
}

// AddrSubject returns the subject of one address. A 4-in-6 address is unmapped
// and a zone dropped; an invalid address gives the zero Subject.
func AddrSubject(a netip.Addr) Subject {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return Subject{}
	}
	return Subject{kind: KindAddr, net: netip.PrefixFrom(a, a.BitLen())}
}

// PrefixSubject returns the subject of a network, masked to its length. A
// prefix of full length gives the same Subject as its address; an invalid one
// gives the zero Subject.
func PrefixSubject(p netip.Prefix) Subject {
	p, ok := UnmapPrefix(p)
	if !ok {
		return Subject{}
	}
	if p.IsSingleIP() {
		return Subject{kind: KindAddr, net: p}
	}
	return Subject{kind: KindPrefix, net: p}
}

// UnmapPrefix returns p masked, without zone and with a 4-in-6 prefix turned
// into its IPv4 one. It is false for an invalid prefix and for a 4-in-6 prefix
// that is wider than the embedded IPv4 space.
func UnmapPrefix(p netip.Prefix) (netip.Prefix, bool) {
	if !p.IsValid() {
		return netip.Prefix{}, false
	}
	if a := p.Addr(); a.Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, false
		}
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}

// PortSubject returns the subject of a set of ports in one direction; the zero
// Subject if the set is empty or the direction is not In or Out.
func PortSubject(p Ports, d Direction) Subject {
	if p.IsEmpty() || (d != In && d != Out) {
		return Subject{}
	}
	return Subject{kind: KindPort, text: p.String() + "/" + d.String()}
}

// ListSubject returns the subject of the block list with this name (letters,
// digits, `-`, `_`, `.`); the zero Subject for another name.
func ListSubject(name string) Subject {
	if !IsName(name) {
		return Subject{}
	}
	return Subject{kind: KindList, text: name}
}

// PartitionSubject returns the subject of partition n (1 to 8) of the panel.
func PartitionSubject(n int) Subject {
	if n < 1 || n > 8 {
		return Subject{}
	}
	return Subject{kind: KindPartition, text: strconv.Itoa(n)}
}

// ZoneSubject returns the subject of zone z (1 to 999) of partition n (1 to 8).
func ZoneSubject(n, z int) Subject {
	if n < 1 || n > 8 || z < 1 || z > 999 {
		return Subject{}
	}
	return Subject{kind: KindZone, text: strconv.Itoa(n) + "/" + strconv.Itoa(z)}
}

// IsName reports whether s may name a rule, a list, a network or a service: 1
// to 64 letters, digits, `-`, `_` or `.`, not starting with `-` or `.`.
func IsName(s string) bool {
	if s == "" || len(s) > 64 || s[0] == '-' || s[0] == '.' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return true
}

// ErrNotSubject is what ParseSubject's errors wrap.
var ErrNotSubject = errors.New("not an address, a prefix or another subject")

// maxSubject bounds the text that ParseSubject looks at, in bytes; maxPorts that
// of a set of ports: so much has any set that ParsePorts makes, with 8192 ranges
// of 12 bytes.
const (
	maxSubject = 512
	maxPorts   = 128 << 10
)

// ParseSubject reads the text form of a subject: an address, a prefix (host
// bits are masked away), or `port:`, `list:`, `partition:` or `zone:` and a
// name. Errors wrap ErrNotSubject and quote at most 64 bytes of the input.
func ParseSubject(s string) (Subject, error) {
	bad := func(why string) (Subject, error) {
		return Subject{}, fmt.Errorf("%s: %w: %s", Quote(s, 64), ErrNotSubject, why)
	}
	if s == "" {
		return bad("it is empty")
	}
	if len(s) > maxPorts || len(s) > maxSubject && !strings.HasPrefix(s, "port:") {
		return bad("it is too long")
	}
	if scheme, rest, ok := strings.Cut(s, ":"); ok {
		var sub Subject
		switch scheme {
		case "port":
			i := strings.LastIndexByte(rest, '/')
			if i < 0 {
				return bad("a port needs a direction, as in port:22/tcp/in")
			}
			d, err := ParseDirection(rest[i+1:])
			if err != nil {
				return bad(err.Error())
			}
			p, err := ParsePorts(strings.Fields(rest[:i])...)
			if err != nil {
				return bad(err.Error())
			}
			sub = PortSubject(p, d)
		case "list":
			sub = ListSubject(rest)
		case "partition":
			n, _ := strconv.Atoi(rest)
			sub = PartitionSubject(n)
		case "zone":
			a, b, _ := strings.Cut(rest, "/")
			n, _ := strconv.Atoi(a)
			z, _ := strconv.Atoi(b)
			sub = ZoneSubject(n, z)
		default:
			goto network
		}
		if !sub.IsValid() {
			return bad("no such " + scheme)
		}
		return sub, nil
	}
network:
	if strings.ContainsRune(s, '%') {
		return bad("an address here has no zone")
	}
	if strings.ContainsRune(s, '/') {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return bad("write a prefix as 192.0.2.0/24 or 2001:db8::/64")
		}
		sub := PrefixSubject(p)
		if !sub.IsValid() {
			return bad("the prefix is wider than the IPv4 addresses in it")
		}
		return sub, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return bad("write an address as 192.0.2.1 or 2001:db8::1")
	}
	return AddrSubject(a), nil
}

// Kind returns what the subject is.
func (s Subject) Kind() Kind { return s.kind }

// IsValid reports whether s is not the zero Subject.
func (s Subject) IsValid() bool { return s.kind != KindNone }

// IsNet reports whether s is an address or a prefix.
func (s Subject) IsNet() bool { return s.kind == KindAddr || s.kind == KindPrefix }

// Prefix returns the network of an address (of full length) or a prefix; the
// zero Prefix for another kind.
func (s Subject) Prefix() netip.Prefix { return s.net }

// Addr returns the address of an address, or the first one of a prefix; the
// zero Addr for another kind.
func (s Subject) Addr() netip.Addr { return s.net.Addr() }

// Name returns the text after the colon of a port, list, partition or zone; ""
// for another kind.
func (s Subject) Name() string { return s.text }

// Ports returns the set of ports and the direction of a KindPort subject.
func (s Subject) Ports() (Ports, Direction) {
	if s.kind != KindPort {
		return Ports{}, DirectionNone
	}
	i := strings.LastIndexByte(s.text, '/')
	d, _ := ParseDirection(s.text[i+1:])
	p, _ := ParsePorts(strings.Fields(s.text[:i])...)
	return p, d
}

// Covers reports whether t is an address or prefix that lies within s.
func (s Subject) Covers(t Subject) bool {
	return s.IsNet() && t.IsNet() && s.net.Bits() <= t.net.Bits() && s.net.Contains(t.net.Addr())
}

// String returns the canonical text form; "" for the zero Subject.
func (s Subject) String() string {
	switch s.kind {
	case KindNone:
		return ""
	case KindAddr:
		return s.net.Addr().String()
	case KindPrefix:
		return s.net.String()
	}
	return s.kind.String() + ":" + s.text
}

// MarshalText implements encoding.TextMarshaler.
func (s Subject) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; empty text gives the zero
// Subject.
func (s *Subject) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*s = Subject{}
		return nil
	}
	v, err := ParseSubject(string(b))
	if err == nil {
		*s = v
	}
	return err
}

// Quote returns s as a Go string literal of at most about max bytes, with an
// ellipsis where it was cut, so that hostile text is safe in a message.
func Quote(s string, max int) string {
	if len(s) > max {
		return strconv.QuoteToASCII(s[:max]) + "…"
	}
	return strconv.QuoteToASCII(s)
}
