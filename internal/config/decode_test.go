package config

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

// level is a type that brings its own text form.
type level int

func (l level) MarshalText() ([]byte, error) { return []byte(fmt.Sprint("level", int(l))), nil }

func (l *level) UnmarshalText(b []byte) error {
	if n, err := fmt.Sscanf(string(b), "level%d", (*int)(l)); err != nil || n != 1 {
		return errors.New("not a level")
	}
	return nil
}

// everything has a field of every type that the reader knows.
type everything struct {
	Bool   bool                     `key:"bool" default:"true"`
	Int    int                      `key:"int" default:"24" min:"8" max:"32"`
	Plain  int                      `key:"plain"`
	Text   string                   `key:"text" default:"some words"`
	Word   string                   `key:"word" enum:"in out"`
	Span   time.Duration            `key:"span" default:"10m"`
	Limit  gate.Threshold           `key:"limit"`
	Ports  gate.Ports               `key:"ports" default:"[22/tcp]"`
	Addr   netip.Addr               `key:"addr"`
	Net    netip.Prefix             `key:"net"`
	Level  level                    `key:"level"`
	Texts  []string                 `key:"texts"`
	Ints   []int                    `key:"ints" max:"9"`
	Nested inner                    `key:"nested"`
	List   []inner                  `key:"list"`
	Named  map[string]inner         `key:"named"`
	Spans  map[string]time.Duration `key:"spans"`
	Hidden int
}

type inner struct {
	Off  bool   `word:"off"`
	Name string `key:"name" default:"x"`
	Size int    `key:"size" required:"true" example:"3"`
}

// decodeAs reads src into a new everything.
func decodeAs(src string) (*everything, error) {
	s := newSource("t", []byte(src))
	v := new(everything)
	n := s.read()
	if len(s.problems) > 0 {
		return nil, s.problems.err()
	}
	setDefaults(reflect.ValueOf(v).Elem())
	(&decoder{source: s}).value(n, reflect.ValueOf(v).Elem(), field{})
	return v, s.problems.err()
}

// TestTypes: a line a type, what it reads and what it says of a wrong value.
func TestTypes(t *testing.T) {
	tests := []struct {
		src  string
		want func(*everything)
		bad  string // the end of the first line of the error
	}{
		{"bool: false", func(e *everything) { e.Bool = false }, ""},
		{"bool: yes", nil, `1:7: "yes" is not true or false`},
		{"bool: 'true'", nil, `1:7: "true" is not true or false`},
		{"bool: [true]", nil, `1:7: a list where true or false is expected`},
		{"int: 8", func(e *everything) { e.Int = 8 }, ""},
		{"int: 7", nil, `1:6: 7 is out of range`},
		{"int: 33", nil, `1:6: 33 is out of range`},
		{"int: 1.5", nil, `1:6: "1.5" is not a whole number`},
		{"int: 0x10", nil, `1:6: "0x10" is not a whole number`},
		{"int: '9'", nil, `1:6: "9" is not a whole number`},
		{"int: 99999999999999999999", nil, `1:6: "99999999999999999999" is not a whole number`},
		{"plain: -1", nil, `1:8: -1 is out of range`},
		{"plain: {}", nil, `1:8: keys and values where a whole number is expected`},
		{"text: 5", func(e *everything) { e.Text = "5" }, ""},
		{"text: 'a: b'", func(e *everything) { e.Text = "a: b" }, ""},
		{"text: |\n  a\n  b", nil, `1:7: the text has a line break or a control character in it`},
		{"word: out", func(e *everything) { e.Word = "out" }, ""},
		{"word: ou", nil, `1:7: "ou" is not one of in, out`},
		{"span: forever", func(e *everything) { e.Span = gate.Forever }, ""},
		{"limit: 2 in 1s", func(e *everything) { e.Limit = gate.Threshold{Count: 2, Within: time.Second} }, ""},
		{"ports: []", func(e *everything) { e.Ports = gate.Ports{} }, ""},
		{"ports: [, 22]", nil, ``},
		{"addr: 2001:db8::1", func(e *everything) { e.Addr = netip.MustParseAddr("2001:db8::1") }, ""},
		{"addr: 2001:db8::/64", nil, `1:7: "2001:db8::/64" is not an address`},
		{"net: 10.0.0.0/8", func(e *everything) { e.Net = netip.MustParsePrefix("10.0.0.0/8") }, ""},
		{"level: level3", func(e *everything) { e.Level = 3 }, ""},
		{"level: three", nil, `1:8: not a level`},
		{"texts: [a, 'b', 3]", func(e *everything) { e.Texts = []string{"a", "b", "3"} }, ""},
		{"texts: []", func(e *everything) { e.Texts = nil }, ""},
		{"texts: [a, ~]", nil, `1:12: an empty item`},
		{"ints: [1, 10]", nil, `1:11: 10 is out of range`},
		{"nested: {size: 1}", func(e *everything) { e.Nested = inner{Name: "x", Size: 1} }, ""},
		{"nested: off", func(e *everything) { e.Nested = inner{Name: "x", Off: true} }, ""},
		{"nested: of", nil, `1:9: "of" is neither off nor keys and values`},
		{"nested: {name: y}", nil, `1:9: the key size is missing`},
		{"list: [off, {size: 2}]", func(e *everything) { e.List = []inner{{Off: true, Name: "x"}, {Name: "x", Size: 2}} }, ""},
		{"list: [{name: y, siz: 2}]", nil, `1:8: the key size is missing`},
		{"named: {a: {size: 1}, b: off}", func(e *everything) {
			e.Named = map[string]inner{"a": {Name: "x", Size: 1}, "b": {Name: "x", Off: true}}
		}, ""},
		{"named: {}", func(e *everything) { e.Named = map[string]inner{} }, ""},
		{"named: [a]", nil, `1:8: a list where names with their values are expected`},
		{"named: {a: off, a: off}", nil, `1:17: duplicate key "a"`},
		{"named: {'a b': off}", nil, `1:9: "a b" cannot be a name`},
		{"named: {a: {size: x}}", nil, `1:19: "x" is not a whole number`},
		{"spans: {a: 1h}", func(e *everything) { e.Spans = map[string]time.Duration{"a": time.Hour} }, ""},
		{"hidden: 1", nil, `1:1: unknown key "hidden"`},
		{"Hidden: 1", nil, `1:1: unknown key "Hidden"`},
		{"'': 1", nil, `1:1: unknown key ""`},
	}
	for _, tt := range tests {
		got, err := decodeAs(tt.src)
		if tt.want == nil {
			first := ""
			if err != nil {
				first, _, _ = strings.Cut(err.Error(), "\n")
			}
			if !strings.HasPrefix(first, "t:") || tt.bad != "" && first != "t:"+tt.bad {
				t.Errorf("%s\ngot  %s\nwant t:%s", tt.src, first, tt.bad)
			}
			continue
		}
		want := &everything{Bool: true, Int: 24, Text: "some words", Span: 10 * time.Minute, Nested: inner{Name: "x"}}
		want.Ports, _ = gate.ParsePorts("22/tcp")
		tt.want(want)
		if err != nil || !sameEverything(got, want) {
			t.Errorf("%s\ngot  %+v, %v\nwant %+v", tt.src, got, err, want)
			continue
		}
	}
}

// TestWriter: a value of every type, as it is written; it reads back equal.
func TestWriter(t *testing.T) {
	const want = `bool: true
int: 24
plain: 7
text: "a: b"
word: in
span: forever
limit: 2 in 1s
ports: 22/tcp 53/udp
addr: 192.0.2.1
net: 2001:db8::/64
level: level3
texts:
  - a rather long text that does not fit together with its neighbour
  - "another one, with a comma in it"
ints: [1, 2]
nested:
  name: x
  size: 1
list:
  - name: z
    size: 2
  - name: ""
    size: 3
named:
  a:
    name: y
    size: 4
  b-c:
    name: x
    size: 5
spans:
  d: 1h
`
	v, err := decodeAs(want)
	if err != nil {
		t.Fatal(err)
	}
	var w writer
	w.section(reflect.ValueOf(v).Elem(), "")
	if w.String() != want {
		t.Errorf("got\n%s\nwant\n%s", w.String(), want)
	}
	if again, err := decodeAs(w.String()); err != nil || !sameEverything(again, v) {
		t.Errorf("%+v, %v", again, err)
	}
}

func sameEverything(a, b *everything) bool {
	x, y := *a, *b
	same := x.Ports.Equal(y.Ports)
	x.Ports, y.Ports = gate.Ports{}, gate.Ports{}
	return same && reflect.DeepEqual(x, y)
}

// TestQuoted: what is written plain is read back as the same text, in a list in
// brackets too.
func TestQuoted(t *testing.T) {
	for _, s := range []string{"", " ", "a", "a b", "a ", " a", "a: b", "a:", ":", "-", "- a", "---", "null", "~", "True", "5", "0x10", "1.5", "a#b", "a #b", "[a]", "a,b", "{", "'", `"`, `\`, "é", "\u202e", "\U000e0001", "@a", "%a", "*a", "&a", "!a", "?", "::1", "2001:db8::", "/var/log/*.log", "...", "a\tb"} {
		src := newSource("t", []byte("k: ["+quoted(s)+", x]\nl: "+quoted(s)+"\n"))
		n := src.read()
		if len(src.problems) > 0 {
			t.Errorf("%q as %s: %v", s, quoted(s), src.problems)
			continue
		}
		list, single := n.get("k"), n.get("l")
		if len(list.items) != 2 || list.items[0].text != s || single.text != s {
			t.Errorf("%q as %s reads %+v and %+v", s, quoted(s), list.items, single)
		}
	}
}

// TestNearest: what people mistype, and what is too far from anything.
func TestNearest(t *testing.T) {
	keys := keysOf(fieldsOf(reflect.TypeFor[Config]()))
	for s, want := range map[string]string{
		"alow": "allow", "Allow": "allow", "whitelist": "", "treshold": "threshold", "wacth": "watch", "bann": "ban", "bantime": "",
		"fire-wall": "firewall", "rule": "rules", "x": "", "": "", "keeep": "keep", strings.Repeat("x", 1000): "",
	} {
		if got := nearest(s, keys); got != want {
			t.Errorf("nearest(%.20q) = %q, want %q", s, got, want)
		}
	}
}
