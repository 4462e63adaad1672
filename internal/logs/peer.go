package logs

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// ownerOf returns which user of this machine has the socket that speaks from an
// address of it to another, by the tables in the folder net of proc (proc(5)); -1
// where that is not known, as where the socket is closed already. For UDP, to is
// not looked at: sockets need not be connected.
func ownerOf(proc, protocol string, from, to netip.AddrPort) int {
	table := protocol
	if from.Addr().Is6() {
		table += "6"
	}
	f, err := os.Open(proc + "/net/" + table)
	if err != nil {
		return -1
	}
	defer f.Close()
	rows := bufio.NewScanner(f)
	rows.Scan() // the names of the columns
	owner := -1
	for rows.Scan() {
		col := strings.Fields(rows.Text())
		if len(col) < 8 {
			continue
		}
		local, ok := parseSocket(col[1])
		if !ok || local.Port() != from.Port() || local.Addr() != from.Addr() && !local.Addr().IsUnspecified() {
			continue
		}
		if remote, ok := parseSocket(col[2]); protocol == "tcp" && (!ok || remote != to) {
			continue
		}
		uid, err := strconv.Atoi(col[7])
		if err != nil {
			continue
		}
		if owner >= 0 && owner != uid {
			return -1 // two share the port
		}
		owner = uid
	}
	return owner
}

// parseSocket reads an address as the kernel prints it: words of 32 bits in the
// byte order of the machine, then the port.
func parseSocket(s string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(s, ":")
	b, err := hex.DecodeString(host)
	p, err2 := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil || err2 != nil || len(b) != 4 && len(b) != 16 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	a, _ := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(a.Unmap(), uint16(p)), true
}
