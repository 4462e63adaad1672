package report

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"gatehouse/internal/gate"
)

// Fit says why a record must not be reported, and if nothing speaks against it
// whom it is about. It judges the record by itself; what is allowed is for the
// caller to ask.
func (c *Config) Fit(r *gate.Record) (addr netip.Addr, why string) {
	switch {
	case r.Verdict != gate.Ban || !r.Subject.IsNet():
		return addr, "it is no ban of an address"
	case r.Proof == nil || len(r.Proof.First) == 0:
		return addr, "it rests on no evidence of a log: " + gate.Quote(r.Rule, 64) + " asked for it"
	case r.Scope.New:
		return addr, "its evidence can be forged"
	case len(c.Rules) > 0 && !slices.Contains(c.Rules, r.Rule):
		return addr, "report: rules: does not name " + gate.Quote(r.Rule, 64)
	case r.Offence < c.Offence:
		return addr, fmt.Sprintf("it is offence %d, and they are reported from %d on", r.Offence, c.Offence)
	}
	events := slices.Concat(r.Proof.First, r.Proof.Last)
	lines := 0
	for _, e := range events {
		if e.Evidence != gate.Proven {
			return addr, "its evidence can be forged"
		}
		if !e.Class.Counts() {
			continue
		}
		if e.Subject.Kind() != gate.KindAddr || !r.Subject.Covers(e.Subject) {
			return addr, "its evidence is about others"
		}
		addr = e.Subject.Addr() // of a network of IPv6, the address that came last
		if strings.TrimSpace(e.Line) != "" {
			lines++
		}
	}
	switch {
	case !addr.IsValid() || lines == 0:
		return netip.Addr{}, "there is no line of a log to show"
	case !gate.IsPublic(addr):
		return netip.Addr{}, addr.String() + " is not a public address"
	}
	for _, p := range c.Own {
		if p.Contains(addr) {
			return netip.Addr{}, "it lies in our own network " + p.String()
		}
	}
	return addr, ""
}

// offender is what counts as one offender: an address, or a network of IPv6 that
// is one customer's.
func offender(addr netip.Addr) string {
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.String()
		}
	}
	return addr.String()
}
