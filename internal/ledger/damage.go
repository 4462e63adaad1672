package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// keepWrecks is how many damaged files stay in the folder, the newest ones.
const keepWrecks = 3

// wreck is a damaged database that was set aside, being read out. Nothing is
// ever changed in it, but that SQLite may copy its own WAL back, and that a file
// which was cut off gets zeros behind its end, because SQLite refuses it otherwise.
type wreck struct {
	path  string
	c     *conn
	sweep sweep  // over its records
	limit uint64 // numbers from here on belong to the new file
	saved int
}

func (w *wreck) close() {
	if w != nil {
		w.c.close() // it was only read
	}
}

// setAside renames the database and its WAL, so that nothing writes to them any
// more. Nothing may be open.
func (l *Ledger) setAside(damage error) (*wreck, error) {
	name := l.path + ".damaged-" + l.o.Now().UTC().Format("20060102T150405Z")
	for _, err := os.Lstat(name); err == nil; _, err = os.Lstat(name) {
		name += "+"
	}
	if err := os.Rename(l.path, name); err != nil {
		return nil, fmt.Errorf("set the damaged database aside: %w", err)
	}
	if err := os.Rename(l.path+"-wal", name+"-wal"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("set the damaged database's log aside: %w", err)
	}
	if err := os.Remove(l.path + "-shm"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove the damaged database's index: %w", err)
	}
	l.o.Log.Error("the ledger's database is damaged and was set aside", "path", name, "err", damage)
	l.setHealth(func(h *Health) {
		h.SetAside, h.Salvaged = name, 0
		h.State, h.Why, h.Hint = Restored, restoredWhy(name), restoredHint
	})
	l.forgetWrecks()
	return &wreck{path: name}, nil
}

// forgetWrecks removes all damaged files but the newest few: a disk that fails
// again and again must not fill up with them.
func (l *Ledger) forgetWrecks() {
	all, err := filepath.Glob(escapeGlob(l.path) + ".damaged-*Z")
	if err != nil || len(all) <= keepWrecks {
		return
	}
	slices.Sort(all) // their names are times
	for _, old := range all[:len(all)-keepWrecks] {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if err := os.Remove(old + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
				l.o.Log.Warn("remove an old damaged database", "path", old+suffix, "err", err)
			}
		}
	}
}

// escapeGlob makes filepath.Glob take a path literally.
func escapeGlob(path string) string {
	var b []byte
	for i := range len(path) {
		switch path[i] {
		case '*', '?', '[', '\\':
			b = append(b, '\\')
		}
		b = append(b, path[i])
	}
	return string(b)
}

// replace sets the open database aside and goes on with a new one.
func (l *Ledger) replace(damage error) error {
	if err := l.disconnect(); err != nil {
		l.o.Log.Warn("close the damaged database", "err", err)
	}
	l.w.wreck.close()
	l.w.wreck = nil
	l.w.windows = [len(l.w.windows)]byte{}
	return l.connect(damage)
}

// lengthen gives a file that was cut off the size that its header says (SQLite
// file format, section 1.3: page size at offset 16, number of pages at 28).
func lengthen(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close() // Truncate has said what there is to say
	var header [100]byte
	if _, err := f.ReadAt(header[:], 0); err != nil {
		return nil // not even a header: there is nothing to read
	}
	size := int64(binary.BigEndian.Uint16(header[16:])) * int64(binary.BigEndian.Uint32(header[28:]))
	fi, err := f.Stat()
	if err != nil || fi.Size() >= size || size > 1<<40 {
		return err
	}
	return f.Truncate(size)
}
