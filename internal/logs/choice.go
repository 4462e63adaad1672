package logs

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A log file is stale where the journal has lines of the service that are newer
// than the file: whoever wrote the file has stopped.
const (
	quiet      = 10 * time.Minute // a file that was written to since is in use; nothing is asked
	slack      = time.Minute      // by so much a syslog daemon may lag behind the journal
	choiceTime = 3 * time.Second  // for asking the journal
)

// choice is what is read of the watches with Either: their files, or their units
// in the journal, never both. It belongs to the loop of a round.
type choice struct {
	journal map[string]bool      // by name of a watch: its units are read; Sensor.mu guards it
	named   map[string][]string  // by name of a watch: its units, as in the journal
	asked   time.Time            // when the journal was last asked about files that are quiet
	newest  map[string]time.Time // what it said: when each unit wrote last
}

// choose decides for each watch with Either, takes those that read the journal
// from the files, and says which units are to be read.
//
// Files go first, since they are read at once where journald wakes its readers four
// times a second. The journal is read where none of the files is there, or where
// they are stale. Who changes over goes on at the moment up to which the other
// was read, so that nothing counts twice.
func (r *round) choose(got *found) {
	_, problem := r.journal.program()
	files := map[string][]*target{} // by name of a watch, those that are there
	for _, t := range got.targets {
		for _, w := range t.watches {
			if t.exists {
				files[w.Name] = append(files[w.Name], t)
			}
		}
	}
	named := map[string][]string{}
	for _, w := range r.config.Watches {
		named[w.Name] = r.unitsOf(w)
	}
	r.choice.named = named
	r.askAbout(files, named, problem)
	chosen := map[string]bool{}
	var all []unitWatch
	for _, w := range r.config.Watches {
		note, since := "", time.Time{}
		switch {
		case len(named[w.Name]) == 0:
			continue
		case !w.Either:
		case problem != "":
			continue
		case len(files[w.Name]) == 0:
			note = "none of its files is here"
			since = r.filesRead(w, nil)
		case r.stale(w, files[w.Name], named[w.Name]):
			note = files[w.Name][0].path + " is not written to any more"
			since = r.filesRead(w, files[w.Name])
		default:
			continue
		}
		chosen[w.Name] = w.Either
		for _, u := range named[w.Name] {
			i := slices.IndexFunc(all, func(x unitWatch) bool { return x.unit == u })
			if i < 0 {
				i = len(all)
				all = append(all, unitWatch{unit: u, note: note})
			}
			x := &all[i]
			x.watches = append(x.watches, w)
			if since.After(x.since) {
				x.since = since
			}
			if note == "" {
				x.note = ""
			}
		}
	}
	for _, t := range got.targets {
		t.watches = slices.DeleteFunc(slices.Clone(t.watches), func(w Watch) bool { return chosen[w.Name] })
	}
	got.targets = slices.DeleteFunc(got.targets, func(t *target) bool { return len(t.watches) == 0 })
	r.mu.Lock()
	r.choice.journal = chosen
	r.mu.Unlock()
	r.journal.want(all)
}

// unitsOf returns the units that a watch reads where it reads the journal: those
// that were asked for, and of those that are only looked for, the ones that are
// installed.
func (r *round) unitsOf(w Watch) (list []string) {
	for _, u := range w.Journal {
		if w.Either {
			name, ok := r.journal.units.installed(u)
			if !ok {
				continue
			}
			u = name
		}
		if !slices.Contains(list, u) {
			list = append(list, u)
		}
	}
	return list
}

// stale reports whether the journal is the better source for a watch whose files
// are there. Once it is read it stays so until a file is written to again.
func (r *round) stale(w Watch, files []*target, named []string) bool {
	written := lastWrite(files)
	if len(w.Rule.Programs) == 0 || time.Since(written) < quiet {
		return false
	}
	return slices.ContainsFunc(named, func(u string) bool { return r.choice.newest[u].After(written.Add(slack)) })
}

// lastWrite returns when any of the files was last written to.
func lastWrite(files []*target) (last time.Time) {
	for _, t := range files {
		if fi, err := os.Stat(t.path); err == nil && fi.ModTime().After(last) {
			last = fi.ModTime()
		}
	}
	return last
}

// askAbout asks the journal, now and then, about the units of watches whose files
// are quiet.
func (r *round) askAbout(files map[string][]*target, named map[string][]string, problem string) {
	if problem != "" || !r.choice.asked.IsZero() && time.Since(r.choice.asked) < quiet {
		return
	}
	var ask []string
	since := time.Now()
	for _, w := range r.config.Watches {
		if !w.Either || len(files[w.Name]) == 0 || len(w.Rule.Programs) == 0 {
			continue
		}
		written := lastWrite(files[w.Name])
		if time.Since(written) < quiet {
			continue
		}
		for _, u := range named[w.Name] {
			if !isPattern(u) && !slices.Contains(ask, u) {
				ask = append(ask, u)
			}
		}
		if written.Before(since) {
			since = written
		}
	}
	if len(ask) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(r.ctx, choiceTime)
	defer cancel()
	r.choice.asked, r.choice.newest = time.Now(), r.journal.newest(ctx, since, ask)
}

// filesRead returns up to when the files of a watch were read; zero = never.
func (r *round) filesRead(w Watch, there []*target) (last time.Time) {
	note := func(path string) {
		r.mu.Lock()
		text := r.marks[path]
		if src := r.sources[path]; src != nil {
			src.mu.Lock()
			if at := src.status.LastLine; at.After(last) {
				last = at
			}
			src.mu.Unlock()
		}
		r.mu.Unlock()
		if text == "" {
			text = r.env.mark("file:" + path)
		}
		if m, err := parseMark(text); err == nil && m.at.After(last) {
			last = m.at
		}
	}
	for _, t := range there {
		note(t.path)
	}
	for _, p := range w.Files {
		if !isPattern(p) {
			note(filepath.Clean(p))
		}
	}
	return last
}

// journalRead returns from when on the lines of a file count, for the watches that
// read the journal before; zero = from the beginning. Files tell seconds, so it is
// a whole one: what came within it counted already.
func (r *round) journalRead(ws []Watch) (last time.Time) {
	for _, w := range ws {
		if !w.Either {
			return time.Time{} // it reads the file and nothing else
		}
		for _, u := range r.choice.named[w.Name] {
			if at := r.journal.position(u); !at.IsZero() && !at.Before(last) {
				last = at.Truncate(time.Second).Add(time.Second)
			}
		}
	}
	return last
}

// Absent returns the names of the watches with Auto that have no source on this
// machine now.
func (s *Sensor) Absent() (names []string) {
	have := map[string]bool{}
	for _, st := range s.Status() {
		for _, r := range st.Rules {
			have[r] = true
		}
	}
	for _, w := range s.config.Watches {
		if w.Auto && !have[w.Name] {
			names = append(names, w.Name)
		}
	}
	return names
}

// idle reports whether a source is one that was only looked for, and is not there.
func idle(st SourceStatus, ws []Watch) bool {
	return st.State == Waiting && st.Lines == 0 && !slices.ContainsFunc(ws, func(w Watch) bool { return !w.Auto })
}

// elsewhere says for the status what of a file's watches could be read in the
// journal too, and is not.
func (r *round) elsewhere(ws []Watch) string {
	var list []string
	for _, w := range ws {
		if !w.Either {
			continue
		}
		for _, u := range r.choice.named[w.Name] {
			if !slices.Contains(list, u) {
				list = append(list, u)
			}
		}
	}
	if len(list) == 0 {
		return ""
	}
	more := ""
	if n := len(list) - 3; n > 0 {
		list, more = list[:3], fmt.Sprintf(" and %d more", n)
	}
	return "read here, so not in the journal: " + strings.Join(list, ", ") + more
}

// listenForUnits has the folders listened to where the units appear that watches
// with Either name.
func (r *round) listenForUnits() {
	for _, dir := range r.journal.units.folders {
		real, err := filepath.EvalSymlinks(dir)
		if err != nil {
			continue
		}
		for _, w := range r.config.Watches {
			for _, u := range w.Journal {
				if w.Either {
					r.folders.listen(real, cmp.Or(unitFile(u), u))
				}
			}
		}
	}
}
