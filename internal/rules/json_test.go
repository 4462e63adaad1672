package rules

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// jsonOracle is what jsonScanner does, by package encoding/json.
func jsonOracle(b []byte, paths []string) (map[string]string, bool) {
	if !json.Valid(b) {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	t, err := d.Token()
	if err != nil || t != json.Delim('{') {
		return nil, false
	}
	o := &oracle{d: d, paths: paths, out: map[string]string{}}
	o.object("", true, 1)
	if _, err := d.Token(); err != io.EOF || o.deep {
		return nil, false
	}
	return o.out, true
}

type oracle struct {
	d     *json.Decoder
	paths []string
	out   map[string]string
	deep  bool
}

// drop forgets what was found at a path and below it.
func (o *oracle) drop(path string) {
	for p := range o.out {
		if p == path || strings.HasPrefix(p, path+".") {
			delete(o.out, p)
		}
	}
}

func (o *oracle) object(prefix string, reached bool, depth int) {
	for o.d.More() {
		t, _ := o.d.Token()
		path := prefix + t.(string)
		// An empty key, or one with an empty part, has no path.
		ok := reached && !slices.Contains(strings.Split(path, "."), "")
		if ok {
			o.drop(path)
		}
		o.value(path, ok, ok, depth)
	}
	_, _ = o.d.Token()
}

// value reads a value; keep says that its text is wanted at the path.
func (o *oracle) value(path string, reached, keep bool, depth int) (text string, found bool) {
	t, _ := o.d.Token()
	switch v := t.(type) {
	case json.Delim:
		if depth++; depth > maxDepth {
			o.deep = true
		}
		if v == '{' {
			o.object(path+".", reached, depth)
			return "", false
		}
		var texts []string
		for i := 0; o.d.More(); i++ {
			entry := path + "." + strconv.Itoa(i)
			if reached {
				o.drop(entry)
			}
			if text, ok := o.value(entry, reached, reached, depth); ok {
				texts = append(texts, text)
			}
		}
		_, _ = o.d.Token()
		text, found = strings.Join(texts, ", "), len(texts) > 0
	case nil:
		return "", false
	case bool:
		text, found = strconv.FormatBool(v), true
	case string:
		text, found = v, true
	case json.Number:
		text, found = v.String(), true
	}
	if keep && found && slices.Contains(o.paths, path) {
		o.out[path] = text
	}
	return text, found
}

var jsonPaths = []string{"a", "b", "a.b", "a.b.c", "x.1", "x", "x.0.a", "log.level", "s"}

// scanJSON returns what jsonScanner finds, as the oracle has it.
func scanJSON(s *jsonScanner, b []byte) (map[string]string, bool) {
	out := make([]jsonValue, len(jsonPaths))
	if !s.scan(b, jsonPaths, out) {
		return nil, false
	}
	got := map[string]string{}
	for i, v := range out {
		if v.found {
			got[jsonPaths[i]] = string([]rune(string(v.text))) // bytes that are not UTF-8 become U+FFFD
		}
	}
	return got, true
}

var jsonLines = []string{
	`{}`, `{"a":1}`, ` { "a" : -0.5e+10 , "b" : true } `, `{"a":"x","a":"y"}`, `{"a":{"b":1},"a":{"c":2}}`, `{"a":1,"a":null}`, `{"a":{"b":{"c":"deep"}}}`,
	`{"a.b":1}`, `{"a.b":1,"a":{"b":2}}`, `{"a":{"b":2},"a.b":1}`, `{"log.level":"x"}`, `{"log":{"level":"x"}}`,
	`{"x":["p","q"]}`, `{"x":[1,[2,3],{"a":4},null,"z"]}`, `{"x":[{"a":"in"}]}`, `{"x":[]}`, `{"x":[null]}`, `{"x":[""]}`,
	`{"s":"\"\\\/\b\f\n\r\t\u00e9\u20ac\ud83d\ude00\ud83d\u0041\ude00"}`, "{\"s\":\"\xff\xfe\"}", `{"\u0061":1}`, `{"":1,".":2,"a.":3}`,
	`{"a":false,"b":null}`, `{"s":"é"}`,
	``, ` `, `1`, `"a"`, `[]`, `null`, `{`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{"a":1}x`, `{"a":1}{"a":2}`, `{"a":01}`, `{"a":1.}`, `{"a":.5}`, `{"a":1e}`, `{"a":-}`, `{"a":+1}`,
	`{"a":tru}`, `{"a":trueb}`, `{"a":nul`, `{"a":"x}`, `{"a":"\x"}`, `{"a":"\u12"}`, `{"a":"\u12g4"}`, "{\"a\":\"\n\"}", `{"a":"x"`, `{"a" 1}`, `{a:1}`, `{'a':1}`, `{"a":[1,]}`, `{"a":[1 2]}`, `{"a":[1}`,
	strings.Repeat(`{"a":`, maxDepth) + `1` + strings.Repeat("}", maxDepth), strings.Repeat(`{"a":`, maxDepth+1) + `1` + strings.Repeat("}", maxDepth+1),
	`{"a":` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + `}`, `{"a":` + strings.Repeat("[", 100_000),
}

func TestJSONEqualsStandardLibrary(t *testing.T) {
	s := &jsonScanner{}
	for _, line := range jsonLines {
		compareJSON(t, s, []byte(line))
	}
}

func compareJSON(t *testing.T, s *jsonScanner, b []byte) {
	t.Helper()
	got, ok := scanJSON(s, b)
	want, wantOK := jsonOracle(b, jsonPaths)
	if ok != wantOK || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("%.300q: got %q %t, want %q %t", b, got, ok, want, wantOK)
	}
}

// FuzzJSONEqualsStandardLibrary: the scanner accepts what encoding/json does, but
// for objects that lie too deep, and finds the same.
func FuzzJSONEqualsStandardLibrary(f *testing.F) {
	for _, s := range jsonLines {
		if len(s) < 1000 {
			f.Add([]byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) { compareJSON(t, &jsonScanner{}, b) })
}

// FuzzEscapedClueMatches: a string as JSON has it matches what is made of an
// expression that its text matches.
func FuzzEscapedClueMatches(f *testing.F) {
	for _, e := range []string{"^Login failed", "a/b", "é.x", `"quoted"`, "(?i)bad", "x[/a]y", `\bfoo\b`, "(?:a|b/c)+d", "k", "(?i)k"} {
		f.Add(e, "Login failed", uint64(0))
		f.Add(e, "\u212a", ^uint64(0))
		f.Add(e, `a/b é.x "quoted" BAD x/y foo b/cd`, ^uint64(0))
	}
	f.Fuzz(func(t *testing.T, expr, text string, escape uint64) {
		_, re, _, err := compileExpr(expr)
		if err != nil || !re.MatchString(text) || len(expr) > 100 {
			return
		}
		var b strings.Builder
		i := 0
		for _, r := range text {
			i++
			switch {
			case r == '"' || r == '\\' || r < ' ' || escape>>(i&63)&1 == 1 && r < 0x10000:
				fmt.Fprintf(&b, `\u%04x`, r)
			case r == '/' && escape&1 == 1:
				b.WriteString(`\/`)
			default:
				b.WriteRune(r)
			}
		}
		_, clue, _, err := compileExpr(escapedClue(re.String()))
		if err != nil {
			t.Fatalf("%q: %v", expr, err)
		}
		if !clue.MatchString(b.String()) {
			t.Fatalf("%q matches %q, and %s does not match %q", expr, text, clue, b.String())
		}
	})
}

// What is irrelevant in a line costs nothing, and neither does what is wanted.
func TestJSONAllocatesNothing(t *testing.T) {
	s, out := &jsonScanner{}, make([]jsonValue, len(jsonPaths))
	line := []byte(`{"a":{"b":{"c":"de\u0065p"}},"x":["p","q\n"],"long":"` + strings.Repeat("x", 4000) + `","s":"\u00e9"}`)
	s.scan(line, jsonPaths, out)
	if n := testing.AllocsPerRun(100, func() { s.scan(line, jsonPaths, out) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkJSON(b *testing.B) {
	line := []byte(`{"level":"info","ts":1795244400.123,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"192.0.2.7","remote_port":"41234","proto":"HTTP/2.0","method":"POST","host":"example.org","uri":"/login","headers":{"User-Agent":["Mozilla/5.0 (X11; Linux x86_64; rv:109.0)"],"Accept":["*/*"]}},"user_id":"","duration":0.0012,"size":0,"status":401}`)
	paths := []string{"msg", "status", "request.remote_ip", "user_id", "ts"}
	s, out := &jsonScanner{}, make([]jsonValue, len(paths))
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if !s.scan(line, paths, out) {
			b.Fatal("no object")
		}
	}
}
