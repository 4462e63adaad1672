package config

import (
	"net/netip"
	"net/url"
	"path/filepath"
	"reflect"
	"time"

	"gatehouse/internal/gate"
)

// Export is one entry of exports: the bans, kept current in a file or served to
// other machines.
type Export struct {
	// Of To and Serve one is set.
	To       string         `key:"to" example:"/etc/nginx/gatehouse.conf" check:"path" doc:"File that is kept equal to the bans: written anew, whole, within a second of a change. An entry has either to or serve."`
	Serve    string         `key:"serve" instead:"to" example:"https://192.0.2.1:8443/bans" check:"serve" doc:"In place of to: where other machines fetch the bans, with ETag. Entries may share an address with different paths. http:// is for loopback only."`
	Format   string         `key:"format" default:"plain" enum:"plain cidr csv json nft ipset fail2ban nginx apache haproxy" example:"nginx" doc:"How they are written; see gatehouse export --help. nginx, apache and haproxy hold what only a web server can enforce, too: clients behind a proxy."`
	Rules    []string       `key:"rules" example:"[sshd]" check:"filled word" doc:"Only bans of these rules. Default: all."`
	Networks []netip.Prefix `key:"networks" example:"[198.51.100.0/24]" check:"filled" doc:"Only bans within these networks. Default: all."`
	Evidence string         `key:"evidence" enum:"proven forgeable" example:"proven" doc:"Only bans that rest on this class of evidence. Default: all."`
	Younger  time.Duration  `key:"younger" example:"30d" check:"positive" doc:"Only who was banned less than this ago. Default: all."`
	Older    time.Duration  `key:"older" example:"1h" check:"positive" doc:"Only who was banned at least this ago. Default: all."`
	Reload   []string       `key:"reload" example:"[/usr/bin/systemctl, reload, nginx]" check:"filled command" doc:"Command to run after the file has changed: a list of its absolute path and its arguments, run without a shell."`
	Token    string         `key:"token" instead:"to" example:"/etc/gatehouse/share.token" check:"path" doc:"With serve: file with the secret that who fetches must show (Authorization: Bearer …), at least 16 characters."`
	Cert     string         `key:"cert" instead:"to" example:"/etc/gatehouse/share.crt" check:"path" doc:"With serve: certificate in PEM for https://."`
	Key      string         `key:"key" instead:"to" example:"/etc/gatehouse/share.key" check:"path" doc:"With serve: private key in PEM for https://."`
}

// check holds what spans several keys of an entry.
func (e *Export) check(d *decoder, n *node) {
	has := func(k string) *node {
		if v := n.get(k); v != nil && v.kind != nothing {
			return v
		}
		return nil
	}
	to, serve := has("to"), has("serve")
	switch {
	case to != nil && serve != nil:
		d.problem(serve, "write an entry for each", "to and serve in one entry")
	case to == nil && serve == nil:
		d.problem(n, "write to: /a/file or serve: https://ADDRESS:PORT/bans", "the export goes nowhere")
	}
	if at := has("reload"); at != nil && serve != nil {
		d.problem(at, "remove it: whoever fetches sees for themselves", "reload with serve")
	}
	if at := has("reload"); at != nil && at.kind == list && len(at.items) > 0 && at.items[0].kind == text && !filepath.IsAbs(at.items[0].text) {
		d.problem(at.items[0], "write its whole path: /usr/sbin/"+at.items[0].text, "%s is not the absolute path of a command", gate.Quote(at.items[0].text, 64))
	}
	secure := false
	if u, err := url.Parse(e.Serve); err == nil {
		secure = u.Scheme == "https"
	}
	for _, k := range []string{"token", "cert", "key"} {
		at := has(k)
		switch {
		case at != nil && serve == nil:
			d.problem(at, "it goes with serve: remove it", "%s without serve", k)
		case serve == nil || e.Serve == "":
		case k == "token" && at == nil:
			d.problem(serve, "add token: /etc/gatehouse/share.token", "serve without token: anybody could fetch who is banned")
		case k != "token" && at == nil && secure:
			d.problem(serve, "add "+k+": /etc/gatehouse/share."+map[string]string{"cert": "crt", "key": "key"}[k], "https:// without %s", k)
		case k != "token" && at != nil && !secure:
			d.problem(at, "remove it, or serve at https://", "%s without https://", k)
		}
	}
}

// checkExports checks that no two entries write one file or serve one path.
func (c *Config) checkExports(d *decoder, n *node) {
	entries := n.get("exports")
	if entries == nil || entries.kind != list {
		return
	}
	first := map[string]*node{}
	for _, e := range entries.items {
		for _, k := range []string{"to", "serve"} {
			v := e.get(k)
			if v == nil || v.kind != text {
				continue
			}
			if f := first[v.text]; f != nil {
				d.problem(v, "line "+itoa(f.line)+" has it already: give this one another", "%s is exported twice", gate.Quote(v.text, 64))
				continue
			}
			first[v.text] = v
		}
	}
}

// serve wants a URL to serve at.
func serve(v reflect.Value) error {
	s := v.String()
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || len(u.Path) < 2 {
		return wrong(gate.Quote(s, 64)+" is not a URL to serve at", "write https://192.0.2.1:8443/bans")
	}
	ap, err := netip.ParseAddrPort(u.Host)
	if err != nil || ap.Port() == 0 {
		return wrong(gate.Quote(s, 64)+" has no address with a port", "write https://192.0.2.1:8443"+u.Path+", or 0.0.0.0 for all addresses")
	}
	if u.Scheme == "http" && !ap.Addr().IsLoopback() {
		return wrong("the token would go over the network in the open", "write https://"+u.Host+u.Path+" with cert and key")
	}
	return nil
}
