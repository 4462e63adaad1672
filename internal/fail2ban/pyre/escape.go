package pyre

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// escape reads a backslash and what it stands before, outside of a class.
func (p *parser) escape() *node {
	p.at++
	if !p.more() {
		p.fail("bad escape (end of pattern)")
	}
	c := p.src[p.at]
	switch c {
	case 'A':
		p.at++
		return &node{op: opBegin}
	case 'Z':
		p.at++
		return &node{op: opEnd}
	case 'b':
		p.at++
		return &node{op: opWord, ascii: p.flags.ascii}
	case 'B':
		p.at++
		return &node{op: opNotWord, ascii: p.flags.ascii}
	}
	if it, ok := p.classEscape(); ok {
		return p.setNode(&set{items: []item{it}})
	}
	if c >= '1' && c <= '9' {
		if r, ok := p.octal(3); ok {
			return p.char(r)
		}
		d := p.digits()
		if len(d) > 2 {
			p.at -= len(d) - 2
			d = d[:2]
		}
		group, _ := strconv.Atoi(d)
		if group > len(p.names) || p.open[group] {
			p.fail("invalid group reference " + d)
		}
		return &node{op: opBackref, group: group, fold: p.flags.fold}
	}
	return p.char(p.charEscape(false))
}

// classEscape reads d, w, s and their opposites.
func (p *parser) classEscape() (item, bool) {
	i := strings.IndexByte("dDsSwW", p.src[p.at])
	if i < 0 {
		return item{}, false
	}
	p.at++
	return item{class: class(i / 2), is: true, not: i%2 == 1, ascii: p.flags.ascii}, true
}

// octal reads n octal digits, of which there must be as many.
func (p *parser) octal(n int) (rune, bool) {
	if p.at+n > len(p.src) {
		return 0, false
	}
	v, err := strconv.ParseUint(p.src[p.at:p.at+n], 8, 16)
	if err != nil || p.src[p.at] > '3' {
		return 0, false
	}
	p.at += n
	return rune(v), true
}

// charEscape reads what stands for one character, from behind the backslash.
func (p *parser) charEscape(inClass bool) rune {
	r, size := utf8.DecodeRuneInString(p.src[p.at:])
	p.at += size
	switch r {
	case 'n':
		return '\n'
	case 't':
		return '\t'
	case 'r':
		return '\r'
	case 'f':
		return '\f'
	case 'v':
		return '\v'
	case 'a':
		return '\a'
	case 'b': // in a class only: outside it is a word boundary
		return '\b'
	case '\\':
		return '\\'
	case 'x':
		return p.hex(2)
	case 'u':
		return p.hex(4)
	case 'U':
		return p.hex(8)
	}
	if r == '0' || inClass && r >= '0' && r <= '7' {
		from := p.at - 1
		for p.more() && p.at-from < 3 && p.src[p.at] >= '0' && p.src[p.at] <= '7' {
			p.at++
		}
		v, _ := strconv.ParseUint(p.src[from:p.at], 8, 16)
		if v > 0o377 {
			p.fail("octal escape value outside of range")
		}
		return rune(v)
	}
	if r < utf8.RuneSelf && (r|0x20 >= 'a' && r|0x20 <= 'z' || r >= '0' && r <= '9') {
		p.at -= size
		p.fail("bad escape \\" + string(r))
	}
	return r
}

func (p *parser) hex(n int) rune {
	if p.at+n > len(p.src) {
		p.fail("incomplete escape")
	}
	v, err := strconv.ParseUint(p.src[p.at:p.at+n], 16, 32)
	if err != nil || v > utf8.MaxRune {
		p.fail("incomplete or bad escape")
	}
	p.at += n
	return rune(v)
}

// class reads a set in brackets.
func (p *parser) class() *node {
	p.at++
	s := &set{neg: p.take("^")}
	for first := true; ; first = false {
		if !p.more() {
			p.fail("unterminated character set")
		}
		if p.src[p.at] == ']' && !first {
			p.at++
			return p.setNode(s)
		}
		lo := p.classItem()
		if !strings.HasPrefix(p.src[p.at:], "-") || strings.HasPrefix(p.src[p.at:], "-]") {
			s.items = append(s.items, lo)
			continue
		}
		p.at++
		if !p.more() {
			p.fail("unterminated character set")
		}
		hi := p.classItem()
		if lo.is || hi.is || hi.lo < lo.lo {
			p.fail("bad character range")
		}
		s.items = append(s.items, item{lo: lo.lo, hi: hi.lo})
	}
}

func (p *parser) classItem() item {
	if p.src[p.at] == '\\' {
		p.at++
		if !p.more() {
			p.fail("bad escape (end of pattern)")
		}
		if it, ok := p.classEscape(); ok {
			return it
		}
		r := p.charEscape(true)
		return item{lo: r, hi: r}
	}
	r, size := utf8.DecodeRuneInString(p.src[p.at:])
	p.at += size
	return item{lo: r, hi: r}
}
