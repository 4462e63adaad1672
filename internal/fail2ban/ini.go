package fail2ban

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxFile is the largest configuration file that is read, in bytes: the largest
// stock one has 32 KB.
const maxFile = 1 << 20

// option is one value and where it was set.
type option struct {
	value string
	at    Position
}

// section is a set of options that remembers their order.
type section struct {
	names   []string
	options map[string]option
}

func newSection() *section { return &section{options: map[string]option{}} }

func (s *section) set(name string, o option) {
	if _, known := s.options[name]; !known {
		s.names = append(s.names, name)
	}
	s.options[name] = o
}

func (s *section) update(from *section) {
	for _, n := range from.names {
		s.set(n, from.options[n])
	}
}

// document is what one file, or several merged ones, say.
type document struct {
	names    []string // of sections, in order
	sections map[string]*section
	defaults *section // the section DEFAULT
	at       map[string]Position
}

func newDocument() *document {
	return &document{sections: map[string]*section{}, defaults: newSection(), at: map[string]Position{}}
}

func (d *document) section(name string) *section {
	s := d.sections[name]
	if s == nil {
		s = newSection()
		d.sections[name] = s
		d.names = append(d.names, name)
	}
	return s
}

// readFile reads one file of the format of Python's configparser.
func readFile(fsys fs.FS, name string) (*document, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(src) > maxFile {
		return nil, &Problem{At: Position{File: name}, Text: fmt.Sprintf("the file is larger than %d bytes", maxFile)}
	}
	return parseINI(name, string(src))
}

// iniReader is the state of reading one file.
type iniReader struct {
	file   string
	doc    *document
	sect   *section
	seen   map[string]bool // sections and options of this file
	name   string          // of the section
	opt    string          // the option that a deeper line continues; "" = none
	optAt  Position
	values []string
	indent int
	errs   []error
}

// parseINI reads the text of a file. All of its mistakes are in the error, each
// a *Problem; what is without mistake is in the document.
func parseINI(file, src string) (*document, error) {
	r := iniReader{file: file, doc: newDocument(), seen: map[string]bool{}}
	if !utf8.ValidString(src) {
		return r.doc, &Problem{At: Position{File: file}, Text: "the file is not UTF-8", Hint: "convert it with iconv"}
	}
	src = strings.ReplaceAll(strings.ReplaceAll(src, "\r\n", "\n"), "\r", "\n")
	n := 0
	for line := range strings.SplitSeq(src, "\n") {
		n++
		r.line(line, Position{file, n})
	}
	r.flush()
	return r.doc, errors.Join(r.errs...)
}

func (r *iniReader) fail(at Position, text, hint string) {
	r.errs = append(r.errs, &Problem{at, text, hint})
}

// flush stores the option that was being read.
func (r *iniReader) flush() {
	if r.opt != "" {
		value := strings.TrimRightFunc(strings.Join(r.values, "\n"), isSpace)
		r.sect.set(r.opt, option{value, r.optAt})
	}
	r.opt, r.values = "", nil
}

func (r *iniReader) line(line string, at Position) {
	text, comment := cutComment(line)
	text = strings.TrimFunc(text, isSpace)
	if text == "" {
		// An empty line belongs to the value that it stands in.
		if !comment && r.opt != "" {
			r.values = append(r.values, "")
		}
		return
	}
	indent := 0
	for _, c := range line {
		if !isSpace(c) {
			break
		}
		indent++
	}
	if r.opt != "" && indent > r.indent {
		r.values = append(r.values, text)
		return
	}
	r.indent = indent
	if text[0] == '[' {
		if end := strings.LastIndexByte(text, ']'); end > 1 {
			r.begin(text[1:end], at)
			return
		}
	}
	r.option(text, at)
}

// begin opens a section.
func (r *iniReader) begin(name string, at Position) {
	r.flush()
	r.name = name
	if name == "DEFAULT" {
		r.sect = r.doc.defaults
		return
	}
	if r.seen[name] {
		r.fail(at, fmt.Sprintf("section [%s] stands twice in this file", name), "join the two: fail2ban refuses the file")
	}
	r.seen[name] = true
	r.sect = r.doc.section(name)
	r.doc.at[name] = at
}

func (r *iniReader) option(text string, at Position) {
	i := strings.IndexAny(text, "=:")
	switch {
	case r.sect == nil:
		r.fail(at, "the file does not begin with a section", "write [Definition] first")
		return
	case i < 0:
		r.fail(at, fmt.Sprintf("%q is neither an option nor a section", clip(text)), "write `name = value`, or indent what continues a value")
		return
	}
	name := strings.ToLower(strings.TrimRightFunc(text[:i], isSpace))
	if name == "" {
		r.fail(at, "an option without a name", "")
		return
	}
	r.flush()
	if key := r.name + "\n" + name; r.seen[key] {
		r.fail(at, fmt.Sprintf("option %s stands twice in section [%s] of this file", name, r.name), "remove one: fail2ban refuses the file")
	} else {
		r.seen[key] = true
	}
	r.opt, r.optAt = name, at
	r.values = []string{strings.TrimFunc(text[i+1:], isSpace)}
}

// cutComment returns the line without its comment, and whether it had one.
func cutComment(line string) (string, bool) {
	if t := strings.TrimLeftFunc(line, isSpace); t != "" && (t[0] == '#' || t[0] == ';') {
		return "", true
	}
	for i := 0; i < len(line); i++ {
		if line[i] != ';' {
			continue
		}
		if r, _ := utf8.DecodeLastRuneInString(line[:i]); isSpace(r) {
			return line[:i], true
		}
	}
	return line, false
}

// isSpace is Python's idea of white space.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// clip shortens a text for a message.
func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "..."
	}
	return s
}
