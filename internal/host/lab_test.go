package host

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gate"
	"gatehouse/internal/netlab"
)

// envChild makes this program the child of a test: see runChild.
const envChild = "HOST_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(envChild) != "" {
		os.Exit(runChild())
	}
	netlab.Main(m)
}

// runChild runs a Watcher inside a host of a lab and writes its Snapshot as a line
// of JSON at the start, at each change, and for each line read: `ask`, `refresh`,
// or `peer PID`, which is answered by an address.
func runChild() int {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	w := New(Deps{Log: log})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	in := make(chan string)
	go func() {
		defer close(in)
		for s := bufio.NewScanner(os.Stdin); s.Scan(); {
			in <- s.Text()
		}
	}()
	out := json.NewEncoder(os.Stdout)
	out.Encode(w.Snapshot())
	for {
		select {
		case <-w.Changed():
			out.Encode(w.Snapshot())
		case line, ok := <-in:
			switch verb, arg, _ := strings.Cut(line, " "); {
			case !ok:
				cancel()
				if err := <-done; err != nil {
					log.Error("run", "err", err)
					return 1
				}
				return 0
			case verb == "peer":
				pid, _ := strconv.Atoi(arg)
				a, _ := w.PeerOf(pid)
				fmt.Println(a)
			case verb == "refresh":
				out.Encode(w.Refresh())
			default:
				out.Encode(w.Snapshot())
			}
		case err := <-done:
			log.Error("run ended", "err", err)
			return 1
		}
	}
}

// child is a Watcher in a host of a lab.
type child struct {
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Reader
}

func startChild(t *testing.T, h *netlab.Host) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := h.Command(self)
	cmd.Env = append(os.Environ(), envChild+"=1")
	cmd.Stderr = os.Stderr
	c := &child{t: t}
	if c.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.out = bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.in.Close()
		io.Copy(io.Discard, c.out)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the watcher: %v", err)
		}
	})
	return c
}

func (c *child) line() string {
	c.t.Helper()
	s, err := c.out.ReadString('\n')
	if err != nil {
		c.t.Fatalf("the watcher: %v", err)
	}
	return strings.TrimSpace(s)
}

// next returns the next snapshot that the watcher writes.
func (c *child) next() (h gate.Host) {
	c.t.Helper()
	line := c.line()
	if err := json.Unmarshal([]byte(line), &h); err != nil {
		c.t.Fatalf("%s: %v", line, err)
	}
	return h
}

// until reads snapshots, which the watcher writes by itself, until one suits.
func (c *child) until(what string, ok func(gate.Host) bool) gate.Host {
	c.t.Helper()
	timer := time.AfterFunc(20*time.Second, func() { panic("waited too long until " + what) })
	defer timer.Stop()
	for {
		if h := c.next(); ok(h) {
			return h
		}
	}
}

// ask writes a line and returns the snapshot that answers it or came before.
func (c *child) ask(verb string) {
	c.t.Helper()
	if _, err := io.WriteString(c.in, verb+"\n"); err != nil {
		c.t.Fatal(err)
	}
}

func TestKernelNetwork(t *testing.T) {
	lab := netlab.New(t)
	gw, other := lab.Host("gw"), lab.Host("other")
	lab.Link(gw.At("192.0.2.1/24", "2001:db8::1/64"), other.At("192.0.2.2/24", "2001:db8::2/64"))
	gw.File("/etc/resolv.conf", "nameserver 198.51.100.53\n", 0o644)
	ln, err := gw.Listen("tcp", "192.0.2.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	pc, err := gw.ListenPacket("udp4", "192.0.2.1:5353")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })

	c := startChild(t, gw)
	addr, prefix := netip.MustParseAddr, netip.MustParsePrefix
	h := c.next()
	for _, a := range []netip.Addr{addr("192.0.2.1"), addr("2001:db8::1")} {
		if !slices.Contains(h.Own, a) {
			t.Errorf("own %v lacks %s", h.Own, a)
		}
	}
	for _, p := range []netip.Prefix{prefix("192.0.2.0/24"), prefix("2001:db8::/64"), prefix("fe80::/64")} {
		if !slices.Contains(h.OnLink, p) {
			t.Errorf("attached %v lacks %s", h.OnLink, p)
		}
	}
	if slices.Contains(h.Own, addr("127.0.0.1")) || len(h.Gateways) != 0 {
		t.Errorf("own %v, gateways %v", h.Own, h.Gateways)
	}
	if fmt.Sprint(h.Resolvers) != "[198.51.100.53]" {
		t.Errorf("name servers %v", h.Resolvers)
	}
	for _, l := range []gate.Listener{{Addr: addr("192.0.2.1"), Proto: gate.TCP, Port: 8080}, {Addr: addr("192.0.2.1"), Proto: gate.UDP, Port: 5353}} {
		if !slices.Contains(h.Listeners, l) {
			t.Errorf("listeners %v lack %v", h.Listeners, l)
		}
	}

	gw.AddAddr("192.0.2.9/24")
	c.until("a new address is seen", func(h gate.Host) bool { return slices.Contains(h.Own, addr("192.0.2.9")) })
	gw.Route("default", "192.0.2.2")
	gw.Route("default", "2001:db8::2")
	c.until("new routes are seen", func(h gate.Host) bool { return fmt.Sprint(h.Gateways) == "[192.0.2.2 2001:db8::2]" })
	gw.Unroute("default", "192.0.2.2")
	gw.DelAddr("192.0.2.9/24")
	c.until("their end is seen", func(h gate.Host) bool {
		return fmt.Sprint(h.Gateways) == "[2001:db8::2]" && !slices.Contains(h.Own, addr("192.0.2.9"))
	})
}

func TestKernelSessions(t *testing.T) {
	lab := netlab.New(t)
	gw, peer := lab.Host("gw"), lab.Host("peer")
	lab.Link(gw.At("192.0.2.1/24", "2001:db8::1/64"), peer.At("192.0.2.2/24", "192.0.2.3/24", "2001:db8::2/64"))
	d := netlab.StartSSHD(gw, netlab.SSHOptions{Users: []string{"bob"}, Syslog: true, Port: 2222, Config: []string{"LogLevel DEBUG1"}})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()

	// A connection that says nothing, and one that is asked for a password.
	silent, err := peer.Dial(ctx, "tcp", "192.0.2.1:2222")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if err := peer.HangSSH(ctx, netlab.Login{To: d.Addr, User: "bob"}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Wait(ctx, func(s string) bool { return strings.Contains(s, "userauth-request for user bob ") }); err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(d.All(), "\n"))
	}

	c := startChild(t, gw)
	if h := c.next(); len(h.Sessions) != 0 {
		t.Fatalf("sessions without a login: %v", h.Sessions)
	}
	type want struct {
		from, user string
		to         netip.AddrPort
	}
	logins := []want{{"192.0.2.2", "bob", d.Addr}, {"2001:db8::2", "bob", netip.MustParseAddrPort("[2001:db8::1]:2222")}}
	if d.Real {
		logins = append(logins, want{"192.0.2.3", "root", d.Addr})
	}
	var open []*netlab.SSHSession
	var wants []gate.Session
	for _, l := range logins {
		s, err := peer.OpenSSH(ctx, netlab.Login{From: netip.MustParseAddr(l.from), To: l.to, User: l.user, Password: netlab.Password})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		open = append(open, s)
		wants = append(wants, gate.Session{Peer: netip.MustParseAddr(l.from), Port: 2222, User: l.user})
		c.ask("refresh")
		h := c.until("a login is seen", func(h gate.Host) bool { return len(h.Sessions) >= len(wants) })
		for _, w := range wants {
			if !slices.Contains(h.Sessions, w) {
				t.Errorf("sessions %v lack %v", h.Sessions, w)
			}
		}
		if len(h.Sessions) != len(wants) {
			t.Errorf("sessions %v, want %v", h.Sessions, wants)
		}
	}

	// The shell of a session has its peer; a process of the host itself has none.
	for _, s := range open {
		pid, err := s.Pid()
		if err != nil {
			t.Fatal(err)
		}
		c.ask("peer " + strconv.Itoa(pid))
		got := c.line()
		for strings.HasPrefix(got, "{") {
			got = c.line()
		}
		if want := s.From.String(); got != want {
			t.Errorf("the peer behind process %d is %s, want %s", pid, got, want)
		}
	}
	c.ask("peer " + strconv.Itoa(d.Pid))
	if got := c.line(); got != "invalid IP" {
		t.Errorf("the peer behind the listener is %s", got)
	}

	// The end of a session is an event.
	for i, s := range open {
		s.Close()
		c.until("the end of a session is seen", func(h gate.Host) bool { return len(h.Sessions) == len(open)-1-i })
	}
}

// BenchmarkSessions is what a Snapshot costs when its sessions are too old, on the
// machine as it is.
func BenchmarkSessions(b *testing.B) {
	s := sessions{proc: procfs{dir: "/proc"}}
	pids, err := s.proc.pids()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := s.list(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(pids)), "processes")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(len(pids)), "us/process")
}
