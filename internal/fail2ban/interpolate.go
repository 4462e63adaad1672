package fail2ban

import (
	"fmt"
	"regexp"
	"strings"
)

// Bounds of what values grow to. Python's interpolation goes ten deep.
const (
	maxInterpolation = 10
	maxValue         = 1 << 20 // bytes
)

// values is what names stand for before the sections are asked: what a jail or
// the arguments of a filter say.
type values map[string]string

// get returns the value of an option of a section, or of DEFAULT, with each
// %(name)s replaced. The error is a *Problem.
func (c *config) get(sect, name string, vars values) (value string, found bool, err error) {
	o, ok := c.raw(sect, name, vars)
	if !ok {
		return "", false, nil
	}
	var b strings.Builder
	if err := c.interpolate(&b, o, sect, vars, 1); err != nil {
		return "", true, err
	}
	return b.String(), true, nil
}

// raw finds an option as it was written.
func (c *config) raw(sect, name string, vars values) (option, bool) {
	name = strings.ToLower(name)
	if v, ok := vars[name]; ok {
		return option{value: v}, true
	}
	if s := c.sections[sect]; s != nil {
		if o, ok := s.options[name]; ok {
			return o, true
		}
	}
	o, ok := c.defaults.options[name]
	return o, ok
}

// interpolate writes a value with its references replaced.
func (c *config) interpolate(b *strings.Builder, o option, sect string, vars values, depth int) error {
	if depth > maxInterpolation {
		return &Problem{o.at, fmt.Sprintf("%%(...)s goes more than %d deep in section [%s]", maxInterpolation, sect), "look for a value that refers to itself"}
	}
	for rest := o.value; ; {
		i := strings.IndexByte(rest, '%')
		if i < 0 {
			b.WriteString(rest)
			break
		}
		b.WriteString(rest[:i])
		rest = rest[i:]
		if strings.HasPrefix(rest, "%%") {
			b.WriteByte('%')
			rest = rest[2:]
			continue
		}
		end := strings.Index(rest, ")s")
		if !strings.HasPrefix(rest, "%(") || end < 3 || strings.IndexByte(rest[:end], ')') >= 0 {
			return &Problem{o.at, fmt.Sprintf("%q: a %% must be followed by %% or (name)s", clip(rest)), "write %% for a percent sign"}
		}
		name := rest[2:end]
		rest = rest[end+2:]
		v, ok := c.reference(name, sect, vars)
		if !ok {
			return &Problem{o.at, fmt.Sprintf("%%(%s)s refers to nothing in section [%s]", name, sect), "define it there or in [DEFAULT]"}
		}
		if !strings.Contains(v.value, "%") {
			b.WriteString(v.value)
		} else {
			if v.at.File == "" {
				v.at = o.at
			}
			if err := c.interpolate(b, v, sect, vars, depth+1); err != nil {
				return err
			}
		}
		if b.Len() > maxValue {
			break
		}
	}
	if b.Len() > maxValue {
		return &Problem{o.at, fmt.Sprintf("the value grows beyond %d bytes", maxValue), "look for values that repeat one another"}
	}
	return nil
}

// reference finds what a name in %(name)s stands for.
func (c *config) reference(name, sect string, vars values) (option, bool) {
	if name == "__name__" {
		return option{value: sect}, true
	}
	if o, ok := c.raw(sect, name, vars); ok {
		return o, true
	}
	from, opt, ok := strings.Cut(name, "/")
	if !ok {
		return option{}, false
	}
	opt = strings.ToLower(opt)
	switch strings.ToLower(from) {
	case "default":
	case "known":
		if s := c.sections["KNOWN/"+sect]; s != nil {
			if o, ok := s.options[opt]; ok {
				return o, true
			}
		}
	default:
		s := c.sections[from]
		if s == nil {
			return option{}, false
		}
		if o, ok := s.options[opt]; ok {
			return o, true
		}
	}
	o, ok := c.defaults.options[opt]
	return o, ok
}

// inSection is the name of an option of another section.
var inSection = regexp.MustCompile(`^([\w\-]+)/([^\s>]+)$`)

// getTag returns what <name> stands for where no option of that name was
// collected: an option of a section, or of another section by section/option.
func (c *config) getTag(sect, name string, vars values) (string, bool, error) {
	if m := inSection.FindStringSubmatch(name); m != nil {
		from := []string{m[1]}
		switch strings.ToLower(m[1]) {
		case "known":
			from = []string{"KNOWN/" + sect, sect}
		case "default":
			from = []string{"DEFAULT"}
		}
		for _, s := range from {
			if s != "DEFAULT" && c.sections[s] == nil {
				continue
			}
			if v, ok, err := c.get(s, m[2], nil); ok || err != nil {
				return v, ok, err
			}
		}
	}
	return c.get(sect, name, vars)
}
