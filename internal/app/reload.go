package app

import (
	"context"
	"time"

	"gatehouse/internal/api"
)

// reload reads the configuration again and puts it in force. All that can fail
// happens before anything old is touched.
func (d *daemon) reload(ctx context.Context) error {
	c, err := readConfig(d.o.Config, d.o.Getenv)
	if err != nil {
		return configError(d.o.Config, err)
	}
	old, p := d.plan.Load(), newPlan(c)
	if c.State != old.config.State || d.socket(c) != d.socket(old.config) {
		return &api.Error{Message: "reload: state and socket cannot change while the daemon runs", Hint: "restart it: systemctl restart gatehouse (bans stay in the kernel meanwhile)"}
	}
	if err := p.logs.Check(); err != nil {
		return err
	}
	if err := d.wouldCut(ctx, p); err != nil {
		return err
	}
	d.manager.tell(reloading()...)
	defer func() { d.manager.tell("READY=1", "STATUS="+d.oneLine()) }()
	d.reloading.Lock()
	defer d.reloading.Unlock()
	d.stopSensor()
	d.stopPorts()
	err = d.spine.do(ctx, func() { d.spine.reload(p) })
	if err == nil {
		d.plan.Store(p)
		d.reportBroken(old, p)
		d.ledger.SetForget(c.Forget)
		if p.firewall.Verdict != old.firewall.Verdict {
			d.firewall.SetVerdict(p.firewall.Verdict)
		}
	}
	d.startSensor(d.running, d.plan.Load())
	d.startPorts(d.running, d.plan.Load().config)
	d.scans.stop()
	d.scans.again()
	d.scans.begin(&d.plan.Load().config.Scan, d.begun)
	d.scans.arm(&d.plan.Load().config.Scan, time.Now())
	d.scans.start(d.running, &d.plan.Load().config.Scan)
	if err == nil {
		d.lists.restart(d.running, c)
		d.exports.stop()
		d.hooks.restart(d.running, c)
		d.exports.start(d.running, c)
	}
	d.stopReport()
	d.stopNotify()
	d.stopEnrich()
	d.startEnrich(d.running, d.plan.Load())
	d.startNotify(d.running, d.plan.Load())
	d.startReport(d.running, d.plan.Load())
	d.reloadPanel(d.plan.Load())
	d.stopMQTT()
	d.startMQTT(d.running, d.plan.Load())
	return err
}

// reload puts a plan in force for the pure parts. Windows survive where rule and
// threshold are unchanged; bans that are now allowed are released.
func (s *spine) reload(p *plan) {
	p.detect.Single = s.counting.Single
	s.counting = p.detect
	s.detect.Reconfigure(p.detect)
	s.carry(s.policy.Reconfigure(p.policy, time.Now(), s.host.Snapshot()), nil)
	s.gates.schedules, _, _ = schedulesOf(p.config)
	s.carry(s.schedule(time.Now()), nil)
	s.allow.config(p.config)
	s.names.set(s.allow.names(), nil)
	s.setAllow()
}
