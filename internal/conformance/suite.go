package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// suite is a set of filters and the sample logs for them.
type suite struct {
	root    fs.FS  // holds conf
	conf    string // directory below root that has filter.d
	logs    fs.FS  // one file a filter
	filters []string
}

// findSuites finds what dir holds.
func findSuites(dir string) (out []suite, err error) {
	type layout struct{ root, conf, pkg string }
	layouts := []layout{
		{dir, "config", "fail2ban"},
		{filepath.Join(dir, "etc/fail2ban"), ".", "../../usr/lib/python3/dist-packages/fail2ban"},
		{"/etc/fail2ban", ".", dir},
	}
	for _, l := range layouts {
		pkg := l.pkg
		if !filepath.IsAbs(pkg) && pkg != dir {
			pkg = filepath.Join(l.root, pkg)
		}
		logs := filepath.Join(pkg, "tests/files/logs")
		if !isDir(filepath.Join(l.root, l.conf, "filter.d")) || !isDir(logs) {
			continue
		}
		s := suite{root: os.DirFS(l.root), conf: l.conf, logs: os.DirFS(logs)}
		if err := s.list(func(n string) bool { return !strings.HasSuffix(n, "common") }); err != nil {
			return nil, err
		}
		out = append(out, s)
		// A source tree also has filters that are there for tests only; they
		// include files of the tree.
		own := filepath.Join(l.pkg, "tests/config")
		if filepath.IsLocal(own) && isDir(filepath.Join(l.root, own, "filter.d")) {
			t := suite{root: s.root, conf: filepath.ToSlash(own), logs: s.logs}
			if err := t.list(func(n string) bool { return strings.HasPrefix(n, "zzz-") }); err != nil {
				return nil, err
			}
			out = append(out, t)
		}
		return out, nil
	}
	return nil, fmt.Errorf("%s holds neither a source tree of fail2ban nor its package with sample logs", dir)
}

func isDir(p string) bool {
	info, err := os.Stat(p)
	return err == nil && info.IsDir()
}

// list fills in the filters whose names are wanted.
func (s *suite) list(want func(string) bool) error {
	entries, err := fs.ReadDir(s.root, filepath.ToSlash(filepath.Join(s.conf, "filter.d")))
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".conf")
		if ok && want(name) {
			s.filters = append(s.filters, name)
		}
	}
	slices.Sort(s.filters)
	return nil
}

// result counts evaluations.
type result struct{ agree, all, known int }

// check runs all filters of the suite.
func (s *suite) check(report func(string)) (total result) {
	for _, name := range s.filters {
		r := runner{suite: s, filter: name, report: report, tests: map[string]*test{}}
		r.run()
		total.agree += r.agree
		total.all += r.all
		total.known += r.known
	}
	return total
}
