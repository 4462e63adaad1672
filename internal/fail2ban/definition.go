package fail2ban

import (
	"maps"
	"slices"
	"strings"
)

// filterOptions are the options of a filter that have a meaning of their own;
// all others are names to be referred to.
var filterOptions = []string{"usedns", "prefregex", "ignoreregex", "failregex", "maxlines", "datepattern", "journalmatch"}

// definition is what a file of filter.d or action.d says, everything replaced.
type definition struct {
	conf *config
	opts tags
}

// at returns where an option was set.
func (d *definition) at(name string) Position {
	if o, ok := d.conf.raw("Definition", name, nil); ok {
		return o.at
	}
	if o, ok := d.conf.raw("Init", name, nil); ok {
		return o.at
	}
	if len(d.conf.files) > 0 {
		return Position{File: d.conf.files[0]}
	}
	return Position{}
}

// define reads a definition. What takes precedence: args, then jail, then the
// section Init, then Definition, then DEFAULT. Want lists the options that are
// wanted; nil wants all.
func define(l *loader, base string, want []string, args, jail values) (*definition, error) {
	conf, err := l.load(base)
	if err != nil {
		return nil, err
	}
	d := &definition{conf: conf, opts: tags{values: map[string]string{}}}
	vars := values{}
	for _, from := range []values{jail, args} {
		for k, v := range from {
			vars[strings.ToLower(k)] = v
		}
	}
	sect := conf.sections["Definition"]
	if sect == nil {
		return nil, &Problem{Position{File: conf.files[0]}, "there is no section [Definition]", "a filter is written below [Definition]"}
	}
	for _, name := range d.wanted(want, sect) {
		if _, given := vars[name]; given {
			continue
		}
		v, ok, err := conf.get("Definition", name, vars)
		if err != nil {
			return nil, err
		}
		if ok {
			d.opts.set(name, v)
		}
	}
	if err := d.init(args); err != nil {
		return nil, err
	}
	var failed error
	err = d.opts.resolve(func(tag string) (string, bool) {
		v, ok, err := conf.getTag("Definition", tag, vars)
		if err != nil && failed == nil {
			failed = err
		}
		return v, ok && err == nil
	})
	if err != nil {
		return nil, &Problem{conf.at["Definition"], err.Error(), "look for tags that stand for themselves"}
	}
	return d, nil
}

func (d *definition) wanted(want []string, sect *section) []string {
	if want != nil {
		return want
	}
	out := slices.Clone(sect.names)
	for _, n := range d.conf.defaults.names {
		if _, own := sect.options[n]; !own {
			out = append(out, n)
		}
	}
	return out
}

// init adds the arguments, and the section Init behind them.
func (d *definition) init(args values) error {
	for _, k := range slices.Sorted(maps.Keys(args)) {
		d.opts.set(k, args[k])
	}
	sect := d.conf.sections["Init"]
	if sect == nil {
		return nil
	}
	for _, name := range sect.names {
		v, _, err := d.conf.get("Init", name, nil)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(name, "known/") {
			d.opts.set("known/"+name, v)
		}
		if _, given := args[name]; !given {
			d.opts.set(name, v)
		}
	}
	return nil
}

// lines splits an option into its lines, without empty ones.
func (d *definition) lines(name string) (out []string) {
	for line := range strings.SplitSeq(d.opts.values[name], "\n") {
		if line != "" {
			out = append(out, line)
		}
	}
	return out
}
