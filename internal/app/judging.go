package app

import (
	"iter"

	"gatehouse/internal/config"
	"gatehouse/internal/detect"
	"gatehouse/internal/gate"
	"gatehouse/internal/ledger"
	"gatehouse/internal/policy"
)

// Judging is what a configuration says to policy, its watches aside: for the daemon,
// and for a replay.
func Judging(c *config.Config) policy.Config {
	p := policy.Config{
		Ladder: c.Ban, Forget: c.Forget, Services: servicesOf(c), Confirm: c.Ports.Confirm,
		Aggregate: policy.Aggregate{
			IPv4: policy.Grouping{Prefix: c.Aggregate.IPv4.Prefix, Offenders: c.Aggregate.IPv4.Offenders},
			IPv6: policy.Grouping{Prefix: c.Aggregate.IPv6.Prefix, Offenders: c.Aggregate.IPv6.Offenders},
		},
	}
	for _, n := range c.Networks {
		p.Networks = append(p.Networks, policy.Network{Name: n.Name, Match: n.Match, Ladder: n.Ban})
	}
	for _, s := range c.Scores {
		p.Watches = append(p.Watches, policy.Watch{Name: s.Name, Ladder: s.Ban, Ports: s.Ports, Noun: "event"})
	}
	for _, r := range c.Retire {
		p.Retire = append(p.Retire, policy.Retire{After: r.After, Rule: r.Rule, Network: r.Network, Origin: r.Origin})
	}
	return p
}

// Scores is what a configuration counts across watches.
func Scores(c *config.Config) (out []detect.Score) {
	for _, s := range c.Scores {
		d := detect.Score{Name: s.Name, Limit: float64(s.Limit), HalfLife: s.HalfLife, IPv4: s.IPv4, IPv6: s.IPv6, Addresses: s.Addresses, Weights: map[string]float64{}}
		for watch, points := range s.Weights {
			d.Weights[watch] = float64(points)
		}
		out = append(out, d)
	}
	return out
}

// recordsAtOnce is how many records are read at a time when policy asks for those of
// a network.
const recordsAtOnce = 5000

// inside tells policy what became of a network and of what lies in it.
func (d *daemon) inside(s gate.Subject) iter.Seq[gate.Record] {
	return func(yield func(gate.Record) bool) {
		q := ledger.Query{Subject: s, Covering: true, Verdicts: []gate.Verdict{gate.Ban, gate.Release}, Bare: true, Limit: recordsAtOnce}
		for {
			rs, err := d.ledger.Records(q)
			if err != nil {
				d.log.Error("read the records of a network", "subject", s, "err", err)
				return
			}
			for _, r := range rs {
				if !yield(r) {
					return
				}
				q.After = r.Seq
			}
			if len(rs) < recordsAtOnce {
				return
			}
		}
	}
}
