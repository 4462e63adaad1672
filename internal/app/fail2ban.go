package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse/internal/config"
	"gatehouse/internal/detect"
	"gatehouse/internal/fail2ban"
)

// filterShelf is the installation of fail2ban that a configuration names; it is
// opened when it is first needed. The zero value is ready.
type filterShelf struct {
	folder    string
	installed *fail2ban.Installation
}

// load compiles a filter.
func (s *filterShelf) load(folder, spec string) (*fail2ban.Installed, error) {
	if s.installed == nil || s.folder != folder {
		s.folder, s.installed = folder, fail2ban.Open(os.DirFS(folder))
	}
	return s.installed.Load(spec)
}

// OwnOf returns the built-in rule whose place a filter takes; "" = none.
func OwnOf(spec string) string {
	name, _, _ := strings.Cut(strings.Trim(spec, "[]"), "[")
	return fail2ban.Own(strings.TrimSpace(name))
}

// filter adds the watch of an entry with a filter of fail2ban. One that cannot be
// used is left out and named; it stops nothing else.
func (p *plan) filter(s *filterShelf, w config.Watch) {
	in, err := s.load(p.config.Filters, w.Fail2ban)
	if err == nil && !isSourced(w) && len(in.Files)+len(in.Units) == 0 {
		err = errors.New(noSource)
	}
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		p.broken["fail2ban "+w.Fail2ban] = first
		return
	}
	WatchFilter(in, &w)
	name := in.Rule.Name
	for n := 2; slices.ContainsFunc(p.detect.Watches, func(o detect.Watch) bool { return o.Name == name }); n++ {
		name = fmt.Sprintf("%s.%d", in.Rule.Name, n)
	}
	p.watch(in.Rule, name, w)
	p.logs.Watches[len(p.logs.Watches)-1].Filter = in
}

const noSource = "it is not said where to look: no jail of fail2ban that runs it names a log"

// isSourced reports whether an entry says where to look.
func isSourced(w config.Watch) bool {
	return len(w.Files)+len(w.Journal)+len(w.Command) > 0 || w.Syslog != ""
}

// WatchFilter completes an entry with what the jail of its filter says: where to
// look, if the entry does not.
func WatchFilter(in *fail2ban.Installed, w *config.Watch) {
	if isSourced(*w) {
		return
	}
	switch {
	case in.Journal && len(in.Units) > 0:
		w.Journal = withInstances(in.Units)
	case len(in.Units) == 0:
		w.Files = in.Files
	}
}

// FilterProblems returns what keeps a filter of fail2ban in a folder from being
// used, with places in its files, as the configuration tells it; sourced says that
// the entry of watch names its sources.
func FilterProblems(folder, spec string, sourced bool) (out []config.Problem) {
	var s filterShelf
	in, err := s.load(folder, spec)
	if err == nil {
		if !sourced && len(in.Files)+len(in.Units) == 0 {
			return []config.Problem{{What: noSource, Hint: "add files: [/var/log/…] to the entry"}}
		}
		return nil
	}
	for _, p := range fail2ban.Problems(err) {
		c := config.Problem{Line: p.At.Line, What: p.Text, Hint: p.Hint}
		if p.At.File != "" {
			c.File = filepath.Join(folder, p.At.File)
		}
		if c.Line > 0 {
			c.Column = 1
		}
		out = append(out, c)
	}
	return out
}
