package config

import (
	"time"

	"gatehouse/internal/gate"
)

// Score is one entry of scores: a count across watches that fades.
type Score struct {
	Name     string         `key:"name" required:"true" example:"pest" check:"word" doc:"What the score is called in reasons and messages. No watch may have the same name."`
	Limit    int            `key:"limit" required:"true" min:"1" example:"20" doc:"How many points lead to a ban."`
	HalfLife time.Duration  `key:"half_life" default:"1h" example:"1h" check:"half" doc:"How long until points are worth half as much."`
	Weights  map[string]int `key:"weights" required:"true" example:"{sshd: 2, web-probes: 1}" min:"1" doc:"How many points a failure adds, by the watch that saw it; scan is what the traps and thresholds for ports saw. Watches that are not named add none."`
	// IPv4 and IPv6 are 0 for single addresses.
	IPv4 int `key:"ipv4" default:"0" min:"0" max:"32" example:"24" doc:"Length of the networks of IPv4 whose addresses are scored and banned together. 0 is the single address."`
	IPv6 int `key:"ipv6" default:"0" min:"0" max:"128" example:"48" doc:"The same for IPv6. 0 is the /64 that is counted together in any case."`
	// Addresses is at least 1.
	Addresses int `key:"addresses" default:"1" min:"1" max:"64" example:"4" doc:"How many different addresses of such a network must have added points: with 2 or more it sees those who take turns, each of them below every threshold."`
	// Ban is empty where the default ladder is meant.
	Ban []time.Duration `key:"ban" example:"[1h, 1d, 1w]" check:"ladder" doc:"How long a ban lasts: the first time, the second time, and so on. Default: the general ladder."`
	// Ports is what a ban closes; empty closes all.
	Ports gate.Ports `key:"ports" example:"[22/tcp]" doc:"Ports that a ban closes; empty closes all of them."`
}

// widestScore4 and widestScore6 bound how much may be banned together.
const (
	widestScore4 = 16
	widestScore6 = 32
)

func (s *Score) check(d *decoder, n *node) {
	for _, f := range []struct {
		key          string
		bits, widest int
	}{{"ipv4", s.IPv4, widestScore4}, {"ipv6", s.IPv6, widestScore6}} {
		if at := n.get(f.key); at != nil && f.bits > 0 && f.bits < f.widest {
			d.problem(at, "write "+itoa(f.widest)+" or more, or 0 for single addresses", "a ban of a whole /%d would be wider than any may be", f.bits)
		}
	}
	if at := n.get("addresses"); at != nil && s.Addresses > 1 && s.IPv4 == 0 && s.IPv6 == 0 {
		d.problem(at, "add ipv4: 24, or remove it", "%d addresses of one address", s.Addresses)
	}
}

// checkScores checks that names are not used twice.
func (c *Config) checkScores(d *decoder, n *node) {
	ss := n.get("scores")
	if ss == nil || ss.kind != list {
		return
	}
	first := map[string]*node{}
	for _, w := range c.Watch {
		if w.Rule != "" {
			first[w.Rule] = nil
		}
	}
	for _, e := range ss.items {
		name := e.get("name")
		if name == nil || name.kind != text {
			continue
		}
		switch f, taken := first[name.text]; {
		case !taken:
			first[name.text] = name
		case f == nil:
			d.problem(name, "choose another name", "a watch has the name %s already", gate.Quote(name.text, 64))
		default:
			d.problem(name, "choose another name", "line %d has the name %s already", f.line, gate.Quote(name.text, 64))
		}
	}
}
