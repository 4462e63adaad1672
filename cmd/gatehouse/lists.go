package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
	"gatehouse/internal/gate"
)

// listsCommand shows the block lists, and has two things done with them.
func listsCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "lists [refresh|accept NAME]",
		Short: "show the block lists: where they come from, how old they are, what is wrong",
		Long: "Shows each list of the section lists of the configuration: how many networks of it are in force, " +
			"when its source was last heard, when it is asked again, and what is wrong with it. " +
			"gatehouse bans --list NAME shows what is in one, gatehouse why ADDRESS which of them name an address.",
		Example: "gatehouse lists\ngatehouse lists accept drop",
		Args:    cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return subcommandMissing(c, args)
			}
			return e.ask(c, func(ctx context.Context, d *api.Client) error {
				st, err := d.Status(ctx)
				if err != nil {
					return err
				}
				if e.json {
					return writeArray(e.out, st.Lists)
				}
				return e.writeLists(st.Lists)
			})
		},
	}
	c.AddCommand(
		e.listCommand("refresh", "look at the source of a list now", "Asks the source of a list now and returns when what it gave is dealt with.", (*api.Client).RefreshList),
		e.listCommand("accept", "take what is held back of a list", "Puts in force what is held back of a list, because it has grown or shrunk by more than its bounds allow. Look at it first.", (*api.Client).AcceptList),
	)
	return c
}

// listCommand is a command that has something done with one list.
func (e *env) listCommand(verb, short, long string, do func(*api.Client, context.Context, string) error) *cobra.Command {
	return &cobra.Command{
		Use: verb + " NAME", Short: short, Long: long, Args: takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if !gate.IsName(args[0]) {
				return misused("see: gatehouse lists", "lists %s: %s cannot be the name of a list", verb, gate.Quote(args[0], 64))
			}
			return e.ask(c, func(ctx context.Context, d *api.Client) error {
				if err := do(d, ctx, args[0]); err != nil {
					return err
				}
				st, err := d.Status(ctx)
				if err != nil {
					return err
				}
				for _, l := range st.Lists {
					if l.Name != args[0] {
						continue
					}
					if e.json {
						return e.document(l)
					}
					return e.writeLists([]api.List{l})
				}
				return nil
			})
		},
	}
}

func (e *env) writeLists(ls []api.List) error {
	if len(ls) == 0 {
		fmt.Fprintln(e.out, "no lists; name them under lists: in the configuration")
		return nil
	}
	t := table{head: []string{"LIST", "STATE", "NETWORKS", "HEARD", "NEXT", "SOURCE"}}
	for _, l := range ls {
		t.add(l.Name, listState(l), grouped(l.Prefixes), e.agoOrNever(l), e.ends(l.Next), l.Source)
	}
	if err := e.columns(t); err != nil {
		return err
	}
	for _, l := range ls {
		if l.Problem != "" {
			fmt.Fprintf(e.out, "\n%s: %s\n", harmless(l.Name), harmless(l.Problem))
		}
		if l.Spared > 0 {
			fmt.Fprintf(e.out, "\n%s: cut around somebody who is never banned: %s\n", harmless(l.Name), counted(l.Spared, "network"))
		}
		if l.Held > 0 {
			fmt.Fprintf(e.out, "hint: look at it, then: gatehouse lists accept %s\n", harmless(l.Name))
		}
	}
	return nil
}

// listState is how a list is, in a word or two.
func listState(l api.List) string {
	out := l.State
	if l.Verdict == gate.Allow {
		out += ", allows"
	}
	if !l.InForce && l.State == "good" {
		out = "loading"
	}
	return out
}

func (e *env) agoOrNever(l api.List) string {
	if l.Checked == nil {
		return "never"
	}
	return e.ago(l.Checked)
}

// writeListings writes which lists name somebody.
func (e *env) writeListings(ls []api.Listing) {
	for i, l := range ls {
		if i == 0 {
			fmt.Fprintf(e.out, "\n%s\n", e.paint(bold, "on lists"))
		}
		note := ""
		if !l.InForce {
			note = " (spared here)"
		}
		fmt.Fprintf(e.out, "  %s: %s%s, since %s\n", harmless(l.List), l.Entry, note, e.ago(&l.Since))
	}
}
