package firewall

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// socket is the kernel, by a netlink socket that lasts as long as the process:
// a socket of its own for each change makes every close wait for the kernel's
// grace period, 16 ms. It is not for concurrent use.
type socket struct {
	conn *netlink.Conn
	raw  syscall.RawConn
	port uint32 // our address on netlink, which every change that we make carries
	seq  uint32
	enc  encoder
	in   []byte
}

// Buffers of the sockets, in bytes. They are granted in full to a process with
// CAP_NET_ADMIN in the first user namespace; elsewhere the system's limit holds
// (net.core.wmem_max, rmem_max), which is enough for transactions of
// maxElements.
const (
	sendBuffer    = 4 << 20
	receiveBuffer = 4 << 20
	monitorBuffer = 16 << 20
)

// dumpBuffer is what a read of a listing asks for at once, in bytes: the
// kernel's upper limit. Each part of a listing costs it a walk from the start
// of the set, so small reads make a listing quadratic.
const dumpBuffer = 32 << 10

// answerTime bounds the wait for an answer. The kernel answers before the send
// returns, so in practice it is never used up.
const answerTime = 5 * time.Second

// dialKernel opens the socket in the network namespace of the calling thread
// and makes sure that nf_tables answers. Errors wrap ErrNoPermission or
// ErrUnavailable.
func dialKernel(table string) (*socket, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, unavailable("open a netlink socket to netfilter", err)
	}
	s := &socket{conn: conn, enc: encoder{table: table}, in: make([]byte, dumpBuffer)}
	if err := s.prepare(); err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

func (s *socket) prepare() (err error) {
	if s.raw, s.port, err = rawOf(s.conn); err != nil {
		return fmt.Errorf("prepare the netlink socket: %w", err)
	}
	// Answers without a copy of the question, and with the kernel's own words.
	// Both are comforts: an old kernel that refuses is as good.
	_ = s.conn.SetOption(netlink.CapAcknowledge, true)
	_ = s.conn.SetOption(netlink.ExtendedAcknowledge, true)
	_ = s.conn.SetWriteBuffer(sendBuffer)
	_ = s.conn.SetReadBuffer(receiveBuffer)
	if _, err := s.revision(); err != nil {
		return unavailable("ask the kernel for nf_tables", err)
	}
	return nil
}

// rawOf returns the descriptor of a netlink connection and its port.
func rawOf(conn *netlink.Conn) (syscall.RawConn, uint32, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, 0, err
	}
	var addr unix.Sockaddr
	if cerr := raw.Control(func(fd uintptr) { addr, err = unix.Getsockname(int(fd)) }); cerr != nil {
		return nil, 0, cerr
	}
	if err != nil {
		return nil, 0, err
	}
	nl, ok := addr.(*unix.SockaddrNetlink)
	if !ok {
		return nil, 0, errors.New("the socket has no netlink address")
	}
	return raw, nl.Pid, nil
}

// Close ends the socket. What it wrote stays in the kernel.
func (s *socket) Close() error { return s.conn.Close() }

func (s *socket) commit(ops []op) error {
	if len(ops) == 0 {
		return nil
	}
	first := s.next(len(ops) + 2)
	s.enc.b, s.enc.err = s.enc.b[:0], nil
	s.enc.transaction(ops, first)
	if s.enc.err != nil {
		return s.enc.err
	}
	if err := s.send(); err != nil {
		return err
	}
	last := first + uint32(len(ops))
	var refused *refusal
	acked := false
	err := s.receive(func(m message) (more bool) {
		i := int(int32(m.seq - first)) // 0 = the transaction, i = operation i-1
		if i < 0 || i > len(ops)+1 || m.kind != unix.NLMSG_ERROR {
			return true // a late answer to something before
		}
		errno, note := m.outcome()
		switch {
		case errno != 0 && refused == nil:
			refused = &refusal{op: i - 1, errno: errno, note: note}
			if i > 0 && i <= len(ops) {
				refused.verb, refused.name = ops[i-1].verb, ops[i-1].name
			}
		case errno == 0 && m.seq == last:
			acked = true
		}
		return m.seq != last && i != 0
	})
	switch {
	case refused != nil:
		return refused
	case err != nil:
		return fmt.Errorf("%w: %w", errUncertain, err)
	case !acked:
		return errUncertain
	}
	return nil
}

// next reserves n sequence numbers and returns the first.
func (s *socket) next(n int) uint32 {
	first := s.seq + 1
	s.seq += uint32(n)
	return first
}

// send writes what the encoder holds as one datagram.
func (s *socket) send() error {
	var err error
	cerr := s.raw.Control(func(fd uintptr) {
		for {
			_, err = unix.Write(int(fd), s.enc.b)
			if err != unix.EINTR {
				return
			}
		}
	})
	if cerr != nil {
		err = cerr
	}
	switch {
	case errors.Is(err, unix.ENOBUFS):
		// The kernel may have carried it out and failed to queue the answer.
		return fmt.Errorf("%w: %w", errUncertain, err)
	case err != nil:
		return os.NewSyscallError("send to netfilter", err)
	}
	return nil
}

// receive hands on the messages that arrive until fn returns false, or until
// answerTime is over.
func (s *socket) receive(fn func(message) bool) error {
	armed := false
	for {
		n, err := s.read(unix.MSG_DONTWAIT)
		if err == unix.EAGAIN {
			if !armed {
				armed = true
				if err := s.conn.SetReadDeadline(time.Now().Add(answerTime)); err != nil {
					return err
				}
				defer s.conn.SetReadDeadline(time.Time{})
			}
			if err := s.wait(); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return os.NewSyscallError("receive from netfilter", err)
		}
		more := true
		for b := s.in[:n]; more; {
			m, rest, ok := cut(b)
			if !ok {
				break
			}
			b, more = rest, fn(m)
		}
		if !more {
			return nil
		}
	}
}

// wait returns when there is something to read.
func (s *socket) wait() error {
	first := true
	return s.raw.Read(func(uintptr) bool {
		ready := !first
		first = false
		return ready
	})
}

func (s *socket) read(flags int) (n int, err error) {
	cerr := s.raw.Control(func(fd uintptr) {
		for {
			n, _, err = unix.Recvfrom(int(fd), s.in, flags|unix.MSG_TRUNC)
			if err != unix.EINTR {
				return
			}
		}
	})
	if cerr != nil {
		return 0, cerr
	}
	if err == nil && n > len(s.in) {
		return 0, unix.EMSGSIZE
	}
	return n, err
}

// dump sends the listing request that the encoder holds, under sequence number
// seq, and hands its parts on. A listing that changes underneath is made again.
func (s *socket) dump(write func(flags uint16, seq uint32), reset func(), fn func(message)) error {
	for range 8 {
		reset()
		seq := s.next(1)
		s.enc.b, s.enc.err = s.enc.b[:0], nil
		write(unix.NLM_F_DUMP, seq)
		if err := s.send(); err != nil {
			return err
		}
		var errno syscall.Errno
		torn := false
		err := s.receive(func(m message) bool {
			if m.seq != seq {
				return true
			}
			torn = torn || m.flags&unix.NLM_F_DUMP_INTR != 0
			switch m.kind {
			case unix.NLMSG_ERROR:
				errno, _ = m.outcome()
				return false
			case unix.NLMSG_DONE:
				if len(m.body) >= 4 {
					if e := int32(binary.NativeEndian.Uint32(m.body)); e < 0 {
						errno = syscall.Errno(-e)
					}
				}
				return false
			}
			fn(m)
			return true
		})
		switch {
		case err != nil:
			return err
		case errno == unix.EINTR || torn && errno == 0:
			continue
		case errno != 0:
			return errno
		}
		return nil
	}
	return errors.New("the rules change faster than they can be listed")
}
