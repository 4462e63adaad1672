package fail2ban

import (
	"strings"
	"unicode/utf8"
)

// cut says where the text that is cut out of a line can have stood: what the
// literal filter must know, which sees the line with its date. Behind the date
// no word goes on, unless it is unknown. The zero value cuts nothing out.
type cut struct {
	unknown  bool
	head     bool   // behind at most two signs at the line's begin
	anywhere bool   // behind anything
	signs    string // behind one of these
}

// add joins what two templates cut.
func (c cut) add(o cut) cut {
	return cut{c.unknown || o.unknown, c.head || o.head, c.anywhere || o.anywhere, c.signs + o.signs}
}

// between reports whether a date can have stood in s before the byte i.
func (c cut) between(s string, i int) bool {
	if s[i] >= utf8.RuneSelf {
		return c.head || c.anywhere || c.signs != ""
	}
	if !isSign(s[i]) {
		return false
	}
	return c.anywhere || strings.IndexByte(c.signs, s[i-1]) >= 0 || c.head && i <= 2 && isSign(s[0]) && isSign(s[i-1])
}

// isSign reports whether a byte is an ASCII character that is no part of words.
func isSign(b byte) bool { return b < utf8.RuneSelf && b != '_' && !isAlnum(rune(b)) }

// cutOf judges an expression that is not stripped of its stars yet.
func (t *template) cutOf(expr string, bounded bool) cut {
	group := firstGroup.FindStringIndex(expr)
	if group == nil {
		return cut{unknown: true}
	}
	before, rest := expr[:group[1]-1], expr[group[1]-1:]
	// A first group without anything in it cuts nothing out, and nothing stands
	// before what begins the line.
	if strings.HasPrefix(rest, "()") || before == "^" {
		return cut{}
	}
	tail := strings.TrimRight(t.pattern, ")?")
	if t.kind == kindEpoch && t.group == 1 || t.kind == kindTAI {
		tail = "0"
	}
	if !bounded || tail == "" || !isAlnum(rune(tail[len(tail)-1])) || strings.HasSuffix(tail, `\s`) || strings.HasSuffix(tail, `\W`) {
		return cut{unknown: true}
	}
	if before == `^(?:\W{0,2})?` {
		return cut{head: true}
	}
	if m := oneSign.FindStringSubmatch(before); m != nil {
		return cut{signs: m[1]}
	}
	return cut{anywhere: true}
}
