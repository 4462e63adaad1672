package main

import "github.com/spf13/cobra"

// panelCommand asks and commands the alarm panel.
func panelCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "panel decode",
		Short: "watch and command the alarm panel",
		Long: "Works with an alarm panel (Honeywell or Ademco Vista, DSC) behind an AlarmDecoder adapter. " +
			"docs/panel.md tells how to connect one.",
		Args: cobra.ArbitraryArgs,
		RunE: subcommandMissing,
	}
	c.AddCommand(panelDecodeCommand(e))
	return c
}
