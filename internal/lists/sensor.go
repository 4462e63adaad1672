package lists

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"gatehouse/internal/gate"
)

// Deps is what a Sensor is given.
type Deps struct {
	Log *slog.Logger     // nil = none
	Now func() time.Time // nil = time.Now
	// Offer asks that this content of a list be put in force, and returns what became
	// of it once it is decided.
	// by names the person who took it, "" for nobody.
	Offer func(ctx context.Context, name string, v gate.Verdict, n gate.ListNews, by string) (gate.Answer, error)
	// Withdraw says that a list is too old to be in force.
	Withdraw func(ctx context.Context, name string, v gate.Verdict, why string) error
	// Tell records that something happened to a list: kind is one word, the sentence
	// is finished.
	Tell func(ctx context.Context, name, kind, sentence string)
	// Fault notes what is wrong with a list at present; "" = nothing any more.
	Fault func(name, why, hint string)
}

// Sensor follows the sources of block lists. Make one with New. Its methods are safe
// for concurrent use.
type Sensor struct {
	store  *Store
	deps   Deps
	client *http.Client
	agent  string
	feeds  []*feed
	ended  chan struct{} // closed when Run first returns
	end    func()        // closes it
	busy   chan struct{} // holds 2: so many lists are read at once, which bounds memory
}

// New returns the sensor for these lists. Call Run.
func New(c Config, d Deps) *Sensor {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	s := &Sensor{store: NewStore(c.Folder), deps: d, client: newClient(), agent: cmp.Or(c.Agent, "gatehouse"), busy: make(chan struct{}, 2), ended: make(chan struct{})}
	s.end = sync.OnceFunc(func() { close(s.ended) })
	for _, l := range c.Lists {
		s.feeds = append(s.feeds, newFeed(s, l.withDefaults()))
	}
	return s
}

// String names the task.
func (s *Sensor) String() string { return "lists" }

// Run follows all sources until ctx ends, then returns nil.
func (s *Sensor) Run(ctx context.Context) error {
	defer s.end()
	defer s.client.CloseIdleConnections()
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, f := range s.feeds {
		wg.Go(func() { f.run(ctx) })
	}
	if err := s.watch(ctx); err != nil {
		s.deps.Log.Warn("changes of list files are noticed late", "err", err)
	}
	<-ctx.Done()
	return nil
}

// watch wakes the feeds whose files change.
func (s *Sensor) watch(ctx context.Context) error {
	byPath := map[string]*feed{}
	for _, f := range s.feeds {
		if f.list.File != "" {
			byPath[f.list.File] = f
		}
	}
	if len(byPath) == 0 {
		return nil
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	defer w.Close()
	var missing error
	for path := range byPath {
		if err := w.Add(filepath.Dir(path)); err != nil {
			missing = fmt.Errorf("watch %s: %w", filepath.Dir(path), err)
		}
	}
	if missing != nil {
		s.deps.Log.Warn("changes of a list file are noticed late", "err", missing)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-w.Events:
			if !ok {
				return nil
			}
			if f := byPath[e.Name]; f != nil && !e.Has(fsnotify.Chmod) {
				f.stir()
			}
		case _, ok := <-w.Errors: // events were lost: look at all
			if !ok {
				return nil
			}
			for _, f := range byPath {
				f.stir()
			}
		}
	}
}

// Refresh looks at a list now and returns when that is done.
func (s *Sensor) Refresh(ctx context.Context, name string) error { return s.request(ctx, name, "") }

// Accept takes what is held back of a list: a person, who is named, has looked at it.
func (s *Sensor) Accept(ctx context.Context, name, by string) error { return s.request(ctx, name, by) }

// errEnded is what a request gets that comes too late.
var errEnded = errors.New("the lists are being read anew; try again")

func (s *Sensor) request(ctx context.Context, name, by string) error {
	for _, f := range s.feeds {
		if f.list.Name != name {
			continue
		}
		r := request{by, make(chan error, 1)}
		select {
		case f.requests <- r:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ended:
			return errEnded
		}
		select {
		case err := <-r.done:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ended:
			return errEnded
		}
	}
	return fmt.Errorf("there is no list %s", gate.Quote(name, 64))
}

// Load returns the copy of a list with this digest. What was just read does not have
// to be read back; it is kept until it is asked for.
func (s *Sensor) Load(name string, d Digest) (*Set, error) {
	for _, f := range s.feeds {
		if f.list.Name != name {
			continue
		}
		f.mu.Lock()
		set, is := f.fresh, f.freshIs
		f.fresh = nil
		f.mu.Unlock()
		if set != nil && is == d {
			return set, nil
		}
	}
	return s.store.Load(name, d)
}

// Status returns how each list is, in the order of the configuration.
func (s *Sensor) Status() []Status {
	out := make([]Status, len(s.feeds))
	for i, f := range s.feeds {
		out[i] = f.status()
	}
	return out
}

// Names returns the names of all lists.
func (s *Sensor) Names() []string {
	out := make([]string, len(s.feeds))
	for i, f := range s.feeds {
		out[i] = f.list.Name
	}
	return out
}
