package notify

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"time"
)

// syslog writes messages as RFC 5424 to a log daemon: facility auth (4), one line
// each.
type syslog struct {
	t       *templates
	network string // unixgram, udp or tcp
	address string
}

// localSyslog is the socket of the machine's own log daemon.
const localSyslog = "/dev/log"

func newSyslog(c *Channel, t *templates, _ Outside) (Sender, []string, error) {
	network, address, err := syslogAddress(c.Syslog)
	if err != nil {
		return nil, nil, err
	}
	return &syslog{t: t, network: network, address: address}, nil, nil
}

// syslogAddress reads where to log to.
func syslogAddress(s string) (network, address string, err error) {
	if s == "local" {
		return "unixgram", localSyslog, nil
	}
	u, err := url.Parse(s)
	if err == nil {
		switch {
		case u.Scheme == "unix" && u.Host == "" && u.Path != "":
			return "unixgram", u.Path, nil
		case (u.Scheme == "udp" || u.Scheme == "tcp") && u.Hostname() != "" && u.Path == "":
			port := u.Port()
			if port == "" {
				port = "514"
			}
			return u.Scheme, net.JoinHostPort(u.Hostname(), port), nil
		}
	}
	return "", "", fmt.Errorf("syslog: write local, udp://host:514, tcp://host:514 or unix:///path")
}

// priorities of severities: facility auth times 8 and the severity of RFC 5424,
// section 6.2.1.
func priority(s Severity) int {
	const auth = 4 * 8
	switch s {
	case Critical:
		return auth + 1 // alert
	case Warning:
		return auth + 4
	case Notice:
		return auth + 5
	}
	return auth + 6
}

// Send writes one line.
func (s *syslog) Send(ctx context.Context, m *Message) (string, error) {
	line, err := s.t.write("txt", m)
	if err != nil {
		return "", err
	}
	head := fmt.Sprintf("<%d>1 %s %s gatehouse %d %s - ", priority(m.Severity), time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), syslogName(m.Host), os.Getpid(), syslogName(m.Kind))
	b := []byte(head + Clean(line, maxSyslog))
	if s.network == "tcp" {
		b = append([]byte(strconv.Itoa(len(b))+" "), b...) // octet counting, RFC 6587, section 3.4.1
	}
	c, err := (&net.Dialer{}).DialContext(ctx, s.network, s.address)
	if err != nil {
		return "", &Failure{Why: "syslog: " + Clean(err.Error(), shownText)}
	}
	defer c.Close()
	if d, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(d) // a connection that cannot be bounded fails by itself
	}
	if _, err := c.Write(b); err != nil {
		return "", &Failure{Why: "syslog: " + Clean(err.Error(), shownText)}
	}
	return "written to " + s.address, nil
}

// maxSyslog bounds the message in bytes, so that it fits into a datagram that
// every receiver takes (RFC 5426, section 3.2).
const maxSyslog = 1800

// syslogName returns a header field: printable ASCII without spaces, at most 32
// characters, or the nil value.
func syslogName(s string) string {
	var b []byte
	for i := 0; i < len(s) && len(b) < 32; i++ {
		if s[i] > ' ' && s[i] < 0x7f {
			b = append(b, s[i])
		}
	}
	if len(b) == 0 {
		return "-"
	}
	return string(b)
}
