package rules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"gatehouse/internal/gate"
)

// field is one key that a mapping may have.
type field struct {
	key      string
	required bool
	read     func(ast.Node)
}

// mapping reads n as a mapping with these keys, each at most once. What names
// the mapping in messages: "a rule".
func (d *document) mapping(n ast.Node, what string, fields ...field) bool {
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		d.failAt(tokenOf(n), fmt.Sprintf("%s is written as key: value, not as %s", what, kindOf(n)), "")
		return false
	}
	var names []string
	for _, f := range fields {
		names = append(names, f.key)
	}
	seen := map[string]int{}
	for _, v := range values {
		t := tokenOf(v.Key)
		key, ok := v.Key.(*ast.StringNode)
		if !ok {
			d.failAt(t, "a key here is a plain word", "known are "+strings.Join(names, ", "))
			continue
		}
		i := slices.Index(names, key.Value)
		if i < 0 {
			d.failAt(t, fmt.Sprintf("unknown key %q in %s", key.Value, what), didYouMean(key.Value, names))
			continue
		}
		if line, twice := seen[key.Value]; twice {
			d.failAt(t, fmt.Sprintf("%s is there twice: first on line %d", key.Value, line), "keep one")
			continue
		}
		seen[key.Value] = t.Position.Line
		if isNull(v.Value) {
			d.failAt(t, fmt.Sprintf("%s has no value", key.Value), "write one, or leave the key out")
			continue
		}
		fields[i].read(v.Value)
	}
	for _, f := range fields {
		if _, ok := seen[f.key]; f.required && !ok {
			d.failAt(tokenOf(n), fmt.Sprintf("%s lacks %s", what, f.key), "")
		}
	}
	return true
}

// items returns the entries of a list; a single value counts as a list of one.
func (d *document) items(n ast.Node) []ast.Node {
	if s, ok := n.(*ast.SequenceNode); ok {
		return s.Values
	}
	return []ast.Node{n}
}

// text reads a text, plain, quoted or block.
func (d *document) text(n ast.Node, what string) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	}
	d.failAt(tokenOf(n), fmt.Sprintf("%s is a text, not %s", what, kindOf(n)), "put it in quotes")
	return "", false
}

// line reads a text of one line, not empty.
func (d *document) line(n ast.Node, what string) (string, bool) {
	s, ok := d.text(n, what)
	if !ok {
		return "", false
	}
	if s = strings.TrimSuffix(s, "\n"); s == "" || strings.ContainsAny(s, "\n\r") {
		d.failAt(tokenOf(n), what+" is one line, and not empty", "")
		return "", false
	}
	return s, true
}

// plain reads a text that may look like a number: 22, 80-90.
func (d *document) plain(n ast.Node, what string) (string, bool) {
	switch n.(type) {
	case *ast.IntegerNode, *ast.FloatNode:
		return n.GetToken().Value, true
	}
	return d.text(n, what)
}

// number reads a whole number from lo to hi.
func (d *document) number(n ast.Node, what string, lo, hi int) int {
	if i, ok := n.(*ast.IntegerNode); ok {
		if v, ok := i.Value.(uint64); ok && v <= uint64(hi) && v >= uint64(lo) {
			return int(v)
		}
	}
	d.failAt(tokenOf(n), fmt.Sprintf("%s is a whole number from %d to %d", what, lo, hi), "")
	return 0
}

// yes reads true or false.
func (d *document) yes(n ast.Node, what string) bool {
	if b, ok := n.(*ast.BoolNode); ok {
		return b.Value
	}
	d.failAt(tokenOf(n), fmt.Sprintf("%s is true or false, not %s", what, kindOf(n)), "")
	return false
}

// pair is one key of a mapping and its value.
type pair struct {
	key   string
	at    *token.Token // of the key
	value ast.Node
}

// pairs returns what a mapping holds whose keys are not known beforehand, each
// key at most once.
func (d *document) pairs(n ast.Node, what string) (out []pair) {
	var all []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		all = n.Values
	case *ast.MappingValueNode:
		all = []*ast.MappingValueNode{n}
	default:
		d.failAt(tokenOf(n), fmt.Sprintf("%s is written as key: value, not as %s", what, kindOf(n)), "")
		return nil
	}
	for _, v := range all {
		t := tokenOf(v.Key)
		key, ok := v.Key.(*ast.StringNode)
		switch {
		case !ok:
			d.failAt(t, "a key here is a word", "put it in quotes")
		case slices.ContainsFunc(out, func(p pair) bool { return p.key == key.Value }):
			d.failAt(t, fmt.Sprintf("%s is there twice", gate.Quote(key.Value, 64)), "keep one")
		case isNull(v.Value):
			d.failAt(t, fmt.Sprintf("%s has no value", gate.Quote(key.Value, 64)), "write one, or leave the key out")
		default:
			out = append(out, pair{key.Value, t, v.Value})
		}
	}
	return out
}

// lines reads a list of texts of one line each.
func (d *document) lines(n ast.Node, what string) (out []string) {
	for _, item := range d.items(n) {
		if s, ok := d.line(item, what); ok {
			if slices.Contains(out, s) {
				d.failAt(tokenOf(item), fmt.Sprintf("%q is there twice", s), "keep one")
				continue
			}
			out = append(out, s)
		}
	}
	return out
}

// choice reads one of some words and returns its index, or -1.
func (d *document) choice(n ast.Node, what string, words ...string) int {
	s, ok := d.line(n, what)
	if !ok {
		return -1
	}
	i := slices.Index(words, s)
	if i < 0 {
		d.failAt(tokenOf(n), fmt.Sprintf("%q is not %s", s, what), didYouMean(s, words))
	}
	return i
}

func isNull(n ast.Node) bool {
	_, ok := n.(*ast.NullNode)
	return n == nil || ok
}

func tokenOf(n ast.Node) *token.Token {
	switch n := n.(type) {
	case nil:
		return nil
	case *ast.MappingNode:
		if len(n.Values) > 0 {
			return tokenOf(n.Values[0])
		}
	case *ast.MappingValueNode:
		return tokenOf(n.Key)
	}
	return n.GetToken()
}

func kindOf(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.BoolNode:
		return "true or false"
	case *ast.StringNode, *ast.LiteralNode:
		return "a text"
	case *ast.AnchorNode, *ast.AliasNode:
		return "an anchor or alias"
	case *ast.TagNode:
		return "a tagged value"
	}
	return "nothing"
}
