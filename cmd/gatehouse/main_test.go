package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write docs/commands.md anew")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gatehouse": main})
}

// The scripts in testdata are the manual by example. Besides testscript's own
// commands they have
//
//	daemon SOCKET          a daemon of the test answers on the socket
//	fails CODE COMMAND...  the command ends with this exit code
//	lines FILE N           the file has so many lines
//	followed               waits until somebody follows the log
//	expand FILE            ${NAME} in the file is replaced by the variable
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                "testdata",
		RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			e.Values[daemonKey{}] = new(*fakeDaemon)
			e.Setenv("GORACE", "atexit_sleep_ms=0") // the race detector would wait a second after each command
			e.Setenv("TZ", "UTC")
			e.Setenv("HOME", e.WorkDir)
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond != "nft" {
				return false, fmt.Errorf("unknown condition %q", cond)
			}
			// nft looks at the kernel even when it only checks: in a namespace of its own.
			return os.Geteuid() == 0 && exec.Command("unshare", "-n", "nft", "list", "tables").Run() == nil, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"daemon":   startDaemon,
			"fails":    fails,
			"lines":    countLines,
			"expand":   expand,
			"followed": awaitFollower,
		},
	})
}

// fails runs a command and checks its exit code.
func fails(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: fails CODE COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != want {
		ts.Fatalf("it ends with %v, want exit code %d", err, want)
	}
}

func countLines(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: lines FILE N")
	}
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	if got := bytes.Count([]byte(ts.ReadFile(args[0])), []byte("\n")); (got == want) == neg {
		ts.Fatalf("%s has %d lines", args[0], got)
	}
}

func expand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: expand FILE")
	}
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

// TestManual keeps docs/commands.md the same as the table of commands.
func TestManual(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "commands.md")
	got := manual(newRoot(&env{}))
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("docs/commands.md is not what the table of commands says (%v); run: go test ./cmd/gatehouse -run Manual -update", err)
	}
}

// TestEveryCommandIsDescribed wants of each command what its help needs.
func TestEveryCommandIsDescribed(t *testing.T) {
	for _, c := range leaves(newRoot(&env{})) {
		if c.Short == "" || c.Args == nil && c.Name() != "unban" || c.RunE == nil {
			t.Errorf("%s: short text %q, arguments checked: %v", c.CommandPath(), c.Short, c.Args != nil)
		}
		for _, o := range options(c.LocalNonPersistentFlags()) {
			if o.text == "" {
				t.Errorf("%s %s: no text", c.CommandPath(), o.name)
			}
		}
	}
}
