package fail2ban

import (
	"fmt"
	"strings"
)

// maxTags is how often one tag may be replaced in one value.
const maxTags = 25

// tags is a set of options that refer to one another as <name>.
type tags struct {
	names  []string
	values map[string]string
}

func (t *tags) set(name, value string) {
	if _, ok := t.values[name]; !ok {
		t.names = append(t.names, name)
	}
	t.values[name] = value
}

// resolve replaces each <name> in each value by what it stands for, also where
// the name itself is made of tags, until nothing changes. More is asked for
// what is not in the set; a name that stands for nothing stays. Names that are
// conditional elsewhere are left alone. The error names the value that refers
// to itself.
func (t *tags) resolve(more func(string) (string, bool)) error {
	ignore := map[string]bool{}
	for _, n := range t.names {
		if m := conditional.FindStringSubmatch(n); m != nil {
			ignore[m[1]] = true
		}
	}
	counts := map[string]map[string]int{}
	done := map[string]bool{}
	for again := true; again; {
		again = false
		for _, name := range t.names {
			if ignore[name] || done[name] {
				continue
			}
			if counts[name] == nil {
				counts[name] = map[string]int{}
			}
			old := t.values[name]
			value, err := t.replace(name, old, ignore, counts[name], more)
			if err != nil {
				return err
			}
			if value != old {
				t.values[name] = value
				_, _, found := nextTag(value, 0)
				again = again || found
			}
			done[name] = !strings.Contains(value, "<")
		}
	}
	return nil
}

// replace goes once through a value.
func (t *tags) replace(name, value string, ignore map[string]bool, count map[string]int, more func(string) (string, bool)) (string, error) {
	for from, to, ok := nextTag(value, 0); ok; {
		tag := value[from+1 : to-1]
		if ignore[tag] {
			from, to, ok = nextTag(value, to)
			continue
		}
		if tag == name || count[tag] > maxTags {
			return "", fmt.Errorf("<%s> in the value of %s refers to itself", tag, name)
		}
		text, known := t.values[tag]
		if !known {
			text, known = more(tag)
		}
		if !known {
			from, to, ok = nextTag(value, to)
			continue
		}
		if strings.Count(value, value[from:to])*len(text)+len(value) > maxValue {
			return "", fmt.Errorf("the value of %s grows beyond %d bytes", name, maxValue)
		}
		value = strings.ReplaceAll(value, value[from:to], text)
		count[tag]++
		from, to, ok = nextTag(value, from)
	}
	return value, nil
}

// nextTag finds the innermost <...> at or after i that has neither spaces nor
// further angle brackets in it.
func nextTag(s string, i int) (from, to int, ok bool) {
	from = -1
	for ; i < len(s); i++ {
		switch s[i] {
		case '<':
			from = i
		case ' ':
			from = -1
		case '>':
			if from >= 0 && i > from+1 {
				return from, i + 1, true
			}
			from = -1
		}
	}
	return 0, 0, false
}
