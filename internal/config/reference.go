package config

import (
	"reflect"
	"strconv"
	"strings"
)

// head stands at the top of the reference.
const head = `# Configuration of Gatehouse: every key, with its default.
#
# A line that starts with # and no space behind it is a setting that is not in
# force: take the # off to use it. A key that is missing or has no value keeps
# its default, and an empty file is a good configuration.
#
# Durations are 90s, 10m, 1h30m, 7d, 2w or forever. gatehouse check finds every
# mistake in this file, gatehouse reload puts it in force.
`

// Reference returns the whole configuration with comments, at most 80 columns
// wide. Parsing it gives exactly the defaults.
func Reference() []byte { return reference(false) }

// reference writes the reference; with examples each example is in force, in
// place of the default.
func reference(examples bool) []byte {
	r := referee{examples: examples}
	r.WriteString(head)
	r.section(reflect.TypeFor[Config](), "")
	return []byte(r.String())
}

// referee writes the reference by the tags of the structs.
type referee struct {
	strings.Builder
	examples bool
}

// section writes each key of a struct with its comment above it.
func (r *referee) section(t reflect.Type, indent string) {
	for _, f := range fieldsOf(t) {
		if f.key == "" {
			continue
		}
		if indent == "" {
			r.WriteByte('\n')
		}
		r.key(t.Field(f.index).Type, f, indent)
	}
}

// key writes one key. Its value is the default; without one, its example behind
// a comment sign.
func (r *referee) key(t reflect.Type, f field, indent string) {
	r.comment(indent, f.doc)
	switch {
	case isSection(t):
		r.WriteString(indent + f.key + ":\n")
		r.section(t, indent+"  ")
	case t.Kind() == reflect.Map && isSection(t.Elem()):
		r.WriteString(indent + f.key + ":\n")
		r.setting(indent+"  ", strconv.Quote(f.example)+":") // in quotes, for it is not a key but a name
		for _, f := range keyed(t.Elem()) {
			r.comment(indent+"    ", f.doc)
			r.setting(indent+"    ", f.key+": "+f.example)
		}
	case t.Kind() == reflect.Slice && isSection(t.Elem()):
		r.WriteString(indent + f.key + ":\n")
		for _, item := range strings.Split(strings.Trim(f.byDefault, "[]"), ", ") {
			if item != "" {
				r.WriteString(indent + "  - " + item + "\n")
			}
		}
		r.entry(t.Elem(), indent+"  ")
	case r.examples && f.example != "" && (f.instead == "" || f.hasDefault):
		r.WriteString(indent + f.key + ": " + f.example + "\n")
	case f.hasDefault:
		if f.example != "" {
			r.comment(indent, "Example: "+f.example)
		}
		r.WriteString(indent + f.key + ": " + f.byDefault + "\n")
	case f.instead != "":
		r.WriteString(indent + "#  # " + f.key + ": " + f.example + "\n") // in place of another: not both
	default:
		r.setting(indent, f.key+": "+f.example)
	}
}

// entry writes an example entry of a list of sections, each key with its
// comment; in the file it is out of force.
func (r *referee) entry(t reflect.Type, indent string) {
	for i, f := range keyed(t) {
		r.comment(indent, f.doc)
		dash := "  "
		if i == 0 {
			dash = "- "
		}
		if f.instead == "" {
			r.setting(indent, dash+f.key+": "+f.example)
		} else {
			r.WriteString(indent + "#" + dash + "# " + f.key + ": " + f.example + "\n") // in place of another: not both
		}
	}
}

// keyed returns the fields of a section that have a key.
func keyed(t reflect.Type) []field {
	var fs []field
	for _, f := range fieldsOf(t) {
		if f.key != "" {
			fs = append(fs, f)
		}
	}
	return fs
}

// setting writes a line that is in force only in a reference of examples.
func (r *referee) setting(indent, line string) {
	if !r.examples {
		line = "#" + line
	}
	r.WriteString(indent + line + "\n")
}

// comment writes a paragraph as a comment, wrapped.
func (r *referee) comment(indent, doc string) {
	line := indent + "#"
	for word := range strings.FieldsSeq(doc) {
		if len(line)+1+len(word) > width {
			r.WriteString(line + "\n")
			line = indent + "#"
		}
		line += " " + word
	}
	r.WriteString(line + "\n")
}
