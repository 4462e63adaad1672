package logs

import (
	"errors"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// markSlack is how much older than a mark the copy of a file may be that was
// being made while the file was read on.
const markSlack = time.Minute

// resume picks what lies behind the mark: the rest of each file that it names,
// wherever that is now, then the files that came after these, then the file
// itself. It picks nothing while there is nothing that the mark could be about.
func (s *source) resume(m mark, all []sibling) (picked []*follower, err error) {
	found, at, err := locateAll(m, all)
	defer func() {
		if err != nil {
			discard(found)
		}
	}()
	if err != nil {
		return nil, err
	}
	rotated, live := rotatedOf(all), sibling{}
	if len(rotated) < len(all) {
		live = all[len(rotated)]
	}
	newest, copied := -1, false
	for k, p := range m.places {
		i := at[k]
		switch {
		case i < 0:
			if p.off > 0 && len(all) > 0 {
				s.log.Warn("the rest of a log that was rotated meanwhile is not found", "path", s.path, "offset", p.off)
			}
			continue
		case !all[i].live && all[i].id.ino != p.id.ino && live.id.ino == p.id.ino && !live.bornAfter(m.at):
			copied = true
		}
		if f := found[i]; f != nil {
			f.live, f.cut = all[i].live, copied && !all[i].live
			f.sealed = f.sealed || f.cut
		}
		if p.head.n == 0 && all[i].live {
			copied = true // nothing is known of its content: it may have been filled, copied and emptied again
			continue
		}
		newest = max(newest, i)
	}
	if newest < 0 && !live.live {
		return nil, nil
	}
	for i, b := range all {
		if found[i] != nil || !b.live && (i <= newest || newest < 0 && !b.mtime.After(m.at)) {
			continue
		}
		var fs []*follower
		if copied && !b.live {
			fs, err = s.generations(all[i:i+1], live.head(), live.id)
		} else {
			fs, err = s.openAll(all[i:i+1], nil)
		}
		if err != nil {
			return nil, err
		}
		if len(fs) > 0 {
			found[i] = fs[0]
		}
	}
	return slices.DeleteFunc(found, func(f *follower) bool { return f == nil }), nil
}

// generations opens copies of a file, each made before the file was emptied: it
// reads them as incarnations of that file, so that their events have the origin
// that they had, or would have had, there. A copy that begins like the file does
// now is still being made, as is one that has no first line.
func (s *source) generations(copies []sibling, now digest, original fileID) ([]*follower, error) {
	fs, err := s.openAll(copies, func(f *follower, _ sibling) error {
		f.id, f.sealed, f.cut = original, true, true
		return nil
	})
	return slices.DeleteFunc(fs, func(f *follower) bool {
		unready := f.first == nil || f.head == now
		if unready {
			_ = f.content.Close()
		}
		return unready
	}), err
}

// head returns what the file begins with; the zero digest if that cannot be
// read.
func (b sibling) head() digest {
	f, err := b.open()
	if err != nil {
		return digest{}
	}
	defer f.content.Close()
	if f.seek(0) != nil {
		return digest{}
	}
	return f.head
}

// bornAfter reports whether the file was made after t, as far as its file
// system tells. Without that, a new file that was given the inode of one that
// was deleted looks like a file that was emptied.
func (b sibling) bornAfter(t time.Time) bool {
	var st unix.Statx_t
	if unix.Statx(unix.AT_FDCWD, b.path, 0, unix.STATX_BTIME, &st) != nil || st.Mask&unix.STATX_BTIME == 0 {
		return false
	}
	return time.Unix(st.Btime.Sec, int64(st.Btime.Nsec)).After(t)
}

// locateAll finds the files of all places of a mark: a follower for each of all
// that is one, and for each place the index of its file, -1 where there is none.
//
// A place at the start of an empty file has nothing but an inode to go by, which
// a later file may have been given: it counts only where the order of the others
// allows it.
func locateAll(m mark, all []sibling) (found []*follower, at []int, err error) {
	found, at = make([]*follower, len(all)), make([]int, len(m.places))
	for k, p := range m.places {
		if at[k] = -1; p.head.n == 0 {
			continue
		}
		i, f, err := locate(p, all, found, m.at)
		if err != nil {
			return found, nil, err
		}
		if at[k] = i; i >= 0 {
			found[i] = f
		}
	}
	for k, p := range m.places {
		if p.head.n > 0 {
			continue
		}
		i, f, err := locate(p, all, found, m.at)
		if err != nil {
			return found, nil, err
		}
		if i < 0 {
			continue
		}
		before := slices.Max(append([]int{-1}, at[:k]...))
		after := slices.IndexFunc(at[k+1:], func(j int) bool { return j >= 0 && j <= i })
		if i <= before || after >= 0 || all[i].bornAfter(m.at) {
			_ = f.content.Close()
			continue
		}
		if err := f.seek(0); err != nil { // perhaps it has a first line by now
			_ = f.content.Close()
			return found, nil, err
		}
		at[k], found[i] = i, f
	}
	return found, at, nil
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
// more, or, with anew, is the first of a file that was empty. If the path leads to
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
	emptied := !anew
	anew = anew || f.first == nil // nothing was read by which a copy could be known
	beside := slices.Clone(s.beside)
	var head []byte
	var at int64
	copies, err := s.survey(func(all []sibling) ([]*follower, error) {
		var err error
		if head, at, err = f.readHead(); err != nil { // before the copies: it tells what they are
			return nil, err
		}
		if n := len(all); n == 0 || !all[n-1].live || all[n-1].id != f.real {
			return nil, nil // it was renamed: what is beside it now is no copy
		}
		if anew {
			return s.generations(slices.DeleteFunc(slices.Clone(rotatedOf(all)), func(b sibling) bool {
				return b.packed() || slices.Contains(beside, b.id)
			}), digestOf(head, at), f.id)
		}
		return s.copies(f, rotatedOf(all), digestOf(head, at))
	})
	switch {
	case errors.Is(err, errRaced):
		if !emptied {
			f.unsure, f.first = true, nil
		}
		return -1
	case err != nil:
		s.log.Warn("the copy of a log that was emptied is not read", "path", s.path, "error", err)
	}
	s.moved = true
	s.chain = s.chain[:i] // f is the last: it is live
	_ = s.attach(copies)
	if emptied {
		f.restart()
	}
	if head != nil {
		f.setFirst(head, at)
		f.unsure = false
	}
	s.chain = append(s.chain, f)
	return 0
}

// copies picks the copy of f as it was before it was emptied, and the copies
// made since; now is what it begins with now.
func (s *source) copies(f *follower, rotated []sibling, now digest) ([]*follower, error) {
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
		g.sealed, g.cut = true, true
		newer, err := s.generations(rotated[i+1:], now, f.id)
		if err != nil {
			_ = g.content.Close()
			return nil, err
		}
		return append([]*follower{g}, newer...), nil
	}
	s.log.Info("a log was emptied, and no copy of it is beside it", "path", s.path)
	return nil, nil
}
