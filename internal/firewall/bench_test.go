package firewall

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/gate"
	"gatehouse/internal/netlab"
)

// benchFirewall is a firewall on the real kernel.
func benchFirewall(b *testing.B) *Firewall {
	b.Helper()
	h := netlab.New(b).Host("host")
	var f *Firewall
	if err := h.Do(func() (err error) {
		f, err = New(Config{}, Deps{})
		return err
	}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	return f
}

// listen makes the monitor listen, as in a running daemon.
func listen(b *testing.B, f *Firewall) {
	b.Helper()
	if _, _, err := f.monitor.next(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// cpu returns the processor time of this process, the kernel's part included.
func cpu() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkLoad is a restart with 100,000 bans.
func BenchmarkLoad(b *testing.B) {
	f := benchFirewall(b)
	var total time.Duration
	for b.Loop() {
		start := cpu()
		if err := f.Load(many(100_000), nil, nil); err != nil {
			b.Fatal(err)
		}
		total += cpu() - start
	}
	b.ReportMetric(total.Seconds()/float64(b.N), "cpu-s/op")
}

// BenchmarkMany is 100,000 bans at once, placed and committed, and released.
func BenchmarkMany(b *testing.B) {
	f := benchFirewall(b)
	if err := f.Load(many(0), nil, nil); err != nil {
		b.Fatal(err)
	}
	listen(b, f)
	ds := manyBans(100_000)
	rs := records(ds...)
	gone := slices.Clone(ds)
	for i := range gone {
		gone[i].Verdict = gate.Release
	}
	var total, wall time.Duration
	for b.Loop() {
		start, at := cpu(), time.Now()
		f.Place(ds)
		f.Commit(rs)
		total += cpu() - start
		wall += time.Since(at)
		f.Place(gone)
	}
	if h := f.Health(); h.Mode != Enforcing {
		b.Fatalf("%v: %s", h.Mode, h.Why)
	}
	b.ReportMetric(total.Seconds()/float64(b.N), "cpu-s/op")
	b.ReportMetric(wall.Seconds()/float64(b.N), "wall-s/op")
}

// BenchmarkOneMore is one more ban with 100,000 in force: how long until it is,
// and what its commit takes.
func BenchmarkOneMore(b *testing.B) {
	f := benchFirewall(b)
	if err := f.Load(many(100_000), nil, nil); err != nil {
		b.Fatal(err)
	}
	listen(b, f)
	var placed, committed []time.Duration
	i := 0
	for b.Loop() {
		d := []gate.Decision{{Verdict: gate.Ban, Subject: gate.AddrSubject(address(1<<20 + i)), Until: time.Now().Add(time.Hour)}}
		i++
		start := time.Now()
		f.Place(d)
		middle := time.Now()
		f.Commit([]gate.Record{{Decision: d[0]}})
		placed, committed = append(placed, middle.Sub(start)), append(committed, time.Since(middle))
	}
	if h := f.Health(); h.Mode != Enforcing {
		b.Fatalf("%v: %s", h.Mode, h.Why)
	}
	for name, list := range map[string][]time.Duration{"place": placed, "commit": committed} {
		slices.Sort(list)
		b.ReportMetric(float64(list[len(list)/2].Nanoseconds())/1e3, name+"-p50-us")
		b.ReportMetric(float64(list[len(list)*95/100].Nanoseconds())/1e3, name+"-p95-us")
	}
}

// BenchmarkMemory is what the wanted set takes for 100,000 bans.
func BenchmarkMemory(b *testing.B) {
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		f := newFirewall(Config{Observe: true}, Deps{}, nil, nil)
		if err := f.Load(many(100_000), nil, nil); err != nil {
			b.Fatal(err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(f)
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB")
}
