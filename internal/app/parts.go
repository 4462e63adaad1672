package app

import (
	"context"
	"time"
)

// part is something that runs beside the line: a sensor that feeds it, or a follower
// of what it decided.
type part struct {
	start func(ctx context.Context, p *plan)
	stop  func() // returns when nothing more comes from it
	// again follows a reload; nil = it was stopped before and is started after.
	again func(ctx context.Context, p *plan)
}

// parts is all of them in the order in which they start: who follows before who
// feeds. They stop in the other direction, so that what is fed last is followed.
func (d *daemon) parts() []part {
	scan := func(ctx context.Context, p *plan) { d.scans.start(ctx, &p.config.Scan) }
	return []part{
		{start: d.startEnrich, stop: d.stopEnrich},
		{start: d.startNotify, stop: d.stopNotify},
		{start: d.startReport, stop: d.stopReport},
		{start: d.startMQTT, stop: d.stopMQTT},
		{
			start: func(ctx context.Context, p *plan) { d.hooks.start(ctx, p.config) },
			stop:  d.hooks.stop,
			again: func(ctx context.Context, p *plan) { d.hooks.restart(ctx, p.config) },
		},
		{start: func(ctx context.Context, p *plan) { d.exports.start(ctx, p.config) }, stop: d.exports.stop},
		{
			start: func(ctx context.Context, p *plan) { d.lists.start(ctx, p.config) },
			stop:  d.lists.stop,
			again: func(ctx context.Context, p *plan) { d.lists.restart(ctx, p.config) },
		},
		{
			start: scan,
			stop:  d.scans.stop,
			again: func(ctx context.Context, p *plan) {
				d.scans.stop()
				d.scans.again()
				d.scans.begin(&p.config.Scan, d.begun)
				d.scans.arm(&p.config.Scan, time.Now())
				scan(ctx, p)
			},
		},
		{start: func(ctx context.Context, p *plan) { d.startPorts(ctx, p.config) }, stop: d.stopPorts},
		{start: d.startPanel, stop: d.stopPanel, again: func(_ context.Context, p *plan) { d.reloadPanel(p) }},
		{start: d.startSensor, stop: d.stopSensor},
	}
}
