package main

import (
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"gatehouse/internal/config"
)

// env is what a command finds around it: its streams, the global flags, the
// clock. One is made for each execution.
type env struct {
	in       io.Reader
	out, err io.Writer
	outTerm  bool // out is a terminal
	errTerm  bool // err is a terminal
	colour   bool // colours are welcome on out
	width    int  // columns of out's terminal; 0 = unknown, or no terminal
	now      func() time.Time

	config string // --config: path of the configuration file; empty = the default one
	socket string // --socket: path of the daemon's socket; empty = as configured
	json   bool   // --json

	commandProblem func(argv []string) (why, hint string)                   // of check; nil leaves the commands of hooks alone
	secrets        func(config.Secret) error                                // of check; nil leaves secrets unread
	filterProblems func(folder, spec string, sourced bool) []config.Problem // of check; nil leaves filters unread
}

// newEnv returns the environment of this process.
func newEnv() *env {
	e := &env{in: os.Stdin, out: os.Stdout, err: os.Stderr, now: time.Now}
	e.outTerm = term.IsTerminal(int(os.Stdout.Fd()))
	e.errTerm = term.IsTerminal(int(os.Stderr.Fd()))
	e.colour = e.outTerm && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	if e.outTerm {
		if w, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil {
			e.width = w
		}
	}
	return e
}
