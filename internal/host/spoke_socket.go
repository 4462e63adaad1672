package host

import (
	"encoding/binary"
	"errors"
	"iter"
	"net/netip"
	"syscall"
	"time"

	mdl "github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// maxAtOnce is how many questions go to the kernel in one message: all answers
// must fit into the socket's buffer.
const maxAtOnce = 64

// answerLen is room for one answer, in bytes: they have some hundred.
const answerLen = 8192

// States of a TCP socket in which its handshake is not known to be completed, or
// that have no peer (include/net/tcp_states.h), besides stateClose and stateListen.
const (
	stateSynSent    = 2
	stateSynRecv    = 3
	stateNewSynRecv = 12
)

// exactSocket returns which of these ends has a socket connected to the peer.
func (s *witness) exactSocket(peer netip.AddrPort, ends []netip.AddrPort) (netip.AddrPort, bool) {
	if s.socks == nil {
		c, err := mdl.Dial(unix.NETLINK_SOCK_DIAG, nil)
		if err != nil {
			return netip.AddrPort{}, false
		}
		s.socks = c
	}
	reqs := make([]mdl.Message, len(ends))
	for i, end := range ends {
		reqs[i] = mdl.Message{Header: mdl.Header{Type: sockDiagByFamily, Flags: mdl.Request}, Data: socketRequest(end, peer)}
	}
	i := -1
	for m, err := range exchange(s.socks, reqs) {
		i++
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			s.socks.Close() // answers may still be under way
			s.socks = nil
			return netip.AddrPort{}, false
		}
		if state, remote, ok := parseSocketOf(m.Data); ok && remote == peer && spokenState(state) {
			return ends[i], true
		}
	}
	return netip.AddrPort{}, false
}

// spokenState reports whether a socket in this state has completed its handshake.
func spokenState(state uint8) bool {
	switch state {
	case 0, stateSynSent, stateSynRecv, stateClose, stateListen, stateNewSynRecv:
		return false
	}
	return state < stateNewSynRecv
}

// socketRequest asks for the TCP socket between two ends
// (struct inet_diag_req_v2). IPv4 finds sockets of IPv6 that carry it, too.
func socketRequest(end, peer netip.AddrPort) []byte {
	b := make([]byte, diagRequestLen)
	b[0], b[1] = unix.AF_INET, unix.IPPROTO_TCP
	if peer.Addr().Is6() {
		b[0] = unix.AF_INET6
	}
	binary.NativeEndian.PutUint32(b[4:], ^uint32(0)) // any state
	binary.BigEndian.PutUint16(b[8:], end.Port())
	binary.BigEndian.PutUint16(b[10:], peer.Port())
	copy(b[12:28], end.Addr().AsSlice())
	copy(b[28:44], peer.Addr().AsSlice())
	binary.NativeEndian.PutUint64(b[48:], ^uint64(0)) // INET_DIAG_NOCOOKIE
	return b
}

// parseSocketOf reads the state and the remote end out of a struct inet_diag_msg;
// false if it is cut short or of another family.
func parseSocketOf(b []byte) (state uint8, remote netip.AddrPort, ok bool) {
	if len(b) < diagMessageLen {
		return 0, netip.AddrPort{}, false
	}
	port := binary.BigEndian.Uint16(b[6:])
	switch b[0] {
	case unix.AF_INET:
		return b[1], netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[24:28])), port), true
	case unix.AF_INET6:
		return b[1], netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[24:40])).Unmap(), port), true
	}
	return 0, netip.AddrPort{}, false
}

// exchange sends requests that have one answer each, a message or an error, and
// yields these in order. What is not taken is received nevertheless, unless an
// error comes that is not that there is no such thing.
//
// The answers are taken from the socket directly: some kernels mark them as parts
// of a list that then has no end, and there may be hundreds to a question.
func exchange(c *mdl.Conn, reqs []mdl.Message) iter.Seq2[mdl.Message, error] {
	return func(yield func(mdl.Message, error) bool) {
		var buf [answerLen]byte
		c.SetDeadline(time.Now().Add(askWait))
		for wanted := true; wanted && len(reqs) > 0; {
			n := min(len(reqs), maxAtOnce)
			sent, err := c.SendMessages(reqs[:n])
			if err == nil {
				err = receiveEach(c, buf[:], n, func(i int, b []byte) (ok bool) {
					m, err := answer(b, sent[i].Header.Sequence)
					ok = err == nil || errors.Is(err, unix.ENOENT)
					wanted = wanted && yield(m, err) && ok
					return ok
				})
			}
			if err != nil {
				if wanted {
					yield(mdl.Message{}, err)
				}
				return
			}
			reqs = reqs[n:]
		}
	}
}

// receiveEach receives n datagrams, until take is false.
func receiveEach(c *mdl.Conn, buf []byte, n int, take func(i int, b []byte) bool) error {
	rc, err := c.SyscallConn()
	if err != nil {
		return err
	}
	i := 0
	var failed error
	err = rc.Read(func(fd uintptr) bool {
		for i < n {
			m, _, err := unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT)
			switch {
			case err == unix.EAGAIN:
				return false
			case err == unix.EINTR:
				continue
			case err != nil:
				failed = err
				return true
			}
			if i++; !take(i-1, buf[:m]) {
				return true
			}
		}
		return true
	})
	return errors.Join(err, failed)
}

// answer reads the one message of a datagram, or the error in it.
func answer(b []byte, sequence uint32) (m mdl.Message, err error) {
	const header = unix.NLMSG_HDRLEN
	if len(b) < header {
		return m, errMixedUp
	}
	m.Header.Type = mdl.HeaderType(binary.NativeEndian.Uint16(b[4:]))
	m.Header.Sequence = binary.NativeEndian.Uint32(b[8:])
	n := int(binary.NativeEndian.Uint32(b))
	if n < header || n > len(b) || m.Header.Sequence != sequence {
		return m, errMixedUp
	}
	if m.Data = b[header:n]; m.Header.Type != mdl.Error {
		return m, nil
	}
	if len(m.Data) < 4 {
		return m, errMixedUp
	}
	return m, syscall.Errno(-int32(binary.NativeEndian.Uint32(m.Data)))
}

// errMixedUp is an answer to another question than the one that was asked.
var errMixedUp = errors.New("the kernel's answers do not go with the questions")
