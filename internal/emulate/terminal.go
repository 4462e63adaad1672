package emulate

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Terminal connects the house to a pseudo-terminal, makes link a symbolic link to
// it, and returns its path. A file that is in the way of the link is an error,
// an older link is replaced.
func (s *Stage) Terminal(link string) (string, error) {
	m, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return "", err
	}
	path, err := s.prepare(m, link)
	if err != nil {
		_ = m.Close() // the first error is the one to tell
		return "", err
	}
	s.join(&terminal{m})
	return path, nil
}

// prepare unlocks the other side, makes it raw, and links to it.
func (s *Stage) prepare(m *os.File, link string) (string, error) {
	n := 0
	err := control(m, func(fd int) (err error) {
		if n, err = unix.IoctlGetInt(fd, unix.TIOCGPTN); err != nil {
			return err
		}
		return unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	})
	if err != nil {
		return "", fmt.Errorf("make a pseudo-terminal: %w", err)
	}
	path := fmt.Sprintf("/dev/pts/%d", n)
	keep, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0) // held open: without it reading ends whenever nobody has it open
	if err != nil {
		return "", err
	}
	if err := control(keep, raw); err != nil {
		_ = keep.Close() // as above
		return "", fmt.Errorf("set a pseudo-terminal raw: %w", err)
	}
	if info, err := os.Lstat(link); err == nil && info.Mode()&os.ModeSymlink != 0 {
		_ = os.Remove(link) // Symlink says it if that fails
	}
	if err := os.Symlink(path, link); err != nil {
		_ = keep.Close() // as above
		return "", err
	}
	s.mu.Lock()
	s.close = append(s.close, keep.Close, func() error { return os.Remove(link) })
	s.mu.Unlock()
	return path, nil
}

// control runs f with the file's descriptor, which stays as it is: File.Fd would
// make it block, and then Close would not end a read.
func control(file *os.File, f func(fd int) error) error {
	c, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := c.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// raw turns echo and line editing off.
func raw(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	return unix.IoctlSetTermios(fd, unix.TCSETS, t)
}

// terminal is the master side. What nobody reads is thrown away after a moment,
// as a wire would.
type terminal struct{ *os.File }

// Write implements io.Writer.
func (t *terminal) Write(b []byte) (int, error) {
	if err := t.SetWriteDeadline(time.Now().Add(time.Second)); err != nil && !errors.Is(err, os.ErrNoDeadline) {
		return 0, err
	}
	n, err := t.File.Write(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		// The buffer is full of what nobody wanted.
		_ = control(t.File, func(fd int) error { return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCOFLUSH) })
		return len(b), nil
	}
	return n, err
}
