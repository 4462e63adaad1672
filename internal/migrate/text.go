package migrate

import (
	"fmt"
	"strings"
	"unicode"
)

// Remark is something that could not be carried over as it was.
type Remark struct {
	Place string `json:"place"`          // file:line, "" = no place in particular
	Text  string `json:"text"`           // what it is
	Hint  string `json:"hint,omitempty"` // what to do instead
}

// String returns the remark in one line.
func (r Remark) String() string {
	s := r.Text
	if r.Place != "" {
		s = r.Place + ": " + s
	}
	if r.Hint != "" {
		s += "; " + r.Hint
	}
	return s
}

// width is the column at which comments are wrapped.
const width = 80

// page is a YAML text under construction.
type page struct{ strings.Builder }

// line adds a line.
func (p *page) line(format string, a ...any) { fmt.Fprintf(p, format+"\n", a...) }

// comment adds a paragraph as a comment, wrapped; what follows its first line is
// deeper by two.
func (p *page) comment(indent, text string) {
	line, first := indent+"#", true
	for word := range strings.FieldsSeq(oneLine(text)) {
		if len(line)+1+len(word) > width && len(line) > len(indent)+3 {
			p.line("%s", line)
			line, first = indent+"#  ", false
		}
		line += " " + word
	}
	if first || strings.TrimSpace(line) != "#" {
		p.line("%s", line)
	}
}

// remark adds a comment that says what was not carried over.
func (p *page) remark(indent string, r Remark) { p.comment(indent, "NOT CARRIED OVER: "+r.String()) }

// oneLine makes a text fit for one line of a comment.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// Quoted returns s as a text of YAML that stands for itself in any place.
func Quoted(s string) string { return quoted(s) }

// quoted returns s as a text of YAML that stands for itself in any place: plain
// where that is certain, else in double quotes.
func quoted(s string) string {
	plain := s != "" && strings.IndexFunc(s, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("/._-", c))
	}) < 0 && s[0] != '-' && s[0] != '.'
	switch strings.ToLower(s) {
	case "null", "true", "false", "yes", "no", "on", "off", "y", "n":
		plain = false
	}
	if plain {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case unicode.IsPrint(c):
			b.WriteRune(c)
		case c <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			fmt.Fprintf(&b, `\U%08x`, c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// flow returns a list in brackets.
func flow(items []string) string {
	out := make([]string, len(items))
	for i, s := range items {
		out[i] = quoted(s)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// list adds a key with a list: in brackets if it fits, else an item a line.
func (p *page) list(indent, key string, items []string) {
	if l := indent + key + ": " + flow(items); len(l) <= width {
		p.line("%s", l)
		return
	}
	p.line("%s%s:", indent, key)
	for _, s := range items {
		p.line("%s  - %s", indent, quoted(s))
	}
}
