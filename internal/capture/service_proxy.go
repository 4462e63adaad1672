package main

// Lighttpd is a web server; its error log tells of passwords.
func (catalogue) Lighttpd() Service {
	return Service{
		Name:     "lighttpd",
		Packages: []string{"lighttpd"},
		Files: map[string]string{
			"/var/www/html/index.html":         "hello\n",
			"/var/www/html/private/index.html": "secret\n",
			"/var/www/html/empty/.keep":        "",
			"/etc/lighttpd/conf-enabled/gate.conf": `server.modules += ( "mod_auth", "mod_authn_file", "mod_accesslog" )
accesslog.filename = "/var/log/lighttpd/access.log"
auth.backend = "htpasswd"
auth.backend.htpasswd.userfile = "/etc/htpasswd"
auth.require = ( "/private" => ( "method" => "basic", "realm" => "private", "require" => "valid-user" ) )
$HTTP["url"] =~ "^/denied" { url.access-deny = ( "" ) }
$SERVER["socket"] == "[::]:80" { }
`,
		},
		Prepare: htpasswd + "rm -f /etc/lighttpd/conf-enabled/*unconfigured*; mkdir -p /run/lighttpd; chown -R www-data /run/lighttpd /var/log/lighttpd\n",
		Command: []string{"lighttpd", "-D", "-f", "/etc/lighttpd/lighttpd.conf"},
		Ready:   Ready{TCP: 80},
		Logs:    []Log{{From: "/var/log/lighttpd/error.log"}, {From: "/var/log/lighttpd/access.log", As: "access"}},
		Attacks: webAttacks(false),
	}
}

// Haproxy is a proxy for HTTP; it logs to /dev/log.
func (catalogue) Haproxy() Service {
	return Service{
		Name:     "haproxy",
		Packages: []string{"haproxy"},
		Files: map[string]string{
			"/etc/haproxy/haproxy.cfg": `global
	log /dev/log local0
	maxconn 100
userlist people
	user alice insecure-password open\ sesame
defaults
	log global
	mode http
	option httplog
	timeout connect 1s
	timeout client 5s
	timeout server 5s
frontend web
	bind :::80 v4v6
	bind :::443 v4v6 ssl crt /etc/ssl/gate.pem
	http-request auth realm private if { path_beg /private } !{ http_auth(people) }
	http-request deny if { path_beg /denied }
	http-request return status 404 if { path_beg /missing }
	http-request return status 200 content-type text/plain string hello
`,
		},
		Prepare: selfSigned,
		Command: []string{"haproxy", "-db", "-f", "/etc/haproxy/haproxy.cfg"},
		Ready:   Ready{TCP: 443},
		Attacks: webAttacks(true),
	}
}

// Squid is a proxy for web browsers that asks for a password.
func (catalogue) Squid() Service {
	const port = 3128
	get := func(c *Client, url string, fields ...string) {
		c.HTTP(port, "GET "+url+" HTTP/1.1", fields...)
	}
	proxyBasic := func(user, password string) string { return "Proxy-" + basic(user, password) }
	return Service{
		Name:     "squid",
		Packages: []string{"squid"},
		Files: map[string]string{
			"/etc/squid/squid.conf": `http_port 3128
auth_param basic program /usr/lib/squid/basic_ncsa_auth /etc/htpasswd
auth_param basic realm proxy
acl people proxy_auth REQUIRED
acl bad dstdomain .denied.example
http_access deny bad
http_access allow people
http_access deny all
cache deny all
shutdown_lifetime 1 second
pid_filename /run/squid.pid
access_log stdio:/var/log/squid/access.log
cache_log /var/log/squid/cache.log
visible_hostname gate.example.org
`,
		},
		Prepare: htpasswd + "chown proxy /var/log/squid /etc/htpasswd; mkdir -p /var/spool/squid; chown proxy /var/spool/squid",
		Command: []string{"squid", "-N", "-f", "/etc/squid/squid.conf"},
		Ready:   Ready{TCP: port},
		Logs:    []Log{{From: "/var/log/squid/access.log"}, {From: "/var/log/squid/cache.log", As: "cache"}},
		Attacks: []Attack{
			{"no password, wrong password, unknown user", func(r *Run) {
				for _, c := range []*Client{r.V4, r.V6} {
					get(c, "http://gate.example.org/")
					get(c, "http://gate.example.org/", proxyBasic("alice", "wrong"))
					get(c, "http://gate.example.org/", proxyBasic("nobody-here", "wrong"))
					c.HTTP(port, "CONNECT gate.example.org:443 HTTP/1.1", proxyBasic("alice", "wrong"))
				}
			}},
			{"correct password", func(r *Run) {
				get(r.Other, "http://gate.example.org:3128/squid-internal-static/icons/SN.png", proxyBasic("alice", "open sesame"))
				get(r.OtherV6, "http://missing.invalid/", proxyBasic("alice", "open sesame"))
			}},
			{"a denied site, an open relay that is sought", func(r *Run) {
				get(r.V4, "http://www.denied.example/")
				r.V4.HTTP(port, "CONNECT "+bystander4+":25 HTTP/1.1")
				r.V6.HTTP(port, "CONNECT [2001:db8::10]:22 HTTP/1.1")
			}},
			{"broken requests", func(r *Run) {
				for _, raw := range []string{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\n\n", "GET\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "\x05\x01\x00", "SSH-2.0-Go\r\n\r\n"} {
					r.V4.Send(port, raw)
				}
				r.V4.Knock(port)
			}},
			{"hostile names and addresses of pages", func(r *Run) {
				for _, text := range hostileNames() {
					get(r.V4, "http://gate.example.org/", proxyBasic(text, "wrong"))
					get(r.V4, "http://gate.example.org/"+text, proxyBasic("alice", "wrong"))
					get(r.V4, "http://"+text+"/")
				}
			}},
		},
	}
}
