package pyre

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// find returns the match and its groups as texts; "-" for a group without.
func find(t *testing.T, expr string, multi bool, text string) []string {
	t.Helper()
	re, err := Compile(expr, multi)
	if err != nil {
		t.Fatalf("%q: %v", expr, err)
	}
	var m Machine
	caps, err := m.Search(re, []byte(text))
	if err != nil {
		t.Fatalf("%q on %q: %v", expr, text, err)
	}
	return texts(caps, text)
}

func texts(caps []int32, text string) (out []string) {
	for i := 0; i+1 < len(caps); i += 2 {
		if caps[i] < 0 || caps[i+1] < 0 {
			out = append(out, "-")
		} else {
			out = append(out, text[caps[i]:caps[i+1]])
		}
	}
	return out
}

func TestSearch(t *testing.T) {
	for _, c := range []struct {
		expr, text string
		want       string // groups joined by |; "no" = no match
	}{
		{`a+b`, "xaab", "aab"},
		{`^a`, "ba", "no"},
		{`a$`, "a\n", "a"},
		{`a$`, "a\n\n", "no"},
		{`a\Z`, "a\n", "no"},
		{`(?P<x>a)|(b)`, "b", "b|-|b"},
		{`(a)?(?(1)b|c)`, "ab", "ab|a"},
		{`^(a)?(?(1)b|c)$`, "c", "c|-"},
		{`(?P<q>['"]).*?(?P=q)`, `say "it's" so`, `"it's"|"`},
		{`foo(?!bar)`, "foobar foobaz", "foo"},
		{`(?<=:)x`, "x:x", "x"},
		{`(?<!:)x`, ":xx", "x"},
		{`\d+`, "a٣b", "٣"},
		{`(?a)\d+`, "a٣b4", "4"},
		{`\w+`, "-é_1-", "é_1"},
		{`\bé`, "xé é", "é"},
		{`\s`, "a\u00a0b", "\u00a0"},
		{`(?i)straße`, "STRAßE", "STRAßE"},
		{`(?i)k`, "\u212a", "\u212a"},
		{`x{,2}y`, "xxxy", "xxy"},
		{`x{2}`, "xxx", "xx"},
		{`x{a}`, "x{a}", "x{a}"},
		{`(?:ab){2,3}?c`, "ababababc", "abababc"},
		{`(?>a+)ab`, "aaab", "no"},
		{`a++b`, "aaab", "aaab"},
		{`(a*)*`, "b", "|"},
		{`(a|b)*?c`, "abc", "abc|b"},
		{`[^]a]`, "]ab", "b"},
		{`[\w-]+`, "a-b c", "a-b"},
		{`[a\-z]+`, "a-z", "a-z"},
		{`(?i:A)b`, "ab", "ab"},
		{`(?i:A)B`, "ab", "no"},
		{`(?x) a b # c`, "ab", "ab"},
		{`a.c`, "a\nc", "no"},
		{`(?s)a.c`, "a\nc", "a\nc"},
		{`\x41\u0042`, "AB", "AB"},
		{`(?#note)a`, "a", "a"},
		{`\.\/`, "./", "./"},
		{`é+`, "aéé", "éé"},
		{`.{2}$`, "aéü\n", "éü"},
		{`(a)(?=(b))`, "ab", "a|a|b"},
	} {
		got := "no"
		if g := find(t, c.expr, false, c.text); g != nil {
			got = strings.Join(g, "|")
		}
		if got != c.want {
			t.Errorf("%q on %q: %q, want %q", c.expr, c.text, got, c.want)
		}
	}
}

func TestMultiline(t *testing.T) {
	if g := find(t, `^b$`, true, "a\nb\nc\n"); g == nil {
		t.Error("^ and $ do not match at lines")
	}
	if g := find(t, `^b$`, false, "a\nb\nc\n"); g != nil {
		t.Error("^ and $ match at lines")
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ expr, want string }{
		{`(`, "missing )"},
		{`)`, "unbalanced"},
		{`a**`, "multiple repeat"},
		{`*a`, "nothing to repeat"},
		{`[a`, "unterminated character set"},
		{`[b-a]`, "bad character range"},
		{`(?P<a>x)(?P<a>y)`, "redefinition"},
		{`(?P=a)`, "unknown group name"},
		{`\1`, "invalid group reference"},
		{`(?<=a+)b`, "fixed-width"},
		{`\q`, "bad escape"},
		{`(?z)`, "unknown extension"},
		{`x{3,2}`, "min repeat"},
		{`(?:(?:a{100}b){100}c){100}`, "too large"},
		{`(?(x)a)`, "unknown group"},
		{strings.Repeat("(", 300), "too deep"},
	} {
		_, err := Compile(c.expr, false)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.20q: %v, want %q", c.expr, err, c.want)
		}
	}
}

// TestBudget pins that what takes exponential time elsewhere is linear here,
// and that backreferences are given up.
func TestBudget(t *testing.T) {
	text := []byte(strings.Repeat("a", 5000) + "!")
	for _, expr := range []string{`^(a+)+$`, `^(a|a)*$`, `^(?:a*)*b`, `(?:(?!b)a*)*c`, `^(a|aa)+$`, `(.*a){12}x`} {
		re, err := Compile(expr, false)
		if err != nil {
			t.Fatal(err)
		}
		var m Machine
		if caps, err := m.Search(re, text[len(text)-400:]); caps != nil || err != nil {
			t.Errorf("%s: %v, %v", expr, caps, err)
		}
	}
	re, err := Compile(`^(a+)+\1\1\1b`, false)
	if err != nil {
		t.Fatal(err)
	}
	var m Machine
	if _, err := m.Search(re, text); err != ErrBudget {
		t.Errorf("backreferences: %v, want %v", err, ErrBudget)
	}
}

// goExpr makes of an expression one that means the same to package regexp on
// ASCII texts that end in their only newline; "" where there is none.
func goExpr(expr string) string {
	for _, s := range []string{"(?=", "(?!", "(?<", "(?(", "(?P=", "(?>", `\Z`, `\1`, "++", "*+", "?+", "{,", "(?#", "(?a", "(?x", "(?L", "(?u", `\u`, `\U`, `\s`, `\S`, `\N`} {
		if strings.Contains(expr, s) {
			return ""
		}
	}
	return strings.ReplaceAll(expr, "$", "(?m:$)")
}

// FuzzAgreesWithRegexp checks against the standard library whatever both can
// read.
func FuzzAgreesWithRegexp(f *testing.F) {
	for _, c := range [][2]string{{`^a(b|c)*?d$`, "abcbd"}, {`(?i)fail(?:ed|ure)\b`, "FAILED x"}, {`[^a-c]\d{2,3}`, "d123"}, {`(a?){3}`, "aa"}, {`(?:x*y)?z|w`, "xxyz"}} {
		f.Add(c[0], c[1])
	}
	f.Fuzz(func(t *testing.T, expr, text string) {
		if len(expr) > 60 || len(text) > 60 || strings.Contains(text, "\n") || strings.Contains(expr, "\n") || !isASCII(text) || !isASCII(expr) {
			return
		}
		g := goExpr(expr)
		if g == "" {
			return
		}
		want, err := regexp.Compile(g)
		if err != nil {
			return
		}
		re, err := Compile(expr, false)
		if err != nil {
			return
		}
		if emptyLoop(re.root) {
			return
		}
		text += "\n"
		var m Machine
		caps, err := m.Search(re, []byte(text))
		if err != nil {
			return
		}
		w := want.FindStringSubmatchIndex(text)
		var w32 []int32
		for _, v := range w {
			w32 = append(w32, int32(v))
		}
		if !reflect.DeepEqual(texts(caps, text), texts(w32, text)) {
			t.Fatalf("%q on %q: %q, package regexp says %q", expr, text, texts(caps, text), texts(w32, text))
		}
		for _, cl := range re.Clauses(1, nil) {
			if caps != nil && !cl.in(text[caps[0]:caps[1]]) {
				t.Fatalf("%q matches %q, which has none of %v", expr, text[caps[0]:caps[1]], cl)
			}
		}
	})
}

func (c Clause) in(s string) bool {
	for _, n := range c {
		if n.Fold && strings.Contains(lower(s), n.Text) || !n.Fold && strings.Contains(s, n.Text) {
			return true
		}
	}
	return false
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// emptyLoop reports whether something that can match nothing is repeated: there
// engines differ in what the groups hold.
func emptyLoop(n *node) bool {
	if n.op == opRepeat && (n.max < 0 || n.max > 1) {
		if lo, _ := n.subs[0].widths(nil); lo == 0 {
			return true
		}
	}
	for _, s := range n.subs {
		if emptyLoop(s) {
			return true
		}
	}
	return false
}

func TestAllow(t *testing.T) {
	re, err := Compile(`(?:a|b)*c`, false)
	if err != nil {
		t.Fatal(err)
	}
	var m Machine
	text := []byte(strings.Repeat("ab", 1000))
	m.Allow(1 << 22)
	if _, err := m.Search(re, text); err != nil {
		t.Errorf("with enough steps: %v", err)
	}
	m.Allow(100)
	if _, err := m.Search(re, text); err != ErrBudget {
		t.Errorf("with too few: %v, want %v", err, ErrBudget)
	}
	if _, err := m.Search(re, []byte("c")); err != ErrBudget {
		t.Errorf("when they are gone: %v, want %v", err, ErrBudget)
	}
}
