package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
	"gatehouse/internal/gate"
)

// whoisCommand tells who is behind an address.
func whoisCommand(e *env) *cobra.Command {
	var fresh bool
	c := &cobra.Command{
		Use:   "whois ADDR",
		Short: "tell who is behind an address: names, country, network, holder, abuse contact",
		Long: "Tells who is behind an address: its names by reverse DNS, and whether they lead back to it; country and " +
			"network by the databases on this machine; holder and abuse contact by the registries (RDAP, or whois where " +
			"that does not help). What is known already is not asked again; with --fresh it is. Asking gives away to name " +
			"servers and registries that you want to know; with lookups: off under enrich: in the configuration nobody is " +
			"asked. Exit 1 if nothing is known.",
		Example: "gatehouse whois 192.0.2.7\ngatehouse whois --json 2001:db8::7",
		Args:    takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			addr, err := oneAddress("whois", args[0], useLine(c))
			if err != nil {
				return err
			}
			return e.ask(c, func(ctx context.Context, d *api.Client) error {
				var w api.Whois
				err := e.patiently("asking who it is", whoisTime, func() (err error) {
					w, err = d.Whois(ctx, addr, fresh)
					return err
				})
				if err != nil {
					return err
				}
				if e.json {
					if err := e.document(w); err != nil {
						return err
					}
				} else if err := e.writeWhois(w); err != nil {
					return err
				}
				if len(w.Names) == 0 && w.Country == "" && w.AS == 0 && w.Source == "" {
					return failed("docs/enrich.md tells what is asked, and how to have databases", "whois %s: nothing is known of it", addr)
				}
				return nil
			})
		},
	}
	c.Flags().BoolVar(&fresh, "fresh", false, "ask the registries again, whatever is known")
	return c
}

// whoisTime is how long the daemon looks at most.
const whoisTime = 30 * time.Second

// oneAddress reads an argument that must be one address.
func oneAddress(what, text, usage string) (netip.Addr, error) {
	s, err := gate.ParseSubject(text)
	if err == nil && s.Kind() != gate.KindAddr {
		err = fmt.Errorf("%s is not one address", s)
	}
	if err != nil {
		return netip.Addr{}, misused("usage: "+usage, "%s: %v", what, err)
	}
	return s.Addr(), nil
}

// patiently does what may take a while, and shows on a terminal how much of the
// time is over that it takes at most.
func (e *env) patiently(what string, most time.Duration, do func() error) error {
	p := e.progress(what, int64(most))
	defer p.end()
	begun := e.now()
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	done := make(chan error, 1) // one send
	go func() { done <- do() }()
	for {
		select {
		case err := <-done:
			return err
		case <-tick.C:
			p.set(int64(e.now().Sub(begun)))
		}
	}
}

// writeWhois writes who is behind an address.
func (e *env) writeWhois(w api.Whois) error {
	t := whoisTable(w, "")
	if err := e.columns(t); err != nil {
		return err
	}
	for _, p := range w.Problems {
		fmt.Fprintf(e.err, "note: %s\n", harmless(p))
	}
	return nil
}

// whoisTable is what is known of an address, a line each.
func whoisTable(w api.Whois, indent string) (t table) {
	add := func(name, value string) {
		if value != "" {
			t.add(indent+name, value)
		}
	}
	for i, n := range w.Names {
		label := ""
		if i == 0 {
			label = "name"
		}
		text := n.Name
		if !n.Confirmed {
			text += " (not confirmed: it does not lead back)"
		}
		t.add(indent+label, text)
	}
	add("country", w.Country)
	network := w.Operator
	if w.AS != 0 {
		network = strings.TrimSpace(fmt.Sprintf("AS%d %s", w.AS, network))
	}
	add("operator", network)
	add("network", strings.TrimSpace(w.Network+" "+w.Title))
	add("holder", w.Owner)
	add("abuse to", strings.Join(w.Abuse, ", "))
	if w.Source != "" && w.Asked != nil {
		add("says", w.Source+", "+clock(*w.Asked))
	}
	return t
}

// writeWho writes as part of a story who is behind its subject.
func (e *env) writeWho(w *api.Whois) {
	if w == nil {
		return
	}
	fmt.Fprintf(e.out, "\n%s\n", e.paint(bold, "who it is"))
	width := e.width
	e.width = 0 // a story is not cut
	_ = e.columns(whoisTable(*w, "  "))
	e.width = width
}
