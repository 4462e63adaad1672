package main

import "github.com/spf13/cobra"

// demoCommand is the show.
func demoCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "a sealed show without root: attackers, a friend, bans landing; 20 seconds",
		Args:  takes(0, 0),
		RunE:  func(*cobra.Command, []string) error { return failed("", "demo: not in this build") },
	}
}
