package gate

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Direction says which way a connection is opened.
type Direction uint8

// The directions. DirectionNone is invalid.
const (
	DirectionNone Direction = iota
	In                      // towards this machine
	Out                     // from this machine
)

// String returns `in`, `out` or "".
func (d Direction) String() string {
	switch d {
	case In:
		return "in"
	case Out:
		return "out"
	}
	return ""
}

// ParseDirection reads `in` or `out`.
func ParseDirection(s string) (Direction, error) {
	switch s {
	case "in":
		return In, nil
	case "out":
		return Out, nil
	}
	return DirectionNone, fmt.Errorf("%s is not a direction: write in or out", Quote(s, 16))
}

// MarshalText implements encoding.TextMarshaler.
func (d Direction) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Direction) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*d = DirectionNone
		return nil
	}
	*d, err = ParseDirection(string(b))
	return err
}

// Proto is a transport protocol, by its IANA number.
type Proto uint8

// The protocols that have ports here.
const (
	TCP Proto = 6  // IANA protocol number 6
	UDP Proto = 17 // IANA protocol number 17
)

// String returns `tcp`, `udp`, or the number.
func (p Proto) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	}
	return strconv.Itoa(int(p))
}

// PortRange is the ports Lo to Hi, both included, of one protocol.
type PortRange struct {
	Proto  Proto
	Lo, Hi uint16
}

// Ports is an immutable set of ports, each with its protocol. The zero value is
// the empty set. Text form: `22/tcp`, `80,443`, `8000-8500/udp`; the suffix
// binds its whole comma list, none means tcp and udp, and a set that differs
// between the two is written as several lists with a space between.
type Ports struct {
	ranges []PortRange // sorted by protocol, then Lo; neither overlapping nor adjacent
}

// maxPortItems bounds the number of items that one expression may have.
const maxPortItems = 4096

// ParsePorts reads any number of lists, each as described at Ports, and
// returns their union. Errors name the item that is wrong and why.
func ParsePorts(lists ...string) (Ports, error) {
	var ranges []PortRange
	for _, list := range lists {
		items, suffix, hasSuffix := strings.Cut(list, "/")
		protos := []Proto{TCP, UDP}
		if hasSuffix {
			switch suffix {
			case "tcp":
				protos = protos[:1]
			case "udp":
				protos = protos[1:]
			default:
				return Ports{}, fmt.Errorf("ports %s: %s is not a protocol: write /tcp or /udp after the whole list, or nothing for both", Quote(list, 64), Quote(suffix, 16))
			}
		}
		for item := range strings.SplitSeq(items, ",") {
			lo, hi, err := parsePortItem(item)
			if err != nil {
				return Ports{}, fmt.Errorf("ports %s: %w", Quote(list, 64), err)
			}
			for _, p := range protos {
				ranges = append(ranges, PortRange{p, lo, hi})
			}
			if len(ranges) > 2*maxPortItems {
				return Ports{}, fmt.Errorf("ports: more than %d items", maxPortItems)
			}
		}
	}
	return PortsOf(ranges...), nil
}

func parsePortItem(s string) (lo, hi uint16, err error) {
	a, b, isRange := strings.Cut(s, "-")
	if lo, err = parsePort(a); err != nil {
		return 0, 0, err
	}
	if !isRange {
		return lo, lo, nil
	}
	if hi, err = parsePort(b); err != nil {
		return 0, 0, err
	}
	if hi < lo {
		return 0, 0, fmt.Errorf("the range %s is reversed: write %d-%d", Quote(s, 32), hi, lo)
	}
	return lo, hi, nil
}

func parsePort(s string) (uint16, error) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, fmt.Errorf("%s is not a port number", Quote(s, 32))
		}
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%s is not a port: ports go from 1 to 65535", Quote(s, 32))
	}
	return uint16(n), nil
}

// PortsOf returns the set of these ranges, which may overlap in any order. A
// range with Lo 0 or Hi below Lo is dropped.
func PortsOf(ranges ...PortRange) Ports {
	rs := slices.DeleteFunc(slices.Clone(ranges), func(r PortRange) bool { return r.Lo == 0 || r.Hi < r.Lo })
	slices.SortFunc(rs, func(a, b PortRange) int {
		if a.Proto != b.Proto {
			return int(a.Proto) - int(b.Proto)
		}
		return int(a.Lo) - int(b.Lo)
	})
	out := rs[:0]
	for _, r := range rs {
		if n := len(out); n > 0 && out[n-1].Proto == r.Proto && int(r.Lo) <= int(out[n-1].Hi)+1 {
			out[n-1].Hi = max(out[n-1].Hi, r.Hi)
			continue
		}
		out = append(out, r)
	}
	if len(out) == 0 {
		return Ports{} // one form of the empty set
	}
	return Ports{ranges: out}
}

// Ranges returns the set's ranges, sorted by protocol and port, neither
// overlapping nor adjacent. The caller must not change them.
func (p Ports) Ranges() []PortRange { return p.ranges }

// IsEmpty reports whether the set has no port.
func (p Ports) IsEmpty() bool { return len(p.ranges) == 0 }

// Len returns how many (protocol, port) pairs are in the set.
func (p Ports) Len() (n int) {
	for _, r := range p.ranges {
		n += int(r.Hi) - int(r.Lo) + 1
	}
	return n
}

// Equal reports whether both sets have the same ports.
func (p Ports) Equal(q Ports) bool { return slices.Equal(p.ranges, q.ranges) }

// Contains reports whether the port of this protocol is in the set.
func (p Ports) Contains(proto Proto, port uint16) bool {
	i := sort.Search(len(p.ranges), func(i int) bool {
		r := p.ranges[i]
		return r.Proto > proto || r.Proto == proto && r.Hi >= port
	})
	return i < len(p.ranges) && p.ranges[i].Proto == proto && p.ranges[i].Lo <= port
}

// Union returns the ports that are in either set.
func (p Ports) Union(q Ports) Ports { return PortsOf(append(slices.Clone(p.ranges), q.ranges...)...) }

// Minus returns the ports of p that are not in q.
func (p Ports) Minus(q Ports) Ports {
	var out []PortRange
	for _, r := range p.ranges {
		lo := int(r.Lo)
		for _, s := range q.ranges {
			if s.Proto != r.Proto || int(s.Hi) < lo || s.Lo > r.Hi {
				continue
			}
			if int(s.Lo) > lo {
				out = append(out, PortRange{r.Proto, uint16(lo), s.Lo - 1})
			}
			lo = int(s.Hi) + 1
		}
		if lo <= int(r.Hi) {
			out = append(out, PortRange{r.Proto, uint16(lo), r.Hi})
		}
	}
	return PortsOf(out...)
}

// String returns the canonical text form; "" for the empty set.
func (p Ports) String() string {
	tcp, udp := p.list(TCP), p.list(UDP)
	switch {
	case tcp == udp:
		return tcp
	case udp == "":
		return tcp + "/tcp"
	case tcp == "":
		return udp + "/udp"
	}
	return tcp + "/tcp " + udp + "/udp"
}

func (p Ports) list(proto Proto) string {
	var b []byte
	for _, r := range p.ranges {
		if r.Proto != proto {
			continue
		}
		if len(b) > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(r.Lo), 10)
		if r.Hi != r.Lo {
			b = append(b, '-')
			b = strconv.AppendUint(b, uint64(r.Hi), 10)
		}
	}
	return string(b)
}

// MarshalText implements encoding.TextMarshaler.
func (p Ports) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; lists are separated by
// white space, empty text gives the empty set.
func (p *Ports) UnmarshalText(b []byte) error {
	v, err := ParsePorts(strings.Fields(string(b))...)
	if err == nil {
		*p = v
	}
	return err
}
