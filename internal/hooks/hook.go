package hooks

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// Hook is one command and what it is run for.
type Hook struct {
	Name     string         // unique
	On       []string       // kinds of record, as Wants has them
	Run      []string       // program and arguments, with words in braces
	Rules    []string       // only records of these rules; empty = all
	Match    []netip.Prefix // only subjects within these; empty = all
	Timeout  time.Duration  // how long it may run
	Parallel int            // runs at once; 0 = 1
	Retries  int            // how often it is run again when it fails
	Late     time.Duration  // records older than this are passed over; 0 or gate.Forever = none
	User     string         // whose rights; "" = the daemon's
}

// Part is the Rule of the records that this package makes.
const Part = "hook"

// Wants reports whether the hook is run for a record.
func (h *Hook) Wants(r *gate.Record) bool {
	if r.Rule == Part {
		return false
	}
	if len(h.Rules) > 0 && !slices.Contains(h.Rules, r.Rule) {
		return false
	}
	if len(h.Match) > 0 && (!r.Subject.IsNet() || !slices.ContainsFunc(h.Match, func(p netip.Prefix) bool {
		return gate.PrefixSubject(p).Covers(r.Subject)
	})) {
		return false
	}
	return slices.ContainsFunc(h.On, func(on string) bool { return happened(on, r) })
}

// happened reports whether a record is of a kind, as a person names it: a verdict, a
// topic, the part that a topic begins with, or one of the words below.
func happened(on string, r *gate.Record) bool {
	on = strings.TrimSuffix(on, ".*")
	kind := r.Kind()
	under := func(part string) bool { return kind == part || strings.HasPrefix(kind, part+".") }
	switch on {
	case "ban", "release", "allow", "disallow":
		return kind == on && r.Subject.Kind() != gate.KindList // a list is no address to do something with
	case "scan":
		return r.Rule == "scan" || strings.HasPrefix(r.Rule, "scan.") || under("scan")
	case "port":
		return r.Verdict == gate.Close || r.Verdict == gate.Open || r.Subject.Kind() == gate.KindPort || under("port")
	case "list":
		return r.Subject.Kind() == gate.KindList || under("list")
	case "degraded", "restored":
		return kind == "status."+on
	}
	return under(on)
}
