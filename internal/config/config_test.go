package config

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

const hour = time.Hour

// defaults is what an empty file means to root, written out.
func defaults() *Config {
	return &Config{
		State:     "/var/lib/gatehouse",
		Socket:    "/run/gatehouse/gatehouse.sock",
		Watch:     []Watch{{Auto: true}},
		Threshold: gate.Threshold{Count: 5, Within: 10 * time.Minute},
		Ban:       []time.Duration{10 * time.Minute, hour, 24 * hour, 7 * 24 * hour},
		Forget:    90 * 24 * hour,
		Keep:      365 * 24 * hour,
		Firewall:  Firewall{Verdict: "drop"},
		Aggregate: Aggregate{IPv4: Grouping4{Prefix: 24}, IPv6: Grouping6{Prefix: 64}},
		Rules:     "/etc/gatehouse/rules",
		Filters:   "/etc/fail2ban",
		Notify:    Notify{Templates: "/etc/gatehouse/templates"},
		Enrich: Enrich{
			Lookups: "asked", Databases: []string{"/var/lib/GeoIP", "/usr/share/GeoIP", "/usr/local/share/GeoIP"}, Keep: 7 * gate.Day,
			Limit: gate.Threshold{Count: 60, Within: time.Hour}, Bootstrap: "https://data.iana.org/rdap", Whois: "whois.iana.org",
		},
		Report: Report{
			Offence: 1, Limit: gate.Threshold{Count: 100, Within: gate.Day},
			Digest: ReportDigest{Every: "off", At: "08:00"},
		},
		MQTT:  MQTT{Topic: "gatehouse", Discovery: "homeassistant"},
		Panel: Panel{Silence: 45 * time.Second, EntryDelay: 30 * time.Second},
		Scan: Scan{
			Traps:     gate.PortsOf(gate.PortRange{Proto: gate.TCP, Lo: 23, Hi: 23}, gate.PortRange{Proto: gate.TCP, Lo: 3389, Hi: 3389}),
			Threshold: Distinct{Count: 5, Within: time.Minute}, Shared: Distinct{Count: 10, Within: time.Minute}, Slow: Distinct{Count: 10, Within: 24 * hour},
			Hold: 10 * time.Minute, Ban: []time.Duration{24 * hour, 7 * 24 * hour, 30 * 24 * hour}, Tarpit: time.Minute, Settle: 10 * time.Minute, Group: 18248,
		},
		Ports: Ports{Confirm: time.Minute, Remote: PortRemote{Every: 5 * time.Minute, Longest: 12 * hour}, Knock: PortKnock{For: 30 * time.Second}},
	}
}

func prefix(s string) Allow { return Allow{Prefix: netip.MustParsePrefix(s)} }

// TestGood shows what is accepted and what it means: each case is a file and
// what it changes in the defaults.
func TestGood(t *testing.T) {
	sshd := func(w Watch) func(*Config) {
		w.Rule = "sshd"
		return func(c *Config) { c.Watch = []Watch{w} }
	}
	ports := func(s ...string) gate.Ports {
		p, err := gate.ParsePorts(s...)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	tests := []struct {
		name, src string
		change    func(*Config)
	}{
		{"empty", "", nil},
		{"white space", "\n\n  \n", nil},
		{"comments only", "# nothing\n#ban: [1h]\n", nil},
		{"document start only", "---\n", nil},
		{"document end", "--- # ours\nforget: 1d\n...\n", func(c *Config) { c.Forget = 24 * hour }},
		{"null", "null\n", nil},
		{"allow alone", "allow:\n", nil},
		{"keys without values", "state:\nwatch:\nban:\nfirewall:\n", nil},
		{"null values", "watch: null\nfirewall: {verdict: ~}\n", nil},
		{"byte order mark", "\ufeffforget: 1d\n", func(c *Config) { c.Forget = 24 * hour }},
		{"networks", "networks: [{name: lan, match: [192.168.0.0/16, 10.1.2.3]}]\naggregate: {ipv4: {prefix: 24, offenders: 3}, ipv6: {prefix: 56}}\nretire: [{after: 5d, network: lan}]\n", func(c *Config) {
			c.Networks = []Network{{Name: "lan", Match: []netip.Prefix{netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("10.1.2.3/32")}}}
			c.Aggregate = Aggregate{IPv4: Grouping4{24, 3}, IPv6: Grouping6{56, 4}}
			c.Retire = []Retire{{After: 5 * 24 * hour, Network: "lan"}}
		}},
		{"CRLF", "forget: 1d\r\nfirewall:\r\n  verdict: reject\r\n", func(c *Config) { c.Forget, c.Firewall.Verdict = 24*hour, "reject" }},
		{"tab in a comment", "forget: 1d #\tone day\n", func(c *Config) { c.Forget = 24 * hour }},
		{"no newline at the end", "forget: 1d", func(c *Config) { c.Forget = 24 * hour }},

		{"addresses", "allow: [192.0.2.10, 2001:db8::1, ::1]\n", func(c *Config) {
			c.Allow = []Allow{prefix("192.0.2.10/32"), prefix("2001:db8::1/128"), prefix("::1/128")}
		}},
		{"prefixes", "allow: [192.0.2.0/24, '2001:db8::/64']\n", func(c *Config) { c.Allow = []Allow{prefix("192.0.2.0/24"), prefix("2001:db8::/64")} }},
		{"4-in-6 is IPv4", "allow: ['::ffff:192.0.2.1', '::ffff:192.0.2.0/120']\n", func(c *Config) { c.Allow = []Allow{prefix("192.0.2.1/32"), prefix("192.0.2.0/24")} }},
		{"names", "allow:\n- Admin.Example.org.\n- nas\n- _x.3com.example\n", func(c *Config) {
			c.Allow = []Allow{{Name: "admin.example.org"}, {Name: "nas"}, {Name: "_x.3com.example"}}
		}},

		{"watch nothing", "watch: []\n", func(c *Config) { c.Watch = nil }},
		{"watch a rule", "watch: [{rule: sshd}]\n", sshd(Watch{})},
		{"auto and a rule", "watch:\n  - auto\n  - rule: sshd\n", func(c *Config) { c.Watch = []Watch{{Auto: true}, {Rule: "sshd"}} }},
		{"one rule for two logs", "watch:\n  - {rule: sshd, files: [/a]}\n  - {rule: sshd, files: [/b]}\n", func(c *Config) {
			c.Watch = []Watch{{Rule: "sshd", Files: []string{"/a"}}, {Rule: "sshd", Files: []string{"/b"}}}
		}},
		{"a name like a number", "watch: [{rule: 404}]\n", func(c *Config) { c.Watch = []Watch{{Rule: "404"}} }},
		{"globs", "watch: [{rule: sshd, files: ['/var/log/auth[0-9].log', /srv/*/log/?.log]}]\n", sshd(Watch{Files: []string{"/var/log/auth[0-9].log", "/srv/*/log/?.log"}})},
		{"quoted values", "watch: [{\"rule\": 'sshd', threshold: \"3 in 5m\"}]\n", sshd(Watch{Threshold: gate.Threshold{Count: 3, Within: 5 * time.Minute}})},
		{"ladder of a watch", "watch: [{rule: sshd, ban: [1h, 1h, forever]}]\n", sshd(Watch{Ban: []time.Duration{hour, hour, gate.Forever}})},
		{"ports", "watch: [{rule: sshd, ports: [22, 80/tcp, 8000-8500/udp]}]\n", sshd(Watch{Ports: ports("22", "80/tcp", "8000-8500/udp")})},
		{"one port", "watch: [{rule: sshd, ports: 22}]\n", sshd(Watch{Ports: ports("22")})},
		{"a list of ports in quotes", "watch: [{rule: sshd, ports: [\"80,443/tcp\"]}]\n", sshd(Watch{Ports: ports("80,443/tcp")})},
		{"all ports", "watch: [{rule: sshd, ports: []}]\n", sshd(Watch{})},

		{"threshold", "threshold: 1 in 1h30m\n", func(c *Config) { c.Threshold = gate.Threshold{Count: 1, Within: 90 * time.Minute} }},
		{"ban forever", "ban: [forever]\n", func(c *Config) { c.Ban = []time.Duration{gate.Forever} }},
		{"ladder with dashes", "ban:\n- 90s\n- 2w\n", func(c *Config) { c.Ban = []time.Duration{90 * time.Second, 14 * 24 * hour} }},
		{"never forget", "forget: forever\nkeep: forever\n", func(c *Config) { c.Forget, c.Keep = gate.Forever, gate.Forever }},
		{"paths are cleaned", "state: /srv//gate/./x/\nrules: /a/../b\n", func(c *Config) { c.State, c.Rules = "/srv/gate/x", "/b" }},
		{"a path with spaces", "state: /srv/my data # folder\n", func(c *Config) { c.State = "/srv/my data" }},
		{"a path with letters", "state: /srv/Grüße\n", func(c *Config) { c.State = "/srv/Grüße" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := defaults()
			if tt.change != nil {
				tt.change(want)
			}
			got, err := Parse("good.yaml", []byte(tt.src), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if !got.Equal(want) {
				t.Fatalf("got  %+v\nwant %+v", got, want)
			}
			again, err := Parse("again.yaml", got.YAML(), Options{})
			if err != nil || !again.Equal(want) {
				t.Errorf("written as\n%s\nit reads %+v, %v", got.YAML(), again, err)
			}
		})
	}
}

func TestDefault(t *testing.T) {
	got, err := Default(Options{})
	if err != nil || !got.Equal(defaults()) {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestDefaultPaths is a table of who runs it, in which environment, and which
// state folder and socket that gives.
func TestDefaultPaths(t *testing.T) {
	tests := []struct {
		uid           int
		env           string
		state, socket string
	}{
		{0, "", "/var/lib/gatehouse", "/run/gatehouse/gatehouse.sock"},
		{0, "HOME=/root XDG_STATE_HOME=/x XDG_RUNTIME_DIR=/y", "/var/lib/gatehouse", "/run/gatehouse/gatehouse.sock"},
		{1000, "HOME=/home/ann XDG_RUNTIME_DIR=/run/user/1000", "/home/ann/.local/state/gatehouse", "/run/user/1000/gatehouse.sock"},
		{1000, "HOME=/home/ann XDG_STATE_HOME=/data/state XDG_RUNTIME_DIR=/run/user/1000", "/data/state/gatehouse", "/run/user/1000/gatehouse.sock"},
		{1000, "HOME=/home/ann", "/home/ann/.local/state/gatehouse", "/home/ann/.local/state/gatehouse/gatehouse.sock"},
		{1000, "HOME=/home/ann XDG_STATE_HOME=relative XDG_RUNTIME_DIR=.", "/home/ann/.local/state/gatehouse", "/home/ann/.local/state/gatehouse/gatehouse.sock"},
	}
	for _, tt := range tests {
		env := environment(tt.env)
		c, err := Default(Options{UID: tt.uid, Env: env})
		if err != nil || c.State != tt.state || c.Socket != tt.socket {
			t.Errorf("uid %d, %s: %+v, %v", tt.uid, tt.env, c, err)
		}
	}
}

func environment(s string) func(string) string {
	return func(name string) string {
		for _, pair := range strings.Fields(s) {
			if k, v, _ := strings.Cut(pair, "="); k == name {
				return v
			}
		}
		return ""
	}
}

// TestNoDefaultPaths: a user without any environment is told what to write, and
// needs no environment who writes it.
func TestNoDefaultPaths(t *testing.T) {
	_, err := Parse("f.yaml", nil, Options{UID: 1000})
	want := `f.yaml:1:1: no default for state: neither HOME nor the XDG folders are set
  hint: set HOME, or write state: /an/absolute/path
f.yaml:1:1: no default for socket: neither HOME nor the XDG folders are set
  hint: set HOME, or write socket: /an/absolute/path`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	c, err := Parse("f.yaml", []byte("state: /s\n"), Options{UID: 1000})
	if err != nil || c.Socket != "/s/gatehouse.sock" {
		t.Errorf("%+v, %v", c, err)
	}
	long := "/" + strings.Repeat("x", 100)
	if _, err := Parse("f.yaml", []byte("state: "+long+"\n"), Options{UID: 1000}); err == nil || !strings.Contains(err.Error(), "the default socket") {
		t.Errorf("a default socket of %d bytes: %v", len(long)+len("/gatehouse.sock"), err)
	}
}

func TestEqual(t *testing.T) {
	a, b := defaults(), defaults()
	b.Watch = []Watch{{Rule: "sshd", Ports: gate.PortsOf()}}
	if a.Equal(b) || b.Equal(a) {
		t.Error("different watches are equal")
	}
	a.Watch = []Watch{{Rule: "sshd"}}
	if !a.Equal(b) {
		t.Error("two empty sets of ports differ")
	}
	a.Forget++
	if a.Equal(b) || reflect.DeepEqual(a, b) {
		t.Error("different times are equal")
	}
}
