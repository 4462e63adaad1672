package e2e

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/netlab"
	"gatehouse/internal/rig"
)

func TestMain(m *testing.M) { netlab.Main(m) }

// binary builds the program once for all tests.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "gatehouse-e2e-")
	if err != nil {
		return "", err
	}
	return rig.Build(dir)
})

func bin(t *testing.T) string {
	t.Helper()
	lookAtSources()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// lookAtSources opens the program's folders, so that go test does not take an
// earlier result for that of another program: it notes what a test opens.
var lookAtSources = sync.OnceFunc(func() {
	for _, root := range []string{"../../cmd", "../../internal"} {
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error { // without it, results are only kept for too long
			if err == nil && d.IsDir() && d.Name() == "testdata" {
				return fs.SkipDir
			}
			return err
		})
	}
})

// yard is a guarded host and others on one switch with it.
type yard struct {
	gate   *netlab.Host
	others map[string]*netlab.Host
	log    string // the log that the daemon follows
	daemon *rig.Daemon
}

// The guarded host's addresses.
const (
	gate4 = "192.0.2.1"
	gate6 = "2001:db8::1"
)

// newYard makes the guarded host and others, each with an address of its own
// outside the guarded host's network, reached over the switch.
func newYard(t *testing.T, config string, others ...string) *yard {
	t.Helper()
	lab := netlab.New(t)
	y := &yard{gate: lab.Host("gate"), others: map[string]*netlab.Host{}}
	ends := []netlab.End{y.gate.At(gate4+"/24", gate6+"/64")}
	for i, name := range others {
		h := lab.Host(name)
		y.others[name] = h
		ends = append(ends, h.At(fmt.Sprintf("192.0.2.%d/24", 10+i), fmt.Sprintf("2001:db8::%d/64", 10+i)))
	}
	lab.Switch("switch", ends...)
	y.log = filepath.Join(t.TempDir(), "auth.log")
	y.daemon = rig.New(t, bin(t), y.gate, config)
	return y
}

// watchLog is the configuration that follows the yard's log.
func watchLog(log, rest string) string {
	return fmt.Sprintf("watch: [{rule: sshd, files: [%s], %s}]\n", log, rest)
}

// failures appends n failures of an address to a log, each of a session of its own.
func failures(t *testing.T, log string, addr string, n int) {
	t.Helper()
	f, err := os.OpenFile(log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(failureLines(addr, n)); err != nil {
		t.Fatal(err)
	}
}

var session struct {
	sync.Mutex
	n int
}

func failureLines(addr string, n int) (s string) {
	session.Lock()
	defer session.Unlock()
	for range n {
		session.n++
		s += fmt.Sprintf("%s gate sshd[%d]: Failed password for root from %s port 4711 ssh2\n", time.Now().Format(time.Stamp), 1000+session.n, addr)
	}
	return s
}

// reaches reports whether a TCP connection from a host to an address succeeds.
func reaches(h *netlab.Host, from netip.Addr, to string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	c, err := h.DialFrom(ctx, from, "tcp", to)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// echo serves an echo on the guarded host until the test ends.
func echo(t *testing.T, h *netlab.Host, address string) {
	t.Helper()
	ln, err := h.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for b := make([]byte, 512); ; {
					n, err := c.Read(b)
					if err != nil {
						return
					}
					if _, err := c.Write(b[:n]); err != nil {
						return
					}
				}
			}()
		}
	}()
}

// beats reports whether an open connection to an echo still carries data both
// ways within this time.
func beats(c net.Conn, wait time.Duration) bool {
	c.SetDeadline(time.Now().Add(wait))
	defer c.SetDeadline(time.Time{})
	if _, err := c.Write([]byte("x")); err != nil {
		return false
	}
	_, err := c.Read(make([]byte, 1))
	return err == nil
}

// status is the part of `status --json` that tests look at.
type status struct {
	State   string
	Sources []struct {
		Name, Rule, State, Why string
		Lines, Hits            uint64
	}
	Bans     int
	Drops    struct{ Packets, Bytes uint64 }
	Never    []string
	Degraded []struct{ Part, Why, Hint string }
}

// ban is one element of `bans --json`.
type ban struct {
	Subject  string
	Since    time.Time
	Until    *time.Time
	Rule     string
	Reason   string
	Offences int
	Enforced bool
}

// isBan matches the record of a ban of this subject.
func isBan(subject string) func(rig.Entry) bool {
	return func(e rig.Entry) bool { return e.Verdict == "ban" && e.Subject == subject }
}

// isRelease matches the record of a release of this subject.
func isRelease(subject string) func(rig.Entry) bool {
	return func(e rig.Entry) bool { return e.Verdict == "release" && e.Subject == subject }
}
