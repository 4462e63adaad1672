package migrate

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/fail2ban"
	"gatehouse/internal/gate"
)

// Fail2banOptions say what stands around an installation of fail2ban.
type Fail2banOptions struct {
	// Folder is where the installation lies, as the configuration is to name it.
	Folder string
	// Port returns the number of a service; nil = none is known.
	Port func(proto, name string) (number int, ok bool)
	// ReadFile reads a file that ignoreip names; nil = none is read.
	ReadFile func(name string) ([]byte, error)
}

// Fail2ban is an installation of fail2ban in the words of Gatehouse.
type Fail2ban struct {
	Text     []byte             // the configuration
	Jails    []Jail             // those that are enabled, in their order
	Remarks  []Remark           // all that could not be carried over; they stand in Text, too
	Database string             // path of the database; "" = there is none
	Folder   string             // where it lies
	Purge    time.Duration      // how long the database remembers
	watches  map[string][]watch // by jail
}

// Jail is what became of a jail.
type Jail struct {
	Name    string   `json:"name"`
	Place   string   `json:"place"`
	Watches []string `json:"watches"` // the names of the watches that take its place; none = it is left out
	By      string   `json:"by"`      // what that is, for people: `our rule sshd`, `its filter`, `the ladder`, `nothing`
	Remarks int      `json:"remarks"` // of this jail
}

// WatchOf returns the name of the watch that takes the place of a jail, and the
// ports that its bans close. A jail that was left out has its own name.
func (f *Fail2ban) WatchOf(jail string) (name string, ports gate.Ports) {
	if ws := f.watches[jail]; len(ws) > 0 {
		return ws[0].name, ws[0].ports
	}
	return "fail2ban-" + jail, gate.Ports{}
}

// ReadFail2ban reads an installation of fail2ban, whose configuration directory is
// fsys. The error says that there is none, or that its jails cannot be read at all.
func ReadFail2ban(fsys fs.FS, o Fail2banOptions) (*Fail2ban, error) {
	in := fail2ban.Open(fsys)
	jails, err := in.Jails()
	if err != nil {
		return nil, err
	}
	server := fail2ban.ReadServer(fsys)
	r := &fail2banReader{o: o, in: in, server: server, out: &Fail2ban{Folder: o.Folder, Database: server.Database, Purge: server.Purge, watches: map[string][]watch{}}}
	for _, p := range server.Problems {
		r.general(p)
	}
	for i := range jails {
		j := &jails[i]
		if j.Enabled {
			r.enabled = append(r.enabled, j)
			continue
		}
		for _, p := range j.Problems {
			if p.At.File != "" && len(p.Text) > 0 && !strings.HasPrefix(p.Text, "jail ") {
				r.general(p) // of the files as a whole
			}
		}
	}
	for _, j := range r.enabled {
		if j.Filter.Name == "recidive" || j.Name == "recidive" {
			r.recidive = j
		}
	}
	for _, j := range r.enabled {
		r.jail(j)
	}
	r.allow()
	r.gather()
	r.write()
	return r.out, nil
}

// fail2banReader is the state of ReadFail2ban.
type fail2banReader struct {
	o        Fail2banOptions
	in       *fail2ban.Installation
	server   fail2ban.Server
	out      *Fail2ban
	enabled  []*fail2ban.Jail
	recidive *fail2ban.Jail
	entries  []entry
	notes    []Remark // of no jail
	allowed  []allowed
	taken    map[string]int // how many watches have a name
}

// entry is one entry of watch, or the place of a jail that has none.
type entry struct {
	jails   []string // that it takes the place of
	place   string
	rule    string // our own
	filter  string // or one of fail2ban
	files   []string
	journal []string
	limit   gate.Threshold
	ladder  []time.Duration
	ports   gate.Ports
	remarks []Remark
	instead string   // why there is no entry
	mail    []string // who is told of its bans
}

// watch is the name of a watch in the daemon.
type watch struct {
	name  string
	ports gate.Ports
}

// place says where something stands in the folder.
func (r *fail2banReader) place(at fail2ban.Position) string {
	if at.File == "" {
		return ""
	}
	p := path.Join(r.o.Folder, at.File)
	if at.Line > 0 {
		p += fmt.Sprintf(":%d", at.Line)
	}
	return p
}

// general notes what concerns no jail in particular.
func (r *fail2banReader) general(p fail2ban.Problem) {
	m := Remark{r.place(p.At), p.Text, p.Hint}
	if !slices.ContainsFunc(r.notes, func(o Remark) bool { return o.Text == m.Text && o.Hint == m.Hint }) {
		r.notes = append(r.notes, m)
		r.out.Remarks = append(r.out.Remarks, m)
	}
}

// jail works out what takes the place of a jail.
func (r *fail2banReader) jail(j *fail2ban.Jail) {
	e := entry{jails: []string{j.Name}, place: r.place(j.At)}
	remark := func(text, hint string) { e.remarks = append(e.remarks, Remark{"", text, hint}) }
	for _, p := range j.Problems {
		e.remarks = append(e.remarks, Remark{r.place(p.At), strings.TrimPrefix(p.Text, "jail "+j.Name+": "), p.Hint})
	}
	if j == r.recidive {
		remark = func(string, string) {} // of its limits nothing is left
	}
	e.limit = gate.Threshold{Count: max(1, j.MaxRetry), Within: max(j.FindTime, time.Second)}
	e.ladder = r.ladder(j, remark)
	e.ports = portsOf(j, r.o.Port, remark)
	by := ""
	if j == r.recidive {
		e.instead, by = "who was banned again and again is banned for longer by the ladders of the other entries", "the ladder"
	} else {
		by = r.subject(j, &e, remark)
		actionsOf(j, remark)
		for _, c := range j.Actions {
			if to := mailsTo(c); to != "" && !slices.Contains(e.mail, to) {
				e.mail = append(e.mail, to)
			}
		}
		r.options(j, remark)
	}
	if j == r.recidive {
		e.ladder, e.ports = nil, gate.Ports{}
	}
	report := Jail{Name: j.Name, Place: e.place, By: by, Watches: []string{}}
	r.add(e)
	r.out.Jails = append(r.out.Jails, report)
}

// severalJails is how many jails must have the same remark for it to be told once
// for all of them.
const severalJails = 3

// gather tells once what is true of many jails, and collects all that is told.
func (r *fail2banReader) gather() {
	type text struct{ text, hint string }
	jails := map[text][]string{}
	for _, e := range r.entries {
		for _, m := range e.remarks {
			if m.Place == "" {
				jails[text{m.Text, m.Hint}] = append(jails[text{m.Text, m.Hint}], e.jails[0])
			}
		}
	}
	told := map[text]bool{}
	for i := range r.entries {
		e := &r.entries[i]
		e.remarks = slices.DeleteFunc(e.remarks, func(m Remark) bool {
			k := text{m.Text, m.Hint}
			of := jails[k]
			if m.Place != "" || len(of) < severalJails {
				r.out.Remarks = append(r.out.Remarks, Remark{cmp.Or(m.Place, e.place), "jail " + e.jails[0] + ": " + m.Text, m.Hint})
				return false
			}
			if !told[k] {
				told[k] = true
				m.Text = fmt.Sprintf("jails %s: %s", strings.Join(of, ", "), m.Text)
				r.notes = append(r.notes, m)
				r.out.Remarks = append(r.out.Remarks, m)
			}
			return true
		})
	}
}

// ladder is for how long a jail bans, with what its recidive adds.
func (r *fail2banReader) ladder(j *fail2ban.Jail, remark func(text, hint string)) []time.Duration {
	steps := ladderOf(j, remark)
	if r.recidive == nil || j == r.recidive || len(steps) > 1 || steps[0] == gate.Forever {
		return steps
	}
	last := r.recidive.BanTime
	if last <= steps[0] {
		return steps
	}
	for len(steps) < min(r.recidive.MaxRetry-1, 20) {
		steps = append(steps, steps[0])
	}
	return append(steps, last)
}

// options tells of what a jail sets that has no place here.
func (r *fail2banReader) options(j *fail2ban.Jail, remark func(text, hint string)) {
	if c := strings.TrimSpace(j.IgnoreCommand); c != "" {
		remark(fmt.Sprintf("ignorecommand = %s is not run", c), "put who is to be left alone on the allow list: addresses, networks, host names")
	}
	if !j.IgnoreSelf {
		remark("ignoreself = false", "this machine's own addresses are never banned here")
	}
	if j.MaxMatches > 0 && j.MaxMatches != j.MaxRetry {
		remark(fmt.Sprintf("maxmatches = %d", j.MaxMatches), "of each ban the first 8 and the last 24 lines are kept")
	}
	if c := strings.TrimSpace(j.Chain); c != "" && !strings.EqualFold(c, "INPUT") && !strings.HasPrefix(c, "<") {
		remark(fmt.Sprintf("chain = %s", c), "there is one place for all: what comes in and what is forwarded, containers included")
	}
}
