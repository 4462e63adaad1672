package notify

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// teller is a Notifier with these channels, which is not run.
func teller(t *testing.T, env map[string]string, cs ...Channel) *Notifier {
	t.Helper()
	b := newBook()
	n, err := New(Config{Channels: cs, Zone: time.UTC}, Deps{
		Outside: noWorld(env), Log: slog.New(slog.DiscardHandler), Host: "gate.example.org", Store: newMemory(), Newest: b.newest, Follow: b.follow,
		Flush: func(context.Context) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestMailOfOthers: a mail of another part goes through a channel with its server,
// password and sender, to whom it is for, with what is attached.
func TestMailOfOthers(t *testing.T) {
	cert, ca := certified(t)
	p := &postOffice{user: "gatehouse:s3cret-word"}
	n := teller(t, map[string]string{"MAIL": "s3cret-word"}, Channel{
		Name: "mail", Mail: []string{"us@example.org"}, Server: p.serve(t, &cert, false), CA: ca, From: "gatehouse@example.org", User: "gatehouse", Password: Secret{Env: "MAIL"},
	})
	m := Mail{
		ID: "report.1\r\nBcc: x@example.org", Kind: "report.sent", To: "abuse@hosting.example", ReplyTo: "abuse@example.org", Subject: "one\r\nBcc: y@example.org\u202e",
		Text: "Hello\n.\n~!touch /tmp/x\nFrom here\n", HTML: "<p>Hello</p>", Header: []MailHeader{{"X-XARF", "PLAIN\r\nX-Evil: 1"}},
		Attach: []Attachment{{"xarf.json", "application/json", `{"a":1}`}},
	}
	answer, err := n.Mail(t.Context(), "mail", m)
	if err != nil || answer == "" {
		t.Fatalf("%q, %v", answer, err)
	}
	got := p.mails[0]
	if got.from != "gatehouse@example.org" || strings.Join(got.to, " ") != "abuse@hosting.example" {
		t.Errorf("from %s to %v", got.from, got.to)
	}
	msg, err := netmail.ReadMessage(bytes.NewReader(got.data))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"To": "<abuse@hosting.example>", "Reply-To": "<abuse@example.org>", "X-XARF": "PLAIN X-Evil: 1", "Bcc": "", "X-Evil": "", "Auto-Submitted": "auto-generated"} {
		if have := msg.Header.Get(name); have != want {
			t.Errorf("%s: %q, want %q", name, have, want)
		}
	}
	_, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewReader(msg.Body, params["boundary"])
	var kinds []string
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
		kinds = append(kinds, kind+" "+part.FileName())
	}
	if have := strings.Join(kinds, ", "); have != "multipart/alternative , application/json xarf.json" {
		t.Errorf("it has %s", have)
	}
	for _, line := range strings.Split(string(got.data), "\r\n") {
		if strings.HasPrefix(line, "~") || strings.HasPrefix(line, "From here") {
			t.Errorf("a line that acts: %q", line)
		}
	}

	// To whom the channel reaches, where it is for nobody in particular.
	if _, err := n.Mail(t.Context(), "mail", Mail{ID: "digest1", Kind: "report.digest", Subject: "x", Text: "y"}); err != nil || p.mails[1].to[0] != "us@example.org" {
		t.Errorf("%v, %v", p.mails[1].to, err)
	}
	p.fail = func(stage string) error {
		return &smtp.SMTPError{Code: 550, Message: "no " + stage + " s3cret-word"}
	}
	_, err = n.Mail(t.Context(), "mail", m)
	if f, ok := errors.AsType[*Failure](err); !ok || !f.Permanent || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("refused for good: %v", err)
	}
	if _, err = n.Mail(t.Context(), "nobody", m); err == nil {
		t.Error("a channel that is not there")
	}
}

// TestMailThroughOthers: a channel that is no mail says the short form, and refuses
// what is for somebody in particular.
func TestMailThroughOthers(t *testing.T) {
	var body string
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		body = string(b)
	}))
	defer s.Close()
	n := teller(t, nil, Channel{Name: "hook", Webhook: Secret{Text: s.URL}})
	m := Mail{ID: "digest1.hook", Kind: "report.digest", Subject: "gate: 3 bans in one week", Text: "long", Short: "one week on gate: 3 bans"}
	if _, err := n.Mail(t.Context(), "hook", m); err != nil || !strings.Contains(body, "one week on gate: 3 bans") || !strings.Contains(body, "digest1.hook") {
		t.Errorf("%s, %v", body, err)
	}
	m.To = "abuse@hosting.example"
	if _, err := n.Mail(t.Context(), "hook", m); !isPermanent(err) {
		t.Errorf("for somebody in particular: %v", err)
	}
}
