package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
	"gatehouse/internal/firewall"
	"gatehouse/internal/gate"
)

// ask runs f with a client of the daemon. Its error names the command.
func (e *env) ask(c *cobra.Command, f func(context.Context, *api.Client) error) error {
	socket, err := e.socketPath()
	if err != nil {
		return err
	}
	client := api.NewClient(socket)
	defer client.Close()
	return f(c.Context(), client)
}

// statusCommand shows the state of the daemon.
func statusCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "show what the daemon watches, bans and cannot do",
		Long: "Shows the state of the daemon (guarding, observing, open, hands off or degraded), what it watches, " +
			"how many it bans, who can never be banned, and whatever does not work, with the next step.",
		Args: takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			return e.ask(c, func(ctx context.Context, d *api.Client) error {
				st, err := d.Status(ctx)
				if err != nil {
					return err
				}
				if e.json {
					return e.document(st)
				}
				return e.writeStatus(st)
			})
		},
	}
}

func (e *env) writeStatus(st api.Status) error {
	colour := map[api.State]style{api.Guarding: green, api.Observing: yellow, api.Open: red, api.HandsOff: red, api.Degraded: red}[st.State]
	fmt.Fprintf(e.out, "gatehouse %s is %s, started %s\n\n", harmless(st.Version), e.paint(colour, harmless(string(st.State))), e.ago(&st.Since))
	if err := e.writeSources(st); err != nil {
		return err
	}
	if err := e.writeChannels(st.Channels); err != nil {
		return err
	}
	var t table
	t.add("bans", grouped(st.Bans))
	for _, l := range st.Lists {
		t.add("list "+l.Name, listState(l)+", "+counted(l.Prefixes, "network")+", heard "+e.agoOrNever(l)+" from "+l.Source)
	}
	addScan(&t, e, st.Scan)
	t.add("dropped", counted(st.Drops.Packets, "packet")+", "+size(st.Drops.Bytes))
	t.add("never banned", joined(st.Never))
	t.add("allowed", strings.Join(st.Allow, ", "))
	t.add("ledger", st.Ledger.State+", "+counted(st.Ledger.Records, "record")+" in "+st.Ledger.Path)
	t.add("firewall", st.Firewall.State+", table "+st.Firewall.Table)
	if b := st.Broker; b != nil {
		t.add("broker", brokerWords(b))
	}
	if st.Panel != "" {
		t.add("alarm panel", st.Panel)
	}
	for i := range t.rows {
		if t.rows[i][1] == "" {
			t.rows[i][1] = "nobody"
		}
	}
	if st.Config != "" {
		t.add("configuration", st.Config)
	}
	width := e.width
	e.width = 0 // who can never be banned is never cut
	err := e.columns(t)
	e.width = width
	for _, n := range st.Notes {
		fmt.Fprintf(e.out, "\nnote: %s\n", harmless(n))
	}
	e.writeDegraded(st)
	return err
}

// writeSources writes what is watched.
func (e *env) writeSources(st api.Status) error {
	var t table
	label := "watching"
	for _, s := range st.Sources {
		t.add(label, s.Name, s.Rule, e.sourceState(s))
		label = ""
	}
	if len(st.Sources) == 0 {
		t.add(label, "nothing: no rule has a source on this machine")
	}
	return e.columns(t)
}

// writeDegraded writes what does not work, and what to do about it.
func (e *env) writeDegraded(st api.Status) {
	for _, d := range st.Degraded {
		fmt.Fprintf(e.out, "\n%s: %s (since %s)\n", e.paint(red, harmless(d.Part)), harmless(d.Why), e.ago(&d.Since))
		if d.Hint != "" {
			fmt.Fprintf(e.out, "hint: %s\n", harmless(d.Hint))
		}
	}
}

// joined writes subjects with commas between them.
func joined(list []gate.Subject) string {
	text := make([]string, len(list))
	for i, s := range list {
		text[i] = s.String()
	}
	return strings.Join(text, ", ")
}

func (e *env) sourceState(s api.Source) string {
	out := s.State
	if s.Why != "" {
		out += ": " + s.Why
	}
	if s.Lines > 0 {
		comma := ", "
		if s.Why != "" {
			comma = "; " // a reason may itself have commas, and end with a name
		}
		out += fmt.Sprintf("%s%s, %s", comma, counted(s.Lines, "line"), counted(s.Hits, "hit"))
	}
	if s.Behind > 0 {
		out += ", " + size(s.Behind) + " behind"
	}
	if s.Last != nil {
		out += ", last " + e.ago(s.Last)
	}
	return out
}

// stopWords says what became of the bans of a daemon that has stopped.
func stopWords(observed, flush bool) string {
	switch {
	case observed:
		return "stopped; it only observed, and put nothing into the kernel"
	case flush:
		return "stopped; the bans have left the kernel"
	}
	return "stopped; the bans stay in the kernel until they end"
}

// stopCommand ends the daemon.
func stopCommand(e *env) *cobra.Command {
	var flush bool
	c := &cobra.Command{
		Use:   "stop [--flush]",
		Short: "stop the daemon; its bans stay in the kernel until they end",
		Long: "Stops the daemon and waits until it is gone. Bans stay in the kernel and end there by themselves; " +
			"with --flush they leave the kernel at once, and come back when the daemon starts again. " +
			"Where no daemon runs, --flush still takes what one has left in the kernel.",
		Args: takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			return e.ask(c, func(ctx context.Context, d *api.Client) error {
				st, known := d.Status(ctx) // it is asked before it is gone
				err := d.Stop(ctx, flush)
				if flush && errors.Is(err, api.ErrNoDaemon) && os.Geteuid() == 0 {
					return e.sweep()
				}
				if err != nil {
					return err
				}
				if e.json {
					return e.document(map[string]bool{"stopped": true, "flushed": flush})
				}
				fmt.Fprintln(e.out, stopWords(known == nil && st.State == api.Observing, flush))
				return nil
			})
		},
	}
	c.Flags().BoolVar(&flush, "flush", false, "take the bans out of the kernel, too")
	return c
}

// sweep takes the table out of the kernel that a daemon has left there.
func (e *env) sweep() error {
	f, err := firewall.New(firewall.Config{}, firewall.Deps{})
	if err == nil {
		err = f.Remove()
	}
	if err != nil {
		return failed("", "stop: %v", err)
	}
	defer f.Close()
	if e.json {
		return e.document(map[string]bool{"stopped": false, "flushed": true})
	}
	fmt.Fprintln(e.out, "no daemon was running; what it had left in the kernel is gone")
	return nil
}

// reloadCommand makes the daemon read its configuration again.
func reloadCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "read the configuration again; on an error nothing changes",
		Long: "Makes the daemon read its configuration again. With an error in it nothing changes. " +
			"Bans that are now allowed are lifted; all others stay as they are.",
		Args: takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			return e.ask(c, func(ctx context.Context, d *api.Client) error {
				if err := d.Reload(ctx); err != nil {
					return err
				}
				if e.json {
					return e.document(map[string]bool{"reloaded": true})
				}
				fmt.Fprintln(e.out, "reloaded")
				return nil
			})
		},
	}
}

// logCommand shows the records of the ledger.
func logCommand(e *env) *cobra.Command {
	var q api.LogQuery
	var subject string
	c := &cobra.Command{
		Use:   "log [--follow] [-n N]",
		Short: "show every decision, oldest first",
		Long: "Shows the decisions in the ledger, oldest first: bans, releases and what else was decided, with " +
			"their reasons. With --follow it begins with the last 10 and goes on until interrupted. " +
			"With --json each line is one document.",
		Example: "gatehouse log -n 20\ngatehouse log --follow --rule sshd",
		Args:    takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if q.Last < 0 {
				return misused("usage: "+useLine(c), "log: -n %d: write a number from 0", q.Last)
			}
			if q.Follow && !c.Flags().Changed("lines") {
				q.Last = 10
			}
			if c.Flags().Changed("lines") && q.Last == 0 && !q.Follow {
				return nil
			}
			if subject != "" {
				sub, err := gate.ParseSubject(subject)
				if err != nil {
					return misused("usage: "+useLine(c), "log: %v", err)
				}
				q.Subject = sub
			}
			if err := checkKind(q.Kind); err != nil {
				return misused("usage: "+useLine(c), "log: %v", err)
			}
			return e.ask(c, func(ctx context.Context, d *api.Client) error {
				err := d.Log(ctx, q, e.writeRecord)
				if q.Follow && ctx.Err() != nil {
					return nil // interrupted: that is how following ends
				}
				return err
			})
		},
	}
	c.Flags().BoolVarP(&q.Follow, "follow", "f", false, "go on with what is decided from now on")
	c.Flags().IntVarP(&q.Last, "lines", "n", 0, "only the newest `N` (default: all, with --follow 10)")
	c.Flags().Uint64Var(&q.After, "after", 0, "only records behind sequence number `SEQ`")
	c.Flags().StringVar(&q.Rule, "rule", "", "only decisions of this `RULE`")
	c.Flags().StringVar(&q.Kind, "kind", "", "only this `KIND`: a verdict (ban), a part (scan) or a topic (scan.held)")
	c.Flags().StringVar(&subject, "subject", "", "only decisions on this `SUBJECT`")
	return c
}

// writeRecord writes one record as a line.
func (e *env) writeRecord(r gate.Record) error {
	if e.json {
		b, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("write record: %w", err)
		}
		_, err = fmt.Fprintf(e.out, "%s\n", harmlessJSON(b))
		return err
	}
	colour := map[gate.Verdict]style{gate.Ban: red, gate.Release: green, gate.Allow: green}[r.Verdict]
	line := fmt.Sprintf("%s  %s %s", e.paint(faint, clock(r.Time)), e.paint(colour, fmt.Sprintf("%-8s", r.Verdict)), r.Subject)
	if r.Verdict == gate.Ban {
		line += " " + span(r.Decision)
	}
	if r.Why != "" {
		if r.Subject.IsValid() {
			line += ": "
		}
		line += harmless(r.Why)
	}
	_, err := fmt.Fprintln(e.out, line)
	return err
}

// span writes how long a ban was meant to last.
func span(d gate.Decision) string {
	if d.Until.IsZero() {
		return "forever"
	}
	return "for " + gate.FormatDuration(d.Until.Sub(d.Time).Round(1e9))
}
