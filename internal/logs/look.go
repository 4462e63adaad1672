package logs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// resolve finds out where the path leads to, for the files beside it.
func (s *source) resolve() {
	s.at = s.path
	if p, err := filepath.EvalSymlinks(s.path); err == nil {
		s.at = p
	} else if dir, err := filepath.EvalSymlinks(filepath.Dir(s.path)); err == nil {
		s.at = filepath.Join(dir, filepath.Base(s.path))
	}
	fi, err := os.Lstat(s.path)
	s.link = err == nil && fi.Mode()&fs.ModeSymlink != 0
}

// current returns the follower of the file at the path; nil if there is none.
func (s *source) current() *follower {
	if n := len(s.chain); n > 0 && s.chain[n-1].live {
		return s.chain[n-1]
	}
	return nil
}

// look finds out which file the path leads to. An error says why none can be
// read; what was open goes on being followed.
func (s *source) look() error {
	defer s.stay()
	fi, err := os.Stat(s.path)
	if err == nil && !fi.Mode().IsRegular() {
		err = &os.PathError{Op: "read", Path: s.path, Err: errNotRegular}
	}
	switch cur := s.current(); {
	case err == nil && cur != nil && cur.real == infoOf(fi).id:
	case !s.begun && (err == nil || gone(err)):
		err = errors.Join(s.begin(), err)
	case err == nil:
		err = s.open()
	case gone(err):
		s.rotate(cur)
	}
	return err
}

// gone reports whether err says that the path leads to no log file any more.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotRegular) || errors.Is(err, syscall.ENOTDIR)
}

// open follows the file that the path leads to now, in place of another.
func (s *source) open() error {
	s.from = s.at
	fs, err := s.survey(s.successors)
	if err != nil {
		return err
	}
	if len(s.chain) == 0 || len(fs) > 1 {
		s.live = false // there is a past to be read
	}
	if len(fs) > 0 {
		s.rotate(s.current())
	}
	return s.attach(fs)
}

// sameFileError says that another source reads the file.
type sameFileError struct{ path string }

func (e sameFileError) Error() string { return "the same file as " + e.path }

// rotate notes that f is no longer what the path leads to.
func (s *source) rotate(f *follower) {
	if f == nil {
		return
	}
	f.live, f.unsure = false, false
	s.moved = true
	s.stay()
}

// stay awaits events for the files that were rotated away, under the names that
// they have now.
func (s *source) stay() {
	paths := s.away()
	for {
		s.names.set(s, leaving, paths)
		again := s.away() // a renaming in between would be an event that nobody awaited
		if slices.Equal(paths, again) {
			return
		}
		paths = again
	}
}

// away returns the paths of the files that were rotated away and may still be
// written to.
func (s *source) away() (paths []string) {
	for _, f := range s.chain {
		if p, ok := f.content.(plain); ok && !f.live && !f.sealed {
			if at := p.where(); at != "" {
				paths = append(paths, at)
			}
		}
	}
	return paths
}
