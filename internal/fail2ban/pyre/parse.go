package pyre

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// flags are the modes that a part of an expression is read in.
type flags struct{ fold, multi, dotAll, verbose, ascii bool }

// set switches one flag by its letter.
func (f *flags) set(letter byte, on bool) bool {
	switch letter {
	case 'i':
		f.fold = on
	case 'm':
		f.multi = on
	case 's':
		f.dotAll = on
	case 'x':
		f.verbose = on
	case 'a':
		f.ascii = on
	case 'u':
		f.ascii = f.ascii && !on
	default:
		return false
	}
	return true
}

// limits of what is read: deeper or larger is a mistake or an attack.
const (
	maxDepth  = 200
	maxRepeat = 1<<32 - 2 // Python's
)

// parser reads one expression.
type parser struct {
	src    string
	at     int
	flags  flags
	depth  int
	names  []string // of groups, by number - 1; "" = it has none
	open   map[int]bool
	groups map[int]*node
}

func (p *parser) fail(what string) { panic(&SyntaxError{what, p.at}) }

func (p *parser) more() bool { return p.at < len(p.src) }

// take consumes s if it is next.
func (p *parser) take(s string) bool {
	if strings.HasPrefix(p.src[p.at:], s) {
		p.at += len(s)
		return true
	}
	return false
}

// parse reads the whole of src.
func parse(src string, multiline bool) (n *node, p *parser, err error) {
	p = &parser{src: src, open: map[int]bool{}, groups: map[int]*node{}}
	p.flags.multi = multiline
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(*SyntaxError)
			if !ok {
				panic(r)
			}
			n, err = nil, e
		}
	}()
	p.globals()
	n = p.alternatives()
	if p.more() {
		p.fail("unbalanced parenthesis")
	}
	p.check(n)
	return n, p, nil
}

// globals reads the flags that stand alone, anywhere in the expression: they
// hold for all of it.
func (p *parser) globals() {
	class := false
	for i := 0; i < len(p.src); i++ {
		switch c := p.src[i]; {
		case c == '\\':
			i++
		case class:
			class = c != ']'
		case c == '[':
			class = true
			if j := i + 1; j < len(p.src) && p.src[j] == '^' {
				i++
			}
			if j := i + 1; j < len(p.src) && p.src[j] == ']' {
				i++
			}
		case c == '(' && strings.HasPrefix(p.src[i:], "(?"):
			j := i + 2
			for j < len(p.src) && strings.IndexByte("imsxau", p.src[j]) >= 0 {
				j++
			}
			if j > i+2 && j < len(p.src) && p.src[j] == ')' {
				for ; i+2 < j; j-- {
					p.flags.set(p.src[j-1], true)
				}
			}
		}
	}
}

// alternatives reads up to a closing parenthesis or the end.
func (p *parser) alternatives() *node {
	if p.depth++; p.depth > maxDepth {
		p.fail("parentheses too deep")
	}
	defer func() { p.depth-- }()
	subs := []*node{p.concat()}
	for p.take("|") {
		subs = append(subs, p.concat())
	}
	if len(subs) == 1 {
		return subs[0]
	}
	return &node{op: opAlt, subs: subs}
}

func (p *parser) concat() *node {
	var subs []*node
	for {
		p.blanks()
		if !p.more() || p.src[p.at] == '|' || p.src[p.at] == ')' {
			break
		}
		n := p.atom()
		if n == nil {
			continue
		}
		subs = append(subs, p.repeated(n))
	}
	switch len(subs) {
	case 0:
		return &node{op: opEmpty}
	case 1:
		return subs[0]
	}
	return &node{op: opConcat, subs: subs}
}

// blanks skips what the verbose mode ignores.
func (p *parser) blanks() {
	for p.flags.verbose && p.more() {
		switch c := p.src[p.at]; {
		case strings.IndexByte(" \t\n\r\f\v", c) >= 0:
			p.at++
		case c == '#':
			if i := strings.IndexByte(p.src[p.at:], '\n'); i >= 0 {
				p.at += i + 1
			} else {
				p.at = len(p.src)
			}
		default:
			return
		}
	}
}

// repeated reads the quantifiers behind an atom.
func (p *parser) repeated(n *node) *node {
	p.blanks()
	lo, hi, ok := p.quantifier()
	if !ok {
		return n
	}
	if n.op == opEmpty || n.op >= opBegin {
		p.fail("nothing to repeat")
	}
	r := &node{op: opRepeat, subs: []*node{n}, min: lo, max: hi}
	switch {
	case p.take("?"):
		r.lazy = true
	case p.take("+"):
		r = &node{op: opAtomic, subs: []*node{r}}
	}
	p.blanks()
	at := p.at
	if _, _, again := p.quantifier(); again {
		p.at = at
		p.fail("multiple repeat")
	}
	return r
}

func (p *parser) quantifier() (lo, hi int, ok bool) {
	switch {
	case p.take("*"):
		return 0, -1, true
	case p.take("+"):
		return 1, -1, true
	case p.take("?"):
		return 0, 1, true
	case !p.more() || p.src[p.at] != '{':
		return 0, 0, false
	}
	at := p.at
	p.at++
	a, b := p.digits(), ""
	hasComma := p.take(",")
	if hasComma {
		b = p.digits()
	} else {
		b = a
	}
	// A brace that is no count is a brace.
	if !p.take("}") || a == "" && !hasComma {
		p.at = at
		return 0, 0, false
	}
	lo, hi = p.count(a, 0), p.count(b, -1)
	if hi >= 0 && hi < lo {
		p.fail("min repeat greater than max repeat")
	}
	return lo, hi, true
}

func (p *parser) count(s string, none int) int {
	if s == "" {
		return none
	}
	v, err := strconv.Atoi(s)
	if err != nil || v > maxRepeat {
		p.fail("the repetition number is too large")
	}
	return v
}

func (p *parser) digits() string {
	from := p.at
	for p.more() && p.src[p.at] >= '0' && p.src[p.at] <= '9' {
		p.at++
	}
	return p.src[from:p.at]
}

// atom reads one item; nil means that it says nothing (a comment, flags).
func (p *parser) atom() *node {
	switch c := p.src[p.at]; c {
	case '(':
		return p.group()
	case '[':
		return p.class()
	case '.':
		p.at++
		if p.flags.dotAll {
			return p.setNode(rangeSet(0, unicode.MaxRune))
		}
		s := rangeSet('\n', '\n')
		s.neg = true
		return p.setNode(s)
	case '^':
		p.at++
		if p.flags.multi {
			return &node{op: opBeginM}
		}
		return &node{op: opBegin}
	case '$':
		p.at++
		if p.flags.multi {
			return &node{op: opEndM}
		}
		return &node{op: opEndLine}
	case '\\':
		return p.escape()
	case '*', '+', '?':
		p.fail("nothing to repeat")
	}
	r, size := utf8.DecodeRuneInString(p.src[p.at:])
	p.at += size
	return p.char(r)
}

func (p *parser) char(r rune) *node { return p.setNode(rangeSet(r, r)) }

func (p *parser) setNode(s *set) *node {
	s.fold = p.flags.fold
	return &node{op: opSet, set: s.ready()}
}

// check fills in and judges what needs the whole tree: widths and references.
func (p *parser) check(n *node) {
	for _, s := range n.subs {
		p.check(s)
	}
	switch n.op {
	case opLook:
		if n.behind {
			lo, hi := n.subs[0].widths(p.groups)
			if lo != hi {
				p.fail("look-behind requires fixed-width pattern")
			}
			n.width = lo
		}
	case opBackref, opCond:
		if n.group > len(p.names) {
			p.fail("invalid group reference " + strconv.Itoa(n.group))
		}
	}
}
