package rules

import (
	"bytes"
	"regexp/syntax"
	"slices"
	"unicode/utf8"
)

// byteSet is a set of bytes.
type byteSet [256]bool

// union adds the bytes of t.
func (s *byteSet) union(t *byteSet) {
	for i, in := range t {
		s[i] = s[i] || in
	}
}

// meets reports whether the sets have a byte in common.
func (s *byteSet) meets(t *byteSet) bool {
	for i, in := range t {
		if in && s[i] {
			return true
		}
	}
	return false
}

// runeClass is a class of characters, made for texts that are nearly always
// ASCII. A byte that is no valid UTF-8 counts as U+FFFD, as in package regexp.
type runeClass struct {
	bytes  byteSet // members below 0x80; above, the bytes that a member may begin with
	ranges []rune  // pairs from, to; only where mixed
	mixed  bool    // has some of the characters from U+0080 on, and lacks others
	high   bool    // has every character from U+0080 on
	lacks  int     // the one byte that bytes lacks; -1 where that is none or several
}

// newRuneClass returns the class of an expression of one character; nil where
// it is another.
func newRuneClass(re *syntax.Regexp) *runeClass {
	var ranges []rune
	switch re.Op {
	case syntax.OpCharClass:
		ranges = re.Rune
	case syntax.OpAnyChar:
		ranges = []rune{0, utf8.MaxRune}
	case syntax.OpAnyCharNotNL:
		ranges = []rune{0, '\n' - 1, '\n' + 1, utf8.MaxRune}
	case syntax.OpLiteral:
		if len(re.Rune) != 1 || re.Flags&syntax.FoldCase != 0 {
			return nil
		}
		ranges = []rune{re.Rune[0], re.Rune[0]}
	default:
		return nil
	}
	c := &runeClass{lacks: -1}
	any := false
	for i := 0; i+1 < len(ranges); i += 2 {
		from, to := ranges[i], ranges[i+1]
		for r := from; r <= min(to, utf8.RuneSelf-1); r++ {
			c.bytes[r] = true
		}
		any = any || to >= utf8.RuneSelf
		c.high = c.high || from <= utf8.RuneSelf && to >= utf8.MaxRune
	}
	if any {
		c.mixed, c.ranges = !c.high, slices.Clone(ranges)
		for i := utf8.RuneSelf; i < 256; i++ {
			c.bytes[i] = true
		}
	}
	missing := 0
	for i, in := range c.bytes {
		if !in {
			missing++
			c.lacks = i
		}
	}
	if missing != 1 {
		c.lacks = -1
	}
	return c
}

// at returns the width of the character of b at i if it is a member, else 0.
func (c *runeClass) at(b []byte, i int) int {
	if i >= len(b) || !c.bytes[b[i]] {
		return 0
	}
	if b[i] < utf8.RuneSelf {
		return 1
	}
	r, n := utf8.DecodeRune(b[i:])
	if c.mixed && !c.has(r) {
		return 0
	}
	return n
}

func (c *runeClass) has(r rune) bool {
	for i := 0; i+1 < len(c.ranges); i += 2 {
		if r >= c.ranges[i] && r <= c.ranges[i+1] {
			return true
		}
	}
	return false
}

// run returns where least members from i on end, and where the most that there
// are end, at most the given number; most < 0 means any number. It is false
// where there are fewer than least. Both ends may be amid a character where
// least is 1 and that is no ASCII.
func (c *runeClass) run(b []byte, i, least, most int) (from, to int, ok bool) {
	switch {
	case c.mixed, (c.high || c.lacks >= 0) && (least > 1 || most >= 0):
		return c.slowRun(b, i, least, most)
	case c.lacks >= 0:
		to = len(b)
		if n := bytes.IndexByte(b[i:], byte(c.lacks)); n >= 0 {
			to = i + n
		}
	default:
		to = i
		end := len(b)
		if most >= 0 && most < end-i {
			end = i + most
		}
		for to < end && c.bytes[b[to]] {
			to++
		}
	}
	return i + least, to, i+least <= to
}

// slowRun is run, character by character.
func (c *runeClass) slowRun(b []byte, i, least, most int) (from, to int, ok bool) {
	from, to, ok = i, i, least == 0
	for n := 1; most < 0 || n <= most; n++ {
		w := c.at(b, to)
		if w == 0 {
			break
		}
		if to += w; n == least {
			from, ok = to, true
		}
	}
	return from, to, ok
}

// between reports whether a character of b begins or ends at i, rather than
// goes on.
func between(b []byte, i int) bool {
	if i >= len(b) || utf8.RuneStart(b[i]) {
		return true
	}
	for j := i - 1; j >= max(0, i-utf8.UTFMax+1); j-- {
		if utf8.RuneStart(b[j]) {
			_, n := utf8.DecodeRune(b[j:])
			return j+n <= i
		}
	}
	return true
}
