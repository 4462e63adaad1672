package rules

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/rules/corpus"
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

// rulesOf parses rules that were written as YAML.
func rulesOf(tb testing.TB, srcs ...[]string) (rs []*Rule) {
	tb.Helper()
	for _, src := range slices.Concat(srcs...) {
		r, err := Parse("corpus.yaml", []byte(src))
		if err != nil {
			tb.Fatal(err)
		}
		rs = append(rs, r)
	}
	return rs
}

func benchmark(b *testing.B, rs []*Rule, log []byte, o Options) {
	bs := blocks(log)
	s := NewMatcher(rs, o).Scanner(SourceOptions{Zone: time.UTC})
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

const benchLines = 100_000

// BenchmarkSSHD is the common case: one rule, and 1 line in 20 a refused attempt.
// Budget: 4M lines a CPU-second.
func BenchmarkSSHD(b *testing.B) {
	benchmark(b, []*Rule{builtin(b, "sshd")}, corpus.AuthLog(benchLines), Options{})
}

// BenchmarkAuth50 has 50 rules that read auth.log, and 1 line in 10 is a refused
// attempt. Budget: 3M lines a CPU-second, towards 5M.
func BenchmarkAuth50(b *testing.B) {
	benchmark(b, rulesOf(b, corpus.AuthRules()), corpus.AuthLog(benchLines), Options{})
}

// BenchmarkAuth150 has 100 rules more, of which nothing is there. Budget: 30 %
// more time than BenchmarkAuth50.
func BenchmarkAuth150(b *testing.B) {
	benchmark(b, rulesOf(b, corpus.AuthRules(), corpus.IdleRules(100)), corpus.AuthLog(benchLines), Options{})
}

// BenchmarkWeb has 46 expressions for an access log. Budget: 3M lines a
// CPU-second.
func BenchmarkWeb(b *testing.B) {
	benchmark(b, rulesOf(b, corpus.WebRules()), corpus.AccessLog(benchLines), Options{})
}

// BenchmarkBuiltinAccess has all built-in rules for access logs.
func BenchmarkBuiltinAccess(b *testing.B) {
	rs := slices.DeleteFunc(Builtin(), func(r *Rule) bool { return r.Format != FormatAccess })
	benchmark(b, rs, corpus.AccessLog(benchLines), Options{})
}

// BenchmarkFlood has nothing but refused attempts, from 100,000 addresses.
// Budget: 700k lines a CPU-second.
func BenchmarkFlood(b *testing.B) {
	benchmark(b, []*Rule{builtin(b, "sshd")}, corpus.SSHLog(benchLines, 100_000), Options{})
}

// BenchmarkIrrelevant has nothing to find and must allocate nothing but for a
// look at the log every few megabytes.
func BenchmarkIrrelevant(b *testing.B) {
	benchmark(b, []*Rule{builtin(b, "sshd")}, authLog(benchLines, 0), Options{})
}

// BenchmarkNaiveSSHD is the oracle, for the ratio.
func BenchmarkNaiveSSHD(b *testing.B) {
	benchmark(b, []*Rule{builtin(b, "sshd")}, corpus.AuthLog(benchLines/20), Options{Naive: true})
}

// BenchmarkNaiveAuth50 is the oracle, for the ratio.
func BenchmarkNaiveAuth50(b *testing.B) {
	benchmark(b, rulesOf(b, corpus.AuthRules()), corpus.AuthLog(benchLines/20), Options{Naive: true})
}

// BenchmarkNaiveWeb is the oracle, for the ratio.
func BenchmarkNaiveWeb(b *testing.B) {
	benchmark(b, rulesOf(b, corpus.WebRules()), corpus.AccessLog(benchLines/20), Options{Naive: true})
}

// TestCorpusEqualsNaive: on logs as long as those of the benchmarks' oracle the
// hits are the same, and as many as there should be.
func TestCorpusEqualsNaive(t *testing.T) {
	for _, c := range []struct {
		name  string
		rules []*Rule
		log   []byte
	}{
		{"auth", rulesOf(t, corpus.AuthRules(), corpus.IdleRules(20)), corpus.AuthLog(5000)},
		{"web", rulesOf(t, corpus.WebRules()), corpus.AccessLog(5000)},
	} {
		s, o := NewMatcher(c.rules, Options{}).Scanner(SourceOptions{Zone: time.UTC}), NewMatcher(c.rules, Options{Naive: true}).Scanner(SourceOptions{Zone: time.UTC})
		var got, want []string
		for _, b := range blocks(c.log) {
			got, want = collect(s, b, 0, got), collect(o, b, 0, want)
		}
		if !slices.Equal(got, want) || len(got) < 450 {
			t.Errorf("%s: fast %d hits, naive %d", c.name, len(got), len(want))
		}
	}
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
