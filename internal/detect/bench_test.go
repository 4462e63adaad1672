package detect

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

// flood returns n events of failed logins from so many addresses in random
// order, one a session, 100 events a second.
func flood(n, addrs int) []gate.Event {
	out := make([]gate.Event, n)
	x := uint64(88172645463325252)
	for i := range out {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], 0x0b000000+uint32(x%uint64(addrs))*2654435761%(1<<29))
		out[i] = gate.Event{
			Time:   t0.Add(time.Duration(i) * 10 * time.Microsecond),
			Origin: gate.Origin{Source: "file:/var/log/auth.log", Epoch: 7, Offset: int64(i) * 110},
			Rule:   "sshd", Pattern: "failed", Subject: gate.AddrSubject(netip.AddrFrom4(a)),
			Class: gate.ClassFailure, Evidence: gate.Proven,
			Detail: gate.Detail{User: "root", Session: uint64(i)},
			Line:   fmt.Sprintf("Nov 21 08:00:00 host sshd[%d]: Failed password for root from %v port 4711 ssh2", i, netip.AddrFrom4(a)),
		}
	}
	return out
}

func benchConfig() Config {
	return Config{Watches: []Watch{{Name: "sshd", Threshold: gate.Threshold{Count: 5, Within: 10 * time.Minute}}}}
}

// Every event counts, from 100,000 addresses, each in a session of its own.
// The events come in a buffer that is used again, as from a scanner.
func BenchmarkObserveFlood(b *testing.B) {
	const batch = 256
	buf, subjects := flood(batch, 100_000), make([]gate.Subject, 1<<18)
	for i, e := range flood(len(subjects), 100_000) {
		subjects[i] = e.Subject
	}
	d := New(benchConfig())
	var out []gate.Finding
	found, i := 0, 0
	now := t0
	b.ReportAllocs()
	begun := cpu()
	for b.Loop() {
		now = now.Add(300 * time.Microsecond)
		for j := range buf {
			e := &buf[j]
			e.Time, e.Subject = now, subjects[(i+j)%len(subjects)]
			e.Detail.Session, e.Origin.Offset = uint64(i+j), int64(i+j)*110
		}
		out = d.Observe(buf, now, out[:0])
		found += len(out)
		i += batch
	}
	b.ReportMetric(float64(b.N)*batch/(cpu()-begun).Seconds(), "events/CPU-s")
	b.ReportMetric(float64(found)/float64(b.N)/batch, "findings/event")
}

// cpu returns what the process has used of all processors, the collector
// included: on a machine that others use, that is what can be compared.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// What 100,000 windows take, without and with the evidence, and how long a
// checkpoint of them is.
func BenchmarkSnapshot100k(b *testing.B) {
	d := filled(100_000)
	var n int
	for b.Loop() {
		n = len(d.Snapshot())
	}
	b.ReportMetric(float64(n)/1e6, "MB")
}

func BenchmarkRestore100k(b *testing.B) {
	snap := filled(100_000).Snapshot()
	d := New(benchConfig())
	for b.Loop() {
		if err := d.Restore(snap); err != nil {
			b.Fatal(err)
		}
	}
}

func filled(addrs int) *Detector {
	d := New(benchConfig())
	events := flood(addrs, addrs)
	for i := range events {
		events[i].Subject = gate.AddrSubject(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	d.Observe(events, t0, nil)
	d.Observe(events[:addrs/2], t0, nil)
	return d
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// 100,000 subjects fit into 60 MB, and into 10 MB without what is kept as
// evidence and of sessions.
func TestMemoryOf100kSubjects(t *testing.T) {
	for _, c := range []struct {
		name     string
		evidence int
		session  bool
		max      uint64
	}{
		{"windows alone", -1, false, 100 * 100_000 * 11 / 10},
		{"all", 0, true, 60e6},
	} {
		events := flood(300_000, 100_000)
		if !c.session {
			for i := range events {
				events[i].Detail.Session = 0
			}
		}
		before := heap()
		config := benchConfig()
		config.EvidenceBytes = c.evidence
		d := New(config)
		var out []gate.Finding
		for i := 0; i < len(events); i += 300 {
			out = d.Observe(events[i:i+300], t0, out[:0])
		}
		clear(out)
		after := heap()
		used := after - before
		t.Logf("%s: %.1f MB for %d windows, %d bytes each; %+v", c.name, float64(used)/1e6, d.Stats().Windows, used/uint64(d.Stats().Windows), d.Stats())
		if used > c.max {
			t.Errorf("%s: %d bytes, want at most %d", c.name, used, c.max)
		}
		runtime.KeepAlive(events)
	}
}
