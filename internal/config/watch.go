package config

import (
	"net"
	"net/netip"
	"net/url"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"gatehouse/internal/gate"
)

// sourceKeys are the keys of which an entry of watch has one at most: each is a
// kind of source.
var sourceKeys = []string{"files", "journal", "syslog", "command"}

// check holds what spans several keys of an entry.
func (w *Watch) check(d *decoder, n *node) {
	w.checkSubject(d, n)
	var has []string
	for _, k := range sourceKeys {
		if v := n.get(k); v != nil && v.kind != nothing {
			if has = append(has, k); len(has) == 2 {
				d.problem(v, "write an entry for each: one entry reads one kind of source", "%s and %s in one entry", has[0], k)
			}
		}
	}
	u, err := url.Parse(w.Syslog)
	if err != nil {
		return // was reported
	}
	for _, k := range []string{"allow_from", "cert", "key", "client_ca"} {
		v := n.get(k)
		switch {
		case v == nil || v.kind == nothing:
		case n.get("syslog") == nil:
			d.problem(v, "it goes with syslog: remove it, or say where to listen", "%s without syslog", k)
		case w.Syslog == "": // was reported
		case k == "allow_from" && u.Scheme == "unix":
			d.problem(v, "remove it: who may send there is for the rights of its folder to say", "allow_from for a path")
		case k != "allow_from" && u.Scheme != "tls":
			d.problem(v, "remove it, or listen at tls://"+u.Host, "%s without tls://", k)
		}
	}
	if w.Syslog == "" {
		return
	}
	at := n.get("syslog")
	if host, err := netip.ParseAddrPort(u.Host); err == nil && !host.Addr().IsLoopback() && n.get("allow_from") == nil {
		d.problem(at, "say who may: allow_from: [192.0.2.0/24]", "nobody is allowed to send to %s", w.Syslog)
	}
	for _, k := range []string{"cert", "key"} {
		if u.Scheme == "tls" && n.get(k) == nil {
			d.problem(at, "add "+k+": /etc/gatehouse/syslog."+map[string]string{"cert": "crt", "key": "key"}[k], "tls:// without %s", k)
		}
	}
}

// checkWatches checks what no entry can know by itself: that its rule exists,
// and that no source is read twice for the same rule.
func checkWatches(d *decoder, folder string, entries []*node) {
	type source struct{ rule, name string }
	seen := make(map[source]*node)
	once := func(s source, n *node, format string, args ...any) {
		if first := seen[s]; first != nil {
			d.problem(n, "line "+itoa(first.line)+" has it already: each failure would count twice", format, args...)
			return
		}
		seen[s] = n
	}
	for _, entry := range entries {
		if entry.kind == text && entry.text == "auto" {
			once(source{}, entry, "auto is listed twice")
			continue
		}
		rule := entry.get("rule")
		if rule == nil || rule.kind != text || !gate.IsName(rule.text) {
			continue
		}
		if d.o.RuleExists != nil {
			if near, ok := d.o.RuleExists(folder, rule.text); !ok {
				d.problem(rule, didYouMean(near, "gatehouse rules list shows the built-in rules; your own lie in "+folder),
					"there is no rule %s", gate.Quote(rule.text, 64))
			}
		}
		named := false
		for _, k := range sourceKeys {
			v := entry.get(k)
			if v == nil || v.kind == nothing {
				continue
			}
			named = true
			switch items := v.items; {
			case v.kind == text:
				once(source{rule.text, v.text}, v, "%s is read twice for %s", gate.Quote(v.text, 64), rule.text)
			case k == "command":
				once(source{rule.text, joined(items)}, v, "the command %s is read twice for %s", gate.Quote(joined(items), 64), rule.text)
			default:
				for _, f := range items {
					if f.kind == text {
						once(source{rule.text, f.text}, f, "%s is read twice for %s", gate.Quote(f.text, 64), rule.text)
					}
				}
			}
		}
		if !named {
			once(source{rule: rule.text}, rule, "%s is watched twice", rule.text)
		}
	}
}

func joined(items []*node) string {
	words := make([]string, len(items))
	for i, item := range items {
		words[i] = item.text
	}
	return strings.Join(words, " ")
}

// checkDoors checks that entries that listen at the same address do so with the
// same settings.
func checkDoors(d *decoder, watches []Watch, entries []*node) {
	if len(watches) != len(entries) {
		return // some could not be read, which was reported
	}
	for i, w := range watches {
		first := slices.IndexFunc(watches[:i], func(o Watch) bool { return o.Syslog == w.Syslog })
		if w.Syslog == "" || first < 0 {
			continue
		}
		o := watches[first]
		if !slices.Equal(o.AllowFrom, w.AllowFrom) || o.Cert != w.Cert || o.Key != w.Key || o.ClientCA != w.ClientCA {
			at := entries[i].get("syslog")
			d.problem(at, "write the same allow_from, cert, key and client_ca in both", "line %d listens at %s with other settings", entries[first].get("syslog").line, w.Syslog)
		}
	}
}

// unit wants the name of a unit of systemd, or a pattern of such.
func unit(v reflect.Value) error {
	s := v.String()
	if _, err := path.Match(s, ""); err != nil || s == "" || strings.ContainsAny(s, "/ ") {
		return wrong(gate.Quote(s, 64)+" is not the name of a unit", "write it as systemctl does: ssh.service, or sshd@*.service for its instances")
	}
	if path.Ext(s) == "" {
		return wrong(gate.Quote(s, 64)+" is not the name of a unit: its kind is missing", "write "+s+".service")
	}
	if strings.HasPrefix(s, "session-") || strings.HasPrefix(s, "user@") || strings.HasPrefix(s, "user-") {
		return wrong(gate.Quote(s, 64)+" holds what people run: anybody can write there in a service's name", "name the unit of the service, such as ssh.service")
	}
	return nil
}

// command wants the words of a command, none of them for a shell.
func command(v reflect.Value) error {
	if s := v.String(); s == "" {
		return wrong("an empty word of a command", "remove it")
	}
	return nil
}

// listen wants a URL to listen at.
func listen(v reflect.Value) error {
	s := v.String()
	u, err := url.Parse(s)
	const hint = "write udp://127.0.0.1:5514, tcp://…, tls://… or unix:///run/gatehouse/log"
	if err != nil || !slices.Contains([]string{"udp", "tcp", "tls", "unix"}, u.Scheme) || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return wrong(gate.Quote(s, 64)+" is not an address to listen at", hint)
	}
	if u.Scheme == "unix" {
		if u.Host != "" || !filepath.IsAbs(u.Path) {
			return wrong(gate.Quote(s, 64)+" has no absolute path", "three slashes: unix:///run/gatehouse/log")
		}
		if n := len(u.Path); n > maxSocket {
			return wrong("the path of a socket has at most "+itoa(maxSocket)+" bytes, this one has "+itoa(n), "choose a shorter path")
		}
		return nil
	}
	host, port, err := net.SplitHostPort(u.Host)
	switch a, perr := netip.ParseAddr(host); {
	case err != nil || port == "":
		return wrong(gate.Quote(s, 64)+" has no port", "write "+u.Scheme+"://"+u.Host+":514")
	case host == "":
		return wrong(gate.Quote(s, 64)+" says no address", "say at which address: "+u.Scheme+"://127.0.0.1:"+port+", or 0.0.0.0 for all")
	case perr != nil:
		return wrong(gate.Quote(host, 64)+" is not an address", "write an address of this machine; names are not looked up")
	default:
		if p, err := netip.ParseAddrPort(u.Host); err != nil || p.Port() == 0 || u.Path != "" || a.Zone() != "" {
			return wrong(gate.Quote(s, 64)+" is not an address with a port", hint)
		}
	}
	return nil
}
