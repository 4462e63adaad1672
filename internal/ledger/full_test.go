package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// notHere is how the child says that it may not make a file system.
const notHere = 3

// TestFullDisk runs the ledger on a small file system that really fills up, in
// namespaces of its own.
func TestFullDisk(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childRole+"=full", childFolder+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == notHere {
		t.Skipf("no file system can be made here: %s", out)
	}
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
		t.Skipf("no namespaces can be made here: %v", err)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// fullChild is the test itself: it ends with 0 if all went well.
func fullChild(dir string) {
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=24m"); err != nil {
		fmt.Println(err)
		os.Exit(notHere)
	}
	if err := fillAndFree(dir); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func fillAndFree(dir string) error {
	w := watch()
	until := func(s State) error {
		for {
			select {
			case <-w.any:
				w.mu.Lock()
				h := w.hs[len(w.hs)-1]
				w.mu.Unlock()
				if h.State == s {
					return nil
				}
			case <-time.After(20 * time.Second):
				return fmt.Errorf("it never became %v", s)
			}
		}
	}
	state := filepath.Join(dir, "state")
	open := func() (*Ledger, func() error, error) {
		l, err := Open(state, Options{Now: func() time.Time { return t0 }, Changed: w.changed})
		if err != nil {
			return nil, nil, err
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }()
		return l, func() error { cancel(); return errors.Join(<-done, l.Close()) }, nil
	}
	l, stop, err := open()
	if err != nil {
		return err
	}
	if _, err := try(l, Txn{Decisions: bans(0, 100)}); err != nil {
		return fmt.Errorf("on an empty disk: %w", err)
	}
	ballast := filepath.Join(dir, "ballast")
	if err := fill(ballast); err != nil {
		return err
	}
	rs, err := try(l, Txn{Decisions: bans(100, 5000)})
	if !errors.Is(err, ErrDegraded) || len(rs) != 4900 || rs[0].Seq != 0 {
		return fmt.Errorf("on a full disk: %d records, %w", len(rs), err)
	}
	if !strings.Contains(err.Error(), "no space is left on the disk") {
		return fmt.Errorf("on a full disk it says %w", err)
	}
	if n, err := count(l); n != 100 || err != nil {
		return fmt.Errorf("%d in force can be read on a full disk, %w", n, err)
	}
	if err := os.Remove(ballast); err != nil {
		return err
	}
	if err := until(OK); err != nil {
		return err
	}
	if n, err := count(l); n != 5000 || err != nil {
		return fmt.Errorf("%d in force when there is room again, %w", n, err)
	}
	if err := stop(); err != nil {
		return err
	}

	// A start on a full disk: what is stored counts, what comes waits.
	if err := fill(ballast); err != nil {
		return err
	}
	if l, stop, err = open(); err != nil {
		return fmt.Errorf("open on a full disk: %w", err)
	}
	fmt.Printf("at a start on a full disk: %+v\n", l.Health())
	if n, err := count(l); n != 5000 || err != nil {
		return fmt.Errorf("%d in force can be read at a start on a full disk, %w", n, err)
	}
	if rs, err := l.Records(Query{Subject: ban(7).Subject}); len(rs) != 1 || err != nil {
		return fmt.Errorf("%d records can be read at a start on a full disk, %w", len(rs), err)
	}
	if n, _ := l.Past(ban(7).Subject); n != 1 {
		return fmt.Errorf("%d offences", n)
	}
	if _, err := try(l, Txn{Decisions: bans(5000, 9000)}); !errors.Is(err, ErrDegraded) {
		return fmt.Errorf("appended at a start on a full disk: %w", err)
	}
	if err := os.Remove(ballast); err != nil {
		return err
	}
	if err := until(OK); err != nil {
		return err
	}
	if n, err := count(l); n != 9000 || err != nil {
		return fmt.Errorf("%d in force in the end, %w", n, err)
	}
	if l.Newest() != 9000 {
		return fmt.Errorf("the newest is number %d", l.Newest())
	}
	if err := stop(); err != nil {
		return err
	}

	// The first start ever, on a full disk.
	state = filepath.Join(dir, "another")
	if err := os.Mkdir(state, 0o700); err != nil {
		return err
	}
	if err := fill(ballast); err != nil {
		return err
	}
	if l, stop, err = open(); err != nil {
		return fmt.Errorf("open for the first time on a full disk: %w", err)
	}
	if _, err := try(l, Txn{Decisions: bans(0, 10)}); !errors.Is(err, ErrDegraded) {
		return fmt.Errorf("appended for the first time on a full disk: %w", err)
	}
	if err := os.Remove(ballast); err != nil {
		return err
	}
	if err := until(OK); err != nil {
		return err
	}
	if n, err := count(l); n != 10 || err != nil {
		return fmt.Errorf("%d in force, %w", n, err)
	}
	return stop()
}

// fill writes until the disk is full.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	for _, n := range []int{64 << 10, 4096, 1} {
		for err == nil {
			_, err = f.Write(make([]byte, n))
		}
		if !errors.Is(err, unix.ENOSPC) {
			return err
		}
		err = nil
	}
	return f.Close()
}

func count(l *Ledger) (n int, err error) {
	for _, err := range l.Current() {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
