package ports

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPage(t *testing.T) {
	until := time.Date(2026, 11, 21, 18, 30, 0, 0, time.UTC)
	p := Page{Title: "Services <at> home", Updated: until.Add(-time.Hour), Services: []PageService{
		{"ssh", StateOpen, &until}, {"vpn", StateClosed, nil}, {"web", StateLimited, nil}}}
	dir := t.TempDir()
	html, err := p.HTML()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := p.JSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Services &lt;at&gt; home", `<th scope="row">ssh</th><td class="open">open</td><td><time datetime="2026-11-21T18:30:00Z">2026-11-21 18:30 UTC</time>`,
		`<td class="closed">closed</td><td></td>`, "open to some"} {
		if !strings.Contains(string(html), want) {
			t.Errorf("the page has no %s:\n%s", want, html)
		}
	}
	var back Page
	if err := json.Unmarshal(doc, &back); err != nil || len(back.Services) != 3 || back.Services[0].State != "open" || !back.Services[0].Until.Equal(until) {
		t.Errorf("%s: %v", doc, err)
	}
	path := filepath.Join(dir, "index.html")
	victim := filepath.Join(dir, "victim")
	os.WriteFile(victim, []byte("mine"), 0o600)
	os.Symlink(victim, path)
	if err := WriteFile(path, html); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(victim); string(b) != "mine" {
		t.Error("a link was followed")
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != 0o644 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	if CheckPlace(path) != nil || CheckPlace(filepath.Join(dir, "none", "x")) == nil || CheckPlace(dir) == nil {
		t.Error("places are told apart wrongly")
	}
}
