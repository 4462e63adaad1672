package firewall

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"syscall"
	"time"
	"unsafe"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// foreign is a transaction of somebody else that touched the table.
type foreign struct {
	revision uint32 // of the rule set, after it
	deleted  bool   // it took something away
	lost     bool   // messages were lost, so nothing is known
	first    bool   // nothing is known of what happened before
}

// monitor tells of what others do to the table. *listener is the real one.
type monitor interface {
	// next waits for the next foreign transaction that touched the table, or
	// for the end of ctx, which is no error: ok is false then. The first call
	// begins to listen and returns at once.
	next(ctx context.Context) (e foreign, ok bool, err error)
}

// listener is a netlink socket that hears of every transaction but our own.
type listener struct {
	conn   *netlink.Conn
	raw    syscall.RawConn
	table  string
	joined bool
	in     []byte
	rest   []byte  // of in, not looked at yet
	seen   foreign // of the transaction that is being told
	hit    bool    // it touched the table
}

// dialMonitor opens the listener in the network namespace of the calling
// thread. port is the netlink address that our own changes carry.
func dialMonitor(table string, port uint32) (*listener, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, unavailable("open a netlink socket to listen to netfilter", err)
	}
	m := &listener{conn: conn, table: table, in: make([]byte, dumpBuffer)}
	if err := m.prepare(port); err != nil {
		conn.Close()
		return nil, fmt.Errorf("listen to changes of the firewall's rules: %w", err)
	}
	return m, nil
}

func (m *listener) prepare(port uint32) (err error) {
	if m.raw, _, err = rawOf(m.conn); err != nil {
		return err
	}
	_ = m.conn.SetReadBuffer(monitorBuffer)
	// Our own messages are dropped before they are queued: a load of 100,000
	// elements would flood the queue otherwise.
	return m.ignore(port)
}

// ignore attaches a classic BPF program that drops messages of this port. All
// messages in one datagram come from one transaction, so the first one decides.
func (m *listener) ignore(port uint32) error {
	// BPF loads in network byte order what netlink writes in the machine's.
	want := binary.BigEndian.Uint32(binary.NativeEndian.AppendUint32(nil, port))
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 12}, // nlmsg_pid
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 0, Jf: 1, K: want},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: math.MaxUint32},
	}
	fprog := unix.SockFprog{Len: uint16(len(program)), Filter: (*unix.SockFilter)(unsafe.Pointer(&program[0]))}
	var err error
	cerr := m.raw.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &fprog)
	})
	return errors.Join(cerr, err)
}

// Close ends the listener.
func (m *listener) Close() error { return m.conn.Close() }

func (m *listener) next(ctx context.Context) (foreign, bool, error) {
	if err := m.conn.SetReadDeadline(time.Time{}); err != nil {
		return foreign{}, false, err
	}
	if !m.joined {
		// Not earlier: as long as somebody listens, the kernel makes a message
		// of each element, which doubles the time of a load.
		if err := m.conn.JoinGroup(unix.NFNLGRP_NFTABLES); err != nil {
			return foreign{}, false, fmt.Errorf("listen to changes of the firewall's rules: %w", err)
		}
		m.joined = true
		return foreign{first: true}, true, nil
	}
	stop := context.AfterFunc(ctx, func() { m.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for ctx.Err() == nil {
		if e, ok := m.parse(); ok {
			return e, true, nil
		}
		n, err := m.read()
		switch {
		case errors.Is(err, unix.ENOBUFS):
			m.rest, m.seen, m.hit = nil, foreign{}, false
			return foreign{lost: true}, true, nil
		case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil:
			return foreign{}, false, nil
		case err != nil:
			return foreign{}, false, fmt.Errorf("listen to changes of the firewall's rules: %w", err)
		}
		m.rest = m.in[:n]
	}
	return foreign{}, false, nil
}

func (m *listener) read() (n int, err error) {
	rerr := m.raw.Read(func(fd uintptr) bool {
		for {
			n, _, err = unix.Recvfrom(int(fd), m.in, unix.MSG_DONTWAIT)
			if err != unix.EINTR {
				return err != unix.EAGAIN
			}
		}
	})
	if rerr != nil {
		return 0, rerr
	}
	return n, err
}

// parse goes on with the datagram at hand until a transaction that touched the
// table ends in it.
func (m *listener) parse() (e foreign, ok bool) {
	for {
		msg, rest, ok := cut(m.rest)
		if !ok {
			m.rest = nil
			return e, false
		}
		m.rest = rest
		if msg.kind>>8 != unix.NFNL_SUBSYS_NFTABLES {
			continue
		}
		switch kind := msg.kind & 0xff; kind {
		case unix.NFT_MSG_NEWGEN: // the end of each transaction
			e, hit := m.seen, m.hit
			m.seen, m.hit = foreign{}, false
			if hit {
				e.revision = decodeRevision(msg)
				return e, true
			}
		default:
			if msg.isTable(m.table) {
				m.hit = true
				m.seen.deleted = m.seen.deleted || deletes(kind)
			}
		}
	}
}

func deletes(kind uint16) bool {
	switch kind {
	case unix.NFT_MSG_DELTABLE, unix.NFT_MSG_DELCHAIN, unix.NFT_MSG_DELRULE, unix.NFT_MSG_DELSET,
		unix.NFT_MSG_DELSETELEM, unix.NFT_MSG_DELOBJ, unix.NFT_MSG_DELFLOWTABLE:
		return true
	}
	return false
}
