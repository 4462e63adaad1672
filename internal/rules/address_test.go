package rules

import (
	"net/netip"
	"testing"
)

func TestAddress(t *testing.T) {
	cases := []struct{ before, text, after, want string }{
		{"from ", "192.0.2.1", " port", "192.0.2.1"},
		{"from ", "192.0.2.1", "", "192.0.2.1"},
		{"", "192.0.2.1", ":22", "192.0.2.1"},
		{"", "192.0.2.1", ".", "192.0.2.1"},
		{"client:", "192.0.2.1", "", "192.0.2.1"},
		{"", "::ffff:192.0.2.1", "", "192.0.2.1"},
		{"", "2001:db8::1", "", "2001:db8::1"},
		{"[", "2001:db8::1", "]:22", "2001:db8::1"},
		{"", "2001:db8::1", ": 11", "2001:db8::1"},
		{"", "fe80::1%eth0", " x", "fe80::1"},
		{"", "::", "", "::"},
		{"", "2001:DB8::A", "", "2001:db8::a"},
		// pieces of something longer
		{"1", "92.0.2.1", "", ""},
		{"", "192.0.2.1", "2", ""},
		{"", "192.0.2.1", ".example.org", ""},
		{"", "192.0.2.1", "-x", ""},
		{"host-", "192.0.2.1", "", ""},
		{"a.", "192.0.2.1", "", ""},
		{":", "2001:db8::1", "", ""},
		{"", "2001:db8", "::1", ""},
		{"", "2001:db8::1", ":2", ""},
		// none
		{"", "192.0.2", "", ""},
		{"", "192.0.2.1.5", "", ""},
		{"", "192.0.2.256", "", ""},
		{"", "192.0.02.1", "", ""},
		{"", "192.0..1", "", ""},
		{"", ".192.0.2.1", "", ""},
		{"", "dead.beef", "", ""},
		{"", ":::", "", ""},
		{"", "..", "", ""},
	}
	for _, c := range cases {
		b := []byte(c.before + c.text + c.after)
		got, ok := address(b, len(c.before), len(c.before)+len(c.text))
		if c.want == "" {
			if ok {
				t.Errorf("%q in %q is read as %s", c.text, b, got)
			}
			continue
		}
		if !ok || got != netip.MustParseAddr(c.want) {
			t.Errorf("%q in %q: got %s %t, want %s", c.text, b, got, ok, c.want)
		}
	}
}

// FuzzAddressEqualsNetip: alone on its line, a text is read as netip reads it.
func FuzzAddressEqualsNetip(f *testing.F) {
	for _, s := range []string{"192.0.2.1", "::ffff:1.2.3.4", "fe80::1%a", "1.2.3", "0.0.0.0", "255.255.255.255"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 60 {
			return
		}
		got, ok := address([]byte(s), 0, len(s))
		want, err := netip.ParseAddr(s)
		if ok && err == nil && got != want.Unmap().WithZone("") {
			t.Fatalf("%q: got %s, want %s", s, got, want)
		}
		if !ok && err == nil && want.Zone() == "" {
			t.Fatalf("%q is not read, netip reads %s", s, want)
		}
	})
}
