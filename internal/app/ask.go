package app

import (
	"context"
	"time"

	"gatehouse/internal/api"
	"gatehouse/internal/gate"
)

// ask carries wishes down the line as events and returns one answer each, in
// order, once what they changed is in the ledger.
func (d *daemon) ask(ctx context.Context, wishes []api.Wish) ([]gate.Answer, error) {
	var answers []gate.Answer
	committed := make(chan error, 1) // holds 1: the commit is told even if nobody waits any more
	err := d.spine.do(ctx, func() { answers = d.spine.ask(wishes, func(err error) { committed <- err }) })
	if err != nil {
		return nil, err
	}
	select {
	case err := <-committed:
		if err != nil {
			for i := range answers {
				if answers[i].Changed {
					answers[i].Note = "it is in force, but not on disk yet: " + err.Error()
				}
			}
		}
		d.scans.lift(wishes, answers)
		return answers, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// ask is the spine's part: done is called once, after the commit.
func (s *spine) ask(wishes []api.Wish, done func(error)) []gate.Answer {
	now := time.Now()
	answers := make([]gate.Answer, len(wishes))
	events, at := make([]gate.Event, 0, len(wishes)), make([]int, 0, len(wishes))
	for i := range wishes {
		w := &wishes[i]
		e := gate.Event{Time: now, Origin: s.command(), Rule: "command", Subject: w.Subject, Class: gate.ClassAsk, Evidence: gate.Proven, Ask: &w.Ask}
		if w.Name != "" && w.Subject.Kind() != gate.KindPort {
			answers[i] = s.allowName(e)
			continue
		}
		events, at = append(events, e), append(at, i)
	}
	findings := s.detect.Observe(events, now, nil)
	decisions, granted := s.policy.Decide(findings, now, s.here(now))
	for i, a := range granted {
		answers[at[i]] = a
	}
	exempt := false
	for i := range decisions {
		switch decisions[i].Verdict {
		case gate.Release:
			s.detect.Forget(decisions[i].Subject)
		case gate.Allow, gate.Disallow:
			exempt = true
		}
	}
	s.carry(decisions, done)
	if exempt {
		s.exempt()
	}
	return answers
}

// command returns the origin of one wish: this run of the daemon, and a number.
func (s *spine) command() gate.Origin {
	s.commands++
	return gate.Origin{Source: "command", Epoch: s.epoch, Offset: s.commands}
}
