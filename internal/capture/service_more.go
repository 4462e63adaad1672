package main

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// PureFTPd is an FTP server; it logs to syslog.
func (catalogue) PureFTPd() Service {
	return Service{
		Name:     "pure-ftpd",
		Packages: []string{"pure-ftpd"},
		Users:    []User{alice},
		Patience: 8 * time.Minute,
		Command:  []string{"pure-ftpd", "--login=unix", "--maxclientsnumber=200", "--maxclientsperip=100", "--dontresolve"},
		Ready:    Ready{TCP: 21},
		Attacks:  ftpAttacks(),
	}
}

// Asterisk is a telephone exchange; its security log has a format of its own.
func (catalogue) Asterisk() Service {
	const port = 5060
	sip := func(method, user, from string, extra ...string) string {
		return strings.Join(append([]string{
			method + " sip:gate.example.org SIP/2.0", "Via: SIP/2.0/UDP 192.0.2.66:5060;branch=z9hG4bK1;rport", "Max-Forwards: 70",
			"From: " + from + ";tag=1", "To: <sip:" + user + "@gate.example.org>", "Call-ID: 1@192.0.2.66", "CSeq: 1 " + method,
			"Contact: <sip:" + user + "@192.0.2.66:5060>", "User-Agent: friendly-scanner", "Content-Length: 0"}, extra...), "\r\n") + "\r\n\r\n"
	}
	auth := func(user string) string {
		return fmt.Sprintf(`Authorization: Digest username="%s", realm="asterisk", nonce="1700000000/abc", uri="sip:gate.example.org", response="0123456789abcdef0123456789abcdef", algorithm=MD5`, user)
	}
	return Service{
		Name:     "asterisk",
		Packages: []string{"asterisk"},
		Files: map[string]string{
			"/etc/asterisk/pjsip.conf": `[udp4]
type=transport
protocol=udp
bind=0.0.0.0
[udp6]
type=transport
protocol=udp
bind=[::]
[alice]
type=endpoint
context=default
disallow=all
allow=ulaw
auth=alice
aors=alice
[alice]
type=auth
auth_type=userpass
username=alice
password=sesame
[alice]
type=aor
max_contacts=1
`,
			"/etc/asterisk/logger.conf":  "[general]\ndateformat=%F %T\n[logfiles]\nmessages => notice,warning,error\nsecurity => security\n",
			"/etc/asterisk/manager.conf": "[general]\nenabled = yes\nport = 5038\nbindaddr = ::\n[alice]\nsecret = sesame\nread = all\n",
		},
		Prepare:  "mkdir -p /var/log/asterisk /run/asterisk; rm -f /etc/asterisk/extensions.ael /etc/asterisk/extensions.lua",
		Command:  []string{"asterisk", "-f", "-U", "root"},
		Ready:    Ready{UDP: port, TCP: 5038},
		Logs:     []Log{{From: "/var/log/asterisk/messages"}, {From: "/var/log/asterisk/security", As: "security"}},
		Drop:     []string{`(?i)loader\.c|res_config|config\.c|not found|No such file|cdr|cel|udptl|stasis|res_|features|chan_(dahdi|iax|unistim)|Deprecat|mwi`},
		Volatile: []string{`0x[0-9a-f]+`, `EventTV="[^"]*"`, `SessionID="[^"]*"`, `Challenge="[^"]*"`, `[0-9a-f]{32}`},
		Attacks: []Attack{
			{"wrong password, unknown user", func(r *Run) {
				for _, c := range []*Client{r.V4, r.V6} {
					for _, user := range []string{"alice", "nobody-here", "100"} {
						c.Packet(port, sip("REGISTER", user, "<sip:"+user+"@gate.example.org>"))
						c.Packet(port, sip("REGISTER", user, "<sip:"+user+"@gate.example.org>", auth(user)))
						c.Packet(port, sip("INVITE", user, "<sip:"+user+"@gate.example.org>", auth(user)))
					}
				}
			}},
			{"scan: options, another protocol", func(r *Run) {
				r.V4.Packet(port, sip("OPTIONS", "100", `"sipvicious"<sip:100@1.1.1.1>`))
				r.V6.Packet(port, sip("OPTIONS", "100", `"sipvicious"<sip:100@1.1.1.1>`))
				r.V4.Packet(port, "GET / HTTP/1.1\r\n\r\n")
				r.V4.Packet(port, "\x00\x00\x00\x00")
			}},
			{"manager: wrong password, unknown user", func(r *Run) {
				for _, c := range []*Client{r.V4, r.V6} {
					c.Say(5038, "Action: Login\r\nUsername: alice\r\nSecret: wrong\r\n")
					c.Say(5038, "Action: Login\r\nUsername: nobody-here\r\nSecret: wrong\r\n")
				}
				r.V4.Knock(5038)
			}},
			{"manager: correct password", func(r *Run) {
				r.Other.Say(5038, "Action: Login\r\nUsername: alice\r\nSecret: sesame\r\n", "Action: Logoff\r\n")
			}},
			{"hostile names", func(r *Run) {
				for _, text := range hostileNames() {
					r.V4.Packet(port, sip("REGISTER", text, "\""+text+"\" <sip:x@gate.example.org>", auth(text)))
					r.V4.Say(5038, "Action: Login\r\nUsername: "+text+"\r\nSecret: wrong\r\n")
				}
			}},
		},
	}
}

// Slapd is a directory; the address stands in the line of the connection, failures in
// others.
func (catalogue) Slapd() Service {
	const port = 389
	// bind is a simple bind of LDAP version 3 (RFC 4511), in BER.
	tlv := func(tag byte, body string) string {
		if len(body) < 128 {
			return string([]byte{tag, byte(len(body))}) + body
		}
		return string(append([]byte{tag, 0x82}, binary.BigEndian.AppendUint16(nil, uint16(len(body)))...)) + body
	}
	bind := func(dn, password string) string {
		return tlv(0x30, "\x02\x01\x01"+tlv(0x60, "\x02\x01\x03"+tlv(0x04, dn)+tlv(0x80, password)))
	}
	return Service{
		Name:     "slapd",
		Packages: []string{"slapd", "ldap-utils"},
		Files: map[string]string{"/etc/ldap/gate.conf": `include /etc/ldap/schema/core.schema
pidfile /run/slapd.pid
loglevel stats
modulepath /usr/lib/ldap
moduleload back_mdb
database mdb
suffix "dc=example,dc=org"
rootdn "cn=admin,dc=example,dc=org"
rootpw sesame
directory /srv/ldap
`},
		Prepare: "mkdir -p /srv/ldap",
		Command: []string{"slapd", "-d", "0", "-s", "stats", "-f", "/etc/ldap/gate.conf", "-h", "ldap://0.0.0.0:389/ ldap://[::]:389/"},
		Ready:   Ready{TCP: port},
		Attacks: []Attack{
			{"wrong password, unknown user", func(r *Run) {
				for _, c := range []*Client{r.V4, r.V6} {
					c.Send(port, bind("cn=admin,dc=example,dc=org", "wrong"))
					c.Send(port, bind("uid=nobody,dc=example,dc=org", "wrong"))
					c.Send(port, bind("nonsense", "wrong"))
				}
			}},
			{"correct password", func(r *Run) {
				r.Other.Send(port, bind("cn=admin,dc=example,dc=org", "sesame"))
				r.OtherV6.Send(port, bind("cn=admin,dc=example,dc=org", "sesame"))
			}},
			{"scan: no word, another protocol", func(r *Run) {
				r.V4.Knock(port)
				r.V4.Send(port, "GET / HTTP/1.1\r\n\r\n")
				r.V6.Reset(port, "\x30")
			}},
			{"hostile names", func(r *Run) {
				for _, text := range hostileNames() {
					r.V4.Send(port, bind("cn="+text+",dc=example,dc=org", "wrong"))
					r.V4.Send(port, bind(text, "wrong"))
				}
			}},
		},
	}
}

// Opensmtpd is a mail server; the address stands in the line of the connection,
// failures in others. It takes passwords only through TLS, which this version cannot
// speak with the OpenSSL beside it.
func (catalogue) Opensmtpd() Service {
	return Service{
		Name:     "opensmtpd",
		Packages: []string{"opensmtpd"},
		Users:    []User{alice},
		Files: map[string]string{
			"/etc/smtpd.conf": `pki gate cert "/etc/ssl/gate.crt"
pki gate key "/etc/ssl/gate.key"
listen on 0.0.0.0 port 25 tls pki gate auth-optional
listen on :: port 25 tls pki gate auth-optional
action "deliver" mbox
match from any for domain "example.org" action "deliver"
`,
			"/etc/mailname": "gate.example.org\n",
		},
		Prepare:  selfSigned + "chmod 600 /etc/ssl/gate.key",
		Command:  []string{"smtpd", "-d"},
		Ready:    Ready{TCP: 25},
		Logs:     []Log{{From: "output"}, {From: "syslog", As: "syslog"}},
		Volatile: []string{`[0-9a-f]{16}`, `[0-9a-f]{8}`},
		Patience: 6 * time.Minute,
		Attacks:  smtpAttacks(),
	}
}

// Samba is a file server; it tells of passwords in its audit log.
func (catalogue) Samba() Service {
	smb := func(c *Client, user, password string) {
		c.Command("smbclient", "-t", "5", "-W", "GATE", "-U", user+"%"+password, "-c", "exit", "//"+c.Server+"/share")
	}
	return Service{
		Name:     "samba",
		Packages: []string{"samba", "smbclient"},
		Users:    []User{alice},
		Files: map[string]string{"/etc/samba/smb.conf": `[global]
server role = standalone server
log level = 1 auth_audit:3 auth_json_audit:3
log file = /var/log/samba/log.smbd
logging = file
disable netbios = yes
smb ports = 445
map to guest = never
[share]
path = /srv
`},
		Prepare:  "mkdir -p /var/log/samba /run/samba; printf 'sesame\\nsesame\\n' | smbpasswd -s -a alice >/dev/null",
		Command:  []string{"smbd", "--foreground", "--no-process-group"},
		Ready:    Ready{TCP: 445},
		Logs:     []Log{{From: "/var/log/samba/log.smbd"}},
		Drop:     []string{`daemon_ready|smbd version|Copyright|parallel_|smb_load|exit_server|printer|profile`},
		Volatile: []string{`0x[0-9a-f]+`, `[0-9a-f]{16}`, `S-1-[0-9-]+`, `[0-9a-f]{8}-[0-9a-f-]+`},
		Attacks: []Attack{
			{"wrong password, unknown user", func(r *Run) {
				for _, c := range []*Client{r.V4, r.V6} {
					smb(c, "alice", "wrong")
					smb(c, "nobody-here", "wrong")
				}
			}},
			{"correct password", func(r *Run) { smb(r.Other, "alice", "sesame"); smb(r.OtherV6, "alice", "sesame") }},
			{"scan: no word, another protocol", func(r *Run) {
				r.V4.Knock(445)
				r.V4.Send(445, "GET / HTTP/1.1\r\n\r\n")
			}},
			{"hostile names", func(r *Run) {
				for _, text := range hostileNames() {
					if !strings.ContainsAny(text, "%\\") {
						smb(r.V4, text, "wrong")
					}
				}
			}},
		},
	}
}
