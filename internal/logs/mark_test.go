package logs

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestMarkRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := mark{at: time.Unix(0, rapid.Int64Min(0).Draw(t, "at"))}
		for range rapid.IntRange(0, maxChain).Draw(t, "places") {
			p := place{
				id:   fileID{rapid.Uint64().Draw(t, "dev"), rapid.Uint64().Draw(t, "ino")},
				gen:  rapid.Uint32().Draw(t, "gen"),
				off:  rapid.Int64Range(0, 1<<62).Draw(t, "off"),
				head: digest{rapid.Int64Range(0, 1<<62).Draw(t, "at"), rapid.IntRange(0, maxHead).Draw(t, "n"), rapid.Uint64().Draw(t, "sum")},
				skip: rapid.Bool().Draw(t, "skip"),
			}
			if n := min(maxBefore, p.off); n > 0 {
				p.before = digest{p.off - n, int(n), rapid.Uint64().Draw(t, "before")}
			}
			m.places = append(m.places, p)
		}
		got, err := parseMark(m.String())
		if err != nil || got.String() != m.String() || !got.at.Equal(m.at) || len(got.places) != len(m.places) {
			t.Fatalf("%s: %v", m, err)
		}
		for i := range got.places {
			if got.places[i] != m.places[i] {
				t.Fatalf("place %d: %+v, want %+v", i, got.places[i], m.places[i])
			}
		}
	})
}

// FuzzMarkIsCanonical: what parses is exactly what String writes.
func FuzzMarkIsCanonical(f *testing.F) {
	f.Add("1 0")
	f.Add("1 18ea06ac4db42384 fe00:984237:0:1b:0:d:d854208207a849e4:1b:795b602e4288f95c:-")
	f.Add("1 1 1:2:3:4:0:0:0:4:5:s 1:2:3:4:5:6:7:4:8:-")
	f.Add("2 0")
	f.Add("1 00")
	f.Add("1 0 " + strings.Repeat("f:", 9) + "-")
	f.Fuzz(func(t *testing.T, s string) {
		m, err := parseMark(s)
		if err != nil {
			return
		}
		if m.String() != s {
			t.Fatalf("%q parses, and is written as %q", s, m)
		}
		for _, p := range m.places {
			if p.off < 0 || p.before.n > maxBefore || p.head.n > maxHead || p.before.at < 0 || p.head.at < 0 {
				t.Fatalf("%q gives %+v", s, p)
			}
		}
	})
}

func TestLongestMarkFits(t *testing.T) {
	m := mark{at: time.Unix(0, 1<<62)}
	for range maxChain {
		m.places = append(m.places, place{fileID{1<<64 - 1, 1<<64 - 1}, 1<<32 - 1, 1 << 62, digest{1 << 62, maxHead, 1<<64 - 1}, digest{1<<62 - 64, 64, 1<<64 - 1}, true})
	}
	if _, err := parseMark(m.String()); err != nil {
		t.Errorf("%d bytes: %v", len(m.String()), err)
	}
}
