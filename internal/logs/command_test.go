package logs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/rules"
)

func (b *bench) startCommand(argv ...string) {
	b.Helper()
	b.startConfig(Config{Watches: []Watch{{Name: "sshd", Rule: builtin(b.T, "sshd"), Command: argv}}, Lookback: time.Hour, Zone: time.UTC})
}

// dated is a line of sshd of so long ago.
func dated(ago time.Duration, port int) string { return datedAt(time.Now().Add(-ago), port) }

func datedAt(at time.Time, port int) string {
	return at.UTC().Format("2006-01-02T15:04:05.000000Z") + fmt.Sprintf(" h sshd[7]: "+failedText, port)
}

// A command that ends is started again; what it repeats with its dates counts once,
// and what is older than anybody looks back not at all.
func TestCommandRepeats(t *testing.T) {
	b := newBench(t)
	b.write("log", dated(2*time.Hour, 66)+"\n"+dated(3*time.Second, 1)+"\n"+dated(2*time.Second, 2)+"\n")
	b.startCommand("/bin/cat", b.path("log"))
	b.wantPorts("1", "2")
	b.write("log", dated(time.Second, 3)+"\n")
	b.wantPorts("1", "2", "3")
	if why := b.sourceState("command:/bin/cat "+b.path("log"), Unreadable); !strings.Contains(why, "it ended; it is started again") {
		t.Errorf("why: %q", why)
	}
	b.stop()
	b.write("log", dated(0, 4)) // without a line end
	b.startCommand("/bin/cat", b.path("log"))
	b.wantPorts("1", "2", "3", "4")
	b.stop()
}

// Its standard error is kept for the status.
func TestCommandFails(t *testing.T) {
	for name, tc := range map[string]struct {
		argv []string
		want string
	}{
		"exits":        {[]string{"/bin/sh", "-c", "echo first >&2; echo 'no such \x1bcontainer' >&2; exit 3"}, "exit status 3; it is started again: no such  container"},
		"is not there": {[]string{"/nonexistent/program"}, "no such file or directory"},
		"is killed":    {[]string{"/bin/sh", "-c", "kill -9 $$"}, "killed"},
	} {
		b := newBench(t)
		b.startCommand(tc.argv...)
		if why := b.sourceState(commandName(tc.argv), Unreadable); !strings.Contains(why, tc.want) {
			t.Errorf("%s: %q", name, why)
		}
		b.stop()
	}
}

// All that it started ends with the sensor, whatever it does about signals.
func TestCommandEndsWithAllItStarted(t *testing.T) {
	b := newBench(t)
	p := b.script("stubborn", `trap '' TERM; (trap '' TERM; exec sleep 1000) & echo $! >`+b.path("child")+`; echo $$ >`+b.path("pid")+`; echo "$1"; wait`)
	b.startCommand(p, dated(0, 1))
	b.wantPorts("1")
	b.stop()
	for _, name := range []string{"pid", "child"} {
		text, err := os.ReadFile(b.path(name))
		b.must(err)
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		b.must(err)
		b.until2(name+" to end", func() bool {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			return err != nil || strings.Contains(string(stat), ") Z ") || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
		})
	}
}

// Long lines are passed over and counted, wherever the pipe cuts them; empty ones
// are none.
func TestCommandLines(t *testing.T) {
	b := newBench(t)
	long := strings.Repeat("x", 3*rules.MaxLine)
	b.write("log", "\n\n"+dated(0, 1)+"\n"+long+"\n"+dated(0, 2)+"\r\n"+strings.Repeat(long, 20)+"\n"+dated(0, 3)+"\n")
	b.startCommand("/bin/sh", "-c", "cat "+b.path("log")+"; exec sleep 1000")
	b.wantPorts("1", "2", "3")
	st := b.sensor.Status()[0]
	if st.Skipped != 2 || st.Lines != 3 || st.State != CaughtUp {
		t.Errorf("%+v", st)
	}
	b.stop()
}

func TestCommandName(t *testing.T) {
	if got := commandName([]string{"docker", "logs", "a b", `c"d`, ""}); got != `command:docker logs "a b" "c\"d" ""` {
		t.Error(got)
	}
}

// The pause grows, and begins anew after a steady run.
func TestPause(t *testing.T) {
	var p pause
	wake := make(chan struct{}, 1)
	var got []time.Duration
	for range 9 {
		wake <- struct{}{}
		p.wait(t.Context(), 0, wake)
		got = append(got, p.next)
	}
	if got[0] != 2*firstPause || got[8] != lastPause {
		t.Errorf("%v", got)
	}
	wake <- struct{}{}
	if p.wait(t.Context(), steady, wake); p.next != 2*firstPause {
		t.Errorf("after a steady run: %v", p.next)
	}
}

// What a program wrote before it ended is read, however late that is.
func TestChildsLastWords(t *testing.T) {
	var got []byte
	err := runChild(t.Context(), []string{"/bin/echo", "last words"}, nil, &tail{}, func(r io.Reader) (err error) {
		o := r.(*output)
		for !o.over.Load() {
			runtime.Gosched()
		}
		_ = o.SetReadDeadline(time.Now().Add(-time.Hour)) // as if all patience had passed meanwhile
		got, err = io.ReadAll(r)
		return err
	})
	if string(got) != "last words\n" || !errors.Is(err, errChildEnded) {
		t.Errorf("%q, %v", got, err)
	}
}
