package firewall

import (
	"encoding/binary"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The parts of rules. All use register 1 and leave it undefined.

const reg = 1

func join(parts ...[]expr.Any) (out []expr.Any) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func verdict(k expr.VerdictKind) []expr.Any { return []expr.Any{&expr.Verdict{Kind: k}} }

func jump(chain string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: chain}}
}

func goTo(chain string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictGoto, Chain: chain}}
}

func count(counter string) []expr.Any {
	return []expr.Any{&expr.Objref{Type: unix.NFT_OBJECT_COUNTER, Name: counter}}
}

func lookup(set string) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: reg, SetName: set}}
}

func equal(data ...byte) expr.Any {
	return &expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: data}
}

func meta(k expr.MetaKey, data ...byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: k, Register: reg}, equal(data...)}
}

func payload(base expr.PayloadBase, offset, n uint32) expr.Any {
	return &expr.Payload{DestRegister: reg, Base: base, Offset: offset, Len: n}
}

func masked(n uint32, mask ...byte) expr.Any {
	return &expr.Bitwise{SourceRegister: reg, DestRegister: reg, Len: n, Mask: mask, Xor: make([]byte, n)}
}

// loopback matches by the type of the interface (ARPHRD_LOOPBACK), whatever its
// name and number.
func loopback() []expr.Any {
	return meta(expr.MetaKeyIIFTYPE, binary.NativeEndian.AppendUint16(nil, unix.ARPHRD_LOOPBACK)...)
}

// loopbackOut is loopback for what leaves.
func loopbackOut() []expr.Any {
	return meta(expr.MetaKeyOIFTYPE, binary.NativeEndian.AppendUint16(nil, unix.ARPHRD_LOOPBACK)...)
}

func family(v6 bool) []expr.Any {
	if v6 {
		return meta(expr.MetaKeyNFPROTO, unix.NFPROTO_IPV6)
	}
	return meta(expr.MetaKeyNFPROTO, unix.NFPROTO_IPV4)
}

func l4proto(p byte) []expr.Any { return meta(expr.MetaKeyL4PROTO, p) }

// source loads the source address of a packet of this family, masked to its
// first bits; -1 = whole.
func source(v6 bool, bits int) []expr.Any {
	if v6 {
		return loadAddress(v6, 8, bits)
	}
	return loadAddress(v6, 12, bits)
}

// destination is source for the destination address.
func destination(v6 bool, bits int) []expr.Any {
	if v6 {
		return loadAddress(v6, 24, bits)
	}
	return loadAddress(v6, 16, bits)
}

func loadAddress(v6 bool, offset uint32, bits int) []expr.Any {
	n := keyLen(v6)
	out := append(family(v6), payload(expr.PayloadBaseNetworkHeader, offset, uint32(n)))
	if bits >= 0 && bits < 8*n {
		out = append(out, masked(uint32(n), prefixMask(bits, n)...))
	}
	return out
}

func destinationPort() []expr.Any {
	return []expr.Any{payload(expr.PayloadBaseTransportHeader, 2, 2)}
}

// neighbourDiscovery matches ICMPv6 types 133 to 137 that come from this link:
// no router decremented their hop limit (RFC 4861, section 11.2).
func neighbourDiscovery() []expr.Any {
	return join(family(true), l4proto(unix.IPPROTO_ICMPV6), []expr.Any{
		payload(expr.PayloadBaseTransportHeader, 0, 1),
		&expr.Range{Op: expr.CmpOpEq, Register: reg, FromData: []byte{133}, ToData: []byte{137}},
		payload(expr.PayloadBaseNetworkHeader, 7, 1),
		equal(255),
	})
}

// packetTooBig matches what path MTU discovery needs (RFC 4443, section 3.2).
func packetTooBig() []expr.Any {
	return join(family(true), l4proto(unix.IPPROTO_ICMPV6), []expr.Any{payload(expr.PayloadBaseTransportHeader, 0, 1), equal(2)})
}

// fragmentationNeeded matches the same for IPv4: destination unreachable, code
// 4 (RFC 1191, section 4).
func fragmentationNeeded() []expr.Any {
	return join(family(false), l4proto(unix.IPPROTO_ICMP), []expr.Any{payload(expr.PayloadBaseTransportHeader, 0, 2), equal(3, 4)})
}

// ctState matches packets in one of the states.
func ctState(bits uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: reg},
		masked(4, binary.NativeEndian.AppendUint32(nil, bits)...),
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg, Data: make([]byte, 4)},
	}
}

// ctReply is the direction of answers to connections that were opened from
// here (IP_CT_DIR_REPLY).
const ctReply = 1

// loadDirection matches packets of this direction; those that belong to no
// connection do not match.
func loadDirection(d byte) []expr.Any {
	return []expr.Any{&expr.Ct{Key: expr.CtKeyDIRECTION, Register: reg}, equal(d)}
}

// midStream matches TCP that does not open a connection. Connection tracking
// calls it new when it was turned on, flushed or restarted under a connection
// that lives.
func midStream() []expr.Any {
	const fin, syn, rst, ack = 0x01, 0x02, 0x04, 0x10
	return join(l4proto(unix.IPPROTO_TCP), []expr.Any{
		payload(expr.PayloadBaseTransportHeader, 13, 1),
		masked(1, fin|syn|rst|ack),
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg, Data: []byte{syn}},
	})
}

func limit() []expr.Any {
	return []expr.Any{&expr.Limit{Type: expr.LimitTypePkts, Rate: rejectRate, Unit: expr.LimitTimeSecond, Burst: rejectBurst}}
}

func reject(kind uint32, code uint8) []expr.Any {
	return []expr.Any{&expr.Reject{Type: kind, Code: code}}
}
