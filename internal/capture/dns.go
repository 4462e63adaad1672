package main

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// Types and codes of RFC 1035 and RFC 3596.
const (
	typeA, typePTR, typeMX, typeAAAA = 1, 12, 15, 28
	codeFormat, codeNoName           = 1, 3
)

// names is the name server of the network: it knows the few names of it, and
// says of all others that there are none. The owner of an address chooses the
// name that it has, so attacks do.
type names struct {
	mu      sync.Mutex
	forward map[string][]netip.Addr // name, small letters, without the last dot
	back    map[string]string       // as asked, "66.2.0.192.in-addr.arpa" -> name
}

func newNames() *names {
	n := &names{forward: map[string][]netip.Addr{}, back: map[string]string{}}
	gate, other := []netip.Addr{addr(gate4), addr(gate6)}, []netip.Addr{addr(other4), addr(other6)}
	n.forward["gate.example.org"], n.forward["example.org"] = gate, gate
	n.forward["mail.example.net"], n.forward["example.net"] = other, other
	// A list of bad senders has the attacker's IPv4 address.
	n.forward["66.2.0.192.rbl.example.org"] = []netip.Addr{addr("127.0.0.2")}
	for _, a := range []string{gate4, gate6} {
		n.reverse(a, "gate.example.org")
	}
	for _, a := range []string{other4, other6} {
		n.reverse(a, "mail.example.net")
	}
	return n
}

// reverse gives an address this name, or none; the name points back to it.
func (n *names) reverse(address, name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	a, q := addr(address), reverseName(addr(address))
	if old, ok := n.back[q]; ok {
		n.forward[old] = slices.DeleteFunc(slices.Clone(n.forward[old]), func(x netip.Addr) bool { return x == a })
	}
	maps.DeleteFunc(n.forward, func(_ string, l []netip.Addr) bool { return len(l) == 0 })
	delete(n.back, q)
	if name == "" {
		return
	}
	n.back[q] = name
	if l := n.forward[strings.ToLower(name)]; !slices.Contains(l, a) {
		n.forward[strings.ToLower(name)] = append(slices.Clone(l), a)
	}
}

// reverseName returns the name by which the name of an address is asked for.
func reverseName(a netip.Addr) string {
	if a.Is4() {
		b := a.As4()
		return fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa", b[3], b[2], b[1], b[0])
	}
	b := a.As16()
	var s strings.Builder
	for _, c := range slices.Backward(b[:]) {
		fmt.Fprintf(&s, "%x.%x.", c&15, c>>4)
	}
	return s.String() + "ip6.arpa"
}

// serve answers questions on the machine until the process ends.
func (n *names) serve(m machine) error {
	for _, a := range []string{resolver4, resolver6} {
		c, err := m.ListenPacket("udp", net.JoinHostPort(a, "53"))
		if err != nil {
			return fmt.Errorf("serve names: %w", err)
		}
		go func() {
			buf := make([]byte, 4096)
			for {
				k, from, err := c.ReadFrom(buf)
				if err != nil {
					return
				}
				if answer := n.answer(buf[:k]); answer != nil {
					c.WriteTo(answer, from)
				}
			}
		}()
	}
	return nil
}

// answer answers a message of one question (RFC 1035, 4.1); nil = not at all.
func (n *names) answer(q []byte) []byte {
	if len(q) < 12 || q[2]&0x80 != 0 {
		return nil
	}
	name, end := readName(q, 12)
	if end == 0 || end+4 > len(q) || binary.BigEndian.Uint16(q[4:]) != 1 {
		return append([]byte{q[0], q[1], 0x84, 0x80 | codeFormat}, make([]byte, 8)...)
	}
	kind := binary.BigEndian.Uint16(q[end:])
	n.mu.Lock()
	addrs, known := n.forward[strings.ToLower(name)]
	back, isBack := n.back[strings.ToLower(name)]
	n.mu.Unlock()
	var records [][]byte
	switch {
	case kind == typePTR && isBack:
		records = append(records, writeName(back))
	case kind == typeMX && known:
		records = append(records, append([]byte{0, 10}, writeName(name)...))
	}
	for _, a := range addrs {
		if kind == typeA && a.Is4() || kind == typeAAAA && a.Is6() {
			records = append(records, a.AsSlice())
		}
	}
	head := []byte{q[0], q[1], 0x84 | q[2]&1, 0x80, 0, 1, 0, byte(len(records)), 0, 0, 0, 0}
	if !known && !isBack {
		head[3] |= codeNoName
	}
	out := append(head, q[12:end+4]...)
	for _, r := range records {
		out = append(out, 0xc0, 12) // the name asked for
		out = binary.BigEndian.AppendUint16(out, kind)
		out = append(out, 0, 1, 0, 0, 0, 0) // class IN, not to be kept
		out = binary.BigEndian.AppendUint16(out, uint16(len(r)))
		out = append(out, r...)
	}
	return out
}

// readName reads an uncompressed name; end is 0 if there is none.
func readName(b []byte, at int) (name string, end int) {
	var labels []string
	for at < len(b) {
		n := int(b[at])
		at++
		if n == 0 {
			return strings.Join(labels, "."), at
		}
		if n > 63 || at+n > len(b) {
			return "", 0
		}
		labels = append(labels, string(b[at:at+n]))
		at += n
	}
	return "", 0
}

// writeName writes a name; labels are cut at 63 bytes.
func writeName(name string) []byte {
	var b []byte
	for l := range strings.SplitSeq(name, ".") {
		l = l[:min(len(l), 63)]
		if l != "" {
			b = append(append(b, byte(len(l))), l...)
		}
	}
	return append(b, 0)
}
