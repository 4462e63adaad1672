package enrich

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Name is what reverse DNS says. Anybody can give their addresses any name; one
// is confirmed if it leads back to the address.
type Name struct {
	Name      string `json:"name"`
	Confirmed bool   `json:"confirmed"`
}

// Registration is what a registry says about a network. All text is clean.
type Registration struct {
	Network netip.Prefix `json:"network"`           // the smallest that is registered and holds the address, as far as one prefix can say it
	Title   string       `json:"title,omitempty"`   // what its holder calls it
	Owner   string       `json:"owner,omitempty"`   // who holds it
	Country string       `json:"country,omitempty"` // ISO 3166-1, two letters, as registered
	AS      uint32       `json:"as,omitempty"`      // who announces it, where the registry says so
	Abuse   []string     `json:"abuse,omitempty"`   // addresses for mail about abuse, the best first
	Source  string       `json:"source"`            // which server said so
	At      time.Time    `json:"at"`                // when
}

// Facts is what is known about an address.
type Facts struct {
	Addr     netip.Addr   `json:"address"`
	Names    []Name       `json:"names,omitempty"`
	Country  string       `json:"country,omitempty"`  // ISO 3166-1, two letters: of the database, else as registered
	AS       uint32       `json:"as,omitempty"`       // number of the network that announces it
	Operator string       `json:"operator,omitempty"` // name of that network
	Held     Registration `json:"held,omitzero"`
	Problems []string     `json:"problems,omitempty"` // what could not be learned, and why
	// Unregistered is those of the problems that are why Held is empty.
	Unregistered []string `json:"-"`
}

// IsEmpty reports whether nothing is known.
func (f Facts) IsEmpty() bool {
	return len(f.Names) == 0 && f.Country == "" && f.AS == 0 && f.Operator == "" && f.Held.Source == ""
}

// String returns the facts in a line for messages: a confirmed name, country,
// network, holder; "" if nothing is known.
func (f Facts) String() string {
	var parts []string
	for _, n := range f.Names {
		if n.Confirmed {
			parts = append(parts, n.Name)
			break
		}
	}
	if f.Country != "" {
		parts = append(parts, f.Country)
	}
	who := f.Operator
	if who == "" {
		if who = f.Held.Owner; who == "" {
			who = f.Held.Title
		}
	}
	if f.AS != 0 {
		who = strings.TrimSpace(fmt.Sprintf("AS%d %s", f.AS, who))
	}
	if who != "" {
		parts = append(parts, who)
	}
	return strings.Join(parts, ", ")
}
