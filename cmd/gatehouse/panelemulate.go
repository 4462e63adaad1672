package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"

	"gatehouse/internal/emulate"
)

// panelEmulateCommand is a panel in software.
func panelEmulateCommand(e *env) *cobra.Command {
	var listen, pty string
	var dsc bool
	var speed float64
	c := &cobra.Command{
		Use:   "emulate [--listen ADDRESS:PORT | --pty LINK]",
		Short: "be an alarm panel, for people without one and for tests",
		Long: "Emulates a panel with its adapter until it is interrupted: a house with two partitions, a zone expander and wireless sensors. " +
			"Its codes are 1234 and 4321. It takes commands on standard input, one a line: " + emulate.Words + ". " +
			"The configuration that fits is panel: {device: \"tcp://127.0.0.1:10000\"}; with --pty, device: LINK.",
		Example: "gatehouse panel emulate\ngatehouse panel emulate --pty /tmp/panel",
		Args:    takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := context.WithCancel(c.Context())
			defer stop()
			s := emulate.New(emulate.Villa(dsc), speed)
			if pty != "" {
				path, err := s.Terminal(pty)
				if err != nil {
					return failed("name a path in a folder that you may write to", "panel emulate: %v", err)
				}
				fmt.Fprintf(e.err, "the panel is at %s (%s); its codes are 1234 and 4321\n", pty, path)
			} else {
				if a, err := netip.ParseAddrPort(listen); err != nil {
					return misused("write 127.0.0.1:10000", "panel emulate: %q is not an address with a port", listen)
				} else if !a.Addr().IsLoopback() {
					return misused("listen on 127.0.0.1 or [::1]", "panel emulate: it is for this machine alone")
				}
				a, err := s.Listen(listen)
				if err != nil {
					return failed("choose another port with --listen", "panel emulate: listen on %s: %v", listen, err)
				}
				fmt.Fprintf(e.err, "the panel is at tcp://%s; its codes are 1234 and 4321\n", a)
			}
			ended := make(chan error, 1) // one send, by Run's goroutine
			go func() { ended <- s.Run(ctx) }()
			lines := bufio.NewScanner(e.stdin(ctx))
			for lines.Scan() {
				err := s.Say(lines.Text())
				if errors.Is(err, emulate.ErrQuit) {
					stop()
					break
				}
				if err != nil {
					fmt.Fprintf(e.err, "%s\n", harmless(err.Error()))
				}
			}
			return <-ended // the end of standard input does not end the house
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:10000", "`ADDRESS:PORT` to serve it on, as ser2sock would")
	c.Flags().StringVar(&pty, "pty", "", "serve it as a serial device: `LINK` is made to a pseudo-terminal")
	c.Flags().BoolVar(&dsc, "dsc", false, "a DSC panel in place of an Ademco")
	c.Flags().Float64Var(&speed, "speed", 1, "its clock goes `FACTOR` times as fast")
	return c
}
