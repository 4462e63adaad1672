package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
	sqlite3 "modernc.org/sqlite/lib"
)

// State is how the ledger fares.
type State uint8

// The states.
const (
	OK       State = iota // all that was appended is written, or about to be
	Restored              // it works, on a new file: the old one was damaged
	Degraded              // it cannot write: decisions are kept in memory
)

// String returns `ok`, `restored` or `degraded`.
func (s State) String() string { return [...]string{"ok", "restored", "degraded"}[min(s, Degraded)] }

// Health is how the ledger fares, for status and for telling somebody.
type Health struct {
	State    State
	Why      string    // what is wrong, a sentence without its full stop; "" for OK
	Hint     string    // what to do about it
	Since    time.Time // since when
	Queued   int       // decisions that are only in memory, those of the commit under way included
	Lost     uint64    // decisions that memory had no room for: they are in force, but will not be recorded
	SetAside string    // path of the damaged file that was set aside last; "" = none since the start
	Salvaged int       // records that were read out of it so far
}

// Health returns how the ledger fares.
func (l *Ledger) Health() Health {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.health
	h.Queued = l.queued
	return h
}

// setHealth changes the health, and tells whoever wants to know if it is another
// state or another reason.
func (l *Ledger) setHealth(change func(h *Health)) {
	l.mu.Lock()
	before := l.health
	change(&l.health)
	if l.health.State != before.State {
		l.health.Since = l.o.Now()
	}
	after := l.health
	after.Queued = l.queued
	l.mu.Unlock()
	if before.State == after.State && before.Why == after.Why {
		return
	}
	switch after.State {
	case OK:
		l.o.Log.Info("the ledger can be written again")
	case Restored:
		l.o.Log.Warn("the ledger works on a new file", "why", after.Why)
	case Degraded:
		l.o.Log.Error("the ledger cannot be written", "why", after.Why, "hint", after.Hint)
	}
	if l.o.Changed != nil {
		l.o.Changed(after)
	}
}

// degrade notes that writing failed, and why.
func (l *Ledger) degrade(err error) {
	why, hint := l.diagnose(err)
	l.setHealth(func(h *Health) { h.State, h.Why, h.Hint = Degraded, why, hint })
}

// recover notes that writing works.
func (l *Ledger) recover() {
	l.mu.Lock()
	fine := l.health.State != Degraded
	l.mu.Unlock()
	if fine {
		return
	}
	l.setHealth(func(h *Health) {
		h.State, h.Why, h.Hint = OK, "", ""
		if h.SetAside != "" {
			h.State, h.Why, h.Hint = Restored, restoredWhy(h.SetAside), restoredHint
		}
	})
}

const restoredHint = "check the disk (dmesg, smartctl); the old file may be deleted"

// restoredWhy says what became of a damaged file.
func restoredWhy(path string) string {
	return fmt.Sprintf("the database was damaged; it is set aside as %s, and what can be read of it is taken over", path)
}

// isFull reports whether the disk has not even room for the WAL's index: SQLite
// calls that an I/O error.
func (l *Ledger) isFull() bool {
	var fs unix.Statfs_t
	return unix.Statfs(l.dir, &fs) == nil && fs.Bavail*uint64(fs.Bsize) < 64<<10
}

// diagnose says in plain words why the database cannot be written, and what to
// do.
func (l *Ledger) diagnose(err error) (why, hint string) {
	switch c := code(err); {
	case c == sqlite3.SQLITE_FULL, errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT), l.isFull():
		return "no space is left on the disk of " + l.dir, "free some space; what is decided meanwhile is written then"
	case c == sqlite3.SQLITE_READONLY, errors.Is(err, unix.EROFS):
		return l.path + " cannot be written: " + err.Error(), "see whether its file system became read-only (mount, dmesg)"
	case c == sqlite3.SQLITE_BUSY, c == sqlite3.SQLITE_LOCKED:
		return "another program holds " + l.path, "end it; `fuser -v " + l.path + "` names it"
	case c == sqlite3.SQLITE_CANTOPEN, errors.Is(err, fs.ErrPermission):
		return l.path + " cannot be opened: " + err.Error(), "see who owns it and its folder, and who may write there"
	case c == sqlite3.SQLITE_IOERR, errors.Is(err, unix.EIO):
		return "the disk of " + l.dir + " fails: " + err.Error(), "see dmesg and the state of the disk"
	}
	return "write " + l.path + ": " + err.Error(), "see the daemon's log"
}
