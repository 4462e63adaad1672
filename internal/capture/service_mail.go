package main

import (
	"encoding/base64"
	"strings"
	"time"
)

// plain is the SASL mechanism PLAIN (RFC 4616), as one line of SMTP or IMAP.
func plain(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
}

// login are the lines of the SASL mechanism LOGIN in SMTP.
func login(user, password string) []string {
	e := base64.StdEncoding
	return []string{"AUTH LOGIN", e.EncodeToString([]byte(user)), e.EncodeToString([]byte(password))}
}

// smtpAttacks are what any mail server sees on port 25, for example.org.
func smtpAttacks() []Attack {
	const port = 25
	// mail offers a message until its recipient is accepted or not.
	mail := func(c *Client, helo, from, to string) {
		c.Say(port, "EHLO "+helo, "MAIL FROM:<"+from+">", "RCPT TO:<"+to+">", "QUIT")
	}
	return []Attack{
		{"a message that is welcome", func(r *Run) {
			for _, c := range []*Client{r.Other, r.OtherV6} {
				c.Say(port, "EHLO mail.example.net", "MAIL FROM:<bob@example.net>", "RCPT TO:<alice@example.org>", "DATA", "Subject: hello\r\nMessage-ID: <1@example.net>\r\n\r\nhello\r\n.", "QUIT")
			}
		}},
		{"relaying", func(r *Run) {
			mail(r.V4, "spam.example", "bob@example.net", "victim@example.com")
			mail(r.V6, "spam.example", "bob@example.net", "victim@example.com")
			mail(r.V4, "spam.example", "", "victim%example.com@example.org")
		}},
		{"unknown recipient, unknown sender domain, strange syntax", func(r *Run) {
			mail(r.V4, "spam.example", "bob@example.net", "nobody-here@example.org")
			mail(r.V6, "spam.example", "bob@example.net", "nobody-here@example.org")
			mail(r.V4, "spam.example", "bob@missing.invalid", "alice@example.org")
			mail(r.V4, "gate.example.org", "alice@example.org", "alice@example.org")
			mail(r.V4, "192.0.2.10", "bob@example.net", "alice@example.org")
			mail(r.V4, "[192.0.2.66]", "bob", "alice")
			mail(r.V4, "-", "bob@@example.net", "al ice@example.org")
			r.V4.Say(port, "HELO", "HELO a b", "MAIL FROM:bob", "RCPT TO:<alice@example.org>", "VRFY root", "EXPN root", "ETRN example.org", "QUIT")
		}},
		{"wrong password, unknown user", func(r *Run) {
			for _, c := range []*Client{r.V4, r.V6} {
				c.Say(port, "EHLO spam.example", "AUTH PLAIN "+plain("alice", "wrong"), "QUIT")
				c.Say(port, append(append([]string{"EHLO spam.example"}, login("alice", "wrong")...), "QUIT")...)
				c.Say(port, append(append([]string{"EHLO spam.example"}, login("nobody-here@example.org", "wrong")...), "QUIT")...)
			}
			r.V4.Say(port, "EHLO spam.example", "AUTH PLAIN !!!", "AUTH LOGIN", "*", "AUTH CRAM-MD5", "*", "AUTH NTLM", "AUTH PLAIN "+plain("", ""), "QUIT")
		}},
		{"correct password", func(r *Run) {
			r.Other.Say(port, "EHLO mail.example.net", "AUTH PLAIN "+plain("alice", "open sesame"), "QUIT")
			r.OtherV6.Say(port, "EHLO mail.example.net", "AUTH PLAIN "+plain("alice", "open sesame"), "MAIL FROM:<alice@example.org>", "RCPT TO:<alice@example.org>", "DATA", "Subject: hello\r\n\r\nhello\r\n.", "QUIT")
		}},
		{"many passwords in one connection", func(r *Run) {
			lines := []string{"EHLO spam.example"}
			for range 12 {
				lines = append(lines, "AUTH PLAIN "+plain("alice", "wrong"))
			}
			r.V4.Say(port, append(lines, "QUIT")...)
		}},
		{"scan: no word, words before the greeting, another protocol, an end in the middle, broken TLS", func(r *Run) {
			r.V4.Knock(port)
			r.V6.Reset(port, "EHLO spam.example\r\n")
			r.V4.Send(port, "EHLO spam.example\r\nMAIL FROM:<bob@example.net>\r\n")
			r.V4.Say(port, "GET / HTTP/1.1", "Host: gate", "User-Agent: zgrab/0.x")
			r.V4.Send(port, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello over TLS\n\n")
			r.V4.Say(port, "EHLO spam.example", "STARTTLS", "MAIL FROM:<bob@example.net>")
			r.V4.Say(port, "EHLO spam.example", "MAIL FROM:<bob@example.net>", "RCPT TO:<alice@example.org>", "DATA", "no end")
			r.V4.Say(port, append([]string{"EHLO spam.example"}, strings.Fields(strings.Repeat("FOO ", 25))...)...)
			r.V4.Say(port, "EHLO "+longPath, "QUIT")
		}},
		{"hostile names of users", func(r *Run) {
			for _, name := range hostileTexts() {
				r.V4.Say(port, append(append([]string{"EHLO spam.example"}, login(name, "wrong")...), "QUIT")...)
			}
		}},
		{"hostile greetings, senders, recipients", func(r *Run) {
			for _, name := range hostileNames() {
				mail(r.V4, name, "bob@example.net", "victim@example.com")
				mail(r.V4, "spam.example", name+"@example.net", "victim@example.com")
				mail(r.V4, "spam.example", `"`+strings.ReplaceAll(name, `"`, `\"`)+`"@example.net`, "victim@example.com")
				mail(r.V4, "spam.example", "bob@example.net", `"`+strings.ReplaceAll(name, `"`, `\"`)+`"@example.com`)
				r.V4.Say(port, "EHLO spam.example", name, "QUIT")
			}
		}},
		{"hostile name of the attacker's address", func(r *Run) {
			for _, name := range []string{bystander4, "198-51-100-77.example.com", "spam.example.com"} {
				r.Reverse(attacker4, name)
				mail(r.V4, "spam.example", "bob@example.net", "victim@example.com")
				r.V4.Say(port, "EHLO spam.example", "AUTH PLAIN "+plain("alice", "wrong"), "QUIT")
			}
			r.Reverse(attacker4, "")
		}},
	}
}

// Exim is a mail server, as Debian configures it for an internet site, with the
// authenticators of its examples and a list of bad senders.
func (catalogue) Exim() Service {
	return Service{
		Name:     "exim4",
		Packages: []string{"exim4-daemon-light", "exim4-config"},
		Users:    []User{alice},
		Files: map[string]string{"/etc/exim4/exim4.conf.localmacros": `MAIN_TLS_ENABLE = yes
AUTH_SERVER_ALLOW_NOTLS_PASSWORDS = yes
CHECK_RCPT_IP_DNSBLS = rbl.example.org
CHECK_RCPT_VERIFY_SENDER = yes
`},
		Prepare: selfSigned + `cd /etc/exim4
install -m 640 -g Debian-exim /etc/ssl/gate.crt exim.crt
install -m 640 -g Debian-exim /etc/ssl/gate.key exim.key
printf 'alice:%s\n' "$(openssl passwd -1 'open sesame')" >passwd
chown root:Debian-exim passwd; chmod 640 passwd
sed -i "s/configtype='local'/configtype='internet'/; s/^dc_local_interfaces=.*/dc_local_interfaces=''/; s/^dc_other_hostnames=.*/dc_other_hostnames='example.org'/" update-exim4.conf.conf
sed -i -e '/^# plain_server:/,/^# *\.endif/s/^# \{0,1\}//' -e '/^# login_server:/,/^# *\.endif/s/^# \{0,1\}//' exim4.conf.template
update-exim4.conf`,
		Command:  []string{"exim4", "-bdf", "-q30m"},
		Ready:    Ready{TCP: 25},
		Logs:     []Log{{From: "/var/log/exim4/mainlog"}, {From: "/var/log/exim4/rejectlog", As: "reject"}},
		Volatile: []string{`\b\w{6}-\w{6,11}-\w{2,4}\b`, `DN="[^"]*"`},
		Attacks:  smtpAttacks(),
		Patience: 6 * time.Minute,
	}
}

// Postfix is a mail server; Dovecot checks the passwords. Port 2525 is postscreen.
func (catalogue) Postfix() Service {
	const screen = 2525
	return Service{
		Name:     "postfix",
		Packages: []string{"postfix", "dovecot-core"},
		Debconf:  []string{"postfix postfix/main_mailer_type select Internet Site", "postfix postfix/mailname string gate.example.org"},
		Users:    []User{alice},
		Files: map[string]string{"/etc/dovecot/conf.d/99-gate.conf": `service auth {
  unix_listener /var/spool/postfix/private/auth {
    mode = 0660
    user = postfix
    group = postfix
  }
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
auth_mechanisms = plain login
auth_failure_delay = 0
ssl = no
`},
		Prepare: selfSigned + `postconf -e myhostname=gate.example.org mydestination=gate.example.org,example.org,localhost inet_interfaces=all inet_protocols=all \
	'mynetworks=127.0.0.0/8 [::1]/128' smtpd_tls_cert_file=/etc/ssl/gate.crt smtpd_tls_key_file=/etc/ssl/gate.key smtpd_tls_security_level=may \
	smtpd_sasl_type=dovecot smtpd_sasl_path=private/auth smtpd_sasl_auth_enable=yes \
	smtpd_relay_restrictions=permit_sasl_authenticated,reject_unauth_destination smtpd_helo_required=yes \
	smtpd_helo_restrictions=reject_invalid_helo_hostname,reject_non_fqdn_helo_hostname smtpd_sender_restrictions=reject_unknown_sender_domain \
	smtpd_error_sleep_time=0 smtpd_client_connection_rate_limit=0 \
	postscreen_greet_action=enforce postscreen_greet_wait=2s postscreen_dnsbl_sites=rbl.example.org postscreen_dnsbl_action=enforce
postconf -M '2525/inet=2525 inet n - y - 1 postscreen' 'smtpd/pass=smtpd pass - - y - - smtpd' 'dnsblog/unix=dnsblog unix - - y - 0 dnsblog' \
	'465/inet=465 inet n - y - - smtpd -o smtpd_tls_wrappermode=yes -o smtpd_client_connection_rate_limit=2 -o smtpd_client_auth_rate_limit=2'
newaliases
/usr/lib/postfix/configure-instance.sh
/usr/sbin/dovecot`,
		Command: []string{"postfix", "start-fg"},
		Ready:   Ready{TCP: 25},
		// What was there before the greeting depends on who was faster.
		Sometimes: []string{`improper command pipelining`, `auth client \d+ disconnected with`},
		Volatile:  []string{`\b[0-9A-F]{8,12}\b`, `delays?=[0-9./]+`, `message-id=<[^>]*>`},
		Attacks: append(smtpAttacks(),
			Attack{"postscreen: words before the greeting, a listed address, a client that behaves", func(r *Run) {
				r.V4.Send(screen, "EHLO spam.example\r\n")
				r.V4.Say(screen, "EHLO spam.example", "MAIL FROM:<bob@example.net>", "RCPT TO:<alice@example.org>", "QUIT")
				r.V6.Say(screen, "EHLO spam.example", "MAIL FROM:<bob@example.net>", "RCPT TO:<alice@example.org>", "QUIT")
				r.V6.Knock(screen)
				r.Other.Say(screen, "EHLO mail.example.net", "QUIT")
				r.Expect("PASS NEW", other4)
			}},
			Attack{"more connections and passwords than allowed", func(r *Run) {
				for range 4 {
					r.V4.SayTLS(465, "EHLO spam.example", "AUTH PLAIN "+plain("alice", "wrong"), "AUTH PLAIN "+plain("alice", "wrong"), "AUTH PLAIN "+plain("alice", "wrong"), "QUIT")
				}
				r.V6.Send(465, "EHLO spam.example\r\n")
				r.Expect("Connection rate limit exceeded")
			}}),
		Patience: 6 * time.Minute,
	}
}

// Dovecot is a server of IMAP and POP3, passwords are PAM's. Its penalty for
// those who fail, up to 15 seconds, is off, for the time it takes.
func (catalogue) Dovecot() Service {
	const imap, imaps, pop3, pop3s = 143, 993, 110, 995
	attempts := func(c *Client, user, password string) {
		c.SayTLS(imaps, "a AUTHENTICATE PLAIN "+plain(user, password), "b LOGOUT")
		c.SayTLS(pop3s, "AUTH PLAIN "+plain(user, password), "QUIT")
	}
	return Service{
		Name:     "dovecot",
		Packages: []string{"dovecot-imapd", "dovecot-pop3d"},
		Users:    []User{alice},
		Files: map[string]string{"/etc/dovecot/conf.d/99-gate.conf": `ssl_cert = </etc/ssl/gate.crt
ssl_key = </etc/ssl/gate.key
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
`},
		Prepare: selfSigned,
		Command: []string{"dovecot", "-F"},
		Ready:   Ready{TCP: imaps},
		// A client that is fast enough is gone before the service has all it needs.
		Volatile: []string{`<[A-Za-z0-9+/]{12,40}>`, `in \d+ secs`, `in=\d+ out=\d+`},
		Attacks: []Attack{
			{"wrong password", func(r *Run) {
				attempts(r.V4, "alice", "wrong")
				attempts(r.V6, "alice", "wrong")
				r.V4.SayTLS(imaps, "a LOGIN alice wrong", "b LOGIN alice wrong", "c LOGIN alice wrong", "d LOGOUT")
			}},
			{"unknown user", func(r *Run) {
				attempts(r.V4, "nobody-here", "wrong")
				attempts(r.V6, "nobody-here@example.org", "wrong")
			}},
			{"correct password", func(r *Run) {
				attempts(r.Other, "alice", "open sesame")
				attempts(r.OtherV6, "alice", "open sesame")
			}},
			{"no TLS: the password is refused", func(r *Run) {
				r.V4.Say(imap, "a LOGIN alice wrong", "b LOGOUT")
				r.V6.Say(pop3, "USER alice", "PASS wrong", "QUIT")
			}},
			{"scan: no word, another protocol, an end in the middle, broken TLS", func(r *Run) {
				for _, port := range []int{imap, pop3, imaps} {
					r.V4.Knock(port)
					r.V6.Reset(port, "a LOGIN")
					r.V4.Send(port, "GET / HTTP/1.1\r\nHost: gate\r\n\r\n")
					r.V4.Say(port, "a FOO", "b FOO", "c FOO", "d FOO")
				}
				r.V4.SayTLS(imaps, "a LOGOUT")
				r.V4.SayTLS(imaps, "a AUTHENTICATE PLAIN !!!", "b AUTHENTICATE GSSAPI", "c AUTHENTICATE PLAIN "+plain("", ""), "d LOGOUT")
			}},
			{"hostile names", func(r *Run) {
				for _, name := range hostileTexts() {
					r.V4.SayTLS(imaps, "a AUTHENTICATE PLAIN "+plain(name, "wrong"), "b LOGOUT")
				}
			}},
			{"hostile identity of the client, and of one whose address a proxy would tell", func(r *Run) {
				r.V4.SayTLS(imaps, `a ID ("name" "x, rip=`+bystander4+`" "x-originating-ip" "`+bystander4+`" "x-session-id" "`+bystander4+`")`, "b LOGIN alice wrong", "c LOGOUT")
				r.V4.SayTLS(pop3s, "XCLIENT ADDR="+bystander4+" PORT=1", "USER alice", "PASS wrong", "QUIT")
			}},
			{"the same with auth_verbose", func(r *Run) {
				r.Shell("echo auth_verbose=yes >>/etc/dovecot/conf.d/99-gate.conf; doveadm reload")
				r.Expect("SIGHUP received")
				attempts(r.V4, "alice", "wrong")
				attempts(r.V6, "nobody-here", "wrong")
				attempts(r.Other, "alice", "open sesame")
				for _, name := range hostileTexts() {
					r.V4.SayTLS(imaps, "a AUTHENTICATE PLAIN "+plain(name, "wrong"), "b LOGOUT")
				}
			}},
		},
		Patience: 8 * time.Minute,
	}
}
