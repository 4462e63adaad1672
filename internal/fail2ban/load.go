package fail2ban

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// maxFiles is how many files one definition may be made of.
const maxFiles = 500

// loader reads definitions, each made of several files.
type loader struct {
	fsys   fs.FS
	files  map[string]*document // read so far; nil = cannot be read
	failed map[string]error
	used   int
}

func newLoader(fsys fs.FS) *loader {
	return &loader{fsys: fsys, files: map[string]*document{}, failed: map[string]error{}}
}

// file reads one file, once; nil if there is none.
func (l *loader) file(name string) *document {
	if d, ok := l.files[name]; ok {
		return d
	}
	if !fs.ValidPath(name) {
		return nil
	}
	d, err := readFile(l.fsys, name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.failed[name] = err
	}
	l.files[name] = d
	return d
}

func (l *loader) exists(name string) bool {
	info, err := fs.Stat(l.fsys, name)
	return err == nil && !info.IsDir()
}

// config is a definition: what all of its files say together.
type config struct {
	*document
	files []string
	warns []Problem
}

// load reads base.conf, base.d/*.conf, base.local and base.d/*.local, with what
// they include. Later files win. The error says that there is nothing to read,
// or that a file has mistakes.
func (l *loader) load(base string) (*config, error) {
	var names []string
	add := func(n string) {
		if l.exists(n) {
			names = append(names, n)
		}
	}
	add(base + ".conf")
	for _, n := range l.glob(base+".d", ".conf") {
		add(n)
	}
	add(base + ".local")
	for _, n := range l.glob(base+".d", ".local") {
		add(n)
	}
	if len(names) == 0 {
		return nil, &Problem{At: Position{File: base + ".conf"}, Text: "there is no such file", Hint: "see which files the directory has"}
	}
	c := &config{document: newDocument()}
	l.used = 0
	all, err := l.includes(names, nil, c)
	if err != nil {
		return nil, err
	}
	for _, n := range all {
		if err := l.failed[n]; err != nil {
			return nil, err
		}
		c.merge(l.file(n))
		c.files = append(c.files, n)
	}
	return c, nil
}

func (l *loader) glob(dir, suffix string) (out []string) {
	entries, err := fs.ReadDir(l.fsys, dir)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if n := e.Name(); strings.HasSuffix(n, suffix) && !strings.HasPrefix(n, ".") {
			out = append(out, path.Join(dir, n))
		}
	}
	slices.SortFunc(out, cmp.Compare)
	return out
}

// includes returns the files with what they include, in the order in which they
// are merged. Seen is the way to here, so that no file includes itself.
func (l *loader) includes(names, seen []string, c *config) (out []string, err error) {
	var each []string
	for _, n := range names {
		each = append(each, n)
		local := strings.TrimSuffix(n, path.Ext(n)) + ".local"
		if !slices.Contains(names, local) && l.exists(local) {
			each = append(each, local)
		}
	}
	for _, n := range each {
		if l.used++; l.used > maxFiles {
			return nil, &Problem{At: Position{File: n}, Text: fmt.Sprintf("more than %d files are included", maxFiles), Hint: "look for files that include one another"}
		}
		d := l.file(n)
		if d == nil {
			if l.failed[n] != nil {
				return nil, l.failed[n]
			}
			continue
		}
		var around [2][]string
		for i, opt := range []string{"before", "after"} {
			more, err := l.included(n, d, opt, append(slices.Clip(seen), n), c)
			if err != nil {
				return nil, err
			}
			around[i] = more
		}
		out = append(append(append(out, around[0]...), n), around[1]...)
	}
	return out, nil
}

// included returns the files of one option of the section INCLUDES.
func (l *loader) included(file string, d *document, opt string, seen []string, c *config) (out []string, err error) {
	if d.sections["INCLUDES"] == nil {
		return nil, nil
	}
	list, found, err := (&config{document: d}).get("INCLUDES", opt, nil)
	if err != nil || !found {
		return nil, err
	}
	at := d.sections["INCLUDES"].options[opt].at
	for name := range strings.SplitSeq(list, "\n") {
		if name == "" {
			continue
		}
		full := path.Join(path.Dir(file), name)
		if path.IsAbs(name) {
			full = strings.TrimPrefix(path.Clean(name), "/")
			if !l.exists(full) {
				// Below an installation's usual place it is the same directory.
				full = strings.TrimPrefix(full, "etc/fail2ban/")
			}
		}
		switch {
		case slices.Contains(seen, full):
			c.warns = append(c.warns, Problem{at, fmt.Sprintf("%s includes itself by way of %s", file, name), "it is read once"})
			continue
		case !l.exists(full):
			if !strings.HasSuffix(name, ".local") {
				c.warns = append(c.warns, Problem{at, fmt.Sprintf("the included file %s is not there", name), "it is left out, as fail2ban does"})
			}
			continue
		}
		more, err := l.includes([]string{full}, seen, c)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

// conditional is a section or tag that holds only for some: name?family=inet6.
var conditional = regexp.MustCompile(`^(\w+)(\?.+)$`)

// merge adds what a file says. What it overrides stays known.
func (c *config) merge(d *document) {
	if d == nil {
		return
	}
	c.defaults.update(d.defaults)
	for _, name := range d.names {
		s := d.sections[name]
		if m := conditional.FindStringSubmatch(name); m != nil {
			name = m[1]
			marked := newSection()
			for _, n := range s.names {
				marked.set(n+m[2], s.options[n])
			}
			s = marked
		}
		into, again := c.sections[name]
		if !again {
			into = c.section(name)
		} else {
			known := newSection()
			for _, n := range s.names {
				if o, ok := into.options[n]; ok {
					known.set(n, o)
				}
			}
			c.section("KNOWN/" + name).update(known)
		}
		into.update(s)
		if _, ok := c.at[name]; !ok {
			c.at[name] = d.at[name]
		}
	}
}
