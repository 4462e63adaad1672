package config

import (
	"encoding/hex"
	"net/netip"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// List is one entry of lists: a block list of others.
type List struct {
	Name string `key:"name" required:"true" example:"drop" check:"word" doc:"What the list is called, in bans, reasons and gatehouse lists: letters, digits, -, _ and dots."`
	// Of URL and File one is set.
	URL       string        `key:"url" example:"https://www.spamhaus.org/drop/drop.txt" check:"listURL" doc:"Where it is fetched from. An entry has either url or file."`
	File      string        `key:"file" instead:"url" example:"/etc/gatehouse/blocked.txt" check:"path" doc:"File in which it lies, in place of url. It is read again as soon as it changes."`
	Every     time.Duration `key:"every" example:"12h" check:"positive" doc:"How often the source is asked whether it has changed. Default: 12h; a file: 1m, besides its changes."`
	Format    string        `key:"format" default:"auto" enum:"auto plain csv json ipset iptables nft portsentry csf hosts.deny" example:"plain" doc:"The form in which it is written. auto tells by its content."`
	Verdict   string        `key:"verdict" default:"ban" enum:"ban allow" example:"ban" doc:"What becomes of those that it names: ban, or allow for a list of who is never banned (at most 10,000 networks)."`
	Direction string        `key:"direction" default:"both" enum:"in out both" example:"in" doc:"Whether what comes from them is dropped, what goes to them, or both."`
	Expire    time.Duration `key:"expire" default:"forever" example:"7d" check:"positive" doc:"How long the last good copy stays in force while the source gives nothing."`
	Shrink    int           `key:"shrink" default:"50" min:"1" max:"100" example:"30" doc:"By how many percent it may become shorter at once. Beyond that it is held back until somebody takes it: gatehouse lists accept NAME."`
	Grow      int           `key:"grow" default:"100" min:"1" max:"100000" example:"50" doc:"By how many percent it may become longer, or cover more addresses, at once. Beyond that it is held back, too."`
	MaxSize   int           `key:"max_size" default:"64" min:"1" max:"1024" example:"16" doc:"How large it may be in MB, unpacked as well as on the wire."`
	Timeout   time.Duration `key:"timeout" default:"2m" example:"30s" check:"positive" doc:"How long one fetch may take."`
	Private   bool          `key:"private" default:"false" example:"false" doc:"true keeps private and reserved networks that it names; otherwise they are left out, because lists of unused addresses name the LAN as well."`
	SHA256    string        `key:"sha256" example:"https://lists.example.org/drop.txt.sha256" check:"sum" doc:"Its checksum, or the path or URL of a file that has it, as sha256sum writes it. What does not fit is refused."`
	Minisign  string        `key:"minisign" example:"RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3" check:"minisign" doc:"Public key of minisign. What is not signed by it is refused."`
	Signature string        `key:"signature" example:"https://lists.example.org/drop.txt.minisig" check:"listURLOrPath" doc:"Path or URL of the signature. Default: the source with .minisig behind it."`
}

// leastEvery is how often a server may be asked at most.
const leastEvery = time.Minute

// check holds what spans several keys of an entry.
func (l *List) check(d *decoder, n *node) {
	has := func(k string) *node {
		if v := n.get(k); v != nil && v.kind != nothing {
			return v
		}
		return nil
	}
	web, file := has("url"), has("file")
	switch {
	case web != nil && file != nil:
		d.problem(file, "write an entry for each: one entry has one source", "url and file in one entry")
	case web == nil && file == nil:
		d.problem(n, "write url: https://… or file: /…", "the list has no source")
	case web != nil && strings.HasPrefix(l.URL, "http://") && has("minisign") == nil && !isSHA256(l.SHA256) && !isLoopback(l.URL):
		d.problem(web, "write https://, or add minisign: with the key that signs it", "anybody on the way can change what http:// brings")
	case web != nil && l.Every > 0 && l.Every < leastEvery:
		d.problem(has("every"), "write 1h or more: lists change a few times a day", "every %s is more often than a server should be asked", gate.FormatDuration(l.Every))
	}
	if at := has("signature"); at != nil && has("minisign") == nil {
		d.problem(at, "add minisign: with the key that signs it", "signature without minisign")
	}
	if at := has("direction"); at != nil && l.Verdict == "allow" {
		d.problem(at, "remove it: who is allowed is never banned at all", "direction with verdict allow")
	}
}

// checkLists checks that no two lists have one name.
func (c *Config) checkLists(d *decoder, n *node) {
	uniqueNames(d, n.get("lists"), "list")
}

// uniqueNames reports entries whose name another one has.
func uniqueNames(d *decoder, entries *node, what string) {
	if entries == nil || entries.kind != list {
		return
	}
	first := map[string]*node{}
	for _, e := range entries.items {
		name := e.get("name")
		if name == nil || name.kind != text {
			continue
		}
		if f := first[name.text]; f != nil {
			d.problem(name, "line "+itoa(f.line)+" has it already: give this one another name", "%s %s is defined twice", what, gate.Quote(name.text, 64))
			continue
		}
		first[name.text] = name
	}
}

// listURL wants a URL to fetch.
func listURL(v reflect.Value) error {
	s := v.String()
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Fragment != "" {
		return wrong(gate.Quote(s, 64)+" is not a URL to fetch", "write https://lists.example.org/drop.txt, or file: with a path")
	}
	return nil
}

// listURLOrPath wants a URL to fetch or an absolute path.
func listURLOrPath(v reflect.Value) error {
	if filepath.IsAbs(v.String()) {
		return absolute(v)
	}
	return listURL(v)
}

func isSHA256(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32
}

// sum wants a SHA-256, or where there is one.
func sum(v reflect.Value) error {
	if isSHA256(v.String()) {
		return nil
	}
	if listURLOrPath(v) != nil {
		return wrong(gate.Quote(v.String(), 64)+" is neither a SHA-256 nor where one lies", "write its 64 hexadecimal digits, a path, or a URL")
	}
	return nil
}

// isLoopback reports whether a URL leads to this machine.
func isLoopback(s string) bool {
	u, err := url.Parse(s)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && a.IsLoopback()
}

// minisignKey wants a public key of minisign: 42 bytes in base64, beginning with RW.
func minisignKey(v reflect.Value) error {
	s := v.String()
	if len(s) != 56 || !strings.HasPrefix(s, "RW") || slices.ContainsFunc([]byte(s), func(c byte) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '+' || c == '/')
	}) {
		return wrong(gate.Quote(s, 64)+" is not a public key of minisign", "write the line of 56 signs that begins with RW")
	}
	return nil
}
