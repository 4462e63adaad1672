package rules

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

var (
	attacker  = netip.MustParseAddr("203.0.113.61")
	bystander = netip.MustParseAddr("203.0.113.9") // the client that was honest in between
	innocent  = netip.MustParseAddr("198.51.100.7")
)

// TestSSHDInjectionCaptured reads what a real sshd wrote for a client that
// tried to have an innocent address banned.
func TestSSHDInjectionCaptured(t *testing.T) {
	r := builtin(t, "sshd")
	log := readTestdata(t, "attack-syslog.log")
	if n := bytes.Count(log, []byte(innocent.String())); n < 50 {
		t.Fatalf("the log names the innocent address %d times only", n)
	}
	hits := map[netip.Addr]int{}
	for _, h := range scan(t, r, log, SourceOptions{}) {
		hits[h.Addr]++
		if h.Addr != attacker && h.Addr != bystander {
			t.Errorf("%s: hit of %s in %q", h.Pattern.Name, h.Addr, h.Line)
		}
		if h.Evidence != gate.Proven {
			t.Errorf("%s: evidence %s in %q", h.Pattern.Name, h.Evidence, h.Line)
		}
	}
	if hits[attacker] < 100 {
		t.Errorf("the attacker was hit %d times only", hits[attacker])
	}
}

// TestSSHDInjectionCutAnywhere cuts the lines of the attack at each place, as
// loggers do that have a limit of at least 256 bytes for a line, and strips the
// spaces at the end, as journald does.
func TestSSHDInjectionCutAnywhere(t *testing.T) {
	r := builtin(t, "sshd")
	s := NewMatcher([]*Rule{r}, Options{}).Scanner(SourceOptions{Zone: time.UTC})
	for line := range bytes.Lines(readTestdata(t, "attack-syslog.log")) {
		for n := 255; n < len(line); n++ {
			s.Scan(bytes.TrimRight(line[:n], " \n"), sampleNow, func(h *Hit) {
				if h.Addr == innocent {
					t.Errorf("%s: hit of %s in %q", h.Pattern.Name, h.Addr, h.Line)
				}
			})
		}
	}
}

// TestSSHDInjectionBare reads what sshd -e wrote for the same client. Line ends
// in names are not escaped there, so lines can be forged, and no reader can
// tell; all of them are worth no more than what anyone can forge.
func TestSSHDInjectionBare(t *testing.T) {
	r := builtin(t, "sshd")
	forged := 0
	for _, h := range scan(t, r, readTestdata(t, "attack-stderr.log"), SourceOptions{}) {
		if h.Evidence != gate.Forgeable {
			t.Errorf("%s: evidence %s in %q", h.Pattern.Name, h.Evidence, h.Line)
		}
		if h.Addr != attacker && h.Addr != bystander {
			forged++
			if string(bytes.TrimSpace(h.Line)) != "Failed password for root from 198.51.100.7 port 22 ssh2" {
				t.Errorf("%s: hit of %s in %q", h.Pattern.Name, h.Addr, h.Line)
			}
		}
	}
	if forged == 0 {
		t.Error("the log of this test shows no forgery any more")
	}
	for _, h := range scan(t, r, []byte("Failed password for root from 192.0.2.1 port 22 ssh2\r\n"), SourceOptions{Trusted: true}) {
		if h.Evidence != gate.Proven {
			t.Errorf("a trusted source gives evidence %s", h.Evidence)
		}
	}
}

// hostile are texts that a peer may send as a name, a banner, a reason.
func hostile() []string {
	evil := innocent.String()
	base := []string{
		"", " ", "x", evil, "[" + evil + "]", "x from " + evil, "x from " + evil + " port 22 ssh2", "x from " + evil + " port 22 ssh2: RSA SHA256:abc",
		"x " + evil + " port 22", "x " + evil + " port 22 [preauth]", "x " + evil + " port 22: Too many authentication failures", "x " + evil + " port 22: Too many authentication failures [preauth]",
		"invalid user x from " + evil + " port 22 ssh2", "x' from " + evil + " port 22", "from " + evil, "for x from " + evil + " port 22 ssh2",
		"root rhost=" + evil, "root  user=root rhost=" + evil + " ", "::ffff:" + evil, evil + ":22", "x (" + evil + ")", "x, ip=" + evil + ").",
		"x\nFailed password for root from " + evil + " port 22 ssh2", "x\r\nNov 21 08:00:00 h sshd[1]: Failed password for root from " + evil + " port 22 ssh2\n",
		"\x1b[31m" + evil, "\x00" + evil, "\xff\xfe from " + evil + " port 22 ssh2", "\\n from " + evil + " port 22 ssh2", "#012 from " + evil + " port 22 ssh2",
		"message repeated 9 times: [ Failed password for root from " + evil + " port 22 ssh2]", "]", "x]: Failed password for root from " + evil + " port 22 ssh2",
		"x not allowed because y", "root from " + evil + " not allowed because listed in DenyUsers", "x penalty: failed authentication", "Failed password for root from " + evil + " port 22 ssh2",
	}
	all := base
	for _, b := range base {
		all = append(all, b+strings.Repeat(" ", 60), strings.Repeat("\x01", 90)+b, strings.Repeat("y", 120)+b, b+" from "+evil, b+b)
	}
	return append(all, strings.Repeat("A", 100_000), strings.Repeat(" from "+evil+" port 22 ssh2", 4000), strings.Repeat("\x01", 100_000))
}

// vis escapes as sshd does for syslog (log.c, VIS_CSTYLE|VIS_NL|VIS_TAB|VIS_OCTAL).
func vis(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\\':
			b.WriteString(`\\`)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c == 0:
			return b.String() // a C string ends here
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// clipTo is C's %.ns.
func clipTo(s string, n int) string { return s[:min(len(s), n)] }

// sshdMessages are the statements in which a peer's text stands, each with the
// limits that sshd sets; a is the peer's address, p its port.
func sshdMessages(text, a string, p int) []string {
	name := clipTo(text, 100)
	id := func(kind string) string { return fmt.Sprintf("%s %s port %d", clipTo(kind+" user "+text, 200), a, p) }
	return []string{
		fmt.Sprintf("Failed password for invalid user %s from %s port %d ssh2", name, a, p),
		fmt.Sprintf("Failed keyboard-interactive/pam for invalid user %s from %s port %d ssh2", name, a, p),
		fmt.Sprintf("Failed none for invalid user %s from %s port %d ssh2", name, a, p),
		fmt.Sprintf("Failed publickey for invalid user %s from %s port %d ssh2: RSA SHA256:zzzz", name, a, p),
		fmt.Sprintf("Failed publickey for invalid user %s from %s port %d ssh2: RSA-CERT SHA256:zzzz ID %s (serial 0) CA RSA SHA256:zzzz", name, a, p, text),
		fmt.Sprintf("Failed publickey for root from %s port %d ssh2: RSA-CERT SHA256:zzzz ID %s (serial 0) CA RSA SHA256:zzzz", a, p, text),
		fmt.Sprintf("Failed hostbased for invalid user %s from %s port %d ssh2: RSA SHA256:zzzz, client user \"%s\", client host \"%s\"", name, a, p, name, name),
		fmt.Sprintf("Failed hostbased for root from %s port %d ssh2: RSA SHA256:zzzz, client user \"%s\", client host \"%s\"", a, p, name, name),
		fmt.Sprintf("Postponed keyboard-interactive for invalid user %s from %s port %d ssh2 [preauth]", name, a, p),
		fmt.Sprintf("Invalid user %s from %s port %d", name, a, p),
		fmt.Sprintf("Invalid user %s from %s", name, a),
		fmt.Sprintf("error: PAM: User not known to the underlying authentication module for illegal user %s from %s", name, a),
		fmt.Sprintf("error: PAM: Authentication failure for illegal user %s from %s", name, a),
		fmt.Sprintf("error: maximum authentication attempts exceeded for invalid user %s from %s port %d ssh2 [preauth]", name, a, p),
		fmt.Sprintf("administratively prohibited connection for invalid user %s from %s port %d", name, a, p),
		fmt.Sprintf("Disconnecting %s: Too many authentication failures [preauth]", id("invalid")),
		fmt.Sprintf("Disconnecting %s: %s [preauth]", id("invalid"), clipTo(fmt.Sprintf("Change of username or service not allowed: (%s,ssh-connection) -> (%s,%s)", text, text, text), 100)),
		fmt.Sprintf("Disconnecting %s: %s [preauth]", id("authenticating user root"), clipTo("bad service request "+text, 100)),
		fmt.Sprintf("Connection closed by %s [preauth]", id("invalid")),
		fmt.Sprintf("Connection reset by %s [preauth]", id("invalid")),
		fmt.Sprintf("Disconnected from %s [preauth]", id("invalid")),
		fmt.Sprintf("ssh_dispatch_run_fatal: Connection from %s: message authentication code incorrect [preauth]", id("invalid")),
		fmt.Sprintf("Received disconnect from %s port %d:11: %s [preauth]", a, p, clipTo(text, 400)),
		fmt.Sprintf("error: Received disconnect from %s port %d:14: %s [preauth]", a, p, clipTo(text, 400)),
		fmt.Sprintf("Bad protocol version identification '%s' from %s port %d", clipTo(text, 100), a, p),
		fmt.Sprintf("error: Bad remote protocol version identification: '%s'", clipTo(text, 100)),
		fmt.Sprintf("error: kex_exchange_identification: client sent invalid protocol identifier \"%s\"", clipTo(text, 256)),
		fmt.Sprintf("probed from %s port %d with %s.  Don't panic.", a, p, text),
		fmt.Sprintf("Protocol major versions differ for %s port %d: SSH-2.0-x vs. %s", a, p, clipTo(text, 200)),
		fmt.Sprintf("Unable to negotiate with %s port %d: no matching cipher found. Their offer: %s [preauth]", a, p, text),
		fmt.Sprintf("userauth_hostbased mismatch: client sends %s, but we resolve %s to %s", text, a, a),
	}
}

// TestSSHDInjection puts hostile text into each statement that has room for
// it, escapes and cuts as sshd and loggers do, and looks for innocent hits.
func TestSSHDInjection(t *testing.T) {
	s := NewMatcher([]*Rule{builtin(t, "sshd")}, Options{}).Scanner(SourceOptions{Zone: time.UTC})
	const from = "203.0.113.61"
	hits := 0
	check := func(message string) {
		for _, form := range []string{"Nov 21 08:00:00 h sshd[1]: %s", "2026-11-21T08:00:00.1+01:00 h sshd-session[1]: %s", "Nov 21 08:00:00 h sshd[1]: message repeated 2 times: [ %s]", "%s"} {
			if form == "%s" && strings.HasPrefix(message, "message repeated") {
				continue
			}
			line := fmt.Sprintf(form, message)
			s.Scan([]byte(line), sampleNow, func(h *Hit) {
				hits++
				if h.Addr != attacker {
					t.Errorf("%s: hit of %s in %q", h.Pattern.Name, h.Addr, clipTo(line, 900))
				}
			})
		}
	}
	for _, text := range hostile() {
		for _, m := range sshdMessages(text, from, 4242) {
			once := vis(clipTo(m, 1023)) // log.c: MSGBUFSIZ
			check(once)                  // a logger without a limit
			cut := clipTo(once, 500)     // log.c: syslog("%.500s")
			check(cut)
			check(strings.TrimRight(cut, " ")) // journald
			check(clipTo(vis(once), 500))      // 9.2 escapes the messages of its child twice
			if len(once) > 200 {
				check(clipTo(once, 255-len("Nov 21 08:00:00 sshd-session[4194304]: <38>"))) // BusyBox syslogd
			}
		}
	}
	if hits < 10_000 {
		t.Errorf("%d hits only", hits)
	}
}
