package notify

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// certified makes a certificate for 127.0.0.1 and writes it as a file that can be
// trusted.
func certified(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// postOffice is a mail server of the test.
type postOffice struct {
	mu    sync.Mutex
	mails []received
	fail  func(stage string) error // mail, rcpt or data
	user  string                   // who may send; "" = everybody
	asked string                   // the user and password that were given
}

type received struct {
	from string
	to   []string
	data []byte
}

// NewSession implements smtp.Backend.
func (p *postOffice) NewSession(c *smtp.Conn) (smtp.Session, error) { return &counter{p: p}, nil }

type counter struct {
	p  *postOffice
	in received
	ok bool
}

func (c *counter) AuthMechanisms() []string { return []string{"PLAIN"} }

func (c *counter) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, pass string) error {
		c.p.mu.Lock()
		defer c.p.mu.Unlock()
		c.p.asked = user + ":" + pass
		if c.p.asked != c.p.user {
			return errors.New("wrong password " + pass)
		}
		c.ok = true
		return nil
	}), nil
}

func (c *counter) Mail(from string, _ *smtp.MailOptions) error {
	if c.p.user != "" && !c.ok {
		return &smtp.SMTPError{Code: 530, Message: "log in first"}
	}
	c.in = received{from: from}
	return c.p.failure("mail")
}

func (c *counter) Rcpt(to string, _ *smtp.RcptOptions) error {
	c.in.to = append(c.in.to, to)
	return c.p.failure("rcpt")
}

func (c *counter) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := c.p.failure("data"); err != nil {
		return err
	}
	c.in.data = b
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.p.mails = append(c.p.mails, c.in)
	return nil
}

func (c *counter) Reset()        {}
func (c *counter) Logout() error { return nil }

func (p *postOffice) failure(stage string) error {
	if p.fail == nil {
		return nil
	}
	return p.fail(stage)
}

// serve opens the office and returns its address.
func (p *postOffice) serve(t *testing.T, cert *tls.Certificate, implicit bool) string {
	t.Helper()
	s := smtp.NewServer(p)
	s.Domain, s.AllowInsecureAuth, s.ErrorLog = "127.0.0.1", false, silent{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if cert != nil {
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*cert}}
		if implicit {
			l = tls.NewListener(l, s.TLSConfig)
		}
	}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return l.Addr().String()
}

type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

// noWorld is an outside in which nothing can be run.
func noWorld(env map[string]string) Outside {
	return Outside{Getenv: func(k string) string { return env[k] },
		Command: func(context.Context, []string, []byte) ([]byte, error) {
			return nil, errors.New("nothing can be run here")
		}}
}

func sendThrough(t *testing.T, c Channel, o Outside, m *Message) (string, error) {
	t.Helper()
	if c.Name == "" {
		c.Name = "mail"
	}
	s, err := NewSender(c, "", time.UTC, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return s.Send(ctx, m)
}

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// TestMail sends real mail over SMTP with STARTTLS and a password, over TLS, and
// without encryption.
func TestMail(t *testing.T) {
	cert, ca := certified(t)
	for _, c := range []struct {
		name     string
		mode     string
		cert     *tls.Certificate
		implicit bool
		user     string
	}{
		{"starttls", "", &cert, false, "gatehouse:s3cret-word"},
		{"tls", "tls", &cert, true, "gatehouse:s3cret-word"},
		{"none", "none", nil, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &postOffice{user: c.user}
			ch := Channel{Name: "mail", Mail: []string{"Ann <ann@example.org>", "bob@example.org"}, Server: p.serve(t, c.cert, c.implicit), TLS: c.mode, CA: ca, From: "gatehouse@example.org"}
			if c.user != "" {
				ch.User, ch.Password = "gatehouse", Secret{Env: "MAIL"}
			}
			answer, err := sendThrough(t, ch, noWorld(map[string]string{"MAIL": "s3cret-word\n"}), SampleMessage("ban", noon, "gate.example.org"))
			if err != nil || !strings.Contains(answer, "OK") {
				t.Fatalf("%q, %v", answer, err)
			}
			if len(p.mails) != 1 {
				t.Fatalf("%d mails", len(p.mails))
			}
			m := p.mails[0]
			if m.from != "gatehouse@example.org" || strings.Join(m.to, " ") != "ann@example.org bob@example.org" {
				t.Errorf("from %s to %s", m.from, m.to)
			}
			msg, plain, html := opened(t, m.data)
			for name, want := range map[string]string{
				"Message-Id": "<812.sample.2c2abff3@gate.example.org>", "X-Gatehouse-Delivery": "812/sample", "Auto-Submitted": "auto-generated",
				"Subject": "[gate.example.org] banned 192.0.2.7 for 1h (sshd)",
			} {
				if got := decoded(t, msg.Header.Get(name)); got != want {
					t.Errorf("%s: %s, want %s", name, got, want)
				}
			}
			for _, want := range []string{"192.0.2.7", "5 failed logins", "packets are dropped", "13:00:00", "gatehouse unban 192.0.2.7"} {
				if !strings.Contains(plain, want) || !strings.Contains(html, want) {
					t.Errorf("%q is missing", want)
				}
			}
		})
	}
}

func decoded(t *testing.T, s string) string {
	t.Helper()
	out, err := new(mime.WordDecoder).DecodeHeader(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// opened reads a mail: its header and both of its bodies.
func opened(t *testing.T, data []byte) (m *netmail.Message, plain, html string) {
	t.Helper()
	m, err := netmail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return m, plain, html
		}
		if err != nil {
			t.Fatal(err)
		}
		var body io.Reader = p
		if p.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
			body = quotedprintable.NewReader(p)
		}
		b, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(b), "\r\n", "\n")
		if strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") {
			html = text
		} else {
			plain = text
		}
	}
}

// TestMailFailures: a server that fails in each way; no password in any error.
func TestMailFailures(t *testing.T) {
	cert, ca := certified(t)
	at := func(stage string, code int) func(string) error {
		return func(s string) error {
			if s == stage {
				return &smtp.SMTPError{Code: code, Message: "no, says the server"}
			}
			return nil
		}
	}
	for _, c := range []struct {
		name      string
		fail      func(string) error
		pass      string
		cert      *tls.Certificate
		permanent bool
		want      string
	}{
		{"refuses the recipient", at("rcpt", 550), "s3cret-word", &cert, true, "550"},
		{"greylists", at("rcpt", 450), "s3cret-word", &cert, false, "450"},
		{"refuses the content", at("data", 554), "s3cret-word", &cert, true, "554"},
		{"refuses the sender", at("mail", 553), "s3cret-word", &cert, true, "553"},
		{"refuses the password", nil, "wr0ng-s3cret", &cert, false, "wrong password …"},
		{"has no STARTTLS", nil, "s3cret-word", nil, false, "STARTTLS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &postOffice{user: "gatehouse:s3cret-word", fail: c.fail}
			ch := Channel{Mail: []string{"ann@example.org"}, Server: p.serve(t, c.cert, false), CA: ca, User: "gatehouse", Password: Secret{Env: "MAIL"}}
			_, err := sendThrough(t, ch, noWorld(map[string]string{"MAIL": c.pass}), SampleMessage("ban", noon, "gate"))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret") {
				t.Fatal(err)
			}
			if isPermanent(err) != c.permanent {
				t.Errorf("permanent: %v: %v", isPermanent(err), err)
			}
			if len(p.mails) > 0 {
				t.Error("it was delivered all the same")
			}
		})
	}
	t.Run("certificate of nobody", func(t *testing.T) {
		p := &postOffice{}
		_, err := sendThrough(t, Channel{Mail: []string{"ann@example.org"}, Server: p.serve(t, &cert, false)}, noWorld(nil), SampleMessage("ban", noon, "gate"))
		if err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Error(err)
		}
	})
}

// raw serves one conversation that the test speaks itself.
func raw(t *testing.T, talk func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer c.Close(); talk(c) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String()
}

// TestMailBadServers: nobody answers, somebody hangs, drops half way, talks
// without end.
func TestMailBadServers(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	hang := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) } // until the other side hangs up
	drop := func(c net.Conn) {
		_, _ = io.WriteString(c, "220 hello\r\n")
		_, _ = c.Read(make([]byte, 100))
		_, _ = io.WriteString(c, "250-half")
	}
	endless := func(c net.Conn) {
		line := bytes.Repeat([]byte("x"), 1<<16)
		for {
			if _, err := c.Write(line); err != nil {
				return
			}
		}
	}
	for _, c := range []struct {
		name, server, want string
		patience           time.Duration
	}{
		{"nobody there", gone.Addr().String(), "refused", 10 * time.Second},
		{"hangs", raw(t, hang), "", 300 * time.Millisecond},
		{"drops half way", raw(t, drop), "EOF", 10 * time.Second},
		{"talks without end", raw(t, endless), "64 kB", 10 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := NewSender(Channel{Name: "mail", Mail: []string{"ann@example.org"}, Server: c.server, TLS: "none"}, "", time.UTC, noWorld(nil))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), c.patience)
			defer cancel()
			begun := time.Now()
			_, err = s.Send(ctx, SampleMessage("ban", noon, "gate"))
			if err == nil || !strings.Contains(err.Error(), c.want) || isPermanent(err) {
				t.Error(err)
			}
			if time.Since(begun) > c.patience+2*time.Second {
				t.Errorf("it took %s", time.Since(begun))
			}
		})
	}
}

// TestSendmail hands a mail to a program: arguments only, the recipients behind
// `--`.
func TestSendmail(t *testing.T) {
	var argv []string
	var in []byte
	o := noWorld(nil)
	o.Command = func(_ context.Context, a []string, stdin []byte) ([]byte, error) {
		argv, in = a, stdin
		return nil, nil
	}
	if _, err := sendThrough(t, Channel{Mail: []string{"root@localhost"}, From: "gatehouse@example.org"}, o, SampleMessage("ban", noon, "gate")); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(argv, " "); got != "/usr/sbin/sendmail -i -f gatehouse@example.org -- root@localhost" {
		t.Error(got)
	}
	if bytes.Contains(in, []byte("\r")) {
		t.Error("line ends of the network")
	}
	if _, plain, html := opened(t, in); !strings.Contains(plain, "unban") || !strings.Contains(html, "unban") {
		t.Error(plain)
	}
	o.Command = func(context.Context, []string, []byte) ([]byte, error) {
		return []byte("queue file write error"), errors.New("exit status 75")
	}
	if _, err := sendThrough(t, Channel{Mail: []string{"root@localhost"}}, o, SampleMessage("ban", noon, "gate")); err == nil || err.Error() != "/usr/sbin/sendmail: exit status 75 queue file write error" {
		t.Error(err)
	}
}

// TestMailAddresses: what is no address, or could be an option or a header, is
// refused.
func TestMailAddresses(t *testing.T) {
	for _, bad := range []string{"", "ann", "-oQ/tmp@example.org", "ann@example.org\r\nBcc: eve@example.org", "\"a b\"@example.org", "ann@example.org, eve@example.org"} {
		if _, err := NewSender(Channel{Name: "m", Mail: []string{bad}}, "", nil, noWorld(nil)); err == nil {
			t.Errorf("%q is taken", bad)
		}
		if _, err := NewSender(Channel{Name: "m", Mail: []string{"ann@example.org"}, From: bad}, "", nil, noWorld(nil)); err == nil && bad != "" {
			t.Errorf("from %q is taken", bad)
		}
	}
	for host, want := range map[string]string{"gate": "gate", "a b\r\nBcc: x": "abBccx", "": "localhost.localdomain", "…": "localhost.localdomain"} {
		if got := mailDomain(host); got != want {
			t.Errorf("%q: %q", host, got)
		}
	}
}
