package netlab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
)

// The environment that the layers of a stage talk through.
const (
	envRole     = "GATEHOUSE_NETLAB"         // roleInit or roleStage
	envRefused  = "GATEHOUSE_NETLAB_REFUSED" // why there is no stage
	envPassword = "GATEHOUSE_NETLAB_PASSWORD"

	roleInit  = "init"
	roleStage = "stage"

	// askpassName and hangName are the base names of symbolic links to this
	// program by which ssh asks for a password: the one answers, the other never
	// does.
	askpassName = "netlab-askpass"
	hangName    = "netlab-hang"
)

// Main is what a TestMain calls, with its *testing.M: it runs the tests inside
// fresh namespaces and exits with their code. Where the kernel refuses
// namespaces it runs them outside, and New skips.
func Main(m interface{ Run() int }) {
	if Hook() {
		return
	}
	if Staged() {
		os.Exit(m.Run())
	}
	code, err := Reexec(context.Background(), os.Args[1:])
	if r, ok := errors.AsType[*Refusal](err); ok {
		os.Setenv(envRefused, r.Error())
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "netlab:", err)
		os.Exit(2)
	}
	os.Exit(code)
}

// Hook does the small jobs for which a stage runs this program again: it is
// process 1 of a stage, or it tells ssh a password. It reports whether it was
// such a run; then the program is done. A program that uses Stage or TrySSH
// calls it before anything else, in its main goroutine.
func Hook() bool {
	switch filepath.Base(os.Args[0]) {
	case askpassName:
		fmt.Println(os.Getenv(envPassword))
		return true
	case hangName:
		end := make(chan os.Signal, 1)
		signal.Notify(end, syscall.SIGTERM)
		<-end // or killed with the lab
		return true
	}
	if os.Getenv(envRole) == roleInit && os.Getpid() == 1 {
		os.Exit(runInit(os.Args[1:]))
	}
	if Staged() {
		// The main thread stays with the main goroutine, so that no Do ever gets it.
		runtime.LockOSThread()
	}
	return false
}

// Staged reports whether this process runs inside a stage.
func Staged() bool { return os.Getenv(envRole) == roleStage }

// Unavailable says why this process has no stage and what would give it one; ""
// if it has one.
func Unavailable() string {
	if Staged() {
		return ""
	}
	if why := os.Getenv(envRefused); why != "" {
		return why
	}
	return "this process does not run inside a stage: call netlab.Main from TestMain"
}
