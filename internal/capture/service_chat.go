package main

// Ngircd is an IRC server.
func (catalogue) Ngircd() Service {
	const port = 6667
	irc := func(c *Client, password, nick string) {
		c.Send(port, "PASS "+password+"\r\nNICK "+nick+"\r\nUSER "+nick+" 0 * :"+nick+"\r\n")
	}
	return Service{
		Name:     "ngircd",
		Packages: []string{"ngircd"},
		Files: map[string]string{"/etc/ngircd/gate.conf": `[Global]
Name = irc.example.org
AdminInfo1 = gate
Password = sesame
Listen = ::,0.0.0.0
Ports = 6667
[Limits]
MaxConnectionsIP = 3
[Options]
DNS = no
Ident = no
PAM = no
[Operator]
Name = alice
Password = sesame
`},
		Command: []string{"ngircd", "-n", "-f", "/etc/ngircd/gate.conf"},
		Ready:   Ready{TCP: port},
		Logs:    []Log{{From: "output"}},
		Attacks: []Attack{
			{"wrong password", func(r *Run) {
				for _, c := range []*Client{r.V4, r.V6} {
					irc(c, "wrong", "mallory")
					irc(c, "", "mallory")
				}
			}},
			{"correct password", func(r *Run) { irc(r.Other, "sesame", "bob"); irc(r.OtherV6, "sesame", "bob6") }},
			{"wrong password of an operator", func(r *Run) {
				r.V4.Send(port, "PASS sesame\r\nNICK eve\r\nUSER eve 0 * :eve\r\nOPER alice wrong\r\nOPER nobody wrong\r\n")
				r.V6.Send(port, "PASS sesame\r\nNICK eve6\r\nUSER eve6 0 * :eve\r\nOPER alice wrong\r\n")
			}},
			{"too many connections, no word, another protocol", func(r *Run) {
				var open []*Conn
				for range 5 {
					open = append(open, r.V4.Open(port))
				}
				for _, c := range open {
					c.answer(silence)
					c.Close()
				}
				r.V4.Knock(port)
				r.V4.Send(port, "GET / HTTP/1.1\r\n\r\n")
				r.V6.Reset(port, "NICK ")
			}},
			{"hostile names", func(r *Run) {
				for _, text := range hostileNames() {
					irc(r.V4, "wrong", text)
				}
			}},
		},
	}
}

// Prosody is an XMPP server; a module of its community logs who was refused.
func (catalogue) Prosody() Service {
	const port = 5222
	login := func(c *Client, user, password string) {
		conn := c.Open(port)
		defer conn.Close()
		conn.Send("<?xml version='1.0'?><stream:stream to='example.org' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>")
		conn.answer(rawPatience)
		conn.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + plain(user, password) + "</auth>")
		conn.answer(rawPatience)
	}
	return Service{
		Name:     "prosody",
		Packages: []string{"prosody", "prosody-modules"},
		Files: map[string]string{"/etc/prosody/gate.cfg.lua": `plugin_paths = { "/usr/lib/prosody/modules", "/usr/lib/prosody/prosody-modules" }
modules_enabled = { "roster", "saslauth", "tls", "disco", "log_auth" }
log_auth_ips = "all"
authentication = "internal_plain"
c2s_require_encryption = false
s2s_require_encryption = false
allow_unencrypted_plain_auth = true
data_path = "/var/lib/prosody"
pidfile = "/run/prosody.pid"
log = { info = "*stdout" }
daemonize = false
run_as_root = true
VirtualHost "example.org"
`},
		Prepare:  "mkdir -p /var/lib/prosody; prosodyctl --root --config /etc/prosody/gate.cfg.lua register alice example.org 'open sesame' >/dev/null",
		Command:  []string{"prosody", "--root", "-F", "--config", "/etc/prosody/gate.cfg.lua"},
		Ready:    Ready{TCP: port},
		Logs:     []Log{{From: "output"}},
		Drop:     []string{`modulemanager|portmanager|certmanager|startup|[Ll]ua|^\*+$|unable to find|obtained|apt install|Source|resolver library|help can be found|^ *$`},
		Volatile: []string{`c2s[0-9a-f]+`},
		Attacks: []Attack{
			{"wrong password, unknown user", func(r *Run) {
				for _, c := range []*Client{r.V4, r.V6} {
					login(c, "alice", "wrong")
					login(c, "nobody-here", "wrong")
				}
			}},
			{"correct password", func(r *Run) { login(r.Other, "alice", "open sesame"); login(r.OtherV6, "alice", "open sesame") }},
			{"scan: no word, another protocol", func(r *Run) {
				r.V4.Knock(port)
				r.V4.Send(port, "GET / HTTP/1.1\r\n\r\n")
				r.V6.Reset(port, "<?xml")
			}},
			{"hostile names", func(r *Run) {
				for _, text := range hostileTexts() {
					login(r.V4, text, "wrong")
				}
			}},
		},
	}
}
