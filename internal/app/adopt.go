package app

import (
	"context"
	"time"

	"gatehouse/internal/api"
	"gatehouse/internal/gate"
	"gatehouse/internal/ledger"
)

// adopter is who asks for bans that another program decided.
const adopter = "import"

// adopt takes over bans that another program decided. Those that are over are
// recorded as they are. Those in force are wished for what is left of their time,
// so that the allow list and the guard apply to them.
func (d *daemon) adopt(ctx context.Context, ds []gate.Decision) (api.Adopted, error) {
	out := api.Adopted{Refused: []api.Answer{}}
	now := time.Now()
	var past, live []gate.Decision
	for _, x := range ds {
		x.Time = earlier(x.Time, now)
		if x.Life(now) == 0 {
			past = append(past, x)
		} else {
			live = append(live, x)
		}
	}
	recorded := make(chan int, 1)    // holds 1: told even if nobody waits any more
	committed := make(chan error, 2) // holds both commits
	d.ledger.Append(ledger.Txn{Decisions: past, History: true, Done: func(rs []gate.Record, err error) {
		recorded <- len(rs)
		committed <- err
	}})
	var answers []gate.Answer
	if err := d.spine.do(ctx, func() { answers = d.spine.adopt(live, now, func(err error) { committed <- err }) }); err != nil {
		return out, err
	}
	for range 2 {
		select {
		case err := <-committed:
			if err != nil {
				return out, err
			}
		case <-ctx.Done():
			return out, ctx.Err()
		}
	}
	out.Recorded = <-recorded
	out.Unchanged = len(past) - out.Recorded
	for _, a := range answers {
		switch {
		case a.Refused != "":
			out.Refused = append(out.Refused, api.Answer{Subject: a.Subject.String(), Refused: a.Refused, Hint: a.Hint})
		case a.Changed:
			out.Banned++
		default:
			out.Unchanged++
		}
	}
	return out, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// adopt is the spine's part: each ban is a wish with an origin of its own, and what
// is granted keeps the time, the number and the words that it came with.
func (s *spine) adopt(live []gate.Decision, now time.Time, done func(error)) []gate.Answer {
	events := make([]gate.Event, len(live))
	type key struct {
		origin gate.Origin
		rule   string
	}
	was := map[key]*gate.Decision{}
	for i := range live {
		x := &live[i]
		ask := gate.Ask{Verdict: gate.Ban, For: x.Life(now), Ports: x.Scope.Ports, Reason: x.Why, By: adopter}
		events[i] = gate.Event{Time: now, Origin: x.Origin, Rule: x.Rule, Subject: x.Subject, Class: gate.ClassAsk, Evidence: gate.Proven, Ask: &ask}
		was[key{x.Origin, x.Rule}] = x
	}
	findings := s.detect.Observe(events, now, nil)
	decisions, answers := s.policy.Decide(findings, now, s.here(now))
	for i := range decisions {
		if x := was[key{decisions[i].Origin, decisions[i].Rule}]; x != nil && decisions[i].Verdict == gate.Ban {
			decisions[i].Offence, decisions[i].Why, decisions[i].Proof = x.Offence, x.Why, nil
		}
	}
	s.carry(decisions, done)
	return answers
}
