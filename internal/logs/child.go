package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// How long a program is waited for.
const (
	childPatience = 2 * time.Second // after SIGTERM, until SIGKILL
	childRest     = time.Second     // for the output of what it left behind
)

// Bounds of the pause before a program is started again.
const (
	firstPause = 500 * time.Millisecond
	lastPause  = 30 * time.Second
	steady     = time.Minute // a program that ran for so long starts with the first pause again
)

// runChild runs a program, without a shell, and hands its output to read. It
// returns when the program has ended, or the context did, or read returned: then
// the whole process group is gone. The error of read comes first; a program that
// ends by itself without an error gives errChildEnded.
func runChild(ctx context.Context, argv, env []string, tail *tail, read func(io.Reader) error) error {
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("run %s: %w", argv[0], err)
	}
	defer r.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Dir, cmd.Env = w, tail, "/", env
	cmd.WaitDelay = childRest
	// A thread of its own: the kernel sends Pdeathsig when the thread that started
	// the program ends, not the process.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started, ended := make(chan error, 1), make(chan error, 1)
	output := &output{File: r}
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		_ = w.Close()
		started <- err
		if err != nil {
			return
		}
		await(cmd.Process.Pid)
		_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL) // what it left behind; its number is not free before Wait
		ended <- cmd.Wait()
		output.close()
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("run %s: %w", argv[0], startProblem(err))
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	stopped := make(chan struct{})
	context.AfterFunc(inner, func() {
		defer close(stopped)
		endGroup(cmd.Process.Pid, ended)
	})
	err = read(output)
	if ctx.Err() == nil && err == nil { // all output was read: the program has ended, or closed it
		select {
		case e := <-ended:
			ended <- e
		case <-time.After(childPatience):
		}
	}
	cancel()
	<-stopped
	exit := <-ended
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return nil
	case exit == nil:
		return errChildEnded
	}
	return exit
}

// output is what a program writes. When the program has ended, what is still in the
// pipe is read, and who left its process group and holds the pipe is not waited for.
type output struct {
	*os.File
	over atomic.Bool
}

func (o *output) close() {
	o.over.Store(true)
	_ = o.SetReadDeadline(time.Now().Add(childRest)) // for the read that is under way
}

// Read implements io.Reader.
func (o *output) Read(b []byte) (int, error) {
	if o.over.Load() {
		_ = o.SetReadDeadline(time.Now().Add(childRest)) // of this read: the last one may have been long ago
	}
	n, err := o.File.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = io.EOF
	}
	return n, err
}

// errChildEnded says that a program ended by itself, as if all were well.
var errChildEnded = errors.New("it ended")

// startProblem is why a program did not start, without its name, which is told
// already.
func startProblem(err error) error {
	var pe *os.PathError
	var ee *exec.Error
	switch {
	case errors.As(err, &pe):
		return pe.Err
	case errors.As(err, &ee):
		return ee.Err
	}
	return err
}

// await waits until the process has ended, and leaves it to be reaped.
func await(pid int) {
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}

// endGroup ends a process group: politely, then not. It returns when the leader
// has ended; what that gave stays in ended.
func endGroup(pid int, ended chan error) {
	select {
	case err := <-ended:
		ended <- err
		return
	default:
	}
	_ = unix.Kill(-pid, unix.SIGTERM)
	late := time.NewTimer(childPatience)
	defer late.Stop()
	select {
	case err := <-ended:
		ended <- err
		return
	case <-late.C:
	}
	_ = unix.Kill(-pid, unix.SIGKILL)
	ended <- <-ended
}

// maxTail is how much is kept of what a program says on its standard error, in
// bytes.
const maxTail = 1 << 10

// tail keeps the end of what is written to it. Safe for concurrent use.
type tail struct {
	mu sync.Mutex
	b  []byte
}

// Write implements io.Writer. It never fails.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, b[max(0, len(b)-maxTail):]...)
	if over := len(t.b) - maxTail; over > 0 {
		t.b = t.b[:copy(t.b, t.b[over:])]
	}
	return len(b), nil
}

// last returns the last line that has something in it, fit to be shown, and
// forgets all.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := bytes.TrimSpace(t.b)
	t.b = nil
	b = b[bytes.LastIndexByte(b, '\n')+1:]
	s := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\ufffd' {
			return ' '
		}
		return r
	}, string(b))
	return clip(s, 200)
}

// pause is how long to wait before a program is started again. The zero value is
// ready.
type pause struct{ next time.Duration }

// wait waits, longer each time, unless the program ran for long. It returns early
// when the context ends or something comes from wake.
func (p *pause) wait(ctx context.Context, ran time.Duration, wake <-chan struct{}) {
	if p.next == 0 || ran >= steady {
		p.next = firstPause
	}
	t := time.NewTimer(p.next)
	defer t.Stop()
	p.next = min(2*p.next, lastPause)
	select {
	case <-t.C:
	case <-ctx.Done():
	case <-wake:
	}
}

// childEnv is the environment of a program: ours, in English, without colours
// and pagers.
func childEnv() []string {
	return append(os.Environ(), "LC_ALL=C.UTF-8", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER=", "SYSTEMD_URLIFY=0")
}
