package rules

import (
	"bytes"
	"regexp"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestFilterFindsEach: whatever the stride and the windows, each needle that
// stands in a block is found there.
func TestFilterFindsEach(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		three := rapid.Bool().Draw(t, "three")
		stride := 1
		least := minFolded
		if !three {
			stride = rapid.IntRange(1, maxStride).Draw(t, "stride")
			least = stride + fourLen - 1
		}
		var needles []needle
		var offsets []int
		for i := range rapid.IntRange(0, 6).Draw(t, "needles") {
			n := needle{text: rapid.StringOfN(rapid.SampledFrom([]rune("abA \x00\x8f")), least, least+6, -1).Draw(t, "needle")}
			if n.fold = i%2 == 1; n.fold {
				n.text = lower(n.text)
			}
			needles = append(needles, n)
			offsets = append(offsets, rapid.IntRange(0, len(n.text)-least).Draw(t, "offset"))
		}
		block := rapid.SliceOfN(rapid.SampledFrom([]byte("aabbAB \x00\xc2\x8f\n")), 0, 80).Draw(t, "block")
		for _, n := range needles {
			if rapid.Bool().Draw(t, "there") {
				at := rapid.IntRange(0, len(block)).Draw(t, "at")
				block = slices.Insert(block, at, []byte(n.text)...)
			}
		}
		type place struct{ needle, at int }
		got := map[place]bool{}
		f := newFilter(needles, offsets, stride, three)
		for at, refs := f.next(block, 0); at >= 0; at, refs = f.next(block, at+stride) {
			for _, r := range refs {
				if from := at - int(r.offset); from >= 0 && needles[r.needle].in(block[from:]) {
					got[place{int(r.needle), from}] = true
				}
			}
		}
		for i, n := range needles {
			for at := range block {
				if want := n.in(block[at:]); want != got[place{i, at}] {
					t.Fatalf("needle %q at %d of %q: found %t, want %t", n.text, at, block, !want, want)
				}
			}
		}
	})
}

func TestNeeds(t *testing.T) {
	one := func(texts ...string) (c clause) {
		for _, s := range texts {
			n := needle{text: s}
			if n.fold = s[0] == '~'; n.fold {
				n.text = s[1:]
			}
			c = append(c, n)
		}
		return c
	}
	cases := []struct {
		expr string
		want []clause
	}{
		{`^Failed password for .* from `, []clause{one("Failed password for "), one(" from ")}},
		{`^Failed (?:password|none) for `, []clause{one("Failed password for ", "Failed none for ")}},
		{`^(?:error: )?PAM: .* for .* from `, []clause{one("PAM: "), one(" for "), one(" from ")}},
		{`abc|def`, []clause{one("abc", "def")}},
		{`abcd(?:x|y)?`, []clause{one("abcd")}},
		{`(?:abcd)+`, []clause{one("abcd")}},
		{`(?:abcd){2}`, []clause{one("abcdabcd")}},
		{`ssh[12]x`, []clause{one("ssh1x", "ssh2x")}},
		{`(?:abc.*defgh|xyz[0-9]+uvwxy)`, []clause{one("defgh", "uvwxy"), one("abc", "xyz")}},
		{`(?:abc.*defgh|xyz)`, []clause{one("defgh", "xyz"), one("abc", "xyz")}},
		{`.*`, nil},
		{`a|.*`, nil},
		{`(?:abcd)*`, nil},
		{`(?i)abcd`, []clause{one("~abcd")}},
		{`(?i)union select`, []clause{one("~union select")}}, // ſ is no s: see asciiFold
		{`(?i)kelvin`, []clause{one("~kelvin")}},
		{`(?i:AB)cD`, []clause{one("~abcd")}},
		{`ab`, []clause{one("ab")}},
		{`a`, nil},
		{`(?i)ab`, nil},
		{"abc\ufffddefg", []clause{one("defg"), one("abc")}}, // U+FFFD also matches bytes that are not UTF-8
		{`[0-9]+ from [0-9]+ beacon`, []clause{one(" beacon"), one(" from ")}},
	}
	for _, c := range cases {
		if got := needs(c.expr); !slices.EqualFunc(got, c.want, slices.Equal[clause]) {
			t.Errorf("%s: got %v, want %v", c.expr, got, c.want)
		}
	}
}

// FuzzMatchHasNeedles: each match of an expression in a line has a needle of
// each of its clauses.
func FuzzMatchHasNeedles(f *testing.F) {
	for _, s := range []string{"abc.*def", "(?:abc|xyz)+", "a(b|c)?def[xy]", "(?i)abckey", "abc\ufffd", "^(?:abc){2,3}$", "(?i:é)abc", "(?:abc.*|[a-c]def)x{3}"} {
		f.Add(s, []byte("xxabcabcdefyy"))
	}
	f.Fuzz(func(t *testing.T, expr string, text []byte) {
		re, err := regexp.Compile(asciiFold(expr))
		if err != nil || len(expr) > 200 || !re.Match(text) {
			return
		}
		for _, c := range needs(expr) {
			if !slices.ContainsFunc(c, func(n needle) bool {
				for i := range text {
					if n.in(text[i:]) {
						return true
					}
				}
				return false
			}) {
				t.Fatalf("%q matches %q, which has none of %v", expr, text, c)
			}
		}
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			return
		}
	})
}
