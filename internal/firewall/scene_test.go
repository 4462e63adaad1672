package firewall

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/netlab"
)

// scene is a gate with a firewall and a peer with many addresses on one wire.
//
//	gate 192.0.2.1 2001:db8::1 ──── peer 192.0.2.66 … 2001:db8::66 …
type scene struct {
	*Firewall
	t          *testing.T
	lab        *netlab.Lab
	gate, peer *netlab.Host
	nonce      atomic.Uint32
}

var (
	gate4 = netip.MustParseAddr("192.0.2.1")
	gate6 = netip.MustParseAddr("2001:db8::1")
)

// patience bounds the wait for what must happen.
const patience = 20 * time.Second

func newScene(t *testing.T, c Config, d Deps) *scene {
	t.Helper()
	lab := netlab.New(t)
	s := &scene{t: t, lab: lab, gate: lab.Host("gate"), peer: lab.Host("peer")}
	lab.Link(s.gate.At("192.0.2.1/24", "2001:db8::1/64"), s.peer.At("192.0.2.66/24", "2001:db8::66/64"))
	s.peer.AddAddr("192.0.2.67/24", "192.0.2.99/24", "2001:db8::67/64", "198.51.100.7/32", "2001:db8:1::7/128", "2001:db8:1:1::7/128")
	s.gate.Route("default", "192.0.2.66")
	s.gate.Route("::/0", "2001:db8::66")
	s.Firewall = s.start(c, d)
	return s
}

// start makes a firewall on the gate.
func (s *scene) start(c Config, d Deps) *Firewall {
	s.t.Helper()
	var f *Firewall
	if err := s.gate.Do(func() (err error) {
		f, err = New(c, d)
		return err
	}); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { f.Close() })
	return f
}

func (s *scene) load(wants []Want, never, allow []string) {
	s.t.Helper()
	if err := s.Load(slices.Values(wants), prefixes(never...), prefixes(allow...)); err != nil {
		s.t.Fatal(err)
	}
}

// run runs the firewall until the test ends.
func (s *scene) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("Run: %v", err)
		}
	})
}

// nft runs nft on the gate.
func (s *scene) nft(args ...string) string {
	s.t.Helper()
	out, err := s.gate.Command("nft", args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("nft %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// script runs an nft script on the gate.
func (s *scene) script(text string) {
	s.t.Helper()
	cmd := s.gate.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("nft -f: %v\n%s", err, out)
	}
}

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within %v", what, patience)
		case <-tick.C:
		}
	}
}

func (s *scene) dropped() uint64 {
	d := s.Drops()
	return d.Ban.Packets + d.Doubt.Packets + d.Ports.Packets + d.Lists.Packets
}

// passes sends what `how` says from an address to the gate and reports whether
// it arrived; our own counters say that it did not. how is ping, udp:PORT,
// tcp:PORT, or big:PORT for a datagram in fragments.
func (s *scene) passes(how string, from netip.Addr) bool {
	s.t.Helper()
	to := gate4
	if from.Is6() {
		to = gate6
	}
	kind, port, _ := strings.Cut(how, ":")
	return s.arrives(how+" from "+from.String(), func(ctx context.Context, arrived chan<- error) (stop func()) {
		switch kind {
		case "udp", "big":
			return s.sendUDP(from, netip.AddrPortFrom(to, number16(port)), kind == "big", arrived)
		case "tcp":
			to := netip.AddrPortFrom(to, number16(port)).String()
			ln, err := s.gate.Listen("tcp", to)
			if err != nil {
				s.t.Fatal(err)
			}
			stop := s.openTCP(ctx, from, to, arrived)
			return func() { stop(); ln.Close() }
		case "ping":
			return s.ping(from, to, arrived)
		}
		s.t.Fatalf("no such probe: %s", how)
		return nil
	})
}

// reaches is passes for a connection to something that listens already.
func (s *scene) reaches(from netip.Addr, to string) bool {
	s.t.Helper()
	return s.arrives(to+" from "+from.String(), func(ctx context.Context, arrived chan<- error) (stop func()) {
		return s.openTCP(ctx, from, to, arrived)
	})
}

// arrives starts a probe and waits until it arrives or a packet is dropped.
func (s *scene) arrives(what string, start func(ctx context.Context, arrived chan<- error) (stop func())) bool {
	s.t.Helper()
	before := s.dropped()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	arrived := make(chan error, 1)
	stop := start(ctx, arrived)
	defer stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-arrived:
			if err != nil {
				s.t.Fatalf("%s: %v", what, err)
			}
			return true
		case <-tick.C:
			if s.dropped() > before {
				return false
			}
		case <-ctx.Done():
			s.t.Fatalf("%s: neither arrived nor was counted as dropped", what)
		}
	}
}

func number16(s string) (n uint16) {
	fmt.Sscan(s, &n)
	return n
}

// sendUDP sends one datagram and tells when it arrives.
func (s *scene) sendUDP(from netip.Addr, to netip.AddrPort, big bool, arrived chan<- error) (stop func()) {
	s.t.Helper()
	in, err := s.gate.ListenPacket("udp", to.String())
	if err != nil {
		s.t.Fatal(err)
	}
	payload := binary.BigEndian.AppendUint32(nil, s.nonce.Add(1))
	if big {
		payload = append(payload, make([]byte, 4000)...)
	}
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, _, err := in.ReadFrom(buf)
			if err != nil {
				return // closed
			}
			if bytes.Equal(buf[:n], payload) {
				arrived <- nil
				return
			}
		}
	}()
	out, err := s.peer.DialFrom(context.Background(), from, "udp", to.String())
	if err != nil {
		in.Close()
		s.t.Fatal(err)
	}
	if _, err := out.Write(payload); err != nil {
		s.t.Fatal(err)
	}
	return func() { in.Close(); out.Close() }
}

// openTCP opens one connection and tells when it is open.
func (s *scene) openTCP(ctx context.Context, from netip.Addr, to string, arrived chan<- error) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := s.peer.DialFrom(ctx, from, "tcp", to)
		if err == nil {
			c.Close()
		} else if ctx.Err() != nil {
			return
		}
		arrived <- err
	}()
	return func() { cancel(); <-done }
}

// ping sends one echo request and tells when the answer is there.
func (s *scene) ping(from, to netip.Addr, arrived chan<- error) (stop func()) {
	s.t.Helper()
	network, request, reply := "ip4:icmp", byte(8), byte(0)
	if from.Is6() {
		network, request, reply = "ip6:ipv6-icmp", 128, 129
	}
	c, err := s.peer.ListenPacket(network, from.String())
	if err != nil {
		s.t.Fatal(err)
	}
	id := s.nonce.Add(1) << 16 // an identifier of its own: else it belongs to an earlier exchange
	msg := binary.BigEndian.AppendUint32([]byte{request, 0, 0, 0}, id)
	if !from.Is6() {
		binary.BigEndian.PutUint16(msg[2:], checksum(msg))
	}
	go func() {
		buf := make([]byte, 1500)
		for {
			n, _, err := c.ReadFrom(buf)
			if err != nil {
				return // closed
			}
			if n >= 8 && buf[0] == reply && binary.BigEndian.Uint32(buf[4:]) == id {
				arrived <- nil
				return
			}
		}
	}()
	if _, err := c.WriteTo(msg, &net.IPAddr{IP: to.AsSlice()}); err != nil {
		s.t.Fatal(err)
	}
	return func() { c.Close() }
}

// checksum is that of RFC 1071.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// connect opens a connection to a port of the gate and returns both ends.
func (s *scene) connect(from netip.Addr, port uint16) (at, peer net.Conn) {
	s.t.Helper()
	to := gate4
	if from.Is6() {
		to = gate6
	}
	ln, err := s.gate.Listen("tcp", netip.AddrPortFrom(to, port).String())
	if err != nil {
		s.t.Fatal(err)
	}
	defer ln.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if peer, err = s.peer.DialFrom(ctx, from, "tcp", ln.Addr().String()); err != nil {
		s.t.Fatal(err)
	}
	if at, err = ln.Accept(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { at.Close(); peer.Close() })
	return at, peer
}

// lives reports whether what `out` writes reaches `in`; our own counters say
// that it does not.
func (s *scene) lives(out, in net.Conn) bool {
	s.t.Helper()
	before := s.dropped()
	if _, err := out.Write([]byte{1}); err != nil {
		s.t.Fatal(err)
	}
	got := make(chan error, 1)
	in.SetReadDeadline(time.Time{})
	go func() {
		_, err := in.Read(make([]byte, 1))
		got <- err
	}()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-got:
			if err != nil {
				s.t.Fatal(err)
			}
			return true
		case <-tick.C:
			if s.dropped() > before {
				in.SetReadDeadline(time.Unix(1, 0))
				return <-got == nil
			}
		case <-ctx.Done():
			s.t.Fatal("the connection's data neither arrived nor was counted as dropped")
		}
	}
}
