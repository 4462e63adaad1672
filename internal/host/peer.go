package host

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// maxAncestry bounds how far up a process's ancestry is followed.
const maxAncestry = 256

// PeerOf returns the address that the person behind a local process is logged in
// from by SSH: the peer of the sshd that the process descends from, through sudo,
// su and whatever else. Below a terminal multiplexer (tmux, screen, zellij, dtach,
// abduco), whose server descends from no login, it is the peer of the client that
// was typed into last, or if none is attached, that of the sessions of the same
// login if they all come from one address. It is false for a local login and where
// nothing can be said; it needs CAP_SYS_PTRACE for other users' processes.
func PeerOf(pid int) (peer netip.Addr, ok bool) {
	s := sessions{proc: procfs{dir: "/proc"}}
	for range peerTries {
		if peer, ok = s.peerOf(pid); ok || !s.belowSSHD(pid) {
			return peer, ok
		}
		time.Sleep(peerPause)
	}
	return peer, ok
}

// BelowSSH reports whether a process descends from an SSH server, by its name: where
// [PeerOf] says nothing of such a one, somebody is logged in from an address that is
// not known.
func BelowSSH(pid int) bool {
	s := sessions{proc: procfs{dir: "/proc"}}
	return s.belowSSHD(pid)
}

// How often, and how long apart, a process below sshd is looked at again whose login
// does not show: processes and sockets are read one by one, and change meanwhile. To
// take it for a local one would switch off the guard against locking out.
const (
	peerTries = 5
	peerPause = 20 * time.Millisecond
)

// belowSSHD reports whether a process descends from an SSH server, by name.
func (s *sessions) belowSSHD(pid int) bool {
	for range maxAncestry {
		st, ok := s.proc.status(pid)
		if !ok || st.ppid <= 1 {
			return false
		}
		if strings.HasPrefix(st.name, "sshd") {
			return true
		}
		pid = st.ppid
	}
	return false
}

func (s *sessions) peerOf(pid int) (netip.Addr, bool) {
	logins, _, err := s.list()
	if err != nil || len(logins) == 0 {
		return netip.Addr{}, false
	}
	chain, l := s.climb(pid, logins)
	if l != nil {
		return l.Peer, true
	}
	for _, a := range slices.Backward(chain) {
		st, ok := s.proc.status(a)
		if family := multiplexer(st.name); ok && family != "" {
			return s.peerOfServer(a, st.uid, family, chain, logins)
		}
	}
	return netip.Addr{}, false
}

// climb follows a process's ancestry to a login; nil if it ends without one.
func (s *sessions) climb(pid int, logins []login) (chain []int, l *login) {
	for range maxAncestry {
		if i := slices.IndexFunc(logins, func(l login) bool { return l.pid == pid }); i >= 0 {
			return chain, &logins[i]
		}
		st, ok := s.proc.status(pid)
		if !ok {
			return chain, nil
		}
		chain = append(chain, pid)
		if st.ppid <= 1 {
			return chain, nil
		}
		pid = st.ppid
	}
	return chain, nil
}

// multiplexer returns which terminal multiplexer a process is by the name of its
// command (`tmux: server`, `tmux: client`, `screen`, …); "" if none.
func multiplexer(name string) string {
	family, _, _ := strings.Cut(strings.ToLower(name), ":")
	switch family {
	case "tmux", "screen", "zellij", "dtach", "abduco":
		return family
	}
	return ""
}

// peerOfServer returns the peer behind the server of a terminal multiplexer.
func (s *sessions) peerOfServer(server int, uid uint32, family string, chain []int, logins []login) (peer netip.Addr, ok bool) {
	pids, err := s.proc.pids()
	if err != nil {
		return netip.Addr{}, false
	}
	var last time.Time
	for _, pid := range pids {
		st, alive := s.proc.status(pid)
		if !alive || st.uid != uid || multiplexer(st.name) != family || slices.Contains(chain, pid) {
			continue
		}
		if _, l := s.climb(pid, logins); l != nil {
			if t := s.lastTyped(pid); !ok || t.After(last) {
				peer, last, ok = l.Peer, t, true
			}
		}
	}
	if ok {
		return peer, true
	}
	// Nobody is attached: the sessions of the same login.
	who := func(pid int, uid uint32) (uint32, bool) {
		if id := s.proc.loginuid(pid); id != noLogin {
			return id, true
		}
		return uid, false
	}
	id, byLogin := who(server, uid)
	for _, l := range logins {
		if lid, lby := who(l.pid, l.uid); lid != id || lby != byLogin {
			continue
		}
		if ok && peer != l.Peer {
			return netip.Addr{}, false
		}
		peer, ok = l.Peer, true
	}
	return peer, ok
}

// lastTyped returns when the terminal of a process was last read; zero if it has
// none.
func (s *sessions) lastTyped(pid int) time.Time {
	info, err := os.Stat(s.proc.path(pid, "fd/0"))
	if err != nil {
		return time.Time{}
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(st.Atim.Unix())
	}
	return time.Time{}
}
