package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestMain is the child where the runner under test starts it: it runs this program.
func TestMain(m *testing.M) {
	if code, ours := Main(os.Args); ours {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// start runs a runner until the test ends.
func start(t *testing.T) *Runner {
	t.Helper()
	r := New(nil)
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return r
}

// script writes a script that may be run.
func script(t *testing.T, body string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "hook")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestDo runs commands that end in all ways that there are.
func TestDo(t *testing.T) {
	r := start(t)
	for _, c := range []struct {
		name, body      string
		limit           time.Duration
		exit            int
		problem, output string // output: what must be in it
	}{
		{"well", "echo \"$1|$X\"; cat", 0, 0, "", "a b; $(id)|1 2\ninput"},
		{"with an exit code", "echo oops >&2; exit 3", 0, 3, "it ended with exit code 3", "oops"},
		{"by a signal", "kill -TERM $$", 0, -1, "it was ended by signal SIGTERM", ""},
		{"not in time", "trap '' TERM; echo begun; sleep 100", 200 * time.Millisecond, -1, "it was killed: it ran longer than it may", "begun"},
		{"without reading", "exit 0", 0, 0, "", ""},
		{"too loud", "yes 0123456789 | head -c 10000000; echo end", 0, 0, "", "0123456789\n0123456789end\n"},
		{"loud for ever", "yes", 300 * time.Millisecond, -1, "it was killed: it ran longer than it may", "y\ny\n"},
		{"with helpers that stay", "sleep 100 & setsid sleep 100 & echo done", 0, 0, "", "done"},
		{"not at all", "", 0, -1, "it did not start: exec format error", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := script(t, c.body)
			if c.name == "not at all" {
				if err := os.WriteFile(path, []byte("\x7fELF nonsense"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if c.limit == 0 {
				c.limit = 20 * time.Second
			}
			begun := time.Now()
			res, err := r.Do(t.Context(), Command{Argv: []string{path, "a b; $(id)"}, Env: []string{"X=1 2", "GATEHOUSE_DELIVERY=" + c.name}, Stdin: []byte("input"), Limit: c.limit, Output: 100})
			if err != nil {
				t.Fatal(err)
			}
			if res.Exit != c.exit || res.Problem != c.problem || !strings.Contains(res.Output, c.output) || len(res.Output) > 100 {
				t.Errorf("%+v", res)
			}
			if d := time.Since(begun); d > 15*time.Second {
				t.Errorf("it took %v", d)
			}
			if c.name == "too loud" && res.Lost < 9_000_000 {
				t.Errorf("%d bytes lost", res.Lost)
			}
			if n := strays(t, c.name); n > 0 {
				t.Errorf("%d processes are left", n)
			}
		})
	}
}

// TestCommandsComeLast shows that every command gives way to the guard, whichever
// thread started it, and that one which floods is read slowly.
func TestCommandsComeLast(t *testing.T) {
	r := start(t)
	path := script(t, "nice")
	var wg sync.WaitGroup
	for n := range 24 {
		wg.Go(func() {
			res, err := r.Do(t.Context(), Command{Argv: []string{path}, Env: []string{fmt.Sprint("GATEHOUSE_DELIVERY=nice", n)}, Limit: 20 * time.Second, Output: 100})
			if got := strings.TrimSpace(res.Output); err != nil || got != fmt.Sprint(niceness) && got != "19" {
				t.Errorf("niceness %s, %+v, %v", got, res, err) // 19: the test itself comes last
			}
		})
	}
	wg.Wait()
	res, err := r.Do(t.Context(), Command{Argv: []string{script(t, "yes")}, Env: []string{"GATEHOUSE_DELIVERY=flood"}, Limit: time.Second, Output: 100})
	if most := int64(flood + 3*(time.Second+grace)/floodPause*32<<10); err != nil || res.Lost > most {
		t.Errorf("%d bytes were read, more than %d; %v", res.Lost, most, err)
	}
}

// strays counts the processes that belong to a delivery.
func strays(t *testing.T, delivery string) (n int) {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile("/proc/" + e.Name() + "/environ")
		if err == nil && strings.Contains(string(b), deliveryName+delivery+"\x00") {
			n++
		}
	}
	return n
}

// TestForks kills what forks without end, as far as it was let.
func TestForks(t *testing.T) {
	r := start(t)
	path := script(t, "for i in 1 2 3 4 5 6 7 8 9 10; do (for j in 1 2 3 4 5; do setsid sleep 100 & done; sleep 100) & done; wait")
	res, err := r.Do(t.Context(), Command{Argv: []string{path}, Env: []string{"GATEHOUSE_DELIVERY=forks"}, Limit: 500 * time.Millisecond, Output: 10})
	if err != nil || res.Problem == "" {
		t.Errorf("%+v, %v", res, err)
	}
	if n := strays(t, "forks"); n > 0 {
		t.Errorf("%d processes are left", n)
	}
}

// TestChildDies loses what runs when the child is killed, says so, leaves nothing
// behind and goes on with another child.
func TestChildDies(t *testing.T) {
	r := start(t)
	first := r.PID()
	quiet := script(t, "sleep 100 & sleep 100")
	lost := make(chan error, 1)
	go func() {
		_, err := r.Do(context.Background(), Command{Argv: []string{quiet}, Env: []string{"GATEHOUSE_DELIVERY=quiet"}, Limit: time.Minute, Output: 10})
		lost <- err
	}()
	for strays(t, "quiet") < 3 { // the shell and two of its children
		time.Sleep(time.Millisecond)
	}
	killer := script(t, "kill -9 $PPID")
	if _, err := r.Do(t.Context(), Command{Argv: []string{killer}, Limit: time.Minute, Output: 10}); !errors.Is(err, ErrLost) {
		t.Errorf("the killer: %v", err)
	}
	if err := <-lost; !errors.Is(err, ErrLost) {
		t.Errorf("the other: %v", err)
	}
	res, err := r.Do(t.Context(), Command{Argv: []string{"/bin/echo", "hello"}, Limit: time.Minute, Output: 10})
	if err != nil || res.Output != "hello\n" || r.PID() == first {
		t.Errorf("%+v, %v, child %d after %d", res, err, r.PID(), first)
	}
	for end := time.Now().Add(5 * time.Second); strays(t, "quiet") > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the killed child's commands go on")
		}
	}
}

// TestUser runs a command with the rights of another user.
func TestUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	r := start(t)
	res, err := r.Do(t.Context(), Command{Argv: []string{"/usr/bin/id", "-un"}, User: "nobody", Limit: time.Minute, Output: 100})
	if err != nil || res.Output != "nobody\n" {
		t.Errorf("%+v, %v", res, err)
	}
	res, err = r.Do(t.Context(), Command{Argv: []string{"/usr/bin/id"}, User: "no-such-user", Limit: time.Minute, Output: 100})
	if err != nil || res.Problem != "there is no user no-such-user" {
		t.Errorf("%+v, %v", res, err)
	}
}

// TestMany runs more commands than run at once.
func TestMany(t *testing.T) {
	r := start(t)
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			res, err := r.Do(t.Context(), Command{Argv: []string{"/bin/echo", fmt.Sprint(i)}, Limit: time.Minute, Output: 10})
			if err != nil || res.Output != fmt.Sprintln(i) {
				t.Errorf("%d: %+v, %v", i, res, err)
			}
		})
	}
	wg.Wait()
}

// TestCheck refuses what others could have written.
func TestCheck(t *testing.T) {
	good := script(t, "")
	dir := filepath.Dir(good)
	file := func(name string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	inOpen := filepath.Join(open, "x")
	if err := os.WriteFile(inOpen, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	world := file("world", 0o757)
	if err := os.Symlink(world, link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		argv []string
		why  string // a part of it; "" = it may run
	}{
		{[]string{good}, ""},
		{[]string{"/bin/sh", good}, ""},
		{[]string{"/bin/true"}, ""},
		{nil, "there is no command"},
		{[]string{"true"}, "not an absolute path"},
		{[]string{dir}, "is not a file"},
		{[]string{filepath.Join(dir, "nowhere")}, "does not exist"},
		{[]string{file("plain", 0o644)}, "cannot be run"},
		{[]string{world}, "others than its owner may write"},
		{[]string{file("group", 0o775)}, "others than its owner may write"},
		{[]string{link}, "others than its owner may write"},
		{[]string{"/bin/sh", world}, "others than its owner may write"},
		{[]string{"/bin/cat", world}, ""},
		{[]string{inOpen}, "because they may write its folder"},
	} {
		why, hint := CheckCommand(c.argv)
		if c.why == "" && why != "" || !strings.Contains(why, c.why) || why != "" && hint == "" {
			t.Errorf("%q: %q, hint %q", c.argv, why, hint)
		}
	}
}

// TestDaemonDies kills what runs when the daemon is killed: here a program that is
// nothing but a runner.
func TestDaemonDies(t *testing.T) {
	if os.Getenv("RUNNER_TEST_DAEMON") != "" {
		r := New(nil)
		if err := r.Start(); err != nil {
			t.Fatal(err)
		}
		_, _ = r.Do(context.Background(), Command{Argv: []string{"/bin/sleep", "100"}, Env: []string{"GATEHOUSE_DELIVERY=orphan"}, Limit: time.Minute, Output: 10}) // we are killed meanwhile
		return
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestDaemonDies$")
	cmd.Env = append(os.Environ(), "RUNNER_TEST_DAEMON=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); strays(t, "orphan") == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not start")
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	for end := time.Now().Add(20 * time.Second); strays(t, "orphan") > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("its command goes on")
		}
	}
}

// FuzzFramesAreReadBack reads any bytes as a frame without harm, and every frame back.
func FuzzFramesAreReadBack(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02{}"))
	f.Add([]byte("\xff\xff\xff\xff{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r request
		if readFrame(strings.NewReader(string(b)), &r) != nil {
			return
		}
		var w strings.Builder
		if err := writeFrame(&w, r); err != nil {
			t.Fatal(err)
		}
		var again request
		if err := readFrame(strings.NewReader(w.String()), &again); err != nil || fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", r) {
			t.Fatalf("%+v, %+v, %v", r, again, err)
		}
	})
}
