package logs

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// Bounds of reading back without a mark.
const (
	maxBack         = 64 << 20 // bytes in all files of a source together
	defaultLookback = time.Hour
)

// errRaced says that files were renamed while they were looked at. Whoever
// gets it looks again, a little later.
var errRaced = errors.New("files were renamed meanwhile")

// survey calls pick with the files beside the log, to open those that are to be
// followed next, the oldest first. What pick saw is true of one moment: if any
// file came, went or was renamed meanwhile, it is asked again.
func (s *source) survey(pick func([]sibling) ([]*follower, error)) ([]*follower, error) {
	for range 5 {
		s.resolve()
		at, all := s.at, siblings(s.at, s.link)
		picked, err := pick(all)
		if err == nil {
			if s.resolve(); s.at == at && slices.EqualFunc(all, siblings(s.at, s.link), func(a, b sibling) bool { return a.path == b.path && a.id == b.id }) {
				s.beside = s.beside[:0]
				for _, b := range all {
					if b.size > 0 {
						s.beside = append(s.beside, b.id)
					}
				}
				return picked, nil
			}
			err = errRaced
		}
		discard(picked)
		if !errors.Is(err, errRaced) {
			return nil, err
		}
	}
	return nil, errRaced
}

// discard closes files that are not followed after all.
func discard(fs []*follower) {
	for _, f := range fs {
		if f != nil {
			_ = f.content.Close()
		}
	}
}

// attach adds files to the end of the chain, but for those that another source
// reads. A file that was read before goes on from there. The error is about
// the file that the path leads to.
func (s *source) attach(fs []*follower) (err error) {
	for _, f := range fs {
		other, seen, known := s.claims.take(f.real, s)
		switch {
		case other == s:
			_ = f.content.Close()
			if i := slices.IndexFunc(s.chain, func(g *follower) bool { return g.real == f.real }); i >= 0 && f.live { // it was put back
				g := s.chain[i]
				s.chain = append(slices.Delete(s.chain, i, i+1), g)
				g.live, g.deadline = true, time.Time{}
			}
			continue
		case other != nil:
			_ = f.content.Close()
			if f.live {
				err = sameFileError{other.path}
			}
			continue
		}
		if known && f.off == 0 {
			f.verify(seen)
		}
		f.unsure = f.live && f.first == nil
		s.moved = true // from now on there is a mark
		s.chain = append(s.chain, f)
	}
	for len(s.chain) > maxChain {
		s.log.Warn("too many rotated files at once: the oldest is not read to its end", "path", s.path)
		s.remove(0)
	}
	return err
}

// begin opens what there is to read at first: from the mark where there is one,
// else the file itself. The source has begun unless there is nothing yet that
// the mark could be about.
func (s *source) begin() error {
	m, marked := s.resumption()
	pick := s.anew
	switch {
	case marked:
		pick = func(all []sibling) ([]*follower, error) { return s.resume(m, all) }
	case s.fresh:
		pick = s.readBack
	}
	fs, err := s.survey(pick)
	if err != nil {
		return err
	}
	s.begun = !marked || len(fs) > 0
	return s.attach(fs)
}

// resumption returns the mark to go on from.
func (s *source) resumption() (mark, bool) {
	if s.mark == "" {
		s.mark = s.env.mark(s.name)
	}
	if s.mark == "" {
		return mark{}, false
	}
	m, err := parseMark(s.mark)
	if err != nil {
		s.log.Warn("where this log was read to is not known any more: it is read like a new one", "path", s.path, "error", err)
		return mark{}, false
	}
	return m, true
}

// open opens the file as it was listed, for a follower at its start.
func (b sibling) open() (*follower, error) {
	if b.packed() {
		c, info, err := openPacked(b.path)
		if err != nil {
			return nil, raced(err)
		}
		return &follower{content: c, real: info.id, place: place{id: info.id}, sealed: true, size: 1}, nil
	}
	c, info, err := openPlain(b.path)
	if err == nil && info.id != b.id {
		_ = c.Close()
		err = fmt.Errorf("open %s: %w", b.path, errRaced)
	}
	if err != nil {
		return nil, raced(err)
	}
	return &follower{content: c, real: info.id, place: place{id: info.id}, size: info.size, live: b.live}, nil
}

// raced adds errRaced to the error of opening what was listed and is gone.
func raced(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %w", errRaced, err)
	}
	return err
}

// openAll opens these files, each at its start; prepare, if not nil, changes
// that. A rotated file that cannot be read is left out, and said so.
func (s *source) openAll(all []sibling, prepare func(*follower, sibling) error) (fs []*follower, err error) {
	for _, b := range all {
		f, err := b.open()
		if err == nil {
			err = f.seek(0) // what it begins with, so that it is found again wherever it goes
		}
		if err == nil && prepare != nil {
			err = prepare(f, b)
		}
		switch {
		case err == nil:
			fs = append(fs, f)
			continue
		case f != nil:
			_ = f.content.Close()
		}
		switch {
		case b.live || errors.Is(err, errRaced):
			discard(fs)
			return nil, err
		default:
			s.log.Warn("a rotated log is not read", "path", b.path, "error", err)
		}
	}
	return fs, nil
}

// anew picks the file itself, from its start.
func (s *source) anew(all []sibling) ([]*follower, error) {
	return s.openAll(all[len(rotatedOf(all)):], nil)
}

// rotatedOf returns all without the log itself.
func rotatedOf(all []sibling) []sibling {
	if n := len(all); n > 0 && all[n-1].live {
		return all[:n-1]
	}
	return all
}

// readBack picks what was written lately, in the file and in those that it was
// rotated to.
func (s *source) readBack(all []sibling) ([]*follower, error) {
	s.since = s.now().Add(-s.back)
	left, first := int64(maxBack), len(all)
	for first > 0 && left > 0 {
		b := all[first-1]
		if b.packed() || !b.live && b.mtime.Before(s.since) {
			break
		}
		left -= b.size
		first--
	}
	return s.openAll(all[first:], func(f *follower, b sibling) error {
		skip := max(0, -left)
		if left = 0; skip == 0 {
			return nil
		}
		f.skip = true // up to the next line
		return f.seek(skip - 1)
	})
}

// successors picks the files that the path led to after the newest that is
// followed, for rotation may have been faster than we are, and the one that it
// leads to now.
func (s *source) successors(all []sibling) ([]*follower, error) {
	rotated := rotatedOf(all)
	newer := rotated[len(rotated):]
	if n := len(s.chain); n > 0 {
		last := s.chain[n-1]
		if last.first == nil {
			_ = last.seek(last.off) // perhaps it has a first line by now, to know it by
		}
		if i := slices.IndexFunc(rotated, func(b sibling) bool { return b.holds(last) }); i >= 0 {
			newer = rotated[i+1:]
		} else if s.from == s.at { // it was deleted, or moved elsewhere
			written := last.written(s.now())
			newer = slices.DeleteFunc(slices.Clone(rotated), func(b sibling) bool {
				return b.mtime.Before(written) || b.packed() && s.knows(b)
			})
		}
	}
	return s.openAll(slices.Concat(newer, all[len(rotated):]), nil)
}

// holds reports whether b is the file of f, or its compressed form.
func (b sibling) holds(f *follower) bool {
	if !b.packed() {
		return b.id == f.real
	}
	return f.head.n > 0 && b.begins(f.head)
}

// begins reports whether the file begins with what the digest was made of.
func (b sibling) begins(head digest) bool {
	f, err := b.open()
	if err != nil {
		return false
	}
	defer f.content.Close()
	return f.verify(place{head: head})
}

// knows reports whether the content of b was read before.
func (s *source) knows(b sibling) bool {
	return slices.ContainsFunc(s.past, b.begins) ||
		slices.ContainsFunc(s.chain, func(f *follower) bool { return f.head.n > 0 && b.begins(f.head) })
}
