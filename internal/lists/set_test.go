package lists

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/internal/lists/formats"
)

// small draws a prefix in one of two small parts of the address space, so that they
// often meet.
func small(t *rapid.T) netip.Prefix {
	if rapid.Bool().Draw(t, "v6") {
		b := netip.MustParseAddr("2001:db8::").As16()
		b[15] = byte(rapid.IntRange(0, 63).Draw(t, "host"))
		return netip.PrefixFrom(netip.AddrFrom16(b), rapid.IntRange(120, 128).Draw(t, "bits")).Masked()
	}
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(rapid.IntRange(0, 63).Draw(t, "host"))}), rapid.IntRange(24, 32).Draw(t, "bits")).Masked()
}

// addresses is the slow model: every address in some prefixes, one by one.
func addresses(ps []netip.Prefix) map[netip.Addr]bool {
	out := map[netip.Addr]bool{}
	for _, p := range ps {
		for a := p.Addr(); p.Contains(a); a = a.Next() {
			out[a] = true
		}
	}
	return out
}

// TestSetIsTheAddresses holds a set against a map of addresses: merging loses and
// adds none, and nothing in it could be merged further.
func TestSetIsTheAddresses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(rapid.Custom(small), 0, 40).Draw(t, "in")
		away := rapid.SliceOfN(rapid.Custom(small), 0, 6).Draw(t, "away")
		s := NewSet(in)
		want := addresses(in)
		got := addresses(s.Prefixes())
		if len(got) != len(want) {
			t.Fatalf("%v has %d addresses, want %d", s.Prefixes(), len(got), len(want))
		}
		for a := range want {
			if !got[a] {
				t.Fatalf("%s is lost in %v", a, s.Prefixes())
			}
			if _, ok := s.Covering(netip.PrefixFrom(a, a.BitLen())); !ok {
				t.Fatalf("%s is not found in %v", a, s.Prefixes())
			}
		}
		ps := s.Prefixes()
		for i, p := range ps {
			if i > 0 && (ps[i-1].Overlaps(p) || ps[i-1].Addr().Is4() == p.Addr().Is4() && !ps[i-1].Addr().Less(p.Addr())) {
				t.Fatalf("not in order: %v", ps)
			}
			if i > 0 && p.Bits() == ps[i-1].Bits() && p.Bits() > 0 {
				if whole, _ := p.Addr().Prefix(p.Bits() - 1); whole.Contains(ps[i-1].Addr()) {
					t.Fatalf("%s and %s are two halves", ps[i-1], p)
				}
			}
		}
		left, cut := s.Without(away)
		gone := addresses(away)
		for a := range want {
			_, in := left.Covering(netip.PrefixFrom(a, a.BitLen()))
			if in == gone[a] {
				t.Fatalf("%s: in %v is %v, without %v", a, left.Prefixes(), in, away)
			}
		}
		if n := len(addresses(left.Prefixes())); n > len(want) || (cut.Networks == 0) != (n == len(want)) {
			t.Fatalf("%d addresses of %d are left, %d networks were cut", n, len(want), cut.Networks)
		}
	})
}

// TestSetCovering finds networks, and none for what is only partly in the set.
func TestSetCovering(t *testing.T) {
	s := NewSet([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("203.0.113.7/32")})
	for in, want := range map[string]string{
		"192.0.2.7/32": "192.0.2.0/24", "192.0.2.0/24": "192.0.2.0/24", "192.0.0.0/16": "", "203.0.113.7/32": "203.0.113.7/32",
		"203.0.113.6/31": "", "2001:db8:1::/48": "2001:db8::/32", "2001::/16": "", "198.51.100.1/32": "", "0.0.0.0/0": "", "::/0": "",
	} {
		got := ""
		if p, ok := s.Covering(netip.MustParsePrefix(in)); ok {
			got = p.String()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
	var none *Set
	if _, ok := none.Covering(netip.MustParsePrefix("192.0.2.0/24")); ok || none.Len() != 0 || none.Addresses() != 0 || len(none.Prefixes()) != 0 {
		t.Error("the nil set is not empty")
	}
}

// TestRead is a line a list: the text, what of it is kept, and the remark or error.
func TestRead(t *testing.T) {
	for _, c := range []struct{ name, text, nets, say string }{
		{"good", "192.0.2.0/25\n192.0.2.128/25\n192.0.2.7\n", "192.0.2.0/24", ""},
		{"everybody", "0.0.0.0/0\n::/0\n192.0.2.1\n", "192.0.2.1/32", "what is wider than /8 or /16 was left out: 2 networks, such as 0.0.0.0/0"},
		{"half of everybody", "0.0.0.0-127.255.255.255\n192.0.2.1\n", "192.0.2.1/32", "what is wider than /8 or /16 was left out: 1 network, such as 0.0.0.0/1"},
		{"private", "10.0.0.0/8\n192.168.1.7\nfd00:1::/32\n127.0.0.1\n192.0.2.1\n", "192.0.2.1/32", "what is private or reserved was left out: 4 networks, such as 10.0.0.0/8"},
		{"around a private one", "192.168.0.0/15\n", "192.169.0.0/16", "what is private or reserved was left out: 1 network, such as 192.168.0.0/15"},
		{"a wrong line", "192.0.2.1\nnobody\n", "192.0.2.1/32", `what makes no sense was left out: 1 line (line 2: "nobody" is not an address or a prefix)`},
		{"only wrong lines", "a\nb\n192.0.2.1\n", "", `it is no list: 1 entries, and 2 that make no sense (line 1: "a" is not an address or a prefix)`},
		{"a line of a megabyte", strings.Repeat("x", 1<<20) + "\n192.0.2.1\n", "192.0.2.1/32", "what makes no sense was left out: 1 line (line 1: the line is longer than 64 kB)"},
		{"nothing", "", "", "it is empty"},
		{"only comments", "# none today\n", "", ""},
		{"a page", "<html></html>", "", "not a list of addresses: it is a page of HTML or XML, as a server sends that wants a login or is out of order"},
		{"too many", strings.Repeat("192.0.2.1\n", 101), "", "it has more than 100 entries"},
		{"too long", strings.Repeat("# x\n", 1<<18), "", "it is larger than 64 kB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			size := int64(64 << 10)
			if strings.Contains(c.name, "megabyte") {
				size = 2 << 20
			}
			got, err := Read(strings.NewReader(c.text), formats.Auto, false, Limits{Size: size, Entries: 100}, time.Time{})
			say := got.Remark
			if err != nil {
				say = err.Error()
			}
			var nets []string
			for p := range got.Set.All() {
				nets = append(nets, p.String())
			}
			if strings.Join(nets, " ") != c.nets || say != c.say {
				t.Errorf("%v, %q\nwant %s, %q", nets, say, c.nets, c.say)
			}
		})
	}
}

// TestReadPrivate keeps private networks where they are meant.
func TestReadPrivate(t *testing.T) {
	c, err := Read(strings.NewReader("10.0.0.0/8\n"), formats.Auto, true, Limits{}, time.Time{})
	if err != nil || c.Set.Len() != 1 || c.Remark != "" {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestUnpack unpacks what is compressed, and stops at what becomes too much.
func TestUnpack(t *testing.T) {
	pack := func(n int) *bytes.Buffer {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		for i := range n {
			fmt.Fprintf(z, "203.0.%d.%d\n", i/256%256, i%256)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return &b
	}
	c, err := Read(pack(256), formats.Auto, false, Limits{}, time.Time{})
	if err != nil || !slices.Equal(c.Set.Prefixes(), []netip.Prefix{netip.MustParsePrefix("203.0.0.0/24")}) {
		t.Errorf("%v, %v", c.Set.Prefixes(), err)
	}
	if _, err := Read(pack(100_000), formats.Auto, false, Limits{Size: 1 << 20}, time.Time{}); err == nil || err.Error() != "it unpacks to more than 1 MB" {
		t.Errorf("a bomb: %v", err)
	}
	if _, err := Read(bytes.NewReader(pack(100).Bytes()[:20]), formats.Auto, false, Limits{}, time.Time{}); err == nil {
		t.Error("half a file was taken")
	}
}

// many is a list of addresses, shuffled.
func many(n int) *bytes.Buffer {
	var b bytes.Buffer
	var line []byte
	for i := range n {
		v := uint32(i) * 2654435761
		a := netip.AddrFrom4([4]byte{16 + byte(v>>28), byte(v >> 16), byte(v >> 8), byte(v) &^ 1})
		line = append(a.AppendTo(line[:0]), '\n')
		b.Write(line)
	}
	return &b
}

// BenchmarkRead reads and merges a million addresses.
func BenchmarkRead(b *testing.B) {
	src := many(1_000_000).Bytes()
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		if _, err := Read(bytes.NewReader(src), formats.Auto, true, Limits{}, time.Time{}); err != nil {
			b.Fatal(err)
		}
	}
}
