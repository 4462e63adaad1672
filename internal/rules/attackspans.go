package rules

import (
	"regexp"
	"regexp/syntax"
	"slices"
)

// kept are the groups that are no stranger's text: what a server writes.
var kept = []string{"addr", "port", "session", "via", "time", "count"}

// freeSpan is what a part of an expression that takes in text of any kind matched
// in a message.
type freeSpan struct {
	from, to int
	user     bool           // it is the name of an account, or a part of it
	takes    *regexp.Regexp // what else the part would match, as a whole
}

// freeParts are the parts of an expression that take in text of any kind.
type freeParts struct {
	re    *regexp.Regexp // the expression, with a group for each part; nil = it has none that can be told
	parts []freeSpan
}

// freePartsOf finds the parts of an expression.
func freePartsOf(expr string) freeParts {
	tree, err := syntax.Parse(asciiFold(expr), syntax.Perl)
	if err != nil {
		return freeParts{}
	}
	c := freeCapturer{}
	re, err := regexp.Compile(c.capture(tree, false, false).String())
	if err != nil {
		return freeParts{}
	}
	return freeParts{re, c.parts}
}

// in returns what the parts matched in a message.
func (f freeParts) in(message string) (spans []freeSpan) {
	if f.re == nil {
		return nil
	}
	loc := f.re.FindStringSubmatchIndex(message)
	for i, part := range f.parts {
		if at := 2 * (i + 1); at < len(loc) && loc[at] >= 0 {
			part.from, part.to = loc[at], loc[at+1]
			spans = append(spans, part)
		}
	}
	return spans
}

// freeCapturer puts each part that takes in text of any kind into a group of its
// own, and takes all other groups away.
type freeCapturer struct{ parts []freeSpan }

func (c *freeCapturer) capture(re *syntax.Regexp, inside, user bool) *syntax.Regexp {
	if re.Op == syntax.OpCapture {
		return c.capture(re.Sub[0], inside || slices.Contains(kept, re.Name), user || re.Name == "user")
	}
	if !inside && (re.Op == syntax.OpStar || re.Op == syntax.OpPlus || re.Op == syntax.OpRepeat) && takesLetters(re.Sub[0]) {
		if whole, err := regexp.Compile(`\A(?:` + re.String() + `)\z`); err == nil {
			c.parts = append(c.parts, freeSpan{user: user, takes: whole})
			return &syntax.Regexp{Op: syntax.OpCapture, Sub: []*syntax.Regexp{re}}
		}
	}
	out := *re
	out.Sub0 = [1]*syntax.Regexp{}
	out.Sub = nil
	for _, sub := range re.Sub {
		out.Sub = append(out.Sub, c.capture(sub, inside, user))
	}
	return &out
}

// takesLetters reports whether a part is one character of any kind, lower-case
// letters and digits among them.
func takesLetters(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return true
	case syntax.OpCharClass:
		lower, digit := false, false
		for i := 0; i+1 < len(re.Rune); i += 2 {
			lower = lower || re.Rune[i] <= 'g' && 'z' <= re.Rune[i+1]
			digit = digit || re.Rune[i] <= '0' && '9' <= re.Rune[i+1]
		}
		return lower && digit
	}
	return false
}
