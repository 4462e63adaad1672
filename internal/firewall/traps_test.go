package firewall

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"gatehouse/internal/gate"
)

func somePorts(t *testing.T, lists ...string) gate.Ports {
	t.Helper()
	p, err := gate.ParsePorts(lists...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// usual is what a test sets that says nothing else.
func usual(t *testing.T) Traps {
	return Traps{
		Ports: somePorts(t, "23/tcp"), Distinct: 5, Shared: 10, Within: time.Minute, Hold: 10 * time.Minute,
		Ephemeral: gate.PortRange{Lo: 32768, Hi: 60999},
	}
}

// TestTrapsAreListed pins that `nft list` shows the rules as they are.
func TestTrapsAreListed(t *testing.T) {
	s := trapScene(t, func(tr *Traps) { tr.Group, tr.Stray = 7, true })
	out := s.nft("list", "ruleset")
	for _, want := range []string{
		"socket transparent >= 0 accept", "fib daddr type != local accept", "tcp dport @scan-trap-tcp", "log prefix \"gatehouse trap\" group 7",
		"add @seen4 { ip saddr . meta l4proto . th dport timeout 1m }", "add @hold6 { ip6 saddr & ffff:ffff:ffff:ffff:: timeout 10m }",
		"ct state new jump scan-held", "type filter hook input priority mangle",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// TestKernelWithoutTraps: a kernel that lacks an expression does without traps,
// and with everything else; trying again finds out when it has learnt it.
func TestKernelWithoutTraps(t *testing.T) {
	k := newFakeKernel()
	lacking := true
	k.refuse = func(ops []op) error {
		for i, o := range ops {
			for _, x := range o.rule {
				if _, ok := x.(*expr.Socket); ok && lacking {
					return &refusal{op: i, verb: o.verb, name: o.name, errno: unix.ENOENT}
				}
			}
		}
		return nil
	}
	for _, early := range []bool{true, false} {
		f := newFirewall(Config{}, Deps{}, k, nil)
		if early {
			if err := f.SetTraps(usual(t)); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Load(slices.Values([]Want{want("192.0.2.9", time.Hour)}), nil, nil); err != nil {
			t.Fatal(err)
		}
		if !early {
			if err := f.SetTraps(usual(t)); !errors.Is(err, ErrUnavailable) {
				t.Errorf("set: %v", err)
			}
		}
		st := f.Traps()
		if f.Health().Mode != Enforcing || st.Armed || !errors.Is(st.Refused, ErrUnavailable) || !f.Enforced(subject("192.0.2.9")) {
			t.Errorf("early %v: %v, %+v", early, f.Health(), st)
		}
		if _, there := k.table.chains[chainArrivals]; there {
			t.Error("half of the traps are there")
		}
		commits := k.commits
		if err := f.SetTraps(usual(t)); !errors.Is(err, ErrUnavailable) || k.commits != commits {
			t.Errorf("the same again: %v, %d commits", err, k.commits-commits)
		}
		lacking = false
		if err := f.SetTraps(Traps{}); err != nil {
			t.Error(err)
		}
		if err := f.SetTraps(usual(t)); err != nil || !f.Traps().Armed {
			t.Errorf("tried again: %v, %+v", err, f.Traps())
		}
		lacking = true
	}
}

// TestTrapsHealed: what somebody else takes away comes back.
func TestTrapsHealed(t *testing.T) {
	s := trapScene(t, nil)
	s.run()
	s.nft("flush", "ruleset")
	eventually(t, "the traps are back", func() bool {
		s.knock(netip.MustParseAddr("198.51.100.7"), 23)
		return s.held("198.51.100.7")
	})
}

// TestFullSet: where there is no room to count, nobody is held for too little,
// a trap's packet is dropped all the same, and who is held stays so.
func TestFullSet(t *testing.T) {
	s := trapScene(t, nil)
	a := netip.MustParseAddr("198.51.100.7")
	s.knock(a, 23)
	var b strings.Builder
	fill := func(set string, n int, element func(i int) string) {
		for i := 0; i < n; {
			b.WriteString("add element inet gatehouse " + set + " { ")
			for j := 0; j < 4096 && i < n; j++ {
				b.WriteString(element(i) + " timeout 1h, ")
				i++
			}
			b.WriteString("}\n")
		}
	}
	fill("slot4", mostSlots, func(i int) string { return fmt.Sprintf("10.%d.%d.%d . 1", i>>16, i>>8&255, i&255) })
	s.script(b.String())
	other := netip.MustParseAddr("192.0.2.67")
	for port := uint16(100); port < 108; port++ { // at the tenth it would be its network
		s.knock(other, port)
	}
	if s.held(other.String()) {
		t.Error("held although nothing could be counted")
	}
	if !s.held(a.String()) || s.held("192.0.2.99") {
		t.Error("who is held is not, or who is not is")
	}
	s.knock(netip.MustParseAddr("192.0.2.99"), 23)
	if !s.held("192.0.2.99") {
		t.Error("a trap no longer holds")
	}
}
