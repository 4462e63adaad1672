package app

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/api"
	"gatehouse/internal/config"
	"gatehouse/internal/firewall"
	"gatehouse/internal/gate"
	"gatehouse/internal/host"
	"gatehouse/internal/policy"
	"gatehouse/internal/ports"
)

// serviceNames are the names of ports that a configuration gives.
func serviceNames(c *config.Config) ports.Names {
	n := ports.Names{Services: map[string]gate.Ports{}}
	for name, s := range c.Services {
		n.Services[name] = s.Ports
	}
	return n
}

// servicesOf are the services of a configuration, by name.
func servicesOf(c *config.Config) (out []policy.Service) {
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		s := policy.Service{Name: name, Ports: c.Services[name].Ports, Rest: gate.Open}
		if c.Services[name].Rest == "closed" {
			s.Rest = gate.Close
		}
		out = append(out, s)
	}
	return out
}

// schedulesOf are the schedules of a configuration: an entry that names several
// services is several.
func schedulesOf(c *config.Config) (out []ports.Schedule, entry []int, problems []config.PortsProblem) {
	names := serviceNames(c)
	for i, e := range c.Ports.Schedule {
		bad := func(key string, err error, hint string) {
			problems = append(problems, config.PortsProblem{Schedule: i, Key: key, What: err.Error(), Hint: hint})
		}
		s := ports.Schedule{Name: e.Name, Verdict: gate.Close, Direction: gate.In, For: e.For, Cut: e.Cut, Text: e.From}
		if s.Name == "" {
			s.Name = fmt.Sprintf("schedule-%d", i+1)
		}
		what, key := e.Close, "close"
		if e.Open != "" {
			s.Verdict, what, key = gate.Open, e.Open, "open"
		}
		if e.Direction == "out" {
			s.Direction = gate.Out
		}
		var err error
		if s.From, err = ports.ParseCron(e.From); err != nil {
			bad("from", err, `write minute, hour, day, month and day of the week: "30 17 * * 1-5"`)
			continue
		}
		if s.Zone, err = ports.LoadZone(e.Zone); err != nil {
			bad("zone", err, "write it as Europe/Berlin or UTC")
			continue
		}
		if gap, is := s.TooLong(time.Now()); is {
			bad("for", fmt.Errorf("it begins again after %s, before it is over", gate.FormatDuration(gap)), "make it shorter than that; what never ends is for services: rest, or a command")
			continue
		}
		list, err := names.Resolve(strings.Fields(what))
		if err != nil {
			bad(key, err, "write services and ports, as in ssh 80,443")
			continue
		}
		for _, v := range list {
			one := s
			one.Service, one.Ports = v.Service, v.Ports
			if len(list) > 1 {
				one.Name += "/" + cmp.Or(v.Service, "ports")
			}
			out, entry = append(out, one), append(entry, i)
		}
	}
	return out, entry, problems
}

// PortsProblems is what the configuration asks about its sections services and
// ports.
func PortsProblems(c *config.Config) []config.PortsProblem {
	_, _, problems := schedulesOf(c)
	return problems
}

// PortsOverlaps says which schedules want something of the same ports at once:
// those that contradict each other as problems, the others as remarks.
func PortsOverlaps(c *config.Config) (contrary []config.PortsProblem, remarks []string) {
	list, entry, _ := schedulesOf(c)
	for _, o := range ports.Overlaps(list, time.Now()) {
		a, b := &list[o.A], &list[o.B]
		if entry[o.A] == entry[o.B] {
			continue
		}
		what := fmt.Sprintf("the schedules %s and %s overlap on %s, first at %s", a.Name, b.Name, o.Ports, o.At.In(a.Zone).Format("2006-01-02 15:04 MST"))
		if !o.Contrary {
			remarks = append(remarks, what)
			continue
		}
		contrary = append(contrary, config.PortsProblem{
			Schedule: entry[o.B], Key: "from", What: what + ": one closes and the other opens",
			Hint: "the later one wins then; change a time, or the ports",
		})
	}
	return contrary, remarks
}

// scheduled is what schedules want at a time.
func scheduled(list []ports.Schedule, now time.Time) (out []policy.Scheduled) {
	for i := range list {
		s := &list[i]
		since, until, ok := s.Active(now)
		if !ok {
			continue
		}
		out = append(out, policy.Scheduled{
			Name: s.Name, Verdict: s.Verdict, Ports: s.Ports, Service: s.Service, Place: policy.PortPlace{Direction: s.Direction},
			Since: since, Until: until, Cut: s.Cut, Origin: gate.Origin{Source: "schedule:" + s.Name, Epoch: s.Epoch(), Offset: since.Unix()},
		})
	}
	return out
}

// gating is the spine's part of ports.
type gating struct {
	schedules []ports.Schedule
	due       time.Time // when one of them begins or ends; zero = never
	revision  uint64    // of policy's ports that the firewall has
	set       bool      // it has any
	err       error     // of the firewall, when it was last set; nil = it is in force
	failed    func(error)
	changed   func() // what holds for ports may be another; may be nil
}

// schedule tells policy what the schedules want now, and returns what follows.
func (s *spine) schedule(now time.Time) []gate.Decision {
	s.gates.due = ports.Next(s.gates.schedules, now)
	return s.policy.SetSchedule(scheduled(s.gates.schedules, now), now)
}

// gate makes the firewall's port rules what policy wants, if that has changed.
func (s *spine) gate(now time.Time) {
	g, revision := &s.gates, s.policy.PortsRevision()
	if g.set && g.revision == revision {
		return
	}
	g.revision, g.set = revision, true
	g.err = s.firewall.SetPorts(portRules(s.policy.PortRules(now)))
	if g.failed != nil {
		g.failed(g.err)
	}
	if g.changed != nil {
		g.changed()
	}
}

// portRules are the rules of policy as the firewall wants them. A closing is for
// everybody: whom the guard against locking out knows was asked to confirm it.
func portRules(list []policy.PortRule) []firewall.PortRule {
	out := make([]firewall.PortRule, len(list))
	for i, r := range list {
		out[i] = firewall.PortRule{
			Verdict: r.Verdict, Ports: r.Ports, Direction: r.Direction, From: r.From, To: r.To, Until: r.Until,
			Pending: r.Pending, Cut: r.Cut, EvenNever: r.Verdict == gate.Close, Name: r.Name,
		}
	}
	return out
}

// restorePorts brings policy and firewall to what was said about ports, before
// anything else of the kernel is loaded. It returns what the schedules began
// meanwhile.
func (d *daemon) restorePorts(now time.Time) []gate.Decision {
	s := d.spine
	s.gates.failed = d.portsFailed
	s.gates.schedules, _, _ = schedulesOf(d.plan.Load().config)
	said, err := d.ledger.PortsLeft()
	if err != nil {
		d.log.Error("read what was said about ports", "err", err)
	}
	for _, live := range said {
		s.policy.Restore(live.Record, live.FromThisBoot) // what is over may have let in what still lives
	}
	s.policy.Advance(now, d.host.Snapshot()) // what it returns was told when it ended
	ds := s.schedule(now)
	s.gate(now)
	return ds
}

// wouldCut refuses a plan whose resting states would cut somebody off who is
// logged in by SSH now.
func (d *daemon) wouldCut(ctx context.Context, p *plan) (err error) {
	var cut gate.Session
	if err := d.spine.do(ctx, func() {
		cut = d.spine.policy.PortsWouldCut(p.policy.Services, time.Now(), d.spine.host.Refresh())
	}); err != nil || !cut.Peer.IsValid() {
		return err
	}
	return &api.Error{
		Message: fmt.Sprintf("reload: a service that is to rest closed would cut the SSH session from %s on port %d; nothing was changed", cut.Peer, cut.Port),
		Hint:    fmt.Sprintf("keep the way open first: gatehouse port open %d/tcp --from %s", cut.Port, cut.Peer),
	}
}

// portsFailed notes how the firewall took the port rules.
func (d *daemon) portsFailed(err error) {
	if err == nil {
		d.faults.report("ports", "", "")
		return
	}
	d.log.Error("set the port rules", "err", err)
	hint := "the rules of before stand until it works"
	if e := hinted(err); e != nil {
		if ae, ok := e.(*api.Error); ok && ae.Hint != "" {
			hint = ae.Hint
		}
	}
	d.faults.report("ports", err.Error(), hint)
}

// askPorts carries a wish about ports down the line.
func (d *daemon) askPorts(ctx context.Context, w api.PortWish) ([]api.PortAnswer, error) {
	list, err := serviceNames(d.plan.Load().config).Resolve(w.What)
	if err != nil {
		return nil, &api.Error{Status: 422, Message: err.Error(), Hint: "gatehouse port list shows what is closed"}
	}
	ask := gate.Ask{Verdict: w.Verdict, For: w.For, Reason: w.Reason, By: w.Caller.By(), From: w.From, To: w.To, Cut: w.Cut, Sure: w.Sure}
	if w.Named != "" {
		ask.By = w.Named
	}
	if w.Caller.PID > 0 && w.Direction == gate.In {
		peer, ok := host.PeerOf(int(w.Caller.PID))
		if !ok && host.BelowSSH(int(w.Caller.PID)) {
			peer = netip.IPv6Unspecified()
		}
		ask.Peer = peer
	}
	wishes := make([]api.Wish, len(list))
	for i, v := range list {
		wishes[i] = api.Wish{Subject: gate.PortSubject(v.Ports, w.Direction), Ask: ask}
		wishes[i].Name = v.Service
	}
	answers, err := d.ask(ctx, wishes)
	if err != nil {
		return nil, err
	}
	var refused error
	_ = d.spine.do(ctx, func() { refused = d.spine.gates.err }) // fails only while stopping
	foreign := d.foreign()
	out := make([]api.PortAnswer, len(answers))
	for i, a := range answers {
		if refused != nil && a.Changed {
			a.Note = strings.TrimPrefix(a.Note+"; it is not in force yet: "+refused.Error(), "; ")
		}
		out[i] = api.PortAnswer{
			Answer:  api.Answer{Subject: a.Subject.String(), Changed: a.Changed, Until: api.TimeOf(a.Until), Refused: a.Refused, Hint: a.Hint, Note: a.Note},
			Service: list[i].Service, Confirm: api.TimeOf(a.Confirm),
		}
		if w.Verdict == gate.Open && a.Refused == "" {
			out[i].Others = foreign.Says(list[i].Ports, w.Direction)
		}
	}
	return out, nil
}

// confirmPorts makes what waits to be confirmed last.
func (d *daemon) confirmPorts(ctx context.Context, by string) (n int, err error) {
	committed := make(chan error, 1) // holds 1: the commit is told even if nobody waits any more
	err = d.spine.do(ctx, func() {
		var ds []gate.Decision
		ds, n = d.spine.policy.ConfirmPorts(by, time.Now())
		d.spine.carry(ds, func(err error) { committed <- err })
	})
	if err != nil {
		return 0, err
	}
	select {
	case err = <-committed:
	case <-ctx.Done():
		err = ctx.Err()
	}
	return n, err
}

// ports is what holds for ports, now or at another time.
func (d *daemon) ports(ctx context.Context, at time.Time) ([]api.Port, error) {
	var views []policy.PortView
	err := d.spine.do(ctx, func() {
		if at.IsZero() {
			views = d.spine.policy.PortsNow(time.Now())
		} else {
			views = d.spine.policy.PortsAt(at, scheduled(d.spine.gates.schedules, at))
		}
	})
	if err != nil {
		return nil, err
	}
	var counters map[string]firewall.Counter
	if at.IsZero() {
		counters = d.firewall.PortCounters()
	}
	foreign := d.foreign()
	out := make([]api.Port, len(views))
	for i, v := range views {
		out[i] = portOf(v, counters)
		out[i].Others = foreign.Says(v.Ports, v.Direction)
	}
	return out, nil
}

// foreign looks at what tables of other programs do to ports; nil where nobody can
// look.
func (d *daemon) foreign() *ports.Foreign {
	f, err := ports.ReadForeign(firewall.DefaultTable)
	if err != nil {
		d.log.Debug("look at other tables", "err", err)
		return nil
	}
	return f
}

func portOf(v policy.PortView, counters map[string]firewall.Counter) api.Port {
	p := api.Port{
		State: "closed", Ports: v.Ports, Service: v.Service, Direction: v.Direction.String(), From: prefixText(v.From), To: prefixText(v.To),
		Since: api.TimeOf(v.Since), Until: api.TimeOf(v.Until), Kind: v.Kind.String(), By: v.By(), Why: v.Why, Pending: v.Pending,
	}
	if v.Verdict == gate.Open {
		p.State = "open"
	}
	if c, ok := counters[v.Name]; ok && v.Verdict == gate.Close && !v.Folded {
		p.Packets = &c.Packets
	}
	return p
}

func prefixText(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return gate.PrefixSubject(p).String()
}
