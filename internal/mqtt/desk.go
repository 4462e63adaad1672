package mqtt

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/eclipse/paho.golang/paho"
)

// received looks at one message: a discovery document of ours that somebody
// changed, or a command.
func (f *Follower) received(p *paho.Publish) {
	if strings.HasPrefix(p.Topic, f.c.Discovery+"/") && strings.HasSuffix(p.Topic, "/config") {
		f.mu.Lock()
		if f.have != nil {
			if have, known := f.have[p.Topic]; known && !bytes.Equal(have, p.Payload) || !known && len(p.Payload) > 0 {
				if len(p.Payload) == 0 {
					delete(f.have, p.Topic)
				} else {
					f.have[p.Topic] = bytes.Clone(p.Payload)
				}
				f.mu.Unlock()
				f.nudge()
				return
			}
		}
		f.mu.Unlock()
		return
	}
	if p.Retain {
		f.d.Log.Warn("mqtt: a command that the broker had stored is ignored", "topic", p.Topic)
		return
	}
	if !f.admit() {
		return
	}
	select {
	case f.commands <- request{p.Topic, bytes.Clone(p.Payload[:min(len(p.Payload), maxCommand+1)])}:
	default: // too many wait
	}
}

// admit reports whether one more command fits into the rate.
func (f *Follower) admit() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if f.counted.IsZero() {
		f.tokens = commandRate
	} else {
		f.tokens = min(commandRate, f.tokens+now.Sub(f.counted).Seconds()*commandRate)
	}
	f.counted = now
	if f.tokens < 1 {
		return false
	}
	f.tokens--
	return true
}

// desk takes commands, one after the other, until ctx ends.
func (f *Follower) desk(ctx context.Context, client *paho.Client) {
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-f.commands:
			a := f.handle(ctx, r)
			if b, err := json.Marshal(a); err == nil {
				soon, cancel := context.WithTimeout(ctx, 10*time.Second)
				_, err = client.Publish(soon, &paho.Publish{Topic: f.base + "/answer", Payload: b, QoS: 1})
				cancel()
				if err != nil && ctx.Err() == nil {
					f.d.Log.Warn("mqtt: answer a command", "err", err)
				}
			}
			f.nudge()
		}
	}
}

// handle does what a message to a command topic asks for.
func (f *Follower) handle(ctx context.Context, r request) Answer {
	if r.topic == f.base+"/command" {
		c, err := parseCommand(r.payload)
		if err != nil {
			return Answer{Command: c.Command, Subject: c.Subject, ID: c.ID, Refused: err.Error()}
		}
		return f.answer(ctx, c)
	}
	f.mu.Lock()
	do := f.set[r.topic]
	f.mu.Unlock()
	id := strings.TrimSuffix(strings.TrimPrefix(r.topic, f.base+"/"), "/set")
	a := Answer{Command: id}
	switch {
	case do == nil:
		a.Refused = "nothing takes commands there, or they are not allowed"
	case len(r.payload) > maxCommand:
		a.Refused = "the command is longer than 4 kB"
	default:
		if err := do(ctx, string(r.payload)); err != nil {
			a.Refused = err.Error()
		} else {
			a.Changed = true
		}
	}
	return a
}
