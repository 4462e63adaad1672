package notify

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// ChannelStatus is how a channel fares.
type ChannelStatus struct {
	Name     string
	Form     string    // mail, sms, voice, push, webhook or syslog
	To       string    // whom it reaches, without secrets
	State    string    // ok, failing or off
	Error    string    // the last one; "" = there was none since the start
	ErrorAt  time.Time // when it was
	Since    time.Time // since when it fails; zero = it does not
	Next     time.Time // when it is tried again; zero = nothing waits for that
	Waiting  int       // letters that wait to be delivered
	Records  int       // records in them and in what gathers
	Sent     int       // letters delivered since the start
	SentAt   time.Time // when the last one was
	Lost     int       // records given up since the start
	Fallback string    // who takes over
}

// Status returns how each channel fares, in the order of the configuration.
func (n *Notifier) Status() []ChannelStatus {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := []ChannelStatus{}
	for _, name := range n.order {
		o := n.channels[name]
		s := ChannelStatus{
			Name: name, Form: o.Form(), To: o.reaches(), State: "ok", Since: o.failing, Next: o.next, ErrorAt: o.lastAt,
			Waiting: len(o.letters), Sent: o.sent, SentAt: o.sentAt, Lost: o.lost, Fallback: o.Fallback,
		}
		if o.last != nil {
			s.Error = sentence(o.last)
		}
		switch {
		case o.sender == nil:
			s.State = "off"
		case !o.failing.IsZero():
			s.State = "failing"
		}
		for _, l := range o.letters {
			s.Records += l.Wave.Count
		}
		for _, w := range n.state.Waves {
			if w.Channel == name {
				s.Records += w.Count
			}
		}
		list = append(list, s)
	}
	return list
}

// reaches says whom a channel reaches, without what may be secret.
func (c *Channel) reaches() string {
	switch c.Form() {
	case "mail":
		via := "sendmail"
		if c.Server != "" {
			via = c.Server
		}
		return strings.Join(c.Mail, ", ") + " via " + via
	case "sms":
		return strings.Join(c.SMS, ", ")
	case "voice":
		return strings.Join(c.Voice, ", ")
	case "push":
		if scheme, _, ok := strings.Cut(c.URL.Text, ":"); ok {
			return scheme
		}
		return c.URL.String()
	case "webhook":
		if c.Webhook.Text != "" {
			rest := c.Webhook.Text
			if i := strings.Index(rest, "://"); i >= 0 {
				rest = rest[i+3:]
			}
			host, _, _ := strings.Cut(rest, "/")
			if i := strings.LastIndexByte(host, '@'); i >= 0 {
				host = host[i+1:]
			}
			host, _, _ = strings.Cut(host, "?")
			return host
		}
		return c.Webhook.String()
	}
	return c.Syslog
}

// Waiting is one message that gathers or waits to be delivered.
type Waiting struct {
	ID       string // of a letter: seq/channel; "" while it gathers
	Channel  string
	Kind     string
	Severity Severity
	Title    string
	Records  int       // how many records it tells
	Since    time.Time // when its first record came, or it was closed
	Next     time.Time // when it is closed, or tried
	Tries    int
	Error    string // why the last try failed
	State    string // gathering, waiting or failing
}

// Queue returns what gathers and waits, the letters first.
func (n *Notifier) Queue() []Waiting {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := []Waiting{}
	now := time.Now()
	for _, name := range n.order {
		o := n.channels[name]
		for _, l := range o.letters {
			w := Waiting{ID: l.ID, Channel: name, Kind: l.Wave.Kind, Severity: l.Wave.Severity, Records: l.Wave.Count, Since: l.Born, Tries: l.Tries, Error: l.Error, State: "waiting"}
			w.Title = messageOf(l, n.d.Host, nil).Title
			if l.Tries > 0 || !o.failing.IsZero() {
				w.State, w.Next = "failing", o.next
			}
			list = append(list, w)
		}
	}
	for _, v := range n.state.Waves {
		w := Waiting{Channel: v.Channel, Kind: v.Kind, Severity: v.Severity, Records: v.Count, Since: v.Opened, Next: n.due(v, now), State: "gathering"}
		w.Title = messageOf(&letter{Wave: *v}, n.d.Host, nil).Title
		list = append(list, w)
	}
	return list
}

// ErrNoChannel is what Test gets for a name that no channel has.
var ErrNoChannel = errors.New("there is no such channel")

// Channels returns the names of all channels, as configured.
func (n *Notifier) Channels() []string { return slices.Clone(n.order) }

// Test sends a real message through a channel, at once, around quiet hours, rate
// limit and queue, and returns what the server answered.
func (n *Notifier) Test(ctx context.Context, channel string) (answer string, err error) {
	o := n.channels[channel]
	if o == nil {
		return "", fmt.Errorf("%s: %w: there are %s", gate.Quote(channel, 64), ErrNoChannel, strings.Join(n.order, ", "))
	}
	s, err := NewSender(o.Channel, n.c.Templates, n.c.Zone, n.d.Outside) // as it would be built now: secrets may be new
	if err != nil {
		return "", err
	}
	n.mu.Lock()
	n.tests++
	id := fmt.Sprintf("test%d/%s", time.Now().UnixMilli()*1000+int64(n.tests), channel)
	n.mu.Unlock()
	m := SampleMessage("test", time.Now(), n.d.Host)
	m.ID = id
	answer, err = s.Send(ctx, m)
	if err != nil {
		return "", err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	o.sender = s
	if !o.failing.IsZero() { // what waits goes out now
		o.failures, o.failing, o.next = 0, time.Time{}, time.Time{}
		n.fault(o)
		o.nudge()
	}
	return answer, nil
}

// sampleAddr is an address of the block for documentation.
var sampleAddr = gate.AddrSubject(netip.AddrFrom4([4]byte{192, 0, 2, 7}))

// SampleMessage returns the message that a record of a kind would make, for tests
// of channels and checks of templates.
func SampleMessage(kind string, now time.Time, host string) *Message {
	d := gate.Decision{Time: now, Subject: sampleAddr, Rule: "sshd", Why: "an example of what a message says"}
	switch kind {
	case "ban":
		d.Verdict, d.Until, d.Offence = gate.Ban, now.Add(time.Hour), 2
		d.Why = "5 failed logins in 3m20s (sshd allows 4 in 10m); second offence within 90d, so 1h"
		d.Proof = &gate.Proof{Count: 1, First: []gate.Event{{Line: "Failed password for root from 192.0.2.7 port 4711 ssh2"}}}
	case "release":
		d.Verdict = gate.Release
		d.Why = "the 1h ban is over"
	case "close", "open":
		ports, _ := gate.ParsePorts("22/tcp") // a constant, and valid
		d.Subject, d.Rule, d.Why = gate.PortSubject(ports, gate.In), "command", "root asked"
		d.Verdict = map[string]gate.Verdict{"close": gate.Close, "open": gate.Open}[kind]
	case "allow":
		d.Verdict, d.Rule, d.Why = gate.Allow, "command", "root asked: the office"
	case "disallow":
		d.Verdict, d.Rule, d.Why = gate.Disallow, "command", "root asked"
	case "test":
		d.Verdict, d.Topic, d.Subject, d.Rule = gate.Tell, "test", gate.Subject{}, "command"
		d.Why = "this message is a test; whoever reads it is told what Gatehouse decides"
	case "tell":
		d.Verdict = gate.Tell
	default:
		d.Verdict, d.Topic, d.Rule = gate.Tell, strings.ReplaceAll(kind, "*", "something"), strings.SplitN(kind, ".", 2)[0]
	}
	if kind == "panel.alarm" {
		d.Subject, d.Why = gate.ZoneSubject(1, 7), "zone 7 (kitchen window) of partition 1 is in alarm"
	}
	w := wave{Channel: "sample", Kind: d.Kind(), Severity: SeverityOf(d.Kind())}
	r := asRecord(812, d)
	w.add(itemOf(r, ""), r.Seq, now)
	l := &letter{ID: idOf(&w), Wave: w, Born: now}
	return messageOf(l, host, nil)
}
