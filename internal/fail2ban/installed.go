package fail2ban

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"gatehouse/internal/gate"
	"gatehouse/internal/rules"
)

// Installation is a configuration directory of fail2ban. Its jails are read once,
// when they are first asked for. It is not for concurrent use.
type Installation struct {
	fsys  fs.FS
	read  bool
	jails []Jail
	err   error
}

// Open returns the installation whose configuration directory is fsys. Nothing
// is read yet.
func Open(fsys fs.FS) *Installation { return &Installation{fsys: fsys} }

// Jails returns the jails in their order, disabled ones included; see ReadJails.
func (in *Installation) Jails() ([]Jail, error) {
	if !in.read {
		in.jails, in.err = ReadJails(in.fsys)
		in.read = true
	}
	return in.jails, in.err
}

// Installed is a filter of an installation, with all that a watch needs of it.
type Installed struct {
	// Spec names it: name[arguments] of a filter, or [name] of a jail.
	Spec   string
	Filter *Filter
	// Rule stands for the filter where rules are named: it says what its failures
	// are called and what they prove, and has a pattern for each failregex, named
	// failregex-1 and so on. It is for telling, not for a rules.Matcher.
	Rule *rules.Rule
	// Files and Units are where its jail looks: patterns of absolute paths, and
	// units of systemd.
	Files []string
	Units []string
	// Journal says that the jail looks in the journal only.
	Journal bool
	// Offset is the jail's logtimezone in minutes east of UTC; nil = none.
	Offset *int
	// Notes are what of its jail could not be taken over.
	Notes []Problem
}

// Load compiles the filter that spec names: name[arguments] is a filter, [name]
// is a jail, whose filter it is with all that the jail changes of it. The
// sources are those of the jail that runs the filter: an enabled one before
// others. The error is a *Problem, or several joined.
func (in *Installation) Load(spec string) (*Installed, error) {
	spec = strings.TrimFunc(spec, isSpace)
	if name, ok := jailSpec(spec); ok {
		return in.loadJail(name)
	}
	call, err := ParseCall(spec)
	if err != nil {
		return nil, &Problem{Text: "filter " + err.Error(), Hint: `write name or name[key="value"]`}
	}
	out := &Installed{Spec: spec}
	if j := in.jailOf(call); j != nil {
		out.sources(j)
	}
	if out.Filter, err = compileCall(newLoader(in.fsys), call, Options{}); err != nil {
		return nil, err
	}
	out.finish()
	return out, nil
}

// LoadFile compiles a filter from its file, without a jail.
func LoadFile(fsys fs.FS, file string) (*Installed, error) {
	f, err := Compile(fsys, strings.TrimSuffix(path.Base(file), path.Ext(file)), Options{})
	if err != nil {
		return nil, err
	}
	out := &Installed{Spec: f.Name, Filter: f}
	out.finish()
	return out, nil
}

// jailSpec reports whether a spec names a jail, and which.
func jailSpec(spec string) (string, bool) {
	if len(spec) > 2 && spec[0] == '[' && strings.IndexByte(spec, ']') == len(spec)-1 {
		return spec[1 : len(spec)-1], true
	}
	return "", false
}

func (in *Installation) loadJail(name string) (*Installed, error) {
	jails, err := in.Jails()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(jails, func(j Jail) bool { return j.Name == name })
	if i < 0 {
		return nil, &Problem{At: Position{File: "jail.conf"}, Text: fmt.Sprintf("there is no jail [%s]", clip(name)), Hint: "name a section of the jail files"}
	}
	return in.Jail(&jails[i])
}

// Jail compiles the filter of a jail, with all that the jail changes of it.
func (in *Installation) Jail(j *Jail) (*Installed, error) {
	out := &Installed{Spec: "[" + j.Name + "]"}
	out.sources(j)
	var err error
	if j.Filter.Name == "" {
		out.Filter, err = compileBare(j)
	} else {
		// What the sensor brings from the journal begins like a line of a file.
		out.Filter, err = compileCall(newLoader(in.fsys), j.Filter, Options{Set: j.Set})
	}
	if err != nil {
		return nil, err
	}
	out.finish()
	out.Rule.Threshold = gate.Threshold{Count: max(1, j.MaxRetry), Within: max(j.FindTime, 1)}
	if j.Protocol == "udp" {
		out.Rule.Evidence = gate.Forgeable
	}
	return out, nil
}

// compileBare compiles the expressions of a jail that has no filter.
func compileBare(j *Jail) (*Filter, error) {
	if strings.TrimSpace(j.Set["failregex"]) == "" {
		return nil, &Problem{j.At, fmt.Sprintf("jail %s has neither a filter nor a failregex", j.Name), "write filter = NAME"}
	}
	d := &definition{conf: &config{document: newDocument(), files: []string{j.At.File}}, opts: tags{values: map[string]string{}}}
	for _, opt := range filterOptions {
		if v, ok := j.Set[opt]; ok {
			d.opts.set(opt, v)
		}
	}
	f := &Filter{Name: j.Name, Files: d.conf.files, MaxLines: 1, UseDNS: "warn"}
	if err := f.build(d, Options{}); err != nil {
		return nil, fmt.Errorf("read the expressions of jail %s: %w", j.Name, err)
	}
	return f, nil
}

// jailOf returns the jail that runs a filter, an enabled one before others, one
// with the same arguments before others; nil if there is none.
func (in *Installation) jailOf(call Call) (best *Jail) {
	jails, err := in.Jails()
	if err != nil {
		return nil // the filter works without
	}
	least := -1
	for i := range jails {
		j := &jails[i]
		if j.Filter.Name != call.Name {
			continue
		}
		worth := 0
		for _, is := range []bool{j.Enabled, j.Filter.String() == call.String(), j.Name == call.Name} {
			if worth <<= 1; is {
				worth++
			}
		}
		if worth > least {
			best, least = j, worth
		}
	}
	return best
}

// sources takes over where a jail looks.
func (in *Installed) sources(j *Jail) {
	note := func(text, hint string) {
		in.Notes = append(in.Notes, Problem{j.At, "jail " + j.Name + ": " + text, hint})
	}
	in.Journal = strings.HasPrefix(j.Backend, "systemd")
	for _, l := range j.Logs {
		p := strings.ReplaceAll(l.Path, "[!", "[^") // Python's glob has the other sign
		if _, err := path.Match(p, ""); err != nil || !path.IsAbs(p) {
			note(fmt.Sprintf("logpath %s is not an absolute path", clip(l.Path)), "name the files in the configuration of Gatehouse")
			continue
		}
		if !slices.Contains(in.Files, p) {
			in.Files = append(in.Files, p)
		}
	}
	in.Offset = j.Zone
	switch strings.ToLower(j.Encoding) {
	case "", "auto", "utf-8", "utf8", "ascii", "us-ascii":
	default:
		if strings.Contains(strings.ToLower(j.Encoding), "16") {
			note("logencoding "+clip(j.Encoding)+" is not read", "have the service write its log in UTF-8")
		}
	}
	in.units(j.Journal, j)
}

// units takes the units out of matches for the journal.
func (in *Installed) units(matches [][]string, j *Jail) {
	for _, m := range matches {
		for _, term := range m {
			field, value, _ := strings.Cut(term, "=")
			switch field {
			case "_SYSTEMD_UNIT":
				if path.Ext(value) == "" {
					value += ".service"
				}
				if !slices.Contains(in.Units, value) {
					in.Units = append(in.Units, value)
				}
			case "+", "_COMM", "SYSLOG_IDENTIFIER", "PRIORITY", "_TRANSPORT":
			default:
				if j != nil {
					in.Notes = append(in.Notes, Problem{j.At, fmt.Sprintf("jail %s: journalmatch %s is not read", j.Name, clip(term)), "name the units in the configuration of Gatehouse: journal: [NAME.service]"})
				}
			}
		}
	}
}

// finish works out what stands for the filter.
func (in *Installed) finish() {
	f := in.Filter
	if len(in.Units) == 0 {
		in.units(f.Journal, nil)
	}
	r := &rules.Rule{
		Name: ruleName(f.Name), Title: "fail2ban's filter " + f.Name, Evidence: gate.Proven,
	}
	for i, expr := range f.Expressions() {
		r.Patterns = append(r.Patterns, rules.Pattern{Name: fmt.Sprintf("failregex-%d", i+1), Class: gate.ClassFailure, Match: expr})
	}
	for _, m := range f.Journal {
		for _, term := range m {
			if field, value, _ := strings.Cut(term, "="); (field == "_COMM" || field == "SYSLOG_IDENTIFIER") && !slices.Contains(r.Programs, value) {
				r.Programs = append(r.Programs, value)
			}
		}
	}
	if unproven[f.Name] {
		r.Evidence = gate.Forgeable
	}
	if like := rules.BuiltinNamed(Own(f.Name)); len(like) == 1 {
		// What our own rule knows of the service holds for the filter as well.
		r.Service, r.Noun, r.Ports = like[0].Service, like[0].Noun, like[0].Ports
		r.Evidence = min(r.Evidence, like[0].Evidence)
		for _, u := range like[0].Sources.Journal {
			if len(in.Units) > 0 && !slices.Contains(in.Units, u) {
				in.Units = append(in.Units, u)
			}
		}
	}
	r.Sources = rules.Sources{Files: in.Files, Journal: in.Units}
	in.Rule = r
}

// ruleName makes a name of a gate of a filter's.
func ruleName(filter string) string {
	b := []byte("fail2ban-" + filter)
	for i, c := range b {
		if !gate.IsName(string(c)) && c != '.' && c != '-' {
			b[i] = '_'
		}
	}
	return string(b[:min(len(b), 60)])
}

// Evidence returns what a failure proves: a name that somebody chose for his own
// address is no proof of whose address it is.
func (in *Installed) Evidence(f *Failure) gate.Evidence {
	if f.Resolve {
		return gate.Forgeable
	}
	return in.Rule.Evidence
}

// Problems takes apart what Load and its like return as an error.
func Problems(err error) []Problem { return problems(err, Position{}) }
