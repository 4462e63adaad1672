package formats

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"gatehouse/internal/gate"
)

// Ban is a ban as it is written for others.
type Ban struct {
	Subject  gate.Subject  // an address or a prefix
	Since    time.Time     // when it was banned
	Until    time.Time     // when it ends; zero = never
	Rule     string        // which rule, or command
	Origin   string        // where it was seen; hostile
	Reason   string        // why; parts of it are hostile
	Ports    gate.Ports    // only these; empty = all
	Offences int           // how often it was banned
	Enforced bool          // something drops what it sends
	Evidence gate.Evidence // what it rests on
	HTTP     bool          // only requests to a web server are meant: the kernel never sees its packets
}

// Filter selects bans. The zero value selects all.
type Filter struct {
	Rules    []string       // of one of these rules
	Networks []netip.Prefix // that lie in one of these
	Younger  time.Duration  // banned less than this ago; 0 = any
	Older    time.Duration  // banned at least this ago; 0 = any
	Evidence gate.Evidence  // resting on this class; EvidenceNone = any
}

// Selects reports whether a ban is selected.
func (f Filter) Selects(b Ban, now time.Time) bool {
	age := now.Sub(b.Since)
	switch {
	case !b.Subject.IsNet():
		return false
	case len(f.Rules) > 0 && !slices.Contains(f.Rules, b.Rule):
		return false
	case f.Younger > 0 && age >= f.Younger, f.Older > 0 && age < f.Older:
		return false
	case f.Evidence != gate.EvidenceNone && f.Evidence != b.Evidence:
		return false
	}
	return len(f.Networks) == 0 || slices.ContainsFunc(f.Networks, func(p netip.Prefix) bool {
		return gate.PrefixSubject(p).Covers(b.Subject)
	})
}

// Apply returns those bans that are selected, in the order in which everything here
// writes them.
func (f Filter) Apply(bans []Ban, now time.Time) []Ban {
	out := slices.DeleteFunc(slices.Clone(bans), func(b Ban) bool { return !f.Selects(b, now) })
	Sort(out)
	return out
}

// Sort orders bans by address, wider prefixes first, then by scope and rule.
func Sort(bans []Ban) {
	slices.SortFunc(bans, func(a, b Ban) int {
		return cmp.Or(a.Subject.Addr().Compare(b.Subject.Addr()), a.Subject.Prefix().Bits()-b.Subject.Prefix().Bits(),
			cmp.Compare(a.Ports.String(), b.Ports.String()), cmp.Compare(a.Rule, b.Rule), b.Until.Compare(a.Until))
	})
}
