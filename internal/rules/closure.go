package rules

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// step tries to match what is left of an expression at byte i of the text. It
// fills in the machine's submatches and leaves them as they were where it
// fails.
type step func(m *machine, i int) bool

// node is what is left of an expression from some place on, with what is known
// without trying: it can match at i only where can says so.
type node struct {
	do    step
	lit   string   // each match begins with this text
	first *byteSet // each match begins with one of these bytes; nil = not known
	end   bool     // with first: or it begins at the end of the text
}

// can reports whether a match may begin at i.
func (n *node) can(b []byte, i int) bool {
	if n.first == nil {
		return true
	}
	if i < len(b) {
		return n.first[b[i]]
	}
	return n.end
}

// atFirst fills in what an alternative of two nodes may begin with.
func (n *node) atFirst(a, b *node) {
	if a.first == nil || b.first == nil {
		return
	}
	n.first, n.end = new(byteSet), a.end || b.end
	n.first.union(a.first)
	n.first.union(b.first)
}

func accept(m *machine, i int) bool {
	if m.left < 0 {
		return false
	}
	m.loc[1] = i
	if m.loc[0] < 0 {
		m.loc[0] = 0 // anchored
	}
	return true
}

// compiler makes nodes from the end of an expression to its beginning.
type compiler struct {
	nodes   int
	refused bool // the expression has what closures do not do
}

// maxNodes bounds the closures of an expression. The longest in use have 150.
const maxNodes = 1500

// compile returns the node that matches re and then next.
func (c *compiler) compile(re *syntax.Regexp, next *node) *node {
	if c.nodes++; c.nodes > maxNodes {
		c.refused = true
	}
	if c.refused {
		return next
	}
	switch re.Op {
	case syntax.OpNoMatch:
		return &node{do: func(*machine, int) bool { return false }, first: new(byteSet)}
	case syntax.OpEmptyMatch:
		return next
	case syntax.OpLiteral:
		return literalNode(re, next)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return charNode(newRuneClass(re), next)
	case syntax.OpBeginText, syntax.OpEndText, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return placeNode(re.Op, next)
	case syntax.OpCapture:
		return c.capture(re, next)
	case syntax.OpConcat:
		for _, sub := range slices.Backward(re.Sub) {
			next = c.compile(sub, next)
		}
		return next
	case syntax.OpAlternate:
		n := c.compile(re.Sub[len(re.Sub)-1], next)
		for _, sub := range slices.Backward(re.Sub[:len(re.Sub)-1]) {
			n = either(c.compile(sub, next), n)
		}
		return n
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		return c.repeat(re, next)
	}
	c.refused = true
	return next
}

// repeat compiles x*, x+, x? and x{n,m}.
func (c *compiler) repeat(re *syntax.Regexp, next *node) *node {
	least, most := re.Min, re.Max
	switch re.Op {
	case syntax.OpStar:
		least, most = 0, -1
	case syntax.OpPlus:
		least, most = 1, -1
	case syntax.OpQuest:
		least, most = 0, 1
	}
	sub, greedy := re.Sub[0], re.Flags&syntax.NonGreedy == 0
	if class := newRuneClass(sub); class != nil && !(least == 0 && most == 1) {
		if greedy {
			return greedyRun(class, least, most, next)
		}
		return lazyRun(class, least, most, next)
	}
	n := next
	if most < 0 {
		if mayBeEmpty(sub) {
			c.refused = true // package regexp has rules of its own for these
			return next
		}
		n = c.loop(sub, greedy, next)
	}
	for range most - least {
		n = option(c.compile(sub, n), next, greedy)
	}
	for range least {
		n = c.compile(sub, n)
	}
	return n
}

// option is body, or else next; the other way round where it is not greedy.
func option(body, next *node, greedy bool) *node {
	if greedy {
		return either(body, next)
	}
	return either(next, body)
}

// loop is any number of sub, and then next.
func (c *compiler) loop(sub *syntax.Regexp, greedy bool, next *node) *node {
	n := &node{}
	body := c.compile(sub, n)
	*n = *option(body, next, greedy)
	return n
}

// either is the first of two nodes that matches.
func either(a, b *node) *node {
	n := &node{do: func(m *machine, i int) bool {
		if m.left--; m.left < 0 {
			return false
		}
		return a.can(m.b, i) && a.do(m, i) || b.can(m.b, i) && b.do(m, i)
	}}
	n.atFirst(a, b)
	return n
}

func (c *compiler) capture(re *syntax.Regexp, next *node) *node {
	from, to := 2*re.Cap, 2*re.Cap+1
	// The next node of a loop is not known yet, so it is looked at late.
	closing := &node{lit: next.lit, first: next.first, end: next.end, do: func(m *machine, i int) bool {
		old := m.loc[to]
		m.loc[to] = i
		if next.do(m, i) {
			return true
		}
		m.loc[to] = old
		return false
	}}
	body := c.compile(re.Sub[0], closing)
	return &node{lit: body.lit, first: body.first, end: body.end, do: func(m *machine, i int) bool {
		old := m.loc[from]
		m.loc[from] = i
		if body.do(m, i) {
			return true
		}
		m.loc[from] = old
		return false
	}}
}

// literalNode matches a text.
func literalNode(re *syntax.Regexp, next *node) *node {
	s := string(re.Rune)
	if re.Flags&syntax.FoldCase != 0 || strings.ContainsRune(s, utf8.RuneError) {
		return foldNode(re, next)
	}
	n := &node{lit: s, first: new(byteSet)}
	n.first[s[0]] = true
	if len(s) == 1 {
		c := s[0]
		n.do = func(m *machine, i int) bool {
			return i < len(m.b) && m.b[i] == c && next.do(m, i+1)
		}
		return n
	}
	n.do = func(m *machine, i int) bool {
		return len(m.b)-i >= len(s) && string(m.b[i:i+len(s)]) == s && next.do(m, i+len(s))
	}
	return n
}

// foldNode matches a text character by character: in any case, or with U+FFFD
// in it, which stands for bytes that are no valid UTF-8 as well.
func foldNode(re *syntax.Regexp, next *node) *node {
	classes := make([]*runeClass, len(re.Rune))
	for i, r := range re.Rune {
		one := &syntax.Regexp{Op: syntax.OpCharClass, Rune: []rune{r, r}}
		if re.Flags&syntax.FoldCase != 0 {
			for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
				one.Rune = append(one.Rune, f, f)
			}
		}
		classes[i] = newRuneClass(one)
	}
	return &node{first: &classes[0].bytes, do: func(m *machine, i int) bool {
		for _, c := range classes {
			w := c.at(m.b, i)
			if w == 0 {
				return false
			}
			i += w
		}
		return next.do(m, i)
	}}
}

// charNode matches one character of a class.
func charNode(class *runeClass, next *node) *node {
	return &node{first: &class.bytes, do: func(m *machine, i int) bool {
		w := class.at(m.b, i)
		return w > 0 && next.do(m, i+w)
	}}
}

// placeNode matches a place and no text.
func placeNode(op syntax.Op, next *node) *node {
	n := &node{lit: next.lit, first: next.first, end: next.end}
	at := isPlace(op)
	n.do = func(m *machine, i int) bool { return at(m.b, i) && next.do(m, i) }
	if op == syntax.OpEndText {
		n.lit, n.first, n.end = "", new(byteSet), true
	}
	return n
}

func isPlace(op syntax.Op) func(b []byte, i int) bool {
	word := func(b []byte, i int) bool { return i >= 0 && i < len(b) && isWordByte(b[i]) }
	switch op {
	case syntax.OpBeginText:
		return func(_ []byte, i int) bool { return i == 0 }
	case syntax.OpEndText:
		return func(b []byte, i int) bool { return i == len(b) }
	case syntax.OpBeginLine:
		return func(b []byte, i int) bool { return i == 0 || b[i-1] == '\n' }
	case syntax.OpEndLine:
		return func(b []byte, i int) bool { return i == len(b) || b[i] == '\n' }
	case syntax.OpWordBoundary:
		return func(b []byte, i int) bool { return word(b, i-1) != word(b, i) }
	}
	return func(b []byte, i int) bool { return word(b, i-1) == word(b, i) }
}

// mayBeEmpty reports whether an expression can match the empty text.
func mayBeEmpty(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune) == 0
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL, syntax.OpNoMatch:
		return false
	case syntax.OpCapture, syntax.OpPlus:
		return mayBeEmpty(re.Sub[0])
	case syntax.OpRepeat:
		return re.Min == 0 || mayBeEmpty(re.Sub[0])
	case syntax.OpConcat:
		return !slices.ContainsFunc(re.Sub, func(s *syntax.Regexp) bool { return !mayBeEmpty(s) })
	case syntax.OpAlternate:
		return slices.ContainsFunc(re.Sub, mayBeEmpty)
	}
	return true
}
