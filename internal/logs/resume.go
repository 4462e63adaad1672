package logs

import (
	"errors"
	"slices"
	"time"
)

// markSlack is how much older than a mark the copy of a file may be that was
// being made while the file was read on.
const markSlack = time.Minute

// resume picks what lies behind the mark: the rest of each file that it names,
// wherever that is now, then the files that came after these, then the file
// itself. It picks nothing while there is nothing that the mark could be about.
func (s *source) resume(m mark, all []sibling) (picked []*follower, err error) {
	found := make([]*follower, len(all))
	defer func() {
		if err != nil {
			discard(found)
		}
	}()
	rotated, live := rotatedOf(all), fileID{}
	if len(rotated) < len(all) {
		live = all[len(rotated)].id
	}
	newest, copies := -1, false
	for _, p := range m.places {
		i, f, err := locate(p, all, found, m.at)
		switch {
		case err != nil:
			return nil, err
		case i < 0:
			if p.off > 0 && len(all) > 0 {
				s.log.Warn("the rest of a log that was rotated meanwhile is not found", "path", s.path, "offset", p.off)
			}
			continue
		}
		newest = max(newest, i)
		copied := !all[i].live && all[i].id.ino != p.id.ino && live.ino == p.id.ino
		copies = copies || copied
		if found[i] = f; f != nil {
			f.live = all[i].live
			f.sealed = f.sealed || copied
			f.cut = copied
		}
		if f != nil && f.live && p.emptied && p.head.n == 0 {
			// Nothing is known of its content: it may have been filled, copied and
			// emptied again.
			newest, copies = -1, true
		}
	}
	if newest < 0 && live == (fileID{}) {
		return nil, nil
	}
	for i, b := range all {
		if found[i] != nil || i < newest || i == newest && !b.live || newest < 0 && !b.live && !b.mtime.After(m.at) {
			continue
		}
		fs, err := s.openAll(all[i:i+1], copyOf(copies, live))
		if err != nil {
			return nil, err
		}
		if len(fs) > 0 {
			found[i] = fs[0]
		}
	}
	return slices.DeleteFunc(found, func(f *follower) bool { return f == nil }), nil
}

// copyOf returns what makes a rotated file, where it is a copy, one incarnation
// of the file that was copied, so that its events have the origin that they had
// or would have had there.
func copyOf(copies bool, original fileID) func(*follower, sibling) error {
	if !copies {
		return nil
	}
	return func(f *follower, b sibling) error {
		if !b.live {
			f.id, f.sealed, f.cut = original, true, true
		}
		return nil
	}
}

// locate finds the file that has at place p what was read there: best the same
// file, else one with the same inode (devices are renumbered at boot), else any
// with the same content. It returns its index and a follower at p; no follower
// where the file is a copy that ends before p; -1 where there is none.
func locate(p place, all []sibling, taken []*follower, at time.Time) (int, *follower, error) {
	spent := -1
	for rank := range 3 {
		for i, b := range slices.Backward(all) {
			if taken[i] != nil || b.rank(p) != rank || rank > 0 && p.head.n == 0 {
				continue
			}
			f, err := b.open()
			if errors.Is(err, errRaced) {
				return -1, nil, err
			}
			if err != nil {
				continue
			}
			if f.verify(p) {
				return i, f, nil
			}
			if rank == 2 && !b.live && spent < 0 && f.isShort(b, p) && b.mtime.After(at.Add(-markSlack)) {
				spent = i
			}
			_ = f.content.Close()
		}
	}
	return spent, nil, nil
}

// rank says how likely the file is the one of p: 0 the same, 1 the same inode,
// 2 another.
func (b sibling) rank(p place) int {
	switch {
	case b.packed() || b.id.ino != p.id.ino:
		return 2
	case b.id.dev != p.id.dev:
		return 1
	}
	return 0
}

// isShort reports whether f begins like the file of p and ends before p.
func (f *follower) isShort(b sibling, p place) bool {
	if b.packed() || b.size >= p.off {
		return false
	}
	return f.verify(place{head: p.head})
}

// refill deals with file i of the chain, whose content is not what was read any
// more, or, with anew, is the first since it was emptied. If the path leads to
// it, what was not read of it is in the copy that was made before, if any; then
// it is read from its start. It returns where in the chain to go on; -1 = not
// yet known, try again.
func (s *source) refill(i int, anew bool) int {
	f := s.chain[i]
	if !f.live {
		s.log.Info("a rotated log was overwritten before it was let go", "path", s.path)
		s.remove(i)
		return i
	}
	beside := slices.Clone(s.beside)
	copies, err := s.survey(func(all []sibling) ([]*follower, error) {
		if anew {
			return s.openAll(slices.DeleteFunc(slices.Clone(rotatedOf(all)), func(b sibling) bool {
				return b.packed() || slices.Contains(beside, b.id)
			}), copyOf(true, f.id))
		}
		return s.copies(f, rotatedOf(all))
	})
	switch {
	case errors.Is(err, errRaced):
		if anew {
			f.emptied, f.first = true, nil
		}
		return -1
	case err != nil:
		s.log.Warn("the copy of a log that was emptied is not read", "path", s.path, "error", err)
	}
	s.moved = true
	s.chain = s.chain[:i] // f is the last: it is live
	_ = s.attach(copies)
	if !anew {
		f.restart()
	}
	s.chain = append(s.chain, f)
	return 0
}

// copies picks the copy of f as it was before it was emptied, and the copies
// made since.
func (s *source) copies(f *follower, rotated []sibling) ([]*follower, error) {
	was := f.here()
	for i, b := range slices.Backward(rotated) {
		g, err := b.open()
		if errors.Is(err, errRaced) {
			return nil, err
		}
		if err != nil {
			continue
		}
		if !g.verify(was) {
			short := g.isShort(b, was)
			_ = g.content.Close()
			if short {
				return nil, nil // all of it was read
			}
			continue
		}
		g.sealed, g.cut, g.emptied = true, true, false
		newer, err := s.openAll(rotated[i+1:], copyOf(true, f.id))
		if err != nil {
			_ = g.content.Close()
			return nil, err
		}
		return append([]*follower{g}, newer...), nil
	}
	s.log.Info("a log was emptied, and no copy of it is beside it", "path", s.path)
	return nil, nil
}
