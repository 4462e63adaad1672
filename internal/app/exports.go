package app

import (
	"context"
	"net/url"
	"slices"
	"sync"
	"time"

	"gatehouse/internal/config"
	"gatehouse/internal/exports"
	"gatehouse/internal/gate"
	"gatehouse/internal/lists/formats"
)

// exportDesk is the running exports, which a reload replaces whole.
type exportDesk struct {
	d *daemon

	mu     sync.Mutex // guards what follows
	run    *exports.Exports
	named  []string // faults that these exports may have noted
	crew   *crew
	cancel context.CancelFunc
}

// exportConfig maps the section of the configuration to the exports' own.
func exportConfig(c *config.Config) (out exports.Config) {
	for _, e := range c.Exports {
		w, _ := formats.FindWriter(e.Format) // the configuration has checked it
		f := formats.Filter{Rules: e.Rules, Networks: e.Networks, Younger: e.Younger, Older: e.Older}
		_ = f.Evidence.UnmarshalText([]byte(e.Evidence)) // as above; "" is any
		if e.To != "" {
			out.Files = append(out.Files, exports.File{To: e.To, Format: w, Filter: f, Reload: e.Reload})
			continue
		}
		u, err := url.Parse(e.Serve)
		if err != nil {
			continue // as above
		}
		out.Sites = append(out.Sites, exports.Site{
			Address: u.Host, Path: u.Path, Secure: u.Scheme == "https", Cert: e.Cert, Key: e.Key, Token: e.Token, Format: w, Filter: f,
		})
	}
	return out
}

// start keeps the exports of a configuration.
func (k *exportDesk) start(ctx context.Context, c *config.Config) {
	ctx, cancel := context.WithCancel(ctx)
	conf := exportConfig(c)
	run := exports.New(conf, exports.Deps{
		Log: k.d.log, Bans: k.d.exported, Changed: k.d.ledger.Committed, Fault: k.d.faults.report,
		Run: func(ctx context.Context, argv []string) error { return k.d.hooks.command(ctx, argv, reloadTime) },
	})
	crew := newCrew(k.d.log, k.d.faults)
	var named []string
	for _, f := range conf.Files {
		named = append(named, "export "+f.To)
	}
	for _, a := range run.Addresses() {
		name := "serving bans at " + a
		named = append(named, name)
		crew.start(ctx, task{name, func(ctx context.Context) error { return run.Serve(ctx, a) }})
	}
	k.mu.Lock()
	before := k.named
	k.run, k.named, k.crew, k.cancel = run, named, crew, cancel
	k.mu.Unlock()
	for _, name := range before {
		if !slices.Contains(named, name) {
			k.d.faults.report(name, "", "")
		}
	}
	crew.start(ctx, task{"exports", run.Run})
}

// reloadTime is how long the command may take that has an exported file read.
const reloadTime = time.Minute

// stop ends what start started.
func (k *exportDesk) stop() {
	k.mu.Lock()
	crew, cancel := k.crew, k.cancel
	k.mu.Unlock()
	if cancel != nil {
		cancel()
		crew.wait()
	}
}

// enforced reports whether something drops what a ban is about: the kernel, or for a
// client behind a proxy a web server.
func (d *daemon) enforced(s gate.Subject, scope gate.Scope) bool {
	if !scope.HTTP {
		return d.firewall.Enforced(s)
	}
	d.exports.mu.Lock()
	run := d.exports.run
	d.exports.mu.Unlock()
	return run != nil && run.Enforced(s)
}

// evidenceOf is what a ban rests on: that of forgeable evidence spares live
// connections.
func evidenceOf(scope gate.Scope) gate.Evidence {
	if scope.New {
		return gate.Forgeable
	}
	return gate.Proven
}

// exported returns the bans in force as they are written for others.
func (d *daemon) exported(ctx context.Context) (out []formats.Ban, err error) {
	now := time.Now()
	for live, err := range d.ledger.Current() {
		switch {
		case err != nil:
			return nil, err
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case live.Verdict != gate.Ban, !live.Subject.IsNet(), live.Life(now) == 0:
			continue
		}
		out = append(out, formats.Ban{
			Subject: live.Subject, Since: live.Time, Until: live.Until, Rule: live.Rule, Origin: live.Origin.String(), Reason: live.Why,
			Ports: live.Scope.Ports, Offences: live.Offence, Enforced: d.enforced(live.Subject, live.Scope),
			Evidence: evidenceOf(live.Scope), HTTP: live.Scope.HTTP,
		})
	}
	return out, nil
}
