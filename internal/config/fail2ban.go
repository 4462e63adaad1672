package config

import "gatehouse/internal/gate"

// liftFilters makes `rule: {fail2ban: NAME}` in an entry of watch what it means:
// `fail2ban: NAME`.
func liftFilters(root *node) {
	watch := root.get("watch")
	if watch == nil || watch.kind != list {
		return
	}
	for _, entry := range watch.items {
		if entry.kind != mapping {
			continue
		}
		for i := range entry.entries {
			e := &entry.entries[i]
			if e.key.text == "rule" && e.value.kind == mapping && len(e.value.entries) == 1 && e.value.entries[0].key.text == "fail2ban" {
				*e = e.value.entries[0]
			}
		}
	}
}

// checkSubject checks that an entry says what is to be watched, once.
func (w *Watch) checkSubject(d *decoder, n *node) {
	rule, filter := n.get("rule"), n.get("fail2ban")
	has := func(v *node) bool { return v != nil && v.kind != nothing }
	switch {
	case has(rule) && has(filter):
		d.problem(filter, "write an entry for each", "rule and fail2ban in one entry")
	case has(filter):
		if v := n.get("format"); has(v) {
			d.problem(v, "remove it: the filter says what stands before the message", "format with a filter of fail2ban")
		}
		if filter.kind == text && filter.text == "" {
			d.problem(filter, "write its name: sshd, or sshd[mode=aggressive]", "a filter without a name")
		}
	case !has(rule):
		d.problem(n, "write rule: sshd", "the key rule is missing")
	}
}

// checkFilters checks what no entry can know by itself: that its filter can be
// used, and that no source is read twice for it.
func checkFilters(d *decoder, folder string, entries []*node) {
	type source struct{ filter, name string }
	seen := map[source]*node{}
	once := func(s source, n *node, what string) {
		if first := seen[s]; first != nil {
			d.problem(n, "line "+itoa(first.line)+" has it already: each failure would count twice", "%s", what)
			return
		}
		seen[s] = n
	}
	for _, entry := range entries {
		filter := entry.get("fail2ban")
		if filter == nil || filter.kind != text || filter.text == "" {
			continue
		}
		name := gate.Quote(filter.text, 64)
		named := false
		for _, k := range sourceKeys {
			v := entry.get(k)
			if v == nil || v.kind == nothing {
				continue
			}
			if named = true; v.kind == list && k != "command" {
				for _, f := range v.items {
					once(source{filter.text, f.text}, f, gate.Quote(f.text, 64)+" is read twice for the filter "+name)
				}
			}
		}
		if d.o.FilterProblems != nil {
			for _, p := range d.o.FilterProblems(folder, filter.text, named) {
				if p.Line == 0 { // of the filter as a whole
					what := p.What
					if p.File != "" {
						what = p.File + ": " + what
					}
					d.problem(filter, p.Hint, "%s", what)
					continue
				}
				d.problems = append(d.problems, p)
			}
		}
		if !named {
			once(source{filter: filter.text}, filter, "the filter "+name+" is watched twice")
		}
	}
}
