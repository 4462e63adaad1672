package app

import (
	"context"
	"time"

	"gatehouse/internal/api"
	"gatehouse/internal/config"
	"gatehouse/internal/gate"
	"gatehouse/internal/ports"
)

// keepPorts is the namespace of what parts of ports keep in the ledger.
const keepPorts = "ports"

// porters are the running parts of ports, which a reload replaces whole.
type porters struct {
	crew   *crew
	cancel context.CancelFunc
	remote *ports.Remote // nil = none
	config config.Ports
}

// startPorts starts what brings in wishes about ports, and the status page.
func (d *daemon) startPorts(ctx context.Context, c *config.Config) {
	ctx, cancel := context.WithCancel(ctx)
	p := &porters{crew: newCrew(d.log, d.faults), cancel: cancel, config: c.Ports}
	for _, part := range []string{"the remote file", "the status page", "knocks"} {
		d.faults.report(part, "", "")
	}
	if c.Ports.Page.HTML != "" || c.Ports.Page.JSON != "" {
		w := newPageWriter(d, c.Ports.Page)
		_ = d.spine.do(ctx, func() { d.spine.gates.changed = w.changed }) // fails only while stopping
		p.crew.start(ctx, task{"status page", w.Run})
	}
	if r := c.Ports.Remote; r.URL != "" || r.Path != "" {
		remote, err := ports.NewRemote(remoteConfig(c), d.remoteDeps())
		if err != nil {
			d.faults.report("the remote file", err.Error(), "correct the section remote of ports, then: gatehouse reload")
		} else {
			p.remote = remote
			p.crew.start(ctx, task{"remote file", remote.Run})
		}
	}
	d.startKnocks(ctx, p, c)
	d.mu.Lock()
	d.porters = p
	d.mu.Unlock()
}

// stopPorts ends them and waits until nothing more comes from them.
func (d *daemon) stopPorts() {
	d.mu.Lock()
	p := d.porters
	d.mu.Unlock()
	if p == nil {
		return
	}
	_ = d.spine.do(context.Background(), func() { d.spine.gates.changed = nil }) // fails only while stopping
	p.cancel()
	p.crew.wait()
}

func remoteConfig(c *config.Config) ports.RemoteConfig {
	r := c.Ports.Remote
	return ports.RemoteConfig{
		URL: r.URL, Path: r.Path, Every: r.Every, Verify: r.Verify, Key: r.Key, CA: r.CA, Services: r.Services,
		Longest: r.Longest, From: r.From, Names: serviceNames(c),
	}
}

func (d *daemon) remoteDeps() ports.RemoteDeps {
	keep := d.ledger.Keep(keepPorts)
	return ports.RemoteDeps{
		Log: d.log,
		Load: func() ([]byte, error) {
			b, _, err := keep.Get("remote")
			return b, err
		},
		Save: func(b []byte) { keep.Put("remote", b) },
		Ask: func(ctx context.Context, i ports.Intent, o gate.Origin) ([]gate.Answer, error) {
			w := api.Wish{Subject: gate.PortSubject(i.What.Ports, i.Direction), Ask: gate.Ask{
				Verdict: i.Verdict, For: i.For, From: i.From, By: "the remote file", Name: i.What.Service,
			}}
			return d.askAs(ctx, "remote", o, w)
		},
		Tell:  func(ctx context.Context, pattern, sentence string) { d.tellPorts(ctx, "remote-"+pattern, sentence) },
		Fault: func(why, hint string) { d.faults.report("the remote file", why, hint) },
	}
}

// askAs carries one wish of a part down the line, and returns when it is in the
// ledger.
func (d *daemon) askAs(ctx context.Context, rule string, o gate.Origin, w api.Wish) (answers []gate.Answer, err error) {
	committed := make(chan error, 1) // holds 1: the commit is told even if nobody waits any more
	err = d.spine.do(ctx, func() {
		now := time.Now()
		e := gate.Event{Time: now, Origin: o, Rule: rule, Subject: w.Subject, Class: gate.ClassAsk, Evidence: gate.Proven, Ask: &w.Ask}
		var ds []gate.Decision
		ds, answers = d.spine.policy.Decide(d.spine.detect.Observe([]gate.Event{e}, now, nil), now, d.spine.here(now))
		d.spine.carry(ds, func(err error) { committed <- err })
	})
	if err != nil {
		return nil, err
	}
	select {
	case <-committed: // what is not on disk is in force all the same, and the ledger says so itself
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return answers, nil
}

// tellPorts records a sentence about ports.
func (d *daemon) tellPorts(ctx context.Context, pattern, sentence string) {
	now := time.Now()
	e := gate.Event{Time: now, Rule: "port", Pattern: pattern, Class: gate.ClassTell, Evidence: gate.Proven, Line: sentence}
	_ = d.spine.Emit(ctx, gate.Batch{Source: "ports", Events: []gate.Event{e}, Live: true}) // fails only while stopping
}

// portNotes are remarks for status that are no faults.
func (d *daemon) portNotes() (notes []string) {
	var wait time.Time
	_ = d.spine.do(context.Background(), func() { wait = d.spine.policy.PortsDeadline() }) // a stopping daemon waits for nothing
	if !wait.IsZero() {
		notes = append(notes, "a change of ports is taken back at "+wait.Local().Format("15:04:05 MST")+" unless you confirm it: gatehouse port confirm")
	}
	d.mu.Lock()
	p := d.porters
	d.mu.Unlock()
	if p == nil || p.remote == nil {
		return notes
	}
	r, place := p.config.Remote, p.config.Remote.URL
	if r.Path != "" {
		place = r.Path
	}
	if r.Verify == ports.VerifyNone {
		notes = append(notes, "the remote file "+place+" is not verified: whoever can write it opens and closes your services")
	}
	switch v := p.remote.View(); {
	case v.Why != "": // stands among the faults
	case v.Good.IsZero():
		notes = append(notes, "the remote file "+place+" was not read yet")
	default:
		notes = append(notes, "the remote file "+place+" was read and found good at "+v.Good.Local().Format("2006-01-02 15:04:05 MST"))
	}
	return notes
}
