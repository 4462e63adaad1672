package logs

import (
	"cmp"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxLinks is how many symbolic links a path may go through, as in the kernel.
const maxLinks = 40

// target is one path that is to be followed.
type target struct {
	path    string
	names   []string // paths of which events matter: links on the way, and the file at the end
	watches []Watch
	exists  bool // as a regular file
	link    bool // the path itself is a symbolic link
	polled  bool // no events come from one of its folders
	id      fileID
}

// finder turns patterns into targets. What it looks at, it first has listened
// to, so that whatever changes after the look gives an event.
type finder struct {
	folders *folders
	known   func(path string) bool // a source follows this path already
	also    func()                 // listens to more folders; may be nil
}

// found is what a search gave.
type found struct {
	targets []*target         // sorted by path, each file once
	aliases map[string]string // other paths of the same file -> the target's
	misses  map[string]bool   // patterns that match nothing
}

// find looks for the files of all watches.
func (f *finder) find(watches []Watch) found {
	f.folders.start()
	defer f.folders.finish()
	if f.also != nil {
		f.also()
	}
	byPath := map[string]*target{}
	hits := map[string][]string{} // pattern -> paths
	for _, w := range watches {
		for _, p := range w.Files {
			paths, done := hits[p]
			if !done {
				for _, t := range f.search(p) {
					paths = append(paths, t.path)
					if byPath[t.path] == nil {
						byPath[t.path] = t
					}
				}
				hits[p] = paths
			}
			for _, path := range paths {
				t := byPath[path]
				if !slices.ContainsFunc(t.watches, func(o Watch) bool { return o.Name == w.Name }) {
					t.watches = append(t.watches, w)
				}
			}
		}
	}
	out := f.join(byPath, watches)
	for p, paths := range hits {
		if len(paths) == 0 {
			out.misses[p] = true
		}
	}
	return out
}

// join makes one target of paths that lead to the same file: the one that is
// followed already, else the one that is no link, else the first by name.
func (f *finder) join(byPath map[string]*target, watches []Watch) found {
	out := found{aliases: map[string]string{}, misses: map[string]bool{}}
	all := slices.Collect(maps.Values(byPath))
	slices.SortFunc(all, func(a, b *target) int {
		return cmp.Or(-first(f.known(a.path), f.known(b.path)), first(a.link, b.link), strings.Compare(a.path, b.path))
	})
	byFile := map[fileID]*target{}
	for _, t := range all {
		o := byFile[t.id]
		if !t.exists || o == nil {
			if t.exists {
				byFile[t.id] = t
			}
			out.targets = append(out.targets, t)
			continue
		}
		out.aliases[t.path] = o.path
		o.names = append(o.names, t.names...)
		var both []Watch // in the order of the configuration
		for _, w := range watches {
			has := func(x Watch) bool { return x.Name == w.Name }
			if slices.ContainsFunc(o.watches, has) || slices.ContainsFunc(t.watches, has) {
				both = append(both, w)
			}
		}
		o.watches = both
	}
	slices.SortFunc(out.targets, func(a, b *target) int { return strings.Compare(a.path, b.path) })
	return out
}

// first orders false before true.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// part is one component of a path on the way down.
type part struct {
	name   string
	hidden bool // comes from a link's target: not part of the path as the pattern shows it
}

// walk is one search down from the root.
type walk struct {
	*finder
	pattern string
	links   int
	out     []*target
}

// search returns what a pattern leads to. A plain path always gives one target.
func (f *finder) search(pattern string) []*target {
	if checkPattern(pattern) != nil {
		return nil
	}
	pattern = filepath.Clean(pattern)
	w := &walk{finder: f, pattern: pattern}
	w.down("/", "/", nil, split(pattern, false), true)
	return w.out
}

func split(path string, hidden bool) (parts []part) {
	for _, n := range strings.Split(path, "/") {
		if n != "" && n != "." {
			parts = append(parts, part{n, hidden})
		}
	}
	return parts
}

func isPattern(s string) bool { return strings.ContainsAny(s, `*?[\`) }

// down follows parts from the folder real, which the pattern shows as shown.
// names are the links that led there; plain is false below a wildcard.
func (w *walk) down(real, shown string, names []string, parts []part, plain bool) {
	p := parts[0]
	switch {
	case p.hidden && p.name == "..":
		w.rest(filepath.Dir(real), shown, names, parts[1:], plain)
	case p.hidden || !isPattern(p.name):
		w.into(real, p.name, shown, names, parts, plain)
	default:
		w.folders.listen(real, p.name)
		entries, _ := os.ReadDir(real)
		for _, e := range entries {
			n := e.Name()
			if ok, _ := filepath.Match(p.name, n); !ok || n[0] == '.' && p.name[0] != '.' {
				continue
			}
			if len(parts) == 1 && w.isRotated(real, shown, n) {
				continue
			}
			w.into(real, n, shown, names, parts, false)
		}
	}
}

// isRotated reports whether a file that a pattern matches is not a log of its
// own: compressed, or rotated from one that is there.
func (w *walk) isRotated(real, shown, name string) bool {
	r, ok := parseRotation(name)
	if !ok {
		return slices.Contains(compressed[:], filepath.Ext(name))
	}
	if r.suffix != "" || w.known(filepath.Join(shown, r.base)) {
		return true
	}
	_, err := os.Lstat(filepath.Join(real, r.base))
	return err == nil
}

// into goes on with the entry name of the folder real.
func (w *walk) into(real, name, shown string, names []string, parts []part, plain bool) {
	at, last := filepath.Join(real, name), len(parts) == 1
	if !parts[0].hidden {
		shown = filepath.Join(shown, name)
	}
	if last {
		w.folders.listen(real, parts[0].name)
	}
	fi, err := os.Lstat(at)
	if err != nil || !fi.IsDir() && !last {
		w.folders.listen(real, parts[0].name)
		fi, err = os.Lstat(at)
	}
	switch {
	case err != nil || !last && !fi.IsDir() && fi.Mode()&fs.ModeSymlink == 0:
		w.miss(shown, append(slices.Clone(names), at), parts, plain)
	case fi.Mode()&fs.ModeSymlink != 0:
		names = append(slices.Clone(names), at)
		to, err := os.Readlink(at)
		if w.links++; err != nil || to == "" || w.links > maxLinks {
			w.miss(shown, names, parts, plain)
			return
		}
		if filepath.IsAbs(to) {
			real = "/"
		}
		w.rest(real, shown, names, append(split(to, true), parts[1:]...), plain)
		w.links--
	default:
		w.rest(at, shown, names, parts[1:], plain)
	}
}

// rest goes on below at, or ends there.
func (w *walk) rest(at, shown string, names []string, parts []part, plain bool) {
	if len(parts) > 0 {
		w.down(at, shown, names, parts, plain)
		return
	}
	fi, err := os.Stat(at)
	regular := err == nil && fi.Mode().IsRegular()
	if !regular && !plain && !w.known(shown) {
		return // a folder or a socket that a wildcard matches
	}
	own, err := os.Lstat(shown)
	t := &target{
		path: shown, names: append(slices.Clone(names), at), exists: regular,
		link: err == nil && own.Mode()&fs.ModeSymlink != 0,
	}
	if regular {
		t.id = infoOf(fi).id
	}
	w.add(t)
}

// miss ends where the way does: there will be a file one day.
func (w *walk) miss(shown string, names []string, parts []part, plain bool) {
	for _, p := range parts[1:] {
		if !p.hidden && isPattern(p.name) {
			return
		}
		if !p.hidden {
			shown = filepath.Join(shown, p.name)
		}
	}
	if plain {
		w.add(&target{path: shown, names: names})
	}
}

func (w *walk) add(t *target) {
	for _, n := range t.names {
		t.polled = t.polled || !w.folders.listens(n)
	}
	w.out = append(w.out, t)
}
