package policy

import (
	"cmp"
	"slices"
	"time"

	"gatehouse/internal/gate"
)

// Config says how to judge. A zero value means its default.
type Config struct {
	Watches    []Watch
	Ladder     []time.Duration // for watches without one of their own; default 10m, 1h, 1d, 1w
	Forget     time.Duration   // an offence longer ago than this no longer counts; default 90d; gate.Forever = never forgotten
	IPv6Prefix int             // bits of an IPv6 address that are banned together; default 64
	Services   []Service       // named ports and their resting state
	Confirm    time.Duration   // until a change that cuts the asker's own session is taken back unconfirmed; default 60s
	ManualFor  time.Duration   // how long a ban by command lasts that says nothing; default gate.Forever
	MaxBans    int             // live bans; default 1,000,000 (about 300 bytes each). At the bound the ban that ends first makes room
	Networks   []Network       // parts of the address space with a ladder of their own; the first that covers a subject counts
	Aggregate  Aggregate       // when many offenders of one network become one ban; default never
	Retire     []Retire        // which bans end early, those without an end included; the first that fits counts
}

// Watch is how findings of one watch are judged.
type Watch struct {
	Name   string
	Ladder []time.Duration // ban by offence: first, second, ...; the last step stays; gate.Forever may end it
	Ports  gate.Ports      // what is closed to an offender; empty = all
	Noun   string          // one of what it counts, as in "failed login"; default "failure"
	Scan   bool            // it counts probes of ports: see scan.go
	Hold   time.Duration   // of such a watch: how long forgeable evidence shuts out
}

// defaultLadder is short enough for a mistake and long enough for a pest.
var defaultLadder = []time.Duration{10 * time.Minute, time.Hour, gate.Day, gate.Week}

// The bounds of what evidence that anyone can forge may lead to, and of a ban
// that ends.
const (
	maxForgeable = 10 * time.Minute
	maxLife      = 100 * 365 * gate.Day // longer is forever
)

func (c Config) withDefaults() Config {
	c.Ladder = ladder(c.Ladder, defaultLadder)
	c.Forget = cmp.Or(c.Forget, 90*gate.Day)
	c.IPv6Prefix = cmp.Or(c.IPv6Prefix, 64)
	c.ManualFor = cmp.Or(c.ManualFor, gate.Forever)
	c.MaxBans = cmp.Or(c.MaxBans, 1_000_000)
	c.Watches = slices.Clone(c.Watches)
	c.Aggregate.IPv4 = c.Aggregate.IPv4.bounded(32)
	c.Aggregate.IPv6 = c.Aggregate.IPv6.bounded(128)
	for i := range c.Watches {
		c.Watches[i].Ladder = ladder(c.Watches[i].Ladder, c.Ladder)
		c.Watches[i].Noun = cmp.Or(c.Watches[i].Noun, "failure")
	}
	return c
}

// ladder returns steps without those that are no duration, or other if none is
// left.
func ladder(steps, other []time.Duration) []time.Duration {
	steps = slices.DeleteFunc(slices.Clone(steps), func(d time.Duration) bool { return d <= 0 })
	if len(steps) == 0 {
		return other
	}
	return steps
}

// step returns how long the n-th offence is banned, n from 1.
func (w *Watch) step(n int) time.Duration {
	return w.Ladder[min(max(n, 1), len(w.Ladder))-1]
}

// watch returns how to judge findings of this name; one that is no longer
// configured is judged by the defaults.
func (p *Policy) watch(name string) *Watch {
	if w := p.watches[name]; w != nil {
		return w
	}
	return &p.other
}
