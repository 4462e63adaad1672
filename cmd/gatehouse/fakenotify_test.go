package main

import (
	"context"
	"time"

	"gatehouse/internal/api"
)

// notify is a daemon that tells people by two channels, of which one fails.
func (d *fakeDaemon) notify() api.Notify {
	next := d.now.Add(40 * time.Second)
	return api.Notify{
		Queue: func() []api.Waiting {
			return []api.Waiting{
				{ID: "812/mail", Channel: "mail", Kind: "ban", Severity: "notice", Title: "327 bans (sshd)", Records: 327, Since: d.now.Add(-time.Hour), Next: &next, Tries: 6, Error: "mail server smtp.example.org: connection refused", State: "failing"},
				{Channel: "phone", Kind: "ban", Severity: "notice", Title: "2 bans (sshd)", Records: 2, Since: d.now.Add(-time.Minute), Next: &next, State: "gathering"},
			}
		},
		Test: func(_ context.Context, channel string) (api.Tested, error) {
			switch channel {
			case "phone":
				return api.Tested{Channel: channel, Answer: "HTTP/1.1 200 OK {\"id\":\"1\"}", Seconds: 0.42}, nil
			case "mail":
				return api.Tested{}, &api.Error{Message: "mail server smtp.example.org: connection refused", Hint: "gatehouse status shows how each channel fares"}
			}
			return api.Tested{}, &api.Error{Message: "\"" + channel + "\": there is no such channel: there are mail, phone"}
		},
	}
}

// channels are how they fare.
func (d *fakeDaemon) channels() []api.Channel {
	since, next := d.now.Add(-time.Hour), d.now.Add(40*time.Second)
	return []api.Channel{
		{Name: "mail", Form: "mail", To: "you@example.org via smtp.example.org", State: "failing", Error: "connection refused", Since: &since, Next: &next, Waiting: 1, Records: 327, Sent: 12, Fallback: "phone"},
		{Name: "phone", Form: "push", To: "ntfy", State: "ok", Records: 2, Sent: 1},
	}
}
