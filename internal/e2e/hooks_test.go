package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestHookStorm lands ten thousand bans while hooks hang, fork, flood, fail, are
// missing and kill the process that runs them: bans take no longer than without, and
// a hook that is well gets what is its own.
func TestHookStorm(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	script := func(name, body string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	seen := filepath.Join(dir, "seen")
	hooks := "hooks:\n"
	for name, body := range map[string]string{
		"hang": "sleep 100", "fork": "for i in 1 2 3 4 5 6 7 8; do setsid sleep 100 & done; wait", "flood": "yes", "fail": "exit 7",
	} {
		hooks += fmt.Sprintf("  - {name: %s, on: ban, run: [%s, \"{subject}\"], timeout: 1s}\n", name, script(name, body, 0o755))
	}
	hooks += fmt.Sprintf("  - {name: open, on: ban, run: [%s]}\n", script("open", "echo never", 0o777))
	hooks += fmt.Sprintf("  - {name: missing, on: ban, run: [%s]}\n", filepath.Join(dir, "missing"))
	hooks += fmt.Sprintf("  - {name: kill, on: ban, match: [100.0.1.7], run: [%s]}\n", script("kill", "kill -9 $PPID", 0o755))
	hooks += fmt.Sprintf("  - {name: well, on: [ban], match: [203.0.113.0/24], run: [%s, \"{subject}\", \"{why}\"]}\n",
		script("well", `echo "$1 $GATEHOUSE_DELIVERY $(head -c 7)" >> `+seen, 0o755))

	storm := func(config string) time.Duration {
		y := newYard(t, config)
		y.daemon.Start()
		defer y.daemon.Stop()
		var many strings.Builder
		for i := range 10_000 {
			fmt.Fprintf(&many, "100.%d.%d.7\n", i/250, i%250)
		}
		y.daemon.Must("ban", "203.0.113.1") // the storm begins
		begun := time.Now()
		if r := y.daemon.CLIInput(strings.NewReader(many.String()), "ban", "-"); r.Code != 0 {
			t.Fatalf("%+v", r)
		}
		took := time.Since(begun)
		begun = time.Now()
		for i := range 20 {
			y.daemon.Must("ban", fmt.Sprintf("203.0.113.%d", 10+i))
		}
		took += time.Since(begun)
		if !strings.Contains(config, "hooks:") {
			return took
		}
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			b, _ := os.ReadFile(seen)
			if strings.Count(string(b), "\n") >= 6 {
				if !strings.Contains(string(b), "203.0.113.1 ") || !strings.Contains(string(b), `/well {"seq":`) {
					t.Errorf("%s", b)
				}
				break
			}
			if time.Now().After(end) {
				t.Fatalf("the hook that is well got %q\n%s", b, y.daemon.Must("hooks"))
			}
		}
		out := y.daemon.Must("why", "203.0.113.1")
		for _, want := range []string{"hook missing failed for record", "does not exist", "hook open failed", "others than its owner may write", "hook fail failed"} {
			if !strings.Contains(out, want) {
				t.Errorf("%q is not in\n%s", want, out)
			}
		}
		return took
	}
	without := storm("watch: []\n")
	with := storm("watch: []\n" + hooks)
	t.Logf("10,020 bans: %v without hooks, %v with", without, with)
	if with > 5*without+3*time.Second { // the hooks take the processors, not the way
		t.Errorf("bans took %v without hooks and %v with", without, with)
	}
}
