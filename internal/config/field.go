package config

import (
	"reflect"
	"slices"
	"strings"
)

// field is one key of a section, as the tags of its struct field say:
//
//	key       the key in the file
//	doc       what it means, one paragraph; for reference, schema and people
//	default   its value where the file has none, as YAML; without this tag the
//	          zero value, which then means "inherited" or "found out at start"
//	example   a value to show, as YAML
//	check     names of entries of the table checks, with spaces between
//	enum      the words that a text may be, with spaces between
//	min, max  bounds of a number, both included
//	instead   the key in place of which it is, or which it goes with: they are not
//	          shown together in an example
//	required  "true" for a key that must be there
//	oneof     a word: of the keys with it one must be there
//	word      instead of key, on a bool: the section may be this word in place of
//	          keys and values, and then sets the bool
type field struct {
	index      int // in the struct
	key        string
	doc        string
	byDefault  string
	hasDefault bool
	example    string
	checks     []string
	enum       []string
	min, max   string
	instead    string
	required   bool
	oneof      string
	word       string
}

// fieldsOf returns the keys of a section in the order of its struct.
func fieldsOf(t reflect.Type) []field {
	var fs []field
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		f := field{
			index: i, key: tag.Get("key"), doc: tag.Get("doc"), example: tag.Get("example"),
			checks: strings.Fields(tag.Get("check")), enum: strings.Fields(tag.Get("enum")),
			min: tag.Get("min"), max: tag.Get("max"),
			instead: tag.Get("instead"), required: tag.Get("required") == "true", oneof: tag.Get("oneof"), word: tag.Get("word"),
		}
		f.byDefault, f.hasDefault = tag.Lookup("default")
		if f.key != "" || f.word != "" {
			fs = append(fs, f)
		}
	}
	return fs
}

// manyKeys is how many keys are too many to list in a hint.
const manyKeys = 12

// allKeys says in a hint which keys there are.
func allKeys(fs []field) string {
	keys := keysOf(fs)
	if len(keys) > manyKeys {
		return "every key is explained by: gatehouse config reference"
	}
	return "the keys here are " + strings.Join(keys, ", ")
}

// keysOf returns the keys of a section, sorted.
func keysOf(fs []field) []string {
	var keys []string
	for _, f := range fs {
		if f.key != "" {
			keys = append(keys, f.key)
		}
	}
	slices.Sort(keys)
	return keys
}

// firstKey returns the key that a section starts with, "" if it has none.
func firstKey(fs []field) string {
	for _, f := range fs {
		if f.key != "" {
			return f.key
		}
	}
	return ""
}

// wordOf returns the field of the word that may stand in place of a section, if
// there is one.
func wordOf(fs []field) (field, bool) {
	i := slices.IndexFunc(fs, func(f field) bool { return f.word != "" })
	if i < 0 {
		return field{}, false
	}
	return fs[i], true
}

// setDefaults sets the fields of a section, and of the sections in it, to what
// their tags say. A default that cannot be read is a programmer's error.
func setDefaults(v reflect.Value) {
	for _, f := range fieldsOf(v.Type()) {
		fv := v.Field(f.index)
		if isSection(fv.Type()) {
			setDefaults(fv)
		}
		if !f.hasDefault {
			continue
		}
		s := newSource("default of "+f.key, []byte(f.byDefault))
		if n := s.read(); len(s.problems) == 0 {
			(&decoder{source: s}).value(n, fv, f)
		}
		if err := s.problems.err(); err != nil {
			panic(err)
		}
	}
}

// isSection reports whether values of t are written as keys and values with a
// fixed set of keys.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && scalarOf(t) == nil
}
