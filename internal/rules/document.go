package rules

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxFile bounds a rule file, in bytes; the largest built-in one has 60 KB.
const maxFile = 512 << 10

// maxNesting bounds how deep collections lie in each other, roughly: how many
// brackets are open. A rule file needs 3; the YAML parser needs time and memory
// that grow with the square.
const maxNesting = 100

// maxProblems bounds how many problems of one file are told: whoever has more
// begins with these.
const maxProblems = 100

// document is a rule file while it is read: it collects what is wrong with it.
type document struct {
	file string
	src  []byte
	rows []string // src by lines
	errs []*SyntaxError
}

func newDocument(file string, src []byte) *document {
	d := &document{file: file, src: bytes.TrimPrefix(src, []byte("\ufeff"))}
	d.rows = strings.Split(string(d.src), "\n")
	return d
}

// fail records a problem at a place of the file.
func (d *document) fail(line, col int, problem, hint string) {
	if len(d.errs) < maxProblems {
		d.errs = append(d.errs, &SyntaxError{File: d.file, Line: line, Column: col, Problem: problem, Excerpt: excerpt(d.rows, line, col), Hint: hint})
	}
}

// failAt records a problem at a token.
func (d *document) failAt(t *token.Token, problem, hint string) {
	if t == nil || t.Position == nil {
		d.fail(1, 1, problem, hint)
		return
	}
	d.fail(t.Position.Line, t.Position.Column, problem, hint)
}

// err joins the problems in the order of the file; nil where there is none.
func (d *document) err() error {
	slices.SortStableFunc(d.errs, func(a, b *SyntaxError) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	var all []error
	for _, e := range d.errs {
		all = append(all, e)
	}
	return errors.Join(all...)
}

// root parses the file as YAML and returns its one document; nil where it is
// not YAML, with the problem recorded.
func (d *document) root() (root ast.Node) {
	if !d.legible() {
		return nil
	}
	// The YAML parser is not ours and is fed by people: its panic is a fault
	// of the file as far as they are concerned.
	defer func() {
		if p := recover(); p != nil {
			d.fail(1, 1, fmt.Sprintf("the file cannot be read as YAML: %v", p), "look for unusual YAML: anchors, tags, complex keys")
			root = nil
		}
	}()
	f, err := parser.ParseBytes(d.src, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		if ye, ok := errors.AsType[yaml.Error](err); ok {
			d.failAt(ye.GetToken(), "not valid YAML: "+ye.GetMessage(), "indent with spaces, and put text with : # < ' in quotes")
		} else {
			d.fail(1, 1, "not valid YAML: "+err.Error(), "")
		}
		return nil
	}
	for _, doc := range f.Docs {
		if doc.Body == nil {
			continue
		}
		if root != nil {
			d.failAt(doc.Start, "a second document", "a file holds one rule: write another file")
			return nil
		}
		root = doc.Body
	}
	if root == nil {
		d.fail(1, 1, "the file is empty", "a rule begins with rule: NAME")
	}
	return root
}

// legible checks what the YAML parser would choke on.
func (d *document) legible() bool {
	if len(d.src) > maxFile {
		d.fail(1, 1, fmt.Sprintf("the file is longer than %d KB", maxFile>>10), "is it a rule?")
		return false
	}
	if !utf8.Valid(d.src) {
		d.fail(1, 1, "the file is not UTF-8", "save it as UTF-8")
		return false
	}
	line, col, open := 1, 0, 0
	begins := true // a bracket here would begin a collection
	for _, r := range string(d.src) {
		col++
		switch r {
		case '\n':
			line, col, begins = line+1, 0, true
			continue
		case ' ', '\t', '\r', ':', ',', '-', '?':
			begins = begins || r == ':' || r == ','
		case '[', '{':
			if begins {
				open++
			}
		case ']', '}':
			open, begins = max(open-1, 0), false
		default:
			begins = false
		}
		if r < ' ' && r != '\t' && r != '\r' || r == 0x7f || r == '\ufeff' {
			d.fail(line, col, fmt.Sprintf("the character %U is not allowed", r), "write it as \\x.. in double quotes")
			return false
		}
		if open > maxNesting {
			d.fail(line, col, "too many brackets are open", "close them, or put text with brackets in quotes")
			return false
		}
	}
	return true
}
