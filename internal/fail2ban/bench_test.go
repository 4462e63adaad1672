package fail2ban

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"
)

// debian returns the configuration directory of Debian's package, which
// `make peers` unpacks.
func debian(t testing.TB) fs.FS {
	t.Helper()
	const dir = "../../build/fail2ban/etc/fail2ban"
	if _, err := os.Stat(dir); err != nil {
		t.Skip("Debian's package fail2ban is not unpacked in build/ (make peers does it)")
	}
	return os.DirFS(dir)
}

// authLog makes an auth.log of n lines of about 131 bytes, of which a tenth are
// refused attempts at sshd from many addresses.
func authLog(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	at := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	for i := range n {
		at = at.Add(time.Duration(r.IntN(50)) * time.Millisecond)
		addr := fmt.Sprintf("%d.%d.%d.%d", 1+r.IntN(222), r.IntN(256), r.IntN(256), r.IntN(256))
		pid, port := 300+r.IntN(4_000_000), 1024+r.IntN(60000)
		fmt.Fprintf(&b, "%s bastion ", at.Format(time.Stamp))
		if r.IntN(10) == 0 {
			switch r.IntN(4) {
			case 0:
				fmt.Fprintf(&b, "sshd[%d]: Failed password for root from %s port %d ssh2\n", pid, addr, port)
			case 1:
				fmt.Fprintf(&b, "sshd[%d]: Failed password for invalid user admin from %s port %d ssh2\n", pid, addr, port)
			case 2:
				fmt.Fprintf(&b, "sshd[%d]: Invalid user oracle from %s port %d\n", pid, addr, port)
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

// accessLog makes an access.log of n lines in nginx's combined form, of which a
// tenth ask for what is not there.
func accessLog(n int) []byte {
	r := rand.New(rand.NewPCG(3, 4))
	var b bytes.Buffer
	at := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	for range n {
		at = at.Add(time.Duration(r.IntN(50)) * time.Millisecond)
		path, code := fmt.Sprintf("/static/app-%d.js", r.IntN(1e6)), 200
		if r.IntN(10) == 0 {
			path, code = "/phpmyadmin/index.php", 404
		}
		fmt.Fprintf(&b, "%d.%d.%d.%d - - [%s] \"GET %s HTTP/1.1\" %d %d \"https://example.org/\" \"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\"\n",
			1+r.IntN(222), r.IntN(256), r.IntN(256), r.IntN(256), at.Format("02/Jan/2006:15:04:05 -0700"), path, code, r.IntN(20000))
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

// cpuSeconds is the processor time that the program has taken.
func cpuSeconds(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

func benchmark(b *testing.B, spec string, log []byte, lines int) {
	f, err := Compile(debian(b), spec, Options{})
	if err != nil {
		b.Fatal(err)
	}
	bs := blocks(log)
	now := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	failures, total := 0, 0
	start := cpuSeconds(b)
	for b.Loop() {
		s := f.Scanner(ScanOptions{})
		failures = 0
		for _, block := range bs {
			s.Scan(block, now, func(*Failure) { failures++ })
		}
		total += lines
	}
	b.ReportMetric(float64(total)/(cpuSeconds(b)-start), "lines/cpu-s")
	b.ReportMetric(float64(failures)/float64(lines), "failures/line")
}

// BenchmarkSSHD has Debian's sshd filter, and 1M lines of auth.log of which a
// tenth are refused attempts. Budget: 1.5M lines a CPU-second.
func BenchmarkSSHD(b *testing.B) { benchmark(b, "sshd", authLog(1_000_000), 1_000_000) }

// BenchmarkBotsearch has Debian's nginx-botsearch, and 200k lines of access.log.
func BenchmarkBotsearch(b *testing.B) { benchmark(b, "nginx-botsearch", accessLog(200_000), 200_000) }

// BenchmarkHostile has the lines of 85 bytes of GHSA-33wh-ccjc-p397, which take
// fail2ban seconds. Budget: 1 ms a line.
func BenchmarkHostile(b *testing.B) {
	for _, c := range hostile {
		f, err := Compile(debian(b), c.spec, Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(c.spec, func(b *testing.B) {
			s := f.Scanner(ScanOptions{CheckAll: true})
			for b.Loop() {
				s.Line([]byte(c.line), noon, func(*Failure) {})
			}
		})
	}
}
