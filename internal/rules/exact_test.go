package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// sameMatch compares a search with that of package regexp.
func sameMatch(e *exact, m *machine, b []byte) error {
	if got, want := e.find(m, b), e.re.FindSubmatchIndex(b); !slices.Equal(got, want) {
		return fmt.Errorf("%s on %q: got %v, want %v", e.re, b, got, want)
	}
	return nil
}

func TestExactEqualsRegexp(t *testing.T) {
	exprs := []string{
		``, `a`, `^`, `$`, `^$`, `a|b`, `ab|a`, `a|ab`, `(a|ab)(c|bcd)(d*)`, `(a+)(b+)?`, `(a*)(a|b)*?b`, `a{2}`, `a{2,}`, `a{0,2}b`, `(?:ab){1,3}(.*)`, `(?:(a)|(b))+c`,
		`(?:(a)|b)*`, `(?:a|(b))*?c`, `.*`, `(.*)b`, `(.*?)b`, `(.*)$`, `(.*)(.)`, `(.*)([^ ])$`, `[^ ]+ (.*) [^ ]+`, `([^ab]{2})(.*)`, `[^a]{1,2}b`, `(?s)(.)(.*)(.)`, `(?s)(.+?)(.{2})$`,
		`\bab\b`, `\B.`, `(?m)^a.*$`, `(?m)b$`, `(?i)ab`, `(?i)k`, `(?i)s+`, `(?i)[k-m]s`, `é`, `[é-ü]+`, `[^é]+`, `[^é]{2}x?`, `(?i)É`, "\ufffd", "a\ufffd*b", "[\ufffd]+", "[^\ufffd]+", `[[:^alpha:]]+`,
		`(?:a*)*`, `(?:a*)+`, `(|a)*`, `(|a)+`, `(a|)+b`, `(?:a?){3}`, `(a?){2,3}b`, `(?:a{0,1}){0,2}`, `[^\x00-\x{10FFFF}]`, `a[^\x00-\x{10FFFF}]|b`, `(?:)`, `()a`, `(a)()|b`, `x*`, `(?:x+x+)+y`, `(?U)(a+)(b+)`,
		`^a|b`, `^a|^b`, `(^a)`, `(?:^|x)a`, `a$|b`, `\[?(?P<addr>[0-9A-Fa-f.:]+(?:%[0-9A-Za-z_.-]+)?)\]?(?: port ([0-9]+))?$`, `^(?:error: )?PAM: .*? for (?:x )?(.*) from ([^ ]+)(?: \[p\])?$`,
	}
	texts := []string{
		"", "a", "b", "ab", "ba", "abc", "abcd", "aab", "aaa", "aabb", "abab c", "aaab", " a b ", "a b c d", "é", "aé", "éa", "éé b", "\xff", "a\xffb", "\xc3", "\xe2\x82", "\xe2\x82\xac", "a\xe2\x82", "\xa9\xa9", "€\xa9x", "a\nb", "\n", "b\na", "ABkKſs", "K", "kK", "lS",
		"\ufffd", "a\ufffd\xffb", "xxxxxxy", "xxxx", "[1.2.3.4] port 22", "1::2%eth0 x ::1", "error: PAM: Auth for x root from me from you [p]", "PAM: a for b for c from d", "\x00\x00a", "ab ab", "a-b_ab",
	}
	var m machine
	for _, expr := range exprs {
		e := newExact(regexp.MustCompile(expr))
		for _, s := range texts {
			if err := sameMatch(e, &m, []byte(s)); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestExactRefuses: what goes to package regexp is little.
func TestExactRefuses(t *testing.T) {
	for expr, refused := range map[string]bool{
		`(?:a*)*`: true, `(?:a|b*)+`: true, `(?:abcdefgh){1000}`: false, `(?:[ab]c|de){1000}`: true, `(?:a?){3}`: false, `(?i)straße`: false, `(?:x+x+)+y`: false,
	} {
		if got := newExact(regexp.MustCompile(expr)).begin == nil; got != refused {
			t.Errorf("%s: refused %t, want %t", expr, got, refused)
		}
	}
	for _, r := range Builtin() {
		for _, p := range r.Patterns {
			if p.re != nil && newExact(p.re).begin == nil { // nil: it has conditions on fields only
				t.Errorf("%s/%s: refused", r.Name, p.Name)
			}
		}
	}
}

// TestExactOverBudget: a search that explodes ends, with the right answer.
func TestExactOverBudget(t *testing.T) {
	for expr, text := range map[string]string{
		`^(?:x+x+)+y`:              strings.Repeat("x", 40),
		`(?:a|aa)+$`:               strings.Repeat("a", 60) + "b",
		`^(.*)(.*)(.*)(.*)z`:       strings.Repeat("ab ", 400),
		`(.*) from (.*) for (.*)!`: strings.Repeat("x from y for ", 300),
		`(?:(a)|b|ab)*c`:           strings.Repeat("ab", 300),
		`(a.*?){8}c`:               strings.Repeat("ab", 100),
	} {
		var m machine
		e := newExact(regexp.MustCompile(expr))
		if err := sameMatch(e, &m, []byte(text)); err != nil {
			t.Error(err)
		}
		if m.over != 1 {
			t.Errorf("%s: %d searches over budget", expr, m.over)
		}
		if err := sameMatch(e, &m, []byte("x")); err != nil {
			t.Error(err)
		}
		if m.over != 1 {
			t.Errorf("%s: a short text is over budget", expr)
		}
	}
}

// drawExpr makes an expression out of all that the syntax has.
func drawExpr(t *rapid.T, depth int) string {
	atoms := []string{"a", "b", "ab", "abc", " ", ".", "[ab]", "[^a]", "[^ ]", "[0-9]", "é", "[é-ü]", "[^é]", "\\b", "\\B", "^", "$", "", "(?i:aB)", "(?i:k)", "(?s:.)", "\ufffd", "(?m:^)", "(?m:$)", "\\[", "x from "}
	if depth == 0 {
		return rapid.SampledFrom(atoms).Draw(t, "atom")
	}
	sub := func() string { return drawExpr(t, depth-1) }
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0:
		return "(?:" + sub() + "|" + sub() + ")"
	case 1:
		return "(" + sub() + ")"
	case 2:
		return "(?:" + sub() + ")" + rapid.SampledFrom([]string{"*", "+", "?", "*?", "+?", "??", "{2}", "{0,2}", "{1,3}?", "{2,}"}).Draw(t, "times")
	case 3:
		return sub() + sub() + sub()
	case 4:
		return sub() + sub()
	}
	return rapid.SampledFrom(atoms).Draw(t, "atom")
}

func TestExactEqualsRegexpOnRandom(t *testing.T) {
	compiled := 0
	rapid.Check(t, func(t *rapid.T) {
		expr := drawExpr(t, rapid.IntRange(1, 5).Draw(t, "depth"))
		re, err := regexp.Compile(expr)
		if err != nil {
			t.Skip()
		}
		e := newExact(re)
		if e.begin != nil {
			compiled++
		}
		var m machine
		for range 5 {
			text := rapid.StringOfN(rapid.SampledFrom([]rune("aaabbbcK ſé€[\n\ufffd")), 0, 12, -1).Draw(t, "text")
			b := []byte(text)
			if n := rapid.IntRange(0, len(b)).Draw(t, "cut"); n < len(b) && rapid.Bool().Draw(t, "damage") {
				b[n] ^= 0x40
			}
			if err := sameMatch(e, &m, b); err != nil {
				t.Fatal(err)
			}
		}
	})
	if compiled == 0 {
		t.Error("every expression was refused")
	}
}

// FuzzMatcherEqualsOracle: a search gives what package regexp gives.
func FuzzMatcherEqualsOracle(f *testing.F) {
	for _, r := range Builtin() {
		for _, p := range r.Patterns {
			f.Add(p.expr, []byte("Failed password for invalid user x from 192.0.2.1 port 4 ssh2"))
		}
	}
	f.Add(`(?:(a)|b)*?([^ ]+)$`, []byte("ab\xff é"))
	f.Fuzz(func(t *testing.T, expr string, text []byte) {
		re, err := regexp.Compile(expr)
		if err != nil || len(expr) > 500 || len(text) > 2000 {
			return
		}
		var m machine
		if err := sameMatch(newExact(re), &m, text); err != nil {
			t.Fatal(err)
		}
	})
}
