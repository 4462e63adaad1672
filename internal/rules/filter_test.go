package rules

import (
	"bytes"
	"regexp"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// naiveFind is what filter does, slowly.
func naiveFind(texts []string, b []byte, from int) (first int, ids []int) {
	first = -1
	for i := from; i < len(b); i++ {
		for id, t := range texts {
			if bytes.HasPrefix(b[i:], []byte(t)) {
				if first < 0 {
					first = i
				}
				ids = append(ids, id)
			}
		}
	}
	return first, ids
}

func TestFilterEqualsSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfNDistinct(rapid.StringMatching(`[ab\x{e1}]{2,6}`), 0, 8, rapid.ID).Draw(t, "texts")
		b := []byte(rapid.StringMatching(`[abc\x{e1}\n]{0,60}`).Draw(t, "block"))
		from := rapid.IntRange(0, len(b)).Draw(t, "from")
		f := newFilter(texts)
		wantAt, want := naiveFind(texts, b, from)
		if got := f.next(b, from); got != wantAt {
			t.Fatalf("next(%q, %d) of %q: got %d, want %d", b, from, texts, got, wantAt)
		}
		var got []int
		f.all(b, from, func(id int) { got = append(got, id) })
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("all(%q, %d) of %q: got %v, want %v", b, from, texts, got, want)
		}
	})
}

func TestRequired(t *testing.T) {
	cases := []struct {
		expr string
		want []string
	}{
		{`^Failed password for .* from `, []string{"Failed password for "}},
		{`^Failed (?:password|none) for `, []string{"Failed password for ", "Failed none for "}},
		{`^(?:error: )?PAM: .* for .* from `, []string{"PAM: "}},
		{`abc|def`, []string{"abc", "def"}},
		{`abcd(?:x|y)?`, []string{"abcd"}},
		{`(?:abcd)+`, []string{"abcd"}},
		{`(?:abcd){2}`, []string{"abcdabcd"}},
		{`ssh[12]x`, []string{"ssh1x", "ssh2x"}},
		{`.*`, nil},
		{`a|.*`, nil},
		{`(?:abcd)*`, nil},
		{`(?i)abcd`, nil},
		{`ab`, nil},
		{"abc\ufffddefg", []string{"defg"}}, // U+FFFD also matches bytes that are not UTF-8
		{`[0-9]+ from [0-9]+ beacon`, []string{" beacon"}},
	}
	for _, c := range cases {
		if got := required(c.expr); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.expr, got, c.want)
		}
	}
}

// FuzzMatchHasRequired: each match of an expression has one of its texts.
func FuzzMatchHasRequired(f *testing.F) {
	for _, s := range []string{"abc.*def", "(?:abc|xyz)+", "a(b|c)?def[xy]", "(?i)abc", "abc\ufffd", "^(?:abc){2,3}$"} {
		f.Add(s, []byte("xxabcabcdefyy"))
	}
	f.Fuzz(func(t *testing.T, expr string, text []byte) {
		re, err := regexp.Compile(expr)
		if err != nil || len(expr) > 200 {
			return
		}
		set := required(expr)
		if len(set) > 0 && re.Match(text) && !slices.ContainsFunc(set, func(s string) bool { return bytes.Contains(text, []byte(s)) }) {
			t.Fatalf("%q matches %q, which has none of %q", expr, text, set)
		}
	})
}
