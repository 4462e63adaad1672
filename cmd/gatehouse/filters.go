package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse/internal/api"
	"gatehouse/internal/app"
	"gatehouse/internal/config"
	"gatehouse/internal/fail2ban"
)

// filterPrefix begins an argument that names a filter of fail2ban, or in brackets
// one of its jails.
const filterPrefix = "fail2ban:"

// filterNamed loads the filter of fail2ban that an argument means: by its name
// behind fail2ban:, or by its file. ok is false where it means something else.
func (e *env) filterNamed(arg string) (in *fail2ban.Installed, ok bool, err error) {
	folder := ""
	if spec, named := strings.CutPrefix(arg, filterPrefix); named {
		folder = e.filterFolder()
		in, err = fail2ban.Open(os.DirFS(folder)).Load(spec)
	} else {
		ext := filepath.Ext(arg)
		if ext != ".conf" && ext != ".local" || !isFile(arg) {
			return nil, false, nil
		}
		full, err := filepath.Abs(arg)
		if err != nil {
			return nil, true, err
		}
		folder = filepath.Dir(filepath.Dir(full))
		if filepath.Base(filepath.Dir(full)) != "filter.d" {
			return nil, true, failed("put it there: a filter includes files that lie beside it", "%s: a filter of fail2ban lies in a folder filter.d", arg)
		}
		in, err = fail2ban.LoadFile(os.DirFS(folder), full)
		if err != nil {
			return nil, true, filterFailure(folder, arg, err)
		}
		return in, true, nil
	}
	if err != nil {
		return nil, true, filterFailure(folder, arg, err)
	}
	return in, true, nil
}

// filterFolder returns the configured folder of fail2ban.
func (e *env) filterFolder() string {
	if c, err := e.settings(); err == nil {
		return c.Filters
	}
	return "/etc/fail2ban"
}

// filterFailure tells what keeps a filter from being used, each problem with its
// place.
func filterFailure(folder, what string, err error) error {
	out := &api.Error{Message: what + ": the filter cannot be used"}
	if _, e := os.Stat(filepath.Join(folder, "filter.d")); errors.Is(e, fs.ErrNotExist) {
		out.Hint = "there is no folder filter.d in " + folder + ": set filters: in the configuration"
	}
	for _, p := range filterProblems(folder, fail2ban.Problems(err)) {
		out.Problems = append(out.Problems, api.Problem{File: p.File, Line: p.Line, Column: p.Column, Error: p.What, Hint: p.Hint})
	}
	return out
}

// filterProblems places problems of a filter in the files of its folder.
func filterProblems(folder string, ps []fail2ban.Problem) (out []config.Problem) {
	for _, p := range ps {
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

// filterDoc is what rules show tells of a filter of fail2ban.
type filterDoc struct {
	Filter      string   `json:"filter"`
	Files       []string `json:"files"` // that it was read from
	UseDNS      string   `json:"usedns"`
	MaxLines    int      `json:"maxlines"`
	Prefix      string   `json:"prefregex,omitempty"`
	Expressions []string `json:"failregex"`
	Evidence    string   `json:"evidence"`
	Logs        []string `json:"logs"`    // where its jail looks
	Units       []string `json:"journal"` // the same
	Own         string   `json:"own,omitempty"`
	Remarks     []string `json:"remarks"`
}

// showFilter shows a filter of fail2ban: its expressions as they are matched.
func (e *env) showFilter(in *fail2ban.Installed) error {
	f := in.Filter
	d := filterDoc{
		Filter: in.Spec, Files: orNone(f.Files), UseDNS: f.UseDNS, MaxLines: f.MaxLines, Prefix: f.Prefix(),
		Expressions: orNone(f.Expressions()), Evidence: in.Rule.Evidence.String(), Logs: orNone(in.Files), Units: orNone(in.Units),
		Own: fail2ban.Own(f.Name), Remarks: []string{},
	}
	for _, p := range append(f.Warnings, in.Notes...) {
		d.Remarks = append(d.Remarks, p.Error()+remedy(p.Hint))
	}
	if e.json {
		return e.document(d)
	}
	e.writeRule(in.Rule)
	fmt.Fprintln(e.out)
	var t table
	t.add("  read from", strings.Join(d.Files, ", "))
	t.add("  usedns", d.UseDNS)
	if f.MaxLines > 1 {
		t.add("  maxlines", fmt.Sprint(f.MaxLines))
	}
	if d.Prefix != "" {
		t.add("  prefregex", d.Prefix)
	}
	if d.Own != "" {
		t.add("  our own rule", d.Own+", see: gatehouse rules show "+d.Own)
	}
	for _, r := range d.Remarks {
		t.add("  remark", r)
	}
	return e.columns(t)
}

// remedy puts a hint behind what it is about.
func remedy(hint string) string {
	if hint == "" {
		return ""
	}
	return "; " + hint
}

// splitFilters parts the names of filters of fail2ban from those of rules.
func splitFilters(names []string) (filters, rest []string) {
	for _, n := range names {
		if spec, ok := strings.CutPrefix(n, filterPrefix); ok {
			filters = append(filters, spec)
		} else {
			rest = append(rest, n)
		}
	}
	return filters, rest
}

// filtersOf returns the configured watches of these filters, in their order; one by
// the defaults where there is none.
func filtersOf(configured []config.Watch, specs []string) (out []config.Watch) {
	for _, spec := range specs {
		have := len(out)
		for _, w := range configured {
			if w.Fail2ban == spec {
				out = append(out, w)
			}
		}
		if len(out) == have {
			out = append(out, config.Watch{Fail2ban: spec})
		}
	}
	return out
}

// addFilter adds the watch of a filter of fail2ban to a replay.
func (p *replayPlan) addFilter(c *config.Config, w config.Watch) error {
	if p.filters == nil {
		p.filters = fail2ban.Open(os.DirFS(c.Filters))
	}
	in, err := p.filters.Load(w.Fail2ban)
	if err != nil {
		return filterFailure(c.Filters, filterPrefix+w.Fail2ban, err)
	}
	app.WatchFilter(in, &w)
	name := in.Rule.Name
	for n := 2; slices.ContainsFunc(p.watches, func(o logWatch) bool { return o.Name == name }); n++ {
		name = fmt.Sprintf("%s.%d", in.Rule.Name, n)
	}
	p.add(c, in.Rule, name, w)
	p.watches[len(p.watches)-1].Filter = in
	return nil
}
