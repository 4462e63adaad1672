package netlab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TB is the part of testing.TB that a lab uses. Fatalf and Skipf end the calling
// goroutine.
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
	TempDir() string
}

// Lab is a set of hosts. It may be used by several goroutines at once.
type Lab struct {
	tb  TB
	dir string // for sockets, keys and logs; goes with the lab

	mu    sync.Mutex
	hosts []*Host
}

// New opens a lab that goes away with the test, or skips the test where the
// kernel gives no namespaces.
func New(tb TB) *Lab {
	tb.Helper()
	if why := Unavailable(); why != "" {
		tb.Skipf("netlab: %s", why)
	}
	l := &Lab{tb: tb, dir: tb.TempDir()}
	tb.Cleanup(l.close)
	return l
}

// Rooted reports whether the lab has real root: more than one user, so that a
// process in it can change to another.
func (l *Lab) Rooted() bool { return rooted() }

// rooted reports whether this process's user namespace maps more than one user.
func rooted() bool {
	b, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return false
	}
	return mapsMany(string(b)) && os.Geteuid() == 0
}

// mapsMany reads a uid_map (user_namespaces(7): inside, outside, length).
func mapsMany(m string) bool {
	n := uint64(0)
	for line := range strings.Lines(m) {
		if f := strings.Fields(line); len(f) == 3 {
			k, _ := strconv.ParseUint(f[2], 10, 64)
			n += k
		}
	}
	return n > 1
}

// Host makes a host: a network namespace with loopback up and a mount namespace
// that starts as a copy of the stage's. The name is for messages and logs.
func (l *Lab) Host(name string) *Host {
	l.tb.Helper()
	h := &Host{Name: name, lab: l, dir: filepath.Join(l.dir, name)}
	if err := os.MkdirAll(h.dir, 0o755); err != nil {
		l.tb.Fatalf("netlab: make host %s: %v", name, err)
	}
	if err := h.unshare(); err != nil {
		l.tb.Fatalf("netlab: make host %s: %v", name, err)
	}
	l.mu.Lock()
	l.hosts = append(l.hosts, h)
	l.mu.Unlock()
	return h
}

// unshare makes the host's namespaces on a thread of their own and keeps them by
// descriptor.
func (h *Host) unshare() error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
				return fmt.Errorf("unshare: %w", err)
			}
			var err error
			if h.net, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
				return fmt.Errorf("open the network namespace: %w", err)
			}
			if h.mnt, err = unix.Open("/proc/thread-self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
				return fmt.Errorf("open the mount namespace: %w", err)
			}
			var st unix.Stat_t
			if err := unix.Fstat(h.net, &st); err != nil {
				return fmt.Errorf("stat the network namespace: %w", err)
			}
			h.ino = st.Ino
			for _, key := range []string{"net.ipv6.conf.all.accept_dad", "net.ipv6.conf.default.accept_dad"} {
				if err := writeSysctl(key, "0"); err != nil && !errors.Is(err, os.ErrNotExist) {
					return err
				}
			}
			lo, err := netlink.LinkByName("lo")
			if err != nil {
				return fmt.Errorf("find lo: %w", err)
			}
			return netlink.LinkSetUp(lo)
		}()
	}()
	return <-done
}

// close ends all processes of the lab's hosts and lets the namespaces go.
func (l *Lab) close() {
	l.mu.Lock()
	hosts := l.hosts
	l.hosts = nil
	l.mu.Unlock()
	inos := map[uint64]bool{}
	for _, h := range hosts {
		inos[h.ino] = true
	}
	killAll(inos)
	for _, h := range hosts {
		unix.Close(h.net)
		unix.Close(h.mnt)
	}
}

// killAll kills every process in these network namespaces, until there is none.
// The process namespace of the stage bounds it: /proc shows only our own.
func killAll(inos map[uint64]bool) {
	for {
		found := false
		entries, err := os.ReadDir("/proc")
		if err != nil {
			return
		}
		for _, e := range entries {
			pid, err := strconv.Atoi(e.Name())
			if err != nil || pid == 1 || pid == os.Getpid() {
				continue
			}
			var st unix.Stat_t
			if unix.Stat("/proc/"+e.Name()+"/ns/net", &st) != nil || !inos[st.Ino] {
				continue
			}
			fd, err := unix.PidfdOpen(pid, 0)
			if err != nil {
				continue
			}
			found = true
			unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
			fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			for _, err = unix.Poll(fds, 5000); err == unix.EINTR; _, err = unix.Poll(fds, 5000) {
			}
			unix.Close(fd)
		}
		if !found {
			return
		}
	}
}
