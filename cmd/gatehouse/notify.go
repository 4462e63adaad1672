package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
	"gatehouse/internal/config"
	"gatehouse/internal/notify"
)

// notifyCommand is about telling people.
func notifyCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "notify test|queue",
		Short: "try a channel, or show what waits to be told",
		Long:  "Tells about telling: whether a channel works, and what waits. gatehouse status shows how each channel fares.",
		Args:  cobra.ArbitraryArgs,
		RunE:  subcommandMissing,
	}
	c.AddCommand(&cobra.Command{
		Use:   "test CHANNEL",
		Short: "send a real message and show what the server answers",
		Long: "Sends a real message through a channel, at once, around quiet hours, limits and the queue, and shows " +
			"what the server answers. Secrets and templates are read anew. Exit 1 if it was not taken.",
		Example: "gatehouse notify test mail",
		Args:    takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			return e.ask(c, func(ctx context.Context, d *api.Client) error {
				t, err := d.NotifyTest(ctx, args[0])
				if err != nil {
					return err
				}
				if e.json {
					return e.document(t)
				}
				fmt.Fprintf(e.out, "sent through %s in %.1fs\nthe server answers: %s\n", harmless(t.Channel), t.Seconds, harmless(t.Answer))
				return nil
			})
		},
	}, &cobra.Command{
		Use:   "queue",
		Short: "list the messages that gather, wait or fail",
		Long: "Lists what is to be told: waves that gather, and messages that wait to be delivered, with how often they were " +
			"tried and why that failed. A message is given up after a day, which is then told.",
		Args: takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			return e.ask(c, func(ctx context.Context, d *api.Client) error {
				list, err := d.NotifyQueue(ctx)
				if err != nil {
					return err
				}
				if e.json {
					return writeArray(e.out, list)
				}
				return e.writeQueue(list)
			})
		},
	})
	return c
}

// writeQueue writes what waits as a table.
func (e *env) writeQueue(list []api.Waiting) error {
	if len(list) == 0 {
		return nil
	}
	t := table{head: []string{"CHANNEL", "STATE", "SINCE", "NEXT", "TRIES", "RECORDS", "MESSAGE"}}
	for _, w := range list {
		next := "at once"
		if w.Next != nil {
			next = clock(*w.Next)
		}
		title := w.Title
		if w.Error != "" {
			title += " (" + w.Error + ")"
		}
		t.add(w.Channel, w.State, clock(w.Since), next, grouped(w.Tries), grouped(w.Records), title)
	}
	return e.columns(t)
}

// writeChannels writes how each channel fares.
func (e *env) writeChannels(list []api.Channel) error {
	if len(list) == 0 {
		return nil
	}
	t := table{}
	label := "telling"
	for _, c := range list {
		text := c.State
		if c.State != "ok" && c.Since != nil {
			text += " since " + e.ago(c.Since)
		}
		if c.Error != "" && c.State != "ok" {
			text += ": " + c.Error
		}
		text += ", " + counted(c.Sent, "message") + " sent"
		if c.Waiting > 0 {
			text += ", " + grouped(c.Waiting) + " waiting"
		}
		if c.Records > 0 {
			text += ", " + counted(c.Records, "record") + " to tell"
		}
		if c.Lost > 0 {
			text += ", " + counted(c.Lost, "record") + " given up"
		}
		t.add(label, c.Name, c.Form+" to "+c.To, text)
		label = ""
	}
	return e.columns(t)
}

// brokerWords says how the connection to the MQTT broker fares.
func brokerWords(b *api.Broker) string {
	if b.Connected {
		return "connected to " + b.Server + ", " + counted(b.Topics, "topic")
	}
	if b.Why == "" {
		return "connecting to " + b.Server
	}
	return "no connection to " + b.Server + ": " + b.Why
}

// templateProblems returns what is wrong with the operator's templates.
func templateProblems(c *config.Config) (out []api.Problem) {
	seen := map[string]bool{}
	for _, ch := range c.Notify.Channels {
		for _, t := range notify.CheckTemplates(templatesOf(ch), c.Notify.Templates) {
			p := api.Problem{File: t.File, Line: t.Line, Column: min(t.Line, 1), Error: t.What, Hint: "docs/notify.md lists what templates can use"}
			if key := fmt.Sprint(p); !seen[key] {
				seen[key] = true
				out = append(out, p)
			}
		}
	}
	return out
}

// templatesOf is a channel as far as its templates go.
func templatesOf(c config.Channel) notify.Channel {
	text := func(s config.Secret) notify.Secret {
		return notify.Secret{File: s.File, Env: s.Env, Credential: s.Credential, Text: s.Text}
	}
	return notify.Channel{Name: c.Name, Mail: c.Mail, SMS: c.SMS, Voice: c.Voice, URL: text(c.URL), Webhook: text(c.Webhook), Syslog: c.Syslog, Type: c.Type}
}

// secretProblem reads a secret as the daemon would, and returns why it cannot.
func secretProblem(getenv func(string) string) func(config.Secret) error {
	return func(s config.Secret) error {
		if s.Credential != "" && strings.TrimSpace(getenv("CREDENTIALS_DIRECTORY")) == "" {
			return nil // only systemd can say, when it starts the daemon
		}
		_, err := notify.Secret{File: s.File, Env: s.Env, Credential: s.Credential, Text: s.Text}.Read(getenv)
		return err
	}
}
