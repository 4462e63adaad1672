package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/api"
	"gatehouse/internal/config"
	"gatehouse/internal/gate"
	"gatehouse/internal/notify"
	"gatehouse/internal/runner"
)

// keepNotify is the namespace of what is to be told, and the name of its cursor.
const keepNotify = "notify"

// telling is the running notifier, which a reload replaces whole: all that it
// knows is in the ledger.
type telling struct {
	notifier *notify.Notifier
	crew     *crew
	cancel   context.CancelFunc
}

// startNotify starts telling people what the ledger records, if anybody is to be
// told.
func (d *daemon) startNotify(ctx context.Context, p *plan) {
	c := notifyConfig(p.config)
	if len(c.Channels) == 0 {
		return
	}
	d.hooks.prepare(p.config)
	n, err := notify.New(c, notify.Deps{
		Outside: notify.Outside{Getenv: d.o.Getenv, Command: d.runCommand, Push: d.runPush},
		Log:     d.log, Host: hostName(), Observe: d.o.Observe, Store: d.ledger.Keep(keepNotify),
		Newest: d.ledger.Newest, Follow: d.ledger.Follow, Flush: d.ledger.Flush,
		Network: networkOf(p.config), Who: d.whoIs, Tell: func(kind, sentence string) { d.tell(ctx, keepNotify, kind, gate.Subject{}, sentence) },
		Fault: func(channel, why, hint string) { d.faults.report(channelPart(channel), why, hint) },
		Seen:  func(seq uint64) { d.ledger.SetCursor(keepNotify, seq) },
	})
	if err != nil {
		d.faults.report(keepNotify, err.Error(), "nobody is told of anything until the ledger can be read: see the log of the daemon")
		return
	}
	d.faults.report(keepNotify, "", "")
	ctx, cancel := context.WithCancel(ctx)
	t := &telling{notifier: n, crew: newCrew(d.log, d.faults), cancel: cancel}
	t.crew.start(ctx, task{keepNotify, n.Run})
	d.mu.Lock()
	d.telling = t
	d.mu.Unlock()
}

// stopNotify stops telling; what waits is stored.
func (d *daemon) stopNotify() {
	d.mu.Lock()
	t := d.telling
	d.telling = nil
	d.mu.Unlock()
	if t == nil {
		return
	}
	t.cancel()
	t.crew.wait()
	for _, name := range t.notifier.Channels() {
		d.faults.report(channelPart(name), "", "")
	}
}

// channelPart names a channel among the parts of the daemon.
func channelPart(name string) string { return "channel " + name }

// notifier is the running notifier; nil if nobody is to be told.
func (d *daemon) notifier() *notify.Notifier {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.telling == nil {
		return nil
	}
	return d.telling.notifier
}

// hostName is what messages call this machine.
func hostName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "this machine"
	}
	return name
}

// networkOf returns the function that names the configured network of a subject.
func networkOf(c *config.Config) func(gate.Subject) string {
	networks := c.Networks
	return func(s gate.Subject) string {
		for _, n := range networks {
			for _, p := range n.Match {
				if gate.PrefixSubject(p).Covers(s) {
					return n.Name
				}
			}
		}
		return ""
	}
}

// notifyConfig is what the configuration means for the notifier.
func notifyConfig(c *config.Config) notify.Config {
	out := notify.Config{Templates: c.Notify.Templates, Zone: time.Local}
	if zone, err := time.LoadLocation(c.Notify.Zone); err == nil && c.Notify.Zone != "" {
		out.Zone = zone
	}
	for _, ch := range c.Notify.Channels {
		out.Channels = append(out.Channels, channelConfig(ch))
	}
	for _, r := range c.Notify.Routes {
		out.Routes = append(out.Routes, notify.Route{
			Kinds: r.Kinds, Severity: severity(r.Severity), Networks: r.Networks, Subjects: r.Subjects, Rules: r.Rules, Hours: r.Hours, To: r.To,
		})
	}
	for _, n := range c.Networks {
		if len(n.Notify) > 0 {
			out.Routes = append(out.Routes,
				notify.Route{Networks: []string{n.Name}, Severity: notify.Notice, To: n.Notify})
		}
	}
	return out
}

func channelConfig(c config.Channel) notify.Channel {
	out := notify.Channel{
		Name: c.Name, Mail: c.Mail, SMS: c.SMS, Voice: c.Voice, URL: secret(c.URL), Webhook: secret(c.Webhook), Syslog: c.Syslog,
		Server: c.Server, TLS: c.TLS, User: c.User, Password: secret(c.Password), From: c.From, Sendmail: c.Sendmail,
		Account: c.Account, Token: secret(c.Token), API: c.API, Secret: secret(c.Secret), Type: c.Type, CA: c.CA,
		Wait: c.Wait, Every: c.Every, Limit: c.Limit, Quiet: c.Quiet, Through: severity(c.Through), Fallback: c.Fallback, Failover: c.Failover,
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		out.Headers = append(out.Headers, notify.Header{Name: name, Value: secret(c.Headers[name])})
	}
	return out
}

func secret(s config.Secret) notify.Secret {
	return notify.Secret{File: s.File, Env: s.Env, Credential: s.Credential, Text: s.Text}
}

// severity reads a word that the configuration has checked; "" is every severity.
func severity(word string) notify.Severity {
	var s notify.Severity
	_ = s.UnmarshalText([]byte(word)) // checked when it was read
	return s
}

// Bounds of a command that a channel runs.
const (
	maxOutput   = 64 << 10         // bytes of its output that are kept
	commandTime = 30 * time.Second // for all of it
)

// tellsByCommand reports whether a channel runs a program: the local sendmail, or
// the process of a push message.
func tellsByCommand(c *config.Config) bool {
	return slices.ContainsFunc(c.Notify.Channels, func(ch config.Channel) bool {
		return len(ch.Mail) > 0 && ch.Server == "" || ch.URL != config.Secret{}
	})
}

// runCommand has the child that runs commands run a program with arguments and
// input, without a shell.
func (d *daemon) runCommand(ctx context.Context, argv []string, stdin []byte) ([]byte, error) {
	res, err := d.hooks.runner.Do(ctx, runner.Command{Argv: argv, Stdin: stdin, Limit: commandTime, Output: maxOutput})
	if err == nil && res.Problem != "" {
		err = errors.New(res.Problem)
	}
	return []byte(res.Output), err
}

// runPush hands a message to a process of its own, for what the library behind it
// cannot bound.
func (d *daemon) runPush(ctx context.Context, p notify.PushRequest) (notify.PushAnswer, error) {
	in, err := json.Marshal(p)
	if err != nil {
		return notify.PushAnswer{}, err
	}
	out, err := d.runCommand(ctx, []string{"/proc/self/exe", notify.PushArg}, in)
	if err != nil {
		return notify.PushAnswer{}, fmt.Errorf("the process of the message: %w", err)
	}
	var a notify.PushAnswer
	if err := json.Unmarshal(out, &a); err != nil {
		return a, fmt.Errorf("the answer of the process of the message cannot be read: %w", err)
	}
	return a, nil
}

// PushMain is what the program does when it is run by runPush, and reports
// whether it was.
func PushMain(args []string, in io.Reader, out io.Writer) (code int, ours bool) {
	if len(args) != 2 || args[1] != notify.PushArg {
		return 0, false
	}
	limit := unix.Rlimit{Cur: notify.PushMemory, Max: notify.PushMemory}
	_ = unix.Setrlimit(unix.RLIMIT_DATA, &limit) // answers are bounded without it, too
	if err := notify.PushMain(in, out); err != nil {
		return 1, true
	}
	return 0, true
}

// channelStatus is how each channel fares, for status.
func (d *daemon) channelStatus() []api.Channel {
	n := d.notifier()
	if n == nil {
		return nil
	}
	var list []api.Channel
	for _, s := range n.Status() {
		list = append(list, api.Channel{
			Name: s.Name, Form: s.Form, To: s.To, State: s.State, Error: s.Error, ErrorAt: api.TimeOf(s.ErrorAt), Since: api.TimeOf(s.Since),
			Next: api.TimeOf(s.Next), Waiting: s.Waiting, Records: s.Records, Sent: s.Sent, SentAt: api.TimeOf(s.SentAt), Lost: s.Lost, Fallback: s.Fallback,
		})
	}
	return list
}

// notifyQueue is what waits to be told.
func (d *daemon) notifyQueue() []api.Waiting {
	list := []api.Waiting{}
	n := d.notifier()
	if n == nil {
		return list
	}
	for _, w := range n.Queue() {
		list = append(list, api.Waiting{
			ID: w.ID, Channel: w.Channel, Kind: w.Kind, Severity: w.Severity.String(), Title: w.Title, Records: w.Records,
			Since: w.Since.UTC(), Next: api.TimeOf(w.Next), Tries: w.Tries, Error: w.Error, State: w.State,
		})
	}
	return list
}

// notifyTest sends a real message through a channel.
func (d *daemon) notifyTest(ctx context.Context, channel string) (api.Tested, error) {
	n := d.notifier()
	if n == nil {
		return api.Tested{}, &api.Error{Message: "nobody is to be told: there is no channel", Hint: "add one under notify: in the configuration, then: gatehouse reload"}
	}
	begun := time.Now()
	answer, err := n.Test(ctx, channel)
	if err != nil {
		return api.Tested{}, &api.Error{Message: err.Error(), Hint: "gatehouse status shows how each channel fares"}
	}
	return api.Tested{Channel: channel, Answer: answer, Seconds: time.Since(begun).Seconds()}, nil
}
