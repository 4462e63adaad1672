package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// entry is one line of one source.
type entry struct {
	From string // as in Log
	Line []byte // without its newline
}

// journal collects the lines of all sources in the order in which they came.
type journal struct {
	m     machine
	globs []string // of files
	drop  []*regexp.Regexp

	mu    sync.Mutex
	all   []entry
	moved time.Time           // when the last line came
	files map[string]*tracked // by path
}

// tracked is a file that is read as it grows.
type tracked struct {
	from string // the glob that named it
	read int64  // bytes
	part []byte // of a line that has no newline yet
}

// newJournal opens /dev/log and gets ready to read the files of a service.
func newJournal(m machine, v Service) (*journal, error) {
	j := &journal{m: m, files: map[string]*tracked{}, moved: time.Now()}
	for _, e := range v.Drop {
		j.drop = append(j.drop, regexp.MustCompile(e))
	}
	for _, l := range v.logs() {
		if strings.HasPrefix(l.From, "/") {
			j.globs = append(j.globs, l.From)
		}
	}
	c, err := m.ListenPacket("unixgram", "/dev/log")
	if err != nil {
		return nil, fmt.Errorf("listen on /dev/log: %w", err)
	}
	if err := m.Do(func() error { return os.Chmod("/dev/log", 0o666) }); err != nil {
		return nil, fmt.Errorf("open /dev/log to all: %w", err)
	}
	go j.syslog(c) // ends with the process
	return j, nil
}

// add adds a line.
func (j *journal) add(from string, line []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.moved = time.Now()
	for _, d := range j.drop {
		if d.Match(line) {
			return
		}
	}
	j.all = append(j.all, entry{from, bytes.Clone(line)})
}

// syslog reads datagrams until the socket closes.
func (j *journal) syslog(c net.PacketConn) {
	buf := make([]byte, 64<<10) // glibc's are below 8 kB
	for {
		n, _, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		j.add("syslog", syslogLine(buf[:n], "gate", time.Now().UTC()))
	}
}

// output reads what a process writes, until it closes.
func (j *journal) output(r io.Reader) {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			j.add("output", bytes.TrimSuffix(line, []byte("\n")))
		}
		if err != nil {
			return
		}
	}
}

// poll reads what the files have grown by.
func (j *journal) poll() error {
	if len(j.globs) == 0 {
		return nil
	}
	return j.m.Do(func() error {
		for _, glob := range j.globs {
			paths, err := filepath.Glob(glob)
			if err != nil {
				return fmt.Errorf("find logs %s: %w", glob, err)
			}
			for _, p := range paths {
				if err := j.grow(glob, p); err != nil {
					return fmt.Errorf("read log: %w", err)
				}
			}
		}
		return nil
	})
}

// grow reads what is new in one file.
func (j *journal) grow(glob, path string) error {
	t := j.files[path]
	if t == nil {
		t = &tracked{from: glob}
		j.files[path] = t
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	fresh, err := io.ReadAll(io.NewSectionReader(f, t.read, 1<<30))
	if err != nil {
		return err
	}
	t.read += int64(len(fresh))
	if len(fresh) > 0 {
		t.part = append(t.part, fresh...)
	}
	for {
		line, rest, ok := bytes.Cut(t.part, []byte("\n"))
		if !ok {
			return nil
		}
		j.add(t.from, line)
		t.part = rest
	}
}

// from returns the lines behind the first n.
func (j *journal) from(n int) []entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.all[min(n, len(j.all)):])
}

// len returns the number of lines so far.
func (j *journal) len() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.all)
}

// idle returns for how long no line has come.
func (j *journal) idle() time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	return time.Since(j.moved)
}

// syslogLine turns a datagram of syslog(3), "<86>Nov 21 08:00:00 su[1]: text",
// into the line that rsyslog writes: without priority, with the name of the host,
// with control characters escaped.
func syslogLine(datagram []byte, host string, now time.Time) []byte {
	s := datagram
	if bytes.HasPrefix(s, []byte("<")) {
		if _, rest, ok := bytes.Cut(s, []byte(">")); ok {
			s = rest
		}
	}
	if len(s) > len(time.Stamp) {
		if at, err := time.Parse(time.Stamp, string(s[:len(time.Stamp)])); err == nil {
			now, s = at, s[len(time.Stamp)+1:]
		}
	}
	s = bytes.TrimRight(s, "\n\x00")
	out := fmt.Appendf(nil, "%s %s ", now.Format(time.Stamp), host)
	for _, c := range s {
		if c < ' ' || c == 0x7f {
			out = fmt.Appendf(out, "#%03o", c)
		} else {
			out = append(out, c)
		}
	}
	return out
}
