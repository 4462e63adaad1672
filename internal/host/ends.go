package host

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ends tells when a process has ended, by an epoll of process descriptors
// (pidfd_open(2), Linux 5.3). Only wait may be called by another goroutine.
type ends struct {
	file *os.File // the epoll, which the runtime polls in its turn
	fds  map[int]int
}

func newEnds() (*ends, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an epoll: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make an epoll non-blocking: %w", err)
	}
	return &ends{file: os.NewFile(uintptr(fd), "sessions"), fds: map[int]int{}}, nil
}

// watch sets which processes are watched. One that has gone or cannot be watched
// is left out.
func (e *ends) watch(pids map[int]bool) error {
	rc, err := e.file.SyscallConn()
	if err != nil {
		return err
	}
	return rc.Control(func(ep uintptr) {
		for pid, fd := range e.fds {
			if !pids[pid] {
				unix.Close(fd) // which takes it out of the epoll
				delete(e.fds, pid)
			}
		}
		for pid := range pids {
			if _, ok := e.fds[pid]; ok {
				continue
			}
			fd, err := unix.PidfdOpen(pid, 0)
			if err != nil {
				continue
			}
			// Once: a process that has ended stays so until it is taken out.
			ev := &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT}
			if err := unix.EpollCtl(int(ep), unix.EPOLL_CTL_ADD, fd, ev); err != nil {
				unix.Close(fd)
				continue
			}
			e.fds[pid] = fd
		}
	})
}

// wait blocks until at least one of the processes has ended; the error is that of
// close.
func (e *ends) wait() error {
	rc, err := e.file.SyscallConn()
	if err != nil {
		return err
	}
	return rc.Read(func(ep uintptr) bool {
		var events [64]unix.EpollEvent
		n, err := unix.EpollWait(int(ep), events[:], 0)
		return err == nil && n > 0
	})
}

// close stops all watching and ends wait.
func (e *ends) close() {
	for _, fd := range e.fds {
		unix.Close(fd)
	}
	clear(e.fds)
	e.file.Close()
}
