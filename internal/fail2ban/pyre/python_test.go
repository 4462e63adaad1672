package pyre

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// pythonScript answers each line of JSON [expression, text, multiline] with the
// groups of the first match, null for no match, or an error.
const pythonScript = `
import sys, json, re, warnings
warnings.simplefilter("error")
for line in sys.stdin:
    expr, text, multi = json.loads(line)
    try:
        m = re.compile(expr, re.M if multi else 0).search(text)
        out = {"groups": None if m is None else [m.group(0)] + list(m.groups())}
    except Exception as e:
        out = {"error": str(e) or "error"}
    print(json.dumps(out), flush=True)
`

// python is a running interpreter.
type python struct {
	mu  sync.Mutex
	in  io.Writer
	out *bufio.Reader
}

type pythonAnswer struct {
	Groups []*string `json:"groups"`
	Error  string    `json:"error"`
}

func startPython(t testing.TB) *python {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	cmd := exec.Command(path, "-I", "-c", pythonScript)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("python3 does not start: %v", err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Logf("python3: %v", err)
		}
	})
	return &python{in: in, out: bufio.NewReader(out)}
}

func (p *python) search(t testing.TB, expr, text string, multi bool) (a pythonAnswer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line, err := json.Marshal([]any{expr, text, multi})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		t.Fatal(err)
	}
	answer, err := p.out.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// compare runs both, and returns how they differ; "" if they do not.
func (p *python) compare(t testing.TB, expr, text string, multi bool) string {
	re, err := Compile(expr, multi)
	if err != nil {
		// What we refuse and Python does not is for TestRefusesLikePython.
		return ""
	}
	a := p.search(t, expr, text, multi)
	if a.Error != "" {
		return ""
	}
	var m Machine
	caps, err := m.Search(re, []byte(text))
	if err != nil {
		return ""
	}
	var got []*string
	for i := 0; i+1 < len(caps); i += 2 {
		if caps[i] < 0 || caps[i+1] < 0 {
			got = append(got, nil)
			continue
		}
		s := text[caps[i]:caps[i+1]]
		got = append(got, &s)
	}
	same := (got == nil) == (a.Groups == nil) && slices.EqualFunc(got, a.Groups, func(x, y *string) bool {
		return (x == nil) == (y == nil) && (x == nil || *x == *y)
	})
	if same {
		return ""
	}
	return fmt.Sprintf("%q on %q (multi %v): %s, Python says %s", expr, text, multi, show(got), show(a.Groups))
}

func show(g []*string) string {
	if g == nil {
		return "no match"
	}
	var b strings.Builder
	for _, s := range g {
		if s == nil {
			b.WriteString(" -")
		} else {
			fmt.Fprintf(&b, " %q", *s)
		}
	}
	return b.String()
}

// maker makes up expressions of all that filters use.
type maker struct {
	*rand.Rand
	groups int
}

func (m *maker) of(s ...string) string { return s[m.IntN(len(s))] }

func (m *maker) atom(depth int) string {
	if depth <= 0 || m.IntN(3) > 0 {
		return m.of("a", "b", "c", "ab", "é", ".", `\d`, `\w`, `\s`, `\S`, `\W`, `[a-c]`, `[^ab]`, `[\w-]`, `\.`, "1", " ", `[^\s:]`, "A", ":", `(?i:b)`, `(?i:É)`)
	}
	switch m.IntN(10) {
	case 0, 1:
		m.groups++
		return "(" + m.expr(depth-1) + ")"
	case 2:
		m.groups++
		n := m.groups
		return fmt.Sprintf("(?P<g%d>%s)", n, m.expr(depth-1))
	case 3, 4:
		return "(?:" + m.expr(depth-1) + ")"
	case 5:
		return "(?=" + m.expr(depth-1) + ")"
	case 6:
		return "(?!" + m.expr(depth-1) + ")"
	case 7:
		return m.of("(?<=a)", "(?<!b)", "(?<=é.)", "(?<!:)")
	case 8:
		if m.groups > 0 {
			return fmt.Sprintf("(?(%d)%s|%s)", 1+m.IntN(m.groups), m.atom(0), m.atom(0))
		}
	}
	if m.groups > 0 && m.IntN(2) == 0 {
		return fmt.Sprintf(`(?:\%d)`, 1+m.IntN(m.groups))
	}
	return m.of(`\b`, `\B`, "^", "$", `\Z`)
}

func (m *maker) expr(depth int) string {
	var b strings.Builder
	for range 1 + m.IntN(3) {
		a := m.atom(depth)
		b.WriteString(a)
		if m.IntN(3) == 0 && !strings.HasPrefix(a, "(?=") && !strings.HasPrefix(a, "(?!") {
			b.WriteString(m.of("*", "+", "?", "*?", "+?", "??", "{2}", "{,2}", "{1,3}", "{1,2}?", "++", "*+"))
		}
	}
	if m.IntN(5) == 0 {
		b.WriteString("|" + m.expr(depth-1))
	}
	return b.String()
}

func (m *maker) text() string {
	var b strings.Builder
	for range m.IntN(12) {
		b.WriteString(m.of("a", "b", "c", "ab", "A", "B", "é", "É", "1", "٣", " ", ":", ".", "\n", "\u00a0", "_", "ß", "K", "\u212a", "i", "İ", "ı", "ſ"))
	}
	if m.IntN(2) == 0 {
		b.WriteByte('\n')
	}
	return b.String()
}

// knownToDiffer reports expressions where Python's own engine gives groups that
// its documentation does not explain: those of what matched nothing in a
// repetition, or is set in a branch that was left.
func knownToDiffer(expr string) bool {
	re, err := Compile(expr, false)
	return err == nil && (emptyLoop(re.root))
}

// TestAgreesWithPython checks made-up expressions and texts against Python.
func TestAgreesWithPython(t *testing.T) {
	p := startPython(t)
	r := rand.New(rand.NewPCG(11, 12))
	checked, failed := 0, 0
	for range 20000 {
		m := &maker{Rand: r}
		expr := m.expr(3)
		if knownToDiffer(expr) {
			continue
		}
		checked++
		if d := p.compare(t, expr, m.text(), r.IntN(4) == 0); d != "" {
			if failed++; failed < 10 {
				t.Error(d)
			}
		}
	}
	t.Logf("%d expressions checked, %d differ", checked, failed)
}

// TestRefusesLikePython checks that what Python reads is read.
func TestRefusesLikePython(t *testing.T) {
	p := startPython(t)
	r := rand.New(rand.NewPCG(13, 14))
	failed := 0
	for range 5000 {
		m := &maker{Rand: r}
		expr := m.expr(3)
		_, err := Compile(expr, false)
		if a := p.search(t, expr, "", false); (err == nil) != (a.Error == "") && !strings.Contains(a.Error, "too large") {
			if failed++; failed < 10 {
				t.Errorf("%q: %v, Python says %q", expr, err, a.Error)
			}
		}
	}
}

// FuzzAgreesWithPython looks for any expression and text on which we and Python
// differ.
func FuzzAgreesWithPython(f *testing.F) {
	p := startPython(f)
	for _, c := range [][2]string{
		{`^(?P<a>x)?(?(a)y|z)$`, "xy\n"}, {`\b(?!publickey)\S+ (\d{,3})`, "password 12"}, {`(?i)[a-k]+İ`, "KiI"}, {`(?P<q>["'])(?:(?!(?P=q)).)*`, `"a'b"`},
	} {
		f.Add(c[0], c[1], false)
	}
	f.Fuzz(func(t *testing.T, expr, text string, multi bool) {
		if len(expr) > 80 || len(text) > 80 || !utf8.ValidString(expr) || !utf8.ValidString(text) || knownToDiffer(expr) || nestedRepeats(expr) > 3 {
			return
		}
		if d := p.compare(t, expr, text, multi); d != "" {
			t.Error(d)
		}
	})
}

// nestedRepeats counts quantifiers: Python takes exponential time where they
// nest.
func nestedRepeats(expr string) (n int) {
	for _, c := range expr {
		if strings.ContainsRune("*+{", c) {
			n++
		}
	}
	return n
}
