package config

import (
	"net/netip"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// Service is one entry of services: a name for ports, and their resting state.
type Service struct {
	Ports gate.Ports `key:"ports" required:"true" example:"22/tcp" doc:"Ports of the service. Without /tcp or /udp both are meant."`
	Rest  string     `key:"rest" default:"open" enum:"open closed" example:"closed" doc:"What the service is when nobody says otherwise. One that rests closed is opened by its name: gatehouse port open vpn --for 30m."`
}

// Ports is the section of the same name.
type Ports struct {
	// Confirm is at least a second.
	Confirm time.Duration `key:"confirm" default:"60s" check:"confirm" doc:"How long a change that cuts your own SSH session stays without gatehouse port confirm, before it is taken back."`
	// Schedule is in the order of the file.
	Schedule []PortSchedule `key:"schedule" default:"[]" doc:"What is closed or opened by the clock, again and again."`
	// Remote is off without URL and Path.
	Remote PortRemote `key:"remote" doc:"A small text file, elsewhere, that opens and closes services: lines such as open ssh, close vpn for 2h. docs/ports.md tells how to write one with a phone."`
	// Page is off without HTML and JSON.
	Page PortPage `key:"page" doc:"A page for people that shows which services are open, and until when. It names no address, and nobody."`
	// Knock is off without a port.
	Knock PortKnock `key:"knock" doc:"One encrypted packet that opens a service for whoever sent it, read without any port that listens."`
}

// PortSchedule is one entry of schedule.
type PortSchedule struct {
	Close     string        `key:"close" oneof:"what" example:"21-22,80" doc:"Services and ports to close, with spaces between them."`
	Open      string        `key:"open" oneof:"what" instead:"close" example:"vpn" doc:"In place of close: services and ports to open. To open what a service keeps closed, name the service."`
	Direction string        `key:"direction" default:"in" enum:"in out" example:"out" doc:"in: connections to this machine; out: connections from it."`
	From      string        `key:"from" required:"true" example:"\"30 17 * * 1-5\"" doc:"When it begins: minute, hour, day of the month, month and day of the week, as in crontab. A time that does not exist when the clocks go forward begins when they do; one that comes twice when they go back begins once."`
	For       time.Duration `key:"for" required:"true" check:"positive" example:"14h" doc:"How long it lasts, whatever the clocks do meanwhile."`
	Zone      string        `key:"zone" check:"zone" example:"Europe/Berlin" doc:"Time zone of from. Default: that of the machine."`
	Name      string        `key:"name" check:"word" example:"night" doc:"What it is called in lists and reasons. Default: schedule-1 and so on."`
	Cut       bool          `key:"cut" default:"false" example:"true" doc:"When an opening ends, connections that live end too."`
}

// PortRemote is the section remote.
type PortRemote struct {
	URL      string         `key:"url" check:"https" example:"https://files.example.org/gate.txt" doc:"Where the file is, by HTTPS."`
	Path     string         `key:"path" instead:"url" check:"path" example:"/home/sync/gate.txt" doc:"In place of url: a file of this machine, such as one in a shared folder."`
	Every    time.Duration  `key:"every" default:"5m" check:"often" doc:"How often it is read."`
	Verify   string         `key:"verify" enum:"totp minisign ssh none" example:"totp" doc:"How a line or the file is proved to be yours: totp, a six-digit code at the end of each line; minisign, a signature beside the file with .minisig behind its name; ssh, one of ssh-keygen -Y sign with .sig behind its name; none, not at all: whoever can write the file opens your services, and status says so."`
	Key      string         `key:"key" check:"path" example:"/etc/gatehouse/remote.key" doc:"File with what verify needs: the secret of totp in base32, or its otpauth:// address; the public key of minisign; the allowed_signers file of ssh."`
	CA       string         `key:"ca" check:"path" instead:"path" example:"/etc/gatehouse/ca.crt" doc:"Certificates in PEM that the server is checked by. Default: those of the machine."`
	Services []string       `key:"services" check:"filled name" example:"[ssh]" doc:"Services that the file may open and close. Default: all of services."`
	Longest  time.Duration  `key:"longest" default:"12h" check:"positive" doc:"The longest time for which the file can open something, and for how long it does where it does not say."`
	From     []netip.Prefix `key:"from" check:"filled" example:"[198.51.100.0/24]" doc:"Who gets in by what the file opens. Default: anybody; a line may name an address."`
}

// PortPage is the section page.
type PortPage struct {
	HTML  string `key:"html" check:"path" example:"/var/www/html/services.html" doc:"Path of the page in HTML, in a folder that a web server shows."`
	JSON  string `key:"json" check:"path" example:"/var/www/html/services.json" doc:"Path of the same in JSON."`
	Title string `key:"title" example:"\"Services at home\"" doc:"Title of the page. Default: the name of the machine."`
}

// PortKnock is the section knock.
type PortKnock struct {
	Port     int           `key:"port" min:"0" max:"65535" default:"0" example:"62201" doc:"UDP port that the packet is sent to. Nothing listens there. 0 turns it off."`
	Key      string        `key:"key" check:"path" example:"/etc/gatehouse/knock.key" doc:"File with the secret that sender and machine share, made by: gatehouse knock --new-key."`
	Services []string      `key:"services" check:"filled name" example:"[ssh]" doc:"Services that a knock may open. Default: all of services."`
	For      time.Duration `key:"for" default:"30s" check:"positive" doc:"How long a knock opens: long enough to connect. Connections that live go on."`
}

// PortsProblem is a mistake in the sections services and ports that only their
// parts can find.
type PortsProblem struct {
	Schedule int    // index of the entry of schedule; -1 = the section Section
	Section  string // of ports: remote, page, knock
	Key      string // in that section
	What     string
	Hint     string
}

// checkPorts holds what spans several keys of services and ports.
func (c *Config) checkPorts(d *decoder, n *node) {
	for name, s := range c.Services {
		if s.Ports.IsEmpty() && n.get("services") != nil && n.get("services").get(name) != nil {
			d.problem(n.get("services").get(name), "write ports: 22/tcp", "the service %s has no port", name)
		}
	}
	ports := n.get("ports")
	if ports == nil || ports.kind != mapping {
		return
	}
	r := c.Ports.Remote
	if at := ports.get("remote"); at != nil && at.kind == mapping && saysAny(at, "url", "path", "verify", "key", "ca", "services", "from") {
		switch {
		case r.URL == "" && r.Path == "":
			if at.get("url") == nil && at.get("path") == nil {
				d.problem(at, "write url: https://… or path: /…", "remote without the place of the file")
			}
		case r.URL != "" && r.Path != "":
			d.problem(at.get("path"), "remove one of the two", "url and path in one section")
		}
		switch v := at.get("verify"); {
		case v == nil:
			d.problem(at, "write verify: totp, minisign or ssh; verify: none trusts whoever can write the file", "remote without verify")
		case r.Verify != "none" && r.Verify != "" && at.get("key") == nil:
			d.problem(at, "write key: /etc/gatehouse/remote.key", "verify: %s without key", r.Verify)
		case r.Verify == "none" && at.get("key") != nil:
			d.problem(at.get("key"), "remove it, or write how to verify", "key with verify: none")
		}
		d.known(at.get("services"), c.Services)
		if len(c.Services) == 0 && r.Verify != "" {
			d.problem(at, "name them under services: in the configuration", "remote without services that it could open")
		}
	}
	if at := ports.get("knock"); at != nil && at.kind == mapping && c.Ports.Knock.Port != 0 {
		if at.get("key") == nil {
			d.problem(at, "write key: /etc/gatehouse/knock.key", "knock without key")
		}
		d.known(at.get("services"), c.Services)
	}
	d.schedules(c, ports.get("schedule"))
	if d.o.PortsProblems == nil || len(d.problems) > 0 {
		return
	}
	for _, p := range d.o.PortsProblems(c) {
		at := ports
		if list := ports.get("schedule"); p.Schedule >= 0 && list != nil && p.Schedule < len(list.items) {
			at = list.items[p.Schedule]
		} else if s := ports.get(p.Section); s != nil {
			at = s
		}
		if v := at.get(p.Key); v != nil {
			at = v
		}
		d.problem(at, p.Hint, "%s", p.What)
	}
}

// saysAny reports whether a section has one of these keys, with a value.
func saysAny(n *node, keys ...string) bool {
	for _, k := range keys {
		if v := n.get(k); v != nil && v.kind != nothing {
			return true
		}
	}
	return false
}

// known reports names of services that are not configured.
func (d *decoder) known(n *node, services map[string]Service) {
	if n == nil || n.kind != list {
		return
	}
	for _, item := range n.items {
		if _, ok := services[item.text]; !ok && item.kind == text {
			d.problem(item, "name it under services: with its ports", "there is no service %s", gate.Quote(item.text, 64))
		}
	}
}

// schedules checks what no entry of schedule can know by itself.
func (d *decoder) schedules(c *Config, n *node) {
	if n == nil || n.kind != list {
		return
	}
	seen := map[string]*node{}
	for _, e := range n.items {
		if open, shut := e.get("open"), e.get("close"); open != nil && shut != nil {
			d.problem(open, "write an entry for each", "close and open in one entry")
		} else if open == nil && shut == nil && e.kind == mapping {
			d.problem(e, "write close: or open: with services and ports", "a schedule that neither closes nor opens anything")
		}
		if v := e.get("name"); v != nil && v.kind == text {
			if first := seen[v.text]; first != nil {
				d.problem(v, "line "+itoa(first.line)+" has it already", "two schedules are called %s", gate.Quote(v.text, 64))
			}
			seen[v.text] = v
		}
	}
}

// Bounds of what is configured about ports.
const (
	leastConfirm = time.Second
	mostConfirm  = time.Hour
	soonest      = 10 * time.Second
	latest       = gate.Day
)

// confirm wants a time in which a person can type a command.
func confirm(v reflect.Value) error {
	if t := time.Duration(v.Int()); t < leastConfirm || t > mostConfirm {
		return wrong("the time to confirm is from 1s to 1h", "write 60s")
	}
	return nil
}

// often wants an interval that a server can bear.
func often(v reflect.Value) error {
	if t := time.Duration(v.Int()); t < soonest || t > latest {
		return wrong("a file is read every 10s at most, and every day at least", "write 5m")
	}
	return nil
}

// https wants the address of a file on a web server that proves who it is.
func https(v reflect.Value) error {
	s := v.String()
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "" && u.Scheme != "file":
		return wrong("this is not the address of a file on a web server", "write https://example.org/gate.txt")
	case u.Scheme == "file" || filepath.IsAbs(s):
		return wrong("a file of this machine has no address", "write path: "+strings.TrimPrefix(u.Path, "//")+" in place of url")
	case u.Scheme != "https":
		return wrong("the file is read by HTTPS only: anybody on the way could change it otherwise", "write https://"+u.Host+u.Path)
	}
	return nil
}
