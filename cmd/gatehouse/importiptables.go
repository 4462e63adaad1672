package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
	"gatehouse/internal/migrate"
)

// importIPTablesCommand takes over bans that are kept in chains of iptables.
func importIPTablesCommand(e *env) *cobra.Command {
	var in api.Banning
	var dry bool
	var chain string
	c := &cobra.Command{
		Use:   "iptables [FILE|-] [--chain CHAIN] [--dry-run] [--for DUR|forever]",
		Short: "take over bans that are kept in chains of iptables",
		Long: "Reads what iptables-save and ip6tables-save write, and bans the sources of the rules that drop or reject, on the ports " +
			"that the rules name. Rules that jump to a chain count if that chain drops all that comes to it. Rules with conditions " +
			"that a ban cannot have are left out and named. Without a file both commands are run. iptables itself is not changed: " +
			"when the bans are here, flush the chain.",
		Example: "gatehouse import iptables --chain f2b-sshd --dry-run\niptables-save | gatehouse import iptables -",
		Args:    takes(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkBanning(in); err != nil {
				return misused("usage: "+useLine(c), "import iptables: %v", err)
			}
			name, r, err := e.savedTables(c.Context(), args)
			if err != nil {
				return err
			}
			defer r.Close()
			m, err := migrate.ReadIPTables(r, chain, e.now())
			if err != nil {
				return readFailure(name, err)
			}
			if !e.json {
				for i, x := range m.Remarks {
					if i == few {
						break
					}
					writeProblems(e.err, []api.Problem{{Error: name + ": " + x.Place + ": " + x.Text}})
				}
			}
			return e.take(c, takeover{name: name, format: "iptables", entries: m.Entries, faults: len(m.Remarks)}, in, dry)
		},
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "read the rules, ban nobody")
	c.Flags().StringVar(&chain, "chain", "", "only this `CHAIN` (default: all)")
	banningFlags(c, &in)
	return c
}

// savedTables opens what iptables-save wrote, or has it write.
func (e *env) savedTables(ctx context.Context, args []string) (string, io.ReadCloser, error) {
	if len(args) == 1 {
		return e.open(ctx, args[0])
	}
	var all bytes.Buffer
	var first error
	ran := false
	for _, name := range []string{"iptables-save", "ip6tables-save"} {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		out, err := exec.CommandContext(ctx, name).Output()
		cancel()
		if err != nil {
			if first == nil {
				first = err
			}
			continue
		}
		ran = true
		all.Write(out)
	}
	if !ran {
		if errors.Is(first, exec.ErrNotFound) {
			return "", nil, failed("name a file that iptables-save wrote, or - for standard input", "import iptables: there is no iptables-save here")
		}
		return "", nil, failed("use sudo", "import iptables: run iptables-save: %v", first)
	}
	return "iptables-save", io.NopCloser(&all), nil
}
