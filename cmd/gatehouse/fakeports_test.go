package main

import (
	"context"
	"strings"
	"time"

	"gatehouse/internal/api"
	"gatehouse/internal/gate"
)

// The fake daemon's ports: 8080 is closed for an hour, vpn rests closed and opens
// by its name only, and closing ssh would cut the asker's own session.

func (d *fakeDaemon) ports(_ context.Context, at time.Time) ([]api.Port, error) {
	n := uint64(1204)
	set, _ := gate.ParsePorts("8080/tcp")
	vpn, _ := gate.ParsePorts("51820/udp")
	list := []api.Port{
		{State: "closed", Ports: set, Direction: "in", From: "203.0.113.0/24", Since: api.TimeOf(d.now.Add(-10 * time.Minute)), Until: api.TimeOf(d.now.Add(50 * time.Minute)),
			Kind: "wish", By: "root", Why: "root asked to close 8080/tcp in from 203.0.113.0/24 for 1h", Packets: &n, Others: []string{"another program accepts 8080/tcp (table inet filter, chain input)"}},
		{State: "closed", Ports: vpn, Service: "vpn", Direction: "in", Kind: "rest", By: "configuration", Why: "the configuration lets vpn rest closed"},
	}
	if !at.IsZero() {
		list = list[1:]
	}
	return list, nil
}

func (d *fakeDaemon) askPorts(_ context.Context, w api.PortWish) (out []api.PortAnswer, err error) {
	for _, what := range w.What {
		a := api.PortAnswer{Answer: api.Answer{Subject: "port:" + what + "/" + w.Direction.String(), Changed: true}}
		switch what {
		case "ssh":
			a.Service, a.Subject = "ssh", "port:22/tcp/in"
			if w.Verdict == gate.Close && !w.Sure {
				a.Confirm = api.TimeOf(d.now.Add(time.Minute))
				a.Note = "it cuts your own session from 198.51.100.7: it is taken back in 1m unless you confirm it"
			}
		case "51820/udp":
			if w.Verdict == gate.Open {
				a.Changed, a.Refused, a.Hint = false, "51820/udp stays closed: the configuration lets vpn rest closed", "name the service: gatehouse port open vpn"
			}
		case "vpn":
			a.Service, a.Subject = "vpn", "port:51820/udp/in"
		case "80":
			a.Changed, a.Note = false, "nothing here closes it"
		case "nothing":
			return nil, &api.Error{Status: 422, Message: `there is no service "nothing": name it under services: in the configuration, or write its ports, as in 22/tcp`}
		}
		if w.For > 0 {
			a.Until = api.TimeOf(d.now.Add(w.For + 30*time.Second))
		}
		if strings.HasPrefix(what, "8080") && w.Verdict == gate.Open {
			a.Others = []string{"another program drops 8080/tcp (table ip filter, chain INPUT)"}
		}
		out = append(out, a)
	}
	return out, nil
}

func (d *fakeDaemon) confirmPorts(context.Context, string) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 1 - d.confirmed
	d.confirmed = 1
	return n, nil
}
