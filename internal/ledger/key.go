package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"gatehouse/internal/gate"
)

// The first byte of a subject's key: its family, or its kind with textual set.
const (
	family4 = 4    // then 4 bytes of address and 1 of prefix length
	family6 = 6    // then 16 bytes of address and 1 of prefix length
	textual = 0x80 // set in gate.Kind, then the text after the colon
)

var errKey = errors.New("damaged subject")

// appendKey appends the subject's key: bytes that sort in such a way that all
// networks within a network N lie between N's own key and last(N), because a
// network sorts directly before the longer ones that start at the same address.
// The zero Subject has the empty key.
func appendKey(b []byte, s gate.Subject) []byte {
	if !s.IsValid() {
		return b
	}
	if !s.IsNet() {
		return append(append(b, textual|byte(s.Kind())), s.Name()...)
	}
	p := s.Prefix()
	if a := p.Addr(); a.Is4() {
		v := a.As4()
		b = append(append(b, family4), v[:]...)
	} else {
		v := a.As16()
		b = append(append(b, family6), v[:]...)
	}
	return append(b, byte(p.Bits()))
}

// parseKey is the inverse of appendKey.
func parseKey(b []byte) (gate.Subject, error) {
	if len(b) == 0 {
		return gate.Subject{}, nil
	}
	if b[0]&textual != 0 {
		s, err := gate.ParseSubject(gate.Kind(b[0]&^textual).String() + ":" + string(b[1:]))
		if err != nil || s.Kind() != gate.Kind(b[0]&^textual) || s.Name() != string(b[1:]) {
			return gate.Subject{}, errKey
		}
		return s, nil
	}
	if len(b) < 2 {
		return gate.Subject{}, errKey
	}
	n := len(b) - 1
	a, ok := netip.AddrFromSlice(b[1:n])
	if !ok || b[0] == family4 != a.Is4() || b[0] != family4 && b[0] != family6 || int(b[n]) > a.BitLen() {
		return gate.Subject{}, errKey
	}
	p := netip.PrefixFrom(a, int(b[n]))
	s := gate.PrefixSubject(p)
	if s.Prefix() != p { // host bits, or an IPv4 address in IPv6 clothes
		return gate.Subject{}, errKey
	}
	return s, nil
}

// appendLast appends the highest key that an address or network within s can
// have.
func appendLast(b []byte, s gate.Subject) []byte {
	p := s.Prefix()
	n := len(b) + 1
	b = appendKey(b, gate.AddrSubject(p.Addr()))
	host := b[n : len(b)-1]
	for i := range host {
		if keep := p.Bits() - 8*i; keep <= 0 {
			host[i] = 0xff
		} else if keep < 8 {
			host[i] |= 0xff >> keep
		}
	}
	return b
}

// covering yields the keys of all networks that cover s, the widest first, s
// itself excluded.
func covering(s gate.Subject) (keys [][]byte) {
	p := s.Prefix()
	for bits := range p.Bits() {
		wide, err := p.Addr().Prefix(bits)
		if err != nil {
			panic(fmt.Sprintf("ledger: %s cut to %d bits: %v", p, bits, err)) // bits is in range
		}
		keys = append(keys, appendKey(nil, gate.PrefixSubject(wide)))
	}
	return keys
}

// A door is a state that decisions switch: one verdict puts it into force, the
// other one ends it.
type door byte

// The doors. Their numbers are stored.
const (
	doorNone  door = 0
	doorBan   door = 1 // Ban, Release
	doorPorts door = 2 // Close, Open, and Release of ports: each lasts, see appendPorts
	doorAllow door = 3 // Allow, Disallow
)

// doorOf returns what a decision switches and whether it puts it into force.
func doorOf(d *gate.Decision) (_ door, on bool) {
	switch d.Verdict {
	case gate.Release:
		if d.Subject.Kind() == gate.KindPort {
			return doorPorts, true
		}
		return doorBan, false
	case gate.Ban:
		return doorBan, true
	case gate.Close, gate.Open:
		return doorPorts, true
	case gate.Allow, gate.Disallow:
		return doorAllow, d.Verdict == gate.Allow
	}
	return doorNone, false
}

// appendState appends the key of the state that a decision switches.
func appendState(b []byte, d *gate.Decision) []byte {
	door, _ := doorOf(d)
	if door == doorPorts {
		return appendPorts(b, d)
	}
	return appendWhat(b, door, d.Scope, d.Subject)
}

// scheduleRule is the rule of decisions that a schedule made.
const scheduleRule = "schedule"

// appendPorts appends the key of what is said about ports. What holds is told by
// all that was said, in its order, so each stays: one of the same ports and place
// takes the place of the one before, where both have no end, or both have one and
// the same verdict. What schedules say is apart.
func appendPorts(b []byte, d *gate.Decision) []byte {
	kind := byte(0)
	if d.Rule == scheduleRule {
		kind = 1
	}
	if !d.Until.IsZero() {
		kind |= byte(d.Verdict) << 1
	}
	b = append(b, byte(doorPorts), kind)
	b = appendText(b, prefixText(d.Scope.From))
	b = appendText(b, prefixText(d.Scope.To))
	return appendKey(b, d.Subject)
}

// appendWhat appends the key of the state that a decision switches: the door,
// the scope, the subject. Without a direction it is what the subject sends.
func appendWhat(b []byte, d door, sc gate.Scope, s gate.Subject) []byte {
	b = append(b, byte(d), scopeBits(sc))
	ports := sc.Ports.String()
	b = binary.AppendUvarint(b, uint64(len(ports)))
	b = append(b, ports...)
	return appendKey(b, s)
}

// scopeBits packs the part of a scope that is not ports: bit 0 outbound, bit 1
// new connections only.
func scopeBits(sc gate.Scope) (b byte) {
	if sc.Direction == gate.Out {
		b |= 1
	}
	if sc.New {
		b |= 2
	}
	return b
}

// appendOrigin appends what all decisions of one origin and rule have in common:
// epoch and offset as they are, so that a source read on is appended at the end
// of the index, and 8 bytes of a hash of source and rule.
func appendOrigin(b []byte, o gate.Origin, rule string) []byte {
	b = binary.BigEndian.AppendUint64(b, o.Epoch)
	b = binary.BigEndian.AppendUint64(b, uint64(o.Offset))
	names := append(append([]byte(o.Source), 0), rule...)
	sum := sha256.Sum256(names)
	return append(b, sum[:8]...)
}

// appendIdentity appends what makes a decision one of its kind. It must not be
// used for the zero origin.
func appendIdentity(b []byte, d *gate.Decision) []byte {
	b = appendOrigin(b, d.Origin, d.Rule)
	return appendKey(append(b, byte(d.Verdict)), d.Subject)
}
