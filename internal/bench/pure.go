package main

import (
	"fmt"
	"net/netip"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/detect"
	"gatehouse/internal/gate"
	"gatehouse/internal/rules"
	"gatehouse/internal/rules/corpus"
)

// cpu returns the processor time that this process has used.
func cpu() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func sshdRule(b *bench) *rules.Rule {
	for _, r := range rules.Builtin() {
		if r.Name == "sshd" {
			return r
		}
	}
	b.Fatalf("there is no sshd rule")
	return nil
}

// matchSSHD has the OpenSSH rule alone, and 1M lines of auth.log of which a tenth
// are failures.
func matchSSHD(b *bench) (string, bool) {
	rs, log := []*rules.Rule{sshdRule(b)}, corpus.AuthLog(matchLines)
	equalsOracle(b, rs, log)
	best, hits := rate(rs, log)
	return fmt.Sprintf("%.2fM lines/CPU-s, %dk hits", best/1e6, hits/1000), best >= 4e6
}

func countFlood(b *bench) (string, bool) {
	const addresses, rounds = 100_000, 10
	d := detect.New(detect.Config{Watches: []detect.Watch{{Name: "sshd", Threshold: gate.Threshold{Count: 5, Within: 10 * time.Minute}}}})
	events := make([]gate.Event, 1000)
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	var findings []gate.Finding
	var took time.Duration
	var before, after runtime.MemStats
	debug.FreeOSMemory() // what earlier measurements left behind
	runtime.ReadMemStats(&before)
	n := 0
	for range rounds * addresses / len(events) {
		for i := range events {
			a := uint32(n%addresses) + 0xcb000000
			events[i] = gate.Event{Time: now, Rule: "sshd", Class: gate.ClassFailure, Evidence: gate.Proven,
				Origin:  gate.Origin{Source: "file:/var/log/auth.log", Epoch: 1, Offset: int64(n)},
				Subject: gate.AddrSubject(netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)})),
				Detail:  gate.Detail{User: "root", Session: uint64(n)},
				Line:    "Nov 21 12:00:00 web1 sshd[1]: Failed password for root from an address port 4711 ssh2"}
			n++
		}
		now = now.Add(100 * time.Millisecond)
		from := cpu()
		findings = d.Observe(events, now, findings[:0])
		took += cpu() - from
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	mb := (float64(after.HeapAlloc) - float64(before.HeapAlloc)) / 1e6
	rate := float64(n) / took.Seconds()
	runtime.KeepAlive(d)
	return fmt.Sprintf("%.2fM/CPU-s, %.0f MB", rate/1e6, mb), rate >= 700_000 && mb <= 60
}
