package config

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"

	"gatehouse/internal/gate"
)

// object is a JSON object that keeps the order of its members.
type object []member

type member struct {
	name  string
	value any
}

// MarshalJSON implements json.Marshaler.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Schema returns the JSON Schema (draft 2020-12) of the configuration, indented,
// for editors that check and complete YAML. It accepts what Parse accepts, written
// in the usual form; Parse knows more: ladders, rules, clashes between keys.
func Schema() []byte {
	root := object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"title", "Gatehouse configuration"},
	}
	b, err := json.MarshalIndent(append(root, sectionSchema(reflect.TypeFor[Config]())...), "", "  ")
	if err != nil {
		panic(err) // there is nothing in it that cannot be encoded
	}
	return append(b, '\n')
}

// sectionSchema describes a struct.
func sectionSchema(t reflect.Type) object {
	properties, required, either := object{}, []string{}, []object{}
	for _, f := range keyed(t) {
		properties = append(properties, member{f.key, fieldSchema(t.Field(f.index).Type, f)})
		if f.required {
			required = append(required, f.key)
		}
		if f.oneof != "" {
			either = append(either, object{{"required", []string{f.key}}})
		}
	}
	o := object{{"type", "object"}, {"additionalProperties", false}, {"properties", properties}}
	if len(required) > 0 {
		o = append(o, member{"required", required})
	}
	if len(either) > 0 {
		o = append(o, member{"anyOf", either})
	}
	return o
}

// fieldSchema describes the value of a key: its type, or null, which keeps the
// default.
func fieldSchema(t reflect.Type, f field) object {
	o := object{{"description", f.doc}}
	if f.hasDefault {
		o = append(o, member{"default", literal(f.byDefault)})
	}
	if f.example != "" {
		o = append(o, member{"examples", []any{literal(f.example)}})
	}
	of := valueSchema(t, f)
	if f.required {
		return append(o, of...)
	}
	return append(o, member{"anyOf", []object{of, {{"type", "null"}}}})
}

// valueSchema describes a value of a type. Texts that YAML takes for numbers
// are numbers to an editor.
func valueSchema(t reflect.Type, f field) object {
	if t == reflect.TypeFor[gate.Ports]() {
		item := object{{"type", []string{"string", "integer"}}, {"pattern", scalarOf(t).pattern}, {"minimum", 1}, {"maximum", 65535}}
		return object{{"anyOf", []object{item, {{"type", "array"}, {"items", item}}}}}
	}
	if t == reflect.TypeFor[Secret]() {
		place := func(key string) object {
			return object{{"type", "object"}, {"additionalProperties", false}, {"required", []string{key}}, {"properties", object{{key, object{{"type", "string"}}}}}}
		}
		return object{{"anyOf", []object{{{"type", "string"}}, place("file"), place("env"), place("credential")}}}
	}
	if s := scalarOf(t); s != nil {
		o := object{{"type", "string"}}
		if s.pattern != "" {
			o = append(o, member{"pattern", s.pattern})
		}
		return o
	}
	switch t.Kind() {
	case reflect.Slice:
		o := object{{"type", "array"}, {"items", valueSchema(t.Elem(), f)}}
		if slices.Contains(f.checks, "ladder") || slices.Contains(f.checks, "filled") {
			o = append(o, member{"minItems", 1})
		}
		return o
	case reflect.Map:
		return object{{"type", "object"}, {"additionalProperties", valueSchema(t.Elem(), f)}}
	case reflect.Struct:
		if w, ok := wordOf(fieldsOf(t)); ok {
			return object{{"anyOf", []object{{{"const", w.word}}, sectionSchema(t)}}}
		}
		return sectionSchema(t)
	case reflect.Bool:
		return object{{"type", "boolean"}}
	case reflect.Int:
		lo, hi := bounds(f)
		return object{{"type", "integer"}, {"minimum", lo}, {"maximum", hi}}
	}
	if nounOf(t, f) == "a path" {
		return object{{"type", "string"}, {"pattern", "^/"}}
	}
	if len(f.enum) > 0 {
		return object{{"enum", f.enum}}
	}
	// A name may look like a number or a truth to YAML.
	return object{{"type", []string{"string", "number", "boolean"}}}
}

// literal turns a YAML value of a tag into one that encodes as JSON: lists and
// texts; a list of keys and values does not occur in tags.
func literal(yaml string) any {
	s := newSource("tag", []byte(yaml))
	return jsonOf(s.read())
}

func jsonOf(n *node) any {
	switch n.kind {
	case list:
		out := []any{}
		for _, item := range n.items {
			out = append(out, jsonOf(item))
		}
		return out
	case mapping:
		out := object{}
		for _, e := range n.entries {
			out = append(out, member{e.key.text, jsonOf(e.value)})
		}
		return out
	case text:
		return n.text
	}
	return nil
}
