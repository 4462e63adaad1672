package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzParse: whatever the text, Parse comes back in time, and either tells
// problems that can be shown, sorted and within the text, or gives a
// configuration that survives being written and read again.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			src, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(src)
		}
	}
	f.Add(Reference())
	f.Add(reference(true))
	f.Fuzz(func(t *testing.T, src []byte) {
		start := time.Now()
		c, err := Parse("fuzz.yaml", src, Options{RuleExists: known})
		// Generous for a machine that is busy with other tests; 64 kB take a few
		// milliseconds.
		if took := time.Since(start); len(src) < 1<<16 && took > 5*time.Second {
			t.Errorf("%d bytes took %v", len(src), took)
		}
		if err == nil {
			again, err := Parse("again.yaml", c.YAML(), Options{})
			if err != nil || !again.Equal(c) {
				t.Errorf("%+v is written as\n%s\nwhich reads %+v, %v", c, c.YAML(), again, err)
			}
			return
		}
		ps, ok := errors.AsType[Problems](err)
		if !ok || len(ps) == 0 || c != nil {
			t.Fatalf("%T of %d problems, and %v", err, len(ps), c)
		}
		lines := strings.Count(string(src), "\n") + 1
		for i, p := range ps {
			if p.What == "" || p.Line < 1 || p.Line > lines || p.Column < 1 {
				t.Errorf("problem %d: %+v", i, p)
			}
			if i > 0 && (p.Line < ps[i-1].Line || p.Line == ps[i-1].Line && p.Column < ps[i-1].Column) {
				t.Errorf("problem %d comes before its predecessor: %+v, %+v", i, ps[i-1], p)
			}
			text := p.String()
			if !utf8.ValidString(text) || strings.ContainsFunc(text, func(c rune) bool { return c < ' ' && c != '\n' }) {
				t.Errorf("problem %d would move a terminal: %q", i, text)
			}
		}
	})
}
