// Command gatehouse guards a machine: `gatehouse run` is the daemon, the other
// commands ask it, or work on files without it.
//
// This package parses flags, wires, and writes for people; what Gatehouse does
// is in the packages below internal. The table of all commands is in table.go;
// help, man page, completion and docs/commands.md are made from it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"gatehouse/internal/app"
	"gatehouse/internal/demo"
	"gatehouse/internal/runner"
)

// version is the version of the program; the build sets it with
// -ldflags "-X main.version=...".
var version string

func main() {
	if code, ours := runner.Main(os.Args); ours {
		os.Exit(code) // the daemon runs this program again for the operator's commands
	}
	if code, ours := demo.Main(os.Args); ours {
		os.Exit(code) // the demo runs this program again for its stage
	}
	if code, ours := app.PushMain(os.Args, os.Stdin, os.Stdout); ours {
		os.Exit(code) // the daemon runs this program again for a message
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(ctx, newEnv(), os.Args[1:])
	stop()
	os.Exit(code)
}
