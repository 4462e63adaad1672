package policy

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

func addr(i int) gate.Subject {
	return gate.AddrSubject(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}))
}

// One finding after the other, each of an address that was not banned before.
func BenchmarkDecide(b *testing.B) {
	p, h := New(config(), func(gate.Subject) (int, time.Time) { return 1, t0.Add(-gate.Day) }), host()
	f := []gate.Finding{finding("sshd", "192.0.2.7", t0)}
	now := t0
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		if i%100_000 == 0 {
			b.StopTimer()
			now = now.Add(2 * gate.Day)
			p.Advance(now, h)
			b.StartTimer()
		}
		f[0].Subject, f[0].Time = addr(i%100_000), now
		p.Decide(f, now, h)
	}
}

// A finding of somebody who is banned already, with 100,000 bans live.
func BenchmarkDecideJoins(b *testing.B) {
	p, h := filled(100_000), host()
	f := []gate.Finding{finding("sshd", "11.0.0.9", t0)}
	b.ReportAllocs()
	for b.Loop() {
		if ds, _ := p.Decide(f, t0, h); len(ds) != 0 {
			b.Fatal("a decision")
		}
	}
}

func BenchmarkSetAllowWith100kBans(b *testing.B) {
	p := filled(100_000)
	list := []AllowEntry{{Prefix: netip.MustParsePrefix("10.0.0.0/8")}, {Prefix: netip.MustParsePrefix("2001:db8::/64")}}
	for b.Loop() {
		p.SetAllow(list, t0, gate.Host{})
	}
}

func filled(n int) *Policy {
	p := New(config(), nil)
	h := gate.Host{}
	for i := range n {
		f := finding("sshd", "192.0.2.7", t0)
		f.Subject = addr(i)
		p.Decide([]gate.Finding{f}, t0, h)
	}
	return p
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestMemoryOf100kBans(t *testing.T) {
	before := heap()
	p := filled(100_000)
	used := heap() - before
	t.Logf("%.1f MB for %d bans", float64(used)/1e6, p.Len())
	if used > 30e6 {
		t.Errorf("100,000 bans take %d bytes, want at most 30 MB", used)
	}
	if ds := p.Advance(t0.Add(time.Hour), gate.Host{}); len(ds) != 100_000 || p.Len() != 0 {
		t.Errorf("%d decisions, %d bans left", len(ds), p.Len())
	}
	runtime.KeepAlive(p)
}

// A finding that joins a ban costs the caller no memory.
func TestJoinAllocatesNothing(t *testing.T) {
	p, h := filled(10), host()
	f := []gate.Finding{finding("sshd", "11.0.0.9", t0)}
	if n := testing.AllocsPerRun(100, func() { p.Decide(f, t0, h) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
