package corpus

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"time"
)

// maker writes lines of log.
type maker struct {
	bytes.Buffer
	*rand.Rand
	at time.Time
}

func newMaker() *maker {
	return &maker{Rand: rand.New(rand.NewPCG(1, 2)), at: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)}
}

func (m *maker) of(s ...string) string { return s[m.IntN(len(s))] }

// addr is one of n addresses.
func (m *maker) addr(n int) string {
	i := m.IntN(n)
	return fmt.Sprintf("203.%d.%d.%d", i>>16, i>>8&255, i&255)
}

// syslog writes one line.
func (m *maker) syslog(tag, format string, args ...any) {
	m.at = m.at.Add(80 * time.Millisecond)
	fmt.Fprintf(m, "%s bastion %s: ", m.at.Format(time.Stamp), tag)
	fmt.Fprintf(m, format, args...)
	m.WriteByte('\n')
}

func (m *maker) tag(program string) string {
	return fmt.Sprintf("%s[%d]", program, 300+m.IntN(4_000_000))
}

// AuthLog returns n lines of auth.log, 131 bytes each on average. One in ten
// tells of a refused attempt, half of them of OpenSSH, the others of sixteen
// services of AuthRules.
func AuthLog(n int) []byte {
	m := newMaker()
	m.Grow(n * 135)
	for i := range n {
		if i%10 == 9 {
			m.refused()
		} else {
			m.idle()
		}
	}
	return m.Bytes()
}

// SSHLog returns n lines of sshd, each of them a refused attempt, from at most
// so many addresses.
func SSHLog(n, addresses int) []byte {
	m := newMaker()
	for range n {
		m.refusedSSH(m.addr(addresses))
	}
	return m.Bytes()
}

func (m *maker) user() string {
	return m.of("root", "admin", "test", "oracle", "ubuntu", "postgres", "git", "deploy", "ftpuser", "jenkins")
}

func (m *maker) refusedSSH(addr string) {
	port := 1024 + m.IntN(60000)
	switch m.IntN(4) {
	case 0:
		m.syslog(m.tag("sshd"), "Failed password for root from %s port %d ssh2", addr, port)
	case 1:
		m.syslog(m.tag("sshd"), "Failed password for invalid user %s from %s port %d ssh2", m.user(), addr, port)
	case 2:
		m.syslog(m.tag("sshd"), "Invalid user %s from %s port %d", m.user(), addr, port)
	default:
		m.syslog(m.tag("sshd"), "Connection closed by authenticating user root %s port %d [preauth]", addr, port)
	}
}

// refused writes one line that a rule hits.
func (m *maker) refused() {
	a, u, p := m.addr(997), m.user(), 1024+m.IntN(60000)
	pam := func(tag, service string) {
		m.syslog(m.tag(tag), "pam_unix(%s:auth): authentication failure; logname= uid=0 euid=0 tty=%s ruser=%s rhost=%s  user=%s", service, service, u, a, u)
	}
	switch m.IntN(32) {
	case 0:
		m.syslog(m.tag("dropbear"), "Bad password attempt for '%s' from %s:%d", u, a, p)
	case 1:
		pam("vsftpd", "vsftpd")
	case 2:
		m.syslog(m.tag("proftpd"), "web1 (%s[%s]) - USER %s (Login failed): Incorrect password", a, a, u)
	case 3:
		m.syslog(m.tag("pure-ftpd"), "(?@%s) [WARNING] Authentication failed for user [%s]", a, u)
	case 4:
		m.syslog(m.tag("postfix/smtpd"), "warning: unknown[%s]: SASL LOGIN authentication failed: UGFzc3dvcmQ6", a)
	case 5:
		m.syslog("dovecot", "imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<%s>, method=PLAIN, rip=%s, lip=192.0.2.1, TLS, session=<abc>", u, a)
	case 6:
		pam("dovecot-auth", "dovecot")
	case 7:
		m.syslog(m.tag("named"), "client @0x7f0a1c %s#%d (example.org): query (cache) 'example.org/ANY/IN' denied", a, p)
	case 8:
		m.syslog(m.tag("openvpn"), "%s:%d TLS Auth Error: Auth Username/Password verification failed for peer", a, p)
	case 9:
		m.syslog(m.tag("xrdp-sesman"), "[INFO ] AUTHFAIL: user=%s ip=%s time=1795244400", u, a)
	case 10:
		m.syslog(m.tag("login"), "FAILED LOGIN (1) on '/dev/tty1' from '%s' FOR '%s', Authentication failure", a, u)
	case 11:
		m.syslog(m.tag("mysqld"), "42 [Warning] Access denied for user '%s'@'%s' (using password: YES)", u, a)
	case 12:
		m.syslog(m.tag("asterisk"), "NOTICE[99]: chan_sip.c:28468 in handle_request_register: Registration from '\"100\" <sip:100@192.0.2.1>' failed for '%s:%d' - Wrong password", a, p)
	case 13:
		m.syslog(m.tag("webmin"), "Invalid login as %s from %s", u, a)
	case 14:
		m.syslog(m.tag("pvedaemon"), "authentication failure; rhost=::ffff:%s user=%s@pam msg=Authentication failure", a, u)
	case 15:
		m.syslog(m.tag("gitea"), "...auth.go:1 [I] Failed authentication attempt for %s from %s:%d: user does not exist", u, a, p)
	default:
		m.refusedSSH(a)
	}
}

// idle writes one line that no rule hits.
func (m *maker) idle() {
	u, pid := m.user(), 300+m.IntN(4_000_000)
	switch m.IntN(16) {
	case 0, 1:
		m.syslog(m.tag("CRON"), "pam_unix(cron:session): session opened for user root(uid=0) by root(uid=0)")
	case 2:
		m.syslog(m.tag("CRON"), "pam_unix(cron:session): session closed for user root")
	case 3, 4:
		m.syslog("sudo", "  deploy : TTY=pts/%d ; PWD=/srv/app/releases/current ; USER=root ; COMMAND=/usr/bin/systemctl restart worker-%d.service", m.IntN(9), m.IntN(99))
	case 5:
		m.syslog("sudo", "pam_unix(sudo:session): session opened for user root(uid=0) by deploy(uid=1000)")
	case 6:
		m.syslog("systemd-logind[611]", "New session %d of user deploy, leader %d, on seat0, class user, type tty.", pid, pid)
	case 7:
		m.syslog(m.tag("sshd"), "pam_unix(sshd:session): session opened for user %s(uid=1000) by %s(uid=0)", u, u)
	case 8:
		m.syslog(m.tag("sshd"), "Starting session: command for deploy from 198.51.100.7 port %d id 0 env none", pid%60000)
	case 9:
		m.syslog("kernel", "[%d.%06d] audit: type=1400 audit(1795244400.1:%d): apparmor=\"ALLOWED\" operation=\"open\" class=\"file\" profile=\"/usr/sbin/nginx\" name=\"/srv/www/index\"", pid, m.IntN(999999), pid)
	case 10:
		m.syslog("polkitd[702]", "Registered Authentication Agent for unix-process:%d:%d (system bus name :1.%d [/usr/bin/pkttyagent --notify-fd 5 --fallback])", pid, pid, m.IntN(999))
	case 11:
		m.syslog("dbus-daemon[588]", "[system] Successfully activated service 'org.freedesktop.hostname1' requested by ':1.%d' (uid=0 pid=%d comm=\"hostnamectl\")", m.IntN(999), pid)
	case 12:
		m.syslog(m.tag("postfix/smtpd"), "connect from mail-%d.example.org[198.51.100.%d] while reading input from the network", m.IntN(99), m.IntN(256))
	case 13:
		m.syslog("dovecot", "imap-login: Login: user=<%s>, method=PLAIN, rip=198.51.100.7, lip=192.0.2.1, mpid=%d, TLS, session=<Zr5x2k4L0c%d>", u, pid, pid)
	case 14:
		m.syslog(m.tag("named"), "success resolving 'mail-%d.example.org/A' (in 'example.org') after reducing the advertised EDNS UDP packet size to 512 octets", m.IntN(99))
	default:
		m.syslog("systemd[1]", "Started session-%d.scope - Session %d of User deploy, and reached target graphical and multi-user mode.", pid, pid)
	}
}
