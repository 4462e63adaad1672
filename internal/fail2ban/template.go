package fail2ban

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"gatehouse/internal/fail2ban/pyre"
)

// dateKind is how the text of a date becomes a time.
type dateKind uint8

const (
	kindFields dateKind = iota // by named groups
	kindEpoch                  // seconds since 1970
	kindTAI                    // an external TAI64N label
)

// template finds dates of one form. It is immutable.
type template struct {
	name    string // two templates of one name are one
	pattern string // as written; "" for EPOCH and its like
	expr    string
	re      *pyre.Regexp
	kind    dateKind
	group   int  // of kindEpoch: which group has the number
	long    bool // of kindEpoch: milliseconds and microseconds, too
	begin   bool // it matches at the line's begin only
	end     bool // or at its end
	cut     cut
	weight  float64
	parts   [128]int8 // group number by the letter of a part; 0 = none
}

const atLineBegin = "{^LN-BEG}"

// anchoredWeight makes a template that is anchored win over one that is not.
const anchoredWeight = 100

// defaultSet are the default templates, and in front of them those that are not
// anchored, anchored.
type defaultSet struct{ plain, all []*template }

var defaultTemplates = sync.OnceValue(func() (set defaultSet) {
	var front []*template
	for _, p := range defaultPatterns {
		t := mustTemplate(p)
		set.plain = append(set.plain, t)
		if strings.HasPrefix(p, atLineBegin) || strings.HasPrefix(p, "^") {
			continue
		}
		a := *mustTemplate(atLineBegin + p)
		a.weight = anchoredWeight
		front = append(front, &a)
	}
	set.all = append(front, set.plain...)
	return set
})

func mustTemplate(pattern string) *template {
	t, err := newTemplate(pattern)
	if err != nil {
		panic(fmt.Sprintf("default date pattern %q: %v", pattern, err))
	}
	return t
}

var (
	epochField = regexp.MustCompile(`(?i)(^|[^\\])\{L?EPOCH\}`)
	dateField  = regexp.MustCompile(`(?i)(^|[^\\])\{DATE\}`)
)

const (
	exprEpoch     = `\d{10,11}\b(?:\.\d{3,6})?`
	exprLongEpoch = `\d{10,11}(?:\d{3}(?:\.\d{1,6}|\d{3})?)?`
)

// newTemplate reads one date pattern that stands for one template.
func newTemplate(pattern string) (*template, error) {
	key := pattern
	if !strings.Contains(pattern, "%") {
		key = strings.ToUpper(pattern)
	}
	t := &template{name: pattern, weight: 1}
	switch bare := strings.TrimPrefix(strings.TrimPrefix(key, atLineBegin), "^"); {
	case strings.Contains(key, "EPOCH") && epochField.MatchString(pattern):
		return t, t.ownEpoch(pattern, strings.Contains(key, "LEPOCH"))
	case bare == "EPOCH" || bare == "LEPOCH":
		return t, t.epoch(bare == "LEPOCH", key != bare)
	case bare == "TAI64N":
		t.kind = kindTAI
		t.name = key
		start := boundNone
		if key != bare {
			start, t.name = boundLine, atLineBegin+bare
		}
		return t, t.build(`@[0-9a-f]{24}`, start, true)
	case key == "{NONE}":
		pattern = "{UNB}^"
	}
	return t, t.strptime(pattern)
}

func epochExpr(long bool) string {
	if long {
		return exprLongEpoch
	}
	return exprEpoch
}

// epoch makes the templates of seconds since 1970: at a line's begin, in square
// brackets there, or in an SELinux audit line.
func (t *template) epoch(long, anchored bool) error {
	t.kind, t.long, t.group = kindEpoch, long, 1
	if t.name = "EPOCH"; long {
		t.name = "LEPOCH"
	}
	e := epochExpr(long)
	if anchored {
		t.name = atLineBegin + t.name
		return t.build(`((?P<square>(?<=^\[))?`+e+`)(?(square)(?=\]))`, boundLine, true)
	}
	return t.build(`((?:^|(?P<square>(?<=^\[))|(?P<selinux>(?<=\baudit\()))`+e+`)(?:(?(selinux)(?=:\d+\)))|(?(square)(?=\])))`, boundNone, true)
}

// ownEpoch makes a template of a pattern with {EPOCH} in it, all of which is
// cut.
func (t *template) ownEpoch(pattern string, long bool) error {
	t.kind, t.long, t.group = kindEpoch, long, 2
	return t.build("("+epochField.ReplaceAllString(pattern, "${1}("+strings.ReplaceAll(epochExpr(long), "$", "$$")+")")+")", boundWord, true)
}

// strptime makes a template of a pattern with % fields.
func (t *template) strptime(pattern string) error {
	t.pattern = pattern
	start, end := boundWord, true
	if p, ok := strings.CutPrefix(pattern, "{UNB}"); ok {
		pattern, start, end = p, boundNone, false
	}
	if p, ok := strings.CutPrefix(pattern, atLineBegin); ok && start == boundWord {
		pattern, start = p, boundLine
	}
	t.name = pattern
	if start == boundLine {
		t.name = atLineBegin + pattern
	}
	expr, err := dateExpr(pattern)
	if err != nil {
		return err
	}
	if hasAlpha(pattern) {
		expr = "(?iu)" + expr
	}
	return t.build(expr, start, end)
}

var alphaField = regexp.MustCompile(`(^|[^%])%[aAbBpc]`)

// hasAlpha reports whether the pattern has names in it, which are read without
// regard to case.
func hasAlpha(pattern string) bool { return alphaField.MatchString(pattern) }

// bound is what must stand before a date.
type bound uint8

const (
	boundNone bound = iota
	boundWord       // nothing, or something that makes the date a word of its own
	boundLine       // the line's begin and at most two signs
)

var (
	globalFlags = regexp.MustCompile(`\(\?[a-z]+\)`)
	boundBegin  = regexp.MustCompile(`^\(*(?:\(\?\w+\))?(?:\^|\(*\*\*|\((?:\?:)?\^)`)
	boundEnd    = regexp.MustCompile(`(?:^|[^\\])(?:\$\)?|\\b|\\s|\*\*\)*)$`)
	starsBegin  = regexp.MustCompile(`^(\(*(?:\(\?\w+\))?\(*)\*\*`)
	starsEnd    = regexp.MustCompile(`(^|[^\\])\*\*(\)*)$`)
	fixedBegin  = regexp.MustCompile(`^(?:\(\?\w+\))?(?:\^|\((?:\?:)?\^(?:[^|]|$))`)
	fixedEnd    = regexp.MustCompile(`(?:^|[^\\|])\$\)?$`)
	wrapGroup   = regexp.MustCompile(`^((?:\(\?\w+\))?\^?(?:\(\?\w+\))?)(.*?)(\$?)$`)
)

// build compiles the expression, with a first group around all of it where it
// has none, and with bounds where it has none.
func (t *template) build(expr string, start bound, end bool) error {
	expr = strings.TrimSpace(expr)
	flags := ""
	if loc := globalFlags.FindStringIndex(expr); loc != nil {
		flags = expr[loc[0]:loc[1]]
		expr = expr[:loc[0]] + expr[loc[1]:]
	}
	atBegin := start != boundNone && !boundBegin.MatchString(expr)
	atEnd := end && !boundEnd.MatchString(expr)
	if !hasPlainGroup(expr) {
		expr = wrapGroup.ReplaceAllString(expr, "${1}(${2})${3}")
	}
	switch {
	case atBegin && start == boundLine:
		t.begin = true
		expr = `^(?:\W{0,2})?` + expr
	case atBegin:
		expr = `(?=^|\b|\W)` + expr
	}
	if atEnd {
		expr += `(?=\b|\W|$)`
	}
	t.begin = t.begin || fixedBegin.MatchString(expr)
	t.end = fixedEnd.MatchString(expr)
	t.cut = t.cutOf(expr, atEnd)
	expr = starsBegin.ReplaceAllString(expr, "$1")
	expr = starsEnd.ReplaceAllString(expr, "$1$2")
	t.expr = flags + expr
	re, err := pyre.Compile(t.expr, false)
	if err != nil {
		return err
	}
	t.re = re
	for i, n := range re.Names() {
		if len(n) == 1 && n[0] < 128 && i < 127 {
			t.parts[n[0]] = int8(i + 1)
		}
	}
	if len(re.Names()) == 0 {
		return fmt.Errorf("%q has no group", t.expr)
	}
	return nil
}

// hasPlainGroup reports whether there is a group without a name or a mark.
func hasPlainGroup(expr string) bool {
	for i := range len(expr) {
		if expr[i] != '(' || i+1 < len(expr) && expr[i+1] == '?' || i > 0 && expr[i-1] == '\\' || strings.HasSuffix(expr[:i], "(?") {
			continue
		}
		return true
	}
	return false
}

var (
	oneSign = regexp.MustCompile(`(?:^|[^\\])\\([\[({<"'|:;,#=@])$`)
	// firstGroup ends with the parenthesis of the first group that counts.
	firstGroup   = regexp.MustCompile(`^(?:[^\\(\[]|\\.|\[[^\]]*\]|\(\?[^P])*\(`)
	unboundFront = regexp.MustCompile(`^\((?:\?:)?\^\|\\b\|\\W\)`)
	unboundBack  = regexp.MustCompile(`\(\?=\\b\|\\W\|\$\)$`)
)

// unbound takes the marks of bounds off a pattern, so that it can stand inside
// another.
func unbound(pattern string) string {
	pattern = strings.TrimPrefix(strings.TrimPrefix(pattern, "{UNB}"), atLineBegin)
	return unboundBack.ReplaceAllString(unboundFront.ReplaceAllString(pattern, ""), "")
}

// datePatterns makes the templates of an option datepattern, one line a
// pattern. Without patterns, they are the default ones.
func datePatterns(option string) ([]*template, error) {
	var out []*template
	known := map[string]bool{}
	add := func(ts ...*template) error {
		first := len(out) == 0
		for _, t := range ts {
			if known[t.name] {
				if !first && len(ts) > 1 {
					continue
				}
				return fmt.Errorf("the pattern %q stands twice", t.name)
			}
			known[t.name] = true
			out = append(out, t)
		}
		return nil
	}
	for line := range strings.SplitSeq(option, "\n") {
		line = strings.TrimFunc(line, isSpace)
		if line == "" {
			continue
		}
		ts, err := templatesOf(line)
		if err == nil {
			err = add(ts...)
		}
		if err != nil {
			return nil, fmt.Errorf("date pattern %q: %w", clip(line), err)
		}
	}
	if len(out) == 0 {
		return defaultTemplates().all, nil
	}
	return out, nil
}

// afterSign is a pattern that ends in one character, and in groups that open.
var afterSign = regexp.MustCompile(`(?:\\[^bBAZ]|(?:^|[^\\])[\w \-:=])(?:\((?:\?:)?)*$`)

// templatesOf returns the templates of one line.
func templatesOf(line string) (out []*template, err error) {
	key := line
	if !strings.Contains(line, "%") {
		key = strings.ToUpper(line)
	}
	switch {
	case key == "{DEFAULT}":
		return defaultTemplates().all, nil
	case key == atLineBegin:
		for _, t := range defaultTemplates().all {
			if t.begin {
				out = append(out, t)
			}
		}
		return out, nil
	case strings.Contains(key, "{DATE}"):
		for _, t := range defaultTemplates().plain {
			if t.pattern == "" {
				continue // EPOCH and TAI64N have no form inside of another pattern
			}
			p := dateField.ReplaceAllStringFunc(line, func(m string) string {
				return strings.TrimSuffix(m, m[len(m)-len("{DATE}"):]) + unbound(t.pattern)
			})
			one, err := newTemplate(p)
			if err != nil {
				return nil, err
			}
			if loc := dateField.FindStringIndex(line); loc != nil && strings.HasPrefix(unbound(t.pattern), "^") && afterSign.MatchString(line[:loc[1]-len("{DATE}")]) {
				one.cut = cut{} // it never matches: a line does not begin behind a sign
			}
			out = append(out, one)
		}
		return out, nil
	}
	t, err := newTemplate(line)
	if err != nil {
		return nil, err
	}
	return []*template{t}, nil
}
