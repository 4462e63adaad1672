package pyre

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// group reads what stands in parentheses.
func (p *parser) group() *node {
	p.at++ // (
	switch {
	case !p.take("?"):
		return p.capture("")
	case p.take("P<"):
		return p.capture(p.name('>'))
	case p.take("P="):
		name := p.name(')')
		i := slices.Index(p.names, name)
		if i < 0 || p.open[i+1] {
			p.fail("unknown group name " + strconv.Quote(name))
		}
		return &node{op: opBackref, group: i + 1, fold: p.flags.fold}
	case p.take("P"):
		p.fail("unknown extension ?P")
	case p.take("#"):
		i := strings.IndexByte(p.src[p.at:], ')')
		if i < 0 {
			p.fail("missing ), unterminated comment")
		}
		p.at += i + 1
		return nil
	case p.take(":"):
		return p.inner(func(n *node) *node { return n })
	case p.take(">"):
		return p.inner(func(n *node) *node { return &node{op: opAtomic, subs: []*node{n}} })
	case p.take("="):
		return p.look(false, false)
	case p.take("!"):
		return p.look(false, true)
	case p.take("<="):
		return p.look(true, false)
	case p.take("<!"):
		return p.look(true, true)
	case p.take("("):
		return p.conditional()
	}
	return p.modified()
}

// inner reads the rest of a group; flags that are set in it end with it.
func (p *parser) inner(wrap func(*node) *node) *node {
	saved := p.flags
	n := p.alternatives()
	p.flags = saved
	if !p.take(")") {
		p.fail("missing ), unterminated subpattern")
	}
	// A group that holds nothing, or a condition, can still be repeated.
	if n.op == opEmpty || n.op >= opBegin {
		n = &node{op: opConcat, subs: []*node{n}}
	}
	return wrap(n)
}

func (p *parser) look(behind, neg bool) *node {
	return p.inner(func(n *node) *node { return &node{op: opLook, subs: []*node{n}, behind: behind, neg: neg} })
}

func (p *parser) capture(name string) *node {
	if name != "" && slices.Contains(p.names, name) {
		p.fail("redefinition of group name " + strconv.Quote(name))
	}
	p.names = append(p.names, name)
	number := len(p.names)
	p.open[number] = true
	n := p.inner(func(n *node) *node { return &node{op: opGroup, subs: []*node{n}, group: number} })
	delete(p.open, number)
	p.groups[number] = n
	return n
}

// name reads an identifier up to the character that ends it.
func (p *parser) name(end byte) string {
	i := strings.IndexByte(p.src[p.at:], end)
	if i < 0 {
		p.fail("missing " + string(end) + ", unterminated name")
	}
	s := p.src[p.at : p.at+i]
	if !isIdentifier(s) {
		p.fail("bad character in group name " + strconv.Quote(s))
	}
	p.at += i + 1
	return s
}

func isIdentifier(s string) bool {
	for i, r := range s {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
			return false
		}
	}
	return s != ""
}

// conditional reads (?(group)yes|no) from behind the second parenthesis.
func (p *parser) conditional() *node {
	i := strings.IndexByte(p.src[p.at:], ')')
	if i < 0 {
		p.fail("missing ), unterminated name")
	}
	ref := p.src[p.at : p.at+i]
	group, err := strconv.Atoi(ref)
	switch {
	case err == nil && group == 0:
		p.fail("bad group number")
	case err == nil:
	default:
		if group = slices.Index(p.names, ref) + 1; group == 0 || !isIdentifier(ref) {
			p.fail("unknown group name " + strconv.Quote(ref))
		}
	}
	p.at += i + 1
	return p.inner(func(n *node) *node {
		yes, no := n, &node{op: opEmpty}
		if n.op == opAlt {
			if len(n.subs) > 2 {
				p.fail("conditional backref with more than two branches")
			}
			yes, no = n.subs[0], n.subs[1]
		}
		return &node{op: opCond, subs: []*node{yes, no}, group: group}
	})
}

// modified reads (?flags) and (?flags:...) from behind the question mark.
func (p *parser) modified() *node {
	saved := p.flags
	on := true
	for p.more() {
		c := p.src[p.at]
		switch {
		case c == '-' && on:
			on = false
		case c == ')' && on:
			p.at++
			return nil // seen by globals
		case c == ':':
			p.at++
			n := p.inner(func(n *node) *node { return n })
			p.flags = saved
			return n
		case !p.flags.set(c, on):
			p.fail("unknown extension or flag ?" + string(c))
		}
		p.at++
	}
	p.fail("missing -, : or )")
	return nil
}
