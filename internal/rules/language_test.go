package rules

import (
	"os"
	"strings"
	"testing"
)

// The examples of the manual are rules that pass their own tests.
func TestManualExamples(t *testing.T) {
	b, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	for rest := string(b); ; examples++ {
		_, after, ok := strings.Cut(rest, "```yaml\n")
		src, after, ok2 := strings.Cut(after, "```\n")
		if rest = after; !ok || !ok2 {
			break
		}
		r, err := Parse("rules.md", []byte(src))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.Test() {
			t.Errorf("%s: %s", r.Name, f)
		}
		for _, m := range Lint(r) {
			t.Errorf("%s: %s", r.Name, m)
		}
		roundTrip(t, r)
	}
	if examples != 4 {
		t.Errorf("%d examples", examples)
	}
	for _, m := range Macros() {
		if !strings.Contains(string(b), "| `<"+m.Name+">` |") {
			t.Errorf("the manual lacks <%s>", m.Name)
		}
	}
}
