package replay

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/detect"
	"gatehouse/internal/gate"
	"gatehouse/internal/policy"
	"gatehouse/internal/rules"
)

// authLog returns an auth.log of so many lines, one in every of which is a failure.
func authLog(lines, every, attackers int) []byte {
	var b bytes.Buffer
	r := rand.New(rand.NewPCG(1, 2))
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for i := range lines {
		at = at.Add(time.Duration(r.IntN(200)) * time.Millisecond)
		stamp := at.Format(time.Stamp)
		n := r.IntN(attackers)
		switch {
		case i%every == 0:
			fmt.Fprintf(&b, "%s host sshd[%d]: Failed password for invalid user admin from 198.%d.%d.%d port %d ssh2\n", stamp, r.IntN(30000), 18+n>>16, n>>8&255, n&255, 1024+r.IntN(60000))
		case i%3 == 0:
			fmt.Fprintf(&b, "%s host CRON[%d]: pam_unix(cron:session): session opened for user root(uid=0) by root(uid=0)\n", stamp, r.IntN(30000))
		case i%3 == 1:
			fmt.Fprintf(&b, "%s host sudo:   backup : PWD=/ ; USER=root ; COMMAND=/usr/bin/rsync -a 203.0.113.%d:/srv /srv\n", stamp, r.IntN(255))
		default:
			fmt.Fprintf(&b, "%s host systemd[1]: Started session-%d.scope - Session %d of User backup.\n", stamp, i, i)
		}
	}
	return b.Bytes()
}

// scanOnly is a listener that judges nothing: the rate of the matcher itself.
type scanOnly struct{ lines int }

func (s *scanOnly) Line(*Line) error             { s.lines++; return nil }
func (s *scanOnly) Known() func(netip.Addr) bool { return nil }
func (s *scanOnly) Passing(*Passing)             {}

func benchCourse() *Course {
	return NewCourse(Config{
		Detect: detect.Config{Watches: []detect.Watch{{Name: "sshd", Threshold: gate.Threshold{Count: 5, Within: 10 * time.Minute}}}},
		Policy: policy.Config{},
	})
}

// cpuTime is what this process has used of all cores.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkRun(b *testing.B) {
	var sshd *rules.Rule
	for _, r := range rules.Builtin() {
		if r.Name == "sshd" {
			sshd = r
		}
	}
	for _, c := range []struct {
		name             string
		every, attackers int
	}{{"tenth", 10, 200}, {"flood", 1, 100_000}} {
		log := authLog(300_000, c.every, c.attackers)
		for _, o := range []Options{{Workers: 1}, {}} {
			for _, judged := range []bool{false, true} {
				name := fmt.Sprintf("%s/workers=%d/judged=%v", c.name, o.Workers, judged)
				b.Run(name, func(b *testing.B) {
					b.SetBytes(int64(len(log)))
					b.ReportAllocs()
					lines, begun := 0, cpuTime()
					for b.Loop() {
						o.Now = time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
						var to Listener = new(scanOnly)
						if judged {
							to = benchCourse()
						}
						accounts, err := Run(context.Background(), []Source{{Name: "auth.log", Log: bytes.NewReader(log), Written: o.Now, Watches: []Watch{{Name: "sshd", Rule: sshd}}}}, o, to)
						if err != nil {
							b.Fatal(err)
						}
						lines += accounts[0].Lines
					}
					b.ReportMetric(float64(lines)/(cpuTime()-begun).Seconds(), "lines/cpu-s")
				})
			}
		}
	}
}
