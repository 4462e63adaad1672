package logs

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// folders are those that are listened to: one fsnotify watch each. A folder
// that cannot be listened to is polled. The finder says in rounds which it
// needs, from start to finish. Safe for concurrent use.
type folders struct {
	log     *slog.Logger
	watcher *fsnotify.Watcher // nil: all are polled

	mu    sync.Mutex
	round int
	all   map[string]*folder
}

// folder is one that is listened to, or polled.
type folder struct {
	round int      // in which it was asked for
	wants []string // patterns of the names in it that matter
	id    fileID   // of the folder that is listened to
	heard bool     // events come from it
	told  error    // what the log was told about it
}

func newFolders(log *slog.Logger, w *fsnotify.Watcher) *folders {
	return &folders{log: log, watcher: w, all: map[string]*folder{}}
}

// start begins a round.
func (f *folders) start() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.round++
}

// listen has the folder listened to from now on, for names that match pattern.
// It holds when listen returns: what appears later gives an event. The path has
// no symbolic links.
func (f *folders) listen(dir, pattern string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.all[dir]
	if d == nil {
		d = &folder{}
		f.all[dir] = d
	}
	if d.round != f.round {
		d.round, d.wants = f.round, d.wants[:0]
		f.hear(dir, d)
	}
	if !slices.Contains(d.wants, pattern) {
		d.wants = append(d.wants, pattern)
	}
}

// hear makes sure that events come from the folder that is there now.
func (f *folders) hear(dir string, d *folder) {
	fi, err := os.Stat(dir)
	if err != nil {
		d.heard = false // it was removed a moment ago; its parent tells when it is back
		return
	}
	id := infoOf(fi).id
	if d.heard && d.id == id {
		return
	}
	if f.watcher == nil {
		return
	}
	if d.heard {
		_ = f.watcher.Remove(dir) // another folder of that name: the watch is on the old one
	}
	d.id, d.heard = id, false
	if isRemote(dir) {
		return
	}
	err = f.watcher.Add(dir)
	d.heard = err == nil
	if err != nil && !errors.Is(err, os.ErrNotExist) && (d.told == nil || d.told.Error() != err.Error()) {
		d.told = err
		hint := "the user needs the right to list the folder"
		if errors.Is(err, syscall.ENOSPC) {
			hint = "raise the sysctl fs.inotify.max_user_watches"
		}
		f.log.Warn("a folder of logs gives no events and is looked at each second", "path", dir, "error", err, "hint", hint)
	}
}

// finish ends a round: folders that were not asked for in it are given up.
func (f *folders) finish() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for dir, d := range f.all {
		if d.round == f.round {
			continue
		}
		if d.heard {
			_ = f.watcher.Remove(dir)
		}
		delete(f.all, dir)
	}
}

// lost notes that path, if it is a folder that was listened to, is no longer
// what it was.
func (f *folders) lost(path string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.all[path]
	if d == nil {
		return false
	}
	if d.heard {
		_ = f.watcher.Remove(path)
	}
	d.heard = false
	return true
}

// recheck has each folder listened to anew in the next round: a watch may have
// ended without an event, as when a file system was unmounted.
func (f *folders) recheck() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for dir, d := range f.all {
		if fi, err := os.Stat(dir); d.heard && (err != nil || infoOf(fi).id != d.id || f.watcher.Add(dir) != nil) {
			_ = f.watcher.Remove(dir)
			d.heard = false
		}
	}
}

// wants reports whether the finder needs to know that something with this path
// came or went.
func (f *folders) wants(path string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all[path] != nil {
		return true
	}
	d := f.all[filepath.Dir(path)]
	return d != nil && slices.ContainsFunc(d.wants, func(p string) bool {
		ok, _ := filepath.Match(p, filepath.Base(path))
		return ok
	})
}

// listens reports whether writing to the file with this path gives an event.
func (f *folders) listens(path string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.all[filepath.Dir(path)]
	return d != nil && d.heard
}

// Magic numbers of file systems on which others may write without the kernel
// here knowing: linux/magic.h, and each system's own header for the others.
var remote = [...]uint32{
	unix.NFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC,
	unix.FUSE_SUPER_MAGIC, unix.V9FS_MAGIC, unix.CEPH_SUPER_MAGIC, unix.AFS_SUPER_MAGIC, unix.AFS_FS_MAGIC,
	unix.CODA_SUPER_MAGIC, unix.OCFS2_SUPER_MAGIC,
	0x01161970, // GFS2
	0x0BD00BD0, // Lustre
	0x786F4256, // VirtualBox shared folder
	0xBACBACBC, // VMware shared folder
}

// isRemote reports whether events may be missing for the folder.
func isRemote(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && slices.Contains(remote[:], uint32(st.Type))
}
