package gate

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestSubjectText(t *testing.T) {
	for _, c := range []struct {
		in, out string
		kind    Kind
	}{
		{"192.0.2.1", "192.0.2.1", KindAddr},
		{"::ffff:192.0.2.1", "192.0.2.1", KindAddr},
		{"2001:DB8::1", "2001:db8::1", KindAddr},
		{"192.0.2.1/32", "192.0.2.1", KindAddr},
		{"2001:db8::1/128", "2001:db8::1", KindAddr},
		{"192.0.2.77/24", "192.0.2.0/24", KindPrefix},
		{"::ffff:192.0.2.77/120", "192.0.2.0/24", KindPrefix},
		{"2001:db8::1/64", "2001:db8::/64", KindPrefix},
		{"0.0.0.0/0", "0.0.0.0/0", KindPrefix},
		{"port:22/tcp/in", "port:22/tcp/in", KindPort},
		{"port:443,80/in", "port:80,443/in", KindPort},
		{"port:22/tcp 53/udp/out", "port:22/tcp 53/udp/out", KindPort},
		{"list:drop", "list:drop", KindList},
		{"partition:1", "partition:1", KindPartition},
		{"zone:1/7", "zone:1/7", KindZone},
	} {
		s, err := ParseSubject(c.in)
		if err != nil || s.String() != c.out || s.Kind() != c.kind {
			t.Errorf("ParseSubject(%q) = %q (%v), %v; want %q (%v)", c.in, s, s.Kind(), err, c.out, c.kind)
		}
		if again, err := ParseSubject(s.String()); err != nil || again != s {
			t.Errorf("%q does not parse back: %v, %v", s, again, err)
		}
	}
}

func TestSubjectRefused(t *testing.T) {
	for _, in := range []string{
		"", " ", "1.2.3", "1.2.3.4.5", "01.2.3.4", "300.1.1.1", "example.org", "fe80::1%eth0", "fe80::1%eth0/64",
		"1.2.3.4/33", "1.2.3.4/-1", "::ffff:1.2.3.4/40", "port:22/tcp", "port:0/in", "port:22/sctp/in", "port:/in",
		"list:", "list:a b", "list:../x", "zone:1", "zone:9/1", "zone:1/0", "partition:0", "node:x", "1.2.3.4\n",
		strings.Repeat("1", 10_000),
	} {
		s, err := ParseSubject(in)
		if err == nil || s.IsValid() {
			t.Errorf("ParseSubject(%.40q) = %v, want an error", in, s)
		} else if len(err.Error()) > 400 {
			t.Errorf("ParseSubject(%.40q): error of %d bytes", in, len(err.Error()))
		}
	}
}

func TestSubjectCovers(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"192.0.2.0/24", "192.0.2.9", true},
		{"192.0.2.9", "192.0.2.9", true},
		{"192.0.2.9", "192.0.2.0/24", false},
		{"192.0.2.0/24", "192.0.3.1", false},
		{"::/0", "192.0.2.1", false},
		{"list:drop", "192.0.2.1", false},
	} {
		a, _ := ParseSubject(c.a)
		b, _ := ParseSubject(c.b)
		if got := a.Covers(b); got != c.want {
			t.Errorf("%s covers %s = %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

func TestPorts(t *testing.T) {
	for _, c := range []struct{ in, out string }{
		{"22", "22"},
		{"22/tcp", "22/tcp"},
		{"443,80/tcp", "80,443/tcp"},
		{"80,81,82-90/udp", "80-90/udp"},
		{"8000-8500 8100", "8000-8500"},
		{"22/tcp 22/udp", "22"},
		{"22/tcp 53", "22,53/tcp 53/udp"},
		{"1-65535", "1-65535"},
	} {
		p, err := ParsePorts(strings.Fields(c.in)...)
		if err != nil || p.String() != c.out {
			t.Errorf("ParsePorts(%q) = %q, %v; want %q", c.in, p, err, c.out)
		}
	}
	for _, in := range []string{"", "0", "65536", "90-80", "80,,81", "x", "+1", "1-2-3", "22/sctp", "22/", "٣"} {
		if p, err := ParsePorts(in); err == nil {
			t.Errorf("ParsePorts(%q) = %q, want an error", in, p)
		}
	}
}

func TestPortsAgainstModel(t *testing.T) {
	sets := []string{"22", "1-65535", "80,443/tcp", "100-200/udp", "150-160", "65535/tcp", "1/tcp", "2-3,5-9/tcp"}
	for _, x := range sets {
		for _, y := range sets {
			a, _ := ParsePorts(x)
			b, _ := ParsePorts(y)
			u, m := a.Union(b), a.Minus(b)
			for _, proto := range []Proto{TCP, UDP} {
				for port := 1; port <= 65535; port++ {
					n := uint16(port)
					if got, want := u.Contains(proto, n), a.Contains(proto, n) || b.Contains(proto, n); got != want {
						t.Fatalf("%s union %s: %v/%d = %v", x, y, port, proto, got)
					}
					if got, want := m.Contains(proto, n), a.Contains(proto, n) && !b.Contains(proto, n); got != want {
						t.Fatalf("%s minus %s: %v/%d = %v", x, y, port, proto, got)
					}
				}
			}
		}
	}
}

func TestDuration(t *testing.T) {
	for _, c := range []struct {
		in  string
		d   time.Duration
		out string
	}{
		{"90s", 90 * time.Second, "1m30s"},
		{"10m", 10 * time.Minute, "10m"},
		{"1h30m", 90 * time.Minute, "1h30m"},
		{"7d", Week, "1w"},
		{"2w", 2 * Week, "2w"},
		{"90d", 90 * Day, "90d"},
		{"365d", 365 * Day, "365d"},
		{"250ms", 250 * time.Millisecond, "250ms"},
		{"0s", 0, "0s"},
		{"forever", Forever, "forever"},
	} {
		d, err := ParseDuration(c.in)
		if err != nil || d != c.d || FormatDuration(d) != c.out {
			t.Errorf("ParseDuration(%q) = %v, %v, printed %q; want %v, %q", c.in, d, err, FormatDuration(d), c.d, c.out)
		}
	}
	for _, in := range []string{"", "10", "m", "-1m", "1.5h", "1m1h", "1m1m", "10 m", "1y", "200000d", "99999999999999999999s", "forever1"} {
		if d, err := ParseDuration(in); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", in, d)
		}
	}
}

func TestThreshold(t *testing.T) {
	if th, err := ParseThreshold("5 in 10m"); err != nil || th != (Threshold{5, 10 * time.Minute}) || th.String() != "5 in 10m" {
		t.Errorf("5 in 10m = %v, %v", th, err)
	}
	for _, in := range []string{"", "5", "5 in", "0 in 10m", "-1 in 10m", "5 in 0s", "5 within 10m", "9999999 in 1m"} {
		if th, err := ParseThreshold(in); err == nil {
			t.Errorf("ParseThreshold(%q) = %v, want an error", in, th)
		}
	}
}

func TestProofKeepsFirstAndLast(t *testing.T) {
	var p Proof
	for i := range 100 {
		p.Add(Event{Origin: Origin{Offset: int64(i)}})
	}
	if p.Count != 100 || len(p.First) != ProofFirst || len(p.Last) != ProofLast {
		t.Fatalf("count %d, first %d, last %d", p.Count, len(p.First), len(p.Last))
	}
	if p.First[7].Origin.Offset != 7 || p.Last[0].Origin.Offset != 76 || p.Last[23].Origin.Offset != 99 {
		t.Errorf("kept %d, %d, %d", p.First[7].Origin.Offset, p.Last[0].Origin.Offset, p.Last[23].Origin.Offset)
	}
}

func TestGuarded(t *testing.T) {
	h := Host{
		Own:       []netip.Addr{netip.MustParseAddr("203.0.113.5"), netip.MustParseAddr("2001:db8::5")},
		OnLink:    []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")},
		Gateways:  []netip.Addr{netip.MustParseAddr("203.0.113.1")},
		Resolvers: []netip.Addr{netip.MustParseAddr("198.51.100.53")},
		Sessions:  []Session{{Peer: netip.MustParseAddr("192.0.2.7"), User: "ann"}},
	}
	for _, c := range []struct{ subject, why string }{
		{"192.0.2.8", ""},
		{"192.0.2.7", `the SSH session of "ann" comes from it`},
		{"192.0.2.0/24", `the SSH session of "ann" comes from it`},
		{"203.0.113.5", "it is an address of this machine"},
		{"2001:db8::/64", "it contains an address of this machine"},
		{"203.0.113.1", "it is a gateway of this machine"},
		{"198.51.100.53", "it is a name server of this machine"},
		{"127.0.0.1", "it is loopback"},
		{"0.0.0.0/0", "it contains loopback"},
		{"::1", "it is loopback"},
		{"0.0.0.0", "it is not the address of one host"},
		{"224.0.0.1", "it is not the address of one host"},
		{"list:drop", ""},
	} {
		s, err := ParseSubject(c.subject)
		if err != nil {
			t.Fatal(err)
		}
		if got := h.Guarded(s); got != c.why {
			t.Errorf("Guarded(%s) = %q, want %q", c.subject, got, c.why)
		}
	}
	if !h.IsOnLink(netip.MustParseAddr("fe80::1")) || !h.IsOnLink(netip.MustParseAddr("203.0.113.9")) || h.IsOnLink(netip.MustParseAddr("192.0.2.1")) {
		t.Error("IsOnLink is wrong")
	}
}

func TestRecordJSON(t *testing.T) {
	s, _ := ParseSubject("2001:db8::/64")
	p, _ := ParsePorts("22/tcp")
	in := Record{Seq: 7, Decision: Decision{Time: time.Unix(1, 0).UTC(), Verdict: Ban, Subject: s, Scope: Scope{Ports: p, New: true}, Rule: "sshd", Why: "because"}}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out Record
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	if out.Subject != s || out.Verdict != Ban || !out.Scope.Ports.Equal(p) || !out.Scope.New || out.Seq != 7 {
		t.Errorf("%s came back as %+v", b, out)
	}
	if strings.Contains(string(b), "until") {
		t.Errorf("a ban without end has an until: %s", b)
	}
}

func FuzzSubjectParsesBack(f *testing.F) {
	for _, s := range []string{"192.0.2.1", "2001:db8::/64", "port:22/tcp/in", "list:drop", "zone:1/7", "::ffff:1.2.3.4/97"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		s, err := ParseSubject(in)
		if err != nil {
			if s.IsValid() {
				t.Fatal("an error and a subject")
			}
			return
		}
		if again, err := ParseSubject(s.String()); err != nil || again != s {
			t.Fatalf("%q -> %q -> %q, %v", in, s, again, err)
		}
	})
}

func FuzzPortsParseBack(f *testing.F) {
	f.Add("22/tcp")
	f.Add("1-65535 80,443/udp")
	f.Fuzz(func(t *testing.T, in string) {
		p, err := ParsePorts(strings.Fields(in)...)
		if err != nil {
			return
		}
		if q, err := ParsePorts(strings.Fields(p.String())...); err != nil || !q.Equal(p) {
			t.Fatalf("%q -> %q -> %q, %v", in, p, q, err)
		}
	})
}

func FuzzDurationParsesBack(f *testing.F) {
	f.Add("1h30m")
	f.Add("forever")
	f.Fuzz(func(t *testing.T, in string) {
		d, err := ParseDuration(in)
		if err != nil {
			return
		}
		if e, err := ParseDuration(FormatDuration(d)); err != nil || e != d {
			t.Fatalf("%q -> %v -> %q -> %v, %v", in, d, FormatDuration(d), e, err)
		}
	})
}
