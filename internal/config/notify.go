package config

import (
	"net"
	"net/mail"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// Notify is the section of the same name.
type Notify struct {
	Channels  []Channel `key:"channels" default:"[]" doc:"Ways to people. Each has a name and one of mail, sms, voice, url, webhook and syslog. A channel that says nothing else gets every notice and worse: bans within half a minute and then hourly with their numbers, warnings within seconds, alarms at once."`
	Routes    []Route   `key:"routes" default:"[]" doc:"Who is told of what. The first entry that fits a record counts; what none fits goes as notify of its network says, or else, from severity notice up, to every channel that is nobody's fallback."`
	Templates string    `key:"templates" default:"/etc/gatehouse/templates" check:"path" doc:"Folder of your own templates, such as mail.txt or, for one channel, NAME.txt. The folder need not exist. docs/notify.md describes them."`
	Zone      string    `key:"zone" example:"Europe/Berlin" check:"zone" doc:"Clock of quiet hours and of times in messages. Default: that of the machine."`
}

// Channel is one entry of notify.channels.
type Channel struct {
	Name    string   `key:"name" required:"true" example:"mail" check:"word" doc:"What the channel is called, in routes and in gatehouse notify test."`
	Mail    []string `key:"mail" example:"[you@example.org]" check:"filled mailbox" doc:"Send mail to these addresses: through server, or where none is named through the machine's own sendmail."`
	SMS     []string `key:"sms" instead:"mail" example:"[\"+441632960961\"]" check:"filled phone" doc:"Send text messages to these numbers through Twilio."`
	Voice   []string `key:"voice" instead:"mail" example:"[\"+441632960961\"]" check:"filled phone" doc:"Call these numbers through Twilio and say it."`
	URL     Secret   `key:"url" instead:"mail" example:"ntfy://ntfy.example.org/gatehouse" doc:"Push to a phone or write into a chat, by the URL of a service as shoutrrr writes it: ntfy, gotify, pushover, matrix, telegram, discord, slack, mattermost, teams and others. {file: PATH} keeps it out of this file; {password} in it is replaced by password."`
	Webhook Secret   `key:"webhook" instead:"mail" example:"https://example.org/hook" doc:"Post JSON, or what a template makes of it, to this address."`
	Syslog  string   `key:"syslog" instead:"mail" example:"local" check:"logto" doc:"Write to syslog: local, udp://HOST:PORT, tcp://HOST:PORT or unix:///PATH."`

	Server   string            `key:"server" example:"smtp.example.org:587" check:"server" doc:"For mail: the mail server that takes it."`
	TLS      string            `key:"tls" enum:"starttls tls none" example:"starttls" doc:"For mail: starttls encrypts after a greeting and refuses to go on without, tls encrypts from the first byte, none never. Default: tls on port 465, otherwise starttls."`
	User     string            `key:"user" example:"gatehouse" doc:"For mail and webhook: name to log in with."`
	Password Secret            `key:"password" example:"{file: /etc/gatehouse/mail.password}" check:"hidden" doc:"For mail, webhook and url: where the password is: {file: PATH}, {env: NAME} or {credential: NAME}."`
	From     string            `key:"from" example:"gatehouse@example.org" doc:"For mail: the sender, by default gatehouse at this machine. For sms and voice: the number that writes or calls."`
	Sendmail []string          `key:"sendmail" example:"[/usr/sbin/sendmail, -i]" check:"filled command" instead:"mail" doc:"For mail without server: the program and its first arguments; -- and the recipients follow. No shell reads it."`
	Account  string            `key:"account" instead:"mail" example:"AC00000000000000000000000000000000" doc:"For sms and voice: the account SID at Twilio."`
	Token    Secret            `key:"token" instead:"mail" example:"{credential: twilio}" check:"hidden" doc:"For sms and voice: where the auth token of the account is."`
	API      string            `key:"api" instead:"mail" example:"https://api.twilio.com" check:"webaddress" doc:"For sms and voice: another address that speaks like Twilio's."`
	Secret   Secret            `key:"secret" instead:"mail" example:"{file: /etc/gatehouse/hook.secret}" check:"hidden" doc:"For webhook: where the key is with which each message is signed (HMAC-SHA256, in the header X-Gatehouse-Signature)."`
	Type     string            `key:"type" instead:"mail" example:"application/x-www-form-urlencoded" doc:"For webhook: what the template writes. Default: application/json."`
	Headers  map[string]Secret `key:"headers" instead:"mail" example:"{X-Api-Key: {file: /etc/gatehouse/api.key}}" doc:"For webhook: further headers, each with its value or where that is."`
	CA       string            `key:"ca" example:"/etc/gatehouse/ca.pem" check:"path" doc:"For mail, webhook, sms and voice: certificates in PEM that are trusted besides those of the system."`

	Wait     time.Duration  `key:"wait" example:"30s" default:"30s" doc:"How long what happens gathers before the first message of a wave. Warnings wait 5s at most, alarms not at all."`
	Every    time.Duration  `key:"every" example:"1h" default:"1h" doc:"How long between two messages of one kind; what happens meanwhile is counted and told together. Warnings wait 10m at most, alarms not at all."`
	Limit    gate.Threshold `key:"limit" example:"30 in 1h" default:"30 in 1h" doc:"Most messages within a time; beyond, waves gather for longer and nothing is lost. Alarms have as many of their own."`
	Quiet    []gate.Hours   `key:"quiet" example:"[\"22:00-07:00\", \"sat,sun 07:00-10:00\"]" doc:"Quiet hours: what happens is told afterwards."`
	Through  string         `key:"through" example:"critical" default:"critical" enum:"info notice warning critical" doc:"The severity from which on it is told in quiet hours, too."`
	Fallback string         `key:"fallback" instead:"mail" example:"phone" check:"word" doc:"The channel that takes over when this one fails. It gets nothing else unless a route names it."`
	Failover time.Duration  `key:"failover" example:"5m" default:"5m" doc:"How long it may fail before that. What a server refuses for good goes there at once."`
}

// Route is one entry of notify.routes.
type Route struct {
	Kinds    []string     `key:"kinds" example:"[ban, \"list.*\"]" doc:"Kinds of record: ban, release, close, open, allow, disallow, tell, and what parts tell, such as panel.alarm or list.*. Default: all."`
	Severity string       `key:"severity" enum:"info notice warning critical" example:"warning" doc:"This severity and worse. Default: all."`
	Networks []string     `key:"networks" example:"[lan]" check:"word" doc:"Names of networks that the subject lies in. Default: all."`
	Subjects []string     `key:"subjects" example:"[zone:1/3]" check:"aboutwhom" doc:"Who or what it is about, as gatehouse log writes it: 192.0.2.7, zone:1/3, partition:2; * stands for anything but a slash. Default: all."`
	Rules    []string     `key:"rules" example:"[sshd, command]" check:"word" doc:"Watches, or command for what somebody asked for. Default: all."`
	Hours    []gate.Hours `key:"hours" example:"[\"mon-fri 08:00-18:00\"]" doc:"When the entry holds. Default: always."`
	To       []string     `key:"to" default:"[]" example:"[mail]" check:"word" doc:"Names of channels; [] tells nobody."`
}

// targets are the keys of which a channel has one.
var targets = []string{"mail", "sms", "voice", "url", "webhook", "syslog"}

// belongs says for which targets a key is.
var belongs = map[string][]string{
	"server": {"mail"}, "tls": {"mail"}, "sendmail": {"mail"}, "user": {"mail", "webhook"}, "password": {"mail", "webhook", "url"},
	"from": {"mail", "sms", "voice"}, "account": {"sms", "voice"}, "token": {"sms", "voice"}, "api": {"sms", "voice"},
	"secret": {"webhook"}, "type": {"webhook"}, "headers": {"webhook"}, "ca": {"mail", "webhook", "sms", "voice"},
}

// check holds what spans several keys of a channel.
func (c *Channel) check(d *decoder, n *node) {
	has := func(k string) bool { v := n.get(k); return v != nil && v.kind != nothing }
	var kind string
	for _, k := range targets {
		switch {
		case !has(k):
		case kind != "":
			d.problem(n.get(k), "write a channel for each", "%s and %s in one channel", kind, k)
		default:
			kind = k
		}
	}
	if kind == "" {
		d.problem(n, "write one of "+strings.Join(targets, ", "), "a channel that reaches nobody")
		return
	}
	for _, e := range n.entries {
		if for_, ok := belongs[e.key.text]; ok && !slices.Contains(for_, kind) && e.value.kind != nothing {
			d.problem(e.key, "remove it", "%s has no meaning for %s", e.key.text, kind)
		}
	}
	needs := func(k, example string) {
		if !has(k) {
			d.problem(n.get(kind), "add "+k+": "+example, "%s without %s", kind, k)
		}
	}
	switch kind {
	case "mail":
		c.checkMail(d, n, has)
	case "sms", "voice":
		needs("account", "AC…")
		needs("token", "{file: /etc/gatehouse/twilio.token}")
		needs("from", "\"+441632960960\"")
		if at := n.get("from"); has("from") && !phoneNumber.MatchString(c.From) {
			d.problem(at, "write it as \"+441632960961\"", "%s is not a telephone number", gate.Quote(c.From, 32))
		}
	case "url":
		if c.URL.Text != "" && d.o.PushURLProblem != nil {
			if err := d.o.PushURLProblem(c.URL.Text); err != nil {
				d.problem(n.get("url"), "docs/notify.md shows the addresses of the usual services", "%v", err)
				d.problems[len(d.problems)-1].Excerpt = ""
			}
		}
	case "webhook":
		if c.Webhook.Text != "" {
			if err := webAddress(reflect.ValueOf(&c.Webhook.Text).Elem()); err != nil {
				d.problem(n.get("webhook"), "write https://example.org/hook", "this is not the address of a web server")
				d.problems[len(d.problems)-1].Excerpt = ""
			}
		}
	}
	if c.Limit == (gate.Threshold{}) || c.Limit.Within == gate.Forever {
		d.problem(n, "write limit: 30 in 1h", "a limit without an end would silence the channel for good")
	}
}

// checkMail holds what mail needs.
func (c *Channel) checkMail(d *decoder, n *node, has func(string) bool) {
	if has("server") && has("sendmail") {
		d.problem(n.get("sendmail"), "remove one of the two", "server and sendmail in one channel")
	}
	for _, k := range []string{"user", "password", "tls", "ca"} {
		if has(k) && !has("server") {
			d.problem(n.get(k), "add server: smtp.example.org, or remove it", "%s without server", k)
		}
	}
	if has("user") != has("password") && has("server") {
		missing, there := "password", "user"
		if has("password") {
			missing, there = there, missing
		}
		d.problem(n.get(there), "add "+missing, "%s without %s", there, missing)
		d.problems[len(d.problems)-1].Excerpt = ""
	}
	if c.TLS == "none" && has("password") {
		d.problem(n.get("tls"), "write tls: starttls", "the password would cross the network unencrypted")
	}
	if at := n.get("from"); has("from") && mailbox(reflect.ValueOf(&c.From).Elem()) != nil {
		d.problem(at, "write gatehouse@example.org", "%s is not a mail address", gate.Quote(c.From, 64))
	}
}

// check holds what spans channels and routes.
func (c *Notify) check(d *decoder, n *node) {
	channels := map[string]*node{}
	if cs := n.get("channels"); cs != nil && cs.kind == list {
		for _, e := range cs.items {
			name := e.get("name")
			if name == nil || name.kind != text {
				continue
			}
			if f := channels[name.text]; f != nil {
				d.problem(name, "line "+itoa(f.line)+" has it already: give this one another name", "channel %s is defined twice", gate.Quote(name.text, 64))
				continue
			}
			channels[name.text] = name
		}
		for _, e := range cs.items {
			if f := e.get("fallback"); f != nil && f.kind == text {
				d.channelAt(f, channels)
			}
		}
	}
	c.checkCircles(d, channels)
	rs := n.get("routes")
	if rs == nil || rs.kind != list {
		return
	}
	for _, e := range rs.items {
		if to := e.get("to"); to != nil && to.kind == list {
			for _, item := range to.items {
				d.channelAt(item, channels)
			}
		} else if to == nil {
			d.problem(e, "write to: [NAME], or to: [] for nobody", "the key to is missing")
		}
		if ks := e.get("kinds"); ks != nil && ks.kind == list && d.o.KindExists != nil {
			for _, k := range ks.items {
				if k.kind == text && !d.o.KindExists(k.text) {
					d.problem(k, "docs/notify.md lists the kinds; panel.* stands for all of a part", "no record is of kind %s", gate.Quote(k.text, 64))
				}
			}
		}
	}
}

// channelAt reports a name that no channel has.
func (d *decoder) channelAt(n *node, channels map[string]*node) {
	if n.kind != text || channels[n.text] != nil {
		return
	}
	var names []string
	for name := range channels {
		names = append(names, name)
	}
	slices.Sort(names)
	hint := "define it under notify: channels:"
	if len(names) > 0 {
		hint = "the channels are " + strings.Join(names, ", ")
	}
	d.problem(n, didYouMean(nearest(n.text, names), hint), "there is no channel %s", gate.Quote(n.text, 64))
}

// checkCircles reports channels that are each other's fallback.
func (c *Notify) checkCircles(d *decoder, at map[string]*node) {
	next := map[string]string{}
	for _, ch := range c.Channels {
		next[ch.Name] = ch.Fallback
	}
	for _, ch := range c.Channels {
		for name, steps := next[ch.Name], 0; name != "" && steps <= len(next); name, steps = next[name], steps+1 {
			if name == ch.Name {
				if at[name] != nil {
					d.problem(at[name], "let the last of them have none", "the fallbacks of %s lead back to it", name)
				}
				return
			}
		}
	}
}

// checkNetworkChannels checks the channels that networks name.
func (c *Config) checkNetworkChannels(d *decoder, n *node) {
	channels := map[string]*node{}
	for _, ch := range c.Notify.Channels {
		channels[ch.Name] = n
	}
	if ns := n.get("networks"); ns != nil && ns.kind == list {
		for _, e := range ns.items {
			if to := e.get("notify"); to != nil && to.kind == list {
				for _, item := range to.items {
					d.channelAt(item, channels)
				}
			}
		}
	}
	known := map[string]bool{}
	for _, w := range c.Networks {
		known[w.Name] = true
	}
	if s := n.get("notify"); s != nil {
		if rs := s.get("routes"); rs != nil && rs.kind == list {
			for _, e := range rs.items {
				if ns := e.get("networks"); ns != nil && ns.kind == list {
					for _, item := range ns.items {
						if item.kind == text && !known[item.text] {
							d.problem(item, "name one of networks, or define it there", "there is no network %s", gate.Quote(item.text, 64))
						}
					}
				}
			}
		}
	}
}

// phoneNumber is a number as ITU-T E.164 writes it.
var phoneNumber = regexp.MustCompile(`^\+[1-9][0-9]{5,14}$`)

// phone wants a telephone number.
func phone(v reflect.Value) error {
	if !phoneNumber.MatchString(v.String()) {
		return wrong(gate.Quote(v.String(), 32)+" is not a telephone number", `write it with its country and in quotes: "+441632960961"`)
	}
	return nil
}

// mailbox wants a mail address.
func mailbox(v reflect.Value) error {
	a, err := mail.ParseAddress(v.String())
	if err != nil || strings.HasPrefix(a.Address, "-") || strings.ContainsAny(a.Address, " \"\\") {
		return wrong(gate.Quote(v.String(), 64)+" is not a mail address", "write you@example.org")
	}
	return nil
}

// server wants a host or a host with its port.
func server(v reflect.Value) error {
	host := v.String()
	if h, port, err := net.SplitHostPort(host); err == nil {
		if p, err := net.LookupPort("tcp", port); err != nil || p < 1 || strings.Trim(port, "0123456789") != "" {
			return wrong(gate.Quote(port, 32)+" is not a port", "write smtp.example.org:587")
		}
		host = h
	}
	if net.ParseIP(host) == nil && !isHostName(host) {
		return wrong(gate.Quote(v.String(), 64)+" is not a server", "write smtp.example.org or smtp.example.org:587")
	}
	return nil
}

// webAddress wants an address of the web, which may hold a secret.
func webAddress(v reflect.Value) error {
	u, err := url.Parse(v.String())
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return wrong("this is not the address of a web server", "write https://example.org/path")
	}
	return nil
}

// logto wants a place for syslog.
func logto(v reflect.Value) error {
	s := v.String()
	u, err := url.Parse(s)
	if s == "local" || err == nil && (u.Scheme == "unix" && u.Host == "" && strings.HasPrefix(u.Path, "/") ||
		(u.Scheme == "udp" || u.Scheme == "tcp") && u.Hostname() != "" && u.Path == "") {
		return nil
	}
	return wrong(gate.Quote(s, 64)+" is no place for syslog", "write local, udp://192.0.2.9:514, tcp://192.0.2.9:514 or unix:///dev/log")
}

// zone wants the name of a time zone.
func zone(v reflect.Value) error {
	if _, err := time.LoadLocation(v.String()); err != nil || v.String() == "Local" {
		return wrong(gate.Quote(v.String(), 64)+" is not a time zone that this machine knows", "write it as Europe/Berlin or UTC")
	}
	return nil
}
