package firewall

import (
	"encoding/binary"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

// listed returns n prefixes that neither overlap nor touch, in order, of /24 to
// /32; salt moves every hundredth one.
func listed(n int, salt uint32) []netip.Prefix {
	out := make([]netip.Prefix, n)
	room := uint32(1<<32/int64(n)) &^ 1
	room = 1 << (31 - leading(room))
	for i := range out {
		at := uint32(i) * room
		bits := 32
		if i%100 == 7 {
			at += salt * 2 % room
		} else if room > 512 {
			bits = 24 + i%9
		}
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], at)
		out[i] = netip.PrefixFrom(netip.AddrFrom4(a), bits).Masked()
	}
	return out
}

func leading(x uint32) (n int) {
	for ; x&(1<<31) == 0; x <<= 1 {
		n++
	}
	return n
}

// BenchmarkList is a list of a million prefixes: its first load with bans that
// land meanwhile, and a refresh of one in a hundred.
func BenchmarkList(b *testing.B) {
	f := benchFirewall(b)
	if err := f.Load(many(0), nil, nil); err != nil {
		b.Fatal(err)
	}
	listen(b, f)
	const n = 1_000_000
	var load, refresh time.Duration
	var bans []time.Duration
	salt := uint32(0)
	for b.Loop() {
		if err := f.DropList("big"); err != nil {
			b.Fatal(err)
		}
		salt++
		l := List{Name: "big", Prefixes: listed(n, salt)}
		runtime.GC()
		done := make(chan error, 1)
		start := time.Now()
		go func() { done <- f.SetList(b.Context(), l) }()
		tick := time.NewTicker(10 * time.Millisecond)
	loading:
		for i := 0; ; i++ {
			select {
			case err := <-done:
				if err != nil {
					b.Fatal(err)
				}
				break loading
			case <-tick.C:
				d := []gate.Decision{{Verdict: gate.Ban, Subject: gate.AddrSubject(address(1<<20 + i)), Until: time.Now().Add(time.Hour)}}
				at := time.Now()
				f.Place(d)
				bans = append(bans, time.Since(at))
			}
		}
		tick.Stop()
		load += time.Since(start)
		salt++
		l = List{Name: "big", Prefixes: listed(n, salt)}
		start = time.Now()
		if err := f.SetList(b.Context(), l); err != nil {
			b.Fatal(err)
		}
		refresh += time.Since(start)
		b.Logf("load %v, refresh %v", load, refresh)
	}
	if h := f.Health(); h.Mode != Enforcing {
		b.Fatalf("%v: %s", h.Mode, h.Why)
	}
	slices.Sort(bans)
	b.ReportMetric(load.Seconds()/float64(b.N), "load-s")
	b.ReportMetric(refresh.Seconds()/float64(b.N), "refresh-s")
	b.ReportMetric(float64(bans[len(bans)/2].Microseconds())/1e3, "ban-p50-ms")
	b.ReportMetric(float64(bans[len(bans)*95/100].Microseconds())/1e3, "ban-p95-ms")
	b.ReportMetric(float64(bans[len(bans)-1].Microseconds())/1e3, "ban-max-ms")
}

// BenchmarkListMemory is what the daemon keeps of a million prefixes.
func BenchmarkListMemory(b *testing.B) {
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		p, err := pack(listed(1_000_000, 1))
		if err != nil {
			b.Fatal(err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(p)
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB")
}
