package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
	"gatehouse/internal/panel"
)

// panelFollowCommand shows what happens at the panel.
func panelFollowCommand(e *env) *cobra.Command {
	var raw bool
	var baud int
	c := &cobra.Command{
		Use:   "follow [--raw [DEVICE]]",
		Short: "show what happens at the alarm panel, as it happens",
		Long: "Shows each event until it is interrupted; with --raw each line of the adapter. With --raw and a device (auto, " +
			"/dev/ttyUSB0, tcp://HOST:PORT) no daemon is needed: that is how to try a connection. It presses no key.",
		Example: "gatehouse panel follow\ngatehouse panel follow --raw tcp://192.0.2.5:10000",
		Args:    takes(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				if !raw {
					return misused("add --raw: a device has lines, the daemon has events", "panel follow: a device without --raw")
				}
				return e.listenPanel(c.Context(), panel.Config{Device: args[0], Baud: baud})
			}
			return e.ask(c, func(ctx context.Context, d *api.Client) error {
				err := d.PanelFollow(ctx, raw, e.writePanelItem)
				if errors.Is(err, context.Canceled) {
					return nil
				}
				return err
			})
		},
	}
	c.Flags().BoolVar(&raw, "raw", false, "show lines of the adapter in place of events")
	c.Flags().IntVar(&baud, "baud", 0, "`SPEED` of a serial device (default 115200)")
	return c
}

// writePanelItem writes one event or line.
func (e *env) writePanelItem(it api.PanelItem) error {
	switch {
	case e.json:
		b, err := marshal(it)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(e.out, "%s\n", b)
		return err
	case it.Raw != "":
		_, err := fmt.Fprintln(e.out, harmless(it.Raw))
		return err
	}
	_, err := fmt.Fprintf(e.out, "%s  %-12s %s\n", it.Time.Local().Format("15:04:05"), it.Event, harmless(it.Text))
	return err
}

// listenPanel shows the lines of an adapter without a daemon.
func (e *env) listenPanel(ctx context.Context, c panel.Config) error {
	if c.Device != "auto" && !strings.HasPrefix(c.Device, "/") && !strings.Contains(c.Device, "://") {
		return misused("write auto, /dev/ttyUSB0 or tcp://HOST:PORT", "panel follow: %q is no device", c.Device)
	}
	err := panel.Listen(ctx, c, func(line []byte) error {
		if e.json {
			b, err := decodeLine(string(line))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(e.out, "%s\n", b)
			return err
		}
		_, err := fmt.Fprintln(e.out, harmless(string(line)))
		return err
	})
	if f, ok := errors.AsType[*panel.Error](err); ok {
		return failed(f.Hint, "panel follow: %s", f.What)
	}
	return err
}

// panelConfigCommand shows and changes the settings of the adapter.
func panelConfigCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "config [KEY=VALUE...]",
		Short: "show or change the settings of the panel's adapter",
		Long: "Shows the adapter's firmware and settings. With arguments it changes them, and returns when the adapter shows the new ones: " +
			"ADDRESS=18 is the keypad address that it plays, MODE=A (Ademco) or D (DSC), MASK the keypads whose messages it hands on, " +
			"EXP=YNNNN and REL=NNNN the expanders and relay modules that it plays, LRR=Y makes it hear reports, DEDUPLICATE=Y hands on " +
			"only messages that differ, CONFIGBITS switches kinds of messages on.",
		Example: "gatehouse panel config\ngatehouse panel config LRR=Y ADDRESS=20",
		Args:    cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				pairs := strings.Join(args, "&")
				if err := panel.CheckSettings(pairs); err != nil {
					return misused("usage: "+useLine(c), "panel config: %v", err)
				}
				return e.orderPanel(c, api.PanelOrder{Action: "settings", Settings: pairs})
			}
			return e.ask(c, func(ctx context.Context, d *api.Client) error {
				s, err := d.PanelSettings(ctx)
				if err != nil {
					return err
				}
				if e.json {
					return e.document(s)
				}
				for _, l := range [][2]string{
					{"firmware", s.Firmware}, {"serial number", s.Serial}, {"panel", s.Mode}, {"address", fmt.Sprint(s.Address)}, {"mask", s.Mask},
					{"config bits", s.Bits}, {"plays zone expanders", yesNo(s.Zones)}, {"plays relay modules", yesNo(s.Relays)},
					{"hears reports (LRR)", yesNo([]bool{s.LRR})}, {"drops repeated messages", yesNo([]bool{s.Deduplicate})},
				} {
					fmt.Fprintf(e.out, "%-24s %s\n", l[0], harmless(l[1]))
				}
				return nil
			})
		},
	}
	return c
}

func yesNo(list []bool) string {
	words := make([]string, len(list))
	for i, v := range list {
		if words[i] = "no"; v {
			words[i] = "yes"
		}
	}
	return strings.Join(words, " ")
}
