package migrate

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"gatehouse/internal/fail2ban"
	"gatehouse/internal/rules"
)

// subject chooses what takes the place of a jail's filter, and where it looks: our
// own rules where they see at least as much, else the filter. It returns what it
// chose, for people.
func (r *fail2banReader) subject(j *fail2ban.Jail, e *entry, remark func(text, hint string)) string {
	in, err := r.in.Jail(j)
	if err != nil {
		for _, p := range fail2ban.Problems(err) {
			e.remarks = append(e.remarks, Remark{r.place(p.At), "the filter cannot be used: " + p.Text, p.Hint})
		}
		e.instead = "its filter cannot be used; correct it and import again"
		return "nothing"
	}
	for _, p := range in.Filter.Warnings {
		e.remarks = append(e.remarks, Remark{r.place(p.At), p.Text, p.Hint})
	}
	for _, p := range in.Notes {
		remark(strings.TrimPrefix(p.Text, "jail "+j.Name+": "), p.Hint)
	}
	for _, l := range j.Logs {
		if !l.Tail || !strings.HasPrefix(j.Backend, "systemd") {
			continue
		}
		remark("tail behind a logpath", "a log that is read for the first time is read from where the longest window begins")
	}
	if own := r.own(j, in); len(own) > 0 {
		e.rule = own[0]
		if usual := rules.BuiltinNamed(own[0]); !in.Journal && len(usual) == 1 && !within(in.Files, usual[0].Sources.Files) {
			e.files = in.Files
		}
		return "our rule " + own[0]
	}
	e.filter = r.spec(j)
	jail := strings.HasPrefix(e.filter, "[") && strings.HasSuffix(e.filter, "]")
	switch {
	case r.finds(e.filter, in):
		// The entry looks by itself where the jail does: in the files, or where there
		// are none, in the journal.
	case in.Journal && len(in.Units) > 0:
		e.journal = in.Units
	case len(in.Files) > 0:
		e.files = in.Files
	case len(in.Units) > 0:
		e.journal = in.Units
	default:
		e.instead = "it is not said where its log is"
		remark("there is neither a logpath nor a journalmatch with units", "add an entry yourself: files: [/var/log/…] with fail2ban: "+quoted(e.filter))
		return "nothing"
	}
	if jail {
		if j.Filter.Name == "" {
			return "its own expressions"
		}
		return "its filter " + j.Filter.Name + " with what the jail changes"
	}
	return "its filter " + e.filter
}

// finds reports whether a filter by itself is looked for where its jail looks, in
// files as well as in the journal.
func (r *fail2banReader) finds(spec string, in *fail2ban.Installed) bool {
	alone, err := r.in.Load(spec)
	return err == nil && len(in.Units) > 0 && alone.Journal == in.Journal && slices.Equal(alone.Files, in.Files) && slices.Equal(alone.Units, in.Units)
}

// own returns the built-in rules that see at least as much as the filter of a jail;
// none where there are none, or where it is not the filter as it came.
func (r *fail2banReader) own(j *fail2ban.Jail, in *fail2ban.Installed) []string {
	name := j.Filter.Name
	if mode := j.Filter.Args["mode"]; mode != "" && mode != "normal" || !fail2ban.Covered(name) || changed(j) || j.Zone != nil {
		return nil
	}
	for k := range j.Filter.Args {
		if k != "mode" {
			return nil
		}
	}
	if slices.ContainsFunc(in.Filter.Files, func(f string) bool {
		return path.Base(f) == name+".local" || path.Base(path.Dir(f)) == name+".d"
	}) {
		return nil
	}
	return fail2ban.OwnRules(name)
}

// changed reports whether a jail changes what its filter says.
func changed(j *fail2ban.Jail) bool {
	for _, opt := range []string{"failregex", "ignoreregex", "prefregex", "datepattern", "maxlines"} {
		if strings.TrimSpace(j.Set[opt]) != "" {
			return true
		}
	}
	u := strings.ToLower(strings.TrimSpace(j.Set["usedns"]))
	return u == "no" || u == "raw"
}

// spec names the filter of a jail: with its arguments, without those that change
// nothing; or the jail itself, where it changes what the filter says.
func (r *fail2banReader) spec(j *fail2ban.Jail) string {
	if changed(j) || j.Filter.Name == "" {
		return "[" + j.Name + "]"
	}
	full := j.Filter.String()
	if j.Filter.Args["mode"] != "normal" {
		return full
	}
	bare := fail2ban.Call{Name: j.Filter.Name, Args: map[string]string{}}
	for _, k := range j.Filter.Keys {
		if k != "mode" {
			bare.Keys = append(bare.Keys, k)
			bare.Args[k] = j.Filter.Args[k]
		}
	}
	a, err := r.in.Load(full)
	b, err2 := r.in.Load(bare.String())
	if err == nil && err2 == nil && slices.Equal(a.Filter.Expressions(), b.Filter.Expressions()) && a.Filter.Prefix() == b.Filter.Prefix() {
		return bare.String()
	}
	return full
}

// within reports whether each path is one of those that are usual.
func within(paths, usual []string) bool {
	for _, p := range paths {
		if !slices.ContainsFunc(usual, func(u string) bool { ok, _ := path.Match(u, p); return ok || u == p }) {
			return false
		}
	}
	return true
}

// add adds an entry, or adds it to one that reads the same: a source that is read
// twice for the same rule would count twice.
func (r *fail2banReader) add(e entry) {
	name := ""
	switch {
	case e.instead != "":
	case e.rule != "":
		name = e.rule
	default:
		in, err := r.in.Load(e.filter)
		if err != nil { // it was loaded before
			e.instead = err.Error()
			break
		}
		name = in.Rule.Name
	}
	if e.instead == "" {
		if i := slices.IndexFunc(r.entries, func(o entry) bool { return o.reads(e) }); i >= 0 {
			o := &r.entries[i]
			o.jails = append(o.jails, e.jails...)
			o.remarks = append(o.remarks, Remark{e.place, fmt.Sprintf("jail %s watches the same with the same rule; it is one entry with jail %s", e.jails[0], o.jails[0]), "the limits are those of " + o.jails[0]})
			o.remarks = append(o.remarks, e.remarks...)
			for _, to := range e.mail {
				if !slices.Contains(o.mail, to) {
					o.mail = append(o.mail, to)
				}
			}
			if o.ports.IsEmpty() || e.ports.IsEmpty() {
				o.ports = e.ports.Minus(e.ports)
			} else {
				o.ports = o.ports.Union(e.ports)
			}
			r.out.watches[e.jails[0]] = r.out.watches[o.jails[0]]
			return
		}
		if r.taken == nil {
			r.taken = map[string]int{}
		}
		r.taken[name]++
		if n := r.taken[name]; n > 1 {
			name = fmt.Sprintf("%s.%d", name, n)
		}
		r.out.watches[e.jails[0]] = []watch{{name, e.ports}}
	}
	r.entries = append(r.entries, e)
}

// reads reports whether an entry reads what another reads, by the same rule.
func (e entry) reads(o entry) bool {
	if e.instead != "" || e.rule != o.rule || e.filter != o.filter {
		return false
	}
	if len(e.files)+len(e.journal)+len(o.files)+len(o.journal) == 0 {
		return true
	}
	return slices.ContainsFunc(e.files, func(f string) bool { return slices.Contains(o.files, f) }) ||
		slices.ContainsFunc(e.journal, func(u string) bool { return slices.Contains(o.journal, u) })
}
