package app

import (
	"strings"

	"gatehouse/internal/api"
	"gatehouse/internal/gate"
	"gatehouse/internal/ledger"
)

// byKind narrows a query to a kind of record: a verdict, a part whose rule bears
// its name, or a topic. It returns what the query itself cannot express; false
// for a kind that contradicts the rule that was asked for.
func byKind(lq *ledger.Query, q api.LogQuery) (keep func(gate.Record) bool, some bool) {
	all := func(gate.Record) bool { return true }
	if q.Kind == "" {
		return all, true
	}
	var v gate.Verdict
	if v.UnmarshalText([]byte(q.Kind)) == nil && v != gate.VerdictNone {
		lq.Verdicts = []gate.Verdict{v}
		return all, true
	}
	part, _, dotted := strings.Cut(q.Kind, ".")
	if lq.Rule != "" && lq.Rule != part {
		return all, false
	}
	lq.Rule = part
	if !dotted {
		return all, true
	}
	lq.Verdicts = []gate.Verdict{gate.Tell}
	return func(r gate.Record) bool { return r.Kind() == q.Kind }, true
}

// isKind reports whether a record is of the kind that a query asks for.
func isKind(q api.LogQuery, r gate.Record) bool {
	return q.Kind == "" || r.Kind() == q.Kind || r.Verdict.String() == q.Kind || r.Rule == q.Kind
}

// newestRecords returns the newest records of a query that are kept, at most so many,
// the newest first.
func (d *daemon) newestRecords(lq ledger.Query, most int, keep func(gate.Record) bool) (out []gate.Record, err error) {
	lq.Reverse, lq.Limit = true, max(most, 100)
	for {
		rs, err := d.ledger.Records(lq)
		if err != nil {
			return nil, err
		}
		for _, r := range rs {
			if keep(r) {
				if out = append(out, r); len(out) == most {
					return out, nil
				}
			}
		}
		if len(rs) < lq.Limit {
			return out, nil
		}
		lq.Before = rs[len(rs)-1].Seq
	}
}
