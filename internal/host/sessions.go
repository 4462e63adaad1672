package host

import (
	"errors"
	"io/fs"
	"slices"
	"strings"

	"gatehouse/internal/gate"
)

// login is a session with the process that serves it.
type login struct {
	gate.Session
	pid   int
	uid   uint32 // of the process: who is logged in
	inode uint64 // of the connection
}

// sessions finds the logins among all processes. It is not for concurrent use.
type sessions struct {
	proc procfs
	// known keeps the ends of connections, so that the tables of sockets are
	// read only when a new one appears; nil = not a connection of this network.
	known map[uint64]*socket
}

// candidate is an authenticated session whose connection is among inodes, the
// likeliest first.
type candidate struct {
	pid    int
	uid    uint32
	user   string
	inodes []uint64
}

// list returns the logins, ordered by process, and whether the right to see them
// was missing.
func (s *sessions) list() (out []login, blind bool, err error) {
	pids, err := s.proc.pids()
	if err != nil {
		return nil, false, err
	}
	var cs []candidate
	for _, pid := range pids {
		c, err := s.candidate(pid)
		if err != nil {
			blind = blind || denied(err)
			continue
		}
		if c != nil {
			cs = append(cs, *c)
		}
	}
	if err := s.resolve(cs); err != nil {
		return nil, blind, err
	}
	for _, c := range cs {
		for _, ino := range c.inodes {
			if k := s.known[ino]; k != nil {
				out = append(out, login{gate.Session{Peer: k.remote.Addr().WithZone(""), Port: k.local.Port(), User: c.user}, c.pid, c.uid, ino})
				break
			}
		}
	}
	slices.SortFunc(out, func(a, b login) int { return a.pid - b.pid })
	return out, blind, nil
}

// candidate returns the session that a process serves; nil if none.
func (s *sessions) candidate(pid int) (*candidate, error) {
	b, err := s.proc.read(pid, "cmdline")
	if err != nil || len(b) < len("sshd: ") || b[0] != 's' {
		return nil, gone(err)
	}
	user, ok := sessionUser(strings.TrimRight(string(b), "\x00"))
	if !ok {
		return nil, nil
	}
	st, ok := s.proc.status(pid)
	if !ok {
		return nil, nil
	}
	exe, err := s.proc.exe(pid)
	if err != nil || !isSSHD(exe) {
		return nil, gone(err)
	}
	inodes, err := s.proc.sockets(pid)
	if err != nil {
		return nil, gone(err)
	}
	if st.uid != 0 {
		// The parent must be root's sshd, and holds the connection too; what
		// only the child holds are forwarded connections.
		shared, err := s.rootSSHD(st.ppid)
		if err != nil || shared == nil {
			return nil, gone(err)
		}
		inodes = slices.DeleteFunc(inodes, func(i uint64) bool { return !slices.Contains(shared, i) })
	}
	return &candidate{pid, st.uid, user, inodes}, nil
}

// rootSSHD returns the sockets of a process if it is an sshd of root, else nil.
func (s *sessions) rootSSHD(pid int) ([]uint64, error) {
	st, ok := s.proc.status(pid)
	if !ok || st.uid != 0 {
		return nil, nil
	}
	exe, err := s.proc.exe(pid)
	if err != nil || !isSSHD(exe) {
		return nil, err
	}
	return s.proc.sockets(pid)
}

// resolve looks up the ends of the candidates' connections, and forgets those of
// sessions that have ended.
func (s *sessions) resolve(cs []candidate) error {
	live, unknown := map[uint64]*socket{}, map[uint64]bool{}
	for _, c := range cs {
		for _, ino := range c.inodes {
			k, ok := s.known[ino]
			if !ok {
				unknown[ino] = true
			}
			live[ino] = k
		}
	}
	if len(unknown) > 0 {
		found, err := s.proc.established(unknown)
		if err != nil {
			return err
		}
		for ino, k := range found {
			live[ino] = &k
		}
	}
	s.known = live
	return nil
}

// gone drops the errors of a process that ended while it was looked at.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || err != nil && !denied(err) {
		return nil
	}
	return err
}
