package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/api"
	"gatehouse/internal/config"
	"gatehouse/internal/detect"
	"gatehouse/internal/firewall"
	"gatehouse/internal/gate"
	"gatehouse/internal/host"
	"gatehouse/internal/ledger"
	"gatehouse/internal/logs"
	"gatehouse/internal/policy"
)

// Options is what the command line decides.
type Options struct {
	Config  string              // path of the configuration; "" = the default one, which need not exist
	Socket  string              // path of the socket; "" = as configured
	Observe bool                // decide and record, but change nothing in the kernel
	Flush   bool                // the table leaves the kernel when the daemon stops
	Version string              // for status
	Log     *slog.Logger        // required
	Getenv  func(string) string // required
	Reload  <-chan struct{}     // a value asks for a reload, as SIGHUP does; may be nil
	Ready   func(api.Status)    // called once everything is in place; may be nil
	Decided func(gate.Record)   // called for each record as it is committed; may be nil
}

// daemon is the running program.
type daemon struct {
	o        Options
	begun    time.Time
	log      *slog.Logger
	plan     atomic.Pointer[plan]
	faults   *faults
	host     *host.Watcher
	ledger   *ledger.Ledger
	firewall *firewall.Firewall
	spine    *spine
	names    *names
	lists    *listDesk
	hooks    *hookDesk
	exports  *exportDesk
	manager  manager
	scans    *scanning
	stop     context.CancelFunc // begins the shutdown
	flush    atomic.Bool        // the table is to leave the kernel

	running context.Context // until the shutdown begins; set once, before anything runs

	reloading sync.Mutex // held by the one reload that is under way
	mu        sync.Mutex // guards what a reload replaces
	porters   *porters
	sensor    *sensing
	telling   *telling  // nil = nobody is to be told
	housing   *housing  // nil = there is no broker
	guarding  *guarding // nil = there is no alarm panel
	enriching *enriching
	reporting *reporting // nil = nothing is reported
}

// sensing is the running log sensor, which a reload replaces whole.
type sensing struct {
	logs   *logs.Sensor
	crew   *crew
	cancel context.CancelFunc
}

// Run guards this machine until ctx ends or somebody stops it. It reports
// whether the table left the kernel. Its error says what kept it from starting.
func Run(ctx context.Context, o Options) (flushed bool, err error) {
	c, err := readConfig(o.Config, o.Getenv)
	if err != nil {
		return false, configError(o.Config, err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	d := &daemon{o: o, begun: time.Now(), log: o.Log, faults: newFaults(), manager: managerFrom(o.Getenv), stop: stop}
	d.flush.Store(o.Flush)
	d.plan.Store(newPlan(c))
	if err := d.open(c); err != nil {
		return false, hinted(err)
	}
	defer d.ledger.Close()
	defer d.firewall.Close()
	server := api.New(api.Config{Socket: d.socket(c), Group: "gatehouse", Version: o.Version}, d.backend(), o.Log)
	if err := server.Listen(); err != nil {
		return false, err
	}
	d.running = ctx
	return d.guard(ctx, server)
}

// socket is where the API listens.
func (d *daemon) socket(c *config.Config) string {
	if d.o.Socket != "" {
		return d.o.Socket
	}
	return c.Socket
}

// open builds the parts and restores what was: afterwards every ban is in the
// kernel again, and nothing runs yet.
func (d *daemon) open(c *config.Config) (err error) {
	p := d.plan.Load()
	d.hooks, d.exports = newHookDesk(d), &exportDesk{d: d}
	d.hooks.prepare(c)
	defer func() {
		if err != nil {
			d.hooks.end()
		}
	}()
	d.reportBroken(nil, p)
	d.ledger, err = ledger.Open(c.State, ledger.Options{Log: d.log, Boot: bootID(), Forget: c.Forget, Changed: d.ledgerChanged})
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			d.ledger.Close()
		}
	}()
	d.host = host.New(host.Deps{Log: d.log})
	p.firewall.Observe = d.o.Observe
	d.firewall, err = firewall.New(p.firewall, firewall.Deps{Log: d.log, Changed: d.firewallChanged})
	if err != nil {
		return err
	}
	al, err := newAlarm()
	if err != nil {
		return err
	}
	d.names = newNames(d.log, lookup)
	d.lists = newListDesk(d)
	d.scans = newScanning(d)
	p.detect.Single = slices.Clone(d.host.Snapshot().OnLink)
	d.spine = &spine{
		log: d.log, detect: detect.New(p.detect), counting: p.detect, policy: policy.New(p.policy, d.ledger.Past),
		ledger: d.ledger, firewall: d.firewall, host: d.host, names: d.names,
		clock: newClock(), alarm: al,
		epoch:   uint64(d.begun.UnixNano()),
		batches: make(chan gate.Batch), calls: make(chan func()), stopped: make(chan struct{}),
	}
	d.spine.policy.Remember(d.inside)
	d.spine.exempted = d.lists.stir
	d.scans.begin(&c.Scan, d.begun)
	d.scans.arm(&c.Scan, d.begun) // before the first load, so that a restart leaves no gap
	return d.restore()
}

// lookup resolves a host name of the allow list.
func lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
}

// restore brings policy, firewall and detect to where the last run left off.
func (d *daemon) restore() error {
	s, now := d.spine, time.Now()
	begun := d.restorePorts(now) // before Load, so that ports are closed from the first moment
	var unreadable error
	restored := make(chan []ledger.Live, 4) // owned by wants, which waits when policy is that far behind
	wants := func(yield func(firewall.Want) bool) {
		defer close(restored)
		batch := make([]ledger.Live, 0, restoreBatch)
		for live, err := range d.ledger.Left() {
			if err != nil {
				unreadable = err
				break
			}
			if batch = append(batch, live); len(batch) == restoreBatch {
				restored <- batch
				batch = make([]ledger.Live, 0, restoreBatch)
			}
			if live.Verdict == gate.Ban && live.Subject.IsNet() && !yield(wantOf(live.Record, now)) {
				break
			}
		}
		restored <- batch
	}
	// Policy takes its part while the kernel gets its own: with many bans that is
	// half of the time until the daemon is ready.
	var restoring sync.WaitGroup
	restoring.Go(func() {
		for batch := range restored {
			for _, live := range batch {
				if live.Subject.Kind() != gate.KindPort {
					s.policy.Restore(live.Record, live.FromThisBoot)
				}
			}
		}
	})
	s.allow.remember(d.ledger.Keep(keepNames), d.log)
	s.allow.config(d.plan.Load().config)
	d.names.set(s.allow.names(), s.allow.lastGood())
	h := d.host.Snapshot()
	if err := d.firewall.Load(wants, h.Never(), nil); err != nil {
		d.log.Error("load the firewall", "err", err) // Run tries again, status says so
	}
	restoring.Wait()
	if unreadable != nil {
		d.log.Error("read the bans in force", "err", unreadable)
	}
	s.setAllow()
	s.carry(begun, nil)
	s.rejudge()
	marks, windows, err := d.ledger.Checkpoint()
	if err != nil {
		d.log.Error("read the checkpoint", "err", err)
	}
	if windows != nil {
		if err := s.detect.Restore(windows); err != nil {
			d.log.Warn("the counters of the last run are lost", "err", err)
		}
	}
	s.checkpoint.restore(marks)
	return nil
}

// restoreBatch is how many bans are handed to policy at once.
const restoreBatch = 1000

// wantOf is what the kernel is to hold of a ban of an earlier run. Where the
// wall clock is behind (no battery, no network yet), a ban lasts no longer than
// it was meant to in all.
func wantOf(r gate.Record, now time.Time) firewall.Want {
	w := firewall.Want{Subject: r.Subject, Until: r.Until, Scope: r.Scope, Rule: r.Rule}
	if !r.Until.IsZero() {
		if longest := now.Add(r.Until.Sub(r.Time)); w.Until.After(longest) {
			w.Until = longest
		}
	}
	return w
}

// guard runs the parts until ctx ends, then stops them in order: first what
// brings work in, then the line, then what keeps it.
func (d *daemon) guard(ctx context.Context, server *api.Server) (flushed bool, err error) {
	late, endLate := context.WithCancel(context.WithoutCancel(ctx))
	defer endLate()
	middle, endMiddle := context.WithCancel(late)
	defer endMiddle()
	keepers, line, doors := newCrew(d.log, d.faults), newCrew(d.log, d.faults), newCrew(d.log, d.faults)
	keepers.start(late, task{"ledger", d.ledger.Run})
	keepers.start(late, task{"firewall", d.firewall.Run})
	line.start(middle, task{"host", d.host.Run})
	line.start(middle, task{"clock", d.spine.clock.Run})
	line.start(middle, task{"timer", d.spine.alarm.Run})
	var fatal error
	line.wg.Go(func() {
		// The line is not restarted within the process: what it holds may be
		// damaged. The bans are in the kernel, and a new process reads them back.
		if fatal = protect(middle, task{"spine", d.spine.Run}); fatal != nil {
			d.stop()
		}
	})
	line.start(middle, task{"names", d.names.Run})
	parts := d.parts()
	for _, p := range parts {
		p.start(ctx, d.plan.Load())
	}
	doors.start(ctx, task{"news of faults", d.tellOfFaults})
	doors.start(ctx, task{"lists in the kernel", d.lists.Run})
	doors.start(ctx, task{"api", server.Run})
	if d.o.Decided != nil {
		from := d.ledger.Newest()
		doors.start(ctx, task{"screen", func(ctx context.Context) error {
			return d.ledger.Follow(ctx, from, func(r gate.Record) bool { d.o.Decided(r); return true })
		}})
	}
	doors.start(ctx, task{"upkeep", d.upkeep})
	d.manager.tell("READY=1", "STATUS="+d.oneLine())
	if d.o.Ready != nil {
		d.o.Ready(d.status())
	}
	<-ctx.Done()
	d.manager.tell("STOPPING=1")
	for _, p := range slices.Backward(parts) {
		p.stop()
	}
	d.hooks.end()
	doors.wait()
	endMiddle()
	line.wait()
	flush, cancel := context.WithTimeout(late, flushPatience)
	if err := d.ledger.Flush(flush); err != nil {
		d.log.Error("write the last decisions", "err", err)
	}
	cancel()
	endLate()
	keepers.wait()
	if d.flush.Load() && !d.o.Observe {
		if err := d.firewall.Remove(); err != nil {
			return false, fmt.Errorf("take the table out of the kernel: %w", err)
		}
		return true, fatal
	}
	return false, fatal
}

// flushPatience is how long a stop waits for the disk.
const flushPatience = 5 * time.Second

// startSensor starts following the logs of a plan.
func (d *daemon) startSensor(ctx context.Context, p *plan) {
	ctx, cancel := context.WithCancel(ctx)
	s := &sensing{crew: newCrew(d.log, d.faults), cancel: cancel}
	s.logs = logs.New(p.logs, logs.Deps{Log: d.log, Emit: d.spine.Emit, Mark: d.mark, Spoke: d.host.Spoke, Lookup: lookup})
	s.crew.start(ctx, task{"logs", s.logs.Run})
	d.mu.Lock()
	d.sensor = s
	d.mu.Unlock()
}

// stopSensor stops following logs and waits until nothing more comes from them.
func (d *daemon) stopSensor() {
	d.mu.Lock()
	s := d.sensor
	d.mu.Unlock()
	if s != nil {
		s.cancel()
		s.crew.wait()
	}
}

// mark returns how far a source was read.
func (d *daemon) mark(source string) (mark string) {
	if err := d.spine.do(context.Background(), func() { mark = d.spine.checkpoint.mark(source) }); err != nil {
		return ""
	}
	return mark
}

// upkeep is what is done now and then: the watchdog is fed while the line
// answers, old records are compacted, reloads are served.
func (d *daemon) upkeep(ctx context.Context) error {
	compact := time.NewTicker(compactEvery)
	defer compact.Stop()
	settled := time.NewTimer(settleAfter)
	defer settled.Stop()
	var feed <-chan time.Time
	if d.manager.watchdog > 0 {
		t := time.NewTicker(d.manager.watchdog / 3)
		defer t.Stop()
		feed = t.C
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-settled.C:
			settle()
		case <-feed:
			alive, cancel := context.WithTimeout(ctx, d.manager.watchdog/3)
			if d.spine.do(alive, func() {}) == nil {
				d.manager.tell("WATCHDOG=1")
			}
			cancel()
		case <-compact.C:
			if err := d.ledger.Compact(ctx, d.plan.Load().config.Keep); err != nil && ctx.Err() == nil {
				d.log.Error("compact the ledger", "err", err)
			}
		case <-d.o.Reload:
			if err := d.reload(ctx); err != nil {
				d.log.Error("reload: nothing was changed", "err", err)
			}
		}
	}
}

// compactEvery is how often records beyond their time are taken out.
const compactEvery = 6 * time.Hour

// bootID identifies this boot of the machine; "" if the kernel does not say.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// hinted turns the errors of parts that know what a person can do about them
// into the one form that the command line shows with its hint.
func hinted(err error) error {
	if e, ok := errors.AsType[*ledger.Error](err); ok {
		return &api.Error{Message: err.Error(), Hint: e.Hint}
	}
	if e, ok := errors.AsType[*firewall.Error](err); ok {
		hint := e.Hint
		if (errors.Is(err, firewall.ErrNoPermission) || errors.Is(err, firewall.ErrUnavailable)) && !strings.Contains(hint, "run --observe") {
			hint = strings.TrimPrefix(hint+"; to watch without banning: gatehouse run --observe", "; ")
		}
		return &api.Error{Message: err.Error(), Hint: hint}
	}
	return err
}

// configError turns the problems of a configuration into the error that a
// person or the API gets.
func configError(path string, err error) error {
	var ps config.Problems
	if !errors.As(err, &ps) {
		return err
	}
	if path == "" {
		path = config.Path
	}
	out := &api.Error{Message: fmt.Sprintf("%s: %d problems in the configuration", filepath.Base(path), len(ps)), Hint: "correct it, then: gatehouse check"}
	if len(ps) == 1 {
		out.Message = filepath.Base(path) + ": a problem in the configuration"
	}
	for _, p := range ps {
		out.Problems = append(out.Problems, api.Problem{File: p.File, Line: p.Line, Column: p.Column, Error: p.What, Excerpt: p.Excerpt, Hint: p.Hint})
	}
	return out
}

// reportBroken notes which rules are off because they are broken, and forgets
// what an earlier plan said.
func (d *daemon) reportBroken(old, p *plan) {
	if old != nil {
		for name := range old.broken {
			d.faults.report("rule "+name, "", "")
		}
	}
	for name, why := range p.broken {
		d.faults.report("rule "+name, why, "correct it, then: gatehouse reload")
		d.log.Warn("a rule is off", "rule", name, "err", why)
	}
}

// ledgerChanged and firewallChanged note how a keeper fares.

func (d *daemon) ledgerChanged(h ledger.Health) {
	d.faults.report("the ledger", h.Why, h.Hint)
}

func (d *daemon) firewallChanged(h firewall.Health) {
	why := ""
	if h.Mode == firewall.Degraded {
		why = h.Why
	}
	d.faults.report("the firewall", why, "")
}
