package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// kind says what a node is.
type kind uint8

const (
	nothing kind = iota // a key without a value, null, an empty file
	text                // a scalar of any kind: what it means is decided by who reads it
	list
	mapping
)

// String returns the kind as it stands in a message.
func (k kind) String() string { return [...]string{"nothing", "text", "a list", "keys and values"}[k] }

// node is a part of a file with its position: YAML without everything that a
// configuration does not need.
type node struct {
	kind      kind
	line, col int     // from 1, in characters
	text      string  // of a text
	quoted    bool    // the text stands in quotes, or is a block of text
	items     []*node // of a list
	entries   []entry // of a mapping, in the order of the file, duplicates included
}

// entry is one key of a mapping with its value.
type entry struct{ key, value *node }

// get returns the value of the first entry with this key, or nil.
func (n *node) get(key string) *node {
	for _, e := range n.entries {
		if e.key.text == key {
			return e.value
		}
	}
	return nil
}

// The limits of what is handed to the YAML parser, which takes quadratic time in
// the number of keys and in the depth. A configuration of 200 watches has a
// thousand keys and a depth of 5.
const (
	maxTokens = 200_000
	maxKeys   = 10_000
	maxDepth  = 32
)

const deepHint = "the deepest setting has five levels; check the indentation"

// tree parses the text, which is known to be free of odd characters.
func (s *source) tree() *node {
	tokens := lexer.Tokenize(string(s.raw))
	if s.refuse(tokens); len(s.problems) > 0 {
		return nil
	}
	file, err := parse(tokens)
	if err != nil {
		s.syntax(err)
		return nil
	}
	root := &node{line: 1, col: 1}
	for _, doc := range file.Docs {
		if doc.Body != nil {
			root = s.convert(doc.Body, 1)
		}
	}
	return root
}

// parse keeps a panic of the parser, which is not ours, from ending the daemon
// at a reload.
func parse(tokens token.Tokens) (file *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the YAML reader gave up: %v", r)
		}
	}()
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}

// refused are the YAML features that a configuration has no use for, with the
// hint for who came upon them unwittingly.
var refused = map[token.Type]struct{ what, hint string }{
	token.AnchorType:     {"an anchor, which has no use here", `write the value out; a text that starts with & needs quotes`},
	token.AliasType:      {"an alias, which has no use here", `write the value out; a text that starts with * needs quotes`},
	token.MergeKeyType:   {"a merge key, which has no use here", "write the keys out"},
	token.TagType:        {"a tag, which has no use here", "remove it; a text that starts with ! needs quotes"},
	token.DirectiveType:  {"a directive, which has no use here", "remove the line; a text that starts with % needs quotes"},
	token.MappingKeyType: {"a question mark in front of a key", "write key: value; a text that starts with ? needs quotes"},
}

// refuse reports what must not reach the parser: refused features, a second
// document, and more or deeper nodes than a configuration has.
func (s *source) refuse(tokens token.Tokens) {
	var keys, depth, indicators, line int
	var told map[token.Type]bool // on this line
	begun, ended := false, false
	for i, t := range tokens {
		at := t.Position
		if at.Line != line {
			line, indicators, told = at.Line, 0, make(map[token.Type]bool)
		}
		if t.Type == token.CommentType {
			continue
		}
		if ended || begun && t.Type == token.DocumentHeaderType {
			s.report(at.Line, at.Column, "one file is one configuration: put it all under the same keys, and remove --- and ...", "a second document starts here")
			return
		}
		begun = true
		if r, ok := refused[t.Type]; ok && !told[t.Type] {
			told[t.Type] = true
			s.report(at.Line, at.Column, r.hint, "%s", r.what)
			if t.Type == token.DirectiveType {
				return
			}
		}
		switch t.Type {
		case token.DocumentEndType:
			ended = true
		case token.MappingValueType:
			keys++
		case token.SequenceEntryType:
			indicators++
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth = max(depth-1, 0)
		}
		switch {
		case keys > maxKeys || i > maxTokens:
			s.report(at.Line, at.Column, "long lists of addresses go in with gatehouse import list", "more keys and values than a configuration has")
			return
		case depth > maxDepth || indicators > maxDepth:
			s.report(at.Line, at.Column, deepHint, "nested too deep")
			return
		}
	}
}

// convert turns a part of the parser's tree into a node.
func (s *source) convert(n ast.Node, depth int) *node {
	out := &node{line: 1, col: 1}
	if n == nil {
		return out
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		out.line, out.col = t.Position.Line, t.Position.Column
	}
	if depth > maxDepth {
		if len(s.problems) == 0 {
			s.report(out.line, out.col, deepHint, "nested too deep")
		}
		return out
	}
	switch n := n.(type) {
	case *ast.NullNode:
	case *ast.StringNode:
		out.kind, out.text = text, n.Value
		out.quoted = n.Token.Type == token.SingleQuoteType || n.Token.Type == token.DoubleQuoteType
	case *ast.LiteralNode:
		out.kind, out.text, out.quoted = text, n.Value.Value, true
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		out.kind, out.text = text, n.GetToken().Value
	case *ast.SequenceNode:
		out.kind = list
		for _, v := range n.Values {
			out.items = append(out.items, s.convert(v, depth+1))
		}
	case *ast.MappingNode:
		out.kind = mapping
		for _, v := range n.Values {
			out.entries = append(out.entries, s.entry(v, depth))
		}
		if !n.IsFlowStyle && len(out.entries) > 0 {
			out.line, out.col = out.entries[0].key.line, out.entries[0].key.col
		}
	case *ast.MappingValueNode:
		out.kind = mapping
		e := s.entry(n, depth)
		out.entries = []entry{e}
		out.line, out.col = e.key.line, e.key.col
	default:
		s.report(out.line, out.col, "use plain keys, texts and lists", "this part of YAML is not used here")
	}
	return out
}

func (s *source) entry(v *ast.MappingValueNode, depth int) entry {
	key := s.convert(v.Key, depth+1)
	if key.kind != text {
		if t := v.Key.GetToken(); key.kind == nothing && t != nil {
			key.kind, key.text = text, t.Value
		} else {
			s.report(key.line, key.col, "a key is one word", "%s where a key is expected", key.kind)
		}
	}
	return entry{key, s.convert(v.Value, depth+1)}
}

// located is an error of the parser.
type located interface {
	error
	GetMessage() string
	GetToken() *token.Token
}

// syntaxes are the parser's messages in the words of a person who writes a
// configuration, by a part of the message.
var syntaxes = []struct{ part, what, hint string }{
	{"sequence end token", "a [ that is never closed", "add the ] at the end of the list"},
	{"mapping end token", "a { that is never closed", "add the } at the end"},
	{"end character of double-quoted", `a " that is never closed`, `add the " at the end of the text`},
	{"end character of single-quoted", "a ' that is never closed", "add the ' at the end of the text; inside of it, ' is written ''"},
	{"mapping value is not allowed", "a key where it cannot stand", "keys of one level start in the same column, each on its own line; a text with a colon and a space in it needs quotes"},
	{"is a reserved character", "this character cannot start a text", "put the text in quotes"},
	{"must be specified", "the brackets are not closed, or a comma is missing", "close the [ or { above, and put a comma between the items"},
}

// syntax reports an error of the parser.
func (s *source) syntax(err error) {
	line, col, what := 1, 1, ""
	if l, ok := errors.AsType[located](err); !ok {
		what, _, _ = strings.Cut(err.Error(), "\n")
	} else {
		what = l.GetMessage()
		if t := l.GetToken(); t != nil && t.Position != nil {
			line, col = t.Position.Line, t.Position.Column
		}
	}
	hint := "check the indentation, the colons and the quotes here"
	for _, m := range syntaxes {
		if strings.Contains(what, m.part) {
			what, hint = m.what, m.hint
			break
		}
	}
	s.report(line, col, hint, "%s", what)
}
