package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
)

// The groups of commands, in the order of the help text.
var groups = []*cobra.Group{
	{ID: "guard", Title: "The daemon:"},
	{ID: "bans", Title: "Bans:"},
	{ID: "ports", Title: "Ports:"},
	{ID: "rules", Title: "Rules and logs:"},
	{ID: "house", Title: "The house:"},
	{ID: "other", Title: "Other:"},
}

// commands is the table: every command there is, in the order of the help text.
// Help, man page, completion and docs/commands.md are made from it.
func commands(e *env) []*cobra.Command {
	return []*cobra.Command{
		// guard
		in("guard", runCommand(e)),
		in("guard", demoCommand(e)),
		in("guard", checkCommand(e)),
		in("guard", configCommand(e)),
		in("guard", statusCommand(e)),
		in("guard", stopCommand(e)),
		in("guard", reloadCommand(e)),
		// bans
		in("bans", banCommand(e)),
		in("bans", unbanCommand(e)),
		in("bans", bansCommand(e)),
		in("bans", whyCommand(e)),
		in("bans", logCommand(e)),
		in("bans", allowCommand(e)),
		in("bans", listsCommand(e)),
		in("bans", hooksCommand(e)),
		in("bans", importCommand(e)),
		in("bans", exportCommand(e)),
		// ports
		in("ports", portCommand(e)),
		in("ports", portAlias(e, "block", "close")),
		in("ports", portAlias(e, "unblock", "open")),
		in("ports", knockCommand(e)),
		// rules
		in("rules", rulesCommand(e)),
		in("rules", matchCommand(e)),
		in("rules", replayCommand(e)),
		// telling
		in("other", notifyCommand(e)),
		in("other", whoisCommand(e)),
		in("other", reportCommand(e)),
		// house
		in("house", panelCommand(e)),
		// other
		in("other", versionCommand(e)),
		in("other", completionCommand(e)),
		in("other", manCommand(e)),
	}
}

func in(group string, c *cobra.Command) *cobra.Command {
	c.GroupID = group
	return c
}

// newRoot returns the command line with its global flags.
func newRoot(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:   "gatehouse",
		Short: "watches the ways in, and shuts out who tries to break in",
		Long: "Gatehouse watches the ways into this machine, decides by rules that it can explain, and " +
			"shuts out who tries to break in. `gatehouse run` is the daemon; most other commands ask it.",
		SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Args:              cobra.ArbitraryArgs,
	}
	root.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 && !e.json {
			to := *e
			to.out, to.colour = e.err, false
			writeHelp(&to, c)
		}
		return subcommandMissing(c, args)
	}
	root.SetIn(e.in)
	root.SetOut(e.out)
	root.SetErr(e.err)
	cobra.EnableCommandSorting = false // of the library, for the whole program: the table has the order
	root.AddGroup(groups...)
	root.AddCommand(commands(e)...)
	root.SetHelpCommand(&cobra.Command{
		Use: "help [COMMAND]", Short: "describe a command", Hidden: true,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == "fail2ban" {
				writeFail2banHelp(e)
				return nil
			}
			c, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return misused("see: gatehouse --help", "there is no command %q", strings.Join(args, " "))
			}
			writeHelp(e, c)
			return nil
		},
	})
	root.PersistentFlags().StringVar(&e.config, "config", "", "the configuration `FILE` (default /etc/gatehouse/gatehouse.yaml)")
	root.PersistentFlags().StringVar(&e.socket, "socket", "", "`PATH` of the daemon's socket (default: as configured)")
	root.PersistentFlags().BoolVar(&e.json, "json", false, "write JSON documents, and errors as {\"error\", \"hint\"}")
	root.PersistentFlags().BoolP("help", "h", false, "describe the command")
	root.PersistentFlags().SortFlags = false
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return misused("see: "+c.CommandPath()+" --help", "%s%v", about(c), err)
	})
	root.SetHelpFunc(func(c *cobra.Command, _ []string) { writeHelp(e, c) })
	return root
}

// called returns the name of a command as it stands in errors: without the
// name of the program, which stands there already.
func called(c *cobra.Command) string {
	return strings.TrimPrefix(strings.TrimPrefix(c.CommandPath(), "gatehouse"), " ")
}

// about begins an error: `rules show: `, or nothing for the program itself.
func about(c *cobra.Command) string {
	if name := called(c); name != "" {
		return name + ": "
	}
	return ""
}

// subcommandMissing is what a command does that only has subcommands.
func subcommandMissing(c *cobra.Command, args []string) error {
	hint := "see: " + c.CommandPath() + " --help"
	if len(args) == 0 && !c.HasParent() {
		return misused(hint, "a command is missing")
	}
	if len(args) == 0 {
		var names []string
		for _, s := range visible(c) {
			names = append(names, s.Name())
		}
		return misused(hint, "%sa command is missing: %s", about(c), strings.Join(names, ", "))
	}
	c.SuggestionsMinimumDistance = 2 // letters that may be wrong
	if like := c.SuggestionsFor(args[0]); len(like) > 0 {
		hint = "did you mean: " + c.CommandPath() + " " + strings.Join(like, ", or "+c.CommandPath()+" ")
	}
	return misused(hint, "%sthere is no command %q", about(c), args[0])
}

// takes checks the number of arguments; most below 0 is any number.
func takes(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		hint := "usage: " + useLine(c)
		switch {
		case len(args) < least:
			return misused(hint, "%san argument is missing", about(c))
		case most >= 0 && len(args) > most:
			return misused(hint, "%sone argument too many: %q", about(c), args[most])
		}
		return nil
	}
}

// execute runs one command line and returns the exit code.
func execute(ctx context.Context, e *env, args []string) int {
	root := newRoot(e)
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		if wantsJSON(args) {
			e.json = true // an error on the way to the flag
		}
		return e.report(err)
	}
	return exitDone
}

// wantsJSON reports whether --json is among the arguments.
func wantsJSON(args []string) bool {
	for _, a := range args {
		if a == "--" {
			return false
		}
		if a == "--json" || a == "--json=true" {
			return true
		}
	}
	return false
}
