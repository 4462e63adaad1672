package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// askpass is the program on each machine that tells ssh the password.
const askpass = "/usr/local/bin/askpass"

const (
	dialPatience   = 5 * time.Second
	answerPatience = 15 * time.Second      // services make those wait who fail
	rawPatience    = 2 * time.Second       // for an answer to bytes that may deserve none
	silence        = 40 * time.Millisecond // after a line: the answer is complete
)

// Client is one address from which the service is talked to. What the network
// refuses becomes a problem of the run; what the service says does not.
type Client struct {
	Addr   string // its own
	Server string // the service's, of the same family
	m      machine
	run    *Run
}

// HostPort returns the service's address and this port, "[2001:db8::10]:80".
func (c *Client) HostPort(port int) string { return net.JoinHostPort(c.Server, strconv.Itoa(port)) }

// Command runs a program of the service's packages on the client's machine and
// returns all that it wrote. That it fails is what most attacks are for; that it
// is not there is a problem of the run.
func (c *Client) Command(args ...string) string { return c.Input("", args...) }

// Input is Command with a standard input.
func (c *Client) Input(stdin string, args ...string) string {
	ctx, cancel := context.WithTimeout(c.run.ctx, 20*time.Second)
	defer cancel()
	out, err := c.m.run(ctx, nil, stdin, args...)
	if strings.Contains(out, "env: ") && strings.Contains(out, "No such file or directory") {
		c.run.Problem("%s: %s", strings.Join(args, " "), strings.TrimSpace(out))
	}
	if ctx.Err() != nil {
		c.run.Problem("%s: it did not end (%v)", strings.Join(args, " "), err)
	}
	return out
}

// SSH tries to log in with the ssh client (package openssh-client) and returns
// what it said. Options, "NumberOfPasswordPrompts=3", win over those here.
func (c *Client) SSH(port int, user, password string, options ...string) string {
	args := []string{"PASSWORD=" + password, "SSH_ASKPASS=" + askpass, "SSH_ASKPASS_REQUIRE=force", "ssh", "-p", strconv.Itoa(port), "-l", user}
	for _, o := range append(options, "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR",
		"NumberOfPasswordPrompts=1", "PreferredAuthentications=password,keyboard-interactive") {
		args = append(args, "-o", o)
	}
	return c.Command(append(args, c.Server, "true")...)
}

// Open connects. It returns nil, which all methods of Conn allow, if that fails.
func (c *Client) Open(port int) *Conn {
	ctx, cancel := context.WithTimeout(c.run.ctx, dialPatience)
	defer cancel()
	conn, err := c.m.DialFrom(ctx, netip.MustParseAddr(c.Addr), "tcp", c.HostPort(port))
	if err != nil {
		c.run.Problem("connect to port %d: %v", port, err)
		return nil
	}
	return &Conn{Conn: conn, port: port, run: c.run}
}

// Say connects, waits for a greeting, says each line when the one before was
// answered, and hangs up. It returns all that the service said.
func (c *Client) Say(port int, lines ...string) string {
	conn := c.Open(port)
	defer conn.Close()
	return conn.Answer() + conn.Say(lines...)
}

// SayTLS is Say through TLS from the first byte.
func (c *Client) SayTLS(port int, lines ...string) string {
	conn := c.Open(port)
	defer conn.Close()
	conn.TLS()
	return conn.Answer() + conn.Say(lines...)
}

// Send connects, sends these bytes without waiting for a greeting, and returns
// one answer.
func (c *Client) Send(port int, raw string) string {
	conn := c.Open(port)
	defer conn.Close()
	conn.Send(raw)
	return conn.answer(rawPatience)
}

// Knock connects and hangs up at once.
func (c *Client) Knock(port int) { c.Open(port).Close() }

// Reset connects, sends these bytes, and breaks the connection off, when the
// service has noticed it: it greets or answers, or keeps silent for a while.
func (c *Client) Reset(port int, raw string) {
	conn := c.Open(port)
	conn.Send(raw)
	conn.answer(3 * silence)
	if conn != nil {
		if t, ok := conn.Conn.(*net.TCPConn); ok {
			t.SetLinger(0) // close sends RST
		}
	}
	conn.Close()
}

// HTTP sends a request in one connection and returns the answer. Head is the
// request line; Host and Connection are added to the fields.
func (c *Client) HTTP(port int, head string, fields ...string) string {
	fields = append([]string{head, "Host: gate.example.org", "Connection: close"}, fields...)
	return c.Send(port, strings.Join(fields, "\r\n")+"\r\n\r\n")
}

// Packet sends a UDP packet and returns what comes back within half a second, ""
// if nothing does.
func (c *Client) Packet(port int, raw string) string {
	conn, err := c.m.DialFrom(c.run.ctx, netip.MustParseAddr(c.Addr), "udp", c.HostPort(port))
	if err != nil {
		c.run.Problem("send to port %d: %v", port, err)
		return ""
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(500 * time.Millisecond))
	if _, err := conn.Write([]byte(raw)); err != nil {
		return ""
	}
	buf := make([]byte, 64<<10)
	n, _ := conn.Read(buf) // no answer is an answer
	return string(buf[:n])
}

// Conn is a connection to the service. A nil Conn does nothing.
type Conn struct {
	net.Conn
	port int
	run  *Run
}

// TLS goes on encrypted, without checking who that is.
func (c *Conn) TLS() {
	if c == nil {
		return
	}
	t := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true, ServerName: "gate.example.org", MinVersion: tls.VersionTLS10})
	t.SetDeadline(time.Now().Add(dialPatience))
	if err := t.Handshake(); err != nil {
		c.run.Problem("TLS on port %d: %v", c.port, err)
		return
	}
	t.SetDeadline(time.Time{})
	c.Conn = t
}

// Send writes these bytes.
func (c *Conn) Send(raw string) {
	if c == nil {
		return
	}
	c.SetWriteDeadline(time.Now().Add(dialPatience))
	c.Write([]byte(raw)) // the service may have hung up: its right
}

// Sendf is Send with a format.
func (c *Conn) Sendf(format string, args ...any) { c.Send(fmt.Sprintf(format, args...)) }

// Answer reads until a whole line has come and nothing more follows, or the
// service hangs up.
func (c *Conn) Answer() string { return c.answer(answerPatience) }

// answer is Answer that waits so long for the first byte.
func (c *Conn) answer(patience time.Duration) string {
	if c == nil {
		return ""
	}
	var got strings.Builder
	buf := make([]byte, 64<<10)
	c.SetReadDeadline(time.Now().Add(patience))
	for {
		n, err := c.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			return got.String()
		}
		wait := silence
		switch whole, last := lastLine(got.String()); {
		case !whole:
			wait = 10 * silence // perhaps it is no protocol of lines
		case unfinished.MatchString(last):
			wait = patience
		}
		c.SetReadDeadline(time.Now().Add(wait))
	}
}

// unfinished is a line of SMTP or FTP behind which more are to come.
var unfinished = regexp.MustCompile(`^\d{3}-`)

// lastLine returns the last line of an answer, and whether it is whole.
func lastLine(s string) (whole bool, last string) {
	s, whole = strings.CutSuffix(s, "\n")
	return whole, s[strings.LastIndexByte(s, '\n')+1:]
}

// Say says each line when the one before was answered, and returns the answers.
func (c *Conn) Say(lines ...string) string {
	var got strings.Builder
	for _, l := range lines {
		c.Send(l + "\r\n")
		got.WriteString(c.Answer())
	}
	return got.String()
}

// Close hangs up.
func (c *Conn) Close() {
	if c != nil {
		c.Conn.Close()
	}
}
