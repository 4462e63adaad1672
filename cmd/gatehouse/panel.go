package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/ad2"
	"gatehouse/internal/api"
)

// panelCommand asks and commands the alarm panel.
func panelCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "panel status|arm|disarm|bypass|chime|panic|keys|zones|follow|config|decode|emulate",
		Short: "watch and command the alarm panel",
		Long: "Works with an alarm panel (Honeywell or Ademco Vista, DSC) behind an AlarmDecoder adapter. " +
			"A command is done when the panel's own state says so; otherwise it says what the panel shows, and exits with 1. " +
			"A code is asked for on the terminal, read from --code-file, or configured as code: in panel:. It is never an argument.",
		Args: cobra.ArbitraryArgs,
		RunE: subcommandMissing,
	}
	c.AddCommand(
		panelStatusCommand(e), panelArmCommand(e), panelDisarmCommand(e), panelBypassCommand(e), panelChimeCommand(e), panelPanicCommand(e),
		panelKeysCommand(e), panelZonesCommand(e), panelFollowCommand(e), panelConfigCommand(e), panelDecodeCommand(e), panelEmulateCommand(e),
	)
	return c
}

// panelStatusCommand shows how the panel is.
func panelStatusCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "show how the alarm panel is",
		Long:  "Shows the connection to the adapter, and of each partition how it is armed, what its keypads show, and what is open or wrong.",
		Args:  takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			return e.ask(c, func(ctx context.Context, d *api.Client) error {
				st, err := d.Panel(ctx)
				if err != nil {
					return err
				}
				if e.json {
					return e.document(st)
				}
				return e.writePanel(st)
			})
		},
	}
}

// writePanel writes the state of the panel for people.
func (e *env) writePanel(st api.PanelState) error {
	if !st.Configured {
		return failed("add panel: {device: auto} to the configuration; docs/panel.md tells more", "panel: no alarm panel is configured")
	}
	line := func(format string, a ...any) { fmt.Fprintln(e.out, harmless(fmt.Sprintf(format, a...))) }
	switch {
	case !st.Connected:
		line("not connected: %s", st.Why)
		if st.Hint != "" {
			line("hint: %s", st.Hint)
		}
	case st.Panel.Heard == nil:
		line("connected by %s; the panel has not spoken yet", st.Device)
	default:
		line("connected by %s (%s); last heard %s ago", st.Device, st.Panel.Make, e.now().Sub(*st.Panel.Heard).Round(time.Second))
	}
	if st.Panel.Silent {
		line("THE PANEL SAYS NOTHING")
	}
	if st.Panel.ACLost {
		line("mains power is lost")
	}
	if st.Panel.BatteryLow {
		line("the battery of the panel is low")
	}
	if len(st.Panel.Troubles) > 0 {
		line("trouble: %s", strings.Join(st.Panel.Troubles, ", "))
	}
	if st.Listen != "" {
		line("other programs connect to %s: %d now", st.Listen, st.Clients)
	}
	for _, p := range st.Panel.Partitions {
		line("")
		line("%s: %s", partitionTitle(p), partitionState(p))
		if p.Display != "" {
			line("  %s", p.Display[:min(16, len(p.Display))])
			line("  %s", p.Display[min(16, len(p.Display)):])
		}
		for _, z := range p.Zones {
			if words := zoneState(z); words != "closed" {
				line("  zone %d %s: %s", z.Zone, z.Name, words)
			}
		}
	}
	return nil
}

func partitionTitle(p ad2.PartitionView) string {
	if p.Name != "" {
		return fmt.Sprintf("partition %d (%s)", p.Partition, p.Name)
	}
	return fmt.Sprintf("partition %d", p.Partition)
}

// partitionState says how a partition is, the worst first.
func partitionState(p ad2.PartitionView) string {
	var words []string
	add := func(is bool, word string) {
		if is {
			words = append(words, word)
		}
	}
	add(p.Fire, "FIRE")
	add(p.Panic, "CALL FOR HELP")
	add(p.Alarm, "ALARM")
	if p.Mode.Armed() {
		words = append(words, "armed "+p.Mode.String())
	} else {
		words = append(words, p.Mode.String())
	}
	left := ""
	if p.Left > 0 {
		left = fmt.Sprintf(", %d seconds left", p.Left)
	}
	add(p.Exit, "exit delay"+left)
	add(p.Entry, "entry delay"+left)
	add(p.Ready && !p.Mode.Armed(), "ready")
	add(!p.Ready && p.Mode == ad2.ModeDisarmed, "not ready")
	add(p.Memory && !p.Alarm, "an alarm is in its memory")
	add(p.Bypass, "a zone is bypassed")
	add(p.Chime, "chime on")
	add(p.Program, "being programmed")
	return strings.Join(words, ", ")
}

// zoneState says how a zone is.
func zoneState(z ad2.ZoneView) string {
	var words []string
	add := func(is bool, word string) {
		if is {
			words = append(words, word)
		}
	}
	add(z.Alarm, "ALARM")
	add(z.Open && !z.Stale, "open")
	add(z.Stale, "was open when armed")
	add(z.Tamper, "tampered with")
	add(z.Trouble, "trouble")
	add(z.Missing, "no sign of life")
	add(z.Battery, "battery low")
	add(z.Bypassed, "bypassed")
	if len(words) == 0 {
		return "closed"
	}
	return strings.Join(words, ", ")
}

// panelZonesCommand lists zones.
func panelZonesCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "zones",
		Short: "list the zones of the alarm panel",
		Long:  "Lists the zones that are configured or were heard of, with what is known of each.",
		Args:  takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			return e.ask(c, func(ctx context.Context, d *api.Client) error {
				st, err := d.Panel(ctx)
				if err != nil {
					return err
				}
				type row struct {
					Partition int `json:"partition"`
					ad2.ZoneView
				}
				list := []row{}
				t := table{head: []string{"PARTITION", "ZONE", "NAME", "TYPE", "STATE"}}
				for _, p := range st.Panel.Partitions {
					for _, z := range p.Zones {
						list = append(list, row{p.Partition, z})
						t.add(fmt.Sprint(p.Partition), fmt.Sprint(z.Zone), z.Name, z.Type, zoneState(z))
					}
				}
				if e.json {
					return writeArray(e.out, list)
				}
				if len(list) == 0 {
					return nil
				}
				return e.columns(t)
			})
		},
	}
}
