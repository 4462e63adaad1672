package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// interpreters run the file that is their first argument.
var interpreters = []string{"sh", "bash", "dash", "ash", "ksh", "zsh", "python", "python3", "perl", "ruby", "node", "php", "lua"}

// CheckCommand says why a command must not be run, and what to do; "" if it may be.
// Beside the program it looks at the script that an interpreter is given.
func CheckCommand(argv []string) (why, hint string) {
	if len(argv) == 0 {
		return "there is no command", "write its path"
	}
	if why, hint = Check(argv[0]); why != "" {
		return why, hint
	}
	if len(argv) > 1 && filepath.IsAbs(argv[1]) && slices.Contains(interpreters, filepath.Base(argv[0])) {
		return safe(argv[1])
	}
	return "", ""
}

// Check says why a program must not be run, and what to do; "" if it may be: it has
// to be there, to be a file that can be run, and nobody but root and the user that
// asks may have written it or its folders.
func Check(path string) (why, hint string) {
	if !filepath.IsAbs(path) {
		return path + " is not an absolute path", "write its whole path"
	}
	fi, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return path + " does not exist", "check the path"
	case err != nil:
		return fmt.Sprintf("%s: %v", path, bare(err)), "check the path"
	case !fi.Mode().IsRegular():
		return path + " is not a file", "name a program"
	case fi.Mode().Perm()&0o111 == 0:
		return path + " cannot be run", "chmod +x " + path
	}
	return safe(path)
}

func bare(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

// safe says why a file may have been written by others.
func safe(path string) (why, hint string) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Sprintf("%s: %v", path, bare(err)), "check the path"
	}
	fi, err := os.Stat(real)
	if err != nil {
		return fmt.Sprintf("%s: %v", path, bare(err)), "check the path"
	}
	if mode := fi.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Sprintf("others than its owner may write %s (mode %04o)", path, mode), "chmod go-w " + real
	}
	if why := foreign(fi, path); why != "" {
		return why, "chown root " + real
	}
	for dir := filepath.Dir(real); ; dir = filepath.Dir(dir) {
		fi, err := os.Stat(dir)
		if err != nil {
			return fmt.Sprintf("%s: %v", dir, bare(err)), "check the path"
		}
		if mode := fi.Mode(); mode.Perm()&0o022 != 0 && mode&fs.ModeSticky == 0 {
			return fmt.Sprintf("others may replace %s, because they may write its folder %s (mode %04o)", path, dir, mode.Perm()), "chmod go-w " + dir
		}
		if why := foreign(fi, dir); why != "" {
			return why + ", in which " + path + " lies", "chown root " + dir
		}
		if dir == filepath.Dir(dir) {
			return "", ""
		}
	}
}

// foreign says whose a file is if it is neither root's nor ours.
func foreign(fi fs.FileInfo, path string) string {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || st.Uid == 0 || int(st.Uid) == os.Geteuid() {
		return ""
	}
	if overflow, err := os.ReadFile("/proc/sys/kernel/overflowuid"); err == nil && strings.TrimSpace(string(overflow)) == fmt.Sprint(st.Uid) && os.Geteuid() == 0 && !ownsAll() {
		return "" // a user namespace that does not map root: nobody's are the system's
	}
	return fmt.Sprintf("%s belongs to another user (uid %d)", path, st.Uid)
}

// ownsAll reports whether this process is in a user namespace that maps every user.
func ownsAll() bool {
	b, err := os.ReadFile("/proc/self/uid_map")
	f := strings.Fields(string(b))
	return err != nil || len(f) == 3 && f[0] == "0" && f[1] == "0"
}
