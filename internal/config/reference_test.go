package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestReferenceIsDefaults: the reference, read back, changes nothing for
// anybody.
func TestReferenceIsDefaults(t *testing.T) {
	for _, o := range []Options{{}, {UID: 1000, Env: environment("HOME=/home/ann")}} {
		want, err := Default(o)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse("reference.yaml", Reference(), o)
		if err != nil || !got.Equal(want) {
			t.Errorf("uid %d: %+v, %v", o.UID, got, err)
		}
	}
}

// TestReferenceExamples: each example of the reference is good, and so is the
// file with all of its settings taken into force.
func TestReferenceExamples(t *testing.T) {
	if _, err := Parse("examples.yaml", reference(true), Options{RuleExists: known}); err != nil {
		t.Error(err)
	}
	uncommented := regexp.MustCompile(`(?m)^( *)#([^ #\n]|  [^ \n])`).ReplaceAll(Reference(), []byte("$1$2"))
	c, err := Parse("uncommented.yaml", uncommented, Options{RuleExists: known})
	if err != nil {
		t.Fatalf("%v\n%s", err, uncommented)
	}
	if len(c.Watch) != 2 || c.Watch[1].Rule != "sshd" || c.Watch[1].Ports.IsEmpty() || len(c.Watch[1].Files) == 0 {
		t.Errorf("the entry of its own reads %+v", c.Watch)
	}
}

// TestReferenceForm: 80 columns, every key with a comment above it.
func TestReferenceForm(t *testing.T) {
	setting := regexp.MustCompile(`^ *(#  # |#?(- |  )?)[a-z0-9_]+:`)
	lines := strings.Split(string(Reference()), "\n")
	keys := 0
	for i, line := range lines {
		if n := utf8.RuneCountInString(line); n > 80 || strings.TrimRight(line, " ") != line {
			t.Errorf("line %d: %d columns or spaces at its end: %q", i+1, n, line)
		}
		if setting.MatchString(line) {
			keys++
			if i == 0 || !regexp.MustCompile(`^ *# `).MatchString(lines[i-1]) {
				t.Errorf("line %d: no comment above %q", i+1, line)
			}
		}
	}
	if want := countKeys(reflect.TypeFor[Config]()); keys != want {
		t.Errorf("%d settings, want %d", keys, want)
	}
}

// countKeys counts the keys of a section and of the sections in it.
func countKeys(t reflect.Type) (n int) {
	eachKey(t, func(field) { n++ })
	return n
}

func eachKey(t reflect.Type, do func(field)) {
	for _, f := range keyed(t) {
		do(f)
		sub := t.Field(f.index).Type
		for sub.Kind() == reflect.Slice || sub.Kind() == reflect.Map {
			sub = sub.Elem()
		}
		if isSection(sub) {
			eachKey(sub, do)
		}
	}
}

// TestTags: each key is documented, and names checks that exist.
func TestTags(t *testing.T) {
	eachKey(reflect.TypeFor[Config](), func(f field) {
		if !strings.HasSuffix(f.doc, ".") || strings.Contains(f.doc, "  ") {
			t.Errorf("%s: documented as %q", f.key, f.doc)
		}
		for _, c := range f.checks {
			if checks[c].run == nil {
				t.Errorf("%s: no check is called %s", f.key, c)
			}
		}
	})
}

// TestSchema: the schema accepts the reference and every good example, and
// refuses what is plainly wrong.
func TestSchema(t *testing.T) {
	var schema any
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	for src, good := range map[string]bool{
		string(Reference()):       true,
		string(reference(true)):   true,
		string(defaults().YAML()): true,
		"":                        true,
		"allow:\n":                true,
		"ban: [forever]\n":        true,
		"watch: [auto, {rule: sshd, ports: 22}]\n":           true,
		"watch: [{rule: sshd, ports: '22/tcp 53,54/udp'}]\n": true,
		"alow: []\n":                          false,
		"ban: 10m\n":                          false,
		"ban: []\n":                           false,
		"ban: [10 minutes]\n":                 false,
		"threshold: 5/10m\n":                  false,
		"state: relative\n":                   false,
		"watch: [sshd]\n":                     false,
		"watch: [{files: [/a]}]\n":            false,
		"watch: [{rule: sshd, ports: [0]}]\n": false,
		"firewall: {verdict: maybe}\n":        false,
	} {
		s := newSource("t", []byte(src))
		n := s.read()
		if len(s.problems) > 0 {
			t.Fatalf("%s: %v", src, s.problems)
		}
		err := validate(schema.(map[string]any), generic(t, n), "$")
		if (err == nil) != good {
			t.Errorf("%.60q: %v", src, err)
		}
	}
}

// generic turns a node into what JSON would decode to, with the types that YAML
// gives to plain texts.
func generic(t *testing.T, n *node) any {
	t.Helper()
	if n.kind == mapping {
		m := map[string]any{}
		for _, e := range n.entries {
			m[e.key.text] = generic(t, e.value)
		}
		return m
	}
	if n.kind == list {
		l := []any{}
		for _, i := range n.items {
			l = append(l, generic(t, i))
		}
		return l
	}
	var v any
	if n.kind == nothing {
		return nil
	}
	if !n.quoted && json.Unmarshal([]byte(n.text), &v) == nil {
		return v
	}
	return n.text
}

// validate is the part of JSON Schema that Schema uses; another keyword is an
// error, so that the check cannot pass by ignoring it.
func validate(schema map[string]any, v any, path string) error {
	kindOf := func(v any) string {
		switch v := v.(type) {
		case nil:
			return "null"
		case string:
			return "string"
		case bool:
			return "boolean"
		case float64:
			if v == float64(int(v)) {
				return "integer"
			}
			return "number"
		case []any:
			return "array"
		}
		return "object"
	}
	for keyword, want := range schema {
		bad := func(format string, args ...any) error {
			return fmt.Errorf("%s: %s: %s", path, keyword, fmt.Sprintf(format, args...))
		}
		switch keyword {
		case "$schema", "title", "description", "default", "examples":
		case "type":
			kinds, ok := want.([]any)
			if !ok {
				kinds = []any{want}
			}
			k := kindOf(v)
			if path == "$" && k == "null" {
				return nil // an empty file
			}
			if !slices.Contains(kinds, any(k)) && !(k == "integer" && slices.Contains(kinds, any("number"))) {
				return bad("it is %s", k)
			}
		case "const":
			if !reflect.DeepEqual(v, want) {
				return bad("it is %v", v)
			}
		case "enum":
			if !slices.Contains(want.([]any), v) {
				return bad("it is %v", v)
			}
		case "pattern":
			if s, ok := v.(string); ok && !regexp.MustCompile(want.(string)).MatchString(s) {
				return bad("%q", s)
			}
		case "minimum":
			if n, ok := v.(float64); ok && n < want.(float64) {
				return bad("%v", n)
			}
		case "maximum":
			if n, ok := v.(float64); ok && n > want.(float64) {
				return bad("%v", n)
			}
		case "minItems":
			if l, ok := v.([]any); ok && float64(len(l)) < want.(float64) {
				return bad("%d items", len(l))
			}
		case "items":
			l, _ := v.([]any)
			for i, item := range l {
				if err := validate(want.(map[string]any), item, fmt.Sprintf("%s[%d]", path, i)); err != nil {
					return err
				}
			}
		case "anyOf":
			var all []string
			for _, s := range want.([]any) {
				err := validate(s.(map[string]any), v, path)
				if err == nil {
					all = nil
					break
				}
				all = append(all, err.Error())
			}
			if all != nil {
				return bad("%s", strings.Join(all, "; "))
			}
		case "properties":
			m, _ := v.(map[string]any)
			for key, s := range want.(map[string]any) {
				if item, ok := m[key]; ok {
					if err := validate(s.(map[string]any), item, path+"."+key); err != nil {
						return err
					}
				}
			}
		case "additionalProperties":
			m, _ := v.(map[string]any)
			known, _ := schema["properties"].(map[string]any)
			for key, item := range m {
				if _, ok := known[key]; ok {
					continue
				}
				s, ok := want.(map[string]any)
				if !ok {
					return bad("key %s", key)
				}
				if err := validate(s, item, path+"."+key); err != nil {
					return err
				}
			}
		case "required":
			m, ok := v.(map[string]any)
			for _, key := range want.([]any) {
				if _, has := m[key.(string)]; ok && !has {
					return bad("%v is missing", key)
				}
			}
		default:
			return bad("this keyword is not checked")
		}
	}
	return nil
}

// TestGuide: each example of the guide is good, and the guide has every key.
func TestGuide(t *testing.T) {
	guide, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(guide, -1)
	if len(blocks) < 5 {
		t.Errorf("%d examples", len(blocks))
	}
	for _, b := range blocks {
		if _, err := Parse("example.yaml", b[1], Options{}); err != nil {
			t.Errorf("%v\n%s", err, b[1])
		}
	}
	eachKey(reflect.TypeFor[Config](), func(f field) {
		if !bytes.Contains(guide, []byte("`"+f.key+"`")) {
			t.Errorf("the guide does not name `%s`", f.key)
		}
	})
}
