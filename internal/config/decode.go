package config

import (
	"errors"
	"reflect"
	"slices"
	"strings"

	"gatehouse/internal/gate"
)

// decoder reads nodes into Go values by the tags of their structs. It goes on
// after a problem, so that all of them are found.
type decoder struct {
	*source
	o Options
}

// crossChecked is a section with checks that span several of its keys.
type crossChecked interface{ check(d *decoder, n *node) }

// problem reports a problem at a node.
func (d *decoder) problem(n *node, hint, format string, args ...any) {
	d.report(n.line, n.col, hint, format, args...)
}

// value reads n into v and reports whether it is fit for use. v keeps what it
// had where n is nothing.
func (d *decoder) value(n *node, v reflect.Value, f field) bool {
	t := v.Type()
	switch {
	case t == reflect.TypeFor[gate.Ports]() && n.kind == list:
		return d.ports(n, v)
	case t == reflect.TypeFor[Secret]():
		return d.secret(n, v, f)
	case scalarOf(t) != nil:
		return d.scalar(n, v, f, scalarOf(t).noun, func() error { return scalarOf(t).set(n.text, v) })
	}
	switch t.Kind() {
	case reflect.Slice:
		return d.list(n, v, f)
	case reflect.Map:
		return d.names(n, v, f)
	case reflect.Struct:
		return d.section(n, v, f)
	}
	return d.scalar(n, v, f, nounOf(t, f), func() error { return plain(n, v, f) })
}

// scalar reads one text by set, and checks it.
func (d *decoder) scalar(n *node, v reflect.Value, f field, noun string, set func() error) bool {
	if n.kind != text {
		hint := "write one value"
		switch {
		case n.kind == list && len(n.items) > 0 && n.items[0].kind == text:
			hint = "write one value, without brackets and dashes, such as " + n.items[0].text
		case n.kind == mapping:
			hint = "write one value; a text with a colon at its end, or with a colon and a space in it, needs quotes"
		}
		d.problem(n, hint, "%s where %s is expected", n.kind, noun)
		return false
	}
	err := set()
	if err == nil && len(f.enum) > 0 && !slices.Contains(f.enum, n.text) {
		err = wrong(gate.Quote(n.text, 32)+" is not one of "+strings.Join(f.enum, ", "), didYouMean(nearest(n.text, f.enum), "write "+strings.Join(f.enum, " or ")))
	}
	if err == nil {
		err = runChecks(f, v, false)
	}
	return d.accept(n, err)
}

// accept reports err at n, with its hint, and whether there was none.
func (d *decoder) accept(n *node, err error) bool {
	if err == nil {
		return true
	}
	hint := ""
	if ft, ok := errors.AsType[*fault](err); ok {
		hint = ft.hint
		if ft.item > 0 && ft.item <= len(n.items) {
			n = n.items[ft.item-1]
		}
	}
	d.problem(n, hint, "%v", err)
	return false
}

// list reads the items of a list; an empty list gives nil.
func (d *decoder) list(n *node, v reflect.Value, f field) bool {
	if n.kind != list {
		hint := "write a list, in brackets or with a dash in front of each item"
		if n.kind == text {
			hint = "write a list: [" + n.text + "]"
			if slices.Contains(f.checks, "command") {
				hint = "write a list of words, since no shell reads it: [" + strings.Join(strings.Fields(n.text), ", ") + "]"
			}
		}
		d.problem(n, hint, "%s where a list of %s is expected", n.kind, nounsOf(v.Type().Elem(), f))
		return false
	}
	out, ok := reflect.Zero(v.Type()), true
	for _, item := range n.items {
		if d.empty(item) {
			ok = false
			continue
		}
		e := reflect.New(v.Type().Elem()).Elem()
		if isSection(e.Type()) {
			setDefaults(e)
		}
		if d.value(item, e, f) {
			out = reflect.Append(out, e)
		} else {
			ok = false
		}
	}
	v.Set(out)
	return ok && d.accept(n, runChecks(f, v, true))
}

// empty reports an item of a list that has no value, and whether it has none.
func (d *decoder) empty(item *node) bool {
	if item.kind == nothing {
		d.problem(item, "write a value, or remove the dash or the comma", "an empty item")
	}
	return item.kind == nothing
}

// ports reads a list of ports, so that each item has its own position.
func (d *decoder) ports(n *node, v reflect.Value) bool {
	all, ok := gate.Ports{}, true
	for _, item := range n.items {
		var p gate.Ports
		switch {
		case d.empty(item):
			ok = false
		case item.kind == list:
			d.problem(item, "write the ports in one list", "a list within a list of ports")
			ok = false
		case !d.value(item, reflect.ValueOf(&p).Elem(), field{}):
			ok = false
		}
		all = all.Union(p)
	}
	v.Set(reflect.ValueOf(all))
	return ok
}

// names reads keys that the operator chooses, each with a value of one type.
func (d *decoder) names(n *node, v reflect.Value, f field) bool {
	if n.kind != mapping {
		d.problem(n, "write name: and the value of each", "%s where names with their values are expected", n.kind)
		return false
	}
	v.Set(reflect.MakeMap(v.Type()))
	ok, seen := true, make(map[string]*node)
	for _, e := range n.entries {
		if !gate.IsName(e.key.text) {
			d.problem(e.key, "use letters, digits, - and _", "%s cannot be a name", gate.Quote(e.key.text, 64))
			ok = false
			continue
		}
		if !d.first(e.key, seen) {
			ok = false
			continue
		}
		item := reflect.New(v.Type().Elem()).Elem()
		if isSection(item.Type()) {
			setDefaults(item)
		}
		if !d.value(e.value, item, f) {
			ok = false
			continue
		}
		v.SetMapIndex(reflect.ValueOf(e.key.text).Convert(v.Type().Key()), item)
	}
	return ok
}

// first reports a key that was there before, and whether it was not.
func (d *decoder) first(key *node, seen map[string]*node) bool {
	if before := seen[key.text]; before != nil {
		d.problem(key, "line "+itoa(before.line)+" has it already: keep one of the two", "duplicate key %s", gate.Quote(key.text, 64))
		return false
	}
	seen[key.text] = key
	return true
}

// section reads keys and values into a struct.
func (d *decoder) section(n *node, v reflect.Value, f field) bool {
	fs := fieldsOf(v.Type())
	if w, ok := wordOf(fs); ok && n.kind == text {
		if n.text != w.word {
			d.problem(n, didYouMean(nearest(n.text, []string{w.word}), "write "+w.word+", or keys and values such as "+firstKey(fs)+": "+n.text),
				"%s is neither %s nor keys and values", gate.Quote(n.text, 32), w.word)
			return false
		}
		v.Field(w.index).SetBool(true)
		return true
	}
	if n.kind != mapping {
		hint := "write key: value on lines of their own; " + allKeys(fs)
		if key, value, ok := strings.Cut(n.text, ":"); n.kind == text && ok && slices.Contains(keysOf(fs), key) {
			hint = "a colon needs a space behind it: " + key + ": " + value
		}
		d.problem(n, hint, "%s where keys and values are expected", n.kind)
		return false
	}
	ok, seen := true, make(map[string]*node)
	for _, e := range n.entries {
		i := slices.IndexFunc(fs, func(f field) bool { return f.key != "" && f.key == e.key.text })
		if i < 0 {
			d.unknown(e.key, fs, f)
			ok = false
			continue
		}
		if !d.first(e.key, seen) {
			ok = false
			continue
		}
		if e.value.kind == nothing {
			continue // the default stays
		}
		ok = d.value(e.value, v.Field(fs[i].index), fs[i]) && ok
	}
	for _, want := range fs {
		if value := n.get(want.key); want.required && (value == nil || value.kind == nothing) {
			d.problem(n, "write "+want.key+": "+want.example, "the key %s is missing", want.key)
			ok = false
		}
	}
	if c, is := v.Addr().Interface().(crossChecked); is {
		c.check(d, n)
	}
	return ok
}

// unknown reports a key that the section in does not have.
func (d *decoder) unknown(key *node, fs []field, in field) {
	what := "unknown key " + gate.Quote(key.text, 64)
	if in.key != "" {
		what += " in " + in.key
	}
	hint := didYouMean(nearest(key.text, keysOf(fs)), "")
	if hint == "" {
		if home := homeOf(reflect.TypeFor[Config](), key.text); home != "" && home != in.key && !slices.Contains(keysOf(fieldsOf(reflect.TypeFor[Config]())), key.text) {
			hint = key.text + " belongs under " + home
		} else {
			hint = allKeys(fs)
		}
	}
	d.problem(key, hint, "%s", what)
}

// homeOf returns the key of the section below t that has this key, or "".
func homeOf(t reflect.Type, key string) string {
	for _, f := range fieldsOf(t) {
		sub := t.Field(f.index).Type
		for sub.Kind() == reflect.Slice || sub.Kind() == reflect.Map {
			sub = sub.Elem()
		}
		if !isSection(sub) {
			continue
		}
		if slices.Contains(keysOf(fieldsOf(sub)), key) {
			return f.key
		}
		if home := homeOf(sub, key); home != "" {
			return home
		}
	}
	return ""
}

// nounOf names one value of a type in a message.
func nounOf(t reflect.Type, f field) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	}
	if slices.Contains(f.checks, "path") || slices.Contains(f.checks, "socket") || slices.Contains(f.checks, "glob") {
		return "a path"
	}
	if slices.Contains(f.checks, "name") {
		return "a name"
	}
	return "a text"
}

// nounsOf names several values of a type in a message.
func nounsOf(t reflect.Type, f field) string {
	if s := scalarOf(t); s != nil {
		return s.nouns
	}
	if isSection(t) {
		return "entries"
	}
	return strings.TrimPrefix(nounOf(t, f), "a ") + "s"
}
