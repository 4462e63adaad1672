package exports

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"gatehouse/internal/gate"
	"gatehouse/internal/lists/formats"
)

// File is a file that is kept equal to the bans.
type File struct {
	To     string // absolute path
	Format formats.Writer
	Filter formats.Filter
	Reload []string // command to run after a change; empty = none
}

// file is a File and what became of it.
type file struct {
	File
	mu      sync.Mutex                // guards what follows
	tag     string                    // of the bans that were written last
	http    map[gate.Subject]struct{} // the bans in it that only a web server enforces
	settled bool                      // written, and its command has run
	written time.Time
	n       int
	problem string
}

// retryEvery is how soon a file that could not be written is tried again.
const retryEvery = 30 * time.Second

// update makes the file equal to the bans. It does nothing where it is.
func (f *file) update(ctx context.Context, bans []formats.Ban, now time.Time, run func(context.Context, []string) error) error {
	mine := f.Filter.Apply(bans, now)
	tag := tagOf(mine)
	f.mu.Lock()
	same := f.settled && f.tag == tag && exists(f.To)
	f.mu.Unlock()
	if same {
		return nil
	}
	changed, err := write(f.To, f.Format, mine, now)
	if err == nil && len(f.Reload) > 0 && (changed || !f.wasSettled()) {
		if err = run(ctx, f.Reload); err != nil {
			err = fmt.Errorf("it was written, but is not in use: %w", err)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settled, f.problem = err == nil, ""
	if err != nil {
		f.problem = err.Error()
		return err
	}
	f.tag, f.written, f.n, f.http = tag, now, len(mine), map[gate.Subject]struct{}{}
	for _, b := range mine {
		if b.HTTP {
			f.http[b.Subject] = struct{}{}
		}
	}
	return nil
}

func (f *file) wasSettled() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.settled
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// write replaces a file, whole or not at all, and reports whether its content is
// another one. An existing file keeps its mode; a new one is readable by all, since
// whoever needs it may run as anybody.
func write(path string, f formats.Writer, bans []formats.Ban, now time.Time) (changed bool, err error) {
	var b bytes.Buffer
	if err := f.Write(&b, bans, now); err != nil {
		return false, err
	}
	mode := os.FileMode(0o644)
	if fi, err := os.Lstat(path); err == nil {
		if !fi.Mode().IsRegular() {
			return false, errors.New("it is not a regular file")
		}
		mode = fi.Mode().Perm()
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, b.Bytes()) {
			return false, nil
		}
	}
	t, err := os.CreateTemp(filepath.Dir(path), ".gatehouse-*")
	if err != nil {
		return false, bare(err)
	}
	defer os.Remove(t.Name()) // it is renamed before, or of no use
	_, err = io.Copy(t, &b)
	err = errors.Join(err, t.Chmod(mode), t.Sync(), t.Close())
	if err == nil {
		err = os.Rename(t.Name(), path)
	}
	return err == nil, bare(err)
}

// bare returns an error without the name of a temporary file.
func bare(err error) error {
	var pe *os.PathError
	var le *os.LinkError
	switch {
	case errors.As(err, &pe):
		return pe.Err
	case errors.As(err, &le):
		return le.Err
	}
	return err
}

// WriteFile writes bans to a file once, whole or not at all.
func WriteFile(path string, f formats.Writer, bans []formats.Ban, now time.Time) error {
	_, err := write(path, f, bans, now)
	return err
}
