package migrate

import (
	"fmt"
	"io"
	"slices"
	"time"

	"gatehouse/internal/gate"
	"gatehouse/internal/lists/formats"
)

// IPTables is what is shut out by hand-made chains of iptables: the sources of rules
// that drop or reject.
type IPTables struct {
	Entries []formats.Entry // in the order of the file, each network, set of ports and chain once
	Chains  []string        // the chains or jails that they stand in, sorted
	Remarks []Remark        // rules that could not be carried over
}

// maxIPTables bounds how many rules are taken over: more do not fit into one machine's
// iptables in any case.
const maxIPTables = 2_000_000

// maxIPTablesRemarks bounds the remarks that are kept.
const maxIPTablesRemarks = 1000

// ReadIPTables reads what iptables-save and ip6tables-save write. chain is the chain
// to take over; "" takes all. Its error says what is wrong with the text as a whole.
func ReadIPTables(r io.Reader, chain string, now time.Time) (IPTables, error) {
	type known struct{ net, ports, rule string }
	var out IPTables
	seen := map[known]bool{}
	o := formats.Options{Format: formats.IPTables, Now: now, Chain: chain, Fault: func(f formats.Fault) {
		if len(out.Remarks) < maxIPTablesRemarks {
			out.Remarks = append(out.Remarks, Remark{Place: fmt.Sprintf("line %d", f.Line), Text: f.What, Hint: "see to it by hand: such a rule stays in iptables"})
		}
	}}
	_, err := formats.Read(r, o, func(e formats.Entry) error {
		k := known{e.Prefix.String(), e.Ports.String(), e.Rule}
		if seen[k] {
			return nil
		}
		if len(out.Entries) == maxIPTables {
			return fmt.Errorf("it has more than %d rules", maxIPTables)
		}
		seen[k] = true
		out.Entries = append(out.Entries, e)
		if gate.IsName(e.Rule) && !slices.Contains(out.Chains, e.Rule) {
			out.Chains = append(out.Chains, e.Rule)
		}
		return nil
	})
	slices.Sort(out.Chains)
	return out, err
}
