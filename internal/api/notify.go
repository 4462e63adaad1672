package api

import (
	"context"
	"net/url"
	"time"
)

// Channel is how a way to people fares.
type Channel struct {
	Name     string     `json:"name" doc:"as configured"`
	Form     string     `json:"form" doc:"mail, sms, voice, push, webhook or syslog"`
	To       string     `json:"to" doc:"whom it reaches, without secrets"`
	State    string     `json:"state" enum:"ok,failing,off" doc:"off: it cannot be used as it is configured"`
	Error    string     `json:"error,omitempty" doc:"the last one"`
	ErrorAt  *time.Time `json:"error_at,omitempty" doc:"when that was"`
	Since    *time.Time `json:"since,omitempty" doc:"since when it fails"`
	Next     *time.Time `json:"next,omitempty" doc:"when it is tried again"`
	Waiting  int        `json:"waiting" doc:"messages that wait to be delivered"`
	Records  int        `json:"records" doc:"records in them, and in what still gathers"`
	Sent     int        `json:"sent" doc:"messages delivered since the start"`
	SentAt   *time.Time `json:"sent_at,omitempty" doc:"when the last one was"`
	Lost     int        `json:"lost" doc:"records that were given up after a day, since the start"`
	Fallback string     `json:"fallback,omitempty" doc:"the channel that takes over"`
}

// Broker is how the connection to the MQTT broker fares.
type Broker struct {
	Server    string    `json:"server" doc:"host and port"`
	Connected bool      `json:"connected" doc:"whether it is up"`
	Since     time.Time `json:"since" doc:"since when it is as it is"`
	Why       string    `json:"why,omitempty" doc:"why it is down"`
	Topics    int       `json:"topics" doc:"retained topics that are ours"`
}

// Waiting is one message that gathers or waits to be delivered.
type Waiting struct {
	ID       string     `json:"id,omitempty" doc:"delivery identifier, seq/channel; absent while it gathers"`
	Channel  string     `json:"channel" doc:"by which it goes"`
	Kind     string     `json:"kind" doc:"of the records in it"`
	Severity string     `json:"severity" doc:"info, notice, warning or critical"`
	Title    string     `json:"title" doc:"its headline"`
	Records  int        `json:"records" doc:"how many records it tells"`
	Since    time.Time  `json:"since" doc:"since when it gathers or waits"`
	Next     *time.Time `json:"next,omitempty" doc:"when it is closed or tried; absent = at once"`
	Tries    int        `json:"tries" doc:"how often it was tried"`
	Error    string     `json:"error,omitempty" doc:"why the last try failed"`
	State    string     `json:"state" enum:"gathering,waiting,failing" doc:"what it does"`
}

// Tested is what became of a test message.
type Tested struct {
	Channel string  `json:"channel" doc:"which"`
	Answer  string  `json:"answer" doc:"what the server answered"`
	Seconds float64 `json:"seconds" doc:"how long that took"`
}

// Notify is what the daemon can be asked about telling people.
type Notify struct {
	// Queue returns what gathers and waits.
	Queue func() []Waiting
	// Test sends a real message through a channel.
	Test func(ctx context.Context, channel string) (Tested, error)
}

func (s *Server) notifyQueue(context.Context, *nothing) ([]Waiting, error) {
	return append([]Waiting{}, s.backend.Notify.Queue()...), nil
}

type testInput struct {
	Channel string `query:"channel" required:"true" doc:"name of the channel"`
}

func (s *Server) notifyTest(ctx context.Context, in *testInput) (Tested, error) {
	return s.backend.Notify.Test(ctx, in.Channel)
}

// NotifyQueue returns what waits to be told.
func (c *Client) NotifyQueue(ctx context.Context) (list []Waiting, err error) {
	return list, c.call(ctx, "GET", "/v1/notify/queue", nil, &list)
}

// NotifyTest sends a test message through a channel.
func (c *Client) NotifyTest(ctx context.Context, channel string) (t Tested, err error) {
	return t, c.call(ctx, "POST", "/v1/notify/test?channel="+url.QueryEscape(channel), nil, &t)
}
