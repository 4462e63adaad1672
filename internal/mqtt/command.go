package mqtt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"gatehouse/internal/gate"
)

// Command is a wish from the broker.
type Command struct {
	Command string `json:"command"`          // ban, unban, open or close
	Subject string `json:"subject"`          // an address or prefix; of open and close, the name of a service
	For     string `json:"for,omitempty"`    // how long, as 1h30m; "" = the default
	Reason  string `json:"reason,omitempty"` // in the asker's words
	ID      string `json:"id,omitempty"`     // is repeated in the answer
}

// Answer is what became of it.
type Answer struct {
	ID      string `json:"id,omitempty"`
	Command string `json:"command"`
	Subject string `json:"subject"`
	Changed bool   `json:"changed"`
	Refused string `json:"refused,omitempty"` // why not
}

// Bounds of commands.
const (
	maxCommand  = 4 << 10          // bytes of one
	maxReason   = 200              // bytes of its reason
	commandTime = 10 * time.Second // for what it leads to
	commandRate = 5                // a second; more are dropped
	maxWaiting  = 16               // that wait their turn; more are dropped
)

// rightOf says which right of the configuration a command needs.
var rightOf = map[string]string{"ban": "ban", "unban": "unban", "open": "ports", "close": "ports"}

// may reports whether the configuration gives a right.
func (f *Follower) may(right string) bool { return slices.Contains(f.c.Commands, right) }

// parseCommand reads a command: one JSON document with no unknown key, within
// bounds.
func parseCommand(payload []byte) (Command, error) {
	var c Command
	if len(payload) > maxCommand {
		return c, errors.New("the command is longer than 4 kB")
	}
	d := json.NewDecoder(bytes.NewReader(payload))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return Command{}, errors.New(`this is not a command: write {"command": "ban", "subject": "192.0.2.7", "for": "1h", "reason": "..."}`)
	}
	if _, err := d.Token(); err != io.EOF {
		return Command{}, errors.New("there is something behind the command")
	}
	return c, c.check()
}

// check wants a command that can be asked for.
func (c *Command) check() error {
	switch {
	case rightOf[c.Command] == "":
		return fmt.Errorf("%s is not a command: there are ban, unban, open and close", short(c.Command))
	case len(c.Reason) > maxReason || len(c.ID) > 64:
		return errors.New("the reason or the id is too long")
	}
	if c.For != "" {
		if _, err := gate.ParseDuration(c.For); err != nil {
			return err
		}
	}
	if rightOf[c.Command] == "ports" {
		if !gate.IsName(c.Subject) {
			return fmt.Errorf("%s is not the name of a service", short(c.Subject))
		}
		return nil
	}
	s, err := gate.ParseSubject(c.Subject)
	if err != nil {
		return err
	}
	if !s.IsNet() {
		return fmt.Errorf("%s is not an address", short(c.Subject))
	}
	return nil
}

// obey passes a command on, if the configuration allows it.
func (f *Follower) obey(ctx context.Context, c Command) error {
	a := f.answer(ctx, c)
	if a.Refused != "" {
		return errors.New(a.Refused)
	}
	return nil
}

// answer passes a command on and says what became of it.
func (f *Follower) answer(ctx context.Context, c Command) Answer {
	a := Answer{ID: c.ID, Command: c.Command, Subject: c.Subject}
	if err := c.check(); err != nil {
		a.Refused = err.Error()
		return a
	}
	if !f.may(rightOf[c.Command]) {
		a.Refused = "commands of this kind are not allowed: see mqtt: commands: in the configuration of Gatehouse"
		return a
	}
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	changed, err := f.d.Ask(ctx, c)
	if err != nil {
		a.Refused = err.Error()
	}
	a.Changed = changed
	return a
}
