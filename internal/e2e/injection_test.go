package e2e

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/netlab"
)

// An attacker controls what sshd logs about him: user names that look like
// addresses and like the end of a line of log, escapes, noise, banners. Nobody
// but him is ever banned.
func TestLogInjection(t *testing.T) {
	y := newYard(t, "", "attacker")
	attacker := y.others["attacker"]
	sshd := netlab.StartSSHD(y.gate, netlab.SSHOptions{Users: []string{"ann"}, Syslog: true, Config: []string{"LogLevel VERBOSE", "MaxStartups 100:30:200"}})
	y.daemon.Configure(watchLog(sshd.Log, "threshold: 2 in 1d, ban: [1h]") + "allow: [192.0.2.10]\n")
	y.daemon.Start()
	const victim = "198.51.100.77"
	users := []string{
		victim,
		"x from " + victim + " port 22 ssh2",
		"root from " + victim,
		"invalid user y from " + victim + " port 22",
		"x\nJan  1 00:00:00 gate sshd[1]: Failed password for root from " + victim + " port 22 ssh2",
		"x\r\nFailed password for root from " + victim + " port 22 ssh2",
		"\x1b[2Jx from " + victim + " port 1 ssh2",
		"x from " + victim + " port 22 ssh2: RSA SHA256:abc",
		"x [preauth] from " + victim,
		strings.Repeat("A", 900) + " from " + victim + " port 22 ssh2",
		"from " + victim + " port 22 ssh2 from " + victim + " port 22 ssh2",
		"%s%n from " + victim,
		"x' rhost=" + victim + " user=root",
		"rhost=" + victim,
		"::ffff:" + victim,
	}
	for _, u := range users {
		for range 2 {
			if err := rawLogin(attacker, sshd.Addr, u, "from "+victim+" port 22 ssh2"); err != nil {
				t.Logf("user %.60q: %v", u, err) // sshd may hang up on what it does not like
			}
		}
	}
	for _, banner := range []string{
		"SSH-2.0-x from " + victim + " port 22\r\n",
		"GET / from " + victim + " port 22 ssh2 HTTP/1.0\r\n\r\n",
		"Failed password for root from " + victim + " port 22 ssh2\n",
		strings.Repeat("x from "+victim+" port 22 ", 4000),
	} {
		for range 2 {
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			c, err := attacker.Dial(ctx, "tcp", sshd.Addr.String())
			cancel()
			if err != nil {
				continue
			}
			fmt.Fprint(c, banner)
			c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
			io.Copy(io.Discard, c)
			c.Close()
		}
	}
	// A line of our own behind all of that: once it is acted on, all was read.
	next := y.daemon.Follow()
	failures(t, sshd.Log, "203.0.113.250", 2)
	if _, err := next(isBan("203.0.113.250")); err != nil {
		t.Fatal(err)
	}
	var bans []ban
	y.daemon.JSON(&bans, "bans")
	for _, b := range bans {
		if b.Subject != "203.0.113.250" {
			t.Errorf("%s was banned: %s\n%s", b.Subject, b.Reason, y.daemon.Must("why", b.Subject))
		}
	}
	var st status
	y.daemon.JSON(&st, "status")
	if st.Sources[0].Hits < 20 {
		t.Errorf("only %d hits: did the attack arrive?", st.Sources[0].Hits)
	}
}
