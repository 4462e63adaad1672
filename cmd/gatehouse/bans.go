package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
	"gatehouse/internal/gate"
)

// bansCommand lists the bans in force.
func bansCommand(e *env) *cobra.Command {
	var q api.BansQuery
	c := &cobra.Command{
		Use:   "bans [--rule R] [--list L]",
		Short: "list who is banned, until when, and why",
		Long: "Lists the bans in force, by address. With --json each is " +
			"{subject, since, until, rule, origin, reason, ports, offences, enforced}; until null is for ever.",
		Example: "gatehouse bans --rule sshd\ngatehouse --json bans | jq -r '.[].subject'",
		Args:    takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			return e.ask(c, func(ctx context.Context, d *api.Client) error {
				bans, err := sortedBans(ctx, d, q)
				if err != nil {
					return err
				}
				if e.json {
					return writeArray(e.out, bans)
				}
				return e.writeBans(bans)
			})
		},
	}
	c.Flags().StringVar(&q.Rule, "rule", "", "only bans of this `RULE`")
	c.Flags().StringVar(&q.List, "list", "", "only what this block `LIST` bans")
	return c
}

// sortedBans returns bans by address, wider prefixes first.
func sortedBans(ctx context.Context, d *api.Client, q api.BansQuery) ([]api.Ban, error) {
	bans := []api.Ban{}
	err := d.Bans(ctx, q, func(b api.Ban) error {
		bans = append(bans, b)
		return nil
	})
	slices.SortFunc(bans, func(a, b api.Ban) int { return compareSubjects(a.Subject, b.Subject) })
	return bans, err
}

// compareSubjects orders addresses and prefixes by address, then length.
func compareSubjects(a, b gate.Subject) int {
	if c := a.Addr().Compare(b.Addr()); c != 0 {
		return c
	}
	return a.Prefix().Bits() - b.Prefix().Bits()
}

func (e *env) writeBans(bans []api.Ban) error {
	if len(bans) == 0 {
		return nil
	}
	t := table{head: []string{"SUBJECT", "SINCE", "ENDS", "RULE", "PORTS", "REASON"}}
	for _, b := range bans {
		ports := b.Ports.String()
		if ports == "" {
			ports = "all"
		}
		reason := b.Reason
		switch {
		case b.HTTP && b.Enforced:
			reason = "(enforced by the web server) " + reason
		case b.HTTP:
			reason = "(not enforced: behind a proxy) " + reason
		case !b.Enforced:
			reason = "(not enforced) " + reason
		}
		t.add(b.Subject.String(), e.ago(&b.Since), e.ends(b.Until), b.Rule, ports, reason)
	}
	return e.columns(t)
}
