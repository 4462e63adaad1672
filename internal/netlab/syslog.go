package netlab

import (
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// maxDatagram is the longest syslog datagram that is read, in bytes; glibc and
// OpenSSH stay below 8 kB.
const maxDatagram = 64 << 10

// syslog makes the host's /dev/log and writes what comes there to l, as rsyslog
// writes it to /var/log/auth.log, until the returned function is called.
func (h *Host) syslog(l *Lines) (stop func(), err error) {
	if err := h.ownDev(); err != nil {
		return nil, fmt.Errorf("make /dev of %s: %w", h.Name, err)
	}
	var c *net.UnixConn
	if err := h.Do(func() (err error) {
		const socket = "/dev/log"
		if c, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"}); err != nil {
			return err
		}
		return os.Chmod(socket, 0o666) // every user logs
	}); err != nil {
		return nil, fmt.Errorf("listen on /dev/log of %s: %w", h.Name, err)
	}
	c.SetReadBuffer(4 << 20)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, maxDatagram)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			l.add(formatLine(string(buf[:n]), h.Name, time.Now()))
		}
	}()
	return func() { c.Close(); <-done }, nil
}

// formatLine turns a datagram of syslog(3), "<86>Nov 21 08:00:00 sshd[1]: text",
// into a line of a log file: without priority, with the name of the host, with
// control characters escaped as rsyslog does.
func formatLine(datagram, host string, now time.Time) string {
	s := datagram
	if strings.HasPrefix(s, "<") {
		if _, rest, ok := strings.Cut(s, ">"); ok {
			s = rest
		}
	}
	if len(s) > len(time.Stamp) {
		if _, err := time.Parse(time.Stamp, s[:len(time.Stamp)]); err == nil {
			s = s[len(time.Stamp)+1:]
		}
	}
	s = strings.TrimRight(s, "\n\x00")
	var b strings.Builder
	b.WriteString(now.Format(time.Stamp) + " " + host + " ")
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == 0x7f {
			fmt.Fprintf(&b, "#%03o", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
