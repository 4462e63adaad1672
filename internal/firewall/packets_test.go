package firewall

import (
	"net/netip"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

func TestPackets(t *testing.T) {
	s := newScene(t, Config{}, Deps{})
	cases := []struct {
		name         string
		wants        []Want
		never, allow []string
		pass, drop   []string // "how from"
	}{
		{name: "nothing banned", pass: []string{"ping 192.0.2.66", "tcp:22 192.0.2.66", "udp:53 2001:db8::66", "ping 2001:db8::66"}},
		{name: "one address", wants: []Want{want("192.0.2.66", time.Hour)},
			drop: []string{"ping 192.0.2.66", "tcp:22 192.0.2.66", "udp:53 192.0.2.66", "big:53 192.0.2.66"},
			pass: []string{"ping 192.0.2.67", "tcp:22 192.0.2.67", "ping 2001:db8::66"}},
		{name: "one IPv6 address", wants: []Want{want("2001:db8::66", time.Hour)},
			drop: []string{"ping 2001:db8::66", "tcp:22 2001:db8::66", "udp:53 2001:db8::66"},
			pass: []string{"ping 2001:db8::67", "tcp:22 2001:db8::67", "ping 192.0.2.66"}},
		{name: "a /24 and a /64", wants: []Want{want("198.51.100.0/24", time.Hour), want("2001:db8:1::/64", gate.Forever)},
			drop: []string{"ping 198.51.100.7", "tcp:22 2001:db8:1::7"}, pass: []string{"ping 192.0.2.66", "tcp:22 2001:db8:1:1::7"}},
		{name: "odd lengths", wants: []Want{want("198.51.96.0/19", time.Hour), want("192.0.2.66/31", time.Hour), want("2001:db8:1::/63", time.Hour)},
			drop: []string{"udp:1 198.51.100.7", "udp:1 192.0.2.66", "udp:1 192.0.2.67", "udp:1 2001:db8:1::7", "udp:1 2001:db8:1:1::7"},
			pass: []string{"udp:1 192.0.2.99", "udp:1 2001:db8::66"}},
		{name: "everybody but one", wants: []Want{want("0.0.0.0/0", time.Hour), want("::/0", time.Hour)}, allow: []string{"192.0.2.67/32", "2001:db8::67/128"},
			drop: []string{"ping 192.0.2.66", "ping 2001:db8::66"}, pass: []string{"ping 192.0.2.67", "ping 2001:db8::67"}},
		{name: "never and allow win", wants: []Want{want("192.0.2.66", time.Hour), want("192.0.2.67", time.Hour), want("192.0.2.99", time.Hour), want("2001:db8::/64", time.Hour)},
			never: []string{"192.0.2.66/32"}, allow: []string{"192.0.2.67/32", "2001:db8::64/126"},
			pass: []string{"tcp:22 192.0.2.66", "tcp:22 192.0.2.67", "tcp:22 2001:db8::66"}, drop: []string{"tcp:22 192.0.2.99"}},
		{name: "never and allow win over ports and new-only", never: []string{"192.0.2.66/32"}, allow: []string{"192.0.2.67/32"},
			wants: []Want{want("192.0.2.0/24", time.Hour, scopeText("22/tcp", false)), want("192.0.2.0/24", time.Hour, scopeText("", true))},
			pass:  []string{"tcp:22 192.0.2.66", "tcp:22 192.0.2.67", "udp:1 192.0.2.67"}, drop: []string{"tcp:22 192.0.2.99", "udp:1 192.0.2.99"}},
		{name: "ports", wants: []Want{want("192.0.2.66", time.Hour, scopeText("22,8000-8100/tcp 53/udp", false))},
			drop: []string{"tcp:22 192.0.2.66", "tcp:8000 192.0.2.66", "tcp:8055 192.0.2.66", "tcp:8100 192.0.2.66", "udp:53 192.0.2.66", "big:53 192.0.2.66"},
			pass: []string{"tcp:23 192.0.2.66", "tcp:7999 192.0.2.66", "tcp:8101 192.0.2.66", "tcp:53 192.0.2.66", "udp:22 192.0.2.66", "ping 192.0.2.66", "tcp:22 192.0.2.67", "big:54 192.0.2.66"}},
		{name: "all ports", wants: []Want{want("2001:db8::66", time.Hour, scopeText("1-65535", false))},
			drop: []string{"tcp:1 2001:db8::66", "tcp:65535 2001:db8::66", "udp:4711 2001:db8::66"}, pass: []string{"ping 2001:db8::66"}},
		{name: "new connections", wants: []Want{want("192.0.2.66", time.Hour, scopeText("", true)), want("2001:db8::66", time.Hour, scopeText("22/tcp", true))},
			drop: []string{"tcp:22 192.0.2.66", "udp:53 192.0.2.66", "ping 192.0.2.66", "tcp:22 2001:db8::66"}, pass: []string{"tcp:22 192.0.2.67", "tcp:23 2001:db8::66", "ping 2001:db8::66"}},
		{name: "two scopes at once", wants: []Want{want("192.0.2.66", time.Hour, scopeText("22/tcp", false)), want("192.0.2.0/24", time.Hour, scopeText("80/tcp", false))},
			drop: []string{"tcp:22 192.0.2.66", "tcp:80 192.0.2.66", "tcp:80 192.0.2.67"}, pass: []string{"tcp:22 192.0.2.67", "tcp:443 192.0.2.66"}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			defer s.within(t)()
			s.load(tc.wants, tc.never, tc.allow)
			check := func(when string) {
				for _, p := range tc.pass {
					if how, from := cutProbe(p); !s.passes(how, from) {
						t.Errorf("%s: %s is dropped", when, p)
					}
				}
				for _, p := range tc.drop {
					if how, from := cutProbe(p); s.passes(how, from) {
						t.Errorf("%s: %s passes", when, p)
					}
				}
			}
			check("loaded")
			s.load(nil, tc.never, tc.allow)
			var ds []gate.Decision
			for _, w := range tc.wants {
				ds = append(ds, gate.Decision{Verdict: gate.Ban, Subject: w.Subject, Until: w.Until, Scope: w.Scope})
			}
			s.Place(ds)
			check("placed")
			s.Commit(records(ds...))
			check("committed")
			for i := range ds {
				ds[i].Verdict = gate.Release
			}
			s.Place(ds)
			for _, p := range tc.drop {
				if how, from := cutProbe(p); !s.passes(how, from) {
					t.Errorf("released: %s is dropped", p)
				}
			}
		})
	}
}

// within lets the scene speak for a part of its test.
func (s *scene) within(t *testing.T) (back func()) {
	outer := s.t
	s.t = t
	return func() { s.t = outer }
}

func cutProbe(p string) (how string, from netip.Addr) {
	for i := range p {
		if p[i] == ' ' {
			return p[:i], netip.MustParseAddr(p[i+1:])
		}
	}
	panic(p)
}

func TestLiveConnections(t *testing.T) {
	peer4, peer6 := netip.MustParseAddr("192.0.2.66"), netip.MustParseAddr("2001:db8::66")
	cases := []struct {
		name  string
		from  netip.Addr
		port  uint16
		ban   gate.Decision
		lives bool
	}{
		{"a ban cuts", peer4, 22, ban("192.0.2.66", time.Hour), false},
		{"a ban cuts, IPv6", peer6, 22, ban("2001:db8::/64", time.Hour), false},
		{"another's ban does not", peer4, 22, ban("192.0.2.67", time.Hour), true},
		{"a ban of the port cuts", peer4, 22, ban("192.0.2.66", time.Hour, scopeText("22/tcp", false)), false},
		{"a ban of another port does not", peer4, 22, ban("192.0.2.66", time.Hour, scopeText("23/tcp", false)), true},
		{"a ban of new connections does not", peer4, 22, ban("192.0.2.66", time.Hour, scopeText("", true)), true},
		{"a ban of new connections to the port does not", peer6, 22, ban("2001:db8::66", time.Hour, scopeText("22/tcp", true)), true},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			s := newScene(t, Config{}, Deps{})
			before, beforePeer := s.connect(tc.from, tc.port) // not tracked yet
			s.load(nil, nil, nil)
			after, afterPeer := s.connect(tc.from, tc.port)
			place(s.Firewall, tc.ban)
			if got := s.lives(beforePeer, before); got != tc.lives {
				t.Errorf("a connection from before the load lives: %v", got)
			}
			if got := s.lives(afterPeer, after); got != tc.lives {
				t.Errorf("a connection lives: %v", got)
			}
			if s.passes("tcp:22", tc.from) && tc.ban.Scope.New {
				t.Error("a new connection passes")
			}
			r := tc.ban
			r.Verdict = gate.Release
			place(s.Firewall, r)
			if !s.lives(afterPeer, after) {
				t.Error("dead after the release")
			}
		})
	}
}

// A ban of high ports must not cut what the gate itself opened: the answers
// arrive on an ephemeral port.
func TestOwnConnections(t *testing.T) {
	s := newScene(t, Config{}, Deps{})
	s.load([]Want{want("192.0.2.66", time.Hour, scopeText("1024-65535", false))}, nil, nil)
	ln, err := s.peer.Listen("tcp", "192.0.2.66:25")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	own, err := s.gate.Dial(t.Context(), "tcp", "192.0.2.66:25")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	peer, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	if !s.lives(peer, own) || !s.lives(own, peer) {
		t.Error("it is cut")
	}
	if s.passes("tcp:8000", netip.MustParseAddr("192.0.2.66")) {
		t.Error("the ban does nothing")
	}
}

// The kernel ends a ban by itself.
func TestExpiry(t *testing.T) {
	s := newScene(t, Config{}, Deps{})
	s.load(nil, nil, nil)
	peer := netip.MustParseAddr("192.0.2.66")
	place(s.Firewall, ban("192.0.2.66", 1500*time.Millisecond))
	start := time.Now()
	if s.passes("ping", peer) {
		t.Fatal("not banned")
	}
	eventually(t, "the ban ends", func() bool { return s.passes("ping", peer) })
	if d := time.Since(start); d < time.Second {
		t.Errorf("after %v", d)
	}
	// The kernel counts in ticks of some milliseconds.
	eventually(t, "it is no longer shown as enforced", func() bool { return !s.Enforced(subject("192.0.2.66")) })
}

func TestRejectPackets(t *testing.T) {
	s := newScene(t, Config{Verdict: Reject}, Deps{})
	s.load([]Want{want("192.0.2.66", time.Hour), want("2001:db8::66", time.Hour), want("192.0.2.67", time.Hour, scopeText("", true)), want("2001:db8::67", time.Hour, scopeText("22/tcp", false))}, nil, nil)
	for _, from := range []string{"192.0.2.66", "2001:db8::66", "2001:db8::67"} {
		to := gate4
		if netip.MustParseAddr(from).Is6() {
			to = gate6
		}
		if c, err := s.peer.DialFrom(t.Context(), netip.MustParseAddr(from), "tcp", netip.AddrPortFrom(to, 22).String()); err == nil {
			c.Close()
			t.Errorf("%s gets in", from)
		}
	}
	if d := s.Drops(); d.Ban.Packets < 2 || d.Doubt.Packets < 1 {
		t.Errorf("drops %+v", d)
	}
	if s.passes("tcp:22", netip.MustParseAddr("192.0.2.67")) {
		t.Error("a new connection passes")
	}
}

// A banned neighbour must still be found, and find us: its ban is about what it
// sends to us, not about the link.
func TestNeighbourDiscovery(t *testing.T) {
	s := newScene(t, Config{}, Deps{})
	s.load([]Want{want("2001:db8::66", time.Hour), want("fe80::/10", time.Hour)}, nil, nil)
	for _, h := range []string{"gate", "peer"} {
		host := s.gate
		if h == "peer" {
			host = s.peer
		}
		if out, err := host.Command("ip", "-6", "neigh", "flush", "all").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	// The drop counter moves only if the peer found us.
	if s.passes("udp:9", netip.MustParseAddr("2001:db8::66")) {
		t.Fatal("not banned")
	}
	// And we find the peer.
	in, err := s.peer.ListenPacket("udp", "[2001:db8::66]:9")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if out, err := s.gate.Command("ip", "-6", "neigh", "flush", "all").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := s.gate.Dial(t.Context(), "udp", "[2001:db8::66]:9")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	out.Write([]byte{1})
	in.SetReadDeadline(time.Now().Add(patience))
	if _, _, err := in.ReadFrom(make([]byte, 10)); err != nil {
		t.Errorf("what we send does not arrive: %v", err)
	}
}

// A published port of a container, as Docker makes it: destination NAT and
// forwarding, in a table of somebody else.
func TestPublishedPorts(t *testing.T) {
	s := newScene(t, Config{}, Deps{})
	inner := s.lab.Host("inner")
	s.lab.Link(s.gate.At("10.0.0.1/24"), inner.At("10.0.0.2/24"))
	inner.Route("default", "10.0.0.1")
	s.peer.Route("10.0.0.0/24", "192.0.2.1")
	s.gate.Sysctl("net/ipv4/ip_forward", "1")
	s.script(`table ip nat { chain pre { type nat hook prerouting priority -100; ip daddr 192.0.2.1 tcp dport 8080 dnat to 10.0.0.2:80; }; }`)
	s.load(nil, nil, nil)
	ln, err := inner.Listen("tcp", "10.0.0.2:80")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	peer := netip.MustParseAddr("192.0.2.66")
	for _, to := range []string{"192.0.2.1:8080", "10.0.0.2:80"} {
		for _, tc := range []struct {
			name string
			d    gate.Decision
			pass bool
		}{
			{"nobody", ban("192.0.2.99", time.Hour), true},
			{"all", ban("192.0.2.66", time.Hour), false},
			{"published port", ban("192.0.2.66", time.Hour, scopeText("8080/tcp", false)), to != "192.0.2.1:8080"},
			{"inner port", ban("192.0.2.66", time.Hour, scopeText("80/tcp", false)), to != "10.0.0.2:80"},
			{"new", ban("192.0.2.66", time.Hour, scopeText("", true)), false},
		} {
			place(s.Firewall, tc.d)
			if got := s.reaches(peer, to); got != tc.pass {
				t.Errorf("%s, banned %s: passes %v", to, tc.name, got)
			}
			tc.d.Verdict = gate.Release
			place(s.Firewall, tc.d)
		}
	}
}
