package firewall

import (
	"encoding/binary"
	"net/netip"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The parts of the rules of port gates.

// regSecond is the 32-bit register behind the first four bytes of reg: a
// concatenation fills one after the other (NFT_REG32_01).
const regSecond = 9

// towards matches packets whose source, or else destination, lies in a prefix;
// the zero prefix matches all.
func towards(p netip.Prefix, isSource bool) []expr.Any {
	if !p.IsValid() {
		return nil
	}
	v6 := p.Addr().Is6()
	addr := p.Masked().Addr().AsSlice()
	load := destination(v6, p.Bits())
	if isSource {
		load = source(v6, p.Bits())
	}
	return append(load, equal(addr...))
}

// prefixMask returns n bytes whose first bits are set.
func prefixMask(bits, n int) []byte {
	mask := make([]byte, n)
	for i := range bits {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return mask
}

// port loads the port of the side that did not open the connection: the
// destination of a question, the source of an answer.
func port(back bool) []expr.Any {
	offset := uint32(2)
	if back {
		offset = 0
	}
	return []expr.Any{payload(expr.PayloadBaseTransportHeader, offset, 2)}
}

// protoAndPort loads the key of a map from protocol and port. What has no
// ports has other protocols.
func protoAndPort(back bool) []expr.Any {
	offset := uint32(2)
	if back {
		offset = 0
	}
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: reg},
		&expr.Payload{DestRegister: regSecond, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2},
	}
}

func lookupVerdict(set string) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: reg, SetName: set, IsDestRegSet: true, DestRegister: unix.NFT_REG_VERDICT}}
}

// fibType matches packets one of whose addresses is, for the routing tables, of
// a type from lo to hi (linux/rtnetlink.h): local 2, broadcast 3, anycast 4,
// multicast 5.
func fibType(which expr.Fib, lo, hi byte) []expr.Any {
	which.Register, which.ResultADDRTYPE = reg, true
	number := func(n byte) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(n)) }
	if lo == hi {
		return []expr.Any{&which, equal(number(lo)...)}
	}
	// Compared as bytes, which for numbers below 256 is in order on any machine.
	return []expr.Any{&which, &expr.Range{Op: expr.CmpOpEq, Register: reg, FromData: number(lo), ToData: number(hi)}}
}

// leaseV6 matches a router's answer to this machine's wish for an address: it
// was asked by multicast, so connection tracking does not take it for an answer
// (RFC 8415, section 7.2).
func leaseV6() []expr.Any {
	return join(towards(netip.MustParsePrefix("fe80::/10"), true), l4proto(unix.IPPROTO_UDP), []expr.Any{
		payload(expr.PayloadBaseTransportHeader, 0, 4),
		equal(547>>8, 547&0xff, 546>>8, 546&0xff),
	})
}
