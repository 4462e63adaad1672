package runner

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// argument is the hidden argument with which the program becomes the child.
const argument = "_runner"

// socketFD is the child's end of the socket: the first one behind the standard
// streams.
const socketFD = 3

// maxAtOnce is how many commands run at once; further requests wait.
const maxAtOnce = 64

// grace is how long a command has between SIGTERM and SIGKILL.
const grace = time.Second

// rest is how long the output of what a command left behind is waited for.
const rest = 500 * time.Millisecond

// Main is the child: where the arguments say so, it serves until the daemon's end of
// the socket closes.
func Main(args []string) (code int, ours bool) {
	if len(args) != 2 || args[1] != argument {
		return 0, false
	}
	// The daemon ends us by the socket. The signals are taken and not ignored, because
	// commands would inherit that.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) // without it what escapes goes to init
	comeLast()
	unix.CloseOnExec(socketFD)
	c := &child{socket: os.NewFile(socketFD, "socket"), slots: make(chan struct{}, maxAtOnce), running: map[int]string{}}
	if err := c.serve(); err != nil && !errors.Is(err, io.EOF) {
		return 1, true
	}
	return 0, true
}

// niceness is how far commands come behind the guard, and behind the services that it
// guards.
const niceness = 10

// comeLast gives way to other processes. On Linux that is a matter of each thread, and
// threads and processes begin as the thread that started them.
func comeLast() {
	tasks, _ := os.ReadDir("/proc/self/task")
	for _, t := range tasks {
		if tid, err := strconv.Atoi(t.Name()); err == nil {
			_ = unix.Setpriority(unix.PRIO_PROCESS, tid, niceness)
		}
	}
}

// child serves requests.
type child struct {
	socket *os.File
	slots  chan struct{} // a value for each command that runs; full = wait
	writes sync.Mutex    // one answer at a time

	mu      sync.Mutex     // guards running
	running map[int]string // process -> delivery
}

// serve answers requests until the socket closes, then kills what still runs.
func (c *child) serve() error {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for {
		var r request
		if err := readFrame(c.socket, &r); err != nil {
			return err
		}
		c.slots <- struct{}{}
		wg.Go(func() {
			a := answer{r.ID, c.run(ctx, r.Command)}
			<-c.slots
			c.writes.Lock()
			defer c.writes.Unlock()
			_ = writeFrame(c.socket, a) // the daemon is gone: serve ends by itself
		})
	}
}

// run runs one command to its end.
func (c *child) run(ctx context.Context, r Command) Result {
	out := Result{Exit: -1}
	if why, _ := CheckCommand(r.Argv); why != "" {
		out.Problem = why
		return out
	}
	cmd := exec.Command(r.Argv[0], r.Argv[1:]...)
	cmd.Dir, cmd.Stdin = "/", bytes.NewReader(r.Stdin)
	kept := &kept{max: r.Output}
	cmd.Stdout, cmd.Stderr = kept, kept
	cmd.WaitDelay = rest
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if err := as(cmd, r.User); err != nil {
		out.Problem = err.Error()
		return out
	}
	cmd.Env = append(append(cmd.Env, r.Env...), runnerName+strconv.Itoa(os.Getpid()))
	begun := time.Now()
	ended, started := make(chan error, 1), make(chan error, 1)
	go func() {
		// The kernel sends Pdeathsig when this thread ends, not the process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, niceness) // of this thread, and of what it starts
		c.mu.Lock()                                          // nobody must take it for a stray before it is on the list
		err := cmd.Start()
		if err == nil {
			c.running[cmd.Process.Pid] = deliveryOf(r.Env)
		}
		c.mu.Unlock()
		started <- err
		if err != nil {
			return
		}
		awaitExit(cmd.Process.Pid)
		c.sweep(cmd.Process.Pid, r.Env) // its number is not free before Wait
		ended <- cmd.Wait()
	}()
	if err := <-started; err != nil {
		out.Problem = "it did not start: " + startProblem(err)
		return out
	}
	pid := cmd.Process.Pid
	err, late := wait(ctx, pid, r.Limit, ended)
	c.forget(pid)
	c.sweep(0, r.Env)
	out.Took, out.Output, out.Lost = time.Since(begun), kept.text(), kept.lost
	out.Exit = cmd.ProcessState.ExitCode()
	var exit *exec.ExitError
	switch ws, _ := cmd.ProcessState.Sys().(syscall.WaitStatus); {
	case late:
		out.Problem = "it was killed: it ran longer than it may"
	case ctx.Err() != nil:
		out.Problem = "it was killed: the daemon has ended"
	case errors.As(err, &exit) && ws.Signaled():
		out.Problem = "it was ended by signal " + unix.SignalName(ws.Signal())
	case out.Exit != 0:
		out.Problem = "it ended with exit code " + strconv.Itoa(out.Exit)
	}
	return out
}

// wait waits until the command has ended, and ends it when its time is over.
func wait(ctx context.Context, pid int, limit time.Duration, ended chan error) (err error, late bool) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-ended:
		return err, false
	case <-timer.C:
		late = true
	case <-ctx.Done():
	}
	_ = unix.Kill(-pid, unix.SIGTERM)
	patience := time.NewTimer(grace)
	defer patience.Stop()
	select {
	case err := <-ended:
		return err, late
	case <-patience.C:
	}
	_ = unix.Kill(-pid, unix.SIGKILL)
	return <-ended, late
}

// as makes a command run with the rights and the environment of a user.
func as(cmd *exec.Cmd, name string) error {
	u, err := user.Current()
	if name != "" {
		u, err = user.Lookup(name)
	}
	home, login := "/", "root"
	if err == nil {
		home, login = u.HomeDir, u.Username
	} else if name != "" {
		return errors.New("there is no user " + name)
	}
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=" + home, "USER=" + login, "LOGNAME=" + login}
	if name == "" || u.Uid == strconv.Itoa(os.Geteuid()) {
		return nil
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	cred := &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	ids, _ := u.GroupIds() // none that can be found out is none
	for _, id := range ids {
		if n, err := strconv.ParseUint(id, 10, 32); err == nil {
			cred.Groups = append(cred.Groups, uint32(n))
		}
	}
	cmd.SysProcAttr.Credential = cred
	return nil
}

func startProblem(err error) string {
	var pe *os.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	if errors.Is(err, syscall.EPERM) {
		return "no permission to run it as that user"
	}
	return err.Error()
}

// awaitExit waits until the process has ended, and leaves it to be reaped.
func awaitExit(pid int) {
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}

// A command that writes more than flood bytes is read slowly from there on: 32 kB at a
// time, with a pause. What it writes is thrown away, and must not cost a processor.
const (
	flood      = 8 << 20
	floodPause = 5 * time.Millisecond
)

// kept keeps the end of what is written to it. Safe for concurrent use.
type kept struct {
	mu   sync.Mutex
	b    []byte
	max  int
	lost int64
}

// Write implements io.Writer. It never fails.
func (k *kept) Write(b []byte) (int, error) {
	k.mu.Lock()
	k.b = append(k.b, b...)
	if over := len(k.b) - k.max; over > 0 {
		k.b = k.b[:copy(k.b, k.b[over:])]
		k.lost += int64(over)
	}
	flooded := k.lost > flood
	k.mu.Unlock()
	if flooded {
		time.Sleep(floodPause)
	}
	return len(b), nil
}

func (k *kept) text() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return strings.ToValidUTF8(string(k.b), "\ufffd")
}
