package rules

import (
	"strings"
	"testing"
)

// TestBuiltinAttacks: whatever a stranger writes into the lines of any built-in
// rule, no rule takes a bystander for him.
func TestBuiltinAttacks(t *testing.T) {
	all := Builtin()
	tries := 0
	for i, r := range all {
		if raced && i%10 > 0 {
			continue
		}
		failures, n := r.Attack(all)
		tries += n
		for _, f := range failures {
			t.Errorf("%s: %s", r.Name, f)
		}
	}
	t.Logf("%d lines", tries)
	if tries < 100_000 && !raced {
		t.Errorf("%d lines only", tries)
	}
}

// TestBuiltinTogether: the samples of all rules in one log give what they give
// alone, with the filter and without.
func TestBuiltinTogether(t *testing.T) {
	all := Builtin()
	for name, failures := range TestTogether(all) {
		for _, f := range failures {
			t.Errorf("%s: %s", name, f)
		}
	}
	log, _ := weave(all)
	var told [2][]string
	for i, naive := range []bool{false, true} {
		NewMatcher(all, Options{Naive: naive}).Scanner(SourceOptions{}).Scan([]byte(log), sampleNow, func(h *Hit) { told[i] = append(told[i], tellHit(h)) })
	}
	if len(told[0]) < 300 || strings.Join(told[0], "\n") != strings.Join(told[1], "\n") {
		t.Errorf("%d hits, the naive matcher has %d", len(told[0]), len(told[1]))
	}
}
