package app

import (
	"context"
	"slices"
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
	parts := d.parts()
	for _, part := range slices.Backward(parts) {
		if part.again == nil {
			part.stop()
		}
	}
	err = d.spine.do(ctx, func() { d.spine.reload(p) })
	if err == nil {
		d.plan.Store(p)
		d.reportBroken(old, p)
		d.ledger.SetForget(c.Forget)
		if p.firewall.Verdict != old.firewall.Verdict {
			d.firewall.SetVerdict(p.firewall.Verdict)
		}
	}
	for _, part := range parts {
		if part.again != nil {
			part.again(d.running, d.plan.Load())
		} else {
			part.start(d.running, d.plan.Load())
		}
	}
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
