package host

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"gatehouse/internal/gate"
)

// The layout of sock_diag's messages (include/uapi/linux/inet_diag.h).
const (
	sockDiagByFamily = 20 // SOCK_DIAG_BY_FAMILY, the message type
	diagRequestLen   = 56 // struct inet_diag_req_v2
	diagMessageLen   = 72 // struct inet_diag_msg
)

// diagListeners returns what listens, unsorted, from sock_diag. Unlike the
// tables in /proc it does not walk the connections, of which there may be many.
func diagListeners(c *netlink.Conn) ([]gate.Listener, error) {
	var out []gate.Listener
	for _, q := range []struct {
		family, proto uint8
		kind          gate.Proto
		state         uint32
	}{
		{unix.AF_INET, unix.IPPROTO_TCP, gate.TCP, stateListen},
		{unix.AF_INET6, unix.IPPROTO_TCP, gate.TCP, stateListen},
		{unix.AF_INET, unix.IPPROTO_UDP, gate.UDP, stateClose},
		{unix.AF_INET6, unix.IPPROTO_UDP, gate.UDP, stateClose},
	} {
		req := make([]byte, diagRequestLen)
		req[0], req[1] = q.family, q.proto
		binary.NativeEndian.PutUint32(req[4:], 1<<q.state)
		msgs, err := c.Execute(netlink.Message{
			Header: netlink.Header{Type: sockDiagByFamily, Flags: netlink.Request | netlink.Dump},
			Data:   req,
		})
		if err != nil {
			return nil, fmt.Errorf("list listening sockets: %w", err)
		}
		for _, m := range msgs {
			if local, ok := parseDiag(m.Data); ok {
				out = append(out, gate.Listener{Addr: local.Addr(), Proto: q.kind, Port: local.Port()})
			}
		}
	}
	return out, nil
}

// parseDiag reads the local end out of a struct inet_diag_msg; false if it is cut
// short or of another family. A 4-in-6 address is unmapped.
func parseDiag(b []byte) (netip.AddrPort, bool) {
	if len(b) < diagMessageLen {
		return netip.AddrPort{}, false
	}
	port := binary.BigEndian.Uint16(b[4:])
	switch b[0] {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[8:12])), port), true
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[8:24])).Unmap(), port), true
	}
	return netip.AddrPort{}, false
}
