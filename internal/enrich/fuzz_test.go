package enrich

import (
	"net/netip"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

// sane checks what holds of every answer, whatever was sent.
func sane(t *testing.T, r Registration, addr netip.Addr) {
	t.Helper()
	if r.Network.IsValid() && !isHolding(r.Network, addr) {
		t.Fatalf("it is about %s", r.Network)
	}
	for _, s := range append([]string{r.Title, r.Owner, r.Country}, r.Abuse...) {
		if len(s) > maxText+8 || strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }) {
			t.Fatalf("unclean: %q", s)
		}
	}
	if len(r.Abuse) > maxAbuse {
		t.Fatalf("%d mail addresses", len(r.Abuse))
	}
	for _, m := range r.Abuse {
		if mailAddress(m) != m || strings.ContainsAny(m, " \r\n\"<>|;`$,") || strings.HasPrefix(m, "-") {
			t.Fatalf("%q is not a mail address", m)
		}
	}
}

// FuzzRDAPIsSane: whatever a server answers, what is kept is clean and about the
// address that was asked for.
func FuzzRDAPIsSane(f *testing.F) {
	f.Add([]byte(ripe))
	f.Add([]byte(`{"startAddress":"::","endAddress":"ffff::","entities":[{"vcardArray":["vcard",[[1]]]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, a := range []netip.Addr{addr4, netip.MustParseAddr("2a00::7")} {
			r, _ := parseRDAP(data, a)
			sane(t, r, a)
		}
	})
}

// FuzzWhoisIsSane: the same of whois, and a referral is one word.
func FuzzWhoisIsSane(f *testing.F) {
	f.Add("inetnum: 45.0.0.0 - 45.0.0.255\nnetname: X\nabuse-mailbox: a@b.example\nrefer: whois.example.net\n")
	f.Add("% Abuse contact for 'x' is 'a@b.example'\nCIDR: 45/8, 45.0.0.0/9\nReferralServer: rwhois://x:4321\n\xfc")
	f.Add("inet6num: 2a00::/32\norigin: AS64500\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, a := range []netip.Addr{addr4, netip.MustParseAddr("2a00::7")} {
			r, next := parseWhois(text, a)
			sane(t, r, a)
			if next != "" {
				if server, err := whoisServer(next, false); err == nil && (strings.ContainsAny(server, " \r\n/@") || !strings.HasSuffix(server, ":43")) {
					t.Fatalf("it refers to %q", server)
				}
			}
		}
	})
}

// FuzzBootstrapIsSane: whatever the lists say, servers are web servers.
func FuzzBootstrapIsSane(f *testing.F) {
	f.Add([]byte(`{"services":[[["45.0.0.0/8"],["https://rdap.example/"]],[["::/0"],["ftp://x","http://y"]]]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, _ := parseBootstrap(data)
		for _, s := range list {
			if !isServer(s.url) || !strings.HasSuffix(s.url, "/") || !s.network.IsValid() {
				t.Fatalf("%+v", s)
			}
		}
	})
}

// TestPrefixWithin holds prefixWithin against trying every length.
func TestPrefixWithin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.Uint32Range(0x2d000000, 0x2d0003ff)
		first, last, a := asAddr(word.Draw(t, "first")), asAddr(word.Draw(t, "last")), asAddr(word.Draw(t, "addr"))
		got, ok := prefixWithin(first, last, a)
		var want netip.Prefix
		for bits := 32; bits >= 0; bits-- {
			p := netip.PrefixFrom(a, bits).Masked()
			inside := true
			for _, edge := range []netip.Addr{p.Addr(), lastOf(p)} {
				inside = inside && edge.Compare(first) >= 0 && edge.Compare(last) <= 0
			}
			if inside {
				want = p
			}
		}
		if got != want || ok != want.IsValid() {
			t.Fatalf("between %s and %s around %s: %s, want %s", first, last, a, got, want)
		}
	})
}

func asAddr(w uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(w >> 24), byte(w >> 16), byte(w >> 8), byte(w)})
}
