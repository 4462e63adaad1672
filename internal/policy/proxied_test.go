package policy

import (
	"strings"
	"testing"

	"gatehouse/internal/gate"
)

// Who comes by trusted proxies alone gets a ban that only a web server can enforce;
// who came directly even once gets one of the kernel, on top of it.
func TestProxiedBan(t *testing.T) {
	p := New(config(), nil)
	f := finding("web", "203.0.113.77", t0)
	for i := range f.Proof.First {
		f.Proof.First[i].Detail.Proxied = true
	}
	d, _ := decide(t, p, f, t0, host())
	if d.Verdict != gate.Ban || !d.Scope.HTTP || !strings.Contains(d.Why, "trusted proxy") {
		t.Fatalf("behind a proxy: %+v", d)
	}
	again := finding("web", "203.0.113.77", t0)
	d, _ = decide(t, p, again, t0, host())
	if d.Verdict != gate.Ban || d.Scope.HTTP || strings.Contains(d.Why, "trusted proxy") {
		t.Fatalf("directly: %+v", d)
	}
}
