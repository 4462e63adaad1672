package config

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/bad/*.txt anew, to be read before they are committed")

// known stands for the rules that exist in the tests.
func known(folder, name string) (string, bool) {
	rules := []string{"sshd", "nginx", "postfix", "dovecot", "a", "b", "c", "d"}
	for _, r := range rules {
		if r == name {
			return "", true
		}
	}
	return nearest(name, rules), false
}

// TestBad reads each bad file and compares what an operator is told, word for
// word, with the text beside it.
func TestBad(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 24 {
		t.Fatalf("%d bad files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c, err := Parse(filepath.Base(file), src, Options{RuleExists: known})
			if err == nil || c != nil {
				t.Fatalf("accepted, as %+v", c)
			}
			got := err.Error() + "\n"
			want := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(want, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			text, err := os.ReadFile(want)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(text) {
				t.Errorf("got\n%s\nwant\n%s", got, text)
			}
		})
	}
}

// TestProblemsJSON pins the names of the fields, which are a contract.
func TestProblemsJSON(t *testing.T) {
	_, err := Parse("f.yaml", []byte("ban: [10m]\nalow: []\n"), Options{})
	ps, ok := errors.AsType[Problems](err)
	if !ok {
		t.Fatalf("%T", err)
	}
	got, err := json.Marshal(ps)
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"file":"f.yaml","line":2,"column":1,"what":"unknown key \"alow\"","excerpt":"alow: []\n^","hint":"did you mean allow?"}]`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
