package main

import (
	"context"
	"net/netip"
	"time"

	"gatehouse/internal/api"
)

// whois knows one address and a hostile one.
func (d *fakeDaemon) whois(_ context.Context, addr netip.Addr, fresh bool) (api.Whois, error) {
	w := api.Whois{Address: addr}
	switch addr.String() {
	case "203.0.113.9":
		w.Names = []api.HostName{{Name: "host9.hosting.example", Confirmed: true}, {Name: "www.bank.example"}}
		w.Country, w.AS, w.Operator, w.Network, w.Title, w.Owner = "DE", 64500, "Example Net", "203.0.113.0/24", "EXAMPLE-NET", "Example \x1b[31mHosting"
		w.Abuse, w.Source, w.Asked = []string{"abuse@hosting.example"}, "rdap.example.net", api.TimeOf(d.now.Add(-time.Hour))
		if fresh {
			w.Asked = api.TimeOf(d.now)
		}
	case "203.0.113.10":
		w.Country, w.Problems = "NL", []string{"RDAP: rdap.example.net answers 500"}
	default:
		w.Problems = []string{"nobody else is asked: enrich: lookups: off"}
	}
	return w, nil
}

func (d *fakeDaemon) abuse() api.Abuse {
	return api.Abuse{
		Show: func(_ context.Context, addr netip.Addr) (api.AbuseReport, error) {
			r := d.reported(addr)
			r.DryRun = true
			if r.Refused == "" {
				r.Parcels = []api.Parcel{
					{Target: "holder", How: "mail through mail", To: "abuse@hosting.example", Subject: "Abuse report", Body: "Hello,\n\n  a line with \x1b[31mred\n", XARF: "{}\n"},
					{Target: "abuseipdb", How: "POST https://api.abuseipdb.com/api/v2/report", To: "api.abuseipdb.com", Headers: []string{"Key: (hidden)"}, Body: "ip=203.0.113.9\n", Problem: "secret: /etc/gatehouse/key is empty"},
				}
			}
			return r, nil
		},
		Send: func(_ context.Context, addr netip.Addr) (api.AbuseReport, error) {
			if addr == netip.MustParseAddr("203.0.113.200") {
				return api.AbuseReport{}, &api.Error{Message: "nobody is named to whom abuse is reported", Hint: "name them under report: to: in the configuration, then: gatehouse reload"}
			}
			r := d.reported(addr)
			if r.Refused == "" {
				r.Parcels = []api.Parcel{{Target: "holder", To: "abuse@hosting.example", Answer: "250 taken"}}
			}
			if addr == netip.MustParseAddr("203.0.113.10") {
				r.Parcels = append(r.Parcels, api.Parcel{Target: "abuseipdb", Problem: "api.abuseipdb.com answers 500"})
			}
			return r, nil
		},
		Digest: func(_ context.Context, since time.Time, form string) (api.Digest, error) {
			g := api.Digest{Host: "gate", From: since, To: d.now, Sentence: "one week on gate: 3 bans of 2 addresses", Bans: 3, Step: "day",
				Offenders: []api.Count{{Name: "203.0.113.9", Bans: 2}}}
			switch form {
			case "text":
				g.Text = "gate: 3 bans in one week\n  ▁▂▃\nhost\x1b[31m\n"
			case "html":
				g.HTML = "<!doctype html><svg></svg>"
			}
			return g, nil
		},
	}
}

// reported says of two addresses that they may be reported.
func (d *fakeDaemon) reported(addr netip.Addr) api.AbuseReport {
	r := api.AbuseReport{Address: addr, Record: 1, Banned: api.TimeOf(d.now.Add(-150 * time.Second))}
	if addr != netip.MustParseAddr("203.0.113.9") && addr != netip.MustParseAddr("203.0.113.10") {
		r.Record, r.Banned, r.Refused = 0, nil, "it was never banned here"
	}
	return r
}
