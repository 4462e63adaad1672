package notify

import (
	"context"
	"fmt"
	"net/http"
	netmail "net/mail"
	"strings"
	"time"

	"github.com/wneessen/go-mail"
)

// Mail is a mail that another part writes: a report of abuse, a digest. What of
// it came from outside is clean already.
type Mail struct {
	ID      string       // delivery identifier: a receiver that has seen it drops it
	Kind    string       // of record that it belongs to: report.digest
	To      string       // whom; "" = whom the channel reaches
	ReplyTo string       // who answers questions; "" = the sender
	Subject string       // one line
	Text    string       // as plain text
	HTML    string       // the same as HTML; "" = none
	Header  []MailHeader // further headers
	Attach  []Attachment // behind the text
	Short   string       // what a channel says that is not mail: a sentence
}

// MailHeader is one further header of a Mail.
type MailHeader struct{ Name, Value string }

// Attachment is a file that goes with a mail.
type Attachment struct {
	Name string
	Type string // media type
	Data string
}

// Mail sends a mail of another part through a channel, at once, and returns what
// the server answered. A channel that is not mail says its Short, unless it is for
// somebody in particular. An error may be a [*Failure].
func (n *Notifier) Mail(ctx context.Context, channel string, m Mail) (answer string, err error) {
	o := n.channels[channel]
	if o == nil {
		return "", &Failure{Why: fmt.Sprintf("there is no channel %s", Clean(channel, maxName)), Permanent: true}
	}
	c := o.Channel
	if c.Form() != "mail" {
		if m.To != "" {
			return "", &Failure{Why: fmt.Sprintf("the channel %s does not send mail", channel), Permanent: true}
		}
		return n.say(ctx, c, m)
	}
	if m.To != "" {
		c.Mail = []string{m.To}
	}
	s, secrets, err := newMail(&c, nil, n.d.Outside)
	if err != nil {
		return "", redact(err, secrets)
	}
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	answer, err = s.(*post).sendMail(ctx, n.d.Host, m) // newMail makes nothing else
	return hide(answer, secrets), redact(err, secrets)
}

// say sends the short form of a mail through a channel that is none.
func (n *Notifier) say(ctx context.Context, c Channel, m Mail) (string, error) {
	s, err := NewSender(c, n.c.Templates, n.c.Zone, n.d.Outside)
	if err != nil {
		return "", err
	}
	now := time.Now().UTC()
	kind := Clean(m.Kind, maxName)
	return s.Send(ctx, &Message{
		ID: Clean(m.ID, maxName), Host: Clean(n.d.Host, maxName), Kind: kind, Severity: SeverityOf(kind), Title: Clean(m.Subject, maxTitle),
		Count: 1, From: now, To: now, Rules: []Tally{},
		Items: []Item{{Time: now, Kind: kind, Why: Clean(m.Short, maxWhy), Done: "nothing was changed", Undo: "gatehouse report digest"}},
	})
}

// sendMail writes and sends a mail of another part.
func (p *post) sendMail(ctx context.Context, host string, m Mail) (string, error) {
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	from := p.from
	if from == nil {
		from = &netmail.Address{Name: "Gatehouse on " + host, Address: "gatehouse@" + mailDomain(host)}
	}
	msg.FromMailAddress(from)
	msg.ToMailAddress(p.to...)
	if m.ReplyTo != "" {
		to, err := address(m.ReplyTo)
		if err != nil {
			return "", err
		}
		if err := msg.ReplyTo(to.Address); err != nil {
			return "", fmt.Errorf("reply to: %w", err)
		}
	}
	msg.Subject(Clean(m.Subject, maxTitle))
	msg.SetDate()
	msg.SetMessageIDWithValue(messageID(&Message{ID: Clean(m.ID, maxName), Host: host}))
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader("X-Gatehouse-Delivery", Clean(m.ID, maxName))
	msg.SetGenHeader("X-Gatehouse-Kind", Clean(m.Kind, maxName))
	for _, h := range m.Header {
		msg.SetGenHeader(mail.Header(h.Name), Clean(h.Value, maxTitle))
	}
	msg.SetBodyString(mail.TypeTextPlain, guardLines(m.Text))
	if m.HTML != "" {
		msg.AddAlternativeString(mail.TypeTextHTML, m.HTML)
	}
	for _, a := range m.Attach {
		if err := msg.AttachReader(a.Name, strings.NewReader(a.Data), mail.WithFileContentType(mail.ContentType(a.Type))); err != nil {
			return "", fmt.Errorf("attach %s: %w", a.Name, err)
		}
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

// Exchange sends a request of another part as channels send theirs: it follows no
// redirect, reads 64 kB of the answer and takes 30 seconds at most. ca is a file
// with certificates that are trusted besides the system's; "" = none. An error may
// be a [*Failure].
func Exchange(ctx context.Context, r *http.Request, ca string) (answer string, err error) {
	c, err := newClient(ca)
	if err != nil {
		return "", err
	}
	return exchange(ctx, c, r)
}
