package firewall

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"time"

	"gatehouse/internal/gate"
)

// PortRule closes or opens ports. The first rule of the list that matches a
// packet decides; ports that no rule names are none of the firewall's business.
//
// A closing takes effect on live connections too, in both directions. An
// opening that has an end and no Cut also lets live connections go on, before
// and behind its end: as long as the rule is in the list, even if its Until is
// past, until the daemon leaves it out or puts a closing in front of it.
type PortRule struct {
	Verdict   gate.Verdict   // Close or Open
	Ports     gate.Ports     // at least one
	Direction gate.Direction // In: connections to this machine, published ports of containers included; Out: connections that its own programs open
	From      netip.Prefix   // who opens the connection; zero = anybody
	To        netip.Prefix   // towards which address; zero = any
	Until     time.Time      // when it ends, by the kernel's own clock; zero = it stays
	Pending   bool           // goes in front of all that are not pending; it needs Until, the end of the time to confirm
	Cut       bool           // when an opening ends, live connections end with it
	EvenNever bool           // a closing that binds also those whom the guard against locking out exempts
	Name      string         // whose packets are counted together; "" = they are counted in the sum alone
}

func (r *PortRule) equal(o *PortRule) bool {
	return r.Verdict == o.Verdict && r.Ports.Equal(o.Ports) && r.Direction == o.Direction && r.From == o.From && r.To == o.To &&
		r.Until.Equal(o.Until) && r.Pending == o.Pending && r.Cut == o.Cut && r.EvenNever == o.EvenNever && r.Name == o.Name
}

// check returns what is wrong with a rule, and puts its prefixes into the form
// that the rest of the package expects.
func (r *PortRule) check() error {
	switch {
	case r.Verdict != gate.Close && r.Verdict != gate.Open:
		return fmt.Errorf("its verdict is %q, not close or open", r.Verdict)
	case r.Ports.IsEmpty():
		return errors.New("it names no port")
	case r.Direction != gate.In && r.Direction != gate.Out:
		return errors.New("it has no direction")
	case r.Pending && r.Until.IsZero():
		return errors.New("it is pending and has no end")
	}
	for _, p := range []*netip.Prefix{&r.From, &r.To} {
		if *p == (netip.Prefix{}) {
			continue
		}
		u, ok := gate.UnmapPrefix(*p)
		if !ok {
			return fmt.Errorf("%v is not a usable prefix", *p)
		}
		*p = u.Masked()
	}
	if r.From.IsValid() && r.To.IsValid() && r.From.Addr().Is6() != r.To.Addr().Is6() {
		return fmt.Errorf("nothing goes from %v to %v: one is IPv4, the other IPv6", r.From, r.To)
	}
	return nil
}

// SetPorts replaces all port rules and is in force when it returns: everything
// is made beside the old rules and swapped in by one transaction. What cannot
// be a rule, and what this kernel cannot do, is refused whole: the old rules
// stand then. After another error of the kernel the new ones are wanted, and
// Run tries again. Where nothing is enforced (before Load, in observe mode,
// while the emergency file exists) the rules are kept for later.
//
// At start call it before Load: so the rules are in force from the first moment.
func (f *Firewall) SetPorts(rules []PortRule) error {
	rules = slices.Clone(rules)
	for i := range rules {
		if err := rules[i].check(); err != nil {
			return fmt.Errorf("port rule %d (%s %s): %w", i+1, rules[i].Verdict, rules[i].Ports, err)
		}
	}
	slices.SortStableFunc(rules, func(a, b PortRule) int { return order(b.Pending) - order(a.Pending) })
	f.mu.Lock()
	defer f.unlock()
	g := f.gates
	if slices.EqualFunc(rules, g.rulesWanted, func(a, b PortRule) bool { return a.equal(&b) }) && f.fault == nil {
		return nil
	}
	wanted := g.items
	items := make([]gateItem, len(rules))
	for i := range rules {
		items[i] = gateItem{PortRule: &rules[i], ends: f.deadline(rules[i].Until)}
	}
	if err := fits(items, f.clock()); err != nil {
		return err
	}
	old := g.rulesWanted
	g.rulesWanted, g.items = rules, items
	if f.config.Observe {
		f.log.Info("observe: would set port rules", "rules", len(rules))
	}
	if !f.writable() {
		return nil
	}
	err := f.replace(g)
	if err == nil {
		return nil
	}
	if !notSupported(err) {
		f.fail("change the port rules", err)
		return f.fault
	}
	g.rulesWanted, g.items = old, wanted
	if err := f.rebuild(); err != nil {
		f.fail("put the old port rules back", err)
	}
	return &Error{"change the port rules", fmt.Errorf("%w: %w", ErrUnavailable, err), hintFib}
}

const hintFib = "load the kernel's modules nft_fib_inet and nft_ct (modprobe -a nft_fib_inet nft_ct), or use a kernel that has them"

func order(first bool) int {
	if first {
		return 1
	}
	return 0
}

// fits refuses what would cost every packet too much.
func fits(items []gateItem, now time.Duration) error {
	for _, d := range []gate.Direction{gate.In, gate.Out} {
		if n := len(layOut(items, d, now, false)); n > maxLayers {
			return fmt.Errorf("the port rules for connections %s need %d look-ups of each packet, more than %d: use fewer different addresses", d, n, maxLayers)
		}
	}
	return nil
}

// maxLayers bounds what one packet to a gated port may cost, in look-ups of
// about 20 ns. Ports do not count, different addresses do.
const maxLayers = 256

// PortCounters returns what was stopped by closings and let in by openings, by
// the Name of their rules. A name's counter goes on as long as the name is in
// use, over restarts of the daemon too.
func (f *Firewall) PortCounters() map[string]Counter {
	f.mu.Lock()
	defer f.unlock()
	f.readParts()
	out := make(map[string]Counter, len(f.gates.counts))
	for name, o := range f.gates.counts {
		out[name] = o.total()
	}
	return out
}

// counterOf is the name of a counter in the kernel. Names of rules are free
// text, names of objects are not; the same text gives the same name after a
// restart.
func counterOf(name string) string {
	h := fnv.New64a()
	h.Write([]byte(name))
	return fmt.Sprintf("gate-%016x", h.Sum64())
}

// counterPorts counts everything that closings stop.
const counterPorts = "ports"

// PortStatus is the port rules in a few numbers.
type PortStatus struct {
	Rules   int `json:"rules"`   // wanted
	Pending int `json:"pending"` // of them, those that wait for a confirmation
	Ports   int `json:"ports"`   // pairs of protocol and port that a closing names
	Lookups int `json:"lookups"` // what a packet to a port costs at most, in look-ups
}

func (g *gates) status() (s PortStatus) {
	s.Rules = len(g.rulesWanted)
	var closed gate.Ports
	for i := range g.rulesWanted {
		r := &g.rulesWanted[i]
		if r.Pending {
			s.Pending++
		}
		if r.Verdict == gate.Close {
			closed = closed.Union(r.Ports)
		}
	}
	s.Ports = closed.Len()
	for i := range g.ways {
		s.Lookups = max(s.Lookups, len(g.ways[i].layers))
	}
	return s
}

// read takes in the counters of the table.
func (g *gates) read(now map[string]Counter) {
	if c, ok := now[counterPorts]; ok {
		g.sum.read(c)
	}
	for name, o := range g.counts {
		if c, ok := now[counterOf(name)]; ok {
			o.read(c)
		}
	}
}
