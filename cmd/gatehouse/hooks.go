package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
)

// hooksCommand shows the hooks, or the latest runs of one.
func hooksCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "hooks [NAME]",
		Short: "show the commands that are run for bans, and how they fare",
		Long: "Shows each hook of the configuration: what it is run for, how often it ran and failed, and how far it is " +
			"behind. With a name it shows the latest runs of that hook with what they wrote.",
		Example: "gatehouse hooks\ngatehouse hooks on-ban",
		Args:    takes(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			return e.ask(c, func(ctx context.Context, d *api.Client) error {
				if len(args) == 1 {
					runs, err := d.HookRuns(ctx, args[0])
					if err != nil {
						return err
					}
					if e.json {
						return writeArray(e.out, runs)
					}
					e.writeRuns(runs)
					return nil
				}
				st, err := d.Status(ctx)
				if err != nil {
					return err
				}
				if e.json {
					return writeArray(e.out, st.Hooks)
				}
				return e.writeHooks(st.Hooks)
			})
		},
	}
}

func (e *env) writeHooks(hs []api.Hook) error {
	if len(hs) == 0 {
		fmt.Fprintln(e.out, "no hooks; name them under hooks: in the configuration")
		return nil
	}
	t := table{head: []string{"HOOK", "ON", "RUNS", "FAILED", "BEHIND", "LAST"}}
	for _, h := range hs {
		last := "never"
		if h.Last != nil {
			last = e.ago(h.Last)
		}
		if h.Running > 0 {
			last = fmt.Sprintf("%d running", h.Running)
		}
		t.add(h.Name, strings.Join(h.On, ", "), grouped(h.Runs), grouped(h.Failed), grouped(h.Behind), last)
	}
	if err := e.columns(t); err != nil {
		return err
	}
	for _, h := range hs {
		if h.Problem != "" {
			fmt.Fprintf(e.out, "\n%s: %s\nhint: see what it wrote: gatehouse hooks %s\n", harmless(h.Name), harmless(h.Problem), harmless(h.Name))
		}
	}
	return nil
}

// writeRuns writes runs of hooks with what they wrote.
func (e *env) writeRuns(rs []api.HookRun) {
	for _, r := range rs {
		end := "done"
		if r.Problem != "" {
			end = e.paint(red, harmless(r.Problem))
		}
		who := ""
		if r.Subject.IsValid() {
			who = " for " + r.Subject.String()
		}
		if r.Milliseconds > 0 {
			end += " after " + (time.Duration(r.Milliseconds) * time.Millisecond).String()
		}
		fmt.Fprintf(e.out, "  %s  %s%s, record %d: %s\n", e.paint(faint, clock(r.Time)), harmless(r.Hook), who, r.Record, end)
		if r.Lost > 0 {
			fmt.Fprintf(e.out, "    … %s before this\n", size(r.Lost))
		}
		if out := strings.TrimSpace(r.Output); out != "" {
			fmt.Fprintf(e.out, "%s\n", indent(harmlessLines(out), "    "))
		}
	}
}

// writeHookRuns writes what hooks did for a subject.
func (e *env) writeHookRuns(rs []api.HookRun) {
	if len(rs) > 0 {
		fmt.Fprintf(e.out, "\n%s\n", e.paint(bold, "hooks"))
		e.writeRuns(rs)
	}
}
