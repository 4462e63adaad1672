package rules

import (
	"slices"
)

// Fields says which fields of a line tell what a Hit tells. Each is the path of
// a field, as a Condition has it; "" = no field does.
type Fields struct {
	Addr    string // who it was: an address, with or without a port
	User    string // the account
	Port    string // their port
	Session string // what joins the lines of a connection
	Via     string // addresses that a proxy was told, as X-Forwarded-For has them
	Time    string // when it was: RFC 3339 or another known date, or a number since 1970
}

// fieldNames are the keys of Fields, in order.
var fieldNames = [...]string{"addr", "user", "port", "session", "via", "time"}

// each calls yield with each field's place, in the order of fieldNames.
func (f *Fields) each(yield func(i int, path *string)) {
	for i, p := range []*string{&f.Addr, &f.User, &f.Port, &f.Session, &f.Via, &f.Time} {
		yield(i, p)
	}
}

// over returns f where it says something, and g where it does not.
func (f Fields) over(g Fields) Fields {
	paths := g.list()
	f.each(func(i int, p *string) {
		if *p == "" {
			*p = paths[i]
		}
	})
	return f
}

func (f *Fields) list() (out [len(fieldNames)]string) {
	f.each(func(i int, p *string) { out[i] = *p })
	return out
}

// Condition is one thing that a line with fields must fulfil. It holds where
// any of its values does; where the line lacks the field it does not hold.
type Condition struct {
	Field  string // name of the field, for JSON its path: request.headers.Host
	Values []Value
}

// Value is a text that a field may have, or an expression that it may match.
type Value struct {
	Text  string
	Exact bool // the field is this text; else it matches Text, an expression
}

// places says where among the paths of a rule the Fields of a pattern are;
// -1 = nowhere. In the order of fieldNames.
type places [len(fieldNames)]int

// settlePaths lists the paths that the patterns of the rule ask for, each
// once, and tells each pattern where its own are.
func (r *Rule) settlePaths() {
	if r.format != FormatJSON {
		return
	}
	place := func(path string) int {
		if path == "" {
			return -1
		}
		i := slices.Index(r.paths, path)
		if i < 0 {
			i = len(r.paths)
			r.paths = append(r.paths, path)
		}
		return i
	}
	for i := range r.Patterns {
		p := &r.Patterns[i]
		for j := range p.conds {
			p.conds[j].field = place(p.Where[j].Field)
		}
		fields := p.Fields.over(r.Fields)
		fields.each(func(k int, path *string) { p.places[k] = place(*path) })
	}
}
