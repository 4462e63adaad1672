package main

import (
	"errors"

	"github.com/spf13/cobra"

	"gatehouse/internal/demo"
)

// demoCommand is the show.
func demoCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "a sealed show without root: attackers, a friend, bans landing; 20 seconds",
		Long: "Plays a show in namespaces of its own, without root and without any effect on this machine: a real OpenSSH " +
			"server guarded by the real daemon, attackers that try to get in, a friend who stays connected, bans as they land, " +
			"and the whole story of one attacker. Exit 0 only if all of it really happened.",
		Args: takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			err := demo.Run(c.Context(), e.out, demo.Options{Colour: e.colour, Live: e.outTerm, Width: e.width})
			if told, ok := errors.AsType[*demo.Error](err); ok {
				return failed(told.Hint, "demo: %v", told)
			}
			return err
		},
	}
}
