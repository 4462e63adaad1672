package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
	"gatehouse/internal/gate"
)

// whyCommand tells the story of a subject.
func whyCommand(e *env) *cobra.Command {
	var whatIf bool
	cmd := &cobra.Command{
		Use:   "why SUBJECT",
		Short: "tell the whole story of an address: why it is banned, or why not",
		Long: "Tells what holds for an address or a prefix and why: the bans that cover it, the lines that led to " +
			"them, what was decided earlier, and how to undo it. For one that is not banned it tells what is " +
			"being counted, as in 3 of 5 in 10m, or who forbids a ban. With --what-if it also tells what would " +
			"follow if it offended once more, or if you banned, lifted or allowed it; nothing changes.",
		Example: "gatehouse why 192.0.2.7\ngatehouse why 192.0.2.7 --what-if",
		Args:    takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := gate.ParseSubject(args[0])
			if err != nil {
				return misused("usage: "+useLine(c), "why: %v", err)
			}
			return e.ask(c, func(ctx context.Context, d *api.Client) error {
				w, err := d.Why(ctx, s)
				if err != nil {
					return err
				}
				if whatIf {
					if w.WhatIf, err = d.WhatIf(ctx, s); err != nil {
						return err
					}
				}
				if e.json {
					return e.document(w)
				}
				e.writeWhy(w)
				e.writeWhatIf(w.WhatIf)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&whatIf, "what-if", false, "tell what would follow, too")
	return cmd
}

func (e *env) writeWhatIf(ps []api.Prospect) {
	if len(ps) == 0 {
		return
	}
	fmt.Fprintf(e.out, "\n%s\n", e.paint(bold, "what would follow"))
	for _, p := range ps {
		fmt.Fprintf(e.out, "  if %s:\n", harmless(p.If))
		for _, d := range p.Decisions {
			what := d.Verdict.String() + " " + d.Subject.String()
			if d.Verdict == gate.Ban {
				what += " " + span(d)
			}
			fmt.Fprintf(e.out, "    %s: %s\n", what, harmless(d.Why))
		}
		if len(p.Decisions) == 0 {
			fmt.Fprintf(e.out, "    nothing: %s\n", harmless(p.Refused))
		}
	}
}

func (e *env) writeWhy(w api.Why) {
	colour := map[string]style{api.IsBanned: red, api.IsNever: green, api.IsAllowed: green, api.IsWatched: yellow, api.IsHeld: yellow}[w.Verdict]
	fmt.Fprintln(e.out, e.paint(colour, harmless(w.Sentence)))
	for _, b := range w.Bans {
		e.writeBan(b)
	}
	if w.Allowed != "" {
		fmt.Fprintf(e.out, "\nnever banned: %s\n", harmless(w.Allowed))
	}
	e.writeWho(w.Who)
	e.writeHeld(w.Held)
	e.writeListings(w.Lists)
	e.writeWindows(w.Windows)
	e.writeHistory(w.History)
	e.writeHookRuns(w.Hooks)
	if len(w.Bans) > 0 {
		var names []string
		for _, b := range w.Bans {
			names = append(names, b.Subject.String())
		}
		fmt.Fprintf(e.out, "\nundo it with: gatehouse unban %s\n", strings.Join(names, " "))
	} else if w.Allowed == "" && slices.ContainsFunc(w.Lists, func(l api.Listing) bool { return l.Verdict == gate.Ban && l.InForce }) {
		fmt.Fprintf(e.out, "\nlet it in all the same with: gatehouse allow add %s\n", w.Subject)
	}
}

func (e *env) writeBan(b api.Ban) {
	var t table
	t.add("  banned", b.Subject.String())
	t.add("  since", clock(b.Since)+" ("+e.ago(&b.Since)+")")
	if b.Until == nil {
		t.add("  until", "forever")
	} else {
		t.add("  until", clock(*b.Until)+" ("+e.ends(b.Until)+")")
	}
	rule := b.Rule
	if b.Offences > 1 {
		rule += ", " + ordinal(b.Offences) + " offence"
	}
	t.add("  rule", rule)
	if b.Ports.IsEmpty() {
		t.add("  ports", "all")
	} else {
		t.add("  ports", b.Ports.String())
	}
	if b.Origin != "" {
		t.add("  seen in", b.Origin)
	}
	t.add("  reason", b.Reason)
	switch {
	case b.HTTP && b.Enforced:
		t.add("  enforced", "by the web server or the proxy that reads a file of exports: it comes by a trusted proxy, whose packets are all that the kernel sees")
	case b.HTTP:
		t.add("  enforced", "no: it comes by a trusted proxy, whose packets are all that the kernel sees; refuse it in the web server or the proxy (exports: in the configuration)")
	case !b.Enforced:
		t.add("  enforced", "no: see gatehouse status")
	}
	fmt.Fprintln(e.out)
	width := e.width
	e.width = 0 // a story is not cut
	_ = e.columns(t)
	e.width = width
}

func (e *env) writeWindows(ws []api.Window) {
	if len(ws) == 0 {
		return
	}
	fmt.Fprintf(e.out, "\n%s\n", e.paint(bold, "being counted"))
	for _, w := range ws {
		fmt.Fprintf(e.out, "  %s: %d of %s, the last %s\n", harmless(w.Rule), w.Count, w.Threshold, e.ago(&w.Newest))
		for _, l := range w.Lines {
			fmt.Fprintf(e.out, "    %s\n", harmless(l))
		}
	}
}

func (e *env) writeHistory(rs []gate.Record) {
	if len(rs) == 0 {
		return
	}
	fmt.Fprintf(e.out, "\n%s\n", e.paint(bold, "history"))
	for _, r := range rs {
		what := r.Verdict.String() + " " + r.Subject.String()
		if r.Verdict == gate.Ban {
			what += " " + span(r.Decision)
		}
		fmt.Fprintf(e.out, "  %s  %s: %s\n", e.paint(faint, clock(r.Time)), what, harmless(r.Why))
		if r.Proof != nil {
			e.writeProof(r.Subject, *r.Proof)
		}
	}
}

// writeProof writes the lines that a decision on a subject rests on. What is told
// of others, as of the offenders of a network, names them.
func (e *env) writeProof(about gate.Subject, p gate.Proof) {
	lines := func(events []gate.Event) {
		for _, ev := range events {
			line := harmless(ev.Line)
			if who := ev.Subject.String(); ev.Class == gate.ClassInfo && ev.Subject != about && !strings.Contains(line, who) {
				line = who + ": " + line
			}
			if ev.Line != "" {
				fmt.Fprintf(e.out, "    %s\n", line)
			}
		}
	}
	lines(p.First)
	if more := p.Count - len(p.First) - len(p.Last); more > 0 {
		fmt.Fprintf(e.out, "    … %s more\n", grouped(more))
	}
	lines(p.Last)
}

// ordinal writes second, third, 4th.
func ordinal(n int) string {
	if n >= 0 && n <= 3 {
		return [...]string{"0th", "first", "second", "third"}[n]
	}
	suffix := "th"
	if n/10%10 != 1 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprintf("%d%s", n, suffix)
}
