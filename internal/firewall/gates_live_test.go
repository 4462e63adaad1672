package firewall

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// stream sends stamped datagrams from one socket to another until it is
// stopped, and notes the latest stamp that arrived.
func stream(wg *sync.WaitGroup, out, in net.Conn, zero time.Time, stop *atomic.Bool, last *atomic.Int64) {
	wg.Go(func() {
		for b := make([]byte, 8); !stop.Load(); {
			binary.BigEndian.PutUint64(b, uint64(time.Since(zero)))
			out.Write(b) // a drop at the source is an error, and no reason to end
			time.Sleep(200 * time.Microsecond)
		}
	})
	wg.Go(func() {
		for b := make([]byte, 8); ; {
			n, err := in.Read(b)
			if err != nil && n == 0 {
				return // closed
			}
			for at := int64(binary.BigEndian.Uint64(b)); ; {
				was := last.Load()
				if at <= was || last.CompareAndSwap(was, at) {
					break
				}
			}
		}
	})
}

// A port that is closed under load is closed within 5 ms of the return, seen at
// both ends, for both directions and families: what was sent later than that
// does not arrive. Streams of other ports do not notice.
func TestCutIsAtOnce(t *testing.T) {
	s := newScene(t, Config{}, Deps{})
	s.load(nil, nil, nil)
	s.gatesAre("close in 1/tcp") // connection tracking of all that follows is as with gates
	zero := time.Now()
	type flow struct {
		name   string
		closed bool
		last   [2]atomic.Int64
	}
	var flows []*flow
	var stop atomic.Bool
	var wg sync.WaitGroup
	var conns []net.Conn
	udp := func(server, client interface {
		ListenPacket(network, address string) (net.PacketConn, error)
	}, dial func(to string) net.Conn, to string, closed bool) {
		pc, err := server.ListenPacket("udp", to)
		if err != nil {
			t.Fatal(err)
		}
		there := dial(to)
		there.Write(make([]byte, 8))
		_, back, err := pc.ReadFrom(make([]byte, 8))
		if err != nil {
			t.Fatal(err)
		}
		at := connected{pc, back}
		conns = append(conns, there, at)
		fl := &flow{name: to, closed: closed}
		flows = append(flows, fl)
		stream(&wg, there, at, zero, &stop, &fl.last[0])
		stream(&wg, at, there, zero, &stop, &fl.last[1])
	}
	fromPeer := func(to string) net.Conn {
		c, err := s.peer.Dial(t.Context(), "udp", to)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	fromGate := func(to string) net.Conn {
		c, err := s.gate.Dial(t.Context(), "udp", to)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	udp(s.gate, s.peer, fromPeer, "192.0.2.1:1000", true)
	udp(s.gate, s.peer, fromPeer, "[2001:db8::1]:1000", true)
	udp(s.gate, s.peer, fromPeer, "192.0.2.1:1001", false)
	udp(s.peer, s.gate, fromGate, "192.0.2.66:2000", true)
	udp(s.peer, s.gate, fromGate, "[2001:db8::66]:2000", true)
	udp(s.peer, s.gate, fromGate, "[2001:db8::66]:1000", false)
	eventually(t, "all streams flow", func() bool {
		for _, fl := range flows {
			if fl.last[0].Load() == 0 || fl.last[1].Load() == 0 {
				return false
			}
		}
		return true
	})
	s.gatesAre("close in 1/tcp", "close in 1000/udp", "close out 2000/udp")
	done := time.Since(zero)
	eventually(t, "the other streams go on", func() bool {
		for _, fl := range flows {
			if !fl.closed && min(fl.last[0].Load(), fl.last[1].Load()) < int64(done+100*time.Millisecond) {
				return false
			}
		}
		return true
	})
	stop.Store(true)
	for _, c := range conns {
		c.Close()
	}
	wg.Wait()
	for _, fl := range flows {
		for i := range fl.last {
			late := time.Duration(fl.last[i].Load()) - done
			if fl.closed && late > 5*time.Millisecond {
				t.Errorf("%s, way %d: a packet that was sent %v after the return arrived", fl.name, i, late)
			}
			t.Logf("%s, way %d: the last packet was sent %v after the return", fl.name, i, late)
		}
	}
}

// connected is a listening datagram socket as a connection to one peer.
type connected struct {
	net.PacketConn
	peer net.Addr
}

func (c connected) Read(b []byte) (int, error) { n, _, err := c.ReadFrom(b); return n, err }
func (c connected) Write(b []byte) (int, error) {
	return c.WriteTo(b, c.peer)
}
func (c connected) RemoteAddr() net.Addr { return c.peer }

// A closed port ends a live TCP connection in both directions, one of another
// port lives; so it is for what this machine opened itself.
func TestClosingCutsConnections(t *testing.T) {
	s := newScene(t, Config{}, Deps{})
	s.load(nil, nil, nil)
	for _, from := range []string{"192.0.2.66", "2001:db8::66"} {
		peer := netip.MustParseAddr(from)
		closedAt, closedThere := s.connect(peer, 22)
		_, quietThere := s.connect(peer, 22)
		otherAt, otherThere := s.connect(peer, 80)
		s.gatesAre("close in 22/tcp")
		if s.lives(closedThere, closedAt) || s.lives(closedAt, closedThere) {
			t.Errorf("%s: the connection lives", from)
		}
		if !s.lives(otherThere, otherAt) || !s.lives(otherAt, otherThere) {
			t.Errorf("%s: the other connection is cut", from)
		}
		quietThere.Close() // its FIN is dropped, too
		ln, err := s.peer.Listen("tcp", netip.AddrPortFrom(peer, 25).String())
		if err != nil {
			t.Fatal(err)
		}
		own, err := s.gate.Dial(t.Context(), "tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		s.gatesAre("close in 22/tcp", "close in 1024-65535")
		if !s.lives(own, accepted) || !s.lives(accepted, own) {
			t.Errorf("%s: what we opened is cut by closed inbound ports", from)
		}
		s.gatesAre("close in 22/tcp", "close out 25/tcp")
		if s.lives(own, accepted) || s.lives(accepted, own) {
			t.Errorf("%s: what we opened lives on a closed outbound port", from)
		}
		own.Close()
		accepted.Close()
		ln.Close()
		s.gatesAre()
	}
}

// Published ports of containers are covered, what is forwarded to others is
// not: see TestPublishedPorts for the stage.
func TestPortGatesAndContainers(t *testing.T) {
	s := newScene(t, Config{}, Deps{})
	inner := s.lab.Host("inner")
	s.lab.Link(s.gate.At("10.0.0.1/24"), inner.At("10.0.0.2/24"))
	inner.Route("default", "10.0.0.1")
	s.peer.Route("10.0.0.0/24", "192.0.2.1")
	s.gate.Sysctl("net/ipv4/ip_forward", "1")
	s.script(`table ip nat {
		chain pre { type nat hook prerouting priority -100; ip daddr 192.0.2.1 tcp dport 8080 dnat to 10.0.0.2:80; }
		chain post { type nat hook postrouting priority 100; oifname != "lo" ip saddr 10.0.0.0/24 masquerade; }
	}`)
	s.load(nil, nil, nil)
	ln, err := inner.Listen("tcp", "10.0.0.2:80")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	accepted := make(chan net.Conn, 100)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	open := func(to string) (there, at net.Conn) {
		there, err := s.peer.DialFrom(t.Context(), netip.MustParseAddr("192.0.2.66"), "tcp", to)
		if err != nil {
			t.Fatal(err)
		}
		at = <-accepted
		t.Cleanup(func() { there.Close(); at.Close() })
		return there, at
	}
	published, behind := open("192.0.2.1:8080")
	forwarded, target := open("10.0.0.2:80")
	out, err := s.peer.Listen("tcp", "192.0.2.66:80")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	masked, err := inner.Dial(t.Context(), "tcp", "192.0.2.66:80")
	if err != nil {
		t.Fatal(err)
	}
	defer masked.Close()
	far, err := out.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()

	s.gatesAre("close in 80,1024-8079,8081-65535", "close out 80")
	for name, pair := range map[string][2]net.Conn{"published": {published, behind}, "forwarded": {forwarded, target}, "masqueraded": {masked, far}} {
		if !s.lives(pair[0], pair[1]) || !s.lives(pair[1], pair[0]) {
			t.Errorf("%s is cut by rules for other ports", name)
		}
	}
	s.gatesAre("close in 8080/tcp")
	if s.lives(behind, published) || s.lives(published, behind) {
		t.Error("a published port lives")
	}
	if s.reaches(netip.MustParseAddr("192.0.2.66"), "192.0.2.1:8080") {
		t.Error("a published port can be reached")
	}
	if !s.lives(forwarded, target) || !s.lives(target, forwarded) || !s.reaches(netip.MustParseAddr("192.0.2.66"), "10.0.0.2:80") {
		t.Error("what is forwarded is cut")
	}
}
