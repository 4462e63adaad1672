package ledger

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"gatehouse/internal/gate"
)

// networks draws addresses and networks that often lie within each other.
func networks() *rapid.Generator[gate.Subject] {
	return rapid.Custom(func(t *rapid.T) gate.Subject {
		var a netip.Addr
		if rapid.Bool().Draw(t, "v4") {
			a = netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 10, 127, 128, 255}), 4, 4).Draw(t, "a")))
		} else {
			a = netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 0x20, 0xfe, 0xff}), 16, 16).Draw(t, "a")))
		}
		a = a.Unmap()
		return gate.PrefixSubject(netip.PrefixFrom(a, rapid.IntRange(0, a.BitLen()).Draw(t, "bits")))
	})
}

// subjects draws subjects of all kinds.
func subjects() *rapid.Generator[gate.Subject] {
	ports, _ := gate.ParsePorts("22", "80,443/tcp")
	return rapid.OneOf(networks(), rapid.SampledFrom([]gate.Subject{
		gate.PortSubject(ports, gate.In), gate.PortSubject(ports, gate.Out), gate.ListSubject("drop"), gate.ListSubject("4"),
		gate.PartitionSubject(1), gate.ZoneSubject(1, 7),
	}))
}

// TestCoveringByBytes checks the order of keys against netip: a key lies between
// those of a network and its end exactly if the network covers it.
func TestCoveringByBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := networks().Draw(t, "a"), subjects().Draw(t, "b")
		ka, kb := appendKey(nil, a), appendKey(nil, b)
		within := bytes.Compare(ka, kb) <= 0 && bytes.Compare(kb, appendLast(nil, a)) <= 0
		if within != a.Covers(b) {
			t.Fatalf("%s covers %s is %v, by bytes %v", a, b, a.Covers(b), within)
		}
		wider := slices.ContainsFunc(covering(a), func(k []byte) bool { return bytes.Equal(k, kb) })
		if wider != (b.Covers(a) && a != b) {
			t.Fatalf("%s is wider than %s: %v", b, a, wider)
		}
		if back, err := parseKey(kb); err != nil || back != b {
			t.Fatalf("%s comes back as %s, %v", b, back, err)
		}
	})
}

// FuzzKey checks that any bytes are refused or are the one key of a subject.
func FuzzKey(f *testing.F) {
	for _, s := range []string{"192.0.2.1", "192.0.2.0/24", "2001:db8::/64", "::/0", "port:22/tcp/in", "list:drop", "zone:1/7"} {
		sub, err := gate.ParseSubject(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(appendKey(nil, sub))
	}
	f.Add([]byte{4, 192, 0, 2, 1, 24})
	f.Add([]byte{family4}) // once ran over the end
	f.Add(append(append([]byte{6}, netip.MustParseAddr("::ffff:1.2.3.4").AsSlice()...), 128))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseKey(b)
		if err == nil && !bytes.Equal(appendKey(nil, s), b) {
			t.Errorf("%x is read as %s, whose key is %x", b, s, appendKey(nil, s))
		}
	})
}
