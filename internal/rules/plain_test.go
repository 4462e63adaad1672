package rules

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

// TestCutDate shows what becomes the message of a line that begins with a date
// of its own: one line for each program that writes so.
func TestCutDate(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	const at = "2026-11-21T08:00:00Z"
	cases := []struct{ line, at, message string }{
		{`2026-11-21 08:00:00.123 UTC [12] joe@db FATAL:  password authentication failed for user "joe"`, "2026-11-21T08:00:00.123Z", `[12] joe@db FATAL:  password authentication failed for user "joe"`},        // PostgreSQL
		{`2026-11-21T08:00:00.123456Z 12 [Note] [MY-010926] [Server] Access denied`, "2026-11-21T08:00:00.123456Z", `12 [Note] [MY-010926] [Server] Access denied`},                                               // MySQL 8
		{`2026-11-21  8:00:00 12 [Warning] Access denied for user 'joe'@'192.0.2.7'`, at, `12 [Warning] Access denied for user 'joe'@'192.0.2.7'`},                                                                // MariaDB
		{`261121  8:00:00 [Warning] Access denied`, at, `[Warning] Access denied`},                                                                                                                                // MySQL 5.5
		{`2026/11/21 08:00:00 [error] 12#12: *1 user "joe": password mismatch, client: 192.0.2.7`, at, `[error] 12#12: *1 user "joe": password mismatch, client: 192.0.2.7`},                                      // nginx
		{`[Sat Nov 21 08:00:00.123456 2026] [auth_basic:error] [pid 1:tid 2] [client 192.0.2.7:4] AH01618: x`, "2026-11-21T08:00:00.123456Z", `[auth_basic:error] [pid 1:tid 2] [client 192.0.2.7:4] AH01618: x`}, // Apache 2.4
		{`[Sat Nov 21 08:00:00 2026] [error] [client 192.0.2.7] x`, at, `[error] [client 192.0.2.7] x`},                                                                                                           // Apache 2.2
		{`2026-11-21 08:00:00,123 WARN  [http-1] o.s.Login - refused`, "2026-11-21T08:00:00.123Z", `WARN  [http-1] o.s.Login - refused`},                                                                          // log4j
		{`[2026-11-21 08:00:00,123] WARN refused`, "2026-11-21T08:00:00.123Z", `WARN refused`},
		{`[Nov 21 08:00:00] NOTICE[1][C-0]: chan_sip.c: Registration from`, at, `NOTICE[1][C-0]: chan_sip.c: Registration from`}, // Asterisk
		{`[2026-11-21 08:00:00.123] SECURITY[7] res_security_log.c: x`, "2026-11-21T08:00:00.123Z", `SECURITY[7] res_security_log.c: x`},
		{`2026-11-21 08:00:00 login authenticator failed for (x) [192.0.2.7]: 535`, at, `login authenticator failed for (x) [192.0.2.7]: 535`}, // Exim
		{`2026-11-21 08:00:00 +0100 [12] login authenticator failed`, "2026-11-21T07:00:00Z", `[12] login authenticator failed`},
		{`Sat Nov 21 08:00:00 2026 [pid 2] [joe] FAIL LOGIN: Client "192.0.2.7"`, at, `[pid 2] [joe] FAIL LOGIN: Client "192.0.2.7"`},                                                                                                                                       // vsftpd
		{`2026-11-21 08:00:00,123 host proftpd[12] host (192.0.2.7[192.0.2.7]): USER joe: no such user`, "2026-11-21T08:00:00.123Z", `host proftpd[12] host (192.0.2.7[192.0.2.7]): USER joe: no such user`},                                                                // ProFTPD
		{`[2026/11/21 08:00:00.123456,  2, pid=12, effective(0, 0), real(0, 0), class=auth_audit] ../../auth/auth_log.c:647(log_authentication_event_human_readable)`, "2026-11-21T08:00:00.123456Z", `../../auth/auth_log.c:647(log_authentication_event_human_readable)`}, // Samba
		{`12:M 21 Nov 2026 08:00:00.123 # Possible SECURITY ATTACK`, "2026-11-21T08:00:00.123Z", `# Possible SECURITY ATTACK`},                                                                                                                                              // Redis
		{`Sat Nov 21 08:00:00 2026 192.0.2.7:1194 TLS Error: TLS handshake failed`, at, `192.0.2.7:1194 TLS Error: TLS handshake failed`},                                                                                                                                   // OpenVPN
		{`2026-11-21 08:00:00 192.0.2.7:1194 TLS Error: TLS handshake failed`, at, `192.0.2.7:1194 TLS Error: TLS handshake failed`},
		{`1795248000.123    120 192.0.2.7 TCP_DENIED/407 3986 CONNECT x:443 joe HIER_NONE/- text/html`, "2026-11-21T08:00:00.123Z", `120 192.0.2.7 TCP_DENIED/407 3986 CONNECT x:443 joe HIER_NONE/- text/html`}, // squid
		{`1795248000: Client x disconnected, not authorised.`, at, `Client x disconnected, not authorised.`},                                                                                                     // Mosquitto
		{`Nov 21 08:00:00 c2s55a1\tinfo\tFailed authentication attempt`, at, `c2s55a1\tinfo\tFailed authentication attempt`},                                                                                     // Prosody
		{`2026-11-21 08:00:00.123+00:00 [info] <0.1.0>@ejabberd_c2s:1 (x) Failed`, "2026-11-21T08:00:00.123Z", `[info] <0.1.0>@ejabberd_c2s:1 (x) Failed`},
		{`2026-11-21 08:00:00: (mod_auth.c.828) password doesn't match`, at, `(mod_auth.c.828) password doesn't match`}, // lighttpd
		{`Sat Nov 21 08:00:00 2026 : Auth: (1) Login incorrect`, at, `Auth: (1) Login incorrect`},                       // FreeRADIUS
		{`[21/Nov/2026:08:00:00 +0000] [192.0.2.7] x`, at, `[192.0.2.7] x`},                                             // Webmin
		{`E [21/Nov/2026:08:00:00 +0000] [Client 1] x`, at, `[Client 1] x`},                                             // CUPS
		{`I, [2026-11-21T08:00:00.123456 #12]  INFO -- : [ab] Started POST`, "2026-11-21T08:00:00.123456Z", `INFO -- : [ab] Started POST`},
		{`2026.11.21 08:00:00 LOG5[1]: Service [x] accepted`, at, `LOG5[1]: Service [x] accepted`}, // stunnel
		{`time="2026-11-21T08:00:00Z" level=error msg="x" remote_ip=192.0.2.7`, at, `level=error msg="x" remote_ip=192.0.2.7`},
		{`t=2026-11-21T08:00:00Z lvl=eror msg=x`, at, `lvl=eror msg=x`},
		{`ts=1795248000.5 caller=x`, "2026-11-21T08:00:00.5Z", `caller=x`},
		{`Nov 21, 2026 08:00:00.123 [0x7f] WARN - x`, "2026-11-21T08:00:00.123Z", `[0x7f] WARN - x`},                                                        // Plex
		{`Nov 21, 2026 8:00:00 AM org.x y`, at, `org.x y`},                                                                                                  // java.util.logging
		{`21-Nov-2026 08:00:00.123 client @0x7f 192.0.2.7#53 (x): query denied`, "2026-11-21T08:00:00.123Z", `client @0x7f 192.0.2.7#53 (x): query denied`}, // BIND
		{`[2026-11-21 08:00:00 +0000] [12] [INFO] x`, at, `[12] [INFO] x`},                                                                                  // gunicorn
		{`[CET Nov 21 08:00:00] error    : x`, at, `error    : x`},                                                                                          // monit
		{`E1121 08:00:00.123456    12 auth.go:1] x`, "2026-11-21T08:00:00.123456Z", `12 auth.go:1] x`},
		{`@400000006b014f8a00000000 x`, at, `x`}, // daemontools
		{"2026-11-21 08:00:00\tx", at, "x"},
		// no date of its own
		{`192.0.2.7 refused`, "", `192.0.2.7 refused`},
		{`[error] x`, "", `[error] x`},
		{`[2026-11-21 08:00:00 x`, "", `[2026-11-21 08:00:00 x`},
		{`[2026-11-21 08:00:00` + strings.Repeat(" ", 200) + `] x`, "", `[2026-11-21 08:00:00` + strings.Repeat(" ", 200) + `] x`},
		{`2026-11-21 08:00:00x`, "", `2026-11-21 08:00:00x`},
		{`timer="2026-11-21T08:00:00Z" x`, "", `timer="2026-11-21T08:00:00Z" x`},
		{`12:Mx 21 Nov 2026 08:00:00 x`, "", `12:Mx 21 Nov 2026 08:00:00 x`},
		{`t=`, "", `t=`},
		{``, "", ``},
	}
	for _, c := range cases {
		lock := 0
		st, message, ok := cutDate([]byte(c.line), &lock)
		got := ""
		if ok {
			got = (&clock{zone: time.UTC}).time(st, now).Format(time.RFC3339Nano)
		}
		if got != c.at || string(message) != c.message {
			t.Errorf("%s:\n got %s %q\nwant %s %q", c.line, got, message, c.at, c.message)
		}
	}
}

// plainRule writes to a file of its own and to syslog; one to a file with
// messages of two lines.
func plainRule(tb testing.TB, more string) *Rule {
	tb.Helper()
	r, err := Parse("plain.yaml", []byte(`
rule: plain
title: Plain
evidence: proven
format: plain
`+more+`
patterns:
  - {name: refused, class: failure, match: '^(?:warn: )?refused (?P<user>[^ ]+) from <addr>(?: at <time>)?$'}
  - {name: told, class: info, match: '^told by <addr>', evidence: forgeable}
`))
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func TestPlainScan(t *testing.T) {
	cases := []struct {
		more, log string
		trusted   bool
		want      []string // time, address, evidence
	}{
		{"", "2026-11-21 08:00:00 refused joe from 192.0.2.7", false, []string{"08:00:00 192.0.2.7 proven"}},
		{"", "2026-11-21 08:00:00 told by 192.0.2.7", false, []string{"08:00:00 192.0.2.7 forgeable"}},
		{"", "refused joe from 192.0.2.7", false, []string{"none 192.0.2.7 forgeable"}},
		{"", "refused joe from 192.0.2.7", true, []string{"none 192.0.2.7 proven"}},
		{"", "refused joe from 192.0.2.7 at 21/Nov/2026:08:00:00 +0000", false, []string{"08:00:00 192.0.2.7 proven"}},
		{"", "2026-11-21 08:00:00 refused joe from 192.0.2.7 at 2026-11-21 07:00:00", false, []string{"07:00:00 192.0.2.7 proven"}},
		{"", "2026-11-21 08:00:00 refused joe from 192.0.2.7\r\n2026-11-21 08:00:01 warn: refused joe from 192.0.2.8\n", false, []string{"08:00:00 192.0.2.7 proven", "08:00:01 192.0.2.8 proven"}},
		// through syslog
		{"", "Nov 21 08:00:00 h plaind[1]: refused joe from 192.0.2.7", false, nil},
		{"programs: plaind", "Nov 21 08:00:00 h plaind[1]: refused joe from 192.0.2.7", false, []string{"08:00:00 192.0.2.7 proven"}},
		{"programs: plaind", "Nov 21 08:00:00 h plaind[1]: 2026-11-21 07:00:00 refused joe from 192.0.2.7", false, []string{"07:00:00 192.0.2.7 proven"}},
		{"programs: plaind", "Nov 21 08:00:00 h other[1]: refused joe from 192.0.2.7", false, nil},
		{"programs: plaind", "2026-11-21 08:00:00 refused joe from 192.0.2.7", false, []string{"08:00:00 192.0.2.7 proven"}},
		{"programs: plaind", "2026-11-21 08:00:00 warn: refused joe from 192.0.2.7", false, []string{"08:00:00 192.0.2.7 proven"}},
		// continued
		{"continues: true", "[2026/11/21 08:00:00,  2] a.c:1(f)\n  refused joe from 192.0.2.7\n", false, []string{"08:00:00 192.0.2.7 proven"}},
		{"continues: true", "[2026/11/21 08:00:00,  2] a.c:1(f)\n  x\n\trefused joe from 192.0.2.7\n  refused joe from 192.0.2.8", false, []string{"08:00:00 192.0.2.7 proven", "08:00:00 192.0.2.8 proven"}},
		{"continues: true", "[2026/11/21 08:00:00,  2] a.c:1(f)" + strings.Repeat("\nx", 7) + "\n refused joe from 192.0.2.7", false, []string{"08:00:00 192.0.2.7 proven"}},
		{"continues: true", "[2026/11/21 08:00:00,  2] a.c:1(f)" + strings.Repeat("\nx", 8) + "\nrefused joe from 192.0.2.7", false, []string{"none 192.0.2.7 forgeable"}},
		{"continues: true", "refused joe from 192.0.2.7", false, []string{"none 192.0.2.7 forgeable"}},
		{"", "[2026/11/21 08:00:00,  2] a.c:1(f)\n  refused joe from 192.0.2.7\n", false, nil},
	}
	for _, c := range cases {
		r := plainRule(t, c.more)
		var got []string
		for _, h := range scan(t, r, []byte(c.log), SourceOptions{Trusted: c.trusted}) {
			at := "none"
			if !h.Time.IsZero() {
				at = h.Time.Format(time.TimeOnly)
			}
			got = append(got, at+" "+h.Addr.String()+" "+h.Evidence.String())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q: got %q, want %q", c.more, c.log, got, c.want)
		}
	}
}

// A source may say that a rule's messages are written plainly there.
func TestSourceFormat(t *testing.T) {
	r := twoRules(t)[0]
	log := []byte("2026-11-21 08:00:00 bad joe from 192.0.2.1\n21/Nov/2026:08:00:00 +0000 bad joe from 192.0.2.1\n")
	if n := len(scan(t, r, log, SourceOptions{})); n != 1 {
		t.Errorf("as syslog: %d hits", n)
	}
	hits := scan(t, r, log, SourceOptions{Format: FormatPlain})
	if len(hits) != 2 || hits[1].Time.IsZero() || hits[1].Evidence != gate.Proven {
		t.Errorf("as plain: %+v", hits)
	}
	if n := len(scan(t, r, log, SourceOptions{Format: FormatJSON})); n != 1 {
		t.Errorf("a format with fields took the place of syslog: %d hits", n)
	}
}

// FuzzCutDate: no panic, the message is the end of the line, and the lock
// changes nothing.
func FuzzCutDateIgnoresLock(f *testing.F) {
	for _, s := range []string{"2026-11-21 08:00:00 x", "[Nov 21 08:00:00] x", "12:M 21 Nov 2026 08:00:00.123 x", `time="2026-11-21T08:00:00Z" x`, "CET Nov 21 08:00:00 x", "I, [2026-11-21T08:00:00.1 #1] x"} {
		f.Add([]byte(s), uint8(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, lock uint8) {
		l0, l1 := 0, int(lock)%len(dateShapes)
		s0, m0, ok0 := cutDate(b, &l0)
		s1, m1, ok1 := cutDate(b, &l1)
		if s0 != s1 || string(m0) != string(m1) || ok0 != ok1 {
			t.Fatalf("%q: %+v %q, with another lock %+v %q", b, s0, m0, s1, m1)
		}
		if !strings.HasSuffix(string(b), string(m0)) {
			t.Fatalf("%q: message %q", b, m0)
		}
	})
}
