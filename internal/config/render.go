package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/gate"
)

// width is the column at which the text that this package writes is wrapped.
const width = 80

// YAML returns the configuration as text that Parse reads back to an equal
// Config. Keys that mean "inherited" when they are absent are left out, and
// comments of the file it came from are lost.
func (c *Config) YAML() []byte {
	var w writer
	w.section(reflect.ValueOf(c).Elem(), "")
	return []byte(w.String())
}

// writer builds the YAML text of Go values by the tags of their structs.
type writer struct{ strings.Builder }

// section writes the keys of a struct, each line after indent.
func (w *writer) section(v reflect.Value, indent string) {
	for _, f := range fieldsOf(v.Type()) {
		fv := v.Field(f.index)
		if f.key == "" || fv.IsZero() && !f.hasDefault {
			continue
		}
		if isUnset(fv) {
			if f.hasDefault {
				w.WriteString(indent + f.key + ": []\n")
			}
			continue
		}
		w.WriteString(indent + f.key + ":")
		w.value(fv, indent, len(indent)+len(f.key)+1)
	}
}

// isUnset reports whether v is an empty set of ports, which has no other text.
func isUnset(v reflect.Value) bool {
	p, ok := v.Interface().(gate.Ports)
	return ok && p.IsEmpty()
}

// value writes what follows a key and its colon, with the newline. column is
// where the line stands.
func (w *writer) value(v reflect.Value, indent string, column int) {
	switch {
	case isSection(v.Type()):
		if word, ok := wordOf(fieldsOf(v.Type())); ok && v.Field(word.index).Bool() {
			w.WriteString(" " + word.word + "\n")
			return
		}
		w.WriteByte('\n')
		w.section(v, indent+"  ")
	case scalarOf(v.Type()) != nil || v.Kind() != reflect.Slice && v.Kind() != reflect.Map:
		w.WriteString(" " + scalarText(v) + "\n")
	case v.Len() == 0 && v.Kind() == reflect.Map:
		w.WriteString(" {}\n")
	case v.Kind() == reflect.Map:
		w.WriteByte('\n')
		byName := maps.Collect(v.Seq2())
		for _, k := range slices.SortedFunc(maps.Keys(byName), func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) }) {
			w.WriteString(indent + "  " + quoted(k.String()) + ":")
			w.value(byName[k], indent+"  ", len(indent)+len(k.String())+3)
		}
	default:
		w.list(v, indent, column)
	}
}

// list writes a list in brackets if it fits on the line, else an item a line.
func (w *writer) list(v reflect.Value, indent string, column int) {
	if !isSection(v.Type().Elem()) {
		items := make([]string, v.Len())
		for i := range items {
			items[i] = scalarText(v.Index(i))
		}
		if flow := "[" + strings.Join(items, ", ") + "]"; column+1+len(flow) <= width {
			w.WriteString(" " + flow + "\n")
			return
		}
		w.WriteString("\n")
		for _, item := range items {
			w.WriteString(indent + "  - " + item + "\n")
		}
		return
	}
	if v.Len() == 0 {
		w.WriteString(" []\n")
		return
	}
	w.WriteString("\n")
	for i := range v.Len() {
		item := v.Index(i)
		if word, ok := wordOf(fieldsOf(item.Type())); ok && item.Field(word.index).Bool() {
			w.WriteString(indent + "  - " + word.word + "\n")
			continue
		}
		var sub writer
		sub.section(item, indent+"    ")
		w.WriteString(indent + "  - " + strings.TrimPrefix(sub.String(), indent+"    "))
	}
}

// scalarText returns the text of one value, quoted where YAML needs it.
func scalarText(v reflect.Value) string {
	if s := scalarOf(v.Type()); s != nil {
		return quoted(s.text(v))
	}
	if v.Kind() == reflect.String {
		return quoted(v.String())
	}
	return fmt.Sprint(v.Interface())
}

// quoted returns s as a plain text if it is certain to be read back as such, in
// a list in brackets too, and else in double quotes.
func quoted(s string) string {
	isPlain := s != "" && !strings.HasSuffix(s, ":") && !strings.HasSuffix(s, " ") && strings.IndexFunc(s, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("/._-: ", c))
	}) < 0 && !strings.Contains(s, ": ") && !strings.ContainsRune("-: ", rune(s[0]))
	switch strings.ToLower(s) {
	case "null", "true", "false", "---", "...":
		isPlain = false
	}
	if isPlain {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteString(`\` + string(c))
		case strconv.IsPrint(c):
			b.WriteRune(c)
		case c <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			fmt.Fprintf(&b, `\U%08x`, c)
		}
	}
	return b.String() + `"`
}
