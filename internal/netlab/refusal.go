package netlab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Refusal is the error of a kernel that gives no namespaces.
type Refusal struct {
	Err     error  // what the kernel said
	Setting string // the setting that forbids it, "kernel.unprivileged_userns_clone = 0"; "" if none was found
	Hint    string // what a person can do
}

// Error returns problem, setting and hint in one line.
func (r *Refusal) Error() string {
	s := "the kernel refuses network namespaces: " + r.Err.Error()
	if r.Setting != "" {
		s += " (" + r.Setting + ")"
	}
	return s + "; " + r.Hint
}

// Unwrap returns what the kernel said.
func (r *Refusal) Unwrap() error { return r.Err }

// usernsSettings are the settings that keep user namespaces from ordinary users,
// with the value that does so and the one that allows them.
var usernsSettings = []struct{ name, closed, open string }{
	{"kernel.unprivileged_userns_clone", "0", "1"},             // Debian and Arch kernels
	{"user.max_user_namespaces", "0", "15000"},                 // user_namespaces(7)
	{"kernel.apparmor_restrict_unprivileged_userns", "1", "0"}, // Ubuntu 23.10 and later
}

// refusal explains why namespaces were refused; root is "/" but in tests.
func refusal(root string, err error) *Refusal {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		err = fmt.Errorf("clone: %w", pe.Err) // the path is this program, which is not at fault
	}
	for _, s := range usernsSettings {
		file := filepath.Join(root, "proc/sys", strings.ReplaceAll(s.name, ".", "/"))
		if b, e := os.ReadFile(file); e == nil && strings.TrimSpace(string(b)) == s.closed {
			return &Refusal{err, s.name + " = " + s.closed, "run it as root, or allow them with: sudo sysctl " + s.name + "=" + s.open}
		}
	}
	return &Refusal{err, "", "run it as root, or where containers may make namespaces (docker run --privileged)"}
}
