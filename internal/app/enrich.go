package app

import (
	"context"
	"net"
	"net/netip"

	"gatehouse/internal/api"
	"gatehouse/internal/config"
	"gatehouse/internal/enrich"
	"gatehouse/internal/gate"
)

// keepEnrich is the namespace of what registries answered.
const keepEnrich = "enrich"

// enriching is who tells who is behind an address, which a reload replaces whole.
type enriching struct {
	enricher *enrich.Enricher
	crew     *crew
	cancel   context.CancelFunc
}

// startEnrich makes what tells who is behind an address.
func (d *daemon) startEnrich(ctx context.Context, p *plan) {
	c := enrichConfig(&p.config.Enrich)
	e := enrich.New(c, enrich.Deps{Log: d.log, Store: d.ledger.Keep(keepEnrich), Resolver: net.DefaultResolver})
	ctx, cancel := context.WithCancel(ctx)
	n := &enriching{enricher: e, crew: newCrew(d.log, d.faults), cancel: cancel}
	n.crew.start(ctx, task{"who is it", e.Run})
	if c.Lookups == enrich.Told {
		from := d.ledger.Newest()
		n.crew.start(ctx, task{"whom to look up", func(ctx context.Context) error {
			return d.ledger.Follow(ctx, from, func(r gate.Record) bool {
				if r.Verdict == gate.Ban && r.Subject.IsNet() {
					e.Want(r.Subject.Addr())
				}
				return true
			})
		}})
	}
	d.mu.Lock()
	d.enriching = n
	d.mu.Unlock()
}

// stopEnrich ends it.
func (d *daemon) stopEnrich() {
	d.mu.Lock()
	n := d.enriching
	d.mu.Unlock()
	if n != nil {
		n.cancel()
		n.crew.wait()
	}
}

// enricher is what tells who is behind an address; nil before it is there.
func (d *daemon) enricher() *enrich.Enricher {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.enriching == nil {
		return nil
	}
	return d.enriching.enricher
}

// enrichConfig maps the section of the configuration to the part's own.
func enrichConfig(c *config.Enrich) enrich.Config {
	out := enrich.Config{Databases: c.Databases, Keep: c.Keep, Limit: c.Limit, Bootstrap: c.Bootstrap, Whois: c.Whois}
	switch c.Lookups {
	case "told":
		out.Lookups = enrich.Told
	case "off":
		out.Lookups = enrich.Off
	}
	return out
}

// known is what is known of an address at once.
func (d *daemon) known(addr netip.Addr) enrich.Facts {
	if e := d.enricher(); e != nil {
		return e.Known(addr)
	}
	return enrich.Facts{Addr: addr}
}

// whoIs is what messages say of a subject.
func (d *daemon) whoIs(s gate.Subject) string {
	if !s.IsNet() {
		return ""
	}
	return d.known(s.Addr()).String()
}

// whois is the answer to a person who asks for an address.
func (d *daemon) whois(ctx context.Context, addr netip.Addr, fresh bool) (api.Whois, error) {
	e := d.enricher()
	if e == nil {
		return api.Whois{}, errStopping
	}
	f := e.Look(ctx, addr, fresh)
	return whoisOf(f), ctx.Err()
}

// onWho adds to the story of a subject who is behind it, as far as it is known.
func (d *daemon) onWho(w *api.Why) {
	if !w.Subject.IsNet() {
		return
	}
	if f := d.known(w.Subject.Addr()); !f.IsEmpty() {
		f.Problems = nil
		who := whoisOf(f)
		w.Who = &who
	}
}

func whoisOf(f enrich.Facts) api.Whois {
	out := api.Whois{
		Address: f.Addr, Names: []api.HostName{}, Country: f.Country, AS: f.AS, Operator: f.Operator, Title: f.Held.Title, Owner: f.Held.Owner,
		Abuse: append([]string{}, f.Held.Abuse...), Source: f.Held.Source, Asked: api.TimeOf(f.Held.At), Problems: append([]string{}, f.Problems...),
	}
	if f.Held.Network.IsValid() {
		out.Network = gate.PrefixSubject(f.Held.Network).String()
	}
	for _, n := range f.Names {
		out.Names = append(out.Names, api.HostName(n))
	}
	return out
}
