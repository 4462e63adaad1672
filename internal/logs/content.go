package logs

import (
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// content is the bytes of a log file, plain or unpacked.
type content interface {
	io.ReaderAt // as of a file: short only at the end, then with io.EOF
	io.Closer
}

// errNotRegular is returned for what has no content of its own: a folder, a
// named pipe, a device.
var errNotRegular = errors.New("not a regular file")

// plain is a file on disk.
type plain struct{ *os.File }

// openPlain opens a regular file for reading. It never blocks on a named pipe
// that took the file's place.
func openPlain(path string) (plain, fileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return plain{}, fileInfo{}, err
	}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = &os.PathError{Op: "open", Path: path, Err: errNotRegular}
	}
	if err != nil {
		_ = f.Close()
		return plain{}, fileInfo{}, err
	}
	return plain{f}, infoOf(fi), nil
}

// fileInfo is what this package needs to know of a file.
type fileInfo struct {
	id    fileID
	size  int64
	mtime time.Time
	links uint64 // names that the file has; 0 = deleted
}

func infoOf(fi os.FileInfo) fileInfo {
	i := fileInfo{size: fi.Size(), mtime: fi.ModTime(), links: 1}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		i.id = fileID{uint64(st.Dev), st.Ino}
		i.links = uint64(st.Nlink)
	}
	return i
}

func (p plain) info() (fileInfo, error) {
	fi, err := p.Stat()
	if err != nil {
		return fileInfo{}, err
	}
	return infoOf(fi), nil
}

// nextData returns where the next written byte at or behind off is, so that
// the holes of a sparse file need not be read; off itself where that is unknown.
func (p plain) nextData(off int64) int64 {
	rc, err := p.SyscallConn()
	if err != nil {
		return off
	}
	next := off
	_ = rc.Control(func(fd uintptr) {
		if n, err := unix.Seek(int(fd), off, unix.SEEK_DATA); err == nil && n > off {
			next = n
		}
	})
	return next
}

// where returns the path that the open file has now; "" if it has none.
func (p plain) where() string {
	rc, err := p.SyscallConn()
	if err != nil {
		return ""
	}
	path := ""
	_ = rc.Control(func(fd uintptr) {
		path, _ = os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	})
	if strings.HasSuffix(path, " (deleted)") || !strings.HasPrefix(path, "/") {
		return ""
	}
	return path
}

// maxUnpacked is how much of a compressed log is read at most, in bytes: 4 GB,
// so that a file that unpacks without end cannot keep a worker for ever.
const maxUnpacked = 4 << 30

// packed is a compressed file, read forwards only. Its window holds what was
// unpacked from the offset that was asked for last, so it is as large as the
// largest read; going back opens the file anew.
type packed struct {
	path   string
	file   plain
	r      io.Reader
	lo     int64 // offset of window[0]
	window []byte
	ended  bool
}

// packedSuffixes are the endings of compressed files that can be read.
var packedSuffixes = [...]string{".gz", ".bz2"}

// openPacked opens a compressed file.
func openPacked(path string) (*packed, fileInfo, error) {
	f, info, err := openPlain(path)
	if err != nil {
		return nil, info, err
	}
	p := &packed{path: path, file: f}
	if err := p.rewind(); err != nil {
		_ = f.Close()
		return nil, info, err
	}
	return p, info, nil
}

func (p *packed) rewind() error {
	if _, err := p.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	var r io.Reader
	if strings.HasSuffix(p.path, ".bz2") {
		r = bzip2.NewReader(p.file)
	} else {
		z, err := gzip.NewReader(p.file)
		if err != nil {
			return fmt.Errorf("unpack %s: %w", p.path, err)
		}
		r = z
	}
	p.r, p.lo, p.window, p.ended = io.LimitReader(r, maxUnpacked), 0, p.window[:0], false
	return nil
}

// ReadAt implements io.ReaderAt over the unpacked content.
func (p *packed) ReadAt(b []byte, off int64) (int, error) {
	if off < p.lo {
		if err := p.rewind(); err != nil {
			return 0, err
		}
	}
	if skip := off - p.lo; skip <= int64(len(p.window)) {
		p.window = p.window[:copy(p.window, p.window[skip:])]
	} else {
		n, err := io.CopyN(io.Discard, p.r, skip-int64(len(p.window)))
		p.ended = p.ended || err != nil
		if err != nil && err != io.EOF {
			return 0, fmt.Errorf("unpack %s: %w", p.path, err)
		}
		p.lo, p.window = p.lo+int64(len(p.window))+n, p.window[:0]
		if p.lo < off {
			return 0, io.EOF
		}
	}
	p.lo = off
	if need := len(b) - len(p.window); need > 0 && !p.ended {
		have := len(p.window)
		p.window = append(p.window, make([]byte, need)...)
		n, err := io.ReadFull(p.r, p.window[have:])
		p.window = p.window[:have+n]
		switch {
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			p.ended = true
		case err != nil:
			return 0, fmt.Errorf("unpack %s: %w", p.path, err)
		}
	}
	if n := copy(b, p.window); n < len(b) {
		return n, io.EOF
	}
	return len(b), nil
}

// Close closes the file.
func (p *packed) Close() error { return p.file.Close() }
