package firewall

import (
	"testing"

	"gatehouse/internal/gate"
	"gatehouse/internal/netlab"
)

// BenchmarkGatePacket is what one datagram to an open port costs, its way over
// the wire and into a socket included, with more and more ports closed.
func BenchmarkGatePacket(b *testing.B) {
	scattered := func(n int) []PortRule {
		var rs []gate.PortRange
		for i := range n {
			rs = append(rs, gate.PortRange{Proto: gate.UDP, Lo: uint16(2*i + 1), Hi: uint16(2*i + 1)})
		}
		return []PortRule{{Verdict: gate.Close, Direction: gate.In, Ports: gate.PortsOf(rs...)}}
	}
	oneByOne := func(n int) (out []PortRule) {
		for i := range n {
			r := scattered(1)[0]
			r.Ports = gate.PortsOf(gate.PortRange{Proto: gate.UDP, Lo: uint16(2*i + 1), Hi: uint16(2*i + 1)})
			r.Name = itoa(i)
			out = append(out, r)
		}
		return out
	}
	for _, bc := range []struct {
		name  string
		rules []PortRule
	}{
		{"none", nil},
		{"10-ports", scattered(10)},
		{"10000-ports", scattered(10_000)},
		{"10000-rules", oneByOne(10_000)},
		{"all-but-one", []PortRule{{Verdict: gate.Open, Direction: gate.In, Ports: scopeText("40000/udp", false).Ports},
			{Verdict: gate.Close, Direction: gate.In, Ports: scopeText("1-65535", false).Ports}}},
	} {
		b.Run(bc.name, func(b *testing.B) {
			lab := netlab.New(b)
			at, peer := lab.Host("gate"), lab.Host("peer")
			lab.Link(at.At("192.0.2.1/24"), peer.At("192.0.2.66/24"))
			var f *Firewall
			if err := at.Do(func() (err error) {
				f, err = New(Config{}, Deps{})
				return err
			}); err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			if err := f.SetPorts(bc.rules); err != nil {
				b.Fatal(err)
			}
			if err := f.Load(many(0), nil, nil); err != nil {
				b.Fatal(err)
			}
			in, err := at.ListenPacket("udp", "192.0.2.1:40000")
			if err != nil {
				b.Fatal(err)
			}
			defer in.Close()
			out, err := peer.Dial(b.Context(), "udp", "192.0.2.1:40000")
			if err != nil {
				b.Fatal(err)
			}
			defer out.Close()
			msg := []byte{1}
			for b.Loop() {
				out.Write(msg)
			}
		})
	}
}
