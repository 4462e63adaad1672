package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/internal/netlab"
)

// stageVerb is the hidden first argument of the program that plays the show.
const stageVerb = "__demo-stage"

// limit is how long the whole show may take before it counts as stuck.
const limit = 90 * time.Second

// Options say how the show is drawn.
type Options struct {
	Colour  bool   // ANSI colours
	Live    bool   // the output is a terminal: a line at the bottom that changes
	Width   int    // columns of the terminal; 0 = 80
	Program string // the gatehouse program that guards; "" = this one

	hasty bool // without pauses for a reader: for tests
}

// script is what Run passes to the stage.
type script struct {
	Options
	Dir    string    // the folder of the show
	Net    string    // the machine's network namespace, in which nothing may happen
	Mounts string    // its mount namespace
	Begin  time.Time // of the show
	Hasty  bool      // without pauses for a reader
}

// Error is a show that could not be played. Its Hint says what to do.
type Error struct {
	Err  error
	Hint string
}

// Error returns what went wrong, without the hint.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns what went wrong.
func (e *Error) Unwrap() error { return e.Err }

// Run plays the show on w. It returns nil only if everything really happened: each
// attacker banned, the friend never lost a beat, packets dropped, nothing of the
// machine touched. It is an *Error where the machine cannot play it: OpenSSH is
// missing, or the kernel refuses namespaces. When ctx ends, everything is taken
// down and the error is that of ctx.
func Run(ctx context.Context, w io.Writer, o Options) error {
	if err := netlab.HasSSH(); err != nil {
		return &Error{err, installHint("/etc/os-release")}
	}
	dir, err := makeDir()
	if err != nil {
		return fmt.Errorf("demo: make a temporary folder: %w", err)
	}
	defer os.RemoveAll(dir)
	before, err := lookAtMachine()
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	begin := time.Now()
	code, err := play(ctx, w, o, dir, before, begin)
	if r, ok := errors.AsType[*netlab.Refusal](err); ok {
		return refused(r)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if code != 0 {
		return errors.New("demo: not everything happened as it should")
	}
	s := newScreen(w, o, begin)
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("demo: clean up: %w", err)
	}
	if err := before.untouched(dir); err != nil {
		s.mark(false, "nothing of this machine was touched: "+err.Error())
		return fmt.Errorf("demo: %w", err)
	}
	s.mark(true, "nothing of this machine was touched: its files are as they were, no mount and no process is left")
	s.closing()
	return nil
}

// play runs the stage and returns its exit code.
func play(ctx context.Context, w io.Writer, o Options, dir string, m machine, begin time.Time) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	arg, err := json.Marshal(script{Options: o, Dir: dir, Net: m.net, Mounts: m.mounts, Begin: begin, Hasty: o.hasty})
	if err != nil {
		return 0, err
	}
	code, err := netlab.Stage{Args: []string{stageVerb, string(arg)}, Stdout: w, Stderr: w}.Run(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("the show got stuck: not over after %s", limit)
	}
	return code, err
}

// Main does what the processes of a show need of this program, and reports whether
// this process is one; then the program ends with the code. The main function calls
// it before anything else: args is os.Args.
func Main(args []string) (code int, ours bool) {
	if netlab.Hook() {
		return 0, true
	}
	if len(args) != 3 || args[1] != stageVerb || !netlab.Staged() {
		return 0, false
	}
	var s script
	if err := json.Unmarshal([]byte(args[2]), &s); err != nil {
		fmt.Fprintln(os.Stderr, "gatehouse: demo:", err)
		return 2, true
	}
	if err := perform(s, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "gatehouse: demo:", err)
		return 1, true
	}
	return 0, true
}

// hidden are the folders that the stage's server gets empty ones in place of.
var hidden = []string{"/run/", "/var/log/", "/dev/"}

// makeDir makes the folder of the show where the stage can see it, with a short
// path: a socket's has at most 107 bytes.
func makeDir() (dir string, err error) {
	for _, parent := range []string{os.TempDir(), "/tmp", "/var/tmp"} {
		real, e := filepath.EvalSymlinks(parent)
		if e != nil || len(real) > 40 || startsWithAny(real+"/", hidden) {
			continue
		}
		if dir, err = os.MkdirTemp(real, "gatehouse-demo-"); err == nil {
			return dir, nil
		}
	}
	if err == nil {
		err = errors.New("neither $TMPDIR nor /tmp nor /var/tmp will do")
	}
	return "", err
}

func startsWithAny(s string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

// refused words a kernel's refusal for somebody who wants to see the show.
func refused(r *netlab.Refusal) *Error {
	hint := "sudo gatehouse demo shows the same, as sealed as without root"
	if os.Geteuid() == 0 {
		hint = r.Hint
	} else if r.Setting != "" {
		hint += "; or " + strings.TrimPrefix(r.Hint, "run it as root, or ")
	}
	return &Error{r, hint}
}
