package rules

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

const good = `rule: x
title: X
evidence: proven
patterns:
  - name: a
    class: failure
    match: '^bad from <addr>$'
`

// problems takes a joined error apart.
func problems(err error) (out []*SyntaxError) {
	if err == nil {
		return nil
	}
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range j.Unwrap() {
			out = append(out, problems(e)...)
		}
		return out
	}
	if e, ok := errors.AsType[*SyntaxError](err); ok {
		return []*SyntaxError{e}
	}
	return nil
}

// withFields is a rule of a format with these conditions.
func withFields(format, where string) string {
	return "rule: x\ntitle: X\nevidence: proven\nformat: " + format + "\npatterns:\n  - {name: a, class: failure,\n    where: " + where + "}\n"
}

func TestParseErrors(t *testing.T) {
	edit := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("no %q", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	cases := []struct {
		name, src string
		want      []string // line:column: problem | hint
	}{
		{"good", good, nil},
		{"empty", "", []string{"1:1: the file is empty | a rule begins with rule: NAME"}},
		{"comment only", "# nothing\n", []string{"1:1: the file is empty | a rule begins with rule: NAME"}},
		{"list", "- a\n", []string{"1:1: a rule is written as key: value, not as a list | "}},
		{"text", "a\n", []string{"1:1: a rule is written as key: value, not as a text | "}},
		{"two documents", good + "---\n" + good, []string{"8:1: a second document | a file holds one rule: write another file"}},
		{"not utf-8", "rule: \xff\n", []string{"1:1: the file is not UTF-8 | save it as UTF-8"}},
		{"control character", "rule: a\x01\n", []string{`1:8: the character U+0001 is not allowed | write it as \x.. in double quotes`}},
		{"unknown key", edit("title", "titel"), []string{"1:1: a rule lacks title | ", `2:1: unknown key "titel" in a rule | did you mean title?`}},
		{"key of a later language", edit("evidence", "dns: yes\nevidence"), []string{`3:1: unknown key "dns" in a rule | known are rule, title, doc, noun, service, ports, evidence, programs, sources, threshold, session, longest, format, continues, optional, fields, patterns, samples`}},
		{"twice", edit("title: X", "title: X\ntitle: Y"), []string{"3:1: title is there twice: first on line 2 | keep one"}},
		{"no value", edit("title: X", "title:"), []string{"2:1: title has no value | write one, or leave the key out"}},
		{"bad name", edit("rule: x", "rule: 'a b'"), []string{`1:7: the name of a rule cannot be "a b" | use up to 64 letters, digits, - _ and .`}},
		{"number for text", edit("title: X", "title: 7"), []string{"2:8: title is a text, not a number | put it in quotes"}},
		{"no evidence", edit("evidence: proven\n", ""), []string{"1:1: a rule lacks evidence | "}},
		{"bad evidence", edit("proven", "prooven"), []string{`3:11: "prooven" is not a class of evidence | did you mean proven?`}},
		{"bad ports", edit("evidence", "ports: 22/sctp\nevidence"), []string{`3:8: ports "22/sctp": "sctp" is not a protocol: write /tcp or /udp after the whole list, or nothing for both | write ports: 22/tcp, or a list of such`}},
		{"bad program", edit("evidence", "programs: ['a b']\nevidence"), []string{`3:11: "a b" is not the tag of a program | write it as it stands in the log before [ or :; at most three * stand for any text`}},
		{"bad file", edit("evidence", "sources: {files: [auth.log]}\nevidence"), []string{`3:18: "auth.log" is not an absolute path | begin it with /`}},
		{"bad threshold", edit("evidence", "threshold: 5\nevidence"), []string{"3:12: threshold is a text, not a number | put it in quotes"}},
		{"bad threshold 2", edit("evidence", "threshold: 5 in 10\nevidence"), []string{`3:12: threshold "5 in 10": "10" is not a duration: the number needs a unit: s, m, h, d or w | `}},
		{"bad session", edit("evidence", "session: tid\nevidence"), []string{`3:10: "tid" is not a kind of session | did you mean pid?`}},
		{"bad longest", edit("evidence", "longest: 0\nevidence"), []string{fmt.Sprintf("3:10: longest is a whole number from 1 to %d | ", MaxLine)}},
		{"no patterns", edit("patterns:\n", "patterns: []\nxs:\n"), []string{"4:11: a rule needs at least one pattern | ", `5:1: unknown key "xs" in a rule | known are rule, title, doc, noun, service, ports, evidence, programs, sources, threshold, session, longest, format, continues, optional, fields, patterns, samples`}},
		{"pattern is text", "rule: x\ntitle: X\nevidence: proven\npatterns: [a]\n", []string{"4:12: a pattern is written as key: value, not as a text | "}},
		{"ask", edit("failure", "ask"), []string{`6:12: "ask" is not a class | known are failure, hint, key, success, info`}},
		{"bad expression", edit("^bad", "^b(ad"), []string{"7:13: bad expression: missing closing ) | expressions are RE2: no look-around, no back-references"}},
		{"look-around", edit("^bad", "^(?!x)bad"), []string{"7:14: bad expression: invalid or unsupported Perl syntax: (?! | expressions are RE2: no look-around, no back-references"}},
		{"unknown macro", edit("<addr>", "<adr>"), []string{"7:23: unknown macro <adr> | did you mean addr?; for the text itself write [<]adr>"}},
		{"unknown group", edit("<addr>", "(?P<ip>x) <addr>"), []string{`7:26: unknown group "ip" | groups are addr, user, port, session, via, time and count; write (?:…) for a group that keeps nothing`}},
		{"no address", edit("<addr>", "<host>"), []string{"7:12: the expression has no <addr> | a pattern must say who it was: write <addr>, or peer: session where another line of the session does"}},
		{"two addresses", edit("<addr>", "<addr> <addr>"), []string{"7:30: <addr> is there twice | only one can be kept: write the alternatives around one <addr>"}},
		{"same pattern", good + "  - {name: a, class: hint, match: '<addr>'}\n", []string{"8:6: the pattern a is there twice | each pattern has its own name"}},
		{"bad sample", good + "samples:\n  - {line: a, expect: nothing, origin: made}\n", []string{"9:23: expect is none, or what the hit says | write expect: {pattern: NAME, addr: ADDRESS}", `9:40: "made" is not an origin | known are captured, source`}},
		{"bad address", good + "samples:\n  - {line: a, expect: {pattern: a, addr: 1.2.3}, origin: source}\n", []string{`9:42: "1.2.3" is not an address | write it as 192.0.2.1 or '2001:db8::1'`}},
		{"lacking pattern", good + "samples:\n  - {line: a, expect: {pattern: b, addr: 192.0.2.1}, origin: source}\n", []string{"9:24: a sample expects the pattern b, which the rule lacks | known are a"}},
		{"anchors", edit("title: X", "title: &a X"), []string{"2:8: title is a text, not an anchor or alias | put it in quotes"}},
		{"tabs", "rule: x\n\ttitle: y\n", []string{"2:1: not valid YAML: found character '\t' that cannot start any token | indent with spaces, and put text with : # < ' in quotes"}},
		{"unclosed", "rule: [x\n", []string{"1:7: not valid YAML: sequence end token ']' not found | indent with spaces, and put text with : # < ' in quotes"}},
		{"bad format", edit("evidence", "format: cef\nevidence"), []string{`3:9: "cef" is not a format | known are syslog, plain, access, json`}},
		{"match of fields", edit("evidence", "format: json\nfields: {addr: ip}\nevidence"), []string{"7:5: a pattern lacks where | ", "9:12: match does not go with format: json | write conditions on its fields: where: {FIELD: EXPRESSION}"}},
		{"where of a message", edit("match: '^bad from <addr>$'", "where: {a: b}"), []string{"5:5: a pattern lacks match | ", "7:13: where goes with format: access and json only | write match: EXPRESSION"}},
		{"fields of a message", edit("evidence", "fields: {addr: ip}\nevidence"), []string{"3:10: fields goes with format: json only | the other formats know where their fields are"}},
		{"continues", edit("evidence", "continues: true\nevidence"), []string{"3:1: continues goes with format: plain only | "}},
		{"continues what", edit("evidence", "format: plain\ncontinues: 8\nevidence"), []string{"4:12: continues is true or false, not a number | "}},
		{"no such field", withFields("access", "{staus: 401}"), []string{`7:13: "staus" is not a field of an access log | did you mean status?`}},
		{"address of an access log", withFields("access", "{path: '<addr>'}"), []string{"7:19: a condition on an access log keeps nothing | who it was and the like are told by its fields: write <any> or (?:…)"}},
		{"no condition", withFields("access", "{}"), []string{"7:12: a pattern needs at least one condition | write where: {FIELD: EXPRESSION}"}},
		{"condition is a list", withFields("access", "[a]"), []string{"7:12: where is written as key: value, not as a list | ", "7:12: a pattern needs at least one condition | write where: {FIELD: EXPRESSION}"}},
		{"condition twice", withFields("access", "{path: a, path: b}"), []string{`7:22: "path" is there twice | keep one`}},
		{"condition is null", withFields("access", "{path: }"), []string{`7:13: "path" has no value | write one, or leave the key out`, "7:13: a pattern needs at least one condition | write where: {FIELD: EXPRESSION}"}},
		{"condition of nothing", withFields("access", "{path: []}"), []string{"7:19: a condition has from 1 to 256 values | "}},
		{"condition is a mapping", withFields("access", "{path: {a: b}}"), []string{"7:20: a condition is a text, not a mapping | put it in quotes"}},
		{"bad condition", withFields("access", "{path: [a, 'b(c']}"), []string{"7:24: bad expression: missing closing ): b(c | expressions are RE2: no look-around, no back-references"}},
		{"unusual number", withFields("access", "{status: 0x191}"), []string{`7:21: the number "0x191" is written unusually | write decimal digits`}},
		{"bad path", withFields("json", "{a..b: x}"), []string{`7:13: "a..b" is not the path of a field | write keys with a dot between them: request.remote_ip`, "7:13: nothing says which field has the address | write fields: {addr: PATH}, or <addr> in a condition"}},
		{"no address in JSON", withFields("json", "{a: b}"), []string{"7:13: nothing says which field has the address | write fields: {addr: PATH}, or <addr> in a condition"}},
		{"two addresses in JSON", withFields("json", "{a: '<addr>', b: '<addr>'}"), []string{"7:29: <addr> is there twice | only one can be kept"}},
		{"bad evidence of a pattern", edit("match", "evidence: none\n    match"), []string{`7:15: "none" is not a class of evidence | known are forgeable, proven`}},
		{"deep", strings.Repeat("[", 5000), []string{"1:101: too many brackets are open | close them, or put text with brackets in quotes"}},
		{"huge", strings.Repeat("# comment\n", 100_000), []string{"1:1: the file is longer than 512 KB | is it a rule?"}},
	}
	for _, c := range cases {
		r, err := Parse("x.yaml", []byte(c.src))
		if (err == nil) != (len(c.want) == 0) || (r == nil) != (err != nil) {
			t.Errorf("%s: rule %t, error %v", c.name, r != nil, err)
		}
		var got []string
		for _, p := range problems(err) {
			got = append(got, fmt.Sprintf("%d:%d: %s | %s", p.Line, p.Column, p.Problem, p.Hint))
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n got %s\nwant %s", c.name, strings.Join(got, "\n     "), strings.Join(c.want, "\n     "))
		}
	}
}

func TestSyntaxErrorText(t *testing.T) {
	_, err := Parse("rules.d/x.yaml", []byte("rule: x\ntitle: X\nevidence: no\npatterns:\n  - {name: a, class: hint, match: 'é<adr>'}\n"))
	ps := problems(err)
	if len(ps) != 2 {
		t.Fatal(err)
	}
	if got, want := ps[1].Error(), "rules.d/x.yaml:5:37: unknown macro <adr>"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := ps[1].Excerpt, "  - {name: a, class: hint, match: 'é<adr>'}\n                                    ^"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := excerpt([]string{strings.Repeat("x", 1000)}, 1, 900); !strings.Contains(got, "\n"+strings.Repeat(" ", 49)+"^") || len(got) > 200 {
		t.Errorf("long line: %q", got)
	}
}

func TestParseFields(t *testing.T) {
	r, err := Parse("x.yaml", []byte(`
rule: x
title: A title
doc: |
  One.

  Two.
service: ssh
ports: [22, 8000-8010/tcp]
evidence: forgeable
programs: one
sources:
  files: [/a/*, /b]
  journal: x.service
threshold: 3 in 5m
session: pid
longest: 300
patterns:
  - {name: a, class: key, match: "^a <addr> <user>", reads: src, session: none, longest: 200}
  - {name: b, class: info, match: b <addr>}
samples:
  - line: "a 192.0.2.1 \t joe\r"
    expect: {pattern: a, addr: '::ffff:192.0.2.1', user: joe, port: 5, session: 7, repeat: 2}
    origin: captured
  - {line: c, expect: none, origin: source}
`))
	if err != nil {
		t.Fatal(err)
	}
	if r.Name != "x" || r.Title != "A title" || r.Doc != "One.\n\nTwo.\n" || r.Service != "ssh" || r.Ports.String() != "22,8000-8010/tcp 22/udp" || r.Evidence != gate.Forgeable ||
		!reflect.DeepEqual(r.Programs, []string{"one"}) || !reflect.DeepEqual(r.Sources, Sources{[]string{"/a/*", "/b"}, []string{"x.service"}}) ||
		r.Threshold != (gate.Threshold{Count: 3, Within: 5 * time.Minute}) || r.Session != SessionPID || r.Longest != 300 {
		t.Errorf("%+v", r)
	}
	if p := r.Patterns[0]; p.Name != "a" || p.Class != gate.ClassKey || p.Match != "^a <addr> <user>" || p.Reads != "src" || p.session != SessionNone || p.longest != 200 {
		t.Errorf("%+v", p)
	}
	if p := r.Patterns[1]; p.session != SessionPID || p.longest != 300 || r.PatternNamed("b") != &r.Patterns[1] || r.PatternNamed("c") != nil {
		t.Errorf("%+v", p)
	}
	want := []Sample{{"a 192.0.2.1 \t joe\r", &Expect{"a", "192.0.2.1", "joe", 5, 7, 2}, OriginCaptured}, {"c", nil, OriginSource}}
	if !reflect.DeepEqual(r.Samples, want) {
		t.Errorf("%+v", r.Samples)
	}
	roundTrip(t, r)
}

// roundTrip writes a rule, reads it back and compares.
func roundTrip(tb testing.TB, r *Rule) {
	tb.Helper()
	text := r.YAML()
	back, err := Parse("back.yaml", text)
	if err != nil {
		tb.Fatalf("%v in\n%s", err, text)
	}
	if again := back.YAML(); string(again) != string(text) {
		tb.Fatalf("wrote\n%s\nread back as\n%s", text, again)
	}
	bare := func(r *Rule) Rule {
		c := *r
		c.Patterns = nil
		for _, p := range r.Patterns {
			c.Patterns = append(c.Patterns, Pattern{Name: p.Name, Class: p.Class, Match: p.Match, Where: p.Where, Fields: p.Fields, Reads: p.Reads, Session: p.Session, Longest: p.Longest, Evidence: p.Evidence, Service: p.Service, Ports: p.Ports})
		}
		return c
	}
	if a, b := bare(r), bare(back); !reflect.DeepEqual(a, b) {
		tb.Fatalf("wrote\n%#v\nread back\n%#v", a, b)
	}
}

func TestBuiltinRoundTrips(t *testing.T) {
	more, _ := everyFormat(t)
	for _, r := range append(Builtin(), more...) {
		roundTrip(t, r)
	}
}

func TestRuleTestFindsFaults(t *testing.T) {
	r, err := Parse("x.yaml", []byte(good+`  - {name: b, class: hint, match: 'worse from <addr>'}
samples:
  - {line: bad from 192.0.2.1, expect: {pattern: a, addr: 192.0.2.1}, origin: source}
  - {line: bad from 192.0.2.1, expect: {pattern: a, addr: 192.0.2.2}, origin: source}
  - {line: bad from 192.0.2.1, expect: {pattern: b, addr: 192.0.2.1}, origin: source}
  - {line: bad from 192.0.2.1, expect: none, origin: source}
  - {line: fine, expect: {pattern: a, addr: 192.0.2.1}, origin: source}
`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range r.Test() {
		got = append(got, f.String())
	}
	want := []string{
		`sample 2: addr is 192.0.2.1, should be 192.0.2.2: "bad from 192.0.2.1"`,
		`sample 3: pattern is a, should be b: "bad from 192.0.2.1"`,
		`sample 4: pattern a matches what must not match: "bad from 192.0.2.1"`,
		`sample 5: no pattern matches, a should: "fine"`,
		`pattern b: no sample shows it`,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

// FuzzParsedRuleRoundTrips: Parse never panics, and what it reads can be
// written and read back to the same.
func FuzzParsedRuleRoundTrips(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(good + "doc: |\n  a\n   b\n\n"))
	f.Add([]byte(good + "samples:\n  - {line: \"a\\t\\x01\\u2028'\", expect: none, origin: source}\n"))
	f.Add([]byte(strings.Replace(good, "title: X", `title: "x: # ' \\ <y>"`, 1)))
	more, _ := everyFormat(f)
	for _, r := range append(Builtin(), more...) {
		f.Add(r.YAML())
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) > 8<<10 {
			return
		}
		r, err := Parse("fuzz.yaml", src)
		if err != nil {
			for _, p := range problems(err) {
				if p.Line < 1 || p.Column < 1 || p.Problem == "" {
					t.Fatalf("%+v", p)
				}
			}
			return
		}
		roundTrip(t, r)
	})
}
