package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
)

// allowCommand keeps the list of who is never banned.
func allowCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "allow add|remove|list",
		Short: "say who is never banned",
		Long: "Keeps the list of who is never banned: addresses, prefixes and host names. What is added here lasts " +
			"until it is removed here; what stands in the configuration is changed there. " +
			"Loopback, this machine's own addresses, gateways, name servers and SSH sessions need no entry.",
		Args: cobra.ArbitraryArgs,
		RunE: subcommandMissing,
	}
	change := func(name, short, long string, remove bool) *cobra.Command {
		var in api.Allowing
		s := &cobra.Command{
			Use: name + " ENTRY...", Short: short, Long: long,
			Args: takes(1, -1),
			RunE: func(c *cobra.Command, args []string) error {
				for _, a := range args {
					if _, _, err := api.ParseEntry(a); err != nil {
						return misused("usage: "+useLine(c), "allow %s: %v", name, err)
					}
				}
				in.Entries = args
				return e.ask(c, func(ctx context.Context, d *api.Client) error {
					answers, err := d.Allow(ctx, remove, in)
					if err != nil {
						return err
					}
					return e.writeAnswers("allow "+name, answers)
				})
			},
		}
		s.Flags().StringVar(&in.Reason, "reason", "", "why, in your words: `TEXT` of at most 512 bytes")
		return s
	}
	add := change("add", "never ban these addresses, prefixes and host names", "Adds entries to the allow list. Bans that they cover are lifted.", false)
	add.Example = "gatehouse allow add 192.0.2.10 2001:db8::/64 admin.example.org"
	c.AddCommand(add,
		change("remove", "take entries back that were added by command", "Takes entries back. One that stands in the configuration is refused (exit 1): remove it there.", true),
		&cobra.Command{
			Use:   "list",
			Short: "list who is never banned, and who says so",
			Args:  takes(0, 0),
			RunE: func(c *cobra.Command, _ []string) error {
				return e.ask(c, func(ctx context.Context, d *api.Client) error {
					list, err := d.AllowList(ctx)
					if err != nil {
						return err
					}
					if e.json {
						return writeArray(e.out, list)
					}
					return e.writeAllowed(list)
				})
			},
		})
	return c
}

func (e *env) writeAllowed(list []api.Allowed) error {
	if len(list) == 0 {
		return nil
	}
	t := table{head: []string{"ENTRY", "FROM", "COVERS"}}
	for _, a := range list {
		covers := make([]string, len(a.Covers))
		for i, s := range a.Covers {
			covers[i] = s.String()
		}
		text := strings.Join(covers, " ")
		if a.Problem != "" {
			text = strings.TrimSpace(fmt.Sprintf("%s (%s)", text, a.Problem))
		}
		t.add(a.Entry, a.Origin, text)
	}
	return e.columns(t)
}
