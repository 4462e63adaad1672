package app

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/api"
	"gatehouse/internal/config"
	"gatehouse/internal/detect"
	"gatehouse/internal/firewall"
	"gatehouse/internal/gate"
	"gatehouse/internal/policy"
	"gatehouse/internal/portscan"
)

// scanning holds what guards against port scans: the traps as the firewall is to
// have them, and the sensor that hears of them.
type scanning struct {
	d       *daemon
	mu      sync.Mutex
	sensor  *portscan.Sensor   // nil = off
	cancel  context.CancelFunc // of the running one
	crew    *crew              // the same
	settled time.Time          // from when on packets outside connections count; zero = never
	used    map[gate.PortRange]time.Time
	traps   firewall.Traps
}

const (
	// lookEvery is how often is looked at what listens: what starts in between
	// wins in the kernel already, which looks for a socket with each probe.
	lookEvery = 5 * time.Second
	// lastUse is how long a port that listened is no trap.
	lastUse = 10 * time.Minute
	// fullPart is what status calls a full set, for fullFor after the last time.
	fullPart = "probe counters"
	fullFor  = 5 * time.Minute
)

// newScanning prepares the guard; begun is when the machine's connections may
// have been forgotten last: the start of the table.
func newScanning(d *daemon) *scanning {
	return &scanning{d: d, used: map[gate.PortRange]time.Time{}}
}

// watchScans adds the watch of port scans to what detect and policy know.
func (p *plan) watchScans(c *config.Scan) {
	if c.Off {
		return
	}
	p.detect.Watches = append(p.detect.Watches, detect.Watch{Name: portscan.Rule, Threshold: gate.Threshold(c.Slow), Distinct: true})
	p.policy.Watches = append(p.policy.Watches, policy.Watch{Name: portscan.Rule, Ladder: c.Ban, Noun: "probe", Scan: true, Hold: c.Hold})
}

// arm gives the firewall the traps of a configuration. It is called before the
// first load, and whenever something that they depend on may have changed.
func (s *scanning) arm(c *config.Scan, now time.Time) {
	listening := s.d.host.Listening()
	h := s.d.host.Snapshot()
	s.mu.Lock()
	s.look(listening, now)
	t := s.trapsOf(c, h, now)
	s.traps = t
	s.mu.Unlock()
	if err := s.d.firewall.SetTraps(t); err != nil {
		why, hint := hintOf(err)
		s.d.faults.report("traps", why, hint)
		return
	}
	s.d.faults.report("traps", "", "")
}

// look notes what listens.
func (s *scanning) look(listening []gate.Listener, now time.Time) {
	for r, at := range s.used {
		if now.Sub(at) > lastUse {
			delete(s.used, r)
		}
	}
	for _, l := range listening {
		if !l.Addr.IsLoopback() {
			s.used[gate.PortRange{Proto: l.Proto, Lo: l.Port, Hi: l.Port}] = now
		}
	}
}

// trapsOf works out what the kernel is to do.
func (s *scanning) trapsOf(c *config.Scan, h gate.Host, now time.Time) firewall.Traps {
	if c.Off {
		return firewall.Traps{}
	}
	t := firewall.Traps{
		Decoys: c.Decoys, Ignore: c.Exclude, Distinct: c.Threshold.Count, Within: c.Threshold.Within,
		Shared: max(c.Shared.Count, c.Threshold.Count), Hold: c.Hold, Single: h.OnLink, Group: uint16(c.Group),
		Ephemeral: s.d.host.Ephemeral(), Stray: !s.settled.IsZero() && !now.Before(s.settled),
	}
	t.Ports = s.wanted(c, t.Ephemeral)
	var used []gate.PortRange
	for r := range s.used {
		used = append(used, r)
	}
	t.Ports = t.Ports.Minus(gate.PortsOf(used...))
	return t
}

// wanted returns the ports that are traps as far as the configuration goes.
func (s *scanning) wanted(c *config.Scan, ephemeral gate.PortRange) gate.Ports {
	var all gate.Ports
	if c.Advanced > 0 {
		e := ephemeral
		for _, p := range []gate.Proto{gate.TCP, gate.UDP} {
			low := gate.PortsOf(gate.PortRange{Proto: p, Lo: 1, Hi: uint16(c.Advanced)})
			all = all.Union(low.Minus(gate.PortsOf(gate.PortRange{Proto: p, Lo: e.Lo, Hi: e.Hi})))
		}
	}
	return all.Union(c.Traps).Minus(c.Exclude).Minus(c.Decoys)
}

// again lets the kernel be asked once more for what it refused: its modules may
// be there by now.
func (s *scanning) again() {
	if s.d.firewall.Traps().Refused == nil {
		return
	}
	if err := s.d.firewall.SetTraps(firewall.Traps{}); err != nil {
		s.d.log.Warn("take the traps back", "err", err)
	}
}

// begin notes from when on packets outside connections count.
func (s *scanning) begin(c *config.Scan, begun time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settled = time.Time{}
	if c.Settle != gate.Forever {
		s.settled = begun.Add(c.Settle)
	}
}

// start starts the sensor of a configuration.
func (s *scanning) start(ctx context.Context, c *config.Scan) {
	if c.Off {
		return
	}
	d := s.d
	pc := portscan.Config{Group: uint16(c.Group)}
	if d.o.Observe {
		pc.Group = 0
	}
	for _, r := range c.Decoys.Ranges() {
		for port := int(r.Lo); port <= int(r.Hi); port++ {
			pc.Decoys = append(pc.Decoys, portscan.Decoy{Proto: r.Proto, Port: uint16(port), Banner: c.Banner, Tarpit: c.Tarpit})
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	sensor := portscan.New(pc, portscan.Deps{
		Log: d.log, Emit: d.spine.Emit, Held: s.held, Full: s.full, Fault: d.faults.report,
	})
	crew := newCrew(d.log, d.faults)
	crew.start(ctx, task{"port scans", sensor.Run})
	crew.start(ctx, task{"traps", s.follow})
	s.mu.Lock()
	s.sensor, s.cancel, s.crew = sensor, cancel, crew
	s.mu.Unlock()
}

// stop stops the sensor and waits until nothing more comes from it.
func (s *scanning) stop() {
	s.mu.Lock()
	cancel, crew := s.cancel, s.crew
	s.mu.Unlock()
	if cancel != nil {
		cancel()
		crew.wait()
	}
	s.mu.Lock()
	s.sensor, s.cancel, s.crew = nil, nil, nil
	s.mu.Unlock()
	for _, f := range s.d.faults.wrong() {
		if strings.HasPrefix(f.Part, "decoy ") {
			s.d.faults.report(f.Part, "", "")
		}
	}
}

// follow keeps the traps right: what starts to listen is none, what has not
// listened for a while becomes one.
func (s *scanning) follow(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		s.arm(&s.d.plan.Load().config.Scan, time.Now())
		s.mu.Lock()
		sensor := s.sensor
		s.mu.Unlock()
		if sensor != nil {
			if at := sensor.Status().FullAt; !at.IsZero() && time.Since(at) > fullFor {
				s.d.faults.report(fullPart, "", "")
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// held reads who is held from the kernel.
func (s *scanning) held(most int) ([]netip.Prefix, error) {
	holds, err := s.d.firewall.Holds(most)
	out := make([]netip.Prefix, len(holds))
	for i, h := range holds {
		out[i] = h.Source
	}
	return out, err
}

// full takes in that a set of the kernel was full: a flood from forged
// addresses, most likely.
func (s *scanning) full(p portscan.Packet) {
	const why = "a set of the kernel is full: probes come from very many addresses, most of them forged"
	s.d.faults.report(fullPart, why, "who is banned stays banned, who is held stays held; new scanners may go unnoticed until the flood is over")
	e := gate.Event{
		Time: time.Now(), Origin: gate.Origin{Source: portscan.Source, Epoch: uint64(time.Now().UnixNano())}, Rule: portscan.Rule, Pattern: "alarm", Class: gate.ClassTell, Evidence: gate.Forgeable,
		Line: why + "; the newest was " + p.Line(),
	}
	ctx, cancel := context.WithTimeout(s.d.running, time.Second)
	defer cancel()
	_ = s.d.spine.Emit(ctx, gate.Batch{Source: portscan.Source, Events: []gate.Event{e}, Live: true}) // a stopping daemon tells nobody
}

// lift lets somebody go whom the kernel holds, and says so in the answer to the
// wish to release it.
func (s *scanning) lift(wishes []api.Wish, answers []gate.Answer) {
	for i := range wishes {
		w := &wishes[i]
		if w.Verdict != gate.Release && w.Verdict != gate.Allow || !w.Ports.IsEmpty() {
			continue
		}
		subjects := []gate.Subject{w.Subject}
		if w.All {
			subjects = []gate.Subject{gate.PrefixSubject(netip.MustParsePrefix("0.0.0.0/0")), gate.PrefixSubject(netip.MustParsePrefix("::/0"))}
		}
		n := 0
		for _, sub := range subjects {
			if sub.IsNet() {
				n += s.d.firewall.Lift(sub)
			}
		}
		if n == 0 || w.Verdict != gate.Release {
			continue
		}
		a := &answers[i]
		a.Changed, a.Refused, a.Hint = true, "", ""
		note := "the kernel held it for a port scan, and no longer does"
		if w.All {
			note = "everybody whom the kernel held for a port scan may come again"
		}
		if strings.HasPrefix(a.Note, "it is not banned") || a.Note == "" || a.Note == "nothing is banned" {
			a.Note = note
		} else {
			a.Note += "; " + note
		}
	}
}

// tell adds to a story that the kernel holds somebody.
func (s *scanning) tell(w *api.Why) {
	h, ok := s.d.firewall.Held(w.Subject)
	if !ok {
		return
	}
	held := api.Held{Source: gate.PrefixSubject(h.Source), Until: time.Now().Add(h.Left).UTC().Truncate(time.Second), Why: "for a port scan"}
	s.mu.Lock()
	sensor := s.sensor
	s.mu.Unlock()
	if sensor != nil {
		if m, known := sensor.Held(h.Source); known {
			since := m.Since.UTC()
			held.Since, held.Why = &since, whyHeld(m)
		}
	}
	w.Held = &held
	if w.Verdict == api.IsFree || w.Verdict == api.IsWatched {
		w.Verdict = api.IsHeld
		w.Sentence = w.Subject.String() + " is held by the kernel until " + held.Until.Format(time.RFC3339) + ": " + held.Why + "; its new connections are dropped"
	}
}

// whyHeld says what a hold is for.
func whyHeld(m portscan.Held) string {
	why := map[gate.Report]string{
		gate.ReportTrap: "it tried a trap", gate.ReportDecoy: "it knocked at a decoy", gate.ReportPorts: "it tried too many different ports",
		gate.ReportAddresses: "it tried too many addresses of this machine", gate.ReportNetwork: "others of its network share a port scan, and it took part",
	}[m.Report]
	if why == "" {
		return m.Line
	}
	return why + " (" + m.Line + ")"
}

// hintOf splits an error into what is wrong and what to do.
func hintOf(err error) (why, hint string) {
	if e, ok := errors.AsType[*firewall.Error](err); ok {
		hint = e.Hint
	}
	return err.Error(), hint
}

// report is the state for status.
func (s *scanning) report() *api.Scan {
	c := &s.d.plan.Load().config.Scan
	out := &api.Scan{State: "off", Overruled: []api.Overruled{}, Decoys: []api.Decoy{}}
	if c.Off {
		return out
	}
	fw := s.d.firewall.Traps()
	out.Held, out.Dropped = fw.Held, api.Drops{Packets: fw.Dropped.Packets, Bytes: fw.Dropped.Bytes}
	s.mu.Lock()
	sensor, traps := s.sensor, s.traps
	used := make([]gate.PortRange, 0, len(s.used))
	for r := range s.used {
		used = append(used, r)
	}
	s.mu.Unlock()
	switch {
	case s.d.o.Observe:
		out.State = "observing: nothing is counted or held, decoys listen"
	case fw.Refused != nil:
		out.State, _ = hintOf(fw.Refused)
	case !fw.Armed:
		out.State = "not in the kernel: see firewall"
	default:
		out.State = "armed"
	}
	out.Traps = traps.Ports
	overruled := c.Traps.Minus(c.Exclude).Minus(c.Decoys)
	overruled = overruled.Minus(overruled.Minus(gate.PortsOf(used...)))
	for _, r := range overruled.Ranges() {
		for port := int(r.Lo); port <= int(r.Hi); port++ {
			one := gate.PortsOf(gate.PortRange{Proto: r.Proto, Lo: uint16(port), Hi: uint16(port)})
			out.Overruled = append(out.Overruled, api.Overruled{Port: one.String(), Why: "something listens there, or did so within the last " + gate.FormatDuration(lastUse) + ": it wins"})
		}
	}
	if sensor != nil {
		st := sensor.Status()
		out.Reports, out.Lost, out.FullAt = st.Reports, st.Lost+st.Dropped, api.TimeOf(st.FullAt)
		for _, x := range st.Decoys {
			out.Decoys = append(out.Decoys, api.Decoy{Port: x.Decoy, Open: x.Open, Why: x.Why, Hits: x.Hits, Kept: x.Kept})
		}
	}
	slices.SortFunc(out.Decoys, func(a, b api.Decoy) int { return strings.Compare(a.Port, b.Port) })
	return out
}
