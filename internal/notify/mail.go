package notify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"
)

// post sends mail: over SMTP, or through the local sendmail where there is no
// server.
type post struct {
	t        *templates
	to       []*netmail.Address
	from     *netmail.Address
	host     string
	port     int
	mode     string // starttls, tls or none
	user     string
	pass     string
	tls      *tls.Config
	sendmail []string
	command  func(ctx context.Context, argv []string, stdin []byte) ([]byte, error)
}

// Ports of mail submission (RFC 8314 and RFC 6409).
const (
	portSubmission = 587
	portTLS        = 465
	portSMTP       = 25
)

func newMail(c *Channel, t *templates, o Outside) (Sender, []string, error) {
	p := &post{t: t, mode: c.TLS, user: c.User, sendmail: c.Sendmail, command: o.Command}
	for _, a := range c.Mail {
		addr, err := address(a)
		if err != nil {
			return nil, nil, err
		}
		p.to = append(p.to, addr)
	}
	if c.From != "" {
		from, err := address(c.From)
		if err != nil {
			return nil, nil, fmt.Errorf("from: %w", err)
		}
		p.from = from
	}
	if c.Server == "" {
		if len(p.sendmail) == 0 {
			p.sendmail = []string{"/usr/sbin/sendmail", "-i"}
		}
		return p, nil, nil
	}
	pass, err := c.Password.Read(o.Getenv)
	if err != nil {
		return nil, nil, err
	}
	p.pass = pass
	if p.user != "" && pass == "" {
		return nil, nil, fmt.Errorf("user without password: write password: {file: /etc/gatehouse/mail.password}")
	}
	if p.mode == "" {
		p.mode = "starttls"
	}
	if p.host, p.port, err = serverOf(c.Server, p.mode); err != nil {
		return nil, nil, err
	}
	if p.port == portTLS && c.TLS == "" {
		p.mode = "tls"
	}
	if p.tls, err = tlsConfig(c.CA); err != nil {
		return nil, nil, err
	}
	p.tls.ServerName = p.host
	return p, []string{pass}, nil
}

// address reads one mail address. What a header or an argument could act on
// cannot be part of one.
func address(s string) (*netmail.Address, error) {
	a, err := netmail.ParseAddress(s)
	if err != nil || strings.HasPrefix(a.Address, "-") || Clean(s, 320) != s || strings.ContainsAny(a.Address, " \"\\") {
		return nil, fmt.Errorf("%q is not a mail address: write you@example.org", Clean(s, maxName))
	}
	return a, nil
}

// serverOf reads host or host:port.
func serverOf(s, mode string) (host string, port int, err error) {
	host, port = s, portSubmission
	switch mode {
	case "tls":
		port = portTLS
	case "none":
		port = portSMTP
	}
	if h, p, err := net.SplitHostPort(s); err == nil {
		host = h
		if port, err = strconv.Atoi(p); err != nil || port < 1 || port > 65535 {
			return "", 0, fmt.Errorf("server: %q is not a port", Clean(p, 32))
		}
	}
	if host == "" || strings.ContainsAny(host, " /@") {
		return "", 0, fmt.Errorf("server: write smtp.example.org or smtp.example.org:587")
	}
	return host, port, nil
}

// Send sends one mail to all recipients.
func (p *post) Send(ctx context.Context, m *Message) (string, error) {
	msg, err := p.compose(m)
	if err != nil {
		return "", err
	}
	if p.host == "" {
		return p.local(ctx, msg)
	}
	client, err := p.client(ctx)
	if err != nil {
		return "", err
	}
	if err := client.DialAndSendWithContext(ctx, msg); err != nil {
		return "", p.judge(ctx, err)
	}
	return Clean(msg.ServerResponse(), shownText), nil
}

// compose writes the mail. Each header is made of clean text on one line; the
// library encodes what is not ASCII.
func (p *post) compose(m *Message) (*mail.Msg, error) {
	subject, err := p.t.line("subject", m)
	if err != nil {
		return nil, err
	}
	plain, err := p.t.write("txt", m)
	if err != nil {
		return nil, err
	}
	html, err := p.t.write("html", m)
	if err != nil {
		return nil, err
	}
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	from := p.from
	if from == nil {
		from = &netmail.Address{Name: "Gatehouse on " + m.Host, Address: "gatehouse@" + mailDomain(m.Host)}
	}
	msg.FromMailAddress(from)
	msg.ToMailAddress(p.to...)
	msg.Subject(subject)
	msg.SetDate()
	msg.SetMessageIDWithValue(messageID(m))
	msg.SetBulk()
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader("X-Gatehouse-Delivery", m.ID)
	msg.SetGenHeader("X-Gatehouse-Kind", m.Kind)
	if m.Severity == Critical {
		msg.SetImportance(mail.ImportanceHigh)
	}
	msg.SetBodyString(mail.TypeTextPlain, guardLines(plain))
	msg.AddAlternativeString(mail.TypeTextHTML, html)
	return msg, nil
}

// guardLines keeps any line from beginning with what a program behind the mail
// acts on: `~` commands of mail readers, `.` of SMTP, `From ` of mailboxes.
func guardLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "~") || strings.HasPrefix(l, ".") || strings.HasPrefix(l, "From ") {
			lines[i] = " " + l
		}
	}
	return strings.Join(lines, "\n")
}

// messageID is the same for each try of a letter, and nobody else's: the delivery
// identifier, and a mark of the machine.
func messageID(m *Message) string {
	sum := sha256.Sum256([]byte(m.Host))
	return strings.ReplaceAll(m.ID, "/", ".") + "." + hex.EncodeToString(sum[:4]) + "@" + mailDomain(m.Host)
}

// mailDomain is the machine's name as a domain.
func mailDomain(host string) string {
	host = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}
		return -1
	}, host)
	if host = strings.Trim(host, "-."); host == "" {
		return "localhost.localdomain"
	}
	return host
}

// client prepares one conversation.
func (p *post) client(ctx context.Context) (*mail.Client, error) {
	policy := mail.TLSMandatory
	if p.mode != "starttls" {
		policy = mail.NoTLS // none, or there from the first byte
	}
	options := []mail.Option{
		mail.WithPort(p.port), mail.WithTimeout(sendTime), mail.WithTLSPolicy(policy), mail.WithTLSConfig(p.tls.Clone()),
		mail.WithoutNoop(), mail.WithDialContextFunc(p.dial),
	}
	if p.user != "" {
		options = append(options, mail.WithUsername(p.user), mail.WithPassword(p.pass),
			mail.WithOpportunisticSMTPAuth(mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthPlain, mail.SMTPAuthLogin, mail.SMTPAuthCramMD5))
	}
	c, err := mail.NewClient(p.host, options...)
	if err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	return c, nil
}

// dial connects, with TLS where it is wanted from the first byte, and bounds the
// conversation: it ends with ctx and after maxAnswer bytes from the server.
func (p *post) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	end := time.Now().Add(sendTime)
	if d, ok := ctx.Deadline(); ok {
		end = d
	}
	b := &boundedConn{Conn: c, left: maxAnswer, end: end}
	if err := b.SetDeadline(end); err != nil {
		_ = c.Close() // the first error is the one to tell
		return nil, err
	}
	if p.mode == "tls" {
		return tls.Client(b, p.tls.Clone()), nil
	}
	return b, nil
}

// boundedConn is a connection that reads only so much and lives only so long,
// whatever its user wishes.
type boundedConn struct {
	net.Conn
	left int
	end  time.Time
}

// errTalkative is what a server gets that never stops.
var errTalkative = errors.New("the server says more than 64 kB")

// Read implements net.Conn.
func (c *boundedConn) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, errTalkative
	}
	n, err := c.Conn.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}

// SetDeadline implements net.Conn.
func (c *boundedConn) SetDeadline(t time.Time) error {
	if t.IsZero() || t.After(c.end) {
		t = c.end
	}
	return c.Conn.SetDeadline(t)
}

// judge turns an error of the conversation into a Failure.
func (p *post) judge(ctx context.Context, err error) error {
	f := &Failure{Why: "mail server " + p.host + ": " + Clean(err.Error(), shownText)}
	if se, ok := errors.AsType[*mail.SendError](err); ok {
		f.Permanent = se.ErrorCode()/100 == 5 && !se.IsTemp()
	}
	if ctx.Err() != nil {
		f.Why = "mail server " + p.host + " took longer than " + sendTime.String()
	}
	return f
}

// local hands the mail to the machine's own sendmail: arguments only, the
// recipients behind `--`.
func (p *post) local(ctx context.Context, msg *mail.Msg) (string, error) {
	var b bytes.Buffer
	if _, err := msg.WriteTo(&b); err != nil {
		return "", fmt.Errorf("write the mail: %w", err)
	}
	argv := append([]string{}, p.sendmail...)
	if p.from != nil {
		argv = append(argv, "-f", p.from.Address)
	}
	argv = append(argv, "--")
	for _, a := range p.to {
		argv = append(argv, a.Address)
	}
	out, err := p.command(ctx, argv, bytes.ReplaceAll(b.Bytes(), []byte("\r\n"), []byte("\n")))
	if err != nil {
		return "", &Failure{Why: Clean(argv[0]+": "+err.Error()+" "+string(out), shownText)}
	}
	return "taken by " + argv[0], nil
}
