package portscan

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strconv"

	"gatehouse/internal/gate"
)

// Packet is what the first bytes of a packet say. All of it is hostile.
type Packet struct {
	Src, Dst         netip.Addr
	Proto            gate.Proto // of the transport header, behind IPv6 extension headers
	SrcPort, DstPort uint16     // 0 where the header was not copied, or there are none
	Flags            byte       // of TCP (RFC 9293, section 3.1), without ECE and CWR
	Options          int        // bytes of TCP options
}

// Bits of Flags.
const (
	fin = 1 << iota
	syn
	rst
	psh
	ack
	urg
)

var errPacket = errors.New("not an IPv4 or IPv6 packet with a whole header")

// Parse reads a packet from its network header on. Where the transport header is
// missing or cut off, the addresses still count: err is nil, ports and flags are
// 0.
func Parse(b []byte) (p Packet, err error) {
	if len(b) == 0 {
		return p, errPacket
	}
	switch b[0] >> 4 {
	case 4:
		return parse4(b)
	case 6:
		return parse6(b)
	}
	return p, errPacket
}

// parse4 reads an IPv4 header (RFC 791, section 3.1).
func parse4(b []byte) (p Packet, err error) {
	head := int(b[0]&0xf) * 4
	if head < 20 || len(b) < head {
		return p, errPacket
	}
	p.Src, p.Dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	p.Proto = gate.Proto(b[9])
	if binary.BigEndian.Uint16(b[6:])&0x1fff != 0 { // a later fragment has no transport header
		return p, nil
	}
	p.transport(b[head:])
	return p, nil
}

// Numbers of IPv6 extension headers (IANA, Protocol Numbers).
const (
	hopByHop    = 0
	routing     = 43
	fragment    = 44
	authentic   = 51
	destination = 60
	mobility    = 135
	hostID      = 139
	shim        = 140
)

// maxHeaders bounds how many extension headers are walked over.
const maxHeaders = 16

// parse6 reads an IPv6 header and what may stand before the transport header
// (RFC 8200, section 4).
func parse6(b []byte) (p Packet, err error) {
	if len(b) < 40 {
		return p, errPacket
	}
	p.Src, p.Dst = netip.AddrFrom16([16]byte(b[8:24])).Unmap(), netip.AddrFrom16([16]byte(b[24:40])).Unmap()
	next, rest := b[6], b[40:]
	for range maxHeaders {
		switch next {
		case hopByHop, routing, destination, mobility, hostID, shim, authentic, fragment:
		default:
			p.Proto = gate.Proto(next)
			p.transport(rest)
			return p, nil
		}
		if len(rest) < 8 {
			return p, nil
		}
		n := 8
		switch next {
		case authentic:
			n = (int(rest[1]) + 2) * 4
		case fragment:
			if binary.BigEndian.Uint16(rest[2:])&^7 != 0 {
				return p, nil
			}
		default:
			n = (int(rest[1]) + 1) * 8
		}
		if n > len(rest) {
			return p, nil
		}
		next, rest = rest[0], rest[n:]
	}
	return p, nil
}

// transport reads a TCP or UDP header as far as it is there.
func (p *Packet) transport(b []byte) {
	if len(b) < 4 || p.Proto != gate.TCP && p.Proto != gate.UDP {
		return
	}
	p.SrcPort, p.DstPort = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	if p.Proto == gate.TCP && len(b) >= 14 {
		p.Flags = b[13] & (fin | syn | rst | psh | ack | urg)
		p.Options = max(0, int(b[12]>>4)*4-20)
	}
}

// connectOptions is how many bytes of options a SYN has at least that the TCP of
// an operating system sends: segment size, window scale, selective
// acknowledgement. A tool that makes its own SYN sends fewer.
const connectOptions = 8

// Kind names the packet as scanners do: what tool or call sends such a one.
func (p Packet) Kind() string {
	switch {
	case p.Proto == gate.UDP:
		return "udp"
	case p.Proto != gate.TCP || p.DstPort == 0 && p.Flags == 0:
		return "packet"
	}
	switch p.Flags &^ psh {
	case syn:
		if p.Options >= connectOptions {
			return "connect"
		}
		return "syn"
	case fin:
		return "fin"
	case 0:
		if p.Flags == 0 {
			return "null"
		}
	case fin | urg:
		return "xmas"
	case ack, ack | urg:
		return "ack"
	case fin | ack:
		return "maimon"
	}
	return "odd"
}

// Line tells of the packet for people: who sent what where.
func (p Packet) Line() string {
	b := append(make([]byte, 0, 96), p.Kind()...)
	b = append(b, " from "...)
	b = p.Src.AppendTo(b)
	if p.SrcPort != 0 {
		b = strconv.AppendUint(append(b, " port "...), uint64(p.SrcPort), 10)
	}
	b = append(b, " to "...)
	b = p.Dst.AppendTo(b)
	if p.DstPort != 0 {
		b = strconv.AppendUint(append(b, " port "...), uint64(p.DstPort), 10)
		b = append(append(b, '/'), p.Proto.String()...)
	}
	if p.Proto == gate.TCP && p.Kind() == "odd" {
		b = append(b, " flags "...)
		for i, name := range [...]string{"fin", "syn", "rst", "psh", "ack", "urg"} {
			if p.Flags>>i&1 != 0 {
				b = append(append(b, name...), ' ')
			}
		}
		b = b[:len(b)-1]
	}
	return string(b)
}
