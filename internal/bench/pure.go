package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/detect"
	"gatehouse/internal/gate"
	"gatehouse/internal/rules"
)

// cpu returns the processor time that this process has used.
func cpu() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// authLog returns n lines of auth.log, a tenth of them failures of OpenSSH from
// 997 addresses.
func authLog(n int) []byte {
	var b bytes.Buffer
	day := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	for i := range n {
		at := day.Add(time.Duration(i) * 80 * time.Millisecond).Format(time.Stamp)
		switch {
		case i%10 == 0:
			fmt.Fprintf(&b, "%s web1 sshd[%d]: Failed password for invalid user admin%d from 203.0.%d.%d port %d ssh2\n", at, 1000+i%30000, i%50, i%997/250, i%997%250+1, 1024+i%60000)
		case i%10 < 4:
			fmt.Fprintf(&b, "%s web1 CRON[%d]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)\n", at, 1000+i%30000)
		case i%10 < 7:
			fmt.Fprintf(&b, "%s web1 sudo[%d]: deploy : TTY=pts/0 ; PWD=/srv/app ; USER=root ; COMMAND=/usr/bin/systemctl restart app.service number %d\n", at, 1000+i%30000, i)
		case i%10 < 9:
			fmt.Fprintf(&b, "%s web1 systemd-logind[612]: New session %d of user deploy, seat0, waiting for processes to exit and more words\n", at, i)
		default:
			fmt.Fprintf(&b, "%s web1 sshd[%d]: Accepted publickey for deploy from 198.51.100.7 port %d ssh2: ED25519 SHA256:abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG\n", at, 1000+i%30000, 1024+i%60000)
		}
	}
	return b.Bytes()
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

func matchSSHD(b *bench) (string, bool) {
	const n = 1_000_000
	log := authLog(n)
	m := rules.NewMatcher([]*rules.Rule{sshdRule(b)}, rules.Options{})
	best := 0.0
	for range 3 {
		s := m.Scanner(rules.SourceOptions{Zone: time.UTC})
		hits, from := 0, cpu()
		for block := log; len(block) > 0; {
			size := min(256<<10, len(block))
			size = bytes.LastIndexByte(block[:size], '\n') + 1
			s.Scan(block[:size], time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), func(*rules.Hit) { hits++ })
			block = block[size:]
		}
		if took := cpu() - from; hits >= n/10 {
			best = max(best, n/took.Seconds())
		}
	}
	return fmt.Sprintf("%.2fM lines/CPU-s", best/1e6), best >= 300_000
}

func countFlood(b *bench) (string, bool) {
	const addresses, rounds = 100_000, 10
	d := detect.New(detect.Config{Watches: []detect.Watch{{Name: "sshd", Threshold: gate.Threshold{Count: 5, Within: 10 * time.Minute}}}})
	events := make([]gate.Event, 1000)
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	var findings []gate.Finding
	var took time.Duration
	var before, after runtime.MemStats
	runtime.GC()
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
	mb := float64(after.HeapAlloc-before.HeapAlloc) / 1e6
	rate := float64(n) / took.Seconds()
	runtime.KeepAlive(d)
	return fmt.Sprintf("%.2fM/CPU-s, %.0f MB", rate/1e6, mb), rate >= 700_000 && mb <= 60
}
