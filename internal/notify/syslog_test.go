package notify

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
)

// packetServer takes datagrams.
func packetServer(t *testing.T, lines chan<- string) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 1<<16)
		for {
			n, _, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			lines <- string(b[:n])
		}
	}()
	return c.LocalAddr().String()
}

// TestSyslog: by datagram, by connection and by path.
func TestSyslog(t *testing.T) {
	const want = `<37>1 `
	lines := make(chan string, 1)
	if _, err := sendThrough(t, Channel{Name: "log", Syslog: "udp://" + packetServer(t, lines)}, noWorld(nil), SampleMessage("ban", noon, "gate.example.org")); err != nil {
		t.Fatal(err)
	}
	line := <-lines
	if !strings.HasPrefix(line, want) || !strings.HasSuffix(line, " ban - banned 192.0.2.7 for 1h (sshd); why: 5 failed logins in 3m20s (sshd allows 4 in 10m); second offence within 90d, so 1h; done: its packets are dropped; until: 2026-11-21T13:00:00Z; undo: gatehouse unban 192.0.2.7; delivery 812/sample") || !strings.Contains(line, " gate.example.org gatehouse ") {
		t.Error(line)
	}
	got := make(chan string, 1)
	addr := raw(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		n, err := r.ReadString(' ')
		rest, _ := io.ReadAll(r)
		if err == nil {
			got <- n + string(rest)
		}
	})
	if _, err := sendThrough(t, Channel{Name: "log", Syslog: "tcp://" + addr}, noWorld(nil), SampleMessage("panel.alarm", noon, "gate")); err != nil {
		t.Fatal(err)
	}
	if line := <-got; !strings.Contains(line, " <33>1 ") || !strings.Contains(line, "ALARM") {
		t.Error(line)
	}
	path := t.TempDir() + "/log"
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := sendThrough(t, Channel{Name: "log", Syslog: "unix://" + path}, noWorld(nil), SampleMessage("release", noon, "gate")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4096)
	if n, err := c.Read(b); err != nil || !strings.HasPrefix(string(b[:n]), "<38>1 ") {
		t.Errorf("%v %q", err, b[:n])
	}
	for _, bad := range []string{"", "here", "udp://", "http://h", "unix://h/p", "tcp://h:1/x"} {
		if _, _, err := syslogAddress(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
