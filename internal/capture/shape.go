package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

var (
	dateNames = regexp.MustCompile(`\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b`)
	hexNumber = regexp.MustCompile(`\b(?:0x)?[0-9a-fA-F]*[0-9][0-9a-fA-F]*[a-fA-F][0-9a-fA-F]*\b`)
	number    = regexp.MustCompile(` *[0-9]+(?:\.[0-9]+)*`)
)

// alike is how many lines of the same shape are kept of one attack.
const alike = 4

// mask says which parts of a service's lines differ each time, and which lines
// come or not by chance.
type mask struct{ volatile, sometimes []*regexp.Regexp }

// newMask compiles what a service says.
func newMask(v Service) mask {
	var m mask
	for _, e := range v.Volatile {
		m.volatile = append(m.volatile, regexp.MustCompile(e))
	}
	for _, e := range v.Sometimes {
		m.sometimes = append(m.sometimes, regexp.MustCompile(e))
	}
	return m
}

// shape returns what stays of a line when it is captured again: numbers, dates
// and what is volatile are masked.
func (m mask) shape(line []byte) string {
	for _, v := range m.volatile {
		line = v.ReplaceAll(line, []byte("~"))
	}
	line = dateNames.ReplaceAll(line, []byte("D"))
	line = hexNumber.ReplaceAllFunc(line, func(b []byte) []byte {
		if len(b) < 6 {
			return b
		}
		return []byte("0")
	})
	return string(number.ReplaceAll(line, []byte("0")))
}

// shapes returns the shapes of a captured file, sorted, each once. The comment at
// its top is not part of it: it holds version and date.
func (m mask) shapes(file []byte) []string {
	var all []string
	top := true
	for line := range bytes.Lines(file) {
		top = top && bytes.HasPrefix(line, []byte("# "))
		line = bytes.TrimSuffix(line, []byte("\n"))
		if !top && !slices.ContainsFunc(m.sometimes, func(e *regexp.Regexp) bool { return e.Match(line) }) {
			all = append(all, m.shape(line))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// document is one captured file.
type document struct {
	Name  string // of the file
	Text  []byte
	Lines int
}

// documents turns the lines of a run into files: a comment at the top, then a
// comment and the lines of each attack. The lines of different sources lie in
// different files where the service says so.
func documents(v Service, version string, steps []step, m mask, now time.Time) []document {
	var docs []document
	for _, l := range v.logs() {
		name := v.Name + ".log"
		if l.As != "" {
			name = v.Name + "." + l.As + ".log"
		}
		if slices.ContainsFunc(docs, func(d document) bool { return d.Name == name }) {
			continue
		}
		var from []string
		for _, o := range v.logs() {
			if o.As == l.As {
				from = append(from, o.From)
			}
		}
		if d := newDocument(name, header(v, version, from, now), from, steps, m); d.Lines > 0 {
			docs = append(docs, d)
		}
	}
	return docs
}

// newDocument writes one file.
func newDocument(name, head string, from []string, steps []step, m mask) document {
	d := document{Name: name, Text: []byte(head)}
	for _, s := range steps {
		first := true
		seen := map[string]int{}
		for _, e := range s.Lines {
			if !slices.Contains(from, e.From) {
				continue
			}
			sh := m.shape(e.Line)
			if seen[sh]++; seen[sh] > alike {
				continue
			}
			if first {
				d.Text = fmt.Appendf(d.Text, "\n## %s\n", s.Name)
				first = false
			}
			d.Text = append(append(d.Text, e.Line...), '\n')
			d.Lines++
		}
	}
	return d
}

// header returns the comment at the top of a captured file.
func header(v Service, version string, from []string, now time.Time) string {
	return fmt.Sprintf(`# %s %s (Debian package %s %s), %s, captured on %s
# by "make capture SERVICE=%s". Service %s %s, attacker %s %s,
# somebody else %s %s; %s and %s are nobody's: they stand only in what attackers say.
# Of lines that differ in numbers only, the first %d of each attack are kept.
`, v.Packages[0], upstream(version), v.Packages[0], version, strings.Join(from, " and "), now.UTC().Format(time.DateOnly),
		v.Name, gate4, gate6, attacker4, attacker6, other4, other6, bystander4, bystander6, alike)
}

// change is what writing a document did.
type change struct {
	Written      bool
	Again        bool     // it was there before
	Fresh, Stale []string // shapes that only the new file has, or only the old
}

// write writes a document unless a file is there that has the same shapes.
func (d document) write(dir string, m mask) (change, error) {
	path := filepath.Join(dir, d.Name)
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return change{}, fmt.Errorf("read the captured file: %w", err)
	}
	had, has := m.shapes(old), m.shapes(d.Text)
	if err == nil && slices.Equal(had, has) {
		return change{}, nil
	}
	c := change{Written: true, Again: err == nil, Fresh: without(has, had), Stale: without(had, has)}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return c, fmt.Errorf("make the folder for captured files: %w", err)
	}
	if err := os.WriteFile(path, d.Text, 0o644); err != nil {
		return c, fmt.Errorf("write a captured file: %w", err)
	}
	return c, nil
}

// without returns what is in a and not in b; both are sorted.
func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool {
		_, found := slices.BinarySearch(b, s)
		return found
	})
}
