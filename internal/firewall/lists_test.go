package firewall

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"gatehouse/internal/gate"
)

func listOf(name string, d gate.Direction, ps ...string) List {
	return List{Name: name, Direction: d, Prefixes: prefixes(ps...)}
}

func (s *scene) setList(l List) {
	s.t.Helper()
	if err := s.SetList(s.t.Context(), l); err != nil {
		s.t.Fatal(err)
	}
}

// crowd returns n addresses of a network that nobody uses: enough of them that
// a list with them needs hash sets.
func crowd(n int) (out []netip.Prefix) {
	for i := range n {
		out = append(out, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(i / 250), byte(i % 250)}), 32))
	}
	return out
}

func TestListPackets(t *testing.T) {
	s := newScene(t, Config{}, Deps{})
	s.load(nil, []string{"192.0.2.99/32"}, []string{"2001:db8::67/128"})
	for _, tc := range []struct {
		name       string
		list       List
		pass, drop []string
	}{
		{"in", listOf("l", gate.In, "192.0.2.66/31", "192.0.2.99/32", "2001:db8::/64"),
			[]string{"tcp:22 198.51.100.7", "tcp:22 192.0.2.99", "ping 2001:db8::67"}, []string{"tcp:22 192.0.2.66", "ping 192.0.2.67", "big:53 192.0.2.66", "tcp:22 2001:db8::66"}},
		{"out", listOf("l", gate.Out, "192.0.2.66/32", "2001:db8::66/128", "192.0.2.99/32"),
			[]string{"tcp:22 192.0.2.67", "out tcp:25 192.0.2.67", "out tcp:25 192.0.2.99"}, []string{"out tcp:25 192.0.2.66", "out udp:53 2001:db8::66"}},
		{"both", listOf("l", gate.DirectionNone, "198.51.100.0/24", "192.0.2.66/32"),
			[]string{"tcp:22 192.0.2.67", "out tcp:25 192.0.2.67"}, []string{"tcp:22 198.51.100.7", "out udp:25 192.0.2.66", "udp:1 192.0.2.66"}},
		{"everything", listOf("l", gate.DirectionNone, "0.0.0.0/0", "::/0"),
			[]string{"ping 192.0.2.99", "tcp:22 2001:db8::67", "out tcp:25 2001:db8::67"}, []string{"ping 192.0.2.66", "ping 2001:db8::66"}},
		{"many", List{Name: "l", Direction: gate.In, Prefixes: append(crowd(1500), prefixes("192.0.2.66/32", "198.51.100.0/28", "2001:db8:1::/48")...)},
			[]string{"ping 192.0.2.67"}, []string{"ping 192.0.2.66", "ping 198.51.100.7", "tcp:22 2001:db8:1:1::7"}},
		{"some of them less", List{Name: "l", Direction: gate.In, Prefixes: append(crowd(1400), prefixes("192.0.2.67/32", "198.51.100.8/29", "2001:db8:1::/64")...)},
			[]string{"ping 192.0.2.66", "ping 198.51.100.7", "tcp:22 2001:db8:1:1::7"}, []string{"ping 192.0.2.67", "tcp:22 2001:db8:1::7"}},
		{"nothing", listOf("l", gate.In), []string{"ping 192.0.2.66", "tcp:22 2001:db8::66"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			defer s.within(t)()
			s.setList(tc.list)
			for i, probes := range [][]string{tc.pass, tc.drop} {
				for _, p := range probes {
					text, out := strings.CutPrefix(p, "out ")
					how, addr := cutProbe(text)
					got := false
					if out {
						got = s.leaves(how, addr)
					} else {
						got = s.passes(how, addr)
					}
					if got != (i == 0) {
						t.Errorf("%s: passes %v", p, got)
					}
				}
			}
			if got := s.Lists(); len(got) != 1 || !got[0].InForce || got[0].Prefixes != len(tc.list.Prefixes) || got[0].Direction != tc.list.Direction {
				t.Errorf("status %+v", got)
			}
		})
	}
	if got := s.Lists()[0].Stopped; got.Packets < 12 || got != s.Drops().Lists {
		t.Errorf("stopped %+v", got)
	}
	if err := s.DropList("l"); err != nil {
		t.Fatal(err)
	}
	if out := s.nft("list", "table", "inet", "gatehouse"); strings.Contains(out, "list") && strings.Contains(out, "list4") || len(s.Lists()) != 0 {
		t.Errorf("something is left:\n%s", out)
	}
}

// has reports whether the model kernel's sets of a list cover an address.
func (k *fakeKernel) has(l *list, a netip.Addr) bool {
	for v6, bits := range l.has.sets {
		if v6 != a.Is6() {
			continue
		}
		elems, err := k.elements(l.set(v6, bits, l.number))
		if err != nil {
			return false
		}
		if bits == restSet {
			for _, s := range elementSpans(elems, keyLen(v6)) {
				if x := keyOf(a); bytes.Compare(s.lo[:], x[:]) <= 0 && bytes.Compare(x[:], s.hi[:]) <= 0 {
					return true
				}
			}
			continue
		}
		want := keyOf(netip.PrefixFrom(a, bits).Masked().Addr())
		if slices.ContainsFunc(elems, func(x element) bool { return x.key == want }) {
			return true
		}
	}
	return false
}

func TestListsHoldWhatTheySay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := newFakeKernel()
		f := newFirewall(Config{}, Deps{}, k, nil)
		if err := f.Load(slices.Values([]Want{}), nil, nil); err != nil {
			t.Fatal(err)
		}
		draw := func(name string) (p netip.Prefix) {
			a := netip.AddrFrom4([4]byte{192, 0, 2, byte(rapid.IntRange(0, 255).Draw(t, name))})
			if rapid.Bool().Draw(t, "v6") {
				a = netip.AddrFrom16([16]byte{0x20, 1, 15: a.As4()[3]})
			}
			return netip.PrefixFrom(a, a.BitLen()-rapid.IntRange(0, 4).Draw(t, "bits")).Masked()
		}
		var now []netip.Prefix
		for range rapid.IntRange(1, 4).Draw(t, "contents") {
			keep := now
			if rapid.IntRange(0, 3).Draw(t, "anew") == 0 {
				keep = nil
			}
			now = nil
			for _, p := range keep {
				if rapid.IntRange(0, 9).Draw(t, "keep") > 0 {
					now = append(now, p)
				}
			}
			for range rapid.IntRange(0, 8).Draw(t, "more") {
				now = append(now, draw("new"))
			}
			if len(keep) == 0 && rapid.IntRange(0, 3).Draw(t, "crowd") == 0 {
				now = append(now, crowd(restMost+rapid.IntRange(1, 300).Draw(t, "of"))...)
			}
			if err := f.SetList(t.Context(), List{Name: "l", Prefixes: slices.Clone(now)}); err != nil {
				t.Fatal(err)
			}
			for range 30 {
				a := draw("probe").Addr()
				want := slices.ContainsFunc(now, func(p netip.Prefix) bool { return p.Contains(a) })
				if got := k.has(f.lists.byName["l"], a); got != want {
					t.Fatalf("%v: listed %v, want %v", a, got, want)
				}
			}
		}
		// Nothing is left of the contents before.
		for name := range k.table.sets {
			if _, ours := f.gen.sets[name]; !ours && !strings.HasPrefix(name, "probe") {
				t.Fatalf("the kernel still has %s", name)
			}
		}
	})
}

// A list is in force through a restart, before the next daemon knows its
// content, and what it no longer wants goes when it says so.
func TestListsOutliveTheDaemon(t *testing.T) {
	s := newScene(t, Config{}, Deps{})
	s.load(nil, nil, nil)
	s.setList(List{Name: "big", Direction: gate.In, Prefixes: append(crowd(3000), prefixes("192.0.2.66/32")...)})
	s.setList(listOf("old-1.x", gate.DirectionNone, "192.0.2.67/32"))
	fl := s.flood(netip.MustParseAddr("192.0.2.66"))
	fl.more(t, 500)
	for range 2 {
		s.Close()
		s.Firewall = s.start(Config{}, Deps{})
		s.load(nil, nil, nil)
		fl.more(t, 500)
		for _, st := range s.Lists() {
			if !st.Adopted || !st.InForce || st.Stopped.Packets == 0 && st.Name == "big" {
				t.Errorf("adopted %+v", st)
			}
		}
		if s.leaves("udp:25", netip.MustParseAddr("192.0.2.67")) {
			t.Error("the direction is forgotten")
		}
	}
	s.setList(List{Name: "big", Direction: gate.In, Prefixes: append(crowd(2900), prefixes("192.0.2.66/32")...)})
	fl.more(t, 500)
	s.setList(List{Name: "big", Direction: gate.DirectionNone, Prefixes: append(crowd(2000), prefixes("192.0.2.66/32", "198.51.100.7/32")...)})
	fl.more(t, 500)
	s.SetVerdict(Reject)
	s.SetExempt(prefixes("127.0.0.0/8"), nil)
	fl.more(t, 500)
	if err := s.DropList("old-1.x"); err != nil {
		t.Fatal(err)
	}
	fl.more(t, 500)
	if n := fl.arrived.Load(); n != 0 {
		t.Errorf("%d of %d datagrams got through", n, fl.sent.Load())
	}
	if got := s.Lists(); len(got) != 1 || got[0].Adopted || got[0].Prefixes != 2002 {
		t.Errorf("status %+v", got)
	}
	if err := s.DropList("big"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is let in", func() bool { return fl.arrived.Load() > 0 })
	fl.stop()
}

// What others do, and the emergency file, end a list no more than a ban.
func TestListsComeBack(t *testing.T) {
	file := filepath.Join(t.TempDir(), "OPEN")
	s := newScene(t, Config{OpenFile: file}, Deps{})
	s.load(nil, nil, nil)
	s.setList(List{Name: "l", Direction: gate.In, Prefixes: append(crowd(3000), prefixes("192.0.2.66/32")...)})
	s.gatesAre("close in 22/tcp")
	s.run()
	peer := netip.MustParseAddr("192.0.2.66")
	back := func(when string) {
		t.Helper()
		eventually(t, "the list is in force again after "+when, func() bool {
			l := s.Lists()
			return len(l) == 1 && l[0].InForce && !l[0].Loading
		})
		if s.passes("ping", peer) || s.passes("tcp:22", netip.MustParseAddr("192.0.2.67")) {
			t.Errorf("after %s it passes", when)
		}
	}
	back("the start")
	s.nft("flush", "ruleset")
	eventually(t, "healed", func() bool { return s.Status().Heals == 1 })
	back("a flush")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "open", func() bool { return s.Health().Mode == Open })
	if !s.passes("ping", peer) || !s.passes("tcp:22", netip.MustParseAddr("192.0.2.67")) {
		t.Error("with the emergency file it is dropped")
	}
	s.setList(List{Name: "l", Direction: gate.In, Prefixes: prefixes("192.0.2.66/32")})
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	back("the emergency")
	if err := s.Remove(); err != nil {
		t.Fatal(err)
	}
	if out := s.nft("list", "ruleset"); out != "" {
		t.Errorf("left behind:\n%s", out)
	}
}

// What interrupts a load leaves the old content in force and nothing behind.
func TestInterruptedLoads(t *testing.T) {
	old := listOf("l", gate.In, "192.0.2.66/32")
	next := List{Name: "l", Direction: gate.In, Prefixes: crowd(5000)}
	for _, tc := range []struct {
		name  string
		at    int // of the transactions of the load
		what  func(s *stage, stop context.CancelFunc)
		fails error
		want  string // what is in force then
	}{
		{"the caller gives up", 3, func(s *stage, stop context.CancelFunc) { stop() }, context.Canceled, "old"},
		{"the list is dropped", 3, func(s *stage, stop context.CancelFunc) { go s.DropList("l") }, ErrDropped, "none"},
		{"a flush, undone", 3, func(s *stage, stop context.CancelFunc) { s.k.table = nil; go s.SetVerdict(Reject) }, nil, "new"},
		{"the kernel refuses once", 3, func(s *stage, stop context.CancelFunc) { s.k.refuse = refuseTimes(1) }, errNoMemory, "old"},
		{"a ban in the middle", 3, func(s *stage, stop context.CancelFunc) {
			go place(s.Firewall, ban("192.0.2.1", gate.Forever))
		}, nil, "new"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			play(t, newFakeKernel(), Config{}, func(s *stage) {
				if err := s.SetList(context.Background(), old); err != nil {
					t.Fatal(err)
				}
				ctx, stop := context.WithCancel(context.Background())
				defer stop()
				n := 0
				s.k.after = func([]op) error {
					if n++; n == tc.at {
						s.k.after = nil
						tc.what(s, stop)
					}
					return nil
				}
				err := s.SetList(ctx, next)
				if !errors.Is(err, tc.fails) {
					t.Errorf("error %v, want %v", err, tc.fails)
				}
				synctest.Wait()
				time.Sleep(time.Minute)
				synctest.Wait()
				l := s.lists.byName["l"]
				got := "none"
				switch {
				case l == nil:
				case s.k.has(l, netip.MustParseAddr("192.0.2.66")):
					got = "old"
				case s.k.has(l, netip.MustParseAddr("10.1.11.249")):
					got = "new"
				}
				if got != tc.want {
					t.Errorf("in force: %s, want %s", got, tc.want)
				}
				for name := range s.k.table.sets {
					if _, ours := s.gen.sets[name]; !ours && !strings.HasPrefix(name, "probe") {
						t.Errorf("the kernel still has %s", name)
					}
				}
				if h := s.Health(); h.Mode != Enforcing {
					t.Errorf("%v: %s", h.Mode, h.Why)
				}
			})
		})
	}
}

func TestListsThatAreNone(t *testing.T) {
	f := newFirewall(Config{}, Deps{}, newFakeKernel(), nil)
	for want, l := range map[string]List{
		`a list cannot have the name "a b"`:                         {Name: "a b"},
		`list x: it has no direction: use in, out or none for both`: {Name: "x", Direction: 7},
		`list x: item 2 is no prefix`:                               {Name: "x", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), {}}},
	} {
		if err := f.SetList(t.Context(), l); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if len(f.Lists()) != 0 {
		t.Error("something was kept")
	}
	if err := f.DropList("x"); err != nil {
		t.Error(err)
	}
}

var errNoMemory = &refusal{op: -1, errno: unix.ENOMEM}

// refuseTimes refuses the next n transactions.
func refuseTimes(n int) func([]op) error {
	return func([]op) error {
		if n--; n >= 0 {
			return errNoMemory
		}
		return nil
	}
}
