package host

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	mdl "github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"gatehouse/internal/netlab"
)

// stand is a guarded host with a listener of both families, a peer, and a Watcher
// that looks at the former.
type stand struct {
	testing.TB
	gw, peer *netlab.Host
	w        *Watcher
	accepted chan net.Conn
}

const tracking = "table inet t { chain c { type filter hook prerouting priority -150; ct state invalid counter; }; }"

// newStand tracks connections on the guarded host if rules say so.
func newStand(t testing.TB, rules string) *stand {
	t.Helper()
	lab := netlab.New(t)
	s := &stand{TB: t, gw: lab.Host("gw"), peer: lab.Host("peer"), accepted: make(chan net.Conn, 4096)}
	lab.Link(s.gw.At("192.0.2.1/24", "2001:db8::1/64"), s.peer.At("192.0.2.66/24", "2001:db8::66/64"))
	if rules != "" {
		s.rules(s.gw, rules)
	}
	s.listen(s.gw, ":2222")
	s.watch()
	return s
}

// watch makes the Watcher, with what is true now.
func (s *stand) watch() {
	s.Helper()
	s.must(s.gw.Do(func() error {
		s.w = New(Deps{Log: slog.New(slog.DiscardHandler)})
		s.w.Spoke(netip.MustParseAddrPort("198.51.100.1:1")) // opens the sockets, which belong to the host for ever
		return nil
	}))
	s.Cleanup(s.w.witness.close)
}

func (s *stand) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// rules loads rules of nftables on a host.
func (s *stand) rules(h *netlab.Host, text string) {
	s.Helper()
	if out, err := h.Command("nft", text).CombinedOutput(); err != nil {
		s.Fatalf("nft: %v: %s", err, out)
	}
}

// listen accepts connections and keeps them open.
func (s *stand) listen(h *netlab.Host, address string) {
	s.Helper()
	ln, err := h.Listen("tcp", address)
	s.must(err)
	s.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.accepted <- c
		}
	}()
}

// dial connects and returns both ends.
func (s *stand) dial(from *netlab.Host, to string) (near, far net.Conn) {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	near, err := from.Dial(ctx, "tcp", to)
	s.must(err)
	far = <-s.accepted
	s.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

// shut closes a connection, the near end first, and returns when both ends know.
func (s *stand) shut(near, far net.Conn) {
	s.Helper()
	s.must(near.(*net.TCPConn).CloseWrite())
	if _, err := io.Copy(io.Discard, far); err != nil {
		s.Fatal(err)
	}
	far.Close()
	if _, err := io.Copy(io.Discard, near); err != nil {
		s.Fatal(err)
	}
	near.Close()
}

// asks asks the kernel anew, whatever was answered before.
func (s *stand) asks(peer netip.AddrPort) (yes bool) {
	s.Helper()
	w := &s.w.witness
	w.no, w.yes, w.doubt, w.walked = times[netip.AddrPort]{}, times[netip.AddrPort]{}, times[netip.Prefix]{}, time.Time{}
	s.must(s.gw.Do(func() error {
		yes = s.w.Spoke(peer)
		return nil
	}))
	return yes
}

func (s *stand) want(what string, peer netip.AddrPort, want bool) {
	s.Helper()
	if got := s.asks(peer); got != want {
		s.Errorf("%s: %s spoke: %v, want %v", what, peer, got, want)
	}
}

// flow returns the flow that this peer began, once there is one that suits.
func (s *stand) flow(peer netip.AddrPort, suits func(flow) bool) (f flow) {
	s.Helper()
	w := &s.w.witness
	if !w.openFlows() {
		s.Fatal("connection tracking cannot be opened")
	}
	for begun := time.Now(); time.Since(begun) < 10*time.Second; {
		msgs, err := w.flows.Execute(flowRequest(peer, mdl.Request|mdl.Dump, func(*mdl.AttributeEncoder) {}))
		s.must(err)
		for _, m := range msgs {
			if g, ok := parseFlow(m.Data); ok && g.from == peer {
				if f = g; suits(f) {
					return f
				}
			}
		}
	}
	s.Fatalf("waited in vain for a flow of %s; the last: %+v", peer, f)
	return f
}

func endOf(a net.Addr) netip.AddrPort {
	p := a.(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

func TestSpoke(t *testing.T) {
	for _, tracked := range []bool{true, false} {
		name, rules := "sockets", ""
		if tracked {
			name, rules = "connection tracking", tracking
		}
		t.Run(name, func(t *testing.T) {
			s := newStand(t, rules)
			for _, to := range []string{"192.0.2.1:2222", "[2001:db8::1]:2222"} {
				near, far := s.dial(s.peer, to)
				peer := endOf(near.LocalAddr())
				s.want("open", peer, true)
				s.want("open, by address", netip.AddrPortFrom(peer.Addr(), 0), tracked)
				if peer.Addr().Is4() {
					s.want("open, as IPv6", netip.AddrPortFrom(netip.AddrFrom16(peer.Addr().As16()), peer.Port()), true)
				}
				s.want("another port", netip.AddrPortFrom(peer.Addr(), peer.Port()-1), false)
				s.want("another address", netip.AddrPortFrom(peer.Addr().Next(), peer.Port()), false)
				s.want("no address", netip.AddrPortFrom(netip.Addr{}, peer.Port()), false)
				s.shut(near, far)
				s.want("closed", peer, tracked)
			}

			s.listen(s.peer, "192.0.2.66:443")
			s.dial(s.gw, "192.0.2.66:443")
			s.want("a server that this machine uses", netip.MustParseAddrPort("192.0.2.66:443"), false)
		})
	}
}

// What was connected before connections were tracked is known by its socket.
func TestSpokeBeforeTracking(t *testing.T) {
	s := newStand(t, "")
	near, far := s.dial(s.peer, "192.0.2.1:2222")
	s.listen(s.peer, "192.0.2.66:443")
	out, outFar := s.dial(s.gw, "192.0.2.66:443")
	s.rules(s.gw, tracking)
	for _, c := range []struct{ from, to net.Conn }{{near, far}, {far, near}, {outFar, out}, {out, outFar}} { // the peer is heard first
		if _, err := c.from.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c.to, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	s.flow(endOf(outFar.LocalAddr()), func(f flow) bool { return f.status&statusAssured != 0 && f.flags&tcpLiberal != 0 })
	s.want("picked up", endOf(near.LocalAddr()), true)
	s.want("a server, picked up", endOf(outFar.LocalAddr()), false)
}

// A published port of a container: another host answers than was asked.
func TestSpokeForwarded(t *testing.T) {
	lab := netlab.New(t)
	s := &stand{TB: t, gw: lab.Host("gw"), peer: lab.Host("peer"), accepted: make(chan net.Conn, 16)}
	box, far := lab.Host("box"), lab.Host("far")
	lab.Link(s.gw.At("192.0.2.1/24"), s.peer.At("192.0.2.66/24"))
	lab.Link(s.gw.At("172.17.0.1/16"), box.At("172.17.0.2/16"))
	lab.Link(s.gw.At("203.0.113.1/24"), far.At("203.0.113.9/24"))
	box.Route("default", "172.17.0.1")
	far.Route("default", "203.0.113.1")
	s.peer.Route("203.0.113.0/24", "192.0.2.1")
	s.gw.Sysctl("net.ipv4.ip_forward", "1")
	s.rules(s.gw, tracking+`; table ip n { chain c { type nat hook prerouting priority -100; ip daddr 192.0.2.1 tcp dport 2222 dnat to 172.17.0.2:22; }; }`)
	s.listen(box, ":22")
	s.watch()
	for _, what := range []string{"found by a walk", "found where the last was"} {
		near, _ := s.dial(s.peer, "192.0.2.1:2222")
		s.want(what, endOf(near.LocalAddr()), true)
		s.want("another port", netip.AddrPortFrom(endOf(near.LocalAddr()).Addr(), 1), false)
	}
	if got := fmt.Sprint(s.w.witness.known); got != "[172.17.0.2:22]" {
		t.Errorf("ends that are known: %s", got)
	}
}

// segment is a TCP segment over IPv4 that a raw socket sends.
func segment(from, to netip.AddrPort, seq, ack uint32, flags byte) []byte {
	b := make([]byte, 40)
	b[0], b[8], b[9] = 0x45, 64, unix.IPPROTO_TCP
	binary.BigEndian.PutUint16(b[2:], 40)
	copy(b[12:16], from.Addr().AsSlice())
	copy(b[16:20], to.Addr().AsSlice())
	h := b[20:]
	binary.BigEndian.PutUint16(h[0:], from.Port())
	binary.BigEndian.PutUint16(h[2:], to.Port())
	binary.BigEndian.PutUint32(h[4:], seq)
	binary.BigEndian.PutUint32(h[8:], ack)
	h[12], h[13] = 5<<4, flags
	binary.BigEndian.PutUint16(h[14:], 64000)
	sum := uint32(unix.IPPROTO_TCP + 20)
	for i := 12; i < 40; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(h[16:], ^uint16(sum))
	return b
}

const (
	flagSyn = 0x02
	flagAck = 0x10
)

// Who sends in another's name completes no handshake, whatever the tracking of
// connections makes of it.
func TestSpokeForged(t *testing.T) {
	s := newStand(t, tracking)
	gw := netip.MustParseAddrPort("192.0.2.1:2222")
	var out, in int
	s.must(s.peer.Do(func() (err error) {
		if out, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW); err == nil {
			in, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_TCP)
		}
		return err
	}))
	defer unix.Close(out)
	defer unix.Close(in)
	s.must(unix.SetsockoptTimeval(in, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}))
	send := func(b []byte) {
		t.Helper()
		s.must(unix.Sendto(out, b, 0, &unix.SockaddrInet4{Addr: gw.Addr().As4()}))
	}

	// Nobody is at this address.
	silent := netip.MustParseAddrPort("192.0.2.99:4001")
	send(segment(silent, gw, 1000, 0, flagSyn))
	s.flow(silent, func(f flow) bool { return f.status&statusSeenReply != 0 })
	s.want("half open", silent, false)

	// The one at this address answers with a reset.
	honest := netip.MustParseAddrPort("192.0.2.66:4002")
	send(segment(honest, gw, 1000, 0, flagSyn))
	s.flow(honest, func(f flow) bool { return f.state > flowTimeWait })
	s.want("reset", honest, false)

	// An acknowledgement that is a little off, as one of some tens of thousands
	// that were sent blindly: the tracking takes it.
	s.rules(s.peer, "table ip t { chain c { type filter hook output priority 0; tcp flags rst drop; }; }")
	guessed := netip.MustParseAddrPort("192.0.2.66:4003")
	send(segment(guessed, gw, 1000, 0, flagSyn))
	isn := uint32(0)
	for b := make([]byte, 1500); isn == 0; {
		n, _, err := unix.Recvfrom(in, b, 0)
		s.must(err)
		if h := b[20:n]; binary.BigEndian.Uint16(h[2:]) == guessed.Port() {
			isn = binary.BigEndian.Uint32(h[4:])
		}
	}
	send(segment(guessed, gw, 1001, isn-100, flagAck))
	f := s.flow(guessed, func(f flow) bool { return f.status&statusAssured != 0 })
	t.Logf("guessed: %+v", f)
	s.want("guessed", guessed, false)

	// A segment of no connection at all.
	stray := netip.MustParseAddrPort("192.0.2.66:4004")
	send(segment(stray, gw, 1000, 5000, flagAck))
	for b := make([]byte, 1500); ; {
		n, _, err := unix.Recvfrom(in, b, 0)
		s.must(err)
		if binary.BigEndian.Uint16(b[22:n]) == stray.Port() {
			break
		}
	}
	s.want("stray", stray, false)
}

// Somebody who tries all ports of another, and a flood, cost little and leave
// questions for others.
func TestSpokeFlood(t *testing.T) {
	s := newStand(t, tracking)
	near, _ := s.dial(s.peer, "192.0.2.1:2222")
	peer := endOf(near.LocalAddr())
	begun := time.Now()
	for port := range 60000 {
		if s.w.Spoke(netip.AddrPortFrom(netip.MustParseAddr("198.51.100.7"), uint16(port+1))) {
			t.Fatal("an address that never spoke did")
		}
	}
	t.Logf("60000 questions about one address: %v", time.Since(begun))
	if n := len(s.w.witness.no.ring); n > doubts.burst+int(time.Since(begun)/doubts.every)+1 {
		t.Errorf("%d questions reached the kernel", n)
	}
	if !s.w.Spoke(peer) {
		t.Error("and another is not believed any more")
	}
	begun = time.Now()
	for i := range 60000 {
		s.w.Spoke(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)}), 22))
	}
	took := time.Since(begun)
	t.Logf("60000 questions about as many: %v", took)
	if n := len(s.w.witness.no.ring); n > questions.burst+doubts.burst+int(took/questions.every)+50 {
		t.Errorf("%d questions reached the kernel", n)
	}
	if !s.w.Spoke(peer) {
		t.Error("a flood makes a peer forgotten")
	}
}

func TestFlowSpoken(t *testing.T) {
	ok := flow{proto: unix.IPPROTO_TCP, status: statusSeenReply | statusAssured, state: flowEstablished}
	for _, tc := range []struct {
		name string
		edit func(*flow)
		want bool
	}{
		{"established", func(*flow) {}, true},
		{"waiting", func(f *flow) { f.state = flowTimeWait }, true},
		{"syn received", func(f *flow) { f.state = 2 }, false},
		{"closed", func(f *flow) { f.state = 8 }, false},
		{"not assured", func(f *flow) { f.status = statusSeenReply }, false},
		{"no reply", func(f *flow) { f.status = statusAssured }, false},
		{"picked up", func(f *flow) { f.flags = tcpLiberal }, false},
		{"udp", func(f *flow) { f.proto = unix.IPPROTO_UDP }, false},
	} {
		f := ok
		tc.edit(&f)
		if f.spoken() != tc.want {
			t.Errorf("%s: %v", tc.name, f.spoken())
		}
	}
}

func TestAtLeast(t *testing.T) {
	for release, want := range map[string]bool{
		"6.18.44-fc": true, "5.8.0": true, "5.8-rc1": true, "5.10.0-30-amd64": true, "5.7.19": false, "4.19.0": false, "": false, "x.y": false, "6": false,
	} {
		if atLeast(release, 5, 8) != want {
			t.Errorf("%q is at least 5.8: %v", release, !want)
		}
	}
}

// FuzzParseFlowNeverPanics also checks that only whole flows are taken.
func FuzzParseFlowNeverPanics(f *testing.F) {
	a, b := netip.MustParseAddrPort("192.0.2.66:4711"), netip.MustParseAddrPort("192.0.2.1:22")
	f.Add(flowRequest(a, 0, func(ae *mdl.AttributeEncoder) {
		encodeTuple(ae, ctaTupleOrig, a, b)
		encodeTuple(ae, ctaTupleReply, b, a)
		ae.Uint32(ctaStatus, statusSeenReply|statusAssured)
		ae.Nested(ctaProtoInfo, func(ae *mdl.AttributeEncoder) error {
			ae.Nested(ctaProtoInfoTCP, func(ae *mdl.AttributeEncoder) error {
				ae.Uint8(ctaProtoInfoTCPState, flowEstablished)
				ae.Bytes(ctaProtoInfoTCPFlagsOrig, []byte{3, 0})
				return nil
			})
			return nil
		})
	}).Data)
	f.Fuzz(func(t *testing.T, data []byte) {
		if f, ok := parseFlow(data); ok && (!f.from.IsValid() || !f.to.IsValid() || !f.answers.IsValid() || !f.asked.IsValid()) {
			t.Errorf("%+v", f)
		}
	})
}

// BenchmarkSpoke is what a question costs that reaches the kernel, with 3000
// connections.
func BenchmarkSpoke(b *testing.B) {
	s := newStand(b, tracking)
	var peers []netip.AddrPort
	for range 3000 {
		near, _ := s.dial(s.peer, "192.0.2.1:2222")
		peers = append(peers, endOf(near.LocalAddr()))
	}
	nobody := netip.MustParseAddrPort("192.0.2.77:4711")
	ask := func(b *testing.B, peer func(i int) netip.AddrPort, want bool) {
		i := 0
		for b.Loop() {
			if s.w.witness.ask(peer(i), s.w) != want {
				b.Fatal(peer(i))
			}
			i++
		}
	}
	b.Run("yes", func(b *testing.B) {
		ask(b, func(i int) netip.AddrPort { return peers[i%len(peers)] }, true)
	})
	b.Run("no", func(b *testing.B) {
		ask(b, func(int) netip.AddrPort { return nobody }, false)
	})
	b.Run("any port", func(b *testing.B) {
		ask(b, func(int) netip.AddrPort {
			s.w.witness.walked = time.Time{}
			return netip.AddrPortFrom(peers[0].Addr(), 0)
		}, true)
	})
	b.Run("no, of all ends that are tried", func(b *testing.B) {
		for i := range 200 {
			l := s.w.host.Listeners[0]
			l.Port = uint16(10000 + i)
			s.w.host.Listeners = append(s.w.host.Listeners, l)
		}
		s.w.listenAt = time.Now().Add(time.Hour)
		ask(b, func(int) netip.AddrPort { return nobody }, false)
	})
}
