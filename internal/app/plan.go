package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/config"
	"gatehouse/internal/detect"
	"gatehouse/internal/firewall"
	"gatehouse/internal/gate"
	"gatehouse/internal/logs"
	"gatehouse/internal/notify"
	"gatehouse/internal/policy"
	"gatehouse/internal/rules"
)

// plan is what a configuration means for each part: everything that a reload
// builds new before it touches anything old.
type plan struct {
	config   *config.Config
	logs     logs.Config
	detect   detect.Config
	policy   policy.Config
	firewall firewall.Config
	broken   map[string]string // rule file -> what is wrong with it; that rule is off
}

// maxRuleFile bounds the size of a rule file in bytes.
const maxRuleFile = 1 << 20

// newPlan works out what a configuration means. A rule that is broken or that is
// not there is left out and named; it stops nothing else.
func newPlan(c *config.Config) *plan {
	p := &plan{config: c, broken: map[string]string{}}
	p.policy, p.detect.Scores = Judging(c), Scores(c)
	named := map[string]bool{}
	var wanted []string
	for _, w := range c.Watch {
		named[w.Rule] = true
		wanted = append(wanted, w.Rule)
		named[OwnOf(w.Fail2ban)] = true
		if w.Auto {
			wanted = append(wanted, rules.BuiltinNames()...)
		}
	}
	slices.Sort(wanted)
	library := p.library(c.Rules, slices.Compact(wanted))
	var filters filterShelf
	for i, w := range c.Watch {
		switch {
		case w.Auto:
			for _, r := range library {
				if !named[r.Name] && !r.Optional {
					p.watch(r, r.Name, config.Watch{Rule: r.Name, Auto: true})
				}
			}
		case w.Fail2ban != "":
			p.filter(&filters, w)
		default:
			r := find(library, w.Rule)
			if r == nil {
				p.broken["watch "+w.Rule] = "there is no such rule, or it is broken"
				continue
			}
			p.watch(r, watchName(c.Watch[:i], w.Rule), w)
		}
	}
	p.watchScans(&c.Scan)
	p.firewall = firewall.Config{OpenFile: firewall.DefaultOpenFile}
	if c.Firewall.Verdict == "reject" {
		p.firewall.Verdict = firewall.Reject
	}
	return p
}

// watchName is the name of a watch: that of its rule, numbered from the second
// watch of the same rule on.
func watchName(earlier []config.Watch, rule string) string {
	n := 1
	for _, w := range earlier {
		if w.Rule == rule {
			n++
		}
	}
	if n == 1 {
		return rule
	}
	return fmt.Sprintf("%s.%d", rule, n)
}

func find(library []*rules.Rule, name string) *rules.Rule {
	if i := slices.IndexFunc(library, func(r *rules.Rule) bool { return r.Name == name }); i >= 0 {
		return library[i]
	}
	return nil
}

// watch adds one watch to what each part has to know.
func (p *plan) watch(r *rules.Rule, name string, w config.Watch) {
	threshold := w.Threshold
	if threshold == (gate.Threshold{}) {
		threshold = r.Threshold
	}
	if threshold == (gate.Threshold{}) {
		threshold = p.config.Threshold
	}
	lw := logWatch(r, name, w, w.Auto)
	lw.Proxies = p.config.TrustedProxies(w)
	p.logs.Watches = append(p.logs.Watches, lw)
	p.logs.Lookback = max(p.logs.Lookback, min(threshold.Within, maxLookback))
	p.detect.Watches = append(p.detect.Watches, detect.Watch{Name: name, Threshold: threshold})
	p.policy.Watches = append(p.policy.Watches, policy.Watch{Name: name, Ladder: w.Ban, Ports: w.Ports, Noun: r.Noun})
}

// maxLookback is how far back a log counts at most that is read for the first
// time.
const maxLookback = 30 * 24 * time.Hour

// library returns the built-in rules that are wanted and those of the folder,
// which take the place of built-in ones of the same name.
func (p *plan) library(folder string, wanted []string) []*rules.Rule {
	list := rules.BuiltinNamed(wanted...)
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		p.broken[folder] = err.Error()
	}
	for _, file := range files {
		r, err := readRule(file)
		if err != nil {
			p.broken[file] = err.Error()
			continue
		}
		list = slices.DeleteFunc(list, func(o *rules.Rule) bool { return o.Name == r.Name })
		list = append(list, r)
	}
	return list
}

// readRule reads a rule from a file of the operator's.
func readRule(file string) (*rules.Rule, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxRuleFile {
		return nil, errors.New("it is not a regular file of at most 1 MB")
	}
	src, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r, err := rules.Parse(file, src)
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return nil, errors.New(strings.TrimPrefix(first, file+":"))
	}
	return r, nil
}

// ruleExists is what the configuration asks about the names of rules.
func ruleExists(folder, name string) (near string, ok bool) {
	if rules.IsBuiltin(name) {
		return "", true
	}
	_, err := os.Stat(filepath.Join(folder, name+".yaml"))
	return "", err == nil
}

// readConfig reads the configuration at path, or where path is the default one
// and there is none, that of an empty file.
func readConfig(path string, getenv func(string) string) (*config.Config, error) {
	o := config.Options{UID: os.Geteuid(), Env: getenv, RuleExists: ruleExists, PortsProblems: PortsProblems, PushURLProblem: notify.CheckPushURL, KindExists: notify.KnownKind}
	if path != "" {
		return config.Load(path, o)
	}
	c, err := config.Load(config.Path, o)
	if errors.Is(err, fs.ErrNotExist) {
		return config.Default(o)
	}
	return c, err
}
