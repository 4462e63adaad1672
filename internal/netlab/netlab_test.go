package netlab

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) { Main(m) }

// echo serves one connection after another on ln until it is closed.
func echo(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			io.Copy(c, c)
			c.Close()
		}()
	}
}

// say sends a line and returns what comes back.
func say(c net.Conn, line string) (string, error) {
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		return "", err
	}
	s, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(s), err
}

func TestLink(t *testing.T) {
	lab := New(t)
	a, b := lab.Host("a"), lab.Host("b")
	lab.Link(a.At("192.0.2.1/24", "2001:db8::1/64"), b.At("192.0.2.2/24", "2001:db8::2/64"))
	b.AddAddr("192.0.2.77/24", "2001:db8::77/64")
	ln, err := a.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go echo(ln)
	for _, tc := range []struct{ from, to string }{
		{"192.0.2.2", "192.0.2.1:80"},
		{"192.0.2.77", "192.0.2.1:80"},
		{"2001:db8::2", "[2001:db8::1]:80"},
		{"2001:db8::77", "[2001:db8::1]:80"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		c, err := b.DialFrom(ctx, netip.MustParseAddr(tc.from), "tcp", tc.to)
		cancel()
		if err != nil {
			t.Errorf("%s -> %s: %v", tc.from, tc.to, err)
			continue
		}
		if got, err := say(c, "hello"); got != "hello" {
			t.Errorf("%s -> %s: got %q, %v", tc.from, tc.to, got, err)
		}
		c.Close()
	}
}

func TestSwitch(t *testing.T) {
	lab := New(t)
	gate, x, y := lab.Host("gate"), lab.Host("x"), lab.Host("y")
	lab.Switch("wire", gate.At("192.0.2.1/24", "2001:db8::1/64"), x.At("192.0.2.2/24", "2001:db8::2/64"), y.At("192.0.2.3/24"))
	ln, err := gate.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go echo(ln)
	for _, tc := range []struct {
		h  *Host
		to string
	}{{x, "192.0.2.1:80"}, {x, "[2001:db8::1]:80"}, {y, "192.0.2.1:80"}} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		c, err := tc.h.Dial(ctx, "tcp", tc.to)
		cancel()
		if err != nil {
			t.Fatalf("%s -> %s: %v", tc.h.Name, tc.to, err)
		}
		c.Close()
	}
}

func TestCommand(t *testing.T) {
	lab := New(t)
	a, b := lab.Host("a"), lab.Host("b")
	lab.Link(a.At("192.0.2.1/24"), b.At("192.0.2.2/24"))
	a.Route("default", "192.0.2.2")
	out, err := a.Command("cat", "/proc/net/route").Output()
	if err != nil || !strings.Contains(string(out), "eth0\t00000000\t020200C0") {
		t.Fatalf("routes of a: %v\n%s", err, out)
	}
	out, err = b.Command("cat", "/proc/net/route").Output()
	if err != nil || strings.Contains(string(out), "\t00000000\t020200C0") {
		t.Fatalf("routes of b: %v\n%s", err, out)
	}
}

func TestFileStaysInside(t *testing.T) {
	lab := New(t)
	a, b := lab.Host("a"), lab.Host("b")
	before, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	a.File("/etc/passwd", "somebody\n", 0o644)
	a.Tmpfs("/run")
	a.File("/run/made/here", "x", 0o600)
	read := func(h *Host) (s string) {
		if err := h.Do(func() error {
			b, err := os.ReadFile("/etc/passwd")
			s = string(b)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return s
	}
	if got := read(a); got != "somebody\n" {
		t.Errorf("inside a: %q", got)
	}
	if read(b) != string(before) {
		t.Error("b sees the file of a")
	}
	after, err := os.ReadFile("/etc/passwd")
	if err != nil || string(after) != string(before) {
		t.Errorf("the stage's own file changed (%v)", err)
	}
	if _, err := os.Stat("/run/made/here"); err == nil {
		t.Error("a file of a is visible outside")
	}
}

// A process that a test forgot, its children included, ends with the lab.
func TestProcessesEndWithTheLab(t *testing.T) {
	pr, pw := io.Pipe()
	var pid string
	t.Run("lab", func(t *testing.T) {
		lab := New(t)
		h := lab.Host("h")
		c := h.Command("sh", "-c", "sleep 1000 & echo $!; exit 0")
		c.Stdout = pw
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		var err error
		if pid, err = bufio.NewReader(pr).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		pid = strings.TrimSpace(pid)
		if _, err := os.Stat("/proc/" + pid); err != nil {
			t.Fatal(err)
		}
	})
	if pid == "" {
		t.Skip("no lab")
	}
	if b, err := os.ReadFile("/proc/" + pid + "/cmdline"); err == nil && len(b) > 0 {
		t.Errorf("process %s lives on: %q", pid, b)
	}
}

func TestDoReportsGoexit(t *testing.T) {
	lab := New(t)
	h := lab.Host("h")
	if err := h.Do(func() error { runtime.Goexit(); return nil }); err == nil {
		t.Error("no error from a function that ended its goroutine")
	}
}

func TestRefusal(t *testing.T) {
	for _, tc := range []struct{ file, content, want string }{
		{"kernel/unprivileged_userns_clone", "0\n", "sudo sysctl kernel.unprivileged_userns_clone=1"},
		{"user/max_user_namespaces", "0\n", "sudo sysctl user.max_user_namespaces=15000"},
		{"kernel/apparmor_restrict_unprivileged_userns", "1\n", "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"},
		{"kernel/unprivileged_userns_clone", "1\n", "docker run --privileged"},
	} {
		root := t.TempDir()
		dir := root + "/proc/sys/" + tc.file
		if err := os.MkdirAll(dir[:strings.LastIndexByte(dir, '/')], 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir, []byte(tc.content), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := refusal(root, os.ErrPermission).Error(); !strings.Contains(got, tc.want) {
			t.Errorf("%s = %q: got %q, want %q in it", tc.file, tc.content, got, tc.want)
		}
	}
}

// Neighbour discovery once lost its first question in 3 of 100 cases, because the
// kernel joins the groups for it a little after the address is there.
func TestIPv6IsUsableAtOnce(t *testing.T) {
	for i := range 40 {
		lab := New(t)
		r, a, b := lab.Host("r"), lab.Host("a"), lab.Host("b")
		r.Sysctl("net.ipv6.conf.all.forwarding", "1")
		lab.Link(r.At("2001:db8:1::1/64"), a.At("2001:db8:1::2/64"))
		lab.Link(r.At("2001:db8:2::1/64"), b.At("2001:db8:2::2/64"))
		a.Route("default", "2001:db8:1::1")
		b.Route("default", "2001:db8:2::1")
		b.AddAddr("2001:db8:2::77/64")
		ln, err := a.Listen("tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		c, err := b.DialFrom(t.Context(), netip.MustParseAddr("2001:db8:2::77"), "tcp", "[2001:db8:1::2]:80")
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took > 900*time.Millisecond { // one lost question
			t.Errorf("run %d: connected after %s", i, took)
		}
		c.Close()
		ln.Close()
	}
}
