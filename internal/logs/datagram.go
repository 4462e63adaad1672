package logs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"gatehouse/internal/rules"
)

// Bounds of receiving datagrams.
const (
	maxDatagram = 64 << 10 // bytes; the largest that UDP carries
	receive     = 8 << 20  // bytes that wait in the kernel, where it lets us: a burst of some 10,000 messages
)

// packets is a socket of datagrams.
type packets interface {
	syscall.Conn
	Close() error
}

// datagrams receives until the context ends, or the socket breaks. One wake-up
// takes all that waits.
func (s *listener) datagrams(ctx context.Context, c packets, at net.Addr) error {
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	defer c.Close()
	rc, err := c.SyscallConn()
	if err != nil {
		return err
	}
	d := &mailbox{listener: s, buf: make([]byte, maxDatagram), oob: make([]byte, 256), at: at}
	if err := errors.Join(rc.Control(func(fd uintptr) { err = d.prepare(int(fd)) }), err); err != nil {
		return fmt.Errorf("prepare the socket: %w", err)
	}
	s.listens(at)
	for {
		var failed error
		err := rc.Read(func(fd uintptr) (done bool) {
			failed = d.drain(int(fd))
			return failed != nil || !d.bundle.empty() || d.long > 0
		})
		if e := s.take(ctx, &d.bundle, d.long); e != nil {
			return refused{e}
		}
		d.long = 0
		clear(d.owners)
		switch {
		case ctx.Err() != nil:
			return nil
		case failed != nil:
			return failed
		case err != nil:
			return listenProblem(err)
		}
	}
}

// mailbox is a socket of datagrams that is being emptied.
type mailbox struct {
	*listener
	bundle bundle
	buf    []byte
	oob    []byte
	line   []byte
	lost   uint32 // datagrams that the kernel dropped since the socket was made
	long   int
	at     net.Addr                 // where it listens
	owners map[netip.AddrPort]worth // of who sent in this round
}

// prepare has the kernel tell who sent, and how many it dropped.
func (d *mailbox) prepare(fd int) error {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receive) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receive) // as much as is allowed
	}
	d.owners = map[netip.AddrPort]worth{}
	err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1)
	if d.at.Network() == "unixgram" {
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1))
	}
	return err
}

// drain takes what waits, at most one bundle.
func (d *mailbox) drain(fd int) error {
	for len(d.bundle.text) < fullBundle {
		n, oobn, flags, from, err := unix.Recvmsg(fd, d.buf, d.oob, unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNREFUSED):
			continue
		case err != nil:
			return fmt.Errorf("receive: %w", err)
		}
		d.datagram(d.buf[:n], d.oob[:oobn], flags&unix.MSG_TRUNC != 0, from)
	}
	return nil
}

// datagram takes up one.
func (d *mailbox) datagram(m, oob []byte, cut bool, from unix.Sockaddr) {
	uid := d.control(oob)
	a := about{via: "localhost"}
	switch {
	case d.at.Network() == "unixgram":
		a.worth = worthOf(uid)
	default:
		sender, ok := addrPortOf(from)
		if !ok || !d.listen.allows(sender.Addr()) {
			d.feed.count(func(st *SourceStatus) { st.Refused++ })
			return
		}
		a.via = senderName(sender.Addr())
		a.worth, ok = d.owners[sender]
		if !ok {
			a.worth = d.listener.worth("udp", sender, netip.AddrPort{})
			d.owners[sender] = a.worth
		}
	}
	if m = trimFrame(m); len(m) == 0 {
		return
	}
	if cut || len(m) > rules.MaxLine {
		d.long++
		return
	}
	d.line = dress(d.line[:0], m, a.via, d.env.now())
	d.bundle.add(a, d.line)
}

// control reads what the kernel tells beside a datagram: who sent it, -1 if it does
// not, and how many it dropped.
func (d *mailbox) control(oob []byte) (uid int) {
	uid = -1
	all, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return uid
	}
	for i := range all {
		h := all[i].Header
		switch {
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SCM_CREDENTIALS:
			if c, err := unix.ParseUnixCredentials(&all[i]); err == nil {
				uid = int(c.Uid)
			}
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_RXQ_OVFL && len(all[i].Data) >= 4:
			n := binary.NativeEndian.Uint32(all[i].Data)
			if more := n - d.lost; more > 0 {
				d.lost = n
				d.feed.count(func(st *SourceStatus) { st.Lost += uint64(more) })
			}
		}
	}
	return uid
}

func addrPortOf(sa unix.Sockaddr) (netip.AddrPort, bool) {
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)), true
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port)), true
	}
	return netip.AddrPort{}, false
}
