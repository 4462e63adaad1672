package fail2ban

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
)

// flat writes a document as section/option=value lines.
func flat(d *document) string {
	var b strings.Builder
	put := func(name string, s *section) {
		for _, n := range s.names {
			fmt.Fprintf(&b, "%s/%s=%q\n", name, n, s.options[n].value)
		}
	}
	put("DEFAULT", d.defaults)
	for _, n := range d.names {
		put(n, d.sections[n])
	}
	return b.String()
}

func TestINI(t *testing.T) {
	for _, c := range []struct{ name, src, want string }{
		{"options", "[a]\nx = 1\nY: 2 \n", "a/x=\"1\"\na/y=\"2\"\n"},
		{"continuation", "[a]\nx = 1\n    2\n\n    3\ny = 4\n", "a/x=\"1\\n2\\n\\n3\"\na/y=\"4\"\n"},
		{"comments inside a value", "[a]\nx = 1\n# no\n    2 ; no\n  ;no\n", "a/x=\"1\\n2\"\n"},
		{"a semicolon in a word", "[a]\nx = 1;2\n", "a/x=\"1;2\"\n"},
		{"a hash in a value", "[a]\nx = 1 # 2\n", "a/x=\"1 # 2\"\n"},
		{"an empty first line", "[a]\nx =\n  1\n", "a/x=\"\\n1\"\n"},
		{"defaults", "[DEFAULT]\nx = 1\n[a]\n", "DEFAULT/x=\"1\"\n"},
		{"names of sections keep their case", "[Definition]\nx=1\n[definition]\nx=2\n", "Definition/x=\"1\"\ndefinition/x=\"2\"\n"},
		{"a bracket in a continuation", "[a]\nx = 1\n  [b]\n", "a/x=\"1\\n[b]\"\n"},
		{"line ends of Windows", "[a]\r\nx = 1\r\n", "a/x=\"1\"\n"},
	} {
		d, err := parseINI("f", c.src)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := flat(d); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestINIErrors(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{"x = 1\n", "f:1: the file does not begin with a section"},
		{"[a]\n\nnonsense\n", `f:3: "nonsense" is neither`},
		{"[a]\nx=1\nx=2\n", "f:3: option x stands twice"},
		{"[a]\n[a]\n", "f:2: section [a] stands twice"},
		{"[a]\n= 1\n", "f:2: an option without a name"},
		{"[a]\nx=\xff\n", "f: the file is not UTF-8"},
	} {
		if _, err := parseINI("f", c.src); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.src, err, c.want)
		}
	}
}

// configparserScript answers each line of JSON, a file, with what Python's
// configparser reads, in the form that fail2ban uses it in.
const configparserScript = `
import sys, json, configparser
for line in sys.stdin:
    p = configparser.ConfigParser(inline_comment_prefixes=";", interpolation=None)
    try:
        p.read_string(json.loads(line))
        out = {"DEFAULT": dict(p._defaults)}
        for s in p.sections():
            out[s] = dict(p._sections[s])
    except configparser.Error as e:
        out = None
    print(json.dumps(out), flush=True)
`

// TestINIAgreesWithPython reads made-up files with Python's own reader, too.
func TestINIAgreesWithPython(t *testing.T) {
	path, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	r := rand.New(rand.NewPCG(5, 6))
	var in strings.Builder
	var files []string
	for range 3000 {
		var b strings.Builder
		b.WriteString("[s]\n")
		for range r.IntN(10) {
			parts := []string{"a", "b", " ", "  ", "=", ":", "#", ";", "[", "]", "x = 1", "[t]", "\t", "%", "\n", "\n", " ;", "é"}
			for range r.IntN(5) {
				b.WriteString(parts[r.IntN(len(parts))])
			}
			b.WriteByte('\n')
		}
		files = append(files, b.String())
		line, err := json.Marshal(b.String())
		if err != nil {
			t.Fatal(err)
		}
		in.Write(append(line, '\n'))
	}
	cmd := exec.Command(path, "-I", "-c", configparserScript)
	cmd.Stdin = strings.NewReader(in.String())
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("python3: %v", err)
	}
	good := 0
	for i, line := range strings.Split(strings.TrimSuffix(string(out), "\n"), "\n") {
		var want map[string]map[string]string
		if err := json.Unmarshal([]byte(line), &want); err != nil {
			t.Fatal(err)
		}
		d, err := parseINI("f", files[i])
		if (err == nil) != (want != nil) {
			t.Errorf("%q: %v, Python says %v", files[i], err, want)
			continue
		}
		if err != nil {
			continue
		}
		good++
		got := map[string]map[string]string{"DEFAULT": {}}
		for _, n := range d.defaults.names {
			got["DEFAULT"][n] = d.defaults.options[n].value
		}
		for _, n := range d.names {
			got[n] = map[string]string{}
			for _, o := range d.sections[n].names {
				got[n][o] = d.sections[n].options[o].value
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q: %q, Python says %q", files[i], got, want)
		}
	}
	if good < 100 {
		t.Errorf("only %d files were read by both", good)
	}
}

// FuzzINIKnowsItsLines checks that each option's position names a line that has
// its name.
func FuzzINIKnowsItsLines(f *testing.F) {
	f.Add("[a]\nx = 1\n  2\n\n[DEFAULT]\ny: 3 ; c\n")
	f.Fuzz(func(t *testing.T, src string) {
		d, err := parseINI("f", src)
		if err != nil {
			return
		}
		lines := strings.Split(strings.ReplaceAll(strings.ReplaceAll(src, "\r\n", "\n"), "\r", "\n"), "\n")
		for _, s := range d.sections {
			for n, o := range s.options {
				if o.at.Line < 1 || o.at.Line > len(lines) || !strings.Contains(strings.ToLower(lines[o.at.Line-1]), n) {
					t.Fatalf("option %q of %q is said to be on line %d", n, src, o.at.Line)
				}
			}
		}
	})
}
