package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"gatehouse/internal/gate"
)

// Bounds of a rule with fields: far more than any needs.
const (
	maxPath   = 200 // bytes of a path
	maxPaths  = 64  // paths that the patterns of a rule ask for
	maxValues = 256 // values of a condition
)

// fields reads where the lines of a rule of JSON have what.
func (d *document) fields(n ast.Node, r *Rule) (f Fields) {
	if r.Format != FormatJSON {
		d.failAt(tokenOf(n), "fields goes with format: json only", "the other formats know where their fields are")
		return f
	}
	var keys []field
	f.each(func(i int, path *string) {
		keys = append(keys, field{fieldNames[i], false, func(n ast.Node) {
			if s, ok := d.line(n, fieldNames[i]); ok && d.path(tokenOf(n), s) {
				*path = s
			}
		}})
	})
	d.mapping(n, "fields", keys...)
	return f
}

// paths checks how many fields the patterns of a rule ask for.
func (d *document) paths(n ast.Node, r *Rule) {
	seen := map[string]bool{}
	for i := range r.Patterns {
		p := &r.Patterns[i]
		for _, c := range p.Where {
			seen[c.Field] = true
		}
		for _, path := range p.Fields.list() {
			seen[path] = true
		}
	}
	if len(seen) > maxPaths {
		d.failAt(tokenOf(n), fmt.Sprintf("the patterns ask for more than %d fields", maxPaths), "split the rule")
	}
}

// path checks the path of a field.
func (d *document) path(at *token.Token, s string) bool {
	if len(s) > maxPath || slices.Contains(strings.Split(s, "."), "") {
		d.failAt(at, fmt.Sprintf("%s is not the path of a field", gate.Quote(s, 64)), "write keys with a dot between them: request.remote_ip")
		return false
	}
	return true
}

// where reads the conditions of a pattern.
func (d *document) where(n ast.Node, r *Rule, p *Pattern) {
	all := d.pairs(n, "where")
	if len(all) == 0 {
		d.failAt(tokenOf(n), "a pattern needs at least one condition", "write where: {FIELD: EXPRESSION}")
	}
	var kept groups
	for _, x := range all {
		c := Condition{Field: x.key}
		if r.Format == FormatAccess && !slices.Contains(accessNames[:], x.key) {
			d.failAt(x.at, fmt.Sprintf("%s is not a field of an access log", gate.Quote(x.key, 64)), didYouMean(x.key, accessNames[:]))
			continue
		}
		if !d.path(x.at, x.key) {
			continue
		}
		items := d.items(x.value)
		if len(items) == 0 || len(items) > maxValues {
			d.failAt(tokenOf(x.value), fmt.Sprintf("a condition has from 1 to %d values", maxValues), "")
			continue
		}
		for _, item := range items {
			if v, ok := d.value(item); ok {
				c.Values = append(c.Values, v)
			}
		}
		if len(c.Values) < len(items) {
			continue
		}
		d.condition(items, r, p, c, &kept)
	}
	if p.Peer != PeerLine && kept.addr > 0 {
		d.failAt(tokenOf(n), "a condition has <addr>, and peer: "+p.Peer.String()+" says that another line has it", "keep one of the two")
	}
	if r.Format == FormatJSON && p.Peer == PeerLine && kept.addr == 0 && p.Fields.over(r.Fields).Addr == "" {
		d.failAt(tokenOf(n), "nothing says which field has the address", "write fields: {addr: PATH}, or <addr> in a condition")
	}
}

// numeral is a number that a field has as it stands: 401, 0.5.
var numeral = regexp.MustCompile(`^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$`)

// value reads a number, true or false, which a field must be, or an expression,
// which it must match.
func (d *document) value(n ast.Node) (v Value, ok bool) {
	switch n.(type) {
	case *ast.IntegerNode, *ast.FloatNode:
		if v = (Value{n.GetToken().Value, true}); numeral.MatchString(v.Text) {
			return v, true
		}
		d.failAt(tokenOf(n), fmt.Sprintf("the number %s is written unusually", gate.Quote(v.Text, 32)), "write decimal digits")
		return v, false
	case *ast.BoolNode:
		if v = (Value{n.GetToken().Value, true}); v.Text == "true" || v.Text == "false" {
			return v, true
		}
		d.failAt(tokenOf(n), "write true or false", "or put it in quotes")
		return v, false
	}
	v.Text, ok = d.line(n, "a condition")
	return v, ok
}

// condition compiles one condition of a pattern and adds it.
func (d *document) condition(items []ast.Node, r *Rule, p *Pattern, c Condition, kept *groups) {
	compiled, i, err := compileCondition(c)
	if err != nil {
		d.failWithin(items[i], c.Values[i].Text, err)
		return
	}
	if r.Format == FormatAccess && compiled.groups != (groups{}) {
		d.failAt(tokenOf(items[0]), "a condition on an access log keeps nothing", "who it was and the like are told by its fields: write <any> or (?:…)")
		return
	}
	if name := kept.add(compiled.groups); name != "" {
		d.failAt(tokenOf(items[0]), fmt.Sprintf("<%s> is there twice", name), "only one can be kept")
		return
	}
	expr := compiled.expr()
	switch {
	case r.Format == FormatJSON:
		expr = escapedClue(expr)
	case c.Field == accessNames[accessStatus]:
		compiled.field, expr = accessStatus, statusClue(compiled)
	default:
		compiled.field = slices.Index(accessNames[:], c.Field)
	}
	p.Where, p.conds = append(p.Where, c), append(p.conds, compiled)
	p.clues = append(p.clues, expr)
}

// statusClue is an expression on the line of an access log whose status fulfils
// a condition: there it stands between a quotation mark and a blank.
func statusClue(c condition) string {
	if c.re != nil || len(c.texts) == 0 {
		return c.expr()
	}
	return `" ` + c.expr() + ` `
}

// add notes the groups of one more expression, and returns the name of one that
// another expression has already.
func (g *groups) add(more groups) string {
	for _, x := range []struct {
		name string
		has  *int
		more int
	}{{"addr", &g.addr, more.addr}, {"user", &g.user, more.user}, {"port", &g.port, more.port}, {"session", &g.session, more.session}, {"via", &g.via, more.via}, {"time", &g.time, more.time}, {"count", &g.count, more.count}} {
		if *x.has > 0 && x.more > 0 {
			return x.name
		}
		*x.has = max(*x.has, x.more)
	}
	return ""
}
