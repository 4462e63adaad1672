package api

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

func TestPortAskingWish(t *testing.T) {
	for _, c := range []struct {
		in   PortAsking
		want string // of the wish, or of the error
	}{
		{PortAsking{Do: "close", What: []string{"80"}}, "close in 0s"},
		{PortAsking{Do: "open", What: []string{"ssh"}, Direction: "out", For: "30m", Cut: true, From: "192.0.2.7", To: "2001:db8::/32"}, "open out 30m0s cut from 192.0.2.7/32 to 2001:db8::/32"},
		{PortAsking{Do: "reset", What: []string{"ssh"}}, "release in 0s"},
		{PortAsking{Do: "close", Direction: "up"}, `"up" is not a direction`},
		{PortAsking{Do: "close", For: "0s"}, "0s is no time at all"},
		{PortAsking{Do: "close", For: "soon"}, `"soon" is not a duration`},
		{PortAsking{Do: "close", From: "example.org"}, "not an address"},
		{PortAsking{Do: "close", To: "port:1/in"}, "only an address or a prefix"},
		{PortAsking{Do: "reset", For: "1h"}, "what is taken back has no duration"},
		{PortAsking{Do: "close", For: "1h", Cut: true}, "only an opening that ends"},
		{PortAsking{Do: "open", Cut: true}, "only an opening that ends"},
		{PortAsking{Do: "open", For: "forever", Cut: true}, "only an opening that ends"},
	} {
		w, err := c.in.wish()
		got := fmt.Sprintf("%v %v %v", w.Verdict, w.Direction, w.For)
		if w.Cut {
			got += " cut"
		}
		if w.From.IsValid() {
			got += " from " + w.From.String()
		}
		if w.To.IsValid() {
			got += " to " + w.To.String()
		}
		if err != nil {
			got = err.Error()
		}
		if got != c.want && (err == nil || !strings.Contains(got, c.want)) {
			t.Errorf("%+v: %s, want %s", c.in, got, c.want)
		}
	}
	if err := (PortAsking{Do: "close", What: []string{"ssh", "0"}}).Check(); err == nil {
		t.Error("port 0 passes")
	}
}

// What a client asks reaches the backend, with who asked, and comes back.
func TestPortsOverTheSocket(t *testing.T) {
	var asked PortWish
	var at time.Time
	b := (&fake{}).backend()
	b.AskPorts = func(_ context.Context, w PortWish) ([]PortAnswer, error) {
		asked = w
		return []PortAnswer{{Answer: Answer{Subject: "port:22/tcp/in", Changed: true}, Service: "ssh", Confirm: TimeOf(noon)}}, nil
	}
	b.Ports = func(_ context.Context, t time.Time) ([]Port, error) {
		at = t
		return nil, nil
	}
	b.ConfirmPorts = func(_ context.Context, by string) (int, error) { return len(by), nil }
	s := New(Config{Socket: filepath.Join(t.TempDir(), "s")}, b, slog.New(slog.DiscardHandler))
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1) // one send, by Run's goroutine
	go func() { ended <- s.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	c := NewClient(s.config.Socket)
	defer c.Close()
	answers, err := c.AskPorts(ctx, PortAsking{Do: "open", What: []string{"ssh"}, For: "30m"})
	if err != nil || len(answers) != 1 || answers[0].Service != "ssh" || !answers[0].Changed || !answers[0].Confirm.Equal(noon) {
		t.Errorf("%+v, %v", answers, err)
	}
	if asked.Verdict != gate.Open || asked.Caller.PID == 0 || asked.Caller.Right != RightWrite || asked.For != 30*time.Minute {
		t.Errorf("asked for %+v", asked)
	}
	if list, err := c.Ports(ctx, noon); err != nil || list == nil || !at.Equal(noon) {
		t.Errorf("%v, %v at %v", list, err, at)
	}
	if done, err := c.ConfirmPorts(ctx); err != nil || done.Changes == 0 {
		t.Errorf("%+v, %v", done, err)
	}
	if _, err := c.AskPorts(ctx, PortAsking{Do: "shut", What: []string{"ssh"}}); err == nil {
		t.Error("a verb that is none passes")
	}
}
