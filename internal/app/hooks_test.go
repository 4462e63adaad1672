package app

import (
	"slices"
	"testing"
	"time"

	"gatehouse/internal/config"
	"gatehouse/internal/gate"
	"gatehouse/internal/hooks"
)

// TestHookWords: the words that the configuration lets through are those that hooks
// put values in for.
func TestHookWords(t *testing.T) {
	a, b := config.HookWords(), hooks.Words()
	slices.Sort(a)
	slices.Sort(b)
	if !slices.Equal(a, b) {
		t.Errorf("the configuration has %v, hooks have %v", a, b)
	}
}

// TestOwnSections maps lists, exports and hooks as they are written.
func TestOwnSections(t *testing.T) {
	c, err := config.Parse("t.yaml", []byte(`
state: /s
lists:
  - {name: a, url: "https://lists.example.org/a.txt", direction: in, max_size: 2}
  - {name: b, file: /b.txt, verdict: allow}
exports:
  - {to: /x, format: nginx, rules: [sshd], evidence: proven, reload: [/bin/true]}
  - {serve: "https://192.0.2.1:8443/bans", token: /t, cert: /c, key: /k}
hooks:
  - {on: ban, run: [/bin/true]}
  - {on: [ban], run: [/bin/true, "{why}"], retries: 2}
`), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l := listConfig(c, "1.2")
	if l.Folder != "/s/lists" || l.Agent != "gatehouse/1.2" || len(l.Lists) != 2 || l.Lists[0].Direction != gate.In || l.Lists[0].Limits.Size != 2<<20 ||
		l.Lists[1].Verdict != gate.Allow || l.Lists[1].Direction != gate.DirectionNone || l.Lists[1].Limits.Entries != maxAllowList || l.Lists[0].Timeout != 2*time.Minute {
		t.Errorf("%+v", l)
	}
	e := exportConfig(c)
	if len(e.Files) != 1 || e.Files[0].Format.Name != "nginx" || e.Files[0].Filter.Evidence != gate.Proven || len(e.Sites) != 1 ||
		e.Sites[0].Address != "192.0.2.1:8443" || e.Sites[0].Path != "/bans" || !e.Sites[0].Secure {
		t.Errorf("%+v", e)
	}
	h := hookConfig(c)
	if len(h) != 2 || h[0].Name != "true" || h[1].Name != "true.2" || h[1].Retries != 2 || h[0].Timeout != 30*time.Second || h[0].Late != time.Hour {
		t.Errorf("%+v", h)
	}
	if !needsRunner(c) {
		t.Error("nothing runs its commands")
	}
}
