package rules

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"gatehouse/internal/gate"
)

// Macro is a name that stands for an expression in a pattern.
type Macro struct {
	Name string // as written between < and >
	Expr string // what it stands for, in RE2 syntax
	Doc  string // what it matches and what becomes of it
}

// Macros returns the macros of the language, in the order of its manual.
func Macros() []Macro { return slices.Clone(macros[:]) }

var macros = [...]Macro{
	{"addr", `\[?(?P<addr>[0-9A-Fa-f.:]+(?:%[0-9A-Za-z_.-]+)?)\]?`, "an IPv4 or IPv6 address, in brackets or not: who it was"},
	{"user", `(?P<user>.*)`, "any text, as much as fits: the account that was tried"},
	{"port", `(?P<port>[0-9]+)`, "a port number: theirs"},
	{"session", `(?P<session>[^ ]+)`, "text without spaces that joins the lines of one connection"},
	{"via", `(?P<via>[^"]*)`, "any text without \": addresses as X-Forwarded-For has them, whom a proxy speaks for"},
	{"time", `(?P<time>[0-9A-Za-z@:.,+/ -]{8,40}?)`, "a date, where it does not stand before the message"},
	{"count", `(?P<count>[0-9]+)`, "decimal digits: how many attempts the line stands for, at most 100; with 0 it does not match"},
	{"host", `[0-9A-Za-z_.:%-]+`, "a host name or an address that is of no interest"},
	{"number", `[0-9]+`, "decimal digits"},
	{"word", `[^ ]+`, "text without spaces"},
	{"any", `.*`, "any text"},
}

// groups says which group of a compiled pattern is what; 0 = there is none.
type groups struct{ addr, user, port, session, via, time, count int }

var macroRef = regexp.MustCompile(`(\(\?P?)?<([A-Za-z_][A-Za-z0-9_-]*)>`)

// exprError is an error at a place in an expression.
type exprError struct {
	at            int // byte offset in the expression as written
	problem, hint string
}

func (e *exprError) Error() string { return e.problem }

// maxExpr bounds an expression, in bytes. The longest in use have 300.
const maxExpr = 4096

// expand replaces the macros of an expression.
func expand(match string) (string, error) {
	if len(match) > maxExpr {
		return "", &exprError{0, fmt.Sprintf("the expression is longer than %d bytes", maxExpr), ""}
	}
	var b strings.Builder
	last := 0
	for _, m := range macroRef.FindAllStringSubmatchIndex(match, -1) {
		if m[2] >= 0 {
			continue // a named group, not a macro
		}
		name := match[m[4]:m[5]]
		i := slices.IndexFunc(macros[:], func(m Macro) bool { return m.Name == name })
		if i < 0 {
			var names []string
			for _, m := range macros {
				names = append(names, m.Name)
			}
			return "", &exprError{m[0], fmt.Sprintf("unknown macro <%s>", name), didYouMean(name, names) + "; for the text itself write [<]" + name + ">"}
		}
		b.WriteString(match[last:m[0]])
		b.WriteString(macros[i].Expr)
		last = m[1]
	}
	b.WriteString(match[last:])
	return b.String(), nil
}

// compile makes the pattern ready to match a message. Its errors are of type
// *exprError.
func (p *Pattern) compile() error {
	expr, re, g, err := compileExpr(p.Match)
	if err != nil {
		return err
	}
	p.expr, p.re, p.groups = expr, re, g
	p.clues = []string{expr}
	return nil
}

// compileExpr reads an expression with its macros. What re matches without regard
// to case is ASCII, see asciiFold; expr is as written. Its errors are of type
// *exprError.
func compileExpr(match string) (expr string, re *regexp.Regexp, g groups, err error) {
	if expr, err = expand(match); err != nil {
		return "", nil, g, err
	}
	if re, err = regexp.Compile(asciiFold(expr)); err != nil {
		at, problem := 0, err.Error()
		if se, ok := errors.AsType[*syntax.Error](err); ok {
			problem = "bad expression: " + se.Code.String()
			if i := strings.LastIndex(match, se.Expr); i >= 0 && se.Expr != "" {
				at = i
				problem += ": " + se.Expr
			}
		}
		return "", nil, g, &exprError{at, problem, "expressions are RE2: no look-around, no back-references"}
	}
	for i, name := range re.SubexpNames() {
		var at *int
		switch name {
		case "":
			continue
		case "addr":
			at = &g.addr
		case "user":
			at = &g.user
		case "port":
			at = &g.port
		case "session":
			at = &g.session
		case "via":
			at = &g.via
		case "time":
			at = &g.time
		case "count":
			at = &g.count
		default:
			return "", nil, g, &exprError{max(0, strings.Index(match, "<"+name+">")), fmt.Sprintf("unknown group %q", name), "groups are addr, user, port, session, via, time and count; write (?:…) for a group that keeps nothing"}
		}
		if *at != 0 {
			return "", nil, g, &exprError{max(0, strings.LastIndex(match, "<"+name+">")), fmt.Sprintf("<%s> is there twice", name), "only one can be kept: write the alternatives around one <" + name + ">"}
		}
		*at = i
	}
	return expr, re, g, nil
}

// Adhoc makes a rule of one pattern from an expression that a person typed.
// Macros work; `<addr>` may be missing: then its hits have no address. It is
// tried on the message and, where that fails, on the whole line. The rule
// takes the lines of every program and is named `adhoc`.
func Adhoc(expr string) (*Rule, error) {
	p := Pattern{Name: "adhoc", Class: gate.ClassFailure, Match: expr, whole: true}
	if err := p.compile(); err != nil {
		e := err.(*exprError)
		if e.hint != "" {
			return nil, fmt.Errorf("expression: %s (%s)", e.problem, e.hint)
		}
		return nil, fmt.Errorf("expression: %s", e.problem)
	}
	r := &Rule{Name: "adhoc", Title: "an expression", Evidence: gate.Forgeable, Patterns: []Pattern{p}}
	r.settle()
	return r, nil
}
