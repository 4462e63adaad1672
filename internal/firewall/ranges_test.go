package firewall

import (
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"gatehouse/internal/gate"
)

// Ranges must hold exactly the addresses of their prefixes, in order, apart
// from each other, and come back from the kernel's form of them.
func TestSpansHoldWhatPrefixesHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// All prefixes within the 256 addresses at one end of the space.
		high := rapid.Bool().Draw(t, "high")
		v6 := rapid.Bool().Draw(t, "v6")
		at := func(i int) netip.Addr {
			fill := byte(0)
			if high {
				fill = 0xff
			}
			b := slices.Repeat([]byte{fill}, 4)
			if v6 {
				b = slices.Repeat([]byte{fill}, 16)
			}
			b[len(b)-1] = byte(i)
			a, _ := netip.AddrFromSlice(b)
			return a
		}
		ps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) netip.Prefix {
			a := at(rapid.IntRange(0, 255).Draw(t, "last"))
			return netip.PrefixFrom(a, a.BitLen()-rapid.IntRange(0, 8).Draw(t, "short"))
		}), 0, 12).Draw(t, "prefixes")
		n := at(0).BitLen() / 8
		got := spans(ps, v6)
		for i, s := range got {
			if i > 0 {
				end, wraps := got[i-1].hi.next(n)
				if wraps || slices.Compare(end[:], s.lo[:]) >= 0 {
					t.Fatalf("ranges %d and %d touch: %v", i-1, i, got)
				}
			}
		}
		for i := range 256 {
			k := keyOf(at(i))
			want := slices.ContainsFunc(ps, func(p netip.Prefix) bool { return p.Contains(at(i)) })
			have := slices.ContainsFunc(got, func(s span) bool {
				return slices.Compare(s.lo[:], k[:]) <= 0 && slices.Compare(k[:], s.hi[:]) <= 0
			})
			if want != have {
				t.Fatalf("%v: held %v, want %v", at(i), have, want)
			}
			if within(got, netip.PrefixFrom(at(i), at(i).BitLen())) != want {
				t.Fatalf("%v: within", at(i))
			}
		}
		back := elementSpans(rapid.Permutation(rangeElements(got, n)).Draw(t, "order"), n)
		if !slices.Equal(back, got) {
			t.Fatalf("%v comes back as %v", got, back)
		}
		if len(spans(ps, !v6)) != 0 {
			t.Fatal("the other family holds something")
		}
	})
}

func TestPortSpans(t *testing.T) {
	for text, want := range map[string][][2]uint16{
		"22/tcp": {{22, 22}}, "80-90,22,91/tcp": {{22, 22}, {80, 91}}, "53/udp": nil, "1-65535": {{1, 65535}}, "65535/tcp": {{65535, 65535}},
	} {
		ports, err := gate.ParsePorts(text)
		if err != nil {
			t.Fatal(err)
		}
		var got [][2]uint16
		for _, s := range elementSpans(rangeElements(portSpans(ports, gate.TCP), 2), 2) {
			got = append(got, [2]uint16{s.lo.port(), s.hi.port()})
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

func TestWithin(t *testing.T) {
	in := spans(prefixes("10.0.0.0/8", "192.0.2.0/25", "192.0.2.128/25"), false)
	for p, want := range map[string]bool{
		"10.0.0.0/8": true, "10.1.0.0/16": true, "0.0.0.0/0": false, "10.0.0.0/7": false, "9.255.255.255/32": false, "11.0.0.0/32": false,
		"192.0.2.0/24": true, "192.0.2.0/23": false, "255.255.255.255/32": false,
	} {
		if got := within(in, netip.MustParsePrefix(p)); got != want {
			t.Errorf("%s: %v, want %v", p, got, want)
		}
	}
}

func TestSetNames(t *testing.T) {
	for _, k := range []classKey{{}, {bits: 32}, {v6: true, bits: 64}, {scope: 3, bits: 24}, {scope: 12, newOnly: true, v6: true, bits: 128}} {
		got, ok := parseFresh(k.setName() + freshSuffix)
		if !ok || got != k {
			t.Errorf("%+v is named %s and comes back as %+v, %v", k, k.setName(), got, ok)
		}
	}
	for _, s := range []string{"", "-fresh", "v4-32", "v4-fresh", "v4--fresh", "v5-32-fresh", "v4-33-fresh", "v6-129-fresh", "v4-032-fresh", "v4-32-s0-fresh", "v4-32-s-fresh", "v4-32-x1-fresh", "v4-32-s1-2-fresh", "v4--1-fresh", "v4-+1-fresh"} {
		if k, ok := parseFresh(s); ok {
			t.Errorf("%q is taken for %+v", s, k)
		}
	}
}

func FuzzSetNamesComeBack(f *testing.F) {
	for _, s := range []string{"v4-32-fresh", "v6-64-s1-fresh", "v4-0-n77-fresh", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if k, ok := parseFresh(s); ok && k.setName()+freshSuffix != s {
			t.Errorf("%q is taken for %+v, which is named %s", s, k, k.setName())
		}
		if name, n, ok := splitNumber(s); ok {
			if back, m, ok := splitNumber(numbered(name, n)); back != name || m != n || !ok {
				t.Errorf("%q: %q %d", s, name, n)
			}
		}
	})
}
