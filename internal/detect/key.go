package detect

import (
	"net/netip"

	"gatehouse/internal/gate"
)

// key identifies a window: who, under which watch. It holds no pointer.
type key struct {
	addr  [16]byte // masked; IPv4 in its 4-in-6 form
	watch uint16   // number of the slot
	bits  uint8    // length of the prefix, 1 to 128; IPv4 plus 96
}

// v4bits is what the length of an IPv4 prefix grows by in 4-in-6 form.
const v4bits = 96

// pack returns a network as 16 bytes and a length.
func pack(p netip.Prefix) (addr [16]byte, bits uint8) {
	b := p.Bits()
	if p.Addr().Is4() {
		b += v4bits
	}
	return p.Addr().As16(), uint8(b)
}

// unpack is the reverse of pack.
func unpack(addr [16]byte, bits uint8) gate.Subject {
	a := netip.AddrFrom16(addr)
	if a.Is4In6() && bits >= v4bits {
		return gate.PrefixSubject(netip.PrefixFrom(a.Unmap(), int(bits)-v4bits))
	}
	return gate.PrefixSubject(netip.PrefixFrom(a, int(bits)))
}

// mask zeroes all but the first bits of addr.
func mask(addr [16]byte, bits uint8) [16]byte {
	i := int(bits / 8)
	if i >= len(addr) {
		return addr
	}
	addr[i] &= ^byte(0xff >> (bits % 8))
	for i++; i < len(addr); i++ {
		addr[i] = 0
	}
	return addr
}

// counted returns under which network a subject is counted.
func (c *Config) counted(p netip.Prefix) (addr [16]byte, bits uint8) {
	addr, bits = pack(p)
	a := p.Addr()
	if a.Is4() || int(bits) <= c.IPv6Prefix || a.IsLinkLocalUnicast() {
		return addr, bits
	}
	for _, s := range c.Single {
		if s.Contains(a) {
			return addr, bits
		}
	}
	bits = uint8(c.IPv6Prefix)
	return mask(addr, bits), bits
}

// fold returns 16 bits of who the key is about, to recognise evidence by.
func (k *key) fold() uint16 {
	h := uint32(k.bits)
	for _, b := range k.addr {
		h = (h ^ uint32(b)) * 16777619 // the prime of 32-bit FNV-1a
	}
	return uint16(h ^ h>>16)
}
