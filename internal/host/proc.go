package host

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// maxFile bounds what is read of one small file in /proc, in bytes.
const maxFile = 16 << 10

// procfs reads a /proc tree.
type procfs struct {
	dir string // "/proc"
	buf []byte // scratch, so that a scan of all processes allocates little
}

// path returns the path of a file of a process.
func (p *procfs) path(pid int, name string) string {
	return p.dir + "/" + strconv.Itoa(pid) + "/" + name
}

// read returns the first maxFile bytes of a file of a process, valid until the
// next call.
func (p *procfs) read(pid int, name string) ([]byte, error) {
	f, err := os.Open(p.path(pid, name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if p.buf == nil {
		p.buf = make([]byte, maxFile)
	}
	n, err := io.ReadFull(f, p.buf)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return p.buf[:n], nil
}

// pids returns the numbers of all processes.
func (p *procfs) pids() ([]int, error) {
	d, err := os.Open(p.dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	out := make([]int, 0, len(names))
	for _, n := range names {
		if n[0] < '1' || n[0] > '9' {
			continue
		}
		if pid, err := strconv.Atoi(n); err == nil {
			out = append(out, pid)
		}
	}
	return out, nil
}

// status is what /proc/PID/status says (proc_pid_status(5)).
type status struct {
	name string // the command's name, at most 15 bytes
	ppid int    // 0 = none
	uid  uint32 // real user
}

// parseStatus reads the fields Name, PPid and Uid; false if one is missing.
func parseStatus(b []byte) (s status, ok bool) {
	var name, ppid, uid bool
	for line := range bytes.Lines(b) {
		key, val, found := bytes.Cut(line, []byte(":"))
		if !found {
			continue
		}
		val = bytes.TrimSpace(val)
		switch string(key) {
		case "Name":
			s.name, name = string(val), true
		case "PPid":
			n, err := strconv.ParseUint(string(val), 10, 31)
			s.ppid, ppid = int(n), err == nil
		case "Uid":
			first, _, _ := bytes.Cut(val, []byte("\t"))
			n, err := strconv.ParseUint(string(first), 10, 32)
			s.uid, uid = uint32(n), err == nil
		}
	}
	return s, name && ppid && uid
}

// status returns what a process is; false if it has gone.
func (p *procfs) status(pid int) (status, bool) {
	b, err := p.read(pid, "status")
	if err != nil {
		return status{}, false
	}
	return parseStatus(b)
}

// noLogin is the loginuid of a process that no login started (proc_pid_loginuid(5)).
const noLogin = ^uint32(0)

// loginuid returns the user who logged in at the root of the process's ancestry,
// which sudo and su do not change; noLogin if the kernel does not say.
func (p *procfs) loginuid(pid int) uint32 {
	b, err := p.read(pid, "loginuid")
	if err != nil {
		return noLogin
	}
	n, err := strconv.ParseUint(string(bytes.TrimSpace(b)), 10, 32)
	if err != nil {
		return noLogin
	}
	return uint32(n)
}

// exe returns the path of a process's program, also when the file has been
// replaced meanwhile.
func (p *procfs) exe(pid int) (string, error) {
	s, err := os.Readlink(p.path(pid, "exe"))
	return strings.TrimSuffix(s, " (deleted)"), err
}

// sockets returns the inodes of a process's sockets, by ascending descriptor.
func (p *procfs) sockets(pid int) ([]uint64, error) {
	entries, err := os.ReadDir(p.path(pid, "fd"))
	if err != nil {
		return nil, err
	}
	type socket struct {
		fd    int
		inode uint64
	}
	var found []socket
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		to, err := os.Readlink(p.path(pid, "fd/"+e.Name()))
		if err != nil {
			continue
		}
		if ino, ok := parseSocketLink(to); ok {
			found = append(found, socket{fd, ino})
		}
	}
	slices.SortFunc(found, func(a, b socket) int { return a.fd - b.fd })
	out := make([]uint64, len(found))
	for i, s := range found {
		out[i] = s.inode
	}
	return out, nil
}

// parseSocketLink reads "socket:[1234]".
func parseSocketLink(s string) (uint64, bool) {
	s, ok := strings.CutPrefix(s, "socket:[")
	if !ok {
		return 0, false
	}
	s, ok = strings.CutSuffix(s, "]")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}

// isSSHD reports whether a program is an OpenSSH server: sshd, and since 9.8
// sshd-session for each connection.
func isSSHD(exe string) bool {
	b := filepath.Base(exe)
	return b == "sshd" || b == "sshd-session"
}

// denied reports whether an error means that the right to look is missing,
// rather than that the process has gone.
func denied(err error) bool { return errors.Is(err, fs.ErrPermission) }
