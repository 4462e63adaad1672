package logs

import (
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"time"

	"gatehouse/internal/rules"
)

// Journal says where the journal is. The zero value is that of this machine.
type Journal struct {
	// Folder holds the journal's files; "" = where journald keeps them.
	Folder string
	// Program reads it; "" = journalctl on the path.
	Program string
	// Units are folders of unit files; nil = where systemd looks.
	Units []string
}

// journalPrefix is before the unit in the name of a source.
const journalPrefix = "journal:"

// lagging is after how many entries the marks of units that wrote none of them are
// moved on, so that a restart need not read these again.
const lagging = 10000

// journal is the stream of journald: one journalctl for all units.
//
// Reading goes in rounds. A round has two children: the first reads what is there
// and ends, the second waits for more. A round begins at the entry of the oldest
// mark itself, not behind it: what was read before is left out here, unit by unit,
// by the numbers of the entries. For `--after-cursor` skips one entry unseen where
// the entry of the cursor is gone or is not one of those that are asked for.
type journal struct {
	env     *env
	readers *readers
	where   Journal
	units   units
	changed chan struct{} // of 1: the units to read are others than before

	mu     sync.Mutex
	told   bool // what is wanted is known
	wanted []unitWatch
	feeds  map[string]*unitFeed // by unit; those that are not wanted any more keep their marks
}

// unitWatch is a unit, or a pattern of units, and who reads it.
type unitWatch struct {
	unit    string
	watches []Watch
	since   time.Time // what is older was read elsewhere; zero = nothing was
	note    string    // why it is read
}

// unitFeed is what one unit brings. journal.mu guards wanted and since; the
// rest belongs to the round.
type unitFeed struct {
	feed
	unit   string
	wanted *unitWatch
	known  *unitWatch // that lines, bare and owner are made for
	owner  int        // the user that its file names; -1 = none
	asked  bool       // for the mark
	mark   cursor     // of what was handed over; written with feed.mu held
	next   cursor     // of what was gathered; the mark while there is none
	fresh  time.Time  // what is older does not count
}

func newJournal(e *env, r *readers, where Journal) *journal {
	j := &journal{env: e, readers: r, where: where, units: units{where.Units}, changed: make(chan struct{}, 1), feeds: map[string]*unitFeed{}}
	if j.units.folders == nil {
		j.units.folders = unitFolders
	}
	return j
}

// program returns the path of journalctl, and why the journal cannot be read.
func (j *journal) program() (path, problem string) {
	name := cmp.Or(j.where.Program, "journalctl")
	path, err := exec.LookPath(name)
	if err != nil {
		return "", "journalctl is not installed, so the journal cannot be read"
	}
	folders := []string{"/run/log/journal", "/var/log/journal"}
	if j.where.Folder != "" {
		folders = []string{j.where.Folder}
	}
	if !slices.ContainsFunc(folders, func(f string) bool { all, _ := os.ReadDir(f); return len(all) > 0 }) {
		return path, "journald keeps no journal here"
	}
	return path, ""
}

// want says which units are to be read from now on.
func (j *journal) want(all []unitWatch) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.told && slices.EqualFunc(j.wanted, all, func(a, b unitWatch) bool { return a.unit == b.unit && sameWatches(a.watches, b.watches) }) {
		for _, w := range all {
			j.feeds[w.unit].note(w.note)
		}
		return
	}
	j.wanted, j.told = all, true
	for _, f := range j.feeds {
		f.wanted = nil
	}
	for i := range all {
		w := &all[i]
		f := j.feeds[w.unit]
		if f == nil {
			f = &unitFeed{feed: *newFeed(j.env, journalPrefix+w.unit, nil), unit: w.unit, owner: -1}
			j.feeds[w.unit] = f
		}
		f.wanted = w
		f.count(func(st *SourceStatus) { st.Rules, st.Note = watchNames(w.watches), w.note })
	}
	select {
	case j.changed <- struct{}{}:
	default:
	}
}

// position returns up to when a unit was read; zero = never.
func (j *journal) position(unit string) time.Time {
	j.mu.Lock()
	f := j.feeds[unit]
	j.mu.Unlock()
	text := ""
	if f != nil {
		f.count(func(*SourceStatus) { text = f.mark.text })
	}
	if text == "" {
		text = j.env.mark(journalPrefix + unit)
	}
	if c, ok := parseCursor(text); ok {
		return c.time()
	}
	return time.Time{}
}

// statuses implements stream.
func (j *journal) statuses() (all []SourceStatus) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, f := range j.feeds {
		if f.wanted != nil {
			all = append(all, f.tell())
		}
	}
	return all
}

// run implements stream.
func (j *journal) run(ctx context.Context, settled func()) error {
	var again pause
	for ctx.Err() == nil {
		feeds, told := j.round()
		if len(feeds) == 0 {
			if told {
				settled()
			}
			select {
			case <-j.changed:
			case <-ctx.Done():
			}
			continue
		}
		begun := time.Now()
		inner, cancel := context.WithCancel(ctx)
		var watch sync.WaitGroup
		watch.Go(func() {
			select {
			case <-j.changed:
				j.again()
				cancel()
			case <-inner.Done():
			}
		})
		r := &reading{journal: j, feeds: feeds, settled: settled}
		problem, err := r.read(inner)
		interrupted := inner.Err() != nil
		cancel()
		watch.Wait()
		if err != nil && !interrupted {
			return err
		}
		if interrupted {
			continue
		}
		for _, f := range feeds {
			f.fares(Unreadable, problem)
		}
		settled()
		again.wait(ctx, time.Since(begun), j.changed)
	}
	return nil
}

// again has the next wait for a change end at once.
func (j *journal) again() {
	select {
	case j.changed <- struct{}{}:
	default:
	}
}

// round returns the feeds to read, made ready, and whether anybody said so far which
// these are.
func (j *journal) round() (all []*unitFeed, told bool) {
	select {
	case <-j.changed:
	default:
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, f := range j.feeds {
		if f.wanted == nil {
			continue
		}
		if f.known != f.wanted {
			j.prepare(f)
		}
		f.drop()
		f.next = f.mark
		f.fresh = j.env.now().Add(-j.env.back)
		if f.wanted.since.After(f.fresh) || f.mark.text != "" {
			f.fresh = f.wanted.since
		}
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b *unitFeed) int { return cmp.Compare(a.unit, b.unit) })
	return all, j.told
}

// prepare makes a feed ready for the watches that it has now.
func (j *journal) prepare(f *unitFeed) {
	f.known, f.owner = f.wanted, j.units.owner(f.unit)
	var headed, bare []Watch
	for _, w := range f.known.watches {
		if w.bare() {
			bare = append(bare, w)
		} else {
			headed = append(headed, w)
		}
	}
	f.lines, f.bare = j.readers.entries(headed), nil
	if len(bare) > 0 {
		f.bare = j.readers.feed(bare, rules.SourceOptions{Trusted: true})
	}
	if !f.asked {
		f.asked = true
		if c, ok := parseCursor(j.env.mark(f.name)); ok {
			f.count(func(*SourceStatus) { f.mark = c })
		}
	}
}

// bare reports whether the rule of the watch reads lines as the program wrote
// them, without the header that a syslog daemon puts before them.
func (w Watch) bare() bool {
	return len(w.Rule.Programs) == 0 && cmp.Or(w.Format, w.Rule.Format) == rules.FormatPlain
}

// reading is one round of the journal.
type reading struct {
	*journal
	feeds   []*unitFeed
	settled func()
	live    bool
	last    cursor   // of the last entry that was read
	lag     int      // entries since all marks were moved
	line    []byte   // reused
	had     []string // reused; watches that have the entry at hand
}

// read reads until the context ends. It returns why it ended without that, for
// people, or the error of a refused batch.
func (r *reading) read(ctx context.Context) (problem string, err error) {
	program, problem := r.program()
	if problem != "" {
		return problem, nil
	}
	for _, f := range r.feeds {
		f.fares(Reading, "")
	}
	if problem, err := r.child(ctx, program); problem != "" || err != nil || ctx.Err() != nil {
		return problem, err
	}
	if err := r.moveAll(ctx); err != nil {
		return "", err
	}
	r.live = true
	for _, f := range r.feeds {
		f.fares(CaughtUp, "")
	}
	r.settled()
	problem, err = r.child(ctx, program)
	if problem == "" && err == nil {
		problem = "journalctl ended; it is started again"
	}
	return problem, err
}

// refused wraps the error of a refused batch.
type refused struct{ error }

func (e refused) Unwrap() error { return e.error }

// child runs journalctl, to the end of the journal or, live, until the context
// ends.
func (r *reading) child(ctx context.Context, program string) (problem string, err error) {
	said := &tail{}
	err = runChild(ctx, append([]string{program}, r.arguments()...), childEnv(), said, func(out io.Reader) error {
		return r.entries(ctx, out)
	})
	var no refused
	switch {
	case err == nil, errors.Is(err, errChildEnded):
		return "", nil
	case errors.As(err, &no):
		return "", no.error
	}
	problem = "journalctl: " + cmp.Or(said.last(), err.Error())
	if os.Geteuid() != 0 {
		problem += "; run as root, or add the user to the group systemd-journal"
	}
	return problem, nil
}

// arguments are those of journalctl.
func (r *reading) arguments() []string {
	args := []string{"--output=export", "--output-fields=" + journalFields, "--quiet", "--no-pager"}
	if r.where.Folder != "" {
		args = append(args, "--directory="+r.where.Folder)
	}
	if r.live {
		args = append(args, "--follow", "--no-tail")
	}
	return append(append(args, r.start()), r.matches()...)
}

// start is where to begin: at the earliest mark, or as far back as a feed without
// one wants to look.
func (r *reading) start() string {
	var first cursor
	var since time.Time
	for _, f := range r.feeds {
		switch {
		case f.mark.text == "" && (since.IsZero() || f.fresh.Before(since)):
			since = f.fresh
		case f.mark.text != "" && (first.text == "" || f.mark.upTo(first)):
			first = f.mark
		}
	}
	if first.text != "" && (since.IsZero() || !since.Before(first.time())) {
		return "--cursor=" + first.text
	}
	return "--since=@" + strconv.FormatInt(since.Unix(), 10)
}

// matches ask for the entries of the units, and for those by the names of their
// programs where a unit cannot be asked for by its name: instances of templates
// that do not exist yet, and processes that ended before journald looked up their
// unit. Whether these count is for entry to say.
func (r *reading) matches() (all []string) {
	or := func(terms ...string) {
		if len(all) > 0 {
			all = append(all, "+")
		}
		all = append(all, terms...)
	}
	programs := map[string]bool{}
	for _, f := range r.feeds {
		if !isPattern(f.unit) {
			or("_SYSTEMD_UNIT=" + f.unit)
		} else if s := templateSlice(f.unit); s != "" {
			or("_SYSTEMD_SLICE=" + s)
		}
		for _, w := range f.known.watches {
			for _, p := range w.Rule.Programs {
				if !isPattern(p) { // journalctl compares whole names
					programs[p] = true
				}
			}
		}
	}
	for _, p := range slices.Sorted(maps.Keys(programs)) {
		or("SYSLOG_IDENTIFIER="+p, "_UID=0")
	}
	return all
}

// entries reads the output of journalctl.
func (r *reading) entries(ctx context.Context, out io.Reader) error {
	x := newExportReader(out)
	for {
		e, err := x.next()
		if err == nil {
			r.entry(e)
			r.last = e.cursor
			r.lag++
		}
		if err != nil || !x.buffered() || r.full() {
			if err := r.hand(ctx); err != nil {
				return refused{err}
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case r.lag >= lagging:
			if err := r.moveAll(ctx); err != nil {
				return refused{err}
			}
		}
	}
}

// entry gives one entry to the feeds that it concerns.
func (r *reading) entry(e *entry) {
	unit, exe := string(e.unit), string(e.exe)
	if isPersonal(unit) {
		return
	}
	r.had = r.had[:0]
	for _, f := range r.feeds {
		if unit != "" && !hasUnit(f.unit, unit) || e.cursor.upTo(f.next) || e.cursor.time().Before(f.fresh) {
			continue
		}
		had, not := len(r.had), []string(nil)
		for _, w := range f.known.watches {
			if !slices.Contains(r.had[:had], w.Name) && speaks(w.Rule, e.uid, f.owner) && (unit != "" || e.uid == 0 && isProgram(w.Rule, exe)) {
				r.had = append(r.had, w.Name)
			} else {
				not = append(not, w.Name)
			}
		}
		if len(r.had) > had {
			f.take(r, e, not)
		}
	}
}

// take adds an entry to the feed.
func (f *unitFeed) take(r *reading, e *entry, not []string) {
	f.next = e.cursor
	if e.long {
		f.count(func(st *SourceStatus) { st.Skipped++ })
		return
	}
	a := about{epoch: e.cursor.epoch(), offset: int64(e.cursor.seq), time: e.cursor.time(), via: string(clip(e.host, maxVia)), not: not}
	f.bundle.add(a, r.header(e), e.message)
	if f.bare != nil {
		f.plain.add(a, e.message)
	}
}

// header writes what a syslog daemon would have put before the message.
func (r *reading) header(e *entry) []byte {
	b := e.cursor.time().UTC().AppendFormat(r.line[:0], "2006-01-02T15:04:05.000000Z07:00")
	b = append(append(b, ' '), word(e.host, "localhost")...)
	ident := e.ident
	if len(ident) == 0 {
		ident = e.comm
	}
	b = append(append(b, ' '), word(ident, "unknown")...)
	if len(e.pid) > 0 {
		b = append(append(append(b, '['), e.pid...), ']')
	}
	r.line = append(b, ": "...)
	return r.line
}

// word returns b as one word, fit for a header; without any, other.
func word(b []byte, other string) []byte {
	if len(b) == 0 || len(b) > 64 {
		return []byte(other)
	}
	for i, c := range b {
		if c <= ' ' || c == 0x7f || c == ':' || c == '[' || c == ']' {
			b[i] = '_'
		}
	}
	return b
}

// full reports whether enough was gathered.
func (r *reading) full() bool {
	return slices.ContainsFunc(r.feeds, func(f *unitFeed) bool { return len(f.bundle.text) >= fullBundle })
}

// hand hands over what was gathered.
func (r *reading) hand(ctx context.Context) error {
	for _, f := range r.feeds {
		if f.next.text == f.mark.text {
			continue
		}
		if err := f.hand(ctx, f.next.text, r.live); err != nil {
			return err
		}
		f.count(func(*SourceStatus) { f.mark = f.next })
	}
	return nil
}

// moveAll moves the marks of all feeds to the last entry that was read.
func (r *reading) moveAll(ctx context.Context) error {
	r.lag = 0
	for _, f := range r.feeds {
		if r.last.text != "" && !r.last.upTo(f.next) {
			f.next = r.last
		}
	}
	return r.hand(ctx)
}

// newest returns when each of these units wrote last, of those that did so after
// the time; nothing where the journal cannot be read.
func (j *journal) newest(ctx context.Context, after time.Time, ask []string) map[string]time.Time {
	got := map[string]time.Time{}
	program, problem := j.program()
	if problem != "" || len(ask) == 0 {
		return got
	}
	args := []string{program, "--output=export", "--output-fields=_SYSTEMD_UNIT", "--quiet", "--no-pager", "--reverse", "--since=@" + strconv.FormatInt(after.Unix(), 10)}
	if j.where.Folder != "" {
		args = append(args, "--directory="+j.where.Folder)
	}
	for _, u := range ask {
		args = append(args, "_SYSTEMD_UNIT="+u)
	}
	all := errors.New("all have been found")
	_ = runChild(ctx, args, childEnv(), &tail{}, func(out io.Reader) error {
		x := newExportReader(out)
		for len(got) < len(ask) {
			e, err := x.next()
			if err != nil {
				return err
			}
			if u := string(e.unit); got[u].IsZero() {
				got[u] = e.cursor.time()
			}
		}
		return all
	})
	return got
}
