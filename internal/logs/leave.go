package logs

import (
	"context"
	"os"
	"slices"
	"time"

	"gatehouse/internal/gate"
)

// written returns when the file was last written to, at most now.
func (f *follower) written(now time.Time) time.Time {
	file, ok := f.content.(plain)
	if p, is := f.content.(*packed); is {
		file, ok = p.file, true
	}
	if ok {
		if info, err := file.info(); err == nil && info.mtime.Before(now) {
			return info.mtime
		}
	}
	return now
}

// letGo takes leave of files that were rotated away: those that cannot grow at
// once, others when their successor has been in use and nothing came for a
// while. It returns whether there is more to read after all, and how long until
// the next one is due; 0 = none.
func (s *source) letGo(ctx context.Context, buf *buffer, unwanted bool) (again bool, wait time.Duration, err error) {
	now := time.Now()
	// A file is in the mark until a newer one is, with a first line to know it by:
	// else nobody could tell, after a restart, which files came after.
	inUse := false
	for i := len(s.chain) - 1; i >= 0; i-- {
		f := s.chain[i]
		if f.live {
			inUse = f.head.n > 0
			continue
		}
		if f.deadline.IsZero() {
			switch {
			case f.sealed && inUse:
				f.deadline = now
			case inUse || f.deleted() || unwanted && s.there():
				f.deadline = now.Add(s.times.drain)
			case unwanted: // perhaps a rotation goes on, and there will be a successor
				f.deadline = now.Add(s.times.linger)
			}
		}
		inUse = inUse || f.head.n > 0
	}
	for i := 0; i < len(s.chain); {
		f := s.chain[i]
		if f.deadline.IsZero() || now.Before(f.deadline) {
			i++
			if !f.deadline.IsZero() {
				wait = shorter(wait, f.deadline.Sub(now))
			} else if !f.live && s.unseen(f) {
				wait = shorter(wait, s.times.poll)
			}
			continue
		}
		line, at, more, err := f.rest(buf)
		if more {
			return true, 0, nil
		}
		if err != nil {
			s.log.Warn("the unfinished last line of a rotated log is lost", "path", s.path, "error", err)
		}
		err = s.bequeath(ctx, f)
		s.chain = slices.Delete(s.chain, i, i+1)
		s.moved = true
		if err == nil && line != nil {
			err = s.hand(ctx, f, line, at)
		}
		s.close(f)
		if err != nil {
			return false, 0, err
		}
	}
	return false, wait, nil
}

// bequeath hands over the mark of f for the sources that wait for it, so that
// there is no moment at which no source has one.
func (s *source) bequeath(ctx context.Context, f *follower) error {
	for _, w := range s.claims.heirs(f.real) {
		m := mark{at: s.now(), places: []place{f.here()}}
		if err := s.emit(ctx, gate.Batch{Source: w.name, Mark: m.String(), Live: s.live}); err != nil {
			return err
		}
	}
	return nil
}

// there reports whether the path leads to anything.
func (s *source) there() bool {
	_, err := os.Lstat(s.path)
	return err == nil
}

// deleted reports whether the file has no name any more.
func (f *follower) deleted() bool {
	p, ok := f.content.(plain)
	if !ok {
		return true
	}
	info, err := p.info()
	return err != nil || info.links == 0
}

// unseen reports whether f lies where no events come from.
func (s *source) unseen(f *follower) bool {
	p, ok := f.content.(plain)
	return ok && !s.folders.listens(p.where())
}

// shorter returns the shorter of two times to wait, where 0 is for ever.
func shorter(a, b time.Duration) time.Duration {
	if a == 0 {
		return b
	}
	return min(a, b)
}

// remove takes file i out of the chain and closes it.
func (s *source) remove(i int) {
	f := s.chain[i]
	s.chain = slices.Delete(s.chain, i, i+1)
	s.moved = true
	s.close(f)
}

// close is the end of a file that is out of the chain.
func (s *source) close(f *follower) {
	if f.head.n > 0 && !slices.Contains(s.past, f.head) {
		s.past = append(s.past, f.head)
		if len(s.past) > maxChain {
			s.past = s.past[1:]
		}
	}
	_ = f.content.Close()
	for _, w := range s.claims.drop(f.real, f.here()) {
		s.wake(w, true)
	}
	s.long += f.long
	s.stay()
}
