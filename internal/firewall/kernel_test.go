package firewall

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/gate"
	"gatehouse/internal/netlab"
)

// others is a rule set as other programs make them.
const others = `
table inet filter { set s { type ipv4_addr; flags interval; auto-merge; elements = { 10.0.0.0/8, 192.168.1.1 }; }
	chain input { type filter hook input priority filter; policy accept; ct state established,related accept; ip saddr @s accept; tcp dport { 22, 80 } accept; }
	chain ban { type filter hook prerouting priority -300; policy accept; ip saddr 203.0.113.1 drop; }; }
table ip gatehouse { set v4-32.1 { type ipv4_addr; flags timeout
		}
	chain ban { ip saddr @v4-32.1 drop; }; }
table ip nat { chain post { type nat hook postrouting priority 100; masquerade; }; }
table netdev early { chain in { type filter hook ingress device lo priority 0; policy accept; }; }
`

// foreignRules lists all rules but those of our table.
func (s *scene) foreignRules() string {
	s.t.Helper()
	var out []string
	skip := false
	for line := range strings.Lines(s.nft("list", "ruleset")) {
		if strings.HasPrefix(line, "table ") {
			skip = strings.HasPrefix(line, "table inet gatehouse ")
		}
		if !skip {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

func TestForeignTablesStay(t *testing.T) {
	s := newScene(t, Config{}, Deps{})
	s.script(others)
	before := s.foreignRules()
	check := func(when string) {
		t.Helper()
		if now := s.foreignRules(); now != before {
			t.Errorf("%s, they are\n%s\nbefore:\n%s", when, now, before)
		}
	}
	s.load([]Want{want("192.0.2.66", time.Hour), want("2001:db8::/64", time.Hour, scopeText("22", true))}, []string{"127.0.0.0/8"}, []string{"10.0.0.0/8"})
	check("loaded")
	s.run()
	place(s.Firewall, manyBans(1500)...)
	check("placed")
	s.nft("delete", "table", "inet", "gatehouse")
	eventually(t, "healed", func() bool { return s.Status().Heals == 1 })
	check("healed")
	s.SetExempt(nil, nil)
	check("nobody exempt")
	if err := s.Remove(); err != nil {
		t.Fatal(err)
	}
	check("removed")
	if now := s.nft("list", "ruleset"); now != before {
		t.Errorf("something of ours is left:\n%s", now)
	}
}

// What nft shows of our table, nft can read: an operator may look at it, save
// it and load it.
func TestTableReadsBack(t *testing.T) {
	s := newScene(t, Config{Verdict: Reject}, Deps{})
	s.load([]Want{want("192.0.2.66", time.Hour), want("2001:db8::/64", gate.Forever, scopeText("22,80-90/tcp 53/udp", false)), want("192.0.2.0/24", time.Hour, scopeText("", true))},
		[]string{"127.0.0.0/8", "::1/128"}, []string{"10.0.0.0/8", "2001:db8:5::/48"})
	out := s.nft("list", "table", "inet", "gatehouse")
	for _, want := range []string{"192.0.2.66 timeout ", "22, 80-90", "10.0.0.0/8", "2001:db8:5::/48", "ip6 saddr & ffff:ffff:ffff:ffff:: == @v6-64-s1.", "icmpv6 type 133-137", "iiftype loopback", "ct state established,related accept", "ip saddr & 255.255.255.0 == @v4-24-n2.",
		"type filter hook prerouting priority raw; policy accept;", "type filter hook prerouting priority mangle; policy accept;", `counter name "ban"`} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in it", want)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
	cmd := s.gate.Command("nft", "--check", "-f", "-")
	cmd.Stdin = strings.NewReader("flush ruleset\n" + out)
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("nft cannot read it: %v\n%s\n%s", err, msg, out)
	}
}

func TestHealsRealChanges(t *testing.T) {
	peer := netip.MustParseAddr("192.0.2.66")
	for _, change := range []string{
		"flush ruleset", "delete table inet gatehouse", "flush table inet gatehouse", "flush chain inet gatehouse ban",
		"flush set inet gatehouse SET", "delete element inet gatehouse SET { 192.0.2.66 }", "insert rule inet gatehouse ban accept",
		"add table inet gatehouse { flags dormant; }", "add chain inet gatehouse ban { policy drop; }",
	} {
		t.Run(change, func(t *testing.T) {
			s := newScene(t, Config{}, Deps{})
			s.load([]Want{want("192.0.2.66", time.Hour)}, nil, nil)
			set := s.gen.set(s.gen.classes[0], false)
			s.run()
			start := time.Now()
			s.script(strings.ReplaceAll(change, "SET", set))
			eventually(t, "healed", func() bool { return s.Status().Heals > 0 })
			if d := time.Since(start); d > time.Second {
				t.Errorf("healed after %v", d)
			}
			if s.passes("udp:9", peer) {
				t.Error("it passes")
			}
			if !s.passes("udp:9", netip.MustParseAddr("192.0.2.67")) {
				t.Error("another is dropped")
			}
			// Our own changes are no reason to heal.
			place(s.Firewall, manyBans(3000)...)
			s.SetExempt(prefixes("127.0.0.0/8"), nil)
			s.nft("add", "table", "inet", "another")
			s.nft("delete", "table", "inet", "another")
			eventually(t, "all is read", func() bool { return len(s.wake) == 0 })
			if st := s.Status(); st.Heals != 1 || st.Mode != Enforcing {
				t.Errorf("heals %d, mode %v: %s", st.Heals, st.Mode, st.Why)
			}
		})
	}
}

func TestHandsOffReally(t *testing.T) {
	modes := make(chan Health, 100)
	s := newScene(t, Config{}, Deps{Changed: func(h Health) { modes <- h }})
	s.load([]Want{want("192.0.2.66", time.Hour)}, nil, nil)
	s.run()
	for i := range handsOffCount {
		s.nft("flush", "ruleset")
		if i < handsOffCount-1 {
			eventually(t, "healed", func() bool { return s.Status().Heals == i+1 })
		}
	}
	eventually(t, "hands off", func() bool { return s.Health().Mode == HandsOff })
	if out := s.nft("list", "ruleset"); out != "" {
		t.Errorf("still there:\n%s", out)
	}
	place(s.Firewall, ban("192.0.2.67", time.Hour))
	if !s.passes("ping", netip.MustParseAddr("192.0.2.67")) {
		t.Error("it is dropped")
	}
	var got []string
	for len(modes) > 0 {
		got = append(got, (<-modes).Mode.String())
	}
	if want := []string{"enforcing", "hands off"}; !slices.Equal(got, want) {
		t.Errorf("told of %q, want %q", got, want)
	}
}

func TestOpenFile(t *testing.T) {
	for name, folders := range map[string]int{"in a folder": 0, "in a folder to come": 1, "two folders to come": 2} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(append(append([]string{dir}, []string{"etc", "gatehouse"}[:folders]...), "OPEN")...)
			s := newScene(t, Config{OpenFile: file}, Deps{})
			s.load([]Want{want("192.0.2.66", time.Hour)}, nil, nil)
			s.run()
			peer := netip.MustParseAddr("192.0.2.66")
			for range 2 {
				if s.passes("ping", peer) {
					t.Fatal("it passes")
				}
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, nil, 0o600); err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				eventually(t, "open", func() bool { return s.Health().Mode == Open })
				if d := time.Since(start); d > lookAgain/2 {
					t.Errorf("open after %v: not by an event", d)
				}
				if out := s.nft("list", "ruleset"); out != "" {
					t.Fatalf("the table is still there:\n%s", out)
				}
				place(s.Firewall, ban("192.0.2.67", time.Hour))
				if !s.passes("ping", peer) || !s.passes("ping", netip.MustParseAddr("192.0.2.67")) {
					t.Error("it is dropped")
				}

				// A daemon that starts now does not enforce either.
				next := s.start(Config{OpenFile: file}, Deps{})
				if err := next.Load(slices.Values([]Want{want("192.0.2.66", time.Hour)}), nil, nil); err != nil || next.Health().Mode != Open {
					t.Errorf("a new start: %v, %v", err, next.Health().Mode)
				}
				next.Close()

				gone := file
				if folders > 0 {
					gone = filepath.Join(dir, "etc")
				}
				if err := os.RemoveAll(gone); err != nil {
					t.Fatal(err)
				}
				start = time.Now()
				eventually(t, "closed again", func() bool { return s.Health().Mode == Enforcing })
				if d := time.Since(start); d > lookAgain/2 {
					t.Errorf("closed after %v: not by an event", d)
				}
				if s.passes("ping", netip.MustParseAddr("192.0.2.67")) {
					t.Error("what was placed meanwhile is not enforced")
				}
				place(s.Firewall, release("192.0.2.67"))
			}
		})
	}
}

func TestNoPermission(t *testing.T) {
	h := netlab.New(t).Host("host")
	var err error
	h.Do(func() error {
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&head, &none[0]); err != nil {
			t.Errorf("capset: %v", err)
			return nil
		}
		_, err = New(Config{}, Deps{})
		return nil
	})
	var e *Error
	if !errors.Is(err, ErrNoPermission) || !errors.As(err, &e) || !strings.Contains(e.Hint, "CAP_NET_ADMIN") {
		t.Errorf("%v, hint %q", err, e.Hint)
	}
}

// A table that another program owns cannot be changed by anybody else.
func TestOwnedTable(t *testing.T) {
	s := newScene(t, Config{}, Deps{})
	var owner *socket
	if err := s.gate.Do(func() (err error) {
		owner, err = dialKernel(DefaultTable)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	const flagOwner = 2 // NFT_TABLE_F_OWNER
	seq := owner.next(3)
	owner.enc.b = nil
	owner.enc.end(owner.enc.message(unix.NFNL_MSG_BATCH_BEGIN, 0, seq, 0, unix.NFNL_SUBSYS_NFTABLES))
	at := owner.enc.about(unix.NFT_MSG_NEWTABLE, unix.NLM_F_CREATE, seq+1)
	owner.enc.u32(unix.NFTA_TABLE_FLAGS, flagOwner)
	owner.enc.end(at)
	owner.enc.end(owner.enc.message(unix.NFNL_MSG_BATCH_END, 0, seq+2, 0, unix.NFNL_SUBSYS_NFTABLES))
	if err := owner.send(); err != nil {
		t.Fatal(err)
	}
	err := s.Load(slices.Values([]Want{want("192.0.2.66", time.Hour)}), nil, nil)
	var e *Error
	if !errors.Is(err, ErrNoPermission) || !errors.As(err, &e) || !strings.Contains(e.Hint, "flag owner") {
		t.Fatalf("load: %v", err)
	}
	if h := s.Health(); h.Mode != Degraded {
		t.Errorf("mode %v", h.Mode)
	}
	s.run()
	owner.Close() // and with it the table
	eventually(t, "enforcing", func() bool { return s.Health().Mode == Enforcing })
	if s.passes("ping", netip.MustParseAddr("192.0.2.66")) {
		t.Error("it passes")
	}
}

func TestUnavailable(t *testing.T) {
	for errno, want := range map[unix.Errno]error{
		unix.EPERM: ErrNoPermission, unix.EACCES: ErrNoPermission,
		unix.EPROTONOSUPPORT: ErrUnavailable, unix.EINVAL: ErrUnavailable, unix.EAFNOSUPPORT: ErrUnavailable,
	} {
		err := unavailable("open", os.NewSyscallError("socket", errno))
		var e *Error
		if !errors.Is(err, want) || !errors.Is(err, errno) || !errors.As(err, &e) || e.Hint == "" {
			t.Errorf("%v: %v", errno, err)
		}
	}
	if err := unavailable("open", unix.EMFILE); errors.Is(err, ErrUnavailable) || errors.Is(err, ErrNoPermission) {
		t.Errorf("no file descriptors: %v", err)
	}
}

func TestCounters(t *testing.T) {
	s := newScene(t, Config{}, Deps{Log: slog.New(slog.DiscardHandler)})
	s.load([]Want{want("192.0.2.66", time.Hour), want("192.0.2.67", time.Hour, scopeText("22/tcp", false))}, nil, nil)
	s.run()
	s.passes("udp:9", netip.MustParseAddr("192.0.2.66"))
	s.passes("tcp:22", netip.MustParseAddr("192.0.2.67"))
	one := s.Drops()
	if one.Ban != (Counter{1, 32}) || one.Doubt.Packets < 1 {
		t.Fatalf("drops %+v", one)
	}
	// They go on through a restart and through a flush.
	s.load([]Want{want("192.0.2.66", time.Hour)}, nil, nil)
	s.passes("udp:9", netip.MustParseAddr("192.0.2.66"))
	if d := s.Drops(); d.Ban != (Counter{2, 64}) {
		t.Errorf("after a load: %+v", d)
	}
	s.nft("flush", "ruleset")
	eventually(t, "healed", func() bool { return s.Status().Heals == 1 })
	s.passes("udp:9", netip.MustParseAddr("192.0.2.66"))
	if d := s.Status().Drops; d.Ban != (Counter{3, 96}) {
		t.Errorf("after a flush: %+v", d)
	}
}
