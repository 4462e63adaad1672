package logs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// explain says for people why path cannot be read, and what to do about it.
func explain(path string, err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return denied(path)
	case errors.Is(err, errNotRegular), errors.Is(err, syscall.ENXIO):
		return notRegular(path)
	case errors.Is(err, syscall.ELOOP):
		return "its symbolic links lead round in a circle"
	case errors.Is(err, syscall.ENOTDIR):
		return "a part of its path is not a folder"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "too many files are open: raise the limit (LimitNOFILE= of the service)"
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// notRegular says what stands where a log should be.
func notRegular(path string) string {
	what := "not a regular file"
	if fi, err := os.Stat(path); err == nil {
		switch m := fi.Mode(); {
		case m.IsDir():
			what = "a folder"
		case m&fs.ModeNamedPipe != 0:
			what = "a named pipe"
		case m&fs.ModeSocket != 0:
			what = "a socket"
		case m&fs.ModeDevice != 0:
			what = "a device"
		}
	}
	return "it is " + what + ": a log file is waited for in its place"
}

// denied says which permission is missing for reading path.
func denied(path string) string {
	at, need := path, fs.FileMode(0o4)
	if real, err := filepath.EvalSymlinks(path); err == nil {
		at = real
	}
	for dir := filepath.Dir(at); ; dir = filepath.Dir(dir) { // the innermost folder that can be reached
		if _, err := os.Stat(at); err == nil {
			break
		}
		if at, need = dir, 0o1; dir == "/" {
			break
		}
	}
	fi, err := os.Stat(at)
	st, ok := (*syscall.Stat_t)(nil), false
	if err == nil {
		st, ok = fi.Sys().(*syscall.Stat_t)
	}
	if !ok {
		return "permission denied: run as root"
	}
	owner, group := strconv.Itoa(int(st.Uid)), strconv.Itoa(int(st.Gid))
	if u, err := user.LookupId(owner); err == nil {
		owner = u.Username
	}
	if g, err := user.LookupGroupId(group); err == nil {
		group = g.Name
	}
	var b strings.Builder
	fmt.Fprintf(&b, "permission denied: %s belongs to %s:%s with mode %04o: ", at, owner, group, fi.Mode().Perm())
	switch {
	case fi.Mode().Perm()>>3&need != 0 && st.Gid != 0:
		fmt.Fprintf(&b, "run as root or add the user to the group %s", group)
	case need == 0o1:
		fmt.Fprintf(&b, "run as root or give the user the right to enter it (setfacl -m u:USER:x %s)", at)
	default:
		fmt.Fprintf(&b, "run as root or give the user the right to read it (setfacl -m u:USER:r %s)", at)
	}
	return b.String()
}
