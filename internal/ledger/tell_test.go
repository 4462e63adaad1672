package ledger

import (
	"testing"

	"gatehouse/internal/gate"
)

// TestTellWithoutSubject pins a bug: the first thing to be written after the start
// was news about nobody, whose empty key became NULL, and nothing was written any more.
func TestTellWithoutSubject(t *testing.T) {
	l, _ := start(t, t.TempDir(), Options{})
	commit(t, l, Txn{Decisions: []gate.Decision{{Time: t0, Verdict: gate.Tell, Rule: "status", Topic: "status.degraded", Why: "the ledger: full"}}})
	rs := records(t, l, Query{})
	if len(rs) != 1 || rs[0].Subject.IsValid() || rs[0].Kind() != "status.degraded" {
		t.Errorf("%+v", rs)
	}
}
