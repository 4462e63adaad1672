package main

import (
	"encoding/binary"
	"strings"
)

// dnsQuestion is a DNS query (RFC 1035) with these flags.
func dnsQuestion(name string, kind uint16, flags uint16) string {
	b := binary.BigEndian.AppendUint16(nil, 0x1234)
	b = binary.BigEndian.AppendUint16(b, flags)
	b = append(b, 0, 1, 0, 0, 0, 0, 0, 0)
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		label = label[:min(len(label), 63)]
		b = append(append(b, byte(len(label))), label...)
	}
	b = append(b, 0)
	b = binary.BigEndian.AppendUint16(b, kind)
	return string(append(b, 0, 1))
}

// The kinds of DNS records that are asked for here, and the flag that asks for
// recursion.
const (
	askA, askTXT, askANY, askAXFR = 1, 16, 255, 252
	recursion                     = 0x0100
	update                        = 5 << 11
)

// dnsAttacks are what a name server sees that answers for example.org to all, and
// anything else to nobody.
func dnsAttacks() []Attack {
	const port = 53
	tcp := func(c *Client, q string) {
		c.Send(port, string(binary.BigEndian.AppendUint16(nil, uint16(len(q))))+q)
	}
	return []Attack{
		{"questions that are welcome", func(r *Run) {
			r.Other.Packet(port, dnsQuestion("www.example.org", askA, recursion))
			r.OtherV6.Packet(port, dnsQuestion("www.example.org", askTXT, 0))
		}},
		{"recursion for strangers, any, version", func(r *Run) {
			for _, c := range []*Client{r.V4, r.V6} {
				c.Packet(port, dnsQuestion("www.example.com", askA, recursion))
				c.Packet(port, dnsQuestion("example.com", askANY, recursion))
				c.Packet(port, dnsQuestion(".", askANY, recursion))
				c.Packet(port, dnsQuestion("version.bind", askTXT, recursion))
			}
		}},
		{"zone transfer, update", func(r *Run) {
			for _, c := range []*Client{r.V4, r.V6} {
				tcp(c, dnsQuestion("example.org", askAXFR, 0))
				tcp(c, dnsQuestion("example.com", askAXFR, 0))
				c.Packet(port, dnsQuestion("example.org", 6, update))
			}
		}},
		{"broken questions", func(r *Run) {
			r.V4.Packet(port, "\x00")
			r.V4.Packet(port, "GET / HTTP/1.1\r\n\r\n")
			r.V4.Packet(port, dnsQuestion("www.example.com", askA, recursion)[:20])
			r.V4.Knock(port)
			r.V4.Send(port, "GET / HTTP/1.1\r\n\r\n")
		}},
		{"hostile names", func(r *Run) {
			for _, text := range hostileNames() {
				r.V4.Packet(port, dnsQuestion(strings.ReplaceAll(text, ".", "-")+".example.com", askA, recursion))
				r.V4.Packet(port, dnsQuestion(text, askA, recursion))
			}
		}},
	}
}

// Bind is a name server; it tells whom it refused.
func (catalogue) Bind() Service {
	return Service{
		Name:     "bind9",
		Packages: []string{"bind9"},
		Files: map[string]string{
			"/etc/bind/named.conf": `options {
	directory "/var/cache/bind";
	listen-on { any; }; listen-on-v6 { any; };
	recursion yes; allow-recursion { 127.0.0.1; }; allow-query-cache { 127.0.0.1; }; allow-transfer { none; };
	dnssec-validation no; pid-file none; session-keyfile none;
};
controls { };
logging {
	channel security { stderr; severity info; print-time yes; print-category yes; print-severity yes; };
	category security { security; }; category update-security { security; }; category query-errors { security; }; category default { security; };
};
zone "example.org" { type primary; file "/etc/bind/db.example.org"; };
`,
			"/etc/bind/db.example.org": "$TTL 60\n@ IN SOA ns hostmaster 1 60 60 60 60\n@ IN NS ns\nns IN A 192.0.2.10\nwww IN A 192.0.2.10\nwww IN TXT hello\n",
		},
		Prepare: "mkdir -p /var/cache/bind /run/named; chown bind /var/cache/bind /run/named",
		Command: []string{"named", "-g", "-u", "bind", "-c", "/etc/bind/named.conf"},
		Ready:   Ready{TCP: 53, Says: "running"},
		Logs:    []Log{{From: "output"}},
		Drop:    []string{`general: info`, `: (loaded|built|running|command channel|listening|generating|sizing|set up|obtaining|using|automatic|configuring|found|loading|reading|adjusted|BIND|-+|corporation|support|Internet Systems)`, `zone-statistics`},
		Attacks: dnsAttacks(),
	}
}

// Unbound is a resolver.
func (catalogue) Unbound() Service {
	return Service{
		Name:     "unbound",
		Packages: []string{"unbound"},
		Files: map[string]string{"/etc/unbound/gate.conf": `server:
	interface: 0.0.0.0
	interface: ::0
	chroot: ""
	username: ""
	use-syslog: no
	logfile: ""
	log-time-ascii: yes
	verbosity: 1
	log-queries: no
	log-replies: no
	val-log-level: 2
	log-local-actions: yes
	access-control: 127.0.0.0/8 allow
	access-control: 192.0.2.77/32 allow
	access-control: 192.0.2.66/32 refuse
	access-control: 2001:db8::66/128 deny
	local-zone: "example.org" static
	local-zone: "denied.example" inform_deny
	local-data: "www.example.org A 192.0.2.10"
remote-control:
	control-enable: no
`},
		Command: []string{"unbound", "-d", "-c", "/etc/unbound/gate.conf"},
		Ready:   Ready{TCP: 53},
		Logs:    []Log{{From: "output"}},
		Attacks: append(dnsAttacks(), Attack{"a zone that is told of", func(r *Run) {
			r.Other.Packet(53, dnsQuestion("www.denied.example", askA, recursion))
		}}),
	}
}
