package firewall

import (
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/gate"
)

// many yields n bans of single addresses, from 10.0.0.0 on.
func many(n int) iter.Seq[Want] {
	end := time.Now().Add(24 * time.Hour)
	return func(yield func(Want) bool) {
		for i := range n {
			if !yield(Want{Subject: gate.AddrSubject(address(i)), Until: end}) {
				return
			}
		}
	}
}

func address(i int) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 10<<24+uint32(i))))
}

func manyBans(n int) []gate.Decision {
	ds := make([]gate.Decision, 0, n)
	for w := range many(n) {
		ds = append(ds, gate.Decision{Verdict: gate.Ban, Subject: w.Subject, Until: w.Until, Rule: "test"})
	}
	return ds
}

// flood sends datagrams from an address to the gate until stop, and counts
// what arrives there.
type flood struct {
	sent, arrived atomic.Int64
	stop          func()
}

func (s *scene) flood(from netip.Addr) *flood {
	s.t.Helper()
	in, err := s.gate.ListenPacket("udp", "192.0.2.1:9")
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := s.peer.DialFrom(context.Background(), from, "udp", "192.0.2.1:9")
	if err != nil {
		s.t.Fatal(err)
	}
	fl := &flood{}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	wg.Go(func() {
		for {
			if _, _, err := in.ReadFrom(make([]byte, 64)); err != nil {
				return // closed
			}
			fl.arrived.Add(1)
		}
	})
	wg.Go(func() {
		for ctx.Err() == nil {
			if _, err := out.Write([]byte("flood")); err == nil {
				fl.sent.Add(1)
			} else if !errors.Is(err, unix.ECONNREFUSED) && ctx.Err() == nil {
				s.t.Errorf("flood: %v", err)
				return
			}
		}
	})
	fl.stop = sync.OnceFunc(func() { cancel(); out.Close(); in.Close(); wg.Wait() })
	s.t.Cleanup(fl.stop)
	return fl
}

// more waits until n more datagrams were sent.
func (f *flood) more(t *testing.T, n int64) {
	t.Helper()
	from := f.sent.Load()
	eventually(t, "the flood goes on", func() bool { return f.sent.Load() >= from+n })
}

// Restarts with up to 100,000 bans while a banned sender floods: not one packet of
// it arrives, whatever the daemon before left behind.
func TestRestartUnderFlood(t *testing.T) {
	n := 5_000
	peer := netip.MustParseAddr("192.0.2.66")
	all := func(yield func(Want) bool) {
		for w := range many(n) {
			if !yield(w) {
				return
			}
		}
		yield(want("192.0.2.66", time.Hour))
	}
	before := map[string]func(t *testing.T, s *scene){
		"a clean stop": func(t *testing.T, s *scene) {
			if err := s.Load(all, nil, nil); err != nil {
				t.Fatal(err)
			}
		},
		"a crash before the commit": func(t *testing.T, s *scene) {
			s.load(nil, nil, nil)
			s.Place([]gate.Decision{ban("192.0.2.66", time.Hour)})
		},
		"another program's table": func(t *testing.T, s *scene) {
			s.script(`table inet gatehouse {
				map ports { type inet_service : verdict; elements = { 9 : jump away } }
				set bad { type ipv4_addr; flags interval; elements = { 192.0.2.64/26 }; }
				counter ban { }
				quota much { over 1 mbytes }
				chain away { ip saddr @bad counter name ban drop; }
				chain ban { type filter hook input priority 0; policy accept; udp dport vmap @ports; ip saddr { 192.0.2.66, 192.0.2.67 } drop; }
				chain doubt { type filter hook prerouting priority -150; policy drop; ip saddr 192.0.2.1 quota name "much" accept; ip saddr != 192.0.2.66 accept; }
			}`)
			// Not every kernel has flow tables.
			if out, err := s.gate.Command("nft", "add flowtable inet gatehouse ft { hook ingress priority 0; devices = { lo }; }").CombinedOutput(); err != nil {
				t.Logf("without a flow table: %s", out)
			}
		},
		"a table that sleeps": func(t *testing.T, s *scene) {
			s.script(`table inet gatehouse { flags dormant; chain ban { type filter hook prerouting priority -300; policy accept; drop; }
				chain other { type filter hook prerouting priority -310; policy drop; }; }
				table inet shield { chain c { type filter hook prerouting priority -400; ip saddr 192.0.2.66 drop; }; }`)
		},
	}
	for name, prepare := range before {
		t.Run(name, func(t *testing.T) {
			if n = 5_000; name == "a clean stop" {
				n = 100_000
			}
			s := newScene(t, Config{}, Deps{})
			prepare(t, s)
			fl := s.flood(peer)
			fl.more(t, 1000)
			s.Close()
			for range 2 {
				s.Firewall = s.start(Config{}, Deps{})
				start := time.Now()
				if err := s.Load(all, nil, nil); err != nil {
					t.Fatal(err)
				}
				t.Logf("loaded in %v; %d datagrams sent so far", time.Since(start), fl.sent.Load())
				fl.more(t, 1000)
				if n := fl.arrived.Load(); n != 0 {
					t.Fatalf("%d of %d datagrams got through", n, fl.sent.Load())
				}
				s.Close()
			}
			s.Firewall = s.start(Config{}, Deps{})
			s.load([]Want{want("192.0.2.67", time.Hour)}, nil, nil)
			if name == "a table that sleeps" {
				s.nft("delete", "table", "inet", "shield")
			}
			eventually(t, "it is let in when it is no longer wanted", func() bool { return fl.arrived.Load() > 0 || len(s.Adopted()) > 0 })
			fl.stop()
			if out := s.nft("list", "table", "inet", "gatehouse"); strings.Contains(out, "away") || strings.Contains(out, "10.0.0.1") {
				t.Errorf("something is left:\n%.2000s", out)
			}
		})
	}
}

// A peer that sends all the time must not get a packet through on its way from
// the fresh set to the lasting one, through renewals, and through changes of
// who is exempt.
func TestNoGapUnderFlood(t *testing.T) {
	s := newScene(t, Config{}, Deps{})
	s.load(nil, nil, nil)
	d := ban("192.0.2.66", time.Hour)
	s.Place([]gate.Decision{d})
	fl := s.flood(netip.MustParseAddr("192.0.2.66"))
	for i := range 200 {
		fl.more(t, 20)
		switch i % 4 {
		case 0:
			s.Commit(records(d))
		case 1:
			d.Until = d.Until.Add(time.Hour)
			place(s.Firewall, d, ban("198.51.100.0/"+itoa(8+i%24), time.Hour))
		case 2:
			s.SetExempt(prefixes("127.0.0.0/8"), prefixes("203.0.113."+itoa(i)+"/32"))
		case 3:
			s.Place([]gate.Decision{ban("192.0.2.0/24", time.Hour), release("192.0.2.66"), release("192.0.2.0/24", scopeText("1/tcp", false)), ban("192.0.2.66", time.Hour)})
			place(s.Firewall, d, release("192.0.2.0/24"))
		}
		s.keep()
	}
	fl.stop()
	if n := fl.arrived.Load(); n != 0 {
		t.Errorf("%d of %d datagrams got through", n, fl.sent.Load())
	}
	if h := s.Health(); h.Mode != Enforcing {
		t.Errorf("%v: %s", h.Mode, h.Why)
	}
}

// Loading turns connection tracking on under a thousand connections that live.
// Nothing may happen to them, not even where their peer may open no new ones.
func TestLoadUnderConnections(t *testing.T) {
	s := newScene(t, Config{}, Deps{})
	ln, err := s.gate.Listen("tcp", "192.0.2.1:22")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	const n = 1000
	type pair struct{ at, peer net.Conn }
	pairs := make([]pair, 0, n)
	if err := s.peer.Do(func() error {
		for range n {
			c, err := net.Dial("tcp", "192.0.2.1:22")
			if err != nil {
				return err
			}
			a, err := ln.Accept()
			if err != nil {
				return err
			}
			pairs = append(pairs, pair{a, c})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		for _, p := range pairs {
			p.at.Close()
			p.peer.Close()
		}
	}()
	if err := s.Load(func(yield func(Want) bool) {
		_ = yield(want("192.0.2.66", time.Hour, scopeText("", true))) && yield(want("198.51.100.0/24", time.Hour))
	}, nil, nil); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1)
	for i, p := range pairs {
		for _, way := range [][2]net.Conn{{p.peer, p.at}, {p.at, p.peer}} {
			way[1].SetReadDeadline(time.Now().Add(patience))
			if _, err := way[0].Write(buf); err != nil {
				t.Fatalf("connection %d: %v", i, err)
			}
			if _, err := way[1].Read(buf); err != nil {
				t.Fatalf("connection %d: %v", i, err)
			}
		}
	}
	if d := s.dropped(); d != 0 {
		t.Errorf("%d packets were dropped", d)
	}
	if s.passes("tcp:23", netip.MustParseAddr("192.0.2.66")) {
		t.Error("a new connection passes")
	}
}
