package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"syscall"
)

// Options is what reading depends on besides the file.
type Options struct {
	// UID is the effective user: 0 gets the system's folders as defaults, another
	// one the user's own, and only 0 insists on a file that others cannot write.
	UID int
	// Env looks up an environment variable; nil means an empty environment. Only
	// HOME, XDG_STATE_HOME and XDG_RUNTIME_DIR are asked for, and not by root.
	Env func(string) string
	// RuleExists reports whether a rule of this name is built in or lies in the
	// folder of own rules, and if not, which name is nearest ("" for none). nil
	// leaves the names unchecked.
	RuleExists func(folder, name string) (suggestion string, ok bool)
	// PortsProblems returns what is wrong with the sections services and ports that
	// only their parts can find: times, names of ports. nil leaves them unchecked.
	PortsProblems func(*Config) []PortsProblem
	// FilterProblems returns what keeps a filter of fail2ban, or a jail in brackets,
	// from being used, each with its place in the files of the folder; sourced says
	// that the entry tells where to look. nil leaves them unread.
	FilterProblems func(folder, spec string, sourced bool) []Problem
	// PushURLProblem returns what is wrong with the address of a push or chat
	// service, without the address itself. nil leaves addresses unchecked.
	PushURLProblem func(address string) error
	// KindExists reports whether a record can be of this kind. nil leaves the kinds
	// of routes unchecked.
	KindExists func(pattern string) bool
	// SecretProblem returns what keeps a secret from being read here and now,
	// without the secret. nil reads none.
	SecretProblem func(Secret) error
	// CommandProblem says why a command must not be run by a hook, and what to do: it
	// is not there, or others may write to it; "" if it may be. nil leaves commands
	// unchecked.
	CommandProblem func(argv []string) (why, hint string)
}

// maxFile is the size in bytes over which a file is refused: a hundred times
// what a person writes.
const maxFile = 1 << 20

// Load reads and checks the file at path. The error is of type Problems, also
// where the file could not be read; errors.Is tells fs.ErrNotExist apart. A
// file that others than root may write is refused when UID is 0.
func Load(path string, o Options) (*Config, error) {
	refuse := func(cause error, hint, format string, args ...any) (*Config, error) {
		return nil, Problems{{File: path, What: fmt.Sprintf(format, args...), Hint: hint, cause: cause}}
	}
	// Not blocking, so that a named pipe cannot hold a reload for ever.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		hint := "check the path and its folders"
		switch {
		case errors.Is(err, fs.ErrNotExist):
			hint = "gatehouse config reference prints a file to start from"
		case errors.Is(err, fs.ErrPermission):
			hint = "run it as root, or as a user who may read the file"
		}
		return refuse(err, hint, "cannot open the configuration: %v", bare(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return refuse(err, "", "cannot inspect the configuration: %v", bare(err))
	}
	if !info.Mode().IsRegular() {
		return refuse(nil, "name a file of YAML text, such as "+Path, "this is not a regular file")
	}
	if o.UID == 0 && info.Mode().Perm()&0o022 != 0 {
		return refuse(nil, "chmod go-w "+path, "others than its owner may write this file (mode %04o), and so tell root whom to ban", info.Mode().Perm())
	}
	src, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return refuse(err, "", "cannot read the configuration: %v", bare(err))
	}
	return Parse(path, src, o)
}

// bare returns err without the operation and the path, which the problem says.
func bare(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

// Parse reads and checks the text of a configuration file; name stands in the
// problems and is not opened. The error is of type Problems. An empty text is
// valid and gives the defaults.
func Parse(name string, src []byte, o Options) (*Config, error) {
	s := newSource(name, src)
	root := s.read()
	if len(s.problems) > 0 {
		return nil, s.problems.err()
	}
	liftFilters(root)
	liftHooks(root)
	liftChannels(root)
	c := new(Config)
	d := &decoder{source: s, o: o}
	setDefaults(reflect.ValueOf(c).Elem())
	if root.kind == nothing {
		root = &node{kind: mapping, line: 1, col: 1}
	}
	d.value(root, reflect.ValueOf(c).Elem(), field{})
	if root.kind == mapping {
		d.systemPaths(c, root)
	}
	if err := s.problems.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// systemPaths fills in the paths whose defaults depend on who runs it.
func (d *decoder) systemPaths(c *Config, root *node) {
	state, socket := DefaultPaths(d.o.UID, d.o.Env)
	unknown := func(key string) {
		d.problem(root, "set HOME, or write "+key+": /an/absolute/path", "no default for %s: neither HOME nor the XDG folders are set", key)
	}
	if n := root.get("state"); n == nil || n.kind == nothing {
		if c.State = state; state == "" {
			unknown("state")
		}
	}
	if n := root.get("socket"); n == nil || n.kind == nothing {
		if c.Socket = socket; socket == inState(state) {
			c.Socket = inState(c.State) // the folder as configured
		}
		if written := root.get("state"); c.Socket == "" && (written == nil || written.kind == nothing) {
			unknown("socket")
		}
		if len(c.Socket) > maxSocket {
			d.problem(root, "write socket: with a shorter path", "the default socket %s is longer than the %d bytes that the system allows", c.Socket, maxSocket)
		}
	}
}

// DefaultPaths returns the state folder and the socket of a user: those of the
// system for root, those of the XDG base directory specification for others. The
// socket is in the state folder where there is no XDG_RUNTIME_DIR. A path is ""
// where the environment does not tell. env may be nil.
func DefaultPaths(uid int, env func(string) string) (state, socket string) {
	if uid == 0 {
		return "/var/lib/gatehouse", "/run/gatehouse/gatehouse.sock"
	}
	absolute := func(name string) string {
		// The specification tells to ignore relative paths.
		if env == nil || !filepath.IsAbs(env(name)) {
			return ""
		}
		return env(name)
	}
	if dir := absolute("XDG_STATE_HOME"); dir != "" {
		state = filepath.Join(dir, "gatehouse")
	} else if dir := absolute("HOME"); dir != "" {
		state = filepath.Join(dir, ".local/state/gatehouse")
	}
	if dir := absolute("XDG_RUNTIME_DIR"); dir != "" {
		return state, filepath.Join(dir, "gatehouse.sock")
	}
	return state, inState(state)
}

// inState returns the socket in a state folder, "" without one.
func inState(folder string) string {
	if folder == "" {
		return ""
	}
	return filepath.Join(folder, "gatehouse.sock")
}
