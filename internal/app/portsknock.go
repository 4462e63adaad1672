package app

import (
	"context"
	"maps"
	"net/netip"
	"slices"

	"gatehouse/internal/api"
	"gatehouse/internal/config"
	"gatehouse/internal/firewall"
	"gatehouse/internal/gate"
	"gatehouse/internal/ports"
)

// knockGroup is the group of NFLOG in which knocks are shown.
const knockGroup = 62201

// startKnocks starts reading knocks, if they are configured, and stops showing
// them otherwise.
func (d *daemon) startKnocks(ctx context.Context, p *porters, c *config.Config) {
	k := c.Ports.Knock
	var shown firewall.Knock
	if k.Port != 0 && !d.o.Observe {
		key, err := ports.ReadKnockKey(k.Key)
		if err != nil {
			d.faults.report("knocks", err.Error(), "correct the section knock of ports, then: gatehouse reload")
		} else {
			shown = firewall.Knock{Port: uint16(k.Port), Group: knockGroup}
			p.crew.start(ctx, task{"knocks", d.knocks(c, key).Run})
		}
	}
	if err := d.firewall.SetKnock(shown); err != nil {
		d.faults.report("knocks", err.Error(), "")
	}
}

func (d *daemon) knocks(c *config.Config, key ports.KnockKey) *ports.Knocks {
	k, keep := c.Ports.Knock, d.ledger.Keep(keepPorts)
	services := k.Services
	if len(services) == 0 {
		services = slices.Collect(maps.Keys(c.Services))
	}
	counter, _, err := keep.Get("knock")
	if err != nil {
		d.log.Error("read the counter of knocks", "err", err)
	}
	return ports.NewKnocks(ports.KnocksConfig{Port: uint16(k.Port), Group: knockGroup, Key: key, Services: services, Counter: ports.ParseCounter(counter)}, ports.KnocksDeps{
		Log:  d.log,
		Save: func(n uint64) { keep.Put("knock", ports.CounterText(n)) },
		Open: func(ctx context.Context, service string, client netip.Addr) {
			w := api.Wish{Subject: gate.PortSubject(c.Services[service].Ports, gate.In), Ask: gate.Ask{
				Verdict: gate.Open, For: k.For, From: netip.PrefixFrom(client, client.BitLen()), By: "a knock from " + client.String(), Name: service,
			}}
			var o gate.Origin
			_ = d.spine.do(ctx, func() { o = d.spine.command() }) // fails only while stopping
			if _, err := d.askAs(ctx, "knock", o, w); err != nil && ctx.Err() == nil {
				d.log.Error("open for a knock", "err", err)
			}
		},
	})
}
