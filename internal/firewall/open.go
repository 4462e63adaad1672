package firewall

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// openFileExists reports whether the emergency file exists, of whatever kind.
func (f *Firewall) openFileExists() bool {
	if f.config.OpenFile == "" {
		return false
	}
	_, err := os.Lstat(f.config.OpenFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.grumble.Do(func() {
			f.log.Warn("the emergency file cannot be looked at, so it counts as absent", "file", f.config.OpenFile, "err", err)
		})
	}
	return err == nil
}

// lookAgain is how often the emergency file is looked at although nobody said
// that it came or went: the way out must work on a file system that tells
// nothing, and when the system has no watches left.
const lookAgain = 10 * time.Second

// watchOpenFile tells whether the emergency file exists: once at the start, and
// whenever that may have changed.
func (f *Firewall) watchOpenFile(ctx context.Context, out chan<- bool) error {
	var events <-chan fsnotify.Event
	var errs <-chan error
	w, err := fsnotify.NewWatcher()
	if err != nil {
		f.log.Warn("the folder of the emergency file cannot be watched; looking now and then", "file", f.config.OpenFile, "err", err)
	} else {
		defer w.Close()
		events, errs = w.Events, w.Errors
	}
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		watchAncestors(w, f.config.OpenFile)
		select {
		case out <- f.openFileExists():
		case <-ctx.Done():
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-events:
		case <-errs:
		case <-tick.C:
		}
	}
}

// watchAncestors watches the file's folder, or the nearest one above it that
// exists, and one above that: folders are made, moved and deleted. A watch that
// is there already stays.
func watchAncestors(w *fsnotify.Watcher, file string) {
	if w == nil {
		return
	}
	watched := 0
	for dir := filepath.Dir(file); watched < 2; dir = filepath.Dir(dir) {
		if err := w.Add(dir); err == nil {
			watched++
		}
		if dir == filepath.Dir(dir) {
			return
		}
	}
}
