package notify

import (
	"strconv"
	"time"

	"gatehouse/internal/gate"
)

// Config is what is to be told, to whom and when. The composition root makes it
// of the configuration file.
type Config struct {
	Channels  []Channel      // in the order of the file; names are unique
	Routes    []Route        // the first that matches holds; behind them: every notice and worse to all channels that are nobody's fallback
	Templates string         // folder of the operator's templates; "" or missing = the built-in ones
	Zone      *time.Location // clock of quiet hours and of times in messages; nil = local
}

// Channel is one way to people. Exactly one of Mail, SMS, Voice, URL, Webhook and
// Syslog is set.
type Channel struct {
	Name string

	Mail    []string // to these addresses
	SMS     []string // to these numbers, through Twilio
	Voice   []string // calls these numbers, through Twilio
	URL     Secret   // a push or chat service as shoutrrr writes it: ntfy://host/topic
	Webhook Secret   // http or https URL
	Syslog  string   // local, udp://host:port, tcp://host:port or unix:///path

	Server   string   // mail: host or host:port; "" = the local sendmail
	TLS      string   // mail: starttls (the default), tls or none
	User     string   // mail, webhook: name for authentication
	Password Secret   // mail, webhook: and its password
	From     string   // mail: sender; SMS and voice: number of the caller
	Sendmail []string // mail: program and arguments in front of -f FROM -- TO...; default /usr/sbin/sendmail -i
	Account  string   // SMS and voice: account SID at Twilio
	Token    Secret   // SMS and voice: its auth token
	API      string   // SMS and voice: another base URL than Twilio's
	Secret   Secret   // webhook: key of the HMAC signature
	Type     string   // webhook: Content-Type; default application/json
	Headers  []Header // webhook: further headers
	CA       string   // mail, webhook, SMS: file with certificates in PEM that are trusted besides the system's

	Wait     time.Duration  // how long a wave gathers before its first letter
	Every    time.Duration  // how long between two letters of one kind
	Limit    gate.Threshold // most letters within a time; what is critical has as many again
	Quiet    []gate.Hours   // when nothing below Through is told; it is told afterwards
	Through  Severity       // what is told in quiet hours, too
	Fallback string         // channel that takes over when this one fails for Failover
	Failover time.Duration  // how long it may fail before that
}

// Header is one further header of a webhook.
type Header struct {
	Name  string
	Value Secret
}

// Route says who is told of some records. Empty lists match everything.
type Route struct {
	Kinds    []string     // ban, panel.*, ...
	Severity Severity     // this and worse
	Networks []string     // names of configured networks that the subject lies in
	Subjects []string     // texts of subjects, with * for anything but a slash: zone:1/3
	Rules    []string     // watches, or command
	Hours    []gate.Hours // when
	To       []string     // channels; empty = nobody
}

// Defaults of a channel that says nothing else.
const (
	DefaultWait     = 30 * time.Second
	DefaultEvery    = time.Hour
	DefaultFailover = 5 * time.Minute
	warningWait     = 5 * time.Second  // most that a warning gathers
	warningEvery    = 10 * time.Minute // most between two letters of warnings
)

// DefaultLimit returns how many letters a channel gets at most: 30 in an hour.
func DefaultLimit() gate.Threshold { return gate.Threshold{Count: 30, Within: time.Hour} }

// complete fills in defaults.
func (c *Channel) complete() {
	if c.Failover == 0 {
		c.Failover = DefaultFailover
	}
	if c.Limit == (gate.Threshold{}) {
		c.Limit = DefaultLimit()
	}
	if c.Through == SeverityNone {
		c.Through = Critical
	}
}

// Form returns what kind of channel it is, in a word.
func (c *Channel) Form() string {
	switch {
	case len(c.Mail) > 0:
		return "mail"
	case len(c.SMS) > 0:
		return "sms"
	case len(c.Voice) > 0:
		return "voice"
	case c.URL.IsSet():
		return "push"
	case c.Webhook.IsSet():
		return "webhook"
	case c.Syslog != "":
		return "syslog"
	}
	return ""
}

func formatUint(n uint64) string { return strconv.FormatUint(n, 10) }
