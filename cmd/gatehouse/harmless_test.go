package main

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestHarmless(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain text", "plain text"},
		{"Grüße, 世界", "Grüße, 世界"},
		{"\x1b[2Jgone", `\x1b[2Jgone`},
		{"a\nb\rc\x00d", `a\nb\rc\x00d`},
		{"a\tb", "a b"},
		{"\u202eevil\u2066", `\u202eevil\u2066`},
		{"zero\u200bwidth\ufeff", `zero\u200bwidth\ufeff`},
		{"c1 \u009b31m", `c1 \u009b31m`},
		{"bad \xff\xfe utf8", `bad \xff\xfe utf8`},
		{"real \ufffd sign", "real \ufffd sign"},
		{"del \x7f", `del \x7f`},
		{"tag \U000e0041", `tag \U000e0041`},
		{"", ""},
	} {
		if got := harmless(c.in); got != c.want {
			t.Errorf("harmless(%q) = %q, want %q", c.in, got, c.want)
		}
	}
	if got := harmlessLines("one\n\x1btwo\n"); got != "one\n\\x1btwo\n" {
		t.Errorf("lines: %q", got)
	}
}

// Whatever comes from outside, nothing that a terminal obeys comes out, and as
// JSON it still says the same.
func FuzzNothingATerminalObeys(f *testing.F) {
	for _, s := range []string{"plain", "\x1b]0;t\x07", "\u202e\u2066", "\xff\xc2\x9b", "\u009b1m", "\U000e0041", "\x7f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		check := func(what, out string) {
			t.Helper()
			if !utf8.ValidString(out) {
				t.Errorf("%s: not UTF-8: %q", what, out)
			}
			for _, r := range out {
				if !strconv.IsPrint(r) && r != utf8.RuneError {
					t.Errorf("%s: %U in %q", what, r, out)
				}
			}
		}
		check("text", harmless(s))
		b, err := marshal(map[string]string{"s": s})
		if err != nil {
			t.Fatal(err)
		}
		check("JSON", string(b))
		var back map[string]string
		if err := json.Unmarshal(b, &back); err != nil || back["s"] != strings.ToValidUTF8(s, "\ufffd") && utf8.ValidString(s) {
			t.Errorf("%q came back as %q (%v)", s, back["s"], err)
		}
	})
}
