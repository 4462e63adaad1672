package host

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strconv"

	"gatehouse/internal/gate"
)

// The states of a socket (include/net/tcp_states.h).
const (
	stateEstablished = 1
	stateClose       = 7 // an unconnected UDP socket
	stateListen      = 10
)

// maxTable bounds what is read of one table of sockets, in bytes: about 400,000
// sockets.
const maxTable = 64 << 20

// socket is a line of /proc/net/tcp and its like.
type socket struct {
	local, remote netip.AddrPort
	state         uint8
	inode         uint64
}

// parseSocket reads a line of /proc/net/{tcp,tcp6,udp,udp6} (proc_pid_net(5));
// false for the heading and for a damaged line. 4-in-6 addresses are unmapped.
func parseSocket(line []byte) (s socket, ok bool) {
	i := 0
	for f := range bytes.FieldsSeq(line) {
		switch i {
		case 1:
			if s.local, ok = parseHexAddr(f); !ok {
				return socket{}, false
			}
		case 2:
			if s.remote, ok = parseHexAddr(f); !ok {
				return socket{}, false
			}
		case 3:
			n, err := strconv.ParseUint(string(f), 16, 8)
			if err != nil {
				return socket{}, false
			}
			s.state = uint8(n)
		case 9:
			n, err := strconv.ParseUint(string(f), 10, 64)
			if err != nil {
				return socket{}, false
			}
			s.inode = n
			return s, true
		}
		i++
	}
	return socket{}, false
}

// parseHexAddr reads `010200C0:0016`: the address as words of 32 bits in the
// machine's byte order, the port as a number.
func parseHexAddr(f []byte) (netip.AddrPort, bool) {
	a, p, ok := bytes.Cut(f, []byte(":"))
	if !ok || len(a) != 8 && len(a) != 32 || len(p) != 4 {
		return netip.AddrPort{}, false
	}
	var raw [16]byte
	n, err := hex.Decode(raw[:], a)
	if err != nil {
		return netip.AddrPort{}, false
	}
	for i := 0; i < n; i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	port, err := strconv.ParseUint(string(p), 16, 16)
	if err != nil {
		return netip.AddrPort{}, false
	}
	addr, _ := netip.AddrFromSlice(raw[:n])
	return netip.AddrPortFrom(addr.Unmap(), uint16(port)), true
}

// table calls yield for each socket of one of the tables; one that the kernel
// does not have (no IPv6) is empty.
func (p *procfs) table(name string, yield func(socket)) error {
	f, err := os.Open(p.dir + "/net/" + name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxTable))
	if err != nil {
		return err
	}
	for line := range bytes.Lines(b) {
		if s, ok := parseSocket(line); ok {
			yield(s)
		}
	}
	return nil
}

// established returns the TCP connections with these inodes.
func (p *procfs) established(inodes map[uint64]bool) (map[uint64]socket, error) {
	out := map[uint64]socket{}
	for _, name := range []string{"tcp", "tcp6"} {
		if err := p.table(name, func(s socket) {
			if s.state == stateEstablished && inodes[s.inode] {
				out[s.inode] = s
			}
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// listeners returns what listens, unsorted, from the tables in /proc.
func (p *procfs) listeners() ([]gate.Listener, error) {
	var out []gate.Listener
	for _, t := range []struct {
		name  string
		proto gate.Proto
		state uint8
	}{{"tcp", gate.TCP, stateListen}, {"tcp6", gate.TCP, stateListen}, {"udp", gate.UDP, stateClose}, {"udp6", gate.UDP, stateClose}} {
		if err := p.table(t.name, func(s socket) {
			if s.state == t.state {
				out = append(out, gate.Listener{Addr: s.local.Addr(), Proto: t.proto, Port: s.local.Port()})
			}
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}
