package enrich

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Bounds of an RDAP answer.
const (
	maxEntities = 200 // contacts that are looked at
	maxDepth    = 6   // contacts within contacts
)

// ipNetwork is what is read of an answer about an address (RFC 9083, section 5.4;
// cidr0 and originAS are extensions of registries).
type ipNetwork struct {
	Start    string `json:"startAddress"`
	End      string `json:"endAddress"`
	Name     string `json:"name"`
	Handle   string `json:"handle"`
	Country  string `json:"country"`
	CIDRs    []cidr `json:"cidr0_cidrs"`
	OriginAS []any  `json:"arin_originas0_originautnums"`
	Entities []contact
}

type cidr struct {
	V4     string `json:"v4prefix"`
	V6     string `json:"v6prefix"`
	Length int    `json:"length"`
}

// contact is somebody whom a registry names.
type contact struct {
	Roles    []string          `json:"roles"`
	Card     []json.RawMessage `json:"vcardArray"`
	Entities []contact         `json:"entities"`
}

// parseRDAP reads the answer to a question about an address. Parts that are not
// of the form they should have are left out.
func parseRDAP(data []byte, addr netip.Addr) (Registration, error) {
	var doc ipNetwork
	if err := json.Unmarshal(data, &doc); err != nil {
		if _, odd := errors.AsType[*json.UnmarshalTypeError](err); !odd {
			return Registration{}, fmt.Errorf("its answer is no JSON: %s", clean(err.Error(), maxText))
		}
	}
	var r Registration
	for _, c := range doc.CIDRs {
		p, ok := parseNetworks(fmt.Sprintf("%s%s/%d", c.V4, c.V6, c.Length), addr)
		if ok && (!r.Network.IsValid() || p.Bits() > r.Network.Bits()) {
			r.Network = p
		}
	}
	if !r.Network.IsValid() {
		r.Network, _ = parseNetworks(bareAddress(doc.Start)+" - "+bareAddress(doc.End), addr)
	}
	if !r.Network.IsValid() {
		return Registration{}, fmt.Errorf("its answer is not about %s", addr)
	}
	r.Title, r.Country = clean(doc.Name, maxText), country(doc.Country)
	if r.Title == "" {
		r.Title = clean(doc.Handle, maxText)
	}
	for _, n := range doc.OriginAS {
		if f, ok := n.(float64); ok && f > 0 && f < 1<<32 && r.AS == 0 {
			r.AS = uint32(f)
		}
	}
	left := maxEntities
	var spare []string
	for _, c := range doc.Entities {
		c.read(&r, &spare, &left, maxDepth)
	}
	for _, s := range spare {
		r.Abuse = addMail(r.Abuse, s)
	}
	return r, nil
}

// bareAddress takes the length off that some registries write behind an address.
func bareAddress(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "/")
	return s
}

// read takes from a contact, and from those within it, where abuse is reported
// and who holds the network. spare are addresses that say abuse though their role
// does not.
func (c *contact) read(r *Registration, spare *[]string, left *int, depth int) {
	if *left--; *left < 0 || depth == 0 {
		return
	}
	name, mails := c.card()
	for _, m := range mails {
		if slices.Contains(c.Roles, "abuse") {
			r.Abuse = addMail(r.Abuse, m)
		} else if strings.HasPrefix(strings.ToLower(m), "abuse") {
			*spare = addMail(*spare, m)
		}
	}
	if r.Owner == "" && slices.Contains(c.Roles, "registrant") {
		r.Owner = name
	}
	for i := range c.Entities {
		c.Entities[i].read(r, spare, left, depth-1)
	}
}

// card reads a jCard (RFC 7095): ["vcard", [[name, parameters, type, value], …]].
func (c *contact) card() (name string, mails []string) {
	if len(c.Card) < 2 {
		return "", nil
	}
	var lines [][]json.RawMessage
	_ = json.Unmarshal(c.Card[1], &lines) // what is of another form is left out
	for _, l := range lines[:min(len(lines), 100)] {
		if len(l) < 4 {
			continue
		}
		var what, value string
		if json.Unmarshal(l[0], &what) != nil || json.Unmarshal(l[3], &value) != nil {
			continue
		}
		switch strings.ToLower(what) {
		case "fn":
			name = clean(value, maxText)
		case "org":
			if name == "" {
				name = clean(value, maxText)
			}
		case "email":
			if m := mailAddress(value); m != "" && len(mails) < maxAbuse {
				mails = append(mails, m)
			}
		}
	}
	return name, mails
}
