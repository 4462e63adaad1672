package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// lockName is the file whose lock says that a daemon uses the folder; it holds
// the daemon's process number, for people.
const lockName = "gatehouse.lock"

// makeFolder makes sure that the state folder is there, for us alone where we
// make it.
func makeFolder(dir string) error {
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		var fi fs.FileInfo
		if fi, err = os.Stat(dir); err == nil && !fi.IsDir() {
			err = unix.ENOTDIR
		}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrPermission):
		return &Error{"no permission to make the state folder " + dir, "run as root, or set state: to a folder of your own", nil}
	case errors.Is(err, unix.ENOTDIR):
		return &Error{dir + " is to be the state folder, but is not a folder", "move it away, or set state: to another folder", nil}
	}
	return &Error{"make the state folder " + dir, "make the folder by hand, or set state: to another one", err}
}

// takeLock takes the folder's lock, which the kernel gives back when the process
// ends, however it ends (flock(2)). Closing the file gives it back too.
func takeLock(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, unix.EROFS) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		f, err = os.Open(dir) // nothing can be written: the folder itself serves
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, &Error{"no permission to use the state folder " + dir, "run as root, or set state: to a folder of your own", nil}
	}
	if err != nil {
		return nil, &Error{"open " + path, "see that the folder can be written, or set state: to another one", err}
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		text, _ := io.ReadAll(io.LimitReader(f, 32)) // without a number the message is still true
		f.Close()
		who := "another gatehouse"
		if pid, err := strconv.Atoi(string(bytes.TrimSpace(text))); err == nil {
			who += fmt.Sprintf(" (pid %d)", pid)
		}
		return nil, &Error{who + " uses " + dir, "stop it first with `gatehouse stop`, or set state: to another folder", nil}
	}
	if err != nil {
		f.Close()
		return nil, &Error{"lock " + path, "set state: to a folder on a local disk", err}
	}
	if f.Name() == path {
		// The number is a courtesy: on a full disk it is missing, and the lock holds.
		if f.Truncate(0) == nil {
			_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
		}
	}
	return f, nil
}
