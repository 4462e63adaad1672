package rules

import (
	"regexp"
	"regexp/syntax"
	"strings"
)

// condition is a Condition, ready to try.
type condition struct {
	field  int            // of an access record, or of the rule's paths
	texts  []string       // the field is one of these, or
	re     *regexp.Regexp // it matches this; nil = none
	exact  *exact         // the same
	source string         // what re was made of, macros expanded
	groups groups         // of re
}

// compileCondition makes one ready. Its errors are of type *exprError, with the
// place within the text of the value at index i.
func compileCondition(c Condition) (out condition, i int, err error) {
	var exprs []string
	for i, v := range c.Values {
		if v.Exact {
			out.texts = append(out.texts, v.Text)
			continue
		}
		expr, _, _, err := compileExpr(v.Text)
		if err != nil {
			return out, i, err
		}
		exprs = append(exprs, expr)
	}
	switch len(exprs) {
	case 0:
		return out, 0, nil
	case 1:
	default:
		for i, e := range exprs {
			exprs[i] = "(?:" + e + ")"
		}
	}
	if out.source, out.re, out.groups, err = compileExpr(strings.Join(exprs, "|")); err == nil {
		out.exact = newExact(out.re)
	}
	return out, 0, err
}

// holds reports whether a field's text will do, and where the groups of the
// expression matched, if it was one; that is valid until the next call.
func (s *Scanner) holds(c *condition, text []byte) (loc []int, ok bool) {
	for _, t := range c.texts {
		if t == string(text) {
			return nil, true
		}
	}
	switch {
	case c.re == nil:
	case s.m.naive:
		loc = c.re.FindSubmatchIndex(text)
	default:
		loc = c.exact.find(&s.machine, text)
	}
	return loc, loc != nil
}

// expr returns an expression that matches what fulfils the condition.
func (c *condition) expr() string {
	var alt []string
	for _, t := range c.texts {
		alt = append(alt, regexp.QuoteMeta(t))
	}
	if c.re != nil {
		alt = append(alt, c.source)
	}
	return "(?:" + strings.Join(alt, "|") + ")"
}

// escapedClue turns an expression on the text of a JSON string into one on the
// string as it stands in a line. A writer may escape any character: those that
// have a short escape, and those that are not ASCII, are taken for unknown; the
// others can only be written as themselves or as \u00 and two digits.
func escapedClue(expr string) string {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return ""
	}
	return `(?:\\u00|` + unescaped(re).String() + `)`
}

// unescaped replaces what may be escaped by any text.
func unescaped(re *syntax.Regexp) *syntax.Regexp {
	any := &syntax.Regexp{Op: syntax.OpStar, Sub: []*syntax.Regexp{{Op: syntax.OpAnyChar}}}
	switch re.Op {
	case syntax.OpLiteral:
		out := &syntax.Regexp{Op: syntax.OpConcat}
		var run []rune
		flush := func() {
			if len(run) > 0 {
				out.Sub = append(out.Sub, &syntax.Regexp{Op: syntax.OpLiteral, Flags: re.Flags, Rune: run})
				run = nil
			}
		}
		for _, r := range re.Rune {
			if mayBeEscaped(r) {
				flush()
				out.Sub = append(out.Sub, any)
				continue
			}
			run = append(run, r)
		}
		flush()
		return out
	case syntax.OpCharClass:
		for i := 0; i+1 < len(re.Rune); i += 2 {
			for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
				if mayBeEscaped(r) {
					return any
				}
			}
		}
		return re
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return any
	case syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return &syntax.Regexp{Op: syntax.OpEmptyMatch}
	}
	out := *re
	out.Sub = nil
	for _, sub := range re.Sub {
		out.Sub = append(out.Sub, unescaped(sub))
	}
	return &out
}

func mayBeEscaped(r rune) bool {
	return r < ' ' || r == '"' || r == '\\' || r == '/' || r >= 0x80
}
