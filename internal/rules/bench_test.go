package rules

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

// authLog makes an auth.log of n lines of about 131 bytes, of which failing
// per cent are refused attempts at sshd from many addresses. The rest is what
// a busy server writes besides: cron, sudo, sessions, logins that succeed.
func authLog(n, failing int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	var b bytes.Buffer
	at := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	for i := range n {
		at = at.Add(time.Duration(r.IntN(50)) * time.Millisecond)
		addr := fmt.Sprintf("%d.%d.%d.%d", 1+r.IntN(222), r.IntN(256), r.IntN(256), r.IntN(256))
		pid, port := 300+r.IntN(4_000_000), 1024+r.IntN(60000)
		fmt.Fprintf(&b, "%s bastion ", at.Format(time.Stamp))
		if r.IntN(100) < failing {
			switch r.IntN(4) {
			case 0:
				fmt.Fprintf(&b, "sshd[%d]: Failed password for root from %s port %d ssh2\n", pid, addr, port)
			case 1:
				fmt.Fprintf(&b, "sshd[%d]: Failed password for invalid user %s from %s port %d ssh2\n", pid, pick("admin", "test", "oracle", "ubuntu"), addr, port)
			case 2:
				fmt.Fprintf(&b, "sshd[%d]: Invalid user %s from %s port %d\n", pid, pick("admin", "test", "oracle", "ubuntu"), addr, port)
			default:
				fmt.Fprintf(&b, "sshd[%d]: Connection closed by authenticating user root %s port %d [preauth]\n", pid, addr, port)
			}
			continue
		}
		switch i % 6 {
		case 0:
			fmt.Fprintf(&b, "CRON[%d]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)\n", pid)
		case 1:
			fmt.Fprintf(&b, "sudo:   deploy : TTY=pts/%d ; PWD=/srv/app ; USER=root ; COMMAND=/usr/bin/systemctl restart worker-%d.service\n", r.IntN(9), r.IntN(99))
		case 2:
			fmt.Fprintf(&b, "systemd-logind[%d]: New session %d of user deploy, leader %d, on seat0, class user, type tty.\n", 611, pid, pid)
		case 3:
			fmt.Fprintf(&b, "sshd[%d]: pam_unix(sshd:session): session opened for user deploy(uid=1000) by deploy(uid=0)\n", pid)
		case 4:
			fmt.Fprintf(&b, "sshd[%d]: Starting session: command for deploy from %s port %d id 0 env none\n", pid, addr, port)
		default:
			fmt.Fprintf(&b, "kernel: [%d.%06d] audit: type=1400 apparmor=\"ALLOWED\" operation=\"open\" profile=\"/usr/sbin/nginx\" name=\"/srv/www/index\"\n", i, r.IntN(999999))
		}
	}
	return b.Bytes()
}

// blocks cuts a log into blocks of whole lines, as a sensor reads it.
func blocks(log []byte) (out [][]byte) {
	const size = 256 << 10
	for len(log) > size {
		n := bytes.LastIndexByte(log[:size], '\n') + 1
		out = append(out, log[:n])
		log = log[n:]
	}
	return append(out, log)
}

func scanAll(s *Scanner, bs [][]byte, now time.Time, emit func(*Hit)) (st Stats) {
	for _, b := range bs {
		x := s.Scan(b, now, emit)
		st.Lines += x.Lines
		st.Hits += x.Hits
		st.Skipped += x.Skipped
	}
	return st
}

func benchmark(b *testing.B, failing int, o Options) {
	log := authLog(100_000, failing)
	bs := blocks(log)
	s := NewMatcher([]*Rule{builtin(b, "sshd")}, o).Scanner(SourceOptions{Zone: time.UTC})
	var st Stats
	b.ReportAllocs()
	b.SetBytes(int64(len(log)))
	began := cpu(b)
	for b.Loop() {
		st = scanAll(s, bs, sampleNow, func(*Hit) {})
	}
	b.ReportMetric(float64(st.Lines)*float64(b.N)/(cpu(b)-began).Seconds(), "lines/CPU-s")
	b.ReportMetric(float64(len(log))/float64(st.Lines), "B/line")
	b.ReportMetric(100*float64(st.Hits)/float64(st.Lines), "%hits")
}

// cpu returns the processor time that the process has used: other work on the
// machine does not count.
func cpu(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkSSHD is the common case: 1 line in 10 is a refused attempt.
func BenchmarkSSHD(b *testing.B) { benchmark(b, 10, Options{}) }

// BenchmarkFlood is the worst: each line is one.
func BenchmarkFlood(b *testing.B) { benchmark(b, 100, Options{}) }

// BenchmarkNaive is the oracle on the common case, for the ratio.
func BenchmarkNaive(b *testing.B) { benchmark(b, 10, Options{Naive: true}) }

// BenchmarkIrrelevant has nothing to find and must allocate nothing.
func BenchmarkIrrelevant(b *testing.B) {
	benchmark(b, 0, Options{})
}

func builtin(tb testing.TB, name string) *Rule {
	tb.Helper()
	for _, r := range Builtin() {
		if r.Name == name {
			return r
		}
	}
	tb.Fatalf("no built-in rule %s", name)
	return nil
}
