package firewall

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/internal/gate"
)

// probe is a packet as port rules see it.
type probe struct {
	proto    gate.Proto
	port     uint16
	from, to netip.Addr
	live     bool // it belongs to a connection that is established
	exempt   bool // by never
}

// slowVerdict is what the documentation of PortRule says: the first rule that
// matches decides. -1 = none does.
func slowVerdict(items []gateItem, d gate.Direction, p probe, now time.Duration) int {
	for i, it := range items {
		if it.Direction != d || !it.Ports.Contains(p.proto, p.port) || it.From.IsValid() && !it.From.Contains(p.from) || it.To.IsValid() && !it.To.Contains(p.to) {
			continue
		}
		if p.exempt && it.Verdict == gate.Close && !it.EvenNever {
			continue
		}
		lives := it.Verdict == gate.Open && it.ends != never && !it.Cut && p.live
		if it.ends > now || lives {
			return i
		}
	}
	return -1
}

// layersVerdict is what the kernel does with the layers, where elements that
// have lapsed are not found.
func layersVerdict(ls []gateLayer, p probe, now time.Duration) int {
	for _, l := range ls {
		if l.from.IsValid() && !l.from.Contains(p.from) || l.to.IsValid() && !l.to.Contains(p.to) || l.live && !p.live {
			continue
		}
		if !l.ranges.IsEmpty() {
			if l.ends > now && l.ranges.Contains(p.proto, p.port) {
				return l.target
			}
			continue
		}
		for _, m := range l.marks {
			if m.proto == p.proto && m.port == p.port && m.ends > now {
				return m.target
			}
		}
	}
	return -1
}

func TestLayersDecideAsTheRules(t *testing.T) {
	nets := []netip.Prefix{{}, {}, netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.0.2.66/32"), netip.MustParsePrefix("2001:db8::/64")}
	addrs := []netip.Addr{netip.MustParseAddr("192.0.2.66"), netip.MustParseAddr("192.0.2.67"), netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("2001:db8::66")}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 12).Draw(t, "rules")
		var items []gateItem
		for i := range n {
			lo := uint16(rapid.IntRange(1, 12).Draw(t, "lo"))
			hi := lo + uint16(rapid.IntRange(0, 4).Draw(t, "more"))
			if rapid.IntRange(0, 9).Draw(t, "large") == 0 {
				hi = 60000
			}
			r := &PortRule{
				Verdict: gate.Close, Direction: gate.In, Name: fmt.Sprint(i),
				Ports: gate.PortsOf(gate.PortRange{Proto: rapid.SampledFrom([]gate.Proto{gate.TCP, gate.UDP}).Draw(t, "proto"), Lo: lo, Hi: hi}),
				From:  rapid.SampledFrom(nets).Draw(t, "from"), To: rapid.SampledFrom(nets[:3]).Draw(t, "to"),
				Cut: rapid.Bool().Draw(t, "cut"), EvenNever: rapid.Bool().Draw(t, "even never"),
			}
			if rapid.Bool().Draw(t, "open") {
				r.Verdict = gate.Open
			}
			ends := rapid.SampledFrom([]time.Duration{never, never, -1, 10, 20, 30}).Draw(t, "ends")
			items = append(items, gateItem{r, ends})
		}
		for _, exempt := range []bool{false, true} {
			layers := layOut(items, gate.In, 0, exempt)
			for range 40 {
				p := probe{
					proto: rapid.SampledFrom([]gate.Proto{gate.TCP, gate.UDP}).Draw(t, "proto"), port: uint16(rapid.IntRange(1, 18).Draw(t, "port")),
					from: rapid.SampledFrom(addrs).Draw(t, "from"), to: rapid.SampledFrom(addrs).Draw(t, "to"),
					live: rapid.Bool().Draw(t, "live"), exempt: exempt,
				}
				now := rapid.SampledFrom([]time.Duration{0, 15, 25, 35}).Draw(t, "now")
				if got, want := layersVerdict(layers, p, now), slowVerdict(items, gate.In, p, now); got != want {
					t.Fatalf("%+v at %d: rule %d, want %d", p, now, got, want)
				}
			}
		}
	})
}

// Ports that are closed one by one cost a packet one look-up, as a range does.
func TestLayersStayFew(t *testing.T) {
	ends := time.Hour
	one := func(v gate.Verdict, ports string, ends time.Duration) gateItem {
		return gateItem{&PortRule{Verdict: v, Direction: gate.In, Ports: scopeText(ports, false).Ports}, ends}
	}
	var singles, openings []gateItem
	for p := 1; p <= 10_000; p++ {
		singles = append(singles, one(gate.Close, itoa(p), never))
	}
	for p := 1; p <= 100; p++ {
		openings = append(openings, one(gate.Open, itoa(p), ends))
	}
	for _, tc := range []struct {
		name  string
		items []gateItem
		want  int
	}{
		{"ten thousand closings", singles, 1},
		{"a large range", []gateItem{one(gate.Close, "1-65535", never)}, 1},
		{"openings with an end, and what they let live on, before closings", slices.Concat(openings, singles[:1000]), 3},
		{"a large range with an opening in it", []gateItem{one(gate.Open, "22/tcp", never), one(gate.Close, "1-65535", never)}, 2},
		{"the same port again and again", []gateItem{one(gate.Open, "22", ends), one(gate.Close, "22", ends), one(gate.Open, "22", ends)}, 5},
	} {
		if got := layOut(tc.items, gate.In, 0, false); len(got) != tc.want {
			t.Errorf("%s: %d layers, want %d", tc.name, len(got), tc.want)
		}
	}
}
