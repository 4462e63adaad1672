package logs

import (
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// openStreams makes the streams of all watches: one journal for all units, one
// listener for each address, one child for each command.
func (s *Sensor) openStreams() {
	for i, w := range s.config.Watches {
		earlier := s.config.Watches[:i]
		if len(w.Journal) > 0 && s.journal == nil {
			s.journal = newJournal(&s.env, &s.readers, s.config.Journal)
			s.streams = append(s.streams, s.journal)
		}
		if same := func(o Watch) bool { return o.Syslog != nil && o.Syslog.Address == w.Syslog.Address }; w.Syslog != nil && !slices.ContainsFunc(earlier, same) {
			s.streams = append(s.streams, newListener(&s.env, &s.readers, *w.Syslog, s.those(same)))
		}
		if same := func(o Watch) bool { return len(o.Command) > 0 && slices.Equal(o.Command, w.Command) }; len(w.Command) > 0 && !slices.ContainsFunc(earlier, same) {
			s.streams = append(s.streams, newCommand(&s.env, &s.readers, w.Command, s.those(same)))
		}
	}
	s.unheard = len(s.streams)
}

// those returns the watches that are so.
func (s *Sensor) those(so func(Watch) bool) (list []Watch) {
	for _, w := range s.config.Watches {
		if so(w) {
			list = append(list, w)
		}
	}
	return list
}

// bring runs a stream until the round ends.
func (r *round) bring(st stream) {
	var once sync.Once
	settled := func() {
		once.Do(func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.unheard > 0 {
				r.unheard--
				r.allRead()
			}
		})
	}
	defer func() {
		if p := recover(); p != nil {
			r.cancel(fmt.Errorf("read a stream: panic: %v\n%s", p, debug.Stack()))
		}
	}()
	if err := st.run(r.ctx, settled); err != nil {
		r.cancel(err)
	}
}

// sameWatches reports whether both lists read the same lines in the same way.
func sameWatches(a, b []Watch) bool {
	return slices.EqualFunc(a, b, func(v, w Watch) bool { return v.Name == w.Name && v.Rule == w.Rule && v.Format == w.Format })
}

// takeOver has a file that is read from now on count from when the journal was
// left off, and says what it was chosen for. mu is held.
func (r *round) takeOver(src *source, t *target) {
	if r.journal == nil {
		return
	}
	src.status.Note = r.elsewhere(t.watches)
	since := r.journalRead(t.watches)
	if since.IsZero() {
		return
	}
	src.since = since
	if back := r.env.now().Sub(since); back < src.back {
		src.back = max(back, time.Nanosecond)
	}
}
