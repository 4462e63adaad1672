package app

import (
	"context"
	"errors"
	"time"

	"gatehouse/internal/api"
	"gatehouse/internal/config"
	"gatehouse/internal/gate"
	"gatehouse/internal/ledger"
	"gatehouse/internal/mqtt"
	"gatehouse/internal/notify"
	"gatehouse/internal/policy"
)

// keepMQTT names this part.
const keepMQTT = "mqtt"

// housing is the running follower of a broker, which a reload replaces whole.
type housing struct {
	follower *mqtt.Follower
	crew     *crew
	cancel   context.CancelFunc
}

// startMQTT starts showing the guard to a broker, if there is one.
func (d *daemon) startMQTT(ctx context.Context, p *plan) {
	c := p.config.MQTT
	if c.Server == "" {
		d.faults.report(keepMQTT, "", "")
		return
	}
	follower, err := d.newMQTT(c)
	if err != nil {
		d.faults.report(keepMQTT, "it is off: "+err.Error(), "correct it, then: gatehouse check && gatehouse reload")
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	h := &housing{follower: follower, crew: newCrew(d.log, d.faults), cancel: cancel}
	h.crew.start(ctx, task{keepMQTT, follower.Run})
	d.mu.Lock()
	d.housing = h
	d.mu.Unlock()
}

// newMQTT builds the follower of a broker.
func (d *daemon) newMQTT(c config.MQTT) (*mqtt.Follower, error) {
	password, err := secret(c.Password).Read(d.o.Getenv)
	if err != nil {
		return nil, err
	}
	return mqtt.New(mqtt.Config{
		Server: c.Server, User: c.User, Password: password, CA: c.CA, Topic: c.Topic, Discovery: c.Discovery,
		Commands: c.Commands, Host: hostName(), Version: d.o.Version,
	}, mqtt.Deps{
		Log: d.log, State: d.houseState, News: d.ledger.Committed, Ask: d.askMQTT,
		Fault: func(why, hint string) { d.faults.report(keepMQTT, why, hint) },
		More:  []mqtt.Source{panelHouse{d, c.Commands}},
	})
}

// stopMQTT says farewell to the broker.
func (d *daemon) stopMQTT() {
	d.mu.Lock()
	h := d.housing
	d.housing = nil
	d.mu.Unlock()
	if h != nil {
		h.cancel()
		h.crew.wait()
		d.faults.report(keepMQTT, "", "")
	}
}

// shownBans is how many bans the broker gets to see.
const shownBans = 10

// houseState is the guard as a house sees it.
func (d *daemon) houseState() mqtt.State {
	now := time.Now()
	var s mqtt.State
	var services []policy.PortState
	// A stopping daemon shows none.
	_ = d.spine.do(context.Background(), func() { s.Bans, services = d.spine.policy.Len(), d.spine.policy.Services(now) })
	fw, weak := d.firewall.Status(), d.weaknesses(d.sources())
	for _, w := range weak {
		if s.Problem = notify.Clean(w.Part+": "+w.Why, 250); w.Part != keepMQTT {
			break
		}
	}
	s.Mode = string(state(fw, len(weak) > 0))
	for _, v := range services {
		s.Services = append(s.Services, mqtt.Service{Name: v.Service.Name, Ports: v.Service.Ports.String(), Open: v.Open})
	}
	records, err := d.ledger.Records(ledger.Query{Verdicts: []gate.Verdict{gate.Ban}, Reverse: true, Limit: shownBans, Bare: true})
	if err != nil {
		d.log.Warn("mqtt: read the last bans", "err", err)
	}
	for _, r := range records {
		until := "forever"
		if !r.Until.IsZero() {
			until = r.Until.UTC().Format(time.RFC3339)
		}
		s.Recent = append(s.Recent, mqtt.Ban{Subject: r.Subject.String(), Since: r.Time.UTC(), Until: until, Rule: r.Rule, Why: notify.Clean(r.Why, 300)})
	}
	return s
}

// askMQTT brings a wish from the broker into the line.
func (d *daemon) askMQTT(ctx context.Context, c mqtt.Command) (bool, error) {
	length, err := gate.ParseDuration(c.For)
	if c.For != "" && err != nil {
		return false, err
	}
	ask := gate.Ask{For: length, Reason: notify.Clean(c.Reason, 200), By: keepMQTT}
	switch c.Command {
	case "open", "close":
		verdict := map[string]gate.Verdict{"open": gate.Open, "close": gate.Close}[c.Command]
		answers, err := d.askPorts(ctx, api.PortWish{Verdict: verdict, What: []string{c.Subject}, Direction: gate.In, For: length, Reason: ask.Reason, Named: keepMQTT})
		if err != nil || len(answers) == 0 {
			return false, err
		}
		return answers[0].Changed, refusal(answers[0].Refused)
	case "ban":
		ask.Verdict = gate.Ban
	case "unban":
		ask.Verdict = gate.Release
	}
	subject, err := gate.ParseSubject(c.Subject)
	if err != nil {
		return false, err
	}
	answers, err := d.ask(ctx, []api.Wish{{Subject: subject, Ask: ask}})
	if err != nil || len(answers) == 0 {
		return false, err
	}
	return answers[0].Changed, refusal(answers[0].Refused)
}

// refusal is why a wish was refused, as an error; nil for a wish that was granted.
func refusal(why string) error {
	if why == "" {
		return nil
	}
	return errors.New(why)
}

// mqttStatus is how the connection to the broker fares, for status.
func (d *daemon) mqttStatus() *api.Broker {
	d.mu.Lock()
	h := d.housing
	d.mu.Unlock()
	if h == nil {
		return nil
	}
	s := h.follower.Status()
	return &api.Broker{Server: s.Server, Connected: s.Up, Since: s.Since.UTC(), Why: s.Why, Topics: s.Topics}
}
