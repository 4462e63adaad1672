package rules

import (
	"os"
	"strings"
	"testing"
)

// The example of the manual is a rule that passes its own test.
func TestManualExample(t *testing.T) {
	b, err := os.ReadFile("LANGUAGE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), "```yaml\n")
	src, _, ok2 := strings.Cut(rest, "```\n")
	if !ok || !ok2 {
		t.Fatal("no example")
	}
	r, err := Parse("LANGUAGE.md", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Test() {
		t.Error(f)
	}
	for _, m := range Lint(r) {
		t.Error(m)
	}
	for _, m := range Macros() {
		if !strings.Contains(string(b), "| `<"+m.Name+">` |") {
			t.Errorf("the manual lacks <%s>", m.Name)
		}
	}
}
