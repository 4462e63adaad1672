package logs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Sensor follows all sources of a configuration. Its methods are safe for
// concurrent use.
type Sensor struct {
	config  Config
	env     env
	times   timing
	deaf    bool          // do without file events, as where the kernel gives none
	caught  chan struct{} // closed when all sources present at start were read
	claims  *claims
	names   *names
	readers readers

	mu       sync.Mutex
	running  bool
	sources  map[string]*source // by path
	pending  map[*source]bool   // present at start, and not yet read to their end
	last     found
	marks    map[string]string // of sources that are not followed any more
	choice   choice
	journal  *journal
	streams  []stream // the journal among them
	searched bool     // files were looked for once
	unheard  int      // streams that have not yet brought what was there at start
}

// New returns a sensor that does nothing until Run.
func New(c Config, d Deps) *Sensor {
	if c.Lookback <= 0 {
		c.Lookback = defaultLookback
	}
	s := &Sensor{
		config: c, times: defaultTiming, caught: make(chan struct{}),
		sources: map[string]*source{}, pending: map[*source]bool{}, marks: map[string]string{},
		claims: newClaims(), names: newNames(), readers: readers{zone: c.Zone, spoke: d.Spoke, lookups: newLookups(d.Lookup)},
	}
	s.env = env{log: d.Log, now: d.Now, emit: d.Emit, mark: d.Mark, reader: s.readers.open, back: c.Lookback}
	if s.env.now == nil {
		s.env.now = time.Now
	}
	if s.env.mark == nil {
		s.env.mark = func(string) string { return "" }
	}
	s.openStreams()
	return s
}

// CaughtUp returns a channel that is closed once all files that were there when
// Run began have been read to their end, or were found to be unreadable.
func (s *Sensor) CaughtUp() <-chan struct{} { return s.caught }

// Status returns how each watched path fares, sorted by path, and how each
// pattern does that matches nothing.
func (s *Sensor) Status() []SourceStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []SourceStatus
	for _, src := range s.sources {
		src.mu.Lock()
		st, ws := src.status, src.watches
		st.Rules = watchNames(ws)
		src.mu.Unlock()
		if !idle(st, ws) {
			out = append(out, st)
		}
	}
	for path, of := range s.last.aliases {
		if s.sources[path] == nil {
			out = append(out, SourceStatus{Path: path, State: Waiting, Why: sameFileError{of}.Error(), Rules: watchNames(s.watching(path))})
		}
	}
	for p := range s.last.misses {
		ws := slices.DeleteFunc(s.watching(p), func(w Watch) bool { return w.Auto || s.choice.journal[w.Name] })
		if len(ws) == 0 {
			continue
		}
		st := SourceStatus{Path: p, State: Waiting, Why: "no file matches yet", Rules: watchNames(ws)}
		if err := checkPattern(p); err != nil {
			st.State, st.Why = Unreadable, err.Error()
		}
		out = append(out, st)
	}
	for _, st := range s.streams {
		out = append(out, st.statuses()...)
	}
	slices.SortFunc(out, func(a, b SourceStatus) int { return cmp.Compare(a.Path, b.Path) })
	return out
}

// watching returns the watches of a pattern or a path.
func (s *Sensor) watching(path string) (ws []Watch) {
	for _, w := range s.config.Watches {
		if slices.ContainsFunc(w.Files, func(p string) bool {
			ok, _ := filepath.Match(p, path)
			return ok || p == path
		}) {
			ws = append(ws, w)
		}
	}
	return ws
}

func watchNames(ws []Watch) []string {
	names := make([]string, 0, len(ws))
	for _, w := range ws {
		names = append(names, w.Name)
	}
	return names
}

// Run follows the logs until ctx ends, and returns nil then. It returns an
// error when a batch is refused. All files are closed and all its goroutines
// have ended when it returns; it may be run again after that and goes on where
// it was.
func (s *Sensor) Run(ctx context.Context) error {
	s.mu.Lock()
	if s.running {
		s.mu.Unlock()
		return errors.New("follow logs: the sensor runs already")
	}
	s.running = true
	s.mu.Unlock()
	r := s.newRound(ctx)
	var workers sync.WaitGroup
	for range max(1, runtime.GOMAXPROCS(0)) {
		workers.Go(r.work)
	}
	for _, st := range s.streams {
		workers.Go(func() { r.bring(st) })
	}
	r.loop()
	r.cancel(nil)
	r.queue.close()
	workers.Wait()
	r.end()
	if err := context.Cause(r.ctx); ctx.Err() == nil && err != nil {
		return fmt.Errorf("follow logs: %w", err)
	}
	return nil
}

// round is one call of Run.
type round struct {
	*Sensor
	ctx     context.Context // of this call alone: ends with it
	cancel  context.CancelCauseFunc
	watcher *fsnotify.Watcher // nil: the kernel gave none
	folders *folders
	finder  finder
	queue   *queue
	rescan  chan struct{} // of 1: look at the patterns again; a second request while one is pending is the same one

	timersMu sync.Mutex
	timers   map[*source]*time.Timer
}

func (s *Sensor) newRound(ctx context.Context) *round {
	r := &round{Sensor: s, queue: newQueue(), rescan: make(chan struct{}, 1), timers: map[*source]*time.Timer{}}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	if !s.deaf {
		w, err := fsnotify.NewWatcher()
		if err == nil {
			r.watcher = w
		} else {
			s.env.log.Warn("the kernel gives no file events: logs are looked at each second", "error", err,
				"hint", "raise the sysctl fs.inotify.max_user_instances")
		}
	}
	r.folders = newFolders(s.env.log, r.watcher)
	r.finder = finder{folders: r.folders, known: r.follows}
	if r.journal != nil {
		r.finder.also = r.listenForUnits
	}
	s.env.claims, s.env.names, s.env.folders, s.env.times = s.claims, s.names, r.folders, s.times
	s.env.wake, s.env.settled = r.queue.wake, r.settle
	s.env.leave = r.leave
	return r
}

// follows reports whether there is a source for the path.
func (r *round) follows(path string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sources[path] != nil
}

// again asks for the patterns to be looked at again.
func (r *round) again() {
	select {
	case r.rescan <- struct{}{}:
	default:
	}
}

// loop turns what happens in the folders into work, until the round ends.
func (r *round) loop() {
	var events chan fsnotify.Event
	var failures chan error
	if r.watcher != nil {
		events, failures = r.watcher.Events, r.watcher.Errors
	}
	r.find(true)
	tick := time.NewTimer(r.times.rescan)
	defer tick.Stop()
	polled := r.poll(false)
	lastFull := time.Now()
	if polled {
		tick.Reset(r.times.poll)
	}
	for {
		select {
		case <-r.ctx.Done():
			return
		case ev := <-events:
			r.handle(ev)
		case err := <-failures:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				r.env.log.Warn("file events", "error", err)
			}
			r.folders.recheck()
			r.find(false)
			r.poll(true)
		case <-r.rescan:
			r.find(false)
		case <-tick.C:
			full := time.Since(lastFull) >= r.times.rescan
			if full {
				lastFull = time.Now()
				r.folders.recheck()
			}
			r.find(false)
			polled = r.poll(full)
			if tick.Reset(r.times.rescan); polled {
				tick.Reset(min(r.times.poll, r.times.rescan))
			}
		}
	}
}

// handle wakes whom an event concerns.
func (r *round) handle(ev fsnotify.Event) {
	path := filepath.Clean(ev.Name)
	look := ev.Op != fsnotify.Write
	known := false
	r.names.awaiting(path, func(s *source) {
		known = true
		r.queue.wake(s, look)
	})
	if !look {
		return
	}
	if ev.Has(fsnotify.Remove) || ev.Has(fsnotify.Rename) {
		known = r.folders.lost(path) || known
	}
	if known || r.folders.wants(path) {
		r.again()
	}
}

// find looks at the patterns and starts and ends sources accordingly. first is
// the time when what is there counts as there before us.
func (r *round) find(first bool) {
	got := r.finder.find(r.config.Watches)
	if r.journal != nil {
		r.choose(&got)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = got
	wanted := map[string]bool{}
	for _, t := range got.targets {
		wanted[t.path] = true
		src := r.sources[t.path]
		if src == nil {
			src = &source{env: r.env, name: "file:" + t.path, path: t.path, mark: r.marks[t.path], fresh: first && t.exists}
			src.status = SourceStatus{Path: t.path}
			r.takeOver(src, t)
			r.sources[t.path] = src
			if first {
				r.pending[src] = true
			}
		}
		news := src.set(t)
		r.names.set(src, leading, t.names)
		if news {
			r.queue.wake(src, true)
		}
	}
	for path, src := range r.sources {
		if !wanted[path] && src.set(nil) {
			r.queue.wake(src, true)
		}
	}
	r.searched = true
	r.allRead()
}

// allRead tells it if all is read that was there at the start. mu is held.
func (s *Sensor) allRead() {
	if s.searched && len(s.pending) == 0 && s.unheard == 0 {
		s.closeCaught()
	}
}

// set takes over what the finder found, nil where the path is no longer wanted,
// and reports whether it is news.
func (s *source) set(t *target) (news bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t == nil {
		news = !s.unwanted
		s.unwanted = true
		return news
	}
	same := sameWatches(s.watches, t.watches)
	news = !same || s.unwanted || s.exists != t.exists || s.seen != t.id
	s.renewed = s.renewed || !same
	s.unwanted, s.watches, s.exists, s.seen, s.polled = false, t.watches, t.exists, t.id, t.polled
	return news
}

// poll wakes the sources that no events come for, and with all the others too.
// It reports whether there are any of the former.
func (r *round) poll(all bool) (some bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.sources {
		s.mu.Lock()
		polled := s.polled
		s.mu.Unlock()
		some = some || polled
		if polled || all {
			r.queue.wake(s, true)
		}
	}
	return some
}

// work runs sources that have something to do, until the round ends.
func (r *round) work() {
	buf := newBuffer()
	for {
		s, look := r.queue.take()
		if s == nil {
			return
		}
		r.runOne(s, look, buf)
	}
}

func (r *round) runOne(s *source, look bool, buf *buffer) {
	again := false
	defer func() {
		if p := recover(); p != nil {
			r.cancel(fmt.Errorf("read %s: panic: %v\n%s", s.path, p, debug.Stack()))
		}
		r.queue.done(s, again && r.ctx.Err() == nil)
	}()
	again, wait, err := s.run(r.ctx, look, buf)
	buf.shrink()
	if s.retired {
		wait = 0
	}
	if err != nil {
		again = false
		r.cancel(fmt.Errorf("hand over lines of %s: %w", s.path, err))
		return
	}
	r.later(s, wait)
}

// later wakes s after a while; 0 = only when something happens.
func (r *round) later(s *source, wait time.Duration) {
	r.timersMu.Lock()
	defer r.timersMu.Unlock()
	t := r.timers[s]
	switch {
	case wait <= 0 && t != nil:
		t.Stop()
		delete(r.timers, s)
	case wait <= 0:
	case t != nil:
		t.Reset(wait)
	default:
		r.timers[s] = time.AfterFunc(wait, func() { r.queue.wake(s, true) })
	}
}

// settle notes that a source was read to its end.
func (r *round) settle(s *source) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pending[s] {
		delete(r.pending, s)
		r.allRead()
	}
}

// closeCaught tells that all is read that was there at the start. mu is held.
func (s *Sensor) closeCaught() {
	select {
	case <-s.caught:
	default:
		close(s.caught)
	}
}

// leave forgets a source that has nothing left to follow, unless its path is
// wanted again. Where it was is kept for when the path comes back. It is called
// by the worker that runs the source.
func (r *round) leave(src *source) {
	r.mu.Lock()
	defer r.mu.Unlock()
	src.mu.Lock()
	unwanted := src.unwanted
	src.mu.Unlock()
	if unwanted {
		src.retired = true
		r.retire(src)
	}
}

// retire takes a source out of all lists. mu is held.
func (s *Sensor) retire(src *source) {
	delete(s.sources, src.path)
	delete(s.pending, src)
	if src.mark != "" {
		s.marks[src.path] = src.mark
	}
	s.names.set(src, leading, nil)
	s.names.set(src, leaving, nil)
}

// end closes everything. All workers have ended.
func (r *round) end() {
	r.timersMu.Lock()
	for _, t := range r.timers {
		t.Stop()
	}
	r.timersMu.Unlock()
	if r.watcher != nil {
		_ = r.watcher.Close()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, src := range r.sources {
		src.closeAll()
		r.retire(src)
	}
	r.last = found{}
	r.running = false
}
