package firewall

import (
	"testing"

	"github.com/google/nftables/expr"
)

// Without a port there is no rule; with one, a packet is shown at a limited rate
// and then dropped, in this order.
func TestKnockRules(t *testing.T) {
	k := &knocks{}
	var none book
	k.rules(nil, &none)
	if len(none.places[placeLive]) != 0 {
		t.Fatal("rules without a port")
	}
	k.want = Knock{Port: 62201, Group: 7}
	var b book
	k.rules(nil, &b)
	rules := b.places[placeLive]
	if len(rules) != 2 {
		t.Fatalf("%d rules", len(rules))
	}
	has := func(rule []expr.Any, is func(expr.Any) bool) int {
		for i, e := range rule {
			if is(e) {
				return i
			}
		}
		return -1
	}
	limit := has(rules[0], func(e expr.Any) bool { _, ok := e.(*expr.Limit); return ok })
	shown := has(rules[0], func(e expr.Any) bool { l, ok := e.(*expr.Log); return ok && l.Group == 7 })
	if limit < 0 || shown < limit {
		t.Errorf("shown at %d, limited at %d", shown, limit)
	}
	drop := func(e expr.Any) bool { v, ok := e.(*expr.Verdict); return ok && v.Kind == expr.VerdictDrop }
	if has(rules[0], drop) >= 0 || has(rules[1], drop) < 0 {
		t.Error("the first rule drops, or the second does not")
	}
}
