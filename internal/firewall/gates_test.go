package firewall

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

// portRule reads `close in 22,80/tcp from 192.0.2.0/24 to 192.0.2.1/32 for 2s
// cut pending never`.
func portRule(text string) (r PortRule) {
	word := strings.Fields(text)
	r.Verdict = map[string]gate.Verdict{"close": gate.Close, "open": gate.Open}[word[0]]
	r.Direction, _ = gate.ParseDirection(word[1])
	var err error
	if r.Ports, err = gate.ParsePorts(word[2]); err != nil {
		panic(err)
	}
	r.Name = strings.Join(word[:3], " ")
	for i := 3; i < len(word); i++ {
		switch word[i] {
		case "cut":
			r.Cut = true
		case "pending":
			r.Pending = true
		case "never":
			r.EvenNever = true
		case "from":
			i++
			r.From = netip.MustParsePrefix(word[i])
		case "to":
			i++
			r.To = netip.MustParsePrefix(word[i])
		case "for":
			i++
			d, err := time.ParseDuration(word[i])
			if err != nil {
				panic(err)
			}
			r.Until = time.Now().Add(d)
		default:
			panic(text)
		}
	}
	return r
}

func portRules(texts ...string) (out []PortRule) {
	for _, s := range texts {
		out = append(out, portRule(s))
	}
	return out
}

func (s *scene) gatesAre(texts ...string) {
	s.t.Helper()
	if err := s.SetPorts(portRules(texts...)); err != nil {
		s.t.Fatal(err)
	}
}

// leaves sends what `how` says (tcp:PORT or udp:PORT) from the gate to an
// address of the peer and reports whether it arrived there.
func (s *scene) leaves(how string, to netip.Addr) bool {
	s.t.Helper()
	kind, port, _ := strings.Cut(how, ":")
	dst := netip.AddrPortFrom(to, number16(port)).String()
	return s.arrives(how+" to "+to.String(), func(ctx context.Context, arrived chan<- error) (stop func()) {
		ctx, cancel := context.WithCancel(ctx)
		if kind == "tcp" {
			ln, err := s.peer.Listen("tcp", dst)
			if err != nil {
				s.t.Fatal(err)
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				c, err := s.gate.Dial(ctx, "tcp", dst)
				if err == nil {
					c.Close()
				} else if ctx.Err() != nil {
					return
				}
				arrived <- err
			})
			return func() { cancel(); wg.Wait(); ln.Close() }
		}
		in, err := s.peer.ListenPacket("udp", dst)
		if err != nil {
			s.t.Fatal(err)
		}
		go func() {
			if _, _, err := in.ReadFrom(make([]byte, 10)); err == nil {
				arrived <- nil
			}
		}()
		out, err := s.gate.Dial(ctx, "udp", dst)
		if err != nil {
			s.t.Fatal(err)
		}
		out.Write([]byte{1}) // a drop shows as EPERM here, and in the counters
		return func() { cancel(); out.Close(); in.Close() }
	})
}

func TestPortGates(t *testing.T) {
	s := newScene(t, Config{}, Deps{})
	s.load(nil, []string{"192.0.2.99/32"}, []string{"192.0.2.67/32"})
	cases := []struct {
		name       string
		rules      []string
		pass, drop []string // "how from", or "out how to"
	}{
		{name: "no rules", pass: []string{"tcp:22 192.0.2.66", "udp:53 2001:db8::66", "out tcp:25 192.0.2.66"}},
		{name: "a port, both protocols and families", rules: []string{"close in 22"},
			drop: []string{"tcp:22 192.0.2.66", "udp:22 192.0.2.66", "tcp:22 2001:db8::66", "udp:22 2001:db8::66", "big:22 192.0.2.66"},
			pass: []string{"tcp:23 192.0.2.66", "udp:23 2001:db8::66", "ping 192.0.2.66", "ping 2001:db8::66", "out tcp:22 192.0.2.66", "out udp:22 2001:db8::66"}},
		{name: "one protocol", rules: []string{"close in 80,8000-8500/udp"},
			drop: []string{"udp:80 192.0.2.66", "udp:8000 192.0.2.66", "udp:8500 2001:db8::66"}, pass: []string{"tcp:80 192.0.2.66", "udp:7999 192.0.2.66", "udp:8501 192.0.2.66"}},
		{name: "everything, which leaves answers alone", rules: []string{"close in 1-65535"},
			drop: []string{"tcp:1 192.0.2.66", "tcp:65535 192.0.2.66", "udp:4711 2001:db8::66"}, pass: []string{"ping 192.0.2.66", "out tcp:25 192.0.2.66", "out udp:53 2001:db8::66", "out tcp:25 2001:db8::66"}},
		{name: "a part of a closed range is open", rules: []string{"open in 8100-8200/tcp", "close in 8000-8500/tcp"},
			drop: []string{"tcp:8099 192.0.2.66", "tcp:8201 192.0.2.66"}, pass: []string{"tcp:8100 192.0.2.66", "tcp:8200 2001:db8::66"}},
		{name: "the first rule decides", rules: []string{"close in 8150/tcp", "open in 8100-8200/tcp", "close in 8000-8500/tcp"},
			drop: []string{"tcp:8150 192.0.2.66", "tcp:8201 192.0.2.66"}, pass: []string{"tcp:8149 192.0.2.66"}},
		{name: "from", rules: []string{"open in 22/tcp from 198.51.100.0/24", "open in 22/tcp from 2001:db8:1::/64", "close in 22/tcp"},
			drop: []string{"tcp:22 192.0.2.66", "tcp:22 2001:db8::66"}, pass: []string{"tcp:22 198.51.100.7", "tcp:22 2001:db8:1::7"}},
		{name: "closed from", rules: []string{"close in 22/tcp from 198.51.100.7/32"}, drop: []string{"tcp:22 198.51.100.7"}, pass: []string{"tcp:22 192.0.2.66", "tcp:22 2001:db8::66"}},
		{name: "to", rules: []string{"close in 22/tcp to 2001:db8::1/128"}, drop: []string{"tcp:22 2001:db8::66"}, pass: []string{"tcp:22 192.0.2.66"}},
		{name: "pending goes in front", rules: []string{"open in 22-23", "close in 22 for 1m pending"}, drop: []string{"tcp:22 192.0.2.66"}, pass: []string{"tcp:23 192.0.2.66"}},
		{name: "allow is not exempt, never is", rules: []string{"close in 22"}, drop: []string{"tcp:22 192.0.2.67"}, pass: []string{"tcp:22 192.0.2.99", "udp:22 192.0.2.99"}},
		{name: "unless never is meant, too", rules: []string{"open in 24", "close in 22 never", "close in 23", "close in 24 never"}, drop: []string{"tcp:22 192.0.2.99", "tcp:23 192.0.2.66", "tcp:22 192.0.2.67"}, pass: []string{"tcp:23 192.0.2.99", "tcp:24 192.0.2.99"}},
		{name: "all mean never, too", rules: []string{"close in 22 never", "close out 25 never"}, drop: []string{"tcp:22 192.0.2.99", "tcp:22 192.0.2.66", "out tcp:25 192.0.2.99"}, pass: []string{"tcp:23 192.0.2.99"}},
		{name: "out", rules: []string{"close out 25/tcp", "close out 53/udp"},
			drop: []string{"out tcp:25 192.0.2.66", "out tcp:25 2001:db8::66", "out udp:53 192.0.2.66", "out tcp:25 192.0.2.67"},
			pass: []string{"out tcp:26 192.0.2.66", "out udp:25 192.0.2.66", "tcp:25 192.0.2.66", "udp:53 192.0.2.66", "out tcp:25 192.0.2.99"}},
		{name: "out to", rules: []string{"open out 25/tcp to 192.0.2.66/32", "close out 1-65535/tcp"}, drop: []string{"out tcp:25 192.0.2.67", "out tcp:26 192.0.2.66"}, pass: []string{"out tcp:25 192.0.2.66", "out udp:25 192.0.2.67", "tcp:22 192.0.2.66"}},
		{name: "both ways", rules: []string{"close in 443", "close out 443"}, drop: []string{"tcp:443 192.0.2.66", "out tcp:443 192.0.2.66"}, pass: []string{"tcp:444 192.0.2.66", "out tcp:444 192.0.2.66"}},
	}
	check := func(t *testing.T, tc []string, want bool) {
		for _, p := range tc {
			text, out := strings.CutPrefix(p, "out ")
			how, addr := cutProbe(text)
			got := false
			if out {
				got = s.leaves(how, addr)
			} else {
				got = s.passes(how, addr)
			}
			if got != want {
				t.Errorf("%s: passes %v", p, got)
			}
		}
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			defer s.within(t)()
			s.gatesAre(tc.rules...)
			check(t, tc.pass, true)
			check(t, tc.drop, false)
			if out := s.nft("list", "table", "inet", "gatehouse"); strings.Contains(out, "gate-") != (len(tc.rules) > 0) {
				t.Errorf("the table has\n%s", out)
			}
		})
	}
	t.Run("all gone", func(t *testing.T) {
		defer s.within(t)()
		s.gatesAre()
		for _, tc := range cases {
			check(t, tc.drop, true)
		}
	})
}

func TestPortRulesThatAreNone(t *testing.T) {
	f := newFirewall(Config{}, Deps{}, newFakeKernel(), nil)
	for _, tc := range []struct {
		rule PortRule
		want string
	}{
		{PortRule{}, `port rule 1 ( ): its verdict is "", not close or open`},
		{PortRule{Verdict: gate.Close}, "port rule 1 (close ): it names no port"},
		{PortRule{Verdict: gate.Close, Ports: scopeText("22", false).Ports}, "port rule 1 (close 22): it has no direction"},
		{portRule("close in 22 pending"), "port rule 1 (close 22): it is pending and has no end"},
		{portRule("close in 22 from 192.0.2.0/24 to 2001:db8::/64"), "port rule 1 (close 22): nothing goes from 192.0.2.0/24 to 2001:db8::/64: one is IPv4, the other IPv6"},
	} {
		if err := f.SetPorts([]PortRule{tc.rule}); err == nil || err.Error() != tc.want {
			t.Errorf("%v, want %s", err, tc.want)
		}
	}
	many := []PortRule{}
	for i := range maxLayers + 1 {
		many = append(many, portRule("close in 22 from 10.0."+itoa(i/256)+"."+itoa(i%256)+"/32"))
	}
	if err := f.SetPorts(many); err == nil || !strings.Contains(err.Error(), "use fewer different addresses") {
		t.Errorf("too many: %v", err)
	}
	if len(f.gates.rulesWanted) != 0 {
		t.Error("something was kept")
	}
}

// An opening ends by the kernel's clock: new connections stop, live ones go on
// unless they are to be cut.
func TestOpeningEnds(t *testing.T) {
	for _, tc := range []struct {
		name, rule string
		lives      bool
	}{
		{"live ones go on", "open in 22/tcp for 1500ms", true},
		{"live ones end", "open in 22/tcp for 1500ms cut", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScene(t, Config{}, Deps{})
			s.load(nil, nil, nil)
			peer := netip.MustParseAddr("192.0.2.66")
			rules := portRules(tc.rule, "close in 22")
			if err := s.SetPorts(rules); err != nil {
				t.Fatal(err)
			}
			at, there := s.connect(peer, 22)
			if !s.lives(there, at) || !s.lives(at, there) {
				t.Fatal("not open")
			}
			s.Close() // the daemon is dead
			for time.Now().Before(rules[0].Until.Add(20 * time.Millisecond)) {
				time.Sleep(time.Until(rules[0].Until.Add(20 * time.Millisecond)))
			}
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			ln, err := s.gate.Listen("tcp", "192.0.2.1:22")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			if c, err := s.peer.DialFrom(ctx, peer, "tcp", "192.0.2.1:22"); err == nil {
				c.Close()
				t.Error("a new connection gets in behind the end")
			}
			for _, way := range [][2]net.Conn{{there, at}, {at, there}} {
				way[0].Write([]byte{1})
				way[1].SetReadDeadline(time.Now().Add(300 * time.Millisecond))
				_, err := way[1].Read(make([]byte, 1))
				if (err == nil) != tc.lives {
					t.Errorf("a live connection lives %v", err == nil)
				}
			}
			// The next daemon, which knows the rule, changes nothing.
			s.Firewall = s.start(Config{}, Deps{})
			if err := s.SetPorts(rules); err != nil {
				t.Fatal(err)
			}
			s.load(nil, nil, nil)
			if tc.lives {
				if !s.lives(there, at) || !s.lives(at, there) {
					t.Error("a live connection ends with the next daemon")
				}
			}
			if s.reaches(peer, "192.0.2.1:22") {
				t.Error("a new connection gets in after the restart")
			}
			// What is closed since then ends live ones.
			s.gatesAre("close in 22 for 1h", tc.rule, "close in 22")
			if s.lives(there, at) {
				t.Error("a live connection lives on a port that was closed")
			}
		})
	}
}

// What waits for a confirmation rolls back by itself, with the daemon dead.
func TestPendingRollsBack(t *testing.T) {
	s := newScene(t, Config{}, Deps{})
	s.load(nil, nil, nil)
	peer := netip.MustParseAddr("2001:db8::66")
	at, there := s.connect(peer, 22)
	s.gatesAre("close in 22 for 1s pending never")
	if s.lives(there, at) {
		t.Fatal("not closed")
	}
	s.Close()
	start := time.Now()
	if _, err := at.Write([]byte{2}); err != nil {
		t.Fatal(err)
	}
	there.SetReadDeadline(time.Now().Add(patience))
	if _, err := there.Read(make([]byte, 1)); err != nil {
		t.Fatalf("it did not roll back: %v", err)
	}
	if d := time.Since(start); d < 500*time.Millisecond {
		t.Errorf("rolled back after %v", d)
	}
}

func TestPortCountersGoOn(t *testing.T) {
	s := newScene(t, Config{}, Deps{})
	s.load(nil, nil, nil)
	peer := netip.MustParseAddr("192.0.2.66")
	stopped := func(want int) {
		t.Helper()
		got := s.PortCounters()
		if n := int(got["close in 22"].Packets); n < want {
			t.Errorf("%d packets stopped, want %d", n, want)
		}
		if n := got["close in 23"].Packets; n != 0 {
			t.Errorf("%d packets stopped that nobody sent", n)
		}
	}
	s.gatesAre("close in 22", "close in 23")
	s.passes("udp:22", peer)
	stopped(1)
	s.gatesAre("close in 22", "close in 23", "close in 24") // the counter goes on
	s.passes("udp:22", peer)
	stopped(2)
	s.Close()
	s.Firewall = s.start(Config{}, Deps{})
	if err := s.SetPorts(portRules("close in 23", "close in 22")); err != nil {
		t.Fatal(err)
	}
	s.load(nil, nil, nil)
	stopped(2)
	s.nft("flush", "ruleset")
	s.SetVerdict(Reject) // builds anew
	s.passes("udp:22", peer)
	stopped(3)
	if st := s.Status(); st.Ports.Rules != 2 || st.Ports.Ports != 4 || st.Ports.Lookups != 1 || st.Drops.Ports.Packets == 0 {
		t.Errorf("status %+v", st.Ports)
	}
	if got := slices.Sorted(maps.Keys(s.PortCounters())); !slices.Equal(got, []string{"close in 22", "close in 23"}) {
		t.Errorf("counters of %q", got)
	}
}

// Thousands of rules, each with a name of its own, are more than one message to
// the kernel holds.
func TestManyPortRules(t *testing.T) {
	s := newScene(t, Config{}, Deps{})
	rules := make([]PortRule, 3000)
	for i := range rules {
		rules[i] = portRule("close in " + itoa(1000+i) + "/udp")
	}
	if err := s.SetPorts(rules); err != nil {
		t.Fatal(err)
	}
	s.load(nil, nil, nil)
	peer := netip.MustParseAddr("192.0.2.66")
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"loaded", func() error { return nil }},
		{"changed", func() error { return s.SetPorts(rules[1:]) }},
		{"built anew", func() error { s.SetVerdict(Reject); return nil }},
		{"after a restart", func() error {
			s.Close()
			s.Firewall = s.start(Config{}, Deps{})
			if err := s.SetPorts(rules[1:]); err != nil {
				return err
			}
			return s.Load(slices.Values([]Want{}), nil, nil)
		}},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if s.passes("udp:3999", peer) || !s.passes("udp:4000", peer) || s.passes("udp:1000", peer) != (step.name != "loaded") {
			t.Errorf("%s: it does not do what it says", step.name)
		}
		if h := s.Health(); h.Mode != Enforcing {
			t.Fatalf("%s: %v: %s", step.name, h.Mode, h.Why)
		}
	}
	if err := s.SetPorts(nil); err != nil {
		t.Fatal(err)
	}
	if out := s.nft("list", "table", "inet", "gatehouse"); strings.Contains(out, "gate-") {
		t.Errorf("something is left:\n%.1000s", out)
	}
}
