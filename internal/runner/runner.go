package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLost is what Do returns when the child died while it ran the command: nobody
// knows how far it came.
var ErrLost = errors.New("the process that runs commands has died; whether the command ran to its end is not known")

// Runner is the daemon's side. Make one with New and call Start. Its methods are safe
// for concurrent use.
type Runner struct {
	log  *slog.Logger
	path string

	mu      sync.Mutex // guards what follows
	link    *link      // nil while there is no child
	next    uint64
	changed chan struct{} // closed and replaced when link changes
}

// link is the connection to one child.
type link struct {
	cmd     *exec.Cmd
	socket  *os.File
	writes  sync.Mutex
	mu      sync.Mutex // guards waiting and dead
	waiting map[uint64]chan Result
	dead    bool
	ended   chan struct{} // closed when the child is gone
}

// New returns a Runner whose child is this program, run again. log may be nil.
func New(log *slog.Logger) *Runner {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Runner{log: log, path: "/proc/self/exe", changed: make(chan struct{})}
}

// Start starts the child. It is called early, while the daemon has all its rights.
func (r *Runner) Start() error {
	l, err := r.start()
	if err != nil {
		return fmt.Errorf("start the process that runs commands: %w", err)
	}
	r.set(l)
	return nil
}

func (r *Runner) set(l *link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.link = l
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *Runner) start() (*link, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "runner"), os.NewFile(uintptr(fds[1]), "runner")
	defer theirs.Close()
	if err := unix.SetNonblock(fds[1], false); err != nil {
		ours.Close()
		return nil, err
	}
	cmd := exec.Command(r.path)
	cmd.Args = []string{"gatehouse", argument}
	cmd.Env = []string{"GOMAXPROCS=2", "GOMEMLIMIT=64MiB"}
	cmd.Dir, cmd.ExtraFiles = "/", []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C on our terminal is not for it
	if err := cmd.Start(); err != nil {
		ours.Close()
		return nil, err
	}
	l := &link{cmd: cmd, socket: ours, waiting: map[uint64]chan Result{}, ended: make(chan struct{})}
	go l.listen()
	return l, nil
}

// listen hands out answers until the child is gone.
func (l *link) listen() {
	defer close(l.ended)
	for {
		var a answer
		if err := readFrame(l.socket, &a); err != nil {
			break
		}
		l.mu.Lock()
		if c := l.waiting[a.ID]; c != nil {
			c <- a.Result // holds 1
			delete(l.waiting, a.ID)
		}
		l.mu.Unlock()
	}
	l.mu.Lock()
	l.dead = true
	for _, c := range l.waiting {
		close(c)
	}
	clear(l.waiting)
	l.mu.Unlock()
	_ = l.socket.Close()
	_ = l.cmd.Process.Kill() // in case it only closed its end
	_ = l.cmd.Wait()         // how it died does not matter
	killOrphans(l.cmd.Process.Pid)
}

// Pauses before a child that died is started again: the first, and the longest.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 10 * time.Second
	steady     = time.Minute
)

// Run starts the child again whenever it dies, until ctx ends; then it ends the child
// with all commands, and returns nil.
func (r *Runner) Run(ctx context.Context) error {
	pause := firstPause
	for {
		r.mu.Lock()
		l := r.link
		r.mu.Unlock()
		begun := time.Now()
		if l != nil {
			select {
			case <-ctx.Done():
				_ = l.socket.Close() // the child sees the end and kills what runs
				select {
				case <-l.ended:
				case <-time.After(3 * grace):
					_ = l.cmd.Process.Kill()
					<-l.ended
				}
				return nil
			case <-l.ended:
			}
			r.set(nil)
			r.log.Warn("the process that runs commands has died and is started again", "dur", pause)
		}
		if time.Since(begun) > steady {
			pause = firstPause
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = min(2*pause, lastPause)
		if err := r.Start(); err != nil {
			r.log.Error("run commands", "err", err)
		}
	}
}

// Do runs a command and returns how it ended. It waits for a child where there is
// none. Its error is ErrLost, that of ctx, or one of the connection; whatever the
// command does is in the Result.
func (r *Runner) Do(ctx context.Context, c Command) (Result, error) {
	var dead *link
	for {
		l, id, err := r.await(ctx, dead)
		if err != nil {
			return Result{}, err
		}
		done, err := l.ask(request{id, c})
		if errors.Is(err, errDead) {
			dead = l // it never saw the command
			continue
		}
		if err != nil {
			return Result{}, fmt.Errorf("ask for a command: %w", err)
		}
		select {
		case res, ok := <-done:
			if !ok {
				return Result{}, ErrLost
			}
			return res, nil
		case <-ctx.Done():
			return Result{}, ctx.Err() // it goes on, up to its time
		}
	}
}

// errDead says that the child was dead before it could see a request.
var errDead = errors.New("the child is dead")

// ask sends a request; the answer comes by the channel, which is closed if it never
// will.
func (l *link) ask(q request) (chan Result, error) {
	done := make(chan Result, 1) // one answer
	l.mu.Lock()
	if l.dead {
		l.mu.Unlock()
		return nil, errDead
	}
	l.waiting[q.ID] = done
	l.mu.Unlock()
	l.writes.Lock()
	err := writeFrame(l.socket, q)
	l.writes.Unlock()
	if err == nil {
		return done, nil
	}
	l.mu.Lock()
	delete(l.waiting, q.ID)
	l.mu.Unlock()
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, os.ErrClosed) {
		err = errDead
	}
	return nil, err
}

// await returns the link to a child that lives, which is not dead, and the number of
// the next request.
func (r *Runner) await(ctx context.Context, dead *link) (*link, uint64, error) {
	for {
		r.mu.Lock()
		l, changed := r.link, r.changed
		r.next++
		id := r.next
		r.mu.Unlock()
		if l != nil && l != dead {
			return l, id, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}

// PID is the child's process; 0 while there is none.
func (r *Runner) PID() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.link == nil {
		return 0
	}
	return r.link.cmd.Process.Pid
}
