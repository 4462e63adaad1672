package notify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Sender is a channel that was built: it delivers messages. Send returns what
// the other side answered, bounded and clean. It is safe for concurrent use and
// returns soon after ctx ends; an error may be a [*Failure].
type Sender interface {
	Send(ctx context.Context, m *Message) (answer string, err error)
}

// Outside is what channels use of the world. The composition root provides it.
type Outside struct {
	Getenv func(string) string // required
	// Command runs a program with arguments and input, without a shell, and
	// returns the first bytes of its output. Its error says how it ended. Required.
	Command func(ctx context.Context, argv []string, stdin []byte) (output []byte, err error)
	// Push hands a message to a push or chat service; see [Push]. Required.
	Push func(ctx context.Context, p PushRequest) (PushAnswer, error)
}

// build is the table of channels: how each form of them is made. Adding one is a
// line here and a file.
var build = map[string]func(*Channel, *templates, Outside) (Sender, []string, error){
	"mail":    newMail,
	"sms":     newTwilio,
	"voice":   newTwilio,
	"push":    newPush,
	"webhook": newWebhook,
	"syslog":  newSyslog,
}

// guarded is a channel with its secrets kept out of what it says. Where a template
// of the operator's fails, the built-in ones tell all the same.
type guarded struct {
	Sender
	spare   Sender // with the built-in templates; nil = Sender has those
	secrets []string
}

// Send delivers a message.
func (g *guarded) Send(ctx context.Context, m *Message) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	answer, err := g.Sender.Send(ctx, m)
	if te, ok := errors.AsType[*TemplateError](err); ok && g.spare != nil {
		copied := *m
		copied.Note = strings.TrimPrefix(m.Note+"; your template was not used: "+te.Error(), "; ")
		answer, err = g.spare.Send(ctx, &copied)
	}
	return hide(answer, g.secrets), redact(err, g.secrets)
}

// NewSender builds a channel. Its error says what keeps it from working: a secret
// that is missing, a template that is wrong, an address that is none.
func NewSender(c Channel, folder string, zone *time.Location, o Outside) (Sender, error) {
	c.complete()
	form := c.Form()
	if form == "" {
		return nil, fmt.Errorf("it says nobody to tell: write mail, sms, voice, url, webhook or syslog")
	}
	t, err := loadTemplates(folder, c.Name, form, zone)
	if err != nil {
		return nil, err
	}
	s, secrets, err := build[form](&c, t, o)
	if err != nil {
		return nil, redact(err, secrets)
	}
	g := &guarded{Sender: s, secrets: secrets}
	if t.own {
		if t, err = loadTemplates("", c.Name, form, zone); err == nil {
			g.spare, _, err = build[form](&c, t, o)
		}
		if err != nil {
			return nil, redact(err, secrets)
		}
	}
	return g, nil
}
