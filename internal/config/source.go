package config

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// source is the text of a file with the problems found in it so far.
type source struct {
	name     string
	raw      []byte
	lines    []string // without their newlines, once the text is known to be clean
	problems Problems
}

// newSource takes a byte order mark off and turns CRLF into LF.
func newSource(name string, src []byte) *source {
	src = bytes.TrimPrefix(src, []byte("\ufeff"))
	return &source{name: name, raw: bytes.ReplaceAll(src, []byte("\r\n"), []byte("\n"))}
}

// report adds a problem at a line and a column, both from 1; a position behind
// the end is moved to the end.
func (s *source) report(line, col int, hint, format string, args ...any) {
	line = min(max(line, 1), max(len(s.lines), 1))
	var text string
	if len(s.lines) > 0 {
		text = s.lines[line-1]
	}
	col = min(max(col, 1), utf8.RuneCountInString(text)+1)
	p := Problem{File: s.name, Line: line, Column: col, What: fmt.Sprintf(format, args...), Hint: hint}
	if strings.TrimSpace(text) != "" {
		p.Excerpt = excerpt(masked(text), col)
	}
	s.problems = append(s.problems, p)
}

// read returns the tree of the text, checked to be plain YAML of one document.
// It is meaningless where problems were reported.
func (s *source) read() *node {
	if len(s.raw) > maxFile {
		s.problems = append(s.problems, Problem{File: s.name, What: "the file is larger than 1 MB",
			Hint: "is it a configuration? long lists of addresses go in with gatehouse import list"})
		return nil
	}
	s.lines = strings.Split(string(s.raw), "\n")
	for i, line := range s.lines {
		s.scan(i+1, line)
	}
	if len(s.problems) > 0 {
		return nil
	}
	return s.tree()
}

// scan reports the first character of a line that has no business in a
// configuration. A tab is one, outside of comments: YAML forbids it in front of
// a key, where it cannot be told from spaces by eye.
func (s *source) scan(number int, line string) {
	comment, before := false, ' '
	for col, rest := 1, line; rest != ""; col++ {
		c, size := utf8.DecodeRuneInString(rest)
		rest = rest[size:]
		comment = comment || c == '#' && before == ' '
		before = c
		switch {
		case c == utf8.RuneError && size == 1:
			s.report(number, col, "save the file as UTF-8", "this is not UTF-8 text")
			return
		case c == '\t' && !comment:
			s.report(number, col, "replace it by spaces; two for each level are usual", "a tab")
			return
		case c != '\t' && (c < ' ' || c >= 0x7f && c < 0xa0 || c == 0xfeff || c == 0x2028 || c == 0x2029):
			s.report(number, col, "remove it", "a control character (U+%04X)", c)
			return
		}
	}
}
