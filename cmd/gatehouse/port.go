package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
	"gatehouse/internal/gate"
)

// portCommand closes and opens ports.
func portCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "port close|open|reset|list|confirm",
		Short: "close and open ports, for everybody or for some",
		Long: "Closes and opens ports of this machine. A closed port cuts its live connections at once. " +
			"Schedules, remote files and resting states are configured; docs/ports.md tells what beats what.",
		Args: cobra.ArbitraryArgs,
		RunE: subcommandMissing,
	}
	c.AddCommand(
		portChangeCommand(e, "close", "close"), portChangeCommand(e, "open", "open"), portChangeCommand(e, "reset", "reset"),
		portListCommand(e), portConfirmCommand(e))
	return c
}

// portAlias is a command of the first level that is a subcommand of port.
func portAlias(e *env, name, do string) *cobra.Command {
	c := portChangeCommand(e, name, do)
	c.Short = "the same as: gatehouse port " + do
	c.Long = "Is another name of gatehouse port " + do + ". " + c.Long
	return c
}

// portTexts are the words about each change.
var portTexts = map[string]struct{ short, long, example string }{
	"close": {
		"close ports; what lives on them is cut at once",
		"Closes ports: of services by name, and by number. Without --out those of this machine are closed, published ports " +
			"of containers included, for IPv4 and IPv6; with --out its own programs can no longer connect to such ports elsewhere. " +
			"Answers to connections of the other direction, loopback, and what this machine forwards to others are left alone.\n\n" +
			"What would cut your own SSH session is taken back by itself, unless it is confirmed within 60 seconds " +
			"(ports: confirm in the configuration) by gatehouse port confirm; --yes-cut-me-off does it at once.",
		"gatehouse port close 80,443\ngatehouse port close 8000-8500/udp --for 2h\ngatehouse port close 25 --out --reason 'no mail from here'\n" +
			"gatehouse port close ssh --from 203.0.113.0/24",
	},
	"open": {
		"open ports that are closed, for a while or for good",
		"Opens ports that are closed. What a service keeps closed at rest, or a schedule, is opened by the name of the service; " +
			"by number only what was closed by command. An opening --for a while ends in the kernel, even if the daemon is dead: " +
			"then nobody new gets in, and who is connected stays, unless --cut says otherwise.",
		"gatehouse port open 8080/tcp\ngatehouse port open ssh --for 30m --from 198.51.100.7",
	},
	"reset": {
		"take back what was asked for, and let the configuration decide",
		"Takes back what commands and remote files have asked for: resting states and schedules hold again. " +
			"Without --from and --to it is taken back wherever it was for.",
		"gatehouse port reset ssh\ngatehouse port reset 1-65535 --out",
	},
}

func portChangeCommand(e *env, name, do string) *cobra.Command {
	in := api.PortAsking{Do: do}
	var inward, outward bool
	text := portTexts[do]
	use := name + " PORTS|SERVICE... [--in|--out] [--from PREFIX] [--to PREFIX]"
	if do != "reset" {
		use += " [--for DUR]"
	}
	c := &cobra.Command{
		Use: use, Short: text.short, Long: text.long, Example: text.example,
		Args: takes(1, -1),
		RunE: func(c *cobra.Command, args []string) error {
			in.What, in.Direction = nil, "in"
			for _, a := range args {
				in.What = append(in.What, strings.Fields(a)...)
			}
			if outward {
				in.Direction = "out"
			}
			err := in.Check()
			switch {
			case inward && outward:
				err = fmt.Errorf("either --in or --out; write two commands for both")
			case len(in.Reason) > 512:
				err = fmt.Errorf("--reason: it is longer than 512 bytes")
			case len(in.What) == 0:
				err = fmt.Errorf("name services or ports")
			}
			if err != nil {
				return misused("usage: "+useLine(c), "%s: %v", called(c), err)
			}
			return e.ask(c, func(ctx context.Context, d *api.Client) error {
				answers, err := d.AskPorts(ctx, in)
				if err != nil {
					return err
				}
				return e.writePortAnswers(called(c), in, answers)
			})
		},
	}
	c.Flags().BoolVar(&inward, "in", false, "connections to this machine (the default)")
	c.Flags().BoolVar(&outward, "out", false, "connections that this machine opens")
	c.Flags().StringVar(&in.From, "from", "", "only what comes from this address or `PREFIX`")
	c.Flags().StringVar(&in.To, "to", "", "only what goes to this address or `PREFIX`")
	if do != "reset" {
		c.Flags().StringVar(&in.For, "for", "", "how long: `DUR` as in 30m, 2h, 7d or forever (default: for good)")
	}
	if do == "open" {
		c.Flags().BoolVar(&in.Cut, "cut", false, "when it ends, cut the connections that live, too")
	}
	c.Flags().StringVar(&in.Reason, "reason", "", "why, in your words: `TEXT` of at most 512 bytes")
	c.Flags().BoolVar(&in.Sure, "yes-cut-me-off", false, "do it even if it cuts your own session")
	return c
}

// writePortAnswers tells what became of a wish about ports.
func (e *env) writePortAnswers(what string, in api.PortAsking, answers []api.PortAnswer) error {
	if e.json {
		if err := writeArray(e.out, answers); err != nil {
			return err
		}
	}
	plain := make([]api.Answer, len(answers))
	for i, a := range answers {
		name := a.Subject
		if a.Service != "" {
			name = a.Service
		}
		plain[i] = a.Answer
		plain[i].Subject = strings.TrimPrefix(name, "port:")
		if e.json || a.Refused != "" {
			continue
		}
		line := map[string]string{"close": "closed ", "open": "opened ", "reset": "took back what was asked for "}[in.Do] + portName(a, in)
		switch {
		case !a.Changed:
			line = "nothing has changed for " + portName(a, in)
		case a.Until != nil:
			line += " " + e.lasting(a.Until)
		}
		if a.Note != "" {
			line += " (" + a.Note + ")"
		}
		fmt.Fprintln(e.out, harmless(line))
		for _, o := range a.Others {
			fmt.Fprintln(e.out, "  "+harmless(o))
		}
		if a.Confirm != nil {
			fmt.Fprintf(e.out, "  confirm it until %s: gatehouse port confirm\n", clock(*a.Confirm))
		}
	}
	return refusal(what, plain)
}

// portName writes what an answer is about.
func portName(a api.PortAnswer, in api.PortAsking) string {
	s, direction := strings.TrimPrefix(a.Subject, "port:"), ""
	if i := strings.LastIndexByte(s, '/'); i >= 0 {
		s, direction = s[:i], s[i+1:]
	}
	if a.Service != "" {
		s = a.Service + ", " + s + ","
	}
	if direction == "out" {
		s += " outbound"
	}
	if in.From != "" {
		s += " from " + in.From
	}
	if in.To != "" {
		s += " to " + in.To
	}
	return strings.TrimSuffix(s, ",")
}

func portListCommand(e *env) *cobra.Command {
	var at string
	c := &cobra.Command{
		Use:   "list [--at TIME]",
		Short: "list what is closed, what is open in spite of it, since when, until when, and why",
		Long: "Lists the ports that are closed, and those that are open although something would close them. " +
			"With --at it tells what schedules and what is asked for now will make of a later time.",
		Example: "gatehouse port list\ngatehouse port list --at '2026-12-24 18:00'\ngatehouse port list --at 22:30",
		Args:    takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			var when time.Time
			if at != "" {
				var err error
				if when, err = parseMoment(at, e.now()); err != nil {
					return misused("usage: "+useLine(c), "port list: --at: %v", err)
				}
			}
			return e.ask(c, func(ctx context.Context, d *api.Client) error {
				list, err := d.Ports(ctx, when)
				if err != nil {
					return err
				}
				if e.json {
					return writeArray(e.out, list)
				}
				return e.writePorts(list, when)
			})
		},
	}
	c.Flags().StringVar(&at, "at", "", "another `TIME`: 22:30, 2026-12-24 18:00, or as RFC 3339 has it")
	return c
}

// parseMoment reads a time of the machine's zone: of today, or the next day if it
// has passed; with a date; or RFC 3339.
func parseMoment(s string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	for _, form := range []string{"2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(form, s, time.Local); err == nil {
			return t, nil
		}
	}
	if t, err := time.ParseInLocation("15:04", s, time.Local); err == nil {
		l := now.Local()
		t = time.Date(l.Year(), l.Month(), l.Day(), t.Hour(), t.Minute(), 0, 0, time.Local)
		if t.Before(now) {
			t = t.AddDate(0, 0, 1)
		}
		return t, nil
	}
	return time.Time{}, fmt.Errorf("%s is not a time: write 22:30, 2026-12-24 18:00 or 2026-12-24T18:00:00Z", gate.Quote(s, 40))
}

func (e *env) writePorts(list []api.Port, at time.Time) error {
	when := "now"
	if !at.IsZero() {
		when = "at " + at.Local().Format("2006-01-02 15:04 MST")
	}
	if len(list) == 0 {
		fmt.Fprintln(e.out, "no port is closed "+when)
		return nil
	}
	if !at.IsZero() {
		fmt.Fprintln(e.out, when+":")
	}
	t := table{head: []string{"STATE", "PORTS", "WAY", "SINCE", "UNTIL", "STOPPED", "WHY"}}
	for _, p := range list {
		name, way := p.Ports.String(), p.Direction
		if p.Service != "" {
			name = p.Service + " (" + name + ")"
		}
		if p.From != "" {
			way += " from " + p.From
		}
		if p.To != "" {
			way += " to " + p.To
		}
		until, since, stopped := "", "", ""
		if p.Since != nil {
			since = clock(*p.Since)
		}
		if p.Until != nil {
			until = clock(*p.Until)
		}
		if p.Pending {
			until += ", unless confirmed"
		}
		if p.Packets != nil {
			stopped = grouped(*p.Packets)
		}
		why := p.Why
		if len(p.Others) > 0 {
			why += "; " + strings.Join(p.Others, "; ")
		}
		t.add(p.State, name, way, since, until, stopped, why)
	}
	return e.columns(t)
}

func portConfirmCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "confirm",
		Short: "keep a change that cuts your own session",
		Long: "Makes changes last that would be taken back by themselves because they cut your own SSH session. " +
			"Where nothing waits it is done all the same (exit 0).",
		Args: takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			return e.ask(c, func(ctx context.Context, d *api.Client) error {
				done, err := d.ConfirmPorts(ctx)
				if err != nil {
					return err
				}
				switch {
				case e.json:
					return e.document(done)
				case done.Changes == 0:
					fmt.Fprintln(e.out, "nothing waits to be confirmed")
				default:
					fmt.Fprintln(e.out, "confirmed "+counted(done.Changes, "change"))
				}
				return nil
			})
		},
	}
}
