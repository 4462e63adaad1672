package enrich

import (
	"net/netip"
	"strings"
	"unicode/utf8"
)

// Bounds of a whois answer.
const (
	maxWhoisLines = 5000
	maxWhoisLine  = 1000 // bytes; longer ones are left out
)

// object is one paragraph of a whois answer: a few fields, of which each registry
// has names of its own.
type object struct {
	network netip.Prefix // the smallest of its networks that holds the address
	title   string
	owner   string
	descr   string
	country string
	as      uint32
}

// parseWhois reads the answer of a whois server about an address: what the
// smallest network in it is, and to which server it refers ("" = none). Text that
// is not UTF-8 is read as Latin-1.
func parseWhois(text string, addr netip.Addr) (r Registration, next string) {
	if !utf8.ValidString(text) {
		text = latin1(text)
	}
	var objects []object
	var cur object
	var spare []string
	end := func() {
		if cur != (object{}) {
			objects = append(objects, cur)
		}
		cur = object{}
	}
	lines := 0
	for line := range strings.Lines(text) {
		if lines++; lines > maxWhoisLines {
			break
		}
		line = strings.TrimSpace(line)
		switch {
		case len(line) > maxWhoisLine:
			continue
		case line == "":
			end()
			continue
		case line[0] == '%' || line[0] == '#':
			if m := abuseRemark(line); m != "" {
				r.Abuse = addMail(r.Abuse, m)
			}
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if value = strings.TrimSpace(value); !ok || value == "" {
			continue
		}
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "inetnum", "inet6num", "netrange", "cidr", "route", "route6", "ip-network", "network:ip-network":
			if p, ok := parseNetworks(value, addr); ok && (!cur.network.IsValid() || p.Bits() > cur.network.Bits()) {
				cur.network = p
			}
		case "netname", "network:network-name":
			first(&cur.title, value)
		case "org-name", "orgname", "owner", "organization", "custname", "organisation", "responsible", "network:org-name":
			first(&cur.owner, value)
		case "descr":
			first(&cur.descr, value)
		case "country":
			if cur.country == "" {
				cur.country = country(value)
			}
		case "origin", "originas", "aut-num":
			if cur.as == 0 {
				cur.as = parseAS(value)
			}
		case "abuse-mailbox", "orgabuseemail", "rabuseemail", "abuse-email", "network:abuse-contact":
			r.Abuse = addMail(r.Abuse, value)
		case "e-mail", "email", "orgtechemail", "remarks", "comment":
			for _, word := range strings.Fields(value)[:min(8, len(strings.Fields(value)))] {
				if strings.HasPrefix(strings.ToLower(strings.TrimLeft(word, "<(\"'")), "abuse@") {
					spare = addMail(spare, word)
				}
			}
		case "refer", "whois", "referralserver":
			if s := referral(value); s != "" {
				next = s
			}
		}
	}
	end()
	r.take(objects)
	for _, s := range spare {
		if len(r.Abuse) == 0 {
			r.Abuse = addMail(r.Abuse, s)
		}
	}
	return r, next
}

// take fills in the smallest network, and who holds it: as it says itself, or
// else as an object without a network says.
func (r *Registration) take(objects []object) {
	var best object
	for _, o := range objects {
		if o.network.IsValid() && (!best.network.IsValid() || o.network.Bits() > best.network.Bits() ||
			o.network.Bits() == best.network.Bits() && best.title == "" && o.title != "") {
			as := max(best.as, o.as)
			best = o
			best.as = as
		}
	}
	r.Network, r.Title, r.Owner, r.Country, r.AS = best.network, best.title, best.owner, best.country, best.as
	for _, o := range objects {
		if r.Owner == "" && !o.network.IsValid() {
			r.Owner = o.owner
		}
		if r.AS == 0 && o.network.IsValid() {
			r.AS = o.as
		}
		if r.Country == "" && !o.network.IsValid() {
			r.Country = o.country
		}
	}
	if r.Owner == "" {
		r.Owner = best.descr
	}
}

// first sets a text that is not set yet.
func first(to *string, value string) {
	if *to == "" {
		*to = clean(value, maxText)
	}
}

// abuseRemark reads the line in which RIPE's server says where abuse is reported:
// % Abuse contact for '192.0.2.0 - 192.0.2.255' is 'abuse@example.net'
func abuseRemark(line string) string {
	rest, ok := strings.CutPrefix(strings.TrimSpace(strings.TrimLeft(line, "%# ")), "Abuse contact for ")
	if !ok {
		return ""
	}
	_, mail, _ := strings.Cut(rest, " is ")
	return mailAddress(mail)
}
