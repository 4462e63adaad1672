package migrate

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/fail2ban"
	"gatehouse/internal/gate"
)

// allowed is one entry of the allow list.
type allowed struct {
	text  string
	jails []string // that ignore it
	file  string   // that it came from
}

var hostName = regexp.MustCompile(`^(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?$`)

// maxAllowed bounds the allow list.
const maxAllowed = 10_000

// allow collects what jails ignore.
func (r *fail2banReader) allow() {
	for _, j := range r.enabled {
		for _, s := range j.IgnoreIP {
			if file, ok := strings.CutPrefix(s, "file:"); ok {
				r.allowFile(j, file)
				continue
			}
			r.allowOne(j, s, "")
		}
	}
}

// allowFile takes over the lines of a file that ignoreip names.
func (r *fail2banReader) allowFile(j *fail2ban.Jail, file string) {
	problem := func(text string) {
		r.general(fail2ban.Problem{At: j.At, Text: fmt.Sprintf("ignoreip names file:%s, which %s", file, text), Hint: "write its entries below allow:"})
	}
	if r.o.ReadFile == nil {
		problem("is not read")
		return
	}
	src, err := r.o.ReadFile(file)
	if err != nil {
		problem("cannot be read: " + err.Error())
		return
	}
	for line := range strings.SplitSeq(string(src), "\n") {
		line, _, _ = strings.Cut(line, "#")
		line, _, _ = strings.Cut(line, ";")
		for s := range strings.FieldsFuncSeq(line, func(c rune) bool { return c == ',' || c == ' ' || c == '\t' || c == '\r' }) {
			r.allowOne(j, s, file)
		}
	}
}

// allowOne takes over one address, network or name.
func (r *fail2banReader) allowOne(j *fail2ban.Jail, s, file string) {
	problem := func(text, hint string) { r.general(fail2ban.Problem{At: j.At, Text: text, Hint: hint}) }
	sub, err := gate.ParseSubject(s)
	text := ""
	switch {
	case err == nil && sub.IsNet():
		p := sub.Prefix().Masked()
		switch {
		case p.Bits() == 0:
			problem("ignoreip has "+s+", which is everybody", "to watch without banning: gatehouse run --observe")
			return
		case isLoopback(p):
			return // never banned anyway
		}
		text = gate.PrefixSubject(p).String()
	case hostName.MatchString(s) && strings.ContainsFunc(s, func(c rune) bool { return c >= 'A' }) && len(s) <= 253:
		text = strings.ToLower(strings.TrimSuffix(s, "."))
	default:
		problem(fmt.Sprintf("ignoreip has %q, which is neither an address, a network nor a host name", s), "write what is meant below allow:")
		return
	}
	if isLocalName(text) {
		return
	}
	if i := slices.IndexFunc(r.allowed, func(a allowed) bool { return a.text == text }); i >= 0 {
		if !slices.Contains(r.allowed[i].jails, j.Name) {
			r.allowed[i].jails = append(r.allowed[i].jails, j.Name)
		}
		return
	}
	if len(r.allowed) == maxAllowed {
		problem(fmt.Sprintf("ignoreip has more than %d entries", maxAllowed), "write networks in place of addresses")
		return
	}
	r.allowed = append(r.allowed, allowed{text, []string{j.Name}, file})
}

func isLoopback(p netip.Prefix) bool {
	return p.Addr().Is4() && p.Bits() >= 8 && p.Addr().IsLoopback() || p.Addr() == netip.IPv6Loopback() && p.Bits() == 128
}

func isLocalName(s string) bool { return s == "localhost" || s == "localhost.localdomain" }

// remarkOf says what is to be known of an entry of the allow list; "" = nothing.
func (a allowed) remarkOf(jails int) string {
	var all []string
	if len(a.jails) < jails {
		all = append(all, "only "+strings.Join(a.jails[:min(3, len(a.jails))], ", ")+" ignored it; here no rule bans it")
	}
	if a.file != "" {
		all = append(all, "from "+a.file+", which is not read again")
	}
	return strings.Join(all, "; ")
}
