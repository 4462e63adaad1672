package rules

import (
	"fmt"
	"strings"
	"unicode"
)

// YAML returns the rule as a file that Parse reads back to an equal rule.
func (r *Rule) YAML() []byte {
	w := &writer{}
	w.text("", "rule", r.Name)
	w.text("", "title", r.Title)
	w.text("", "doc", r.Doc)
	w.text("", "noun", r.Noun)
	w.text("", "service", r.Service)
	w.list("", "ports", strings.Fields(r.Ports.String()))
	w.text("", "evidence", r.Evidence.String())
	w.list("", "programs", r.Programs)
	if len(r.Sources.Files)+len(r.Sources.Journal) > 0 {
		w.b.WriteString("sources:\n")
		w.list("  ", "files", r.Sources.Files)
		w.list("  ", "journal", r.Sources.Journal)
	}
	w.text("", "threshold", r.Threshold.String())
	w.text("", "session", r.Session.String())
	w.number("", "longest", r.Longest)
	w.text("", "format", r.Format.String())
	if r.Continues {
		w.b.WriteString("continues: true\n")
	}
	if r.Optional {
		w.b.WriteString("optional: true\n")
	}
	w.fields("", r.Fields)
	w.b.WriteString("patterns:\n")
	for _, p := range r.Patterns {
		w.text("  - ", "name", p.Name)
		w.text("    ", "class", p.Class.String())
		w.text("    ", "match", p.Match)
		w.where("    ", p.Where)
		w.fields("    ", p.Fields)
		w.text("    ", "reads", p.Reads)
		w.text("    ", "session", p.Session.String())
		w.text("    ", "peer", p.Peer.String())
		if p.Known {
			w.b.WriteString("    known: true\n")
		}
		w.number("    ", "longest", p.Longest)
		w.text("    ", "evidence", p.Evidence.String())
		w.text("    ", "service", p.Service)
		w.list("    ", "ports", strings.Fields(p.Ports.String()))
	}
	if len(r.Samples) > 0 {
		w.b.WriteString("samples:\n")
	}
	for _, s := range r.Samples {
		w.text("  - ", "line", s.Line)
		if e := s.Expect; e == nil {
			w.b.WriteString("    expect: none\n")
		} else {
			w.b.WriteString("    expect:\n")
			w.text("      ", "pattern", e.Pattern)
			w.text("      ", "addr", e.Addr)
			w.text("      ", "user", e.User)
			w.number("      ", "port", int(e.Port))
			w.number("      ", "session", int(e.Session))
			w.number("      ", "repeat", e.Repeat)
		}
		w.text("    ", "origin", s.Origin)
	}
	return []byte(w.b.String())
}

// writer writes keys and values; empty values are left out.
type writer struct{ b strings.Builder }

func (w *writer) text(indent, key, value string) {
	if value != "" {
		fmt.Fprintf(&w.b, "%s%s: %s\n", indent, key, quote(value))
	}
}

func (w *writer) number(indent, key string, n int) {
	if n != 0 {
		fmt.Fprintf(&w.b, "%s%s: %d\n", indent, key, n)
	}
}

func (w *writer) list(indent, key string, values []string) {
	if len(values) == 0 {
		return
	}
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = quote(v)
	}
	fmt.Fprintf(&w.b, "%s%s: [%s]\n", indent, key, strings.Join(quoted, ", "))
}

// fields writes where a line has what.
func (w *writer) fields(indent string, f Fields) {
	if f == (Fields{}) {
		return
	}
	fmt.Fprintf(&w.b, "%sfields:\n", indent)
	f.each(func(i int, path *string) { w.text(indent+"  ", fieldNames[i], *path) })
}

// where writes conditions.
func (w *writer) where(indent string, conds []Condition) {
	if len(conds) == 0 {
		return
	}
	fmt.Fprintf(&w.b, "%swhere:\n", indent)
	for _, c := range conds {
		values := make([]string, len(c.Values))
		for i, v := range c.Values {
			if values[i] = v.Text; !v.Exact {
				values[i] = quote(v.Text)
			}
		}
		fmt.Fprintf(&w.b, "%s  %s: [%s]\n", indent, quote(c.Field), strings.Join(values, ", "))
	}
}

// quote writes a text so that YAML reads it back as it is: a plain word bare,
// one printable line in single quotes, the rest in double quotes.
func quote(s string) string {
	if isPlain(s) {
		return s
	}
	if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// isPlain reports whether s needs no quotes: letters, with - and / and . and
// digits behind the first, and no word that YAML takes for something else.
func isPlain(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c != '-' && c != '_' && c != '/' && c != '.' && (c < '0' || c > '9')) {
			return false
		}
	}
	switch strings.ToLower(s) {
	case "null", "true", "false", "yes", "no", "on", "off", "y", "n", "none":
		return false
	}
	return s != ""
}
