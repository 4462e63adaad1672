package fail2ban

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// jailReader reads one jail.
type jailReader struct {
	l    *loader
	conf *config
	jail Jail
}

func (r *jailReader) at(opt string) Position {
	if o, ok := r.conf.raw(r.jail.Name, opt, nil); ok {
		return o.at
	}
	return r.jail.At
}

func (r *jailReader) problem(opt, text, hint string) {
	r.jail.Problems = append(r.jail.Problems, Problem{r.at(opt), fmt.Sprintf("jail %s: %s", r.jail.Name, text), hint})
}

// get returns an option; "" = not set.
func (r *jailReader) get(opt string) string {
	v, _, err := r.conf.get(r.jail.Name, opt, nil)
	if err != nil {
		r.jail.Problems = append(r.jail.Problems, problems(err, r.at(opt))...)
		return ""
	}
	return v
}

func (r *jailReader) read() {
	j := &r.jail
	j.Enabled = isTrue(r.get("enabled"))
	j.Backend = orElse(r.get("backend"), "auto")
	r.filter()
	r.sources()
	j.MaxRetry = r.number("maxretry", 5)
	j.MaxMatches = r.number("maxmatches", j.MaxRetry)
	j.FindTime = r.duration("findtime", 10*time.Minute)
	if j.BanTime = r.duration("bantime", 10*time.Minute); j.BanTime < 0 {
		j.BanTime = gate.Forever
	}
	r.increment()
	r.exempt()
	j.Port, j.Protocol, j.Chain = r.get("port"), r.get("protocol"), r.get("chain")
	r.actions()
	r.overrides()
	r.unknown()
	// An option that is read several times is told once.
	told := map[string]bool{}
	j.Problems = slices.DeleteFunc(j.Problems, func(p Problem) bool {
		again := told[p.Error()]
		told[p.Error()] = true
		return again
	})
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func isTrue(s string) bool {
	return slices.Contains([]string{"1", "on", "true", "yes"}, strings.ToLower(s))
}

func (r *jailReader) number(opt string, other int) int {
	s := r.get(opt)
	if s == "" {
		return other
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		r.problem(opt, fmt.Sprintf("%s = %q is not a number", opt, clip(s)), fmt.Sprintf("%d is taken instead", other))
		return other
	}
	return n
}

func (r *jailReader) duration(opt string, other time.Duration) time.Duration {
	s := r.get(opt)
	if s == "" {
		return other
	}
	d, err := ParseTime(s)
	if err != nil {
		r.problem(opt, fmt.Sprintf("%s: %v", opt, err), fmt.Sprintf("%s is taken instead", gate.FormatDuration(other)))
		return other
	}
	return d
}

// filter reads which filter it is, and makes its values known to the jail.
func (r *jailReader) filter() {
	spec := r.get("filter")
	if spec == "" {
		if r.jail.Enabled && r.get("failregex") == "" {
			r.problem("filter", "there is no filter", "write filter = NAME")
		}
		return
	}
	call, err := ParseCall(spec)
	if err != nil {
		r.problem("filter", "filter "+err.Error(), `write name or name[key="value"]`)
		return
	}
	r.jail.Filter = call
	sect := r.conf.sections[r.jail.Name]
	if !r.mentionsKnown(sect) && !r.mentionsKnown(r.conf.defaults) {
		return
	}
	args := values{}
	maps.Copy(args, call.Args)
	if strings.HasPrefix(r.jail.Backend, "systemd") && args["logtype"] == "" {
		args["logtype"] = "journal"
	}
	vars := values{"backend": r.jail.Backend, "filter": spec, "enabled": r.get("enabled")}
	d, err := define(r.l, baseOf("filter.d", call.Name), nil, args, vars)
	if err != nil {
		if r.jail.Enabled {
			r.jail.Problems = append(r.jail.Problems, problems(err, r.at("filter"))...)
		}
		return
	}
	for _, n := range d.opts.names {
		sect.set("known/"+n, option{d.opts.values[n], d.at(n)})
	}
}

// mentionsKnown reports whether a value refers to one of the filter.
func (r *jailReader) mentionsKnown(s *section) bool {
	for _, n := range s.names {
		if strings.Contains(strings.ToLower(s.options[n].value), "%(known/") {
			return true
		}
	}
	return false
}

// sources reads logs and journal.
func (r *jailReader) sources() {
	j := &r.jail
	for line := range strings.SplitSeq(r.get("logpath"), "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		p := Log{Path: line}
		if i := strings.LastIndexByte(line, ' '); i > 0 {
			switch line[i+1:] {
			case "tail":
				p = Log{strings.TrimSpace(line[:i]), true}
			case "head":
				p.Path = strings.TrimSpace(line[:i])
			default:
				r.problem("logpath", fmt.Sprintf("%q behind the path is neither head nor tail", clip(line[i+1:])), "put one pattern on a line; head is taken")
				p.Path = strings.TrimSpace(line[:i])
			}
		}
		j.Logs = append(j.Logs, p)
	}
	for m := range strings.SplitSeq(r.get("journalmatch"), "\n") {
		words, err := splitWords(m)
		if err != nil {
			r.problem("journalmatch", err.Error(), "")
		} else if len(words) > 0 {
			j.Journal = append(j.Journal, words)
		}
	}
	if z := r.get("logtimezone"); z != "" {
		if minutes, err := ParseZone(z); err != nil {
			r.problem("logtimezone", err.Error(), "the machine's zone is taken")
		} else {
			j.Zone = &minutes
		}
	}
	j.Encoding = r.get("logencoding")
}

func (r *jailReader) increment() {
	in := &r.jail.Increment
	in.Enabled = isTrue(r.get("bantime.increment"))
	in.AllJails = isTrue(r.get("bantime.overalljails"))
	in.Formula = strings.TrimSpace(r.get("bantime.formula"))
	in.MaxTime = r.duration("bantime.maxtime", 0)
	in.RandomTime = r.duration("bantime.rndtime", 0)
	if s := strings.TrimSpace(r.get("bantime.factor")); s != "" {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || f <= 0 {
			r.problem("bantime.factor", fmt.Sprintf("bantime.factor = %q is not a number above zero", clip(s)), "1 is taken instead")
			f = 1
		}
		in.Factor = f
	}
	for s := range strings.FieldsSeq(r.get("bantime.multipliers")) {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || f <= 0 {
			r.problem("bantime.multipliers", fmt.Sprintf("%q is not a number above zero", clip(s)), "it is left out")
			continue
		}
		in.Multipliers = append(in.Multipliers, f)
	}
}

func (r *jailReader) exempt() {
	j := &r.jail
	j.IgnoreSelf = isTrue(orElse(r.get("ignoreself"), "true"))
	j.IgnoreCommand = r.get("ignorecommand")
	j.IgnoreIP = strings.FieldsFunc(r.get("ignoreip"), func(c rune) bool { return c == ',' || isSpace(c) })
}

func (r *jailReader) actions() {
	for _, s := range splitCalls(r.get("action")) {
		c, err := ParseCall(s)
		if err != nil {
			r.problem("action", "action "+err.Error(), "it is left out")
			continue
		}
		r.jail.Actions = append(r.jail.Actions, c)
	}
}

// overrides collects what takes precedence over the filter: its own options
// where the jail sets them, and what else fail2ban reads of a jail, for the
// filter to refer to.
func (r *jailReader) overrides() {
	set := map[string]string{}
	for _, opt := range slices.Concat(jailOptions, filterOptions) {
		if _, ok := r.conf.raw(r.jail.Name, opt, nil); !ok {
			continue
		}
		if v, _, err := r.conf.get(r.jail.Name, opt, nil); err == nil {
			set[opt] = v
		} else if slices.Contains(filterOptions, opt) {
			r.jail.Problems = append(r.jail.Problems, problems(err, r.at(opt))...)
		}
	}
	r.jail.Set = set
}

var refersTo = regexp.MustCompile(`%\(([^)]+)\)s`)

// unknown reports options that nothing reads: most are misspelt.
func (r *jailReader) unknown() {
	sect := r.conf.sections[r.jail.Name]
	used := map[string]bool{}
	for _, s := range []*section{sect, r.conf.defaults} {
		for _, n := range s.names {
			for _, m := range refersTo.FindAllStringSubmatch(s.options[n].value, -1) {
				_, name, _ := strings.Cut("/"+m[1], "/")
				used[strings.ToLower(name)] = true
			}
		}
	}
	for _, n := range sect.names {
		if used[n] || has(r.conf.defaults, n) || strings.HasPrefix(n, "known/") || slices.Contains(slices.Concat(jailOptions, filterOptions, usualOptions), n) {
			continue
		}
		r.problem(n, fmt.Sprintf("nothing reads the option %s", n), "look for a misspelling")
	}
}
