package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/app"
	"gatehouse/internal/config"
	"gatehouse/internal/detect"
	"gatehouse/internal/fail2ban"
	"gatehouse/internal/gate"
	"gatehouse/internal/policy"
	"gatehouse/internal/replay"
	"gatehouse/internal/rules"
)

// replayPlan is what a configuration means for a replay.
type replayPlan struct {
	watches []logWatch
	chosen  bool // by --rule: they run on every log
	detect  detect.Config
	policy  policy.Config
	filters *fail2ban.Installation // opened when it is first needed
}

// logWatch is one watch with the files that it names.
type logWatch struct {
	replay.Watch
	files []string // globs of absolute paths
}

// replayPlan works out what may run: the watches of the configuration and, by the
// defaults, the rules that it does not watch; or those that are named.
func (e *env) replayPlan(c *config.Config, names []string) (*replayPlan, error) {
	p := &replayPlan{chosen: len(names) > 0}
	p.policy, p.detect.Scores = app.Judging(c), app.Scores(c)
	book := rulesWith(c.Rules)
	wanted := c.Watch
	if p.chosen {
		filters, rest := splitFilters(names)
		var chosen []*rules.Rule
		if len(rest) > 0 {
			var err error
			if chosen, err = e.named("replay", rest); err != nil {
				return nil, err
			}
		}
		for _, r := range chosen {
			book = append(slices.DeleteFunc(book, func(o *rules.Rule) bool { return o.Name == r.Name }), r)
		}
		wanted = append(watchesOf(c.Watch, chosen), filtersOf(c.Watch, filters)...)
	}
	own := map[string]int{} // watches of a rule so far
	for _, w := range c.Watch {
		if !w.Auto {
			own[w.Rule] = 0
			own[app.OwnOf(w.Fail2ban)] = 0
		}
	}
	for _, w := range wanted {
		if w.Auto {
			for _, r := range book {
				if _, named := own[r.Name]; !named {
					p.add(c, r, r.Name, config.Watch{})
				}
			}
			continue
		}
		if w.Fail2ban != "" {
			if err := p.addFilter(c, w); err != nil {
				if p.chosen {
					return nil, err
				}
				e.report(err)
			}
			continue
		}
		i := slices.IndexFunc(book, func(r *rules.Rule) bool { return r.Name == w.Rule })
		if i < 0 {
			e.remark("watch %s: there is no such rule, or it is broken; see: gatehouse check", w.Rule)
			continue
		}
		own[w.Rule]++
		name := w.Rule
		if n := own[w.Rule]; n > 1 {
			name = fmt.Sprintf("%s.%d", w.Rule, n)
		}
		p.add(c, book[i], name, w)
	}
	for _, r := range book {
		if !p.chosen && !slices.ContainsFunc(p.watches, func(w logWatch) bool { return w.Rule == r }) {
			p.add(c, r, r.Name, config.Watch{})
			p.watches[len(p.watches)-1].files = nil // it runs where no watch names the log, and it knows the lines
		}
	}
	return p, nil
}

// watchesOf returns the configured watches of these rules, in their order; one by
// the defaults where there is none.
func watchesOf(configured []config.Watch, rs []*rules.Rule) (out []config.Watch) {
	for _, r := range rs {
		have := len(out)
		for _, w := range configured {
			if !w.Auto && w.Rule == r.Name {
				out = append(out, w)
			}
		}
		if len(out) == have {
			out = append(out, config.Watch{Rule: r.Name})
		}
	}
	return out
}

// add adds one watch to what each part has to know.
func (p *replayPlan) add(c *config.Config, r *rules.Rule, name string, w config.Watch) {
	threshold := w.Threshold
	for _, t := range []gate.Threshold{r.Threshold, c.Threshold} {
		if threshold == (gate.Threshold{}) {
			threshold = t
		}
	}
	files := w.Files
	if len(files) == 0 {
		files = r.Sources.Files
	}
	p.watches = append(p.watches, logWatch{replay.Watch{Name: name, Rule: r}, files})
	p.detect.Watches = append(p.detect.Watches, detect.Watch{Name: name, Threshold: threshold})
	p.policy.Watches = append(p.policy.Watches, policy.Watch{Name: name, Ladder: w.Ban, Ports: w.Ports, Noun: r.Noun})
}

// all returns every watch.
func (p *replayPlan) all() []replay.Watch {
	var out []replay.Watch
	for _, w := range p.watches {
		out = append(out, w.Watch)
	}
	return out
}

// naming returns the watches that name a log: by its path, else by its last name
// alone, for a log that was brought from elsewhere.
func (p *replayPlan) naming(path string) (out []replay.Watch) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil
	}
	folder, name := filepath.Split(path)
	for _, here := range []bool{true, false} {
		for _, w := range p.watches {
			if slices.ContainsFunc(w.files, func(glob string) bool { return names(glob, folder, name, here) }) {
				out = append(out, w.Watch)
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	return nil
}

// names reports whether a glob names a log, or one that this is a rotation of; here
// says that the folder counts, too.
func names(glob, folder, name string, here bool) bool {
	for _, n := range []string{name, unrotated(name)} {
		if here {
			n = folder + n
		} else {
			glob = filepath.Base(glob)
			if strings.Trim(glob, "*?") == "" {
				return false // it would be anything
			}
		}
		if ok, err := filepath.Match(glob, n); ok && err == nil {
			return true
		}
	}
	return false
}

// rotated is what logrotate and others make of a log's name: auth.log.1,
// auth.log.2.gz, auth.log-20261121, auth-20261121.log, auth.log.old.
var rotated = regexp.MustCompile(`^(.+?)(?:\.old|\.[0-9]{1,4}|[-_.][0-9]{4}-?[0-9]{2}-?[0-9]{2}[-_.T:0-9]*|-[0-9]{9,10})(\.[a-z]+)?$`)

// unrotated returns the name of the log that this is a rotation of, or its own.
func unrotated(name string) string {
	name = strings.TrimSuffix(name, ".gz")
	if m := rotated.FindStringSubmatch(name); m != nil {
		return m[1] + m[2]
	}
	return name
}
