package firewall

import (
	"context"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/gate"
)

// TestScansAreHeld scans with nmap, each way from a host of its own, and wants
// the kernel alone to hold it.
func TestScansAreHeld(t *testing.T) {
	if _, err := exec.LookPath("nmap"); err != nil {
		t.Skip("nmap is not installed")
	}
	const (
		common = "-n -Pn --max-retries 0 --host-timeout 2s -p 100-140"
		trap   = "-n -Pn --max-retries 0 --host-timeout 2s -r -p 23-60"
	)
	for _, c := range []struct{ name, args, to string }{
		{"connect", "-sT " + common, "192.0.2.1"},
		{"half-open", "-sS " + common, "192.0.2.1"},
		{"FIN", "-sF " + common, "192.0.2.1"},
		{"NULL", "-sN " + common, "192.0.2.1"},
		{"Xmas", "-sX " + common, "192.0.2.1"},
		{"ACK", "-sA " + common, "192.0.2.1"},
		{"Maimon", "-sM " + common, "192.0.2.1"},
		{"window", "-sW " + common, "192.0.2.1"},
		{"UDP", "-sU " + common, "192.0.2.1"},
		{"SYN and FIN", "-sS --scanflags SYNFIN " + common, "192.0.2.1"},
		{"SYN and URG", "-sS --scanflags SYNURG " + common, "192.0.2.1"},
		{"fragments", "-sS -f " + common, "192.0.2.1"},
		{"fragments to a trap", "-sS -f " + trap, "192.0.2.1"},
		{"IPv6 connect", "-6 -sT " + common, "2001:db8::1"},
		{"IPv6 half-open", "-6 -sS " + common, "2001:db8::1"},
		{"IPv6 FIN", "-6 -sF " + common, "2001:db8::1"},
		{"IPv6 UDP", "-6 -sU " + common, "2001:db8::1"},
		{"a trap first", "-sS " + trap, "192.0.2.1"},
		{"sneaky, 3 ports, 15 s apart", "-sS -T1 -n -Pn -r --disable-arp-ping -p 23-25", "192.0.2.1"},
		{"polite, 10 ports", "-sS -T2 -n -Pn -p 100-109", "192.0.2.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, Config{}, Deps{})
			// A closed port that does not answer is as good for a scan, and keeps
			// nmap from slowing down for the limited rate of ICMP answers.
			tr := usual(t)
			tr.Stray = true
			if err := s.SetTraps(tr); err != nil {
				t.Fatal(err)
			}
			s.load(nil, nil, nil)
			from := "192.0.2.66"
			if strings.Contains(c.to, ":") {
				from = "2001:db8::66"
			}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			begun := time.Now()
			cmd := s.peer.CommandContext(ctx, "nmap", append(strings.Fields(c.args), c.to)...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "held", func() bool { return s.held(from) })
			took := time.Since(begun)
			cancel()
			cmd.Wait()
			ports := s.ports(t, strings.Contains(c.to, ":"))
			t.Logf("held after %v; %d ports counted", took.Round(time.Millisecond), ports)
			want := 5
			switch {
			case strings.Contains(c.args, trap):
				want = 0
			case strings.Contains(c.args, "-T1"): // its first port is the trap
				want = 0
			}
			if ports != want {
				t.Errorf("%d different ports were counted", ports)
			}
		})
	}
}

// ports returns how many (source, port) count at the gate.
func (s *scene) ports(t *testing.T, v6 bool) int {
	t.Helper()
	return strings.Count(s.nft("list", "set", "inet", "gatehouse", countPorts.of(v6).seen), "expires")
}

// knock opens a connection from one of the peer's addresses and does not wait
// for an answer that may never come.
func (s *scene) knock(from netip.Addr, port uint16) {
	s.t.Helper()
	to := gate4
	if from.Is6() {
		to = gate6
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if c, err := s.peer.DialFrom(ctx, from, "tcp", netip.AddrPortFrom(to, port).String()); err == nil {
		c.Close()
	}
}

func (s *scene) held(a string) bool {
	_, ok := s.Held(subject(a))
	return ok
}

func trapScene(t *testing.T, change func(*Traps)) *scene {
	s := newScene(t, Config{}, Deps{})
	tr := usual(t)
	if change != nil {
		change(&tr)
	}
	if err := s.SetTraps(tr); err != nil {
		t.Fatal(err)
	}
	s.load(nil, nil, nil)
	return s
}

// TestFifthPort pins that the fifth different port holds and no packet before
// it, however often the others are tried.
func TestFifthPort(t *testing.T) {
	for _, from := range []string{"192.0.2.67", "198.51.100.7", "2001:db8::67", "2001:db8:1::7"} {
		t.Run(from, func(t *testing.T) {
			t.Parallel()
			s := trapScene(t, nil)
			a := netip.MustParseAddr(from)
			for port := uint16(100); port < 104; port++ {
				for range 5 {
					s.knock(a, port)
				}
				if s.held(from) {
					t.Fatalf("held at port %d", port)
				}
			}
			s.knock(a, 104)
			if !s.held(from) {
				t.Fatal("not held at the fifth port")
			}
			if h, _ := s.Held(subject(from)); h.Left < 9*time.Minute || h.Left > 10*time.Minute {
				t.Errorf("held for %v", h.Left)
			}
			if n := s.Lift(subject(from)); n != 1 || s.held(from) {
				t.Errorf("lifted %d, held %v", n, s.held(from))
			}
			// what counted is forgotten: again the fifth port, and none before it
			for port := uint16(200); port < 204; port++ {
				if s.knock(a, port); s.held(from) {
					t.Fatalf("held at port %d after it was let go", port)
				}
			}
			if s.knock(a, 204); !s.held(from) {
				t.Fatal("not held at the fifth port after it was let go")
			}
		})
	}
}

// TestWindowSlides pins that ports count for the length of the window exactly,
// whichever of them came first.
func TestWindowSlides(t *testing.T) {
	t.Parallel()
	s := trapScene(t, func(tr *Traps) { tr.Distinct, tr.Within = 3, time.Second })
	a := netip.MustParseAddr("198.51.100.7")
	begun := time.Now()
	for port := uint16(100); time.Since(begun) < 2500*time.Millisecond; port++ {
		s.knock(a, port)
		if s.held(a.String()) {
			t.Fatalf("held at port %d after %v, at most two of them within a second", port, time.Since(begun))
		}
		time.Sleep(550 * time.Millisecond) // the rhythm that is tested
	}
	s.knock(a, 200)
	s.knock(a, 201)
	s.knock(a, 202)
	if !s.held(a.String()) {
		t.Fatal("three ports at once are not held")
	}
}

// TestOnePortManyAddresses pins that a source which tries one port at many of
// our addresses is held at the fifth.
func TestOnePortManyAddresses(t *testing.T) {
	t.Parallel()
	s := trapScene(t, nil)
	var all []string
	for i := range 8 {
		all = append(all, netip.AddrFrom4([4]byte{192, 0, 2, byte(101 + i)}).String())
	}
	for _, a := range all {
		s.gate.AddAddr(a + "/24")
	}
	dial := func(to string) {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		if c, err := s.peer.DialFrom(ctx, netip.MustParseAddr("198.51.100.7"), "tcp", net.JoinHostPort(to, "99")); err == nil {
			c.Close()
		}
	}
	for i, a := range all {
		dial(a)
		if held := s.held("198.51.100.7"); held != (i >= 4) {
			t.Fatalf("held at address %d: %v", i+1, held)
		}
	}
}

// TestSharedScan pins that sources of one network that share a scan are each
// held at their first probe once the network has tried ten ports, and that
// nobody else of it is.
func TestSharedScan(t *testing.T) {
	t.Parallel()
	s := trapScene(t, nil)
	from := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, 100, byte(20 + i)}) }
	for i := range 12 {
		s.peer.AddAddr(from(i).String() + "/32")
	}
	for i := range 11 {
		s.knock(from(i), uint16(100+i))
		if held := s.held(from(i).String()); held != (i >= 9) {
			t.Fatalf("source %d: held %v", i+1, held)
		}
	}
	if s.held(from(11).String()) || !s.passes("tcp:8080", from(11)) {
		t.Error("a neighbour that tried nothing cannot come in")
	}
}

// TestWhoListensWins pins that a service on a trap's port is no trap, nor for a
// while after it went.
func TestWhoListensWins(t *testing.T) {
	t.Parallel()
	s := trapScene(t, nil)
	a := netip.MustParseAddr("198.51.100.7")
	ln, err := s.gate.Listen("tcp", "192.0.2.1:23")
	if err != nil {
		t.Fatal(err)
	}
	if !s.reaches(a, "192.0.2.1:23") {
		t.Fatal("the service cannot be reached")
	}
	ln.Close()
	s.knock(a, 23)
	if s.held(a.String()) {
		t.Fatal("held at a port that listened just now")
	}
}

// TestHoldsLiveOn pins that a rebuild, and another configuration, leave who is
// held where it is.
func TestHoldsLiveOn(t *testing.T) {
	t.Parallel()
	s := trapScene(t, nil)
	s.knock(netip.MustParseAddr("198.51.100.7"), 23)
	if !s.held("198.51.100.7") {
		t.Fatal("not held")
	}
	tr := usual(t)
	tr.Hold, tr.Distinct = time.Hour, 7
	if err := s.SetTraps(tr); err != nil {
		t.Fatal(err)
	}
	if !s.held("198.51.100.7") {
		t.Error("gone with another configuration")
	}
	s.Close()
	again := s.start(Config{}, Deps{})
	s.Firewall = again
	if err := s.SetTraps(tr); err != nil {
		t.Fatal(err)
	}
	s.load(nil, nil, nil)
	if !s.held("198.51.100.7") {
		t.Error("gone with a restart")
	}
	if hs, err := s.Holds(10); err != nil || len(hs) != 1 || hs[0].Source.String() != "198.51.100.7/32" {
		t.Errorf("holds: %v, %v", hs, err)
	}
	if st := s.Traps(); !st.Armed || st.Held > 1 {
		t.Errorf("status: %+v", st)
	}
	if err := s.SetTraps(Traps{}); err != nil {
		t.Fatal(err)
	}
	if out := s.nft("list", "ruleset"); strings.Contains(out, "hold4") || strings.Contains(out, "arrivals") {
		t.Errorf("traps are still there:\n%s", out)
	}
}

// TestLiveConnectionIsSafe pins that neither a hold nor a ban of new connections
// touches somebody with a live connection, and that it does once that is closed.
func TestLiveConnectionIsSafe(t *testing.T) {
	t.Parallel()
	s := trapScene(t, nil)
	a := netip.MustParseAddr("198.51.100.7")
	at, peer := s.connect(a, 8080)
	if !s.lives(peer, at) {
		t.Fatal("no connection")
	}
	s.knock(a, 23)
	for port := uint16(100); port < 110; port++ {
		s.knock(a, port)
	}
	place(s.Firewall, ban(a.String(), time.Hour, gate.Scope{New: true}))
	if s.held(a.String()) || !s.lives(peer, at) || !s.passes("tcp:8081", a) {
		t.Error("somebody with a live connection is held")
	}
	place(s.Firewall, release(a.String(), gate.Scope{New: true}))
	peer.Close()
	eventually(t, "the closed connection no longer protects", func() bool {
		s.knock(a, 23)
		return s.held(a.String())
	})
}

// TestExtensionHeaders pins that IPv6 options in front of the TCP header hide
// nothing.
func TestExtensionHeaders(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		option int
	}{{"hop-by-hop", unix.IPV6_HOPOPTS}, {"destination", unix.IPV6_DSTOPTS}} {
		t.Run(c.name, func(t *testing.T) {
			s := trapScene(t, nil)
			var refused error
			d := net.Dialer{Timeout: 50 * time.Millisecond, Control: func(_, _ string, raw syscall.RawConn) error {
				return raw.Control(func(fd uintptr) {
					// next header (the kernel sets it), length 0 = 8 bytes, PadN with 4 bytes
					refused = unix.SetsockoptString(int(fd), unix.IPPROTO_IPV6, c.option, "\x00\x00\x01\x04\x00\x00\x00\x00")
				})
			}}
			for port := 100; port < 106; port++ {
				_ = s.peer.Do(func() error {
					conn, err := d.Dial("tcp", netip.AddrPortFrom(gate6, uint16(port)).String())
					if err == nil {
						conn.Close()
					}
					return nil
				})
				if refused != nil {
					t.Skipf("cannot send extension headers: %v", refused)
				}
			}
			if !s.held("2001:db8::66") || s.ports(t, true) != 5 {
				t.Errorf("held %v, %d ports", s.held("2001:db8::66"), s.ports(t, true))
			}
		})
	}
}

// TestTranslatedPortsAreNoTraps pins that a port which the kernel sends on to
// somewhere else, as those of containers are, is nobody's trap.
func TestTranslatedPortsAreNoTraps(t *testing.T) {
	t.Parallel()
	s := trapScene(t, nil)
	s.script(`table ip published { chain pre { type nat hook prerouting priority -100; tcp dport 23 redirect to :8080; }; }`)
	ln, err := s.gate.Listen("tcp", "192.0.2.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	a := netip.MustParseAddr("198.51.100.7")
	if !s.reaches(a, "192.0.2.1:23") || s.held(a.String()) {
		t.Error("a published port is a trap")
	}
}

// TestTwoHundredPorts pins how much of a scan at full speed gets through.
func TestTwoHundredPorts(t *testing.T) {
	if _, err := exec.LookPath("nmap"); err != nil {
		t.Skip("nmap is not installed")
	}
	t.Parallel()
	s := trapScene(t, nil)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_ = s.peer.CommandContext(ctx, "nmap", "-n", "-Pn", "-sS", "-T5", "--min-rate", "5000", "--max-retries", "0", "-p", "100-299", "192.0.2.1").Run()
	if n := s.ports(t, false); n != 5 || !s.held("192.0.2.66") {
		t.Errorf("%d of 200 ports got through", n)
	}
	if got := s.Traps().Dropped.Packets; got < 190 || got > 200 {
		t.Errorf("%d of 200 packets were dropped", got)
	}
}
