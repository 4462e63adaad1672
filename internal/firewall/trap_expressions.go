package firewall

import (
	"encoding/binary"
	"time"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"gatehouse/internal/gate"
)

// The parts of the traps' rules. A key of several parts begins in register 1;
// its further parts lie in registers of four bytes behind it.

// Registers of four bytes (linux/netfilter/nf_tables.h): the first overlaps
// register 1.
const reg32 = unix.NFT_REG32_00

// behind returns the register behind an address of this family.
func behind(v6 bool) uint32 {
	if v6 {
		return reg32 + 4
	}
	return reg32 + 1
}

// loadPort loads protocol and destination port behind what lies in front of at.
func loadPort(at uint32) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: at},
		&expr.Payload{DestRegister: at + 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
	}
}

// loadTarget loads the destination address behind the source.
func loadTarget(v6 bool) []expr.Any {
	offset, n := uint32(16), uint32(4)
	if v6 {
		offset, n = 24, 16
	}
	return []expr.Any{&expr.Payload{DestRegister: behind(v6), Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: n}}
}

// loadSlot loads the number of a slot behind the source. It has the form of a
// port, so that `nft list` can show it.
func loadSlot(v6 bool, n int) []expr.Any {
	return []expr.Any{&expr.Immediate{Register: behind(v6), Data: binary.BigEndian.AppendUint16(nil, uint16(n))}}
}

// lacks matches what is not in a set.
func lacks(set string) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: reg, SetName: set, Invert: true}}
}

// What a rule does to a dynamic set (linux/netfilter/nf_tables.h). Where the set
// is full, the rule matches no further.
const (
	dynsetAdd    = unix.NFT_DYNSET_OP_ADD
	dynsetUpdate = unix.NFT_DYNSET_OP_UPDATE // and give it another life
	dynsetDelete = 2                         // NFT_DYNSET_OP_DELETE
)

func dynset(do uint32, set string, life time.Duration) []expr.Any {
	return []expr.Any{&expr.Dynset{SrcRegKey: reg, SetName: set, Operation: do, Timeout: life}}
}

// tcpFlags matches TCP whose flags, of those in mask, are these.
func tcpFlags(mask, flags byte) []expr.Any {
	return join(l4proto(unix.IPPROTO_TCP), []expr.Any{
		payload(expr.PayloadBaseTransportHeader, 13, 1), masked(1, mask), equal(flags),
	})
}

// tcpAnyFlag matches TCP with one of these flags at least.
func tcpAnyFlag(mask byte) []expr.Any {
	return join(l4proto(unix.IPPROTO_TCP), []expr.Any{
		payload(expr.PayloadBaseTransportHeader, 13, 1), masked(1, mask),
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg, Data: []byte{0}},
	})
}

// Flags of TCP (RFC 9293, section 3.1).
const (
	tcpFIN = 1 << iota
	tcpSYN
	tcpRST
	tcpPSH
	tcpACK
)

// portIn matches a protocol with a destination port that is in a set, or, where
// not is set, is not.
func portIn(p gate.Proto, set string, not bool) []expr.Any {
	find := lookup(set)
	if not {
		find = lacks(set)
	}
	return join(l4proto(byte(p)), destinationPort(), find)
}

// hasSocket matches what a socket of this machine waits for: a listener, or a
// connection. The comparison is always true; without it `nft list` would not
// show that a socket is looked for.
func hasSocket() []expr.Any {
	return []expr.Any{
		&expr.Socket{Key: expr.SocketKeyTransparent, Register: reg},
		&expr.Cmp{Op: expr.CmpOpGte, Register: reg, Data: []byte{0}},
	}
}

// notForUs matches what is not for an address of this machine: broadcast,
// multicast.
func notForUs() []expr.Any {
	return []expr.Any{
		&expr.Fib{Register: reg, ResultADDRTYPE: true, FlagDADDR: true},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg, Data: binary.NativeEndian.AppendUint32(nil, unix.RTN_LOCAL)},
	}
}

// assured matches packets of connections in which both ends have sent data
// (IPS_ASSURED, linux/netfilter/nf_conntrack_common.h).
func assured() []expr.Any {
	const ipsAssured = 1 << 2
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATUS, Register: reg},
		masked(4, binary.NativeEndian.AppendUint32(nil, ipsAssured)...),
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg, Data: make([]byte, 4)},
	}
}

// report sends the packet's headers to whoever listens to the group.
func (t *traps) report(r gate.Report) []expr.Any {
	if t.want.Group == 0 {
		return nil
	}
	return []expr.Any{&expr.Log{Key: 1<<unix.NFTA_LOG_GROUP | 1<<unix.NFTA_LOG_PREFIX, Group: t.want.Group, Data: []byte(r)}}
}
