package portscan

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gatehouse/internal/gate"
)

// tcp returns a TCP header with these flags and so many bytes of options.
func tcp(flags byte, options int) []byte {
	b := make([]byte, 20+options)
	binary.BigEndian.PutUint16(b, 40000)
	binary.BigEndian.PutUint16(b[2:], 23)
	b[12], b[13] = byte((20+options)/4)<<4, flags
	return b
}

func udp() []byte {
	b := tcp(0, 0)[:8]
	return b
}

func v4(proto byte, fragment uint16, options int, rest []byte) []byte {
	b := make([]byte, 20+options)
	b[0], b[9] = 0x40|byte((20+options)/4), proto
	binary.BigEndian.PutUint16(b[6:], fragment)
	copy(b[12:], []byte{198, 51, 100, 7, 192, 0, 2, 1})
	return append(b, rest...)
}

// v6 puts extension headers, each of 8 bytes unless it says more, in front of the
// rest.
func v6(proto byte, headers []byte, rest []byte) []byte {
	b := make([]byte, 40)
	b[0] = 0x60
	src, dst := netip.MustParseAddr("2001:db8::7").As16(), netip.MustParseAddr("2001:db8::1").As16()
	copy(b[8:], src[:])
	copy(b[24:], dst[:])
	next := append(append([]byte{}, headers...), proto)
	b[6] = next[0]
	for i := range headers {
		b = append(b, next[i+1], 0, 0, 0, 0, 0, 0, 0)
	}
	return append(b, rest...)
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []byte
		kind string
		port uint16
	}{
		{"a raw SYN", v4(6, 0, 0, tcp(syn, 4)), "syn", 23},
		{"a SYN of a kernel", v4(6, 0, 0, tcp(syn, 20)), "connect", 23},
		{"behind IPv4 options", v4(6, 0, 8, tcp(syn, 4)), "syn", 23},
		{"FIN", v4(6, 0, 0, tcp(fin, 0)), "fin", 23},
		{"NULL", v4(6, 0, 0, tcp(0, 0)), "null", 23},
		{"Xmas", v4(6, 0, 0, tcp(fin|psh|urg, 0)), "xmas", 23},
		{"ACK", v4(6, 0, 0, tcp(ack, 0)), "ack", 23},
		{"Maimon", v4(6, 0, 0, tcp(fin|ack, 0)), "maimon", 23},
		{"SYN and FIN", v4(6, 0, 0, tcp(syn|fin, 0)), "odd", 23},
		{"SYN and URG", v4(6, 0, 0, tcp(syn|urg, 0)), "odd", 23},
		{"UDP", v4(17, 0, 0, udp()), "udp", 23},
		{"a later fragment", v4(6, 100, 0, tcp(syn, 0)), "packet", 0},
		{"a first fragment", v4(6, 0x2000, 0, tcp(syn, 0)), "syn", 23},
		{"cut off", v4(6, 0, 0, tcp(syn, 0)[:3]), "packet", 0},
		{"cut off behind the ports", v4(6, 0, 0, tcp(syn, 0)[:8]), "null", 23},
		{"ICMP", v4(1, 0, 0, []byte{8, 0, 0, 0}), "packet", 0},
		{"IPv6", v6(6, nil, tcp(syn, 4)), "syn", 23},
		{"IPv6 behind options", v6(6, []byte{hopByHop, destination, destination}, tcp(syn, 4)), "syn", 23},
		{"IPv6 behind a first fragment", v6(6, []byte{fragment}, tcp(syn, 4)), "syn", 23},
		{"IPv6, too many headers", v6(6, []byte(strings.Repeat("\x3c", 20)), tcp(syn, 4)), "packet", 0},
		{"IPv6, UDP", v6(17, nil, udp()), "udp", 23},
		{"IPv6, a header that ends too late", v6(6, []byte{destination}, nil)[:44], "packet", 0},
	} {
		p, err := Parse(c.in)
		if err != nil || p.Kind() != c.kind || p.DstPort != c.port || !p.Src.IsValid() || !p.Dst.IsValid() {
			t.Errorf("%s: %+v %s, %v", c.name, p, p.Kind(), err)
		}
	}
	for _, b := range [][]byte{nil, {0x45}, make([]byte, 19), append([]byte{0x4f}, make([]byte, 30)...), append([]byte{0x60}, make([]byte, 38)...), {0xff, 0xff}} {
		if p, err := Parse(b); err == nil {
			t.Errorf("% x gives %+v", b, p)
		}
	}
	odd, _ := Parse(v4(6, 0, 0, tcp(syn|fin, 0)))
	if want := "odd from 198.51.100.7 port 40000 to 192.0.2.1 port 23/tcp flags fin syn"; odd.Line() != want {
		t.Errorf("%q, want %q", odd.Line(), want)
	}
}

func TestEventOf(t *testing.T) {
	p, _ := Parse(v6(6, nil, tcp(syn, 20)))
	now := time.Unix(1, 0)
	e := EventOf(p, gate.ReportTrap, now)
	if e.Class != gate.ClassHeld || e.Evidence != gate.Forgeable || e.Pattern != "connect@trap" || e.Subject.String() != "2001:db8::7" ||
		e.Detail.Port != 23 || e.Detail.Proto != gate.TCP || e.Detail.Via != "2001:db8::1" || !e.Time.Equal(now) {
		t.Errorf("%+v", e)
	}
	if e := EventOf(p, gate.ReportProbe, now); e.Class != gate.ClassFailure || e.Pattern != "connect" {
		t.Errorf("%+v", e)
	}
	if e := EventOf(p, gate.ReportLive, now); e.Class != gate.ClassFailure || e.Pattern != "connect@live" {
		t.Errorf("%+v", e)
	}
}

// FuzzPacketNeverLies: whatever bytes a packet has, an address is one of them, a
// kind is one of ours, and the line is short and clean.
func FuzzPacketNeverLies(f *testing.F) {
	for _, b := range [][]byte{v4(6, 0, 8, tcp(syn|fin, 8)), v4(17, 0, 0, udp()), v6(6, []byte{hopByHop, fragment, authentic, routing}, tcp(syn, 4)), {}} {
		f.Add(b)
	}
	kinds := " connect syn fin null xmas ack maimon udp odd packet "
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Parse(b)
		if err != nil {
			return
		}
		line := p.Line()
		if !strings.Contains(kinds, " "+p.Kind()+" ") || len(line) > 200 || !utf8.ValidString(line) || strings.ContainsAny(line, "\n\x00") {
			t.Fatalf("%s: %q", p.Kind(), line)
		}
		src := p.Src.AsSlice()
		if !strings.Contains(string(b), string(src)) {
			t.Fatalf("%v is not in the packet", p.Src)
		}
		if e := EventOf(p, gate.ReportTrap, time.Unix(0, 0)); !e.Subject.IsNet() && p.Src.IsValid() {
			t.Fatalf("no subject of %v", p.Src)
		}
	})
}
