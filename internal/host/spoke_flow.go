package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	mdl "github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// The messages of connection tracking (include/uapi/linux/netfilter/nfnetlink.h,
// nfnetlink_conntrack.h and nf_conntrack_common.h).
const (
	flowGet = unix.NFNL_SUBSYS_CTNETLINK<<8 | 1 // IPCTNL_MSG_CT_GET

	ctaTupleOrig  = 1
	ctaTupleReply = 2
	ctaStatus     = 3
	ctaProtoInfo  = 4
	ctaFilter     = 25

	ctaTupleIP    = 1
	ctaTupleProto = 2

	ctaIPv4Src, ctaIPv4Dst = 1, 2
	ctaIPv6Src, ctaIPv6Dst = 3, 4

	ctaProtoNum, ctaProtoSrcPort, ctaProtoDstPort = 1, 2, 3

	ctaProtoInfoTCP          = 1
	ctaProtoInfoTCPState     = 1
	ctaProtoInfoTCPFlagsOrig = 4

	ctaFilterOrigFlags = 1
	// What of the tuple is compared (CTA_FILTER_F_CTA_*).
	filterIPSrc, filterProtoNum, filterSrcPort = 1 << 0, 1 << 3, 1 << 4

	statusSeenReply = 1 << 1 // IPS_SEEN_REPLY
	statusAssured   = 1 << 2 // IPS_ASSURED

	// The states from TCP_CONNTRACK_ESTABLISHED to _TIME_WAIT, in between which
	// lie _FIN_WAIT, _CLOSE_WAIT and _LAST_ACK; _CLOSE is the next.
	flowEstablished, flowTimeWait = 3, 7

	tcpLiberal = 1 << 3 // IP_CT_TCP_FLAG_BE_LIBERAL
)

// maxUnfiltered is how many flows there may be where the kernel lists all of them.
const maxUnfiltered = 16384

// flow is a connection as the kernel tracks it.
type flow struct {
	from, to     netip.AddrPort // as its first packet had it
	answers      netip.AddrPort // who answers: to, unless that is translated
	asked        netip.AddrPort // who gets the answers: from, unless that is translated
	proto        uint8
	status       uint32
	state, flags uint8 // of TCP; the flags are those of who opened it
}

// spoken reports whether it is a TCP connection whose handshake was completed by
// who opened it, seen from its first packet on.
//
// ASSURED is set by the packet that completes the handshake: a peer that never
// asked for the connection makes it go from SYN_RECV to CLOSE, with an answer
// seen. CLOSE does not do even with ASSURED: tracking lets acknowledgements pass
// that are up to 66,000 off, so that some tens of thousands of forged ones hit;
// to such a one, the machine answers with a reset, and the state is CLOSE at once.
// A flow that was picked up in the middle is marked liberal, and who opened it is
// a guess.
func (f flow) spoken() bool {
	const both = statusSeenReply | statusAssured
	return f.proto == unix.IPPROTO_TCP && f.status&both == both && f.state >= flowEstablished && f.state <= flowTimeWait && f.flags&tcpLiberal == 0
}

// exactFlow returns which of these ends has, or had, a connection that the peer
// opened.
func (s *witness) exactFlow(peer netip.AddrPort, ends []netip.AddrPort) (netip.AddrPort, bool) {
	if !s.openFlows() {
		return netip.AddrPort{}, false
	}
	reqs := make([]mdl.Message, len(ends))
	for i, end := range ends {
		// By the direction of the answers: there the end is the one that listens,
		// whatever its address and port were translated from.
		reqs[i] = flowRequest(peer, mdl.Request, func(ae *mdl.AttributeEncoder) {
			encodeTuple(ae, ctaTupleReply, end, peer)
		})
	}
	for m, err := range exchange(s.flows, reqs) {
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			s.loseFlows()
			return netip.AddrPort{}, false
		}
		if f, ok := parseFlow(m.Data); ok && f.spoken() && f.from == peer && f.asked == peer {
			return f.answers, true
		}
	}
	return netip.AddrPort{}, false
}

// walk looks for a connection that the peer opened to this machine or a network
// attached to it, among all flows, and returns who answers there. The port of the
// peer may be 0 for any.
func (s *witness) walk(peer netip.AddrPort, w *Watcher) (netip.AddrPort, bool) {
	flags := uint32(filterProtoNum)
	if peer.Addr().Is4() { // by an address of IPv6, Linux (up to 6.18 at least) lists all flows but those asked for
		flags |= filterIPSrc
	}
	if peer.Port() != 0 {
		flags |= filterSrcPort
	}
	filtered := flags != filterProtoNum && canFilter()
	if !filtered && flowCount() > maxUnfiltered || !s.openFlows() {
		return netip.AddrPort{}, false
	}
	s.flows.SetDeadline(time.Now().Add(askWait))
	msgs, err := s.flows.Execute(flowRequest(peer, mdl.Request|mdl.Dump, func(ae *mdl.AttributeEncoder) {
		encodeTuple(ae, ctaTupleOrig, peer, netip.AddrPort{})
		// In the machine's byte order, unlike the values beside it.
		ae.Nested(ctaFilter, func(ae *mdl.AttributeEncoder) error {
			ae.ByteOrder = binary.NativeEndian
			ae.Uint32(ctaFilterOrigFlags, flags)
			return nil
		})
	}))
	if err != nil {
		s.loseFlows()
		return netip.AddrPort{}, false
	}
	l, _ := w.local()
	for _, m := range msgs {
		f, ok := parseFlow(m.Data)
		if ok && f.spoken() && f.from.Addr() == peer.Addr() && (peer.Port() == 0 || f.from == peer) && f.asked == f.from && l.attached(f.to.Addr()) {
			return f.answers, true
		}
	}
	return netip.AddrPort{}, false
}

// openFlows opens connection tracking, unless that failed not long ago.
func (s *witness) openFlows() bool {
	if s.flows == nil {
		if time.Now().Before(s.flowsFrom) {
			return false
		}
		c, err := mdl.Dial(unix.NETLINK_NETFILTER, nil)
		if err != nil {
			s.loseFlows()
			return false
		}
		s.flows = c
	}
	return true
}

// loseFlows closes connection tracking after an error: it may not be allowed or
// not be there, or answers may still be under way.
func (s *witness) loseFlows() {
	if s.flows != nil {
		s.flows.Close()
		s.flows = nil
	}
	s.flowsFrom = time.Now().Add(flowsRetry)
}

// flowRequest makes a request about flows of the peer's family.
func flowRequest(peer netip.AddrPort, flags mdl.HeaderFlags, fill func(*mdl.AttributeEncoder)) mdl.Message {
	ae := mdl.NewAttributeEncoder()
	ae.ByteOrder = binary.BigEndian
	fill(ae)
	b, err := ae.Encode()
	if err != nil {
		panic(fmt.Sprintf("host: encode a question about a flow: %v", err)) // nothing in it varies in length
	}
	family := byte(unix.AF_INET)
	if peer.Addr().Is6() {
		family = unix.AF_INET6
	}
	return mdl.Message{
		Header: mdl.Header{Type: flowGet, Flags: flags},
		Data:   append([]byte{family, unix.NFNETLINK_V0, 0, 0}, b...), // struct nfgenmsg
	}
}

// encodeTuple writes one direction of a TCP connection. Zero ports and addresses
// are left out.
func encodeTuple(ae *mdl.AttributeEncoder, kind uint16, from, to netip.AddrPort) {
	ae.Nested(kind, func(ae *mdl.AttributeEncoder) error {
		ae.Nested(ctaTupleIP, func(ae *mdl.AttributeEncoder) error {
			src, dst := uint16(ctaIPv4Src), uint16(ctaIPv4Dst)
			if from.Addr().Is6() {
				src, dst = ctaIPv6Src, ctaIPv6Dst
			}
			ae.Bytes(src, from.Addr().AsSlice())
			if to.Addr().IsValid() {
				ae.Bytes(dst, to.Addr().AsSlice())
			}
			return nil
		})
		ae.Nested(ctaTupleProto, func(ae *mdl.AttributeEncoder) error {
			ae.Uint8(ctaProtoNum, unix.IPPROTO_TCP)
			if from.Port() != 0 {
				ae.Uint16(ctaProtoSrcPort, from.Port())
			}
			if to.Port() != 0 {
				ae.Uint16(ctaProtoDstPort, to.Port())
			}
			return nil
		})
		return nil
	})
}

// parseFlow reads a message about a flow; false if it is damaged.
func parseFlow(b []byte) (f flow, ok bool) {
	if len(b) < 4 { // struct nfgenmsg
		return f, false
	}
	ad, err := mdl.NewAttributeDecoder(b[4:])
	if err != nil {
		return f, false
	}
	ad.ByteOrder = binary.BigEndian
	for ad.Next() {
		switch ad.Type() {
		case ctaTupleOrig:
			f.parseTuple(ad, &f.from, &f.to)
		case ctaTupleReply:
			f.parseTuple(ad, &f.answers, &f.asked)
		case ctaStatus:
			f.status = ad.Uint32()
		case ctaProtoInfo:
			within(ad, func(ad *mdl.AttributeDecoder) {
				if ad.Type() == ctaProtoInfoTCP {
					within(ad, f.parseTCP)
				}
			})
		}
	}
	return f, ad.Err() == nil && f.from.IsValid() && f.to.IsValid() && f.answers.IsValid() && f.asked.IsValid()
}

// parseTuple reads one direction of a flow.
func (f *flow) parseTuple(ad *mdl.AttributeDecoder, from, to *netip.AddrPort) {
	var src, dst netip.Addr
	var sport, dport uint16
	within(ad, func(ad *mdl.AttributeDecoder) {
		switch ad.Type() {
		case ctaTupleIP:
			within(ad, func(ad *mdl.AttributeDecoder) {
				a, _ := netip.AddrFromSlice(ad.Bytes()) // invalid if it is none
				switch ad.Type() {
				case ctaIPv4Src, ctaIPv6Src:
					src = a.Unmap()
				case ctaIPv4Dst, ctaIPv6Dst:
					dst = a.Unmap()
				}
			})
		case ctaTupleProto:
			within(ad, func(ad *mdl.AttributeDecoder) {
				switch ad.Type() {
				case ctaProtoNum:
					f.proto = ad.Uint8()
				case ctaProtoSrcPort:
					sport = ad.Uint16()
				case ctaProtoDstPort:
					dport = ad.Uint16()
				}
			})
		}
	})
	*from, *to = netip.AddrPortFrom(src, sport), netip.AddrPortFrom(dst, dport)
}

// parseTCP reads an attribute of the state of TCP.
func (f *flow) parseTCP(ad *mdl.AttributeDecoder) {
	switch ad.Type() {
	case ctaProtoInfoTCPState:
		f.state = ad.Uint8()
	case ctaProtoInfoTCPFlagsOrig:
		if b := ad.Bytes(); len(b) == 2 { // struct nf_ct_tcp_flags: flags, mask
			f.flags = b[0]
		}
	}
}

// within calls read for each attribute that lies within the one at hand.
func within(ad *mdl.AttributeDecoder, read func(*mdl.AttributeDecoder)) {
	ad.Nested(func(ad *mdl.AttributeDecoder) error {
		for ad.Next() {
			read(ad)
		}
		return nil
	})
}

// canFilter reports whether the kernel filters the flows that it lists; one before
// 5.8 takes no notice of a filter.
func canFilter() bool {
	var u unix.Utsname
	return unix.Uname(&u) == nil && atLeast(unix.ByteSliceToString(u.Release[:]), 5, 8)
}

// atLeast reports whether a release of the kernel ("6.1.0-13-amd64") is this one or
// a later one.
func atLeast(release string, major, minor int) bool {
	a, rest, _ := strings.Cut(release, ".")
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end >= 0 {
		rest = rest[:end]
	}
	x, errX := strconv.Atoi(a)
	y, errY := strconv.Atoi(rest)
	return errX == nil && errY == nil && (x > major || x == major && y >= minor)
}

// flowCount returns how many flows there are; very many if that is not known.
func flowCount() int {
	b, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_count")
	if err != nil {
		return maxUnfiltered + 1
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return maxUnfiltered + 1
	}
	return n
}
