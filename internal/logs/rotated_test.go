package logs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseRotation(t *testing.T) {
	for _, c := range []struct {
		name string
		want rotation
	}{
		{"auth.log.1", rotation{base: "auth.log", number: 1}},
		{"auth.log.0", rotation{base: "auth.log", number: 0}},
		{"auth.log.12.gz", rotation{base: "auth.log", suffix: ".gz", number: 12}},
		{"auth.log.old", rotation{base: "auth.log", number: 1}},
		{"auth.1.log", rotation{base: "auth.log", number: 1}},
		{"secure-20261121", rotation{base: "secure", number: -1, date: "20261121"}},
		{"secure-20261121.xz", rotation{base: "secure", suffix: ".xz", number: -1, date: "20261121"}},
		{"secure-20261121-06", rotation{base: "secure", number: -1, date: "2026112106"}},
		{"secure-1795248000", rotation{base: "secure", number: -1, date: "1795248000"}},
		{"auth.log.2026-11-21", rotation{base: "auth.log", number: -1, date: "20261121"}},
		{"auth.log.2026-11-21T06:00:00.bz2", rotation{base: "auth.log", suffix: ".bz2", number: -1, date: "20261121060000"}},
		{"auth-20261121.log", rotation{base: "auth.log", number: -1, date: "20261121"}},
		{"srv10-20261121.log", rotation{base: "srv10.log", number: -1, date: "20261121"}},
		{"v1.2-20261121", rotation{base: "v1.2", number: -1, date: "20261121"}},
		{"FOOT-20261121", rotation{base: "FOOT", number: -1, date: "20261121"}},
		{name: "auth.log"},
		{name: "auth.log.bak"},
		{name: "auth.log~"},
		{name: "auth.log.20269999"},
		{name: "auth.log-1"},
		{name: "auth.log.123456"},
		{name: "20261121"},
		{name: ".1"},
		{name: ""},
		{name: ".gz"},
	} {
		got, ok := parseRotation(c.name)
		if ok != (c.want != rotation{}) || got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// FuzzParseRotation: a rotation has a name of its own, and is of one log.
func FuzzParseRotation(f *testing.F) {
	for _, s := range []string{"a.log.1", "a-20261121.log.gz", "a.old", "-1", "a..1", "1.1.1.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		r, ok := parseRotation(name)
		if ok && (r.base == "" || len(r.base) >= len(name) || (r.number < 0) != (r.date != "")) {
			t.Errorf("%q: %+v", name, r)
		}
	})
}

func TestSiblings(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name  string
		files string // the last was written to last
		log   string
		kin   bool
		want  string // the oldest first
	}{
		{"by number", "a.3.gz a.1 a.2 a b.1 a.bak a.4.zst", "a", false, "a.3.gz a.2 a.1 a"},
		{"by date", "a-20261101 a-20261021.gz a-20261111 a", "a", false, "a-20261021.gz a-20261101 a-20261111 a"},
		{"mixed: by time", "a.2 a-20261101 a.1 a", "a", false, "a.2 a-20261101 a.1 a"},
		{"being compressed", "a.1 a.1.gz a", "a", false, "a.1 a"},
		{"without the log", "a.1", "a", false, "a.1"},
		{"no kin", "a-20261101.log a-20261102.log", "a-20261101.log", false, "a-20261101.log"},
		{"kin", "a-20261101.log a-20261102.log a-20261103.log", "a-20261102.log", true, "a-20261101.log a-20261103.log a-20261102.log"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for i, n := range strings.Fields(c.files) {
				p := filepath.Join(dir, n)
				if err := os.WriteFile(p, nil, 0o644); err != nil {
					t.Fatal(err)
				}
				if at := now.Add(time.Duration(i) * time.Second); os.Chtimes(p, at, at) != nil {
					t.Fatal("chtimes")
				}
			}
			var got []string
			for _, s := range siblings(filepath.Join(dir, c.log), c.kin) {
				got = append(got, filepath.Base(s.path))
			}
			if want := strings.Fields(c.want); !slices.Equal(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}
