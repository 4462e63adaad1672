package netlab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// stageFlags are the namespaces of a stage.
const stageFlags = unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS

// Stage is a run of this program inside fresh namespaces: network, mounts,
// processes, and for an ordinary user also a user namespace in which it is root.
type Stage struct {
	Args           []string  // of the program, without its name
	Stdin          io.Reader // nil = none
	Stdout, Stderr io.Writer // nil = none
}

// Reexec runs a Stage with these arguments and this program's own standard input,
// output and error.
func Reexec(ctx context.Context, args []string) (int, error) {
	return Stage{args, os.Stdin, os.Stdout, os.Stderr}.Run(ctx)
}

// Run runs the program and returns its exit code, 128 + n if signal n ended it.
// SIGINT, SIGTERM, SIGQUIT and SIGHUP are passed on. When ctx ends, everything
// inside is killed. The error is a *Refusal if the kernel does not give the
// namespaces.
func (s Stage) Run(ctx context.Context) (int, error) {
	if os.Geteuid() == 0 {
		code, err := s.run(ctx, false)
		if _, refused := errors.AsType[*Refusal](err); !refused {
			return code, err
		}
		// Root of a container may lack the right, yet have user namespaces.
	}
	return s.run(ctx, true)
}

// run is Run with or without a user namespace.
func (s Stage) run(ctx context.Context, user bool) (int, error) {
	// The child dies with the thread that started it (Pdeathsig).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	self, err := os.Executable()
	if err != nil {
		return 0, fmt.Errorf("find this program: %w", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return 0, fmt.Errorf("make a pipe: %w", err)
	}
	defer r.Close()
	cmd := exec.Command(self, s.Args...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.Stdin, s.Stdout, s.Stderr
	cmd.ExtraFiles = []*os.File{w}
	cmd.Env = append(os.Environ(), envRole+"="+roleInit)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: stageFlags, Pdeathsig: syscall.SIGKILL}
	if user {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	err = cmd.Start()
	w.Close()
	if err != nil {
		return 0, refusal("/", err)
	}
	sigs := make(chan os.Signal, 4) // more than one of each kind at once means nothing new
	signal.Notify(sigs, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP)
	defer signal.Stop(sigs)
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case s := <-sigs:
				cmd.Process.Signal(s)
			case <-ctx.Done():
				cmd.Process.Kill()
				return
			case <-done:
				return
			}
		}
	}()
	said, _ := io.ReadAll(r)
	err = cmd.Wait()
	if problem, ok := strings.CutPrefix(string(said), "refused: "); ok {
		return 0, refusal("/", errors.New(problem))
	}
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if ee, ok := errors.AsType[*exec.ExitError](err); ok {
		if ws := ee.Sys().(syscall.WaitStatus); ws.Signaled() {
			return 128 + int(ws.Signal()), nil
		}
		return ee.ExitCode(), nil
	}
	if err != nil {
		return 0, fmt.Errorf("run %s in namespaces: %w", self, err)
	}
	return 0, nil
}

// runInit is process 1 of a stage: it makes mounts private, proves that a
// network can be built, runs the program itself and reaps all orphans.
func runInit(args []string) int {
	answer := os.NewFile(3, "answer")
	if err := prepare(); err != nil {
		fmt.Fprintf(answer, "refused: %v", err)
		return 2
	}
	sigs := make(chan os.Signal, 4) // as in run
	signal.Notify(sigs, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP)
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "netlab: find this program:", err)
		return 2
	}
	if err := os.Setenv(envRole, roleStage); err != nil {
		fmt.Fprintln(os.Stderr, "netlab:", err)
		return 2
	}
	pid, err := syscall.ForkExec(self, append([]string{os.Args[0]}, args...), &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2},
	})
	if err != nil {
		fmt.Fprintf(os.Stderr, "netlab: start %s: %v\n", self, err)
		return 2
	}
	answer.Close()
	go func() {
		for s := range sigs {
			syscall.Kill(pid, s.(syscall.Signal))
		}
	}()
	for {
		var ws syscall.WaitStatus
		got, err := syscall.Wait4(-1, &ws, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			fmt.Fprintln(os.Stderr, "netlab: wait:", err)
			return 2
		case got == pid && ws.Exited():
			return ws.ExitStatus()
		case got == pid && ws.Signaled():
			return 128 + int(ws.Signal())
		}
	}
}

// prepare makes the stage usable, or says what the kernel refused.
func prepare() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := unix.Sethostname([]byte("netlab")); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find the loopback interface: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("set the loopback interface up: %w", err)
	}
	probe := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "probe0"}, PeerName: "probe1"}
	if err := netlink.LinkAdd(probe); err != nil {
		return fmt.Errorf("make a veth pair: %w", err)
	}
	if err := netlink.LinkDel(probe); err != nil {
		return fmt.Errorf("delete a veth pair: %w", err)
	}
	return nil
}
