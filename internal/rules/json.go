package rules

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds how deep the values of a JSON line lie in each other. Logs
// need 5.
const maxDepth = 32

// jsonValue is what a line has at a path.
type jsonValue struct {
	text  []byte // of a string, unescaped; of a number, true and false, as it stands; of a list, its texts joined by ", "
	found bool   // there is such a value, and it is neither null nor an object
}

// jsonScanner takes the values at some paths out of a line of JSON, and checks
// the whole of it. Where a key is there twice the last one wins, as in
// encoding/json. It keeps its buffers from line to line; not for concurrent
// use.
type jsonScanner struct {
	b       []byte
	i       int
	out     []jsonValue
	scratch []byte    // unescaped texts
	stack   []jsonWay // for each open object or list, the paths that lead into it
}

// jsonWay is a path that leads into an object, and what is left of it there.
type jsonWay struct {
	path int
	rest string
}

// scan reads b, one JSON object with blanks around it. Out has room for each
// path. It is false where b is anything else.
func (s *jsonScanner) scan(b []byte, paths []string, out []jsonValue) bool {
	clear(out)
	s.b, s.i, s.out, s.scratch, s.stack = b, 0, out, s.scratch[:0], s.stack[:0]
	for i, p := range paths {
		s.stack = append(s.stack, jsonWay{i, p})
	}
	s.blanks()
	if s.i >= len(b) || b[s.i] != '{' {
		return false
	}
	ok := s.object(0, 1)
	s.blanks()
	ok = ok && s.i == len(b)
	s.b = nil
	return ok
}

func (s *jsonScanner) blanks() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

// next skips blanks and takes the byte c if it is next.
func (s *jsonScanner) next(c byte) bool {
	s.blanks()
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

// object reads an object, into which the ways from index from on lead.
func (s *jsonScanner) object(from, depth int) bool {
	s.i++
	if s.next('}') {
		return true
	}
	top := len(s.stack)
	for {
		s.blanks()
		raw, plain, ok := s.quoted()
		if !ok || !s.next(':') {
			return false
		}
		leaf := -1
		if top > from {
			key := raw
			if !plain {
				mark := len(s.scratch)
				key = s.unescape(raw)
				s.scratch = s.scratch[:mark]
			}
			leaf = s.step(from, top, key)
		}
		if !s.value(leaf, top, depth) {
			return false
		}
		s.stack = s.stack[:top]
		if s.next('}') {
			return true
		}
		if !s.next(',') {
			return false
		}
	}
}

// list reads a list. Its entries have their numbers for keys. Where leaf is a
// path its texts are joined.
func (s *jsonScanner) list(leaf, from, depth int) bool {
	s.i++
	if s.next(']') {
		return true
	}
	top := len(s.stack)
	var joined []byte
	for n := 0; ; n++ {
		entry := -1
		if top > from {
			var digits [4]byte
			entry = s.step(from, top, strconv.AppendInt(digits[:0], int64(n), 10))
		}
		if entry < 0 {
			entry = leaf
		}
		if !s.value(entry, top, depth) {
			return false
		}
		s.stack = s.stack[:top]
		if leaf >= 0 {
			if v := s.out[entry]; v.found {
				joined = s.join(joined, v.text)
			}
			s.out[leaf] = jsonValue{}
		}
		if s.next(']') {
			if leaf >= 0 && joined != nil {
				s.out[leaf] = jsonValue{joined, true}
			}
			return true
		}
		if !s.next(',') {
			return false
		}
	}
}

// join appends a text to those of a list. The first one is kept as it is.
func (s *jsonScanner) join(list, text []byte) []byte {
	if list == nil {
		return text[:len(text):len(text)]
	}
	mark := len(s.scratch)
	s.scratch = append(append(append(s.scratch, list...), ", "...), text...)
	return s.scratch[mark:len(s.scratch):len(s.scratch)]
}

// step finds the ways that go on with a key: one that ends there is returned,
// those that lead on are put on the stack. What either had found before is
// dropped, since the last one of equal keys wins.
func (s *jsonScanner) step(from, top int, key []byte) (leaf int) {
	leaf = -1
	for _, w := range s.stack[from:top] {
		if len(w.rest) < len(key) || w.rest[:len(key)] != string(key) {
			continue
		}
		switch {
		case len(w.rest) == len(key):
			leaf = w.path
		case w.rest[len(key)] == '.':
			s.stack = append(s.stack, jsonWay{w.path, w.rest[len(key)+1:]})
		default:
			continue
		}
		s.out[w.path] = jsonValue{}
	}
	return leaf
}

// value reads any value. Leaf is the path that ends here, or -1; the ways from
// index from on lead into it.
func (s *jsonScanner) value(leaf, from, depth int) bool {
	s.blanks()
	if s.i >= len(s.b) {
		return false
	}
	switch c := s.b[s.i]; c {
	case '"':
		raw, plain, ok := s.quoted()
		if ok && leaf >= 0 {
			if !plain {
				raw = s.unescape(raw)
			}
			s.out[leaf] = jsonValue{raw, true}
		}
		return ok
	case '{':
		return depth < maxDepth && s.object(from, depth+1)
	case '[':
		return depth < maxDepth && s.list(leaf, from, depth+1)
	case 't':
		return s.word("true", leaf)
	case 'f':
		return s.word("false", leaf)
	case 'n':
		return s.word("null", -1)
	default:
		return s.number(leaf)
	}
}

func (s *jsonScanner) word(w string, leaf int) bool {
	if string(s.b[s.i:min(len(s.b), s.i+len(w))]) != w {
		return false
	}
	if leaf >= 0 {
		s.out[leaf] = jsonValue{s.b[s.i : s.i+len(w)], true}
	}
	s.i += len(w)
	return true
}

// number reads a number (RFC 8259, section 6).
func (s *jsonScanner) number(leaf int) bool {
	from := s.i
	if s.b[s.i] == '-' {
		s.i++
	}
	switch {
	case s.i < len(s.b) && s.b[s.i] == '0':
		s.i++
	case !s.digits():
		return false
	}
	if s.i < len(s.b) && s.b[s.i] == '.' {
		s.i++
		if !s.digits() {
			return false
		}
	}
	if s.i < len(s.b) && s.b[s.i]|0x20 == 'e' {
		s.i++
		if s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		if !s.digits() {
			return false
		}
	}
	if leaf >= 0 {
		s.out[leaf] = jsonValue{s.b[from:s.i], true}
	}
	return true
}

func (s *jsonScanner) digits() bool {
	from := s.i
	for s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i > from
}

// quoted reads a string and returns what is between its quotation marks. Plain
// says that nothing in it is escaped.
func (s *jsonScanner) quoted() (raw []byte, plain, ok bool) {
	if s.i >= len(s.b) || s.b[s.i] != '"' {
		return nil, false, false
	}
	s.i++
	from := s.i
	plain = true
	for s.i < len(s.b) {
		c := s.b[s.i]
		s.i++
		switch {
		case c == '"':
			return s.b[from : s.i-1], plain, true
		case c < ' ':
			return nil, false, false
		case c == '\\':
			plain = false
			if s.i >= len(s.b) {
				return nil, false, false
			}
			c = s.b[s.i]
			s.i++
			switch c {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if len(s.b)-s.i < 4 {
					return nil, false, false
				}
				if _, ok := hex(s.b[s.i : s.i+4]); !ok {
					return nil, false, false
				}
				s.i += 4
			default:
				return nil, false, false
			}
		}
	}
	return nil, false, false
}

// unescape returns the text of a string that quoted has checked.
func (s *jsonScanner) unescape(raw []byte) []byte {
	mark := len(s.scratch)
	out := s.scratch
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			continue
		}
		i++
		switch c := raw[i]; c {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r := escapedRune(raw[i+1:])
			i += 4
			if utf16.IsSurrogate(r) {
				low := rune(-1)
				if len(raw)-i > 6 && raw[i+1] == '\\' && raw[i+2] == 'u' {
					low = escapedRune(raw[i+3:])
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					i += 6
				}
			}
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, c)
		}
	}
	s.scratch = out
	return out[mark:len(out):len(out)]
}

func escapedRune(b []byte) rune {
	v, _ := hex(b[:4])
	return rune(v)
}
