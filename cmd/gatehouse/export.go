package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
	"gatehouse/internal/exports"
	"gatehouse/internal/gate"
	"gatehouse/internal/lists/formats"
)

// exporting is the flags of export.
type exporting struct {
	format, to               string
	rules, networks          []string
	younger, older, evidence string
	list                     string
}

// exportCommand writes the bans for others.
func exportCommand(e *env) *cobra.Command {
	names := formats.WriterNames()
	about := ""
	for _, f := range formats.Writers() {
		about += "\n  " + fmt.Sprintf("%-9s", f.Name) + " " + f.About
	}
	var o exporting
	c := &cobra.Command{
		Use:   "export [--format FORMAT] [--to FILE] [--rule R] [--network PREFIX] [--evidence proven|forgeable]",
		Short: "write the bans for other programs",
		Long: "Writes the bans in force in a format that others read: " + strings.Join(names, ", ") + ". Where the format knows an end, each ban " +
			"keeps its remaining time. nft and ipset leave out bans of some ports only, because they cannot say so.\n" + about +
			"\n\nWith --to the file is replaced whole. To keep a file current, or to have other machines fetch the bans, name it under exports: in the configuration.",
		Example: "gatehouse export --format nft | ssh router nft -f -\ngatehouse export --rule sshd --younger 7d --to sshd.txt",
		Args:    takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if e.json && !c.Flags().Changed("format") {
				o.format = "json"
			}
			w, ok := formats.FindWriter(o.format)
			if !ok {
				return misused("formats: "+strings.Join(names, ", "), "export: there is no format %q", o.format)
			}
			f, err := o.filter()
			if err != nil {
				return misused("usage: "+useLine(c), "export: %v", err)
			}
			return e.ask(c, func(ctx context.Context, d *api.Client) error {
				return e.export(ctx, d, w, f, o)
			})
		},
	}
	c.Flags().StringVar(&o.format, "format", names[0], "the `FORMAT`: "+strings.Join(names, ", "))
	c.Flags().StringVar(&o.to, "to", "", "write to this `FILE`, whole or not at all")
	c.Flags().StringSliceVar(&o.rules, "rule", nil, "only bans of this `RULE`; may be given again")
	c.Flags().StringSliceVar(&o.networks, "network", nil, "only bans within this `PREFIX`; may be given again")
	c.Flags().StringVar(&o.younger, "younger", "", "only who was banned less than this `DUR` ago")
	c.Flags().StringVar(&o.older, "older", "", "only who was banned at least this `DUR` ago")
	c.Flags().StringVar(&o.evidence, "evidence", "", "only bans that rest on this `CLASS` of evidence: proven or forgeable")
	c.Flags().StringVar(&o.list, "list", "", "in place of the bans, what this block `LIST` bans")
	// The flags are there, and have no completion yet: it cannot fail.
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("evidence", cobra.FixedCompletions([]string{"proven", "forgeable"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// filter is what the flags select.
func (o *exporting) filter() (f formats.Filter, err error) {
	f.Rules = o.rules
	for _, n := range o.networks {
		s, err := api.ParseNet(n)
		if err != nil {
			return f, fmt.Errorf("--network: %w", err)
		}
		f.Networks = append(f.Networks, s.Prefix())
	}
	if o.evidence != "" {
		if err := f.Evidence.UnmarshalText([]byte(o.evidence)); err != nil {
			return f, fmt.Errorf("--evidence: %w", err)
		}
	}
	if o.younger != "" {
		if f.Younger, err = gate.ParseDuration(o.younger); err != nil {
			return f, fmt.Errorf("--younger: %w", err)
		}
	}
	if o.older != "" {
		if f.Older, err = gate.ParseDuration(o.older); err != nil {
			return f, fmt.Errorf("--older: %w", err)
		}
	}
	return f, nil
}

// export writes the bans that are selected.
func (e *env) export(ctx context.Context, d *api.Client, w formats.Writer, f formats.Filter, o exporting) error {
	var bans []formats.Ban
	err := d.Bans(ctx, api.BansQuery{List: o.list}, func(b api.Ban) error {
		bans = append(bans, exported(b))
		return nil
	})
	if err != nil {
		return err
	}
	now := e.now()
	bans = f.Apply(bans, now)
	if o.to == "" {
		return w.Write(e.out, bans, now)
	}
	path, err := filepath.Abs(o.to)
	if err != nil {
		return err
	}
	if err := exports.WriteFile(path, w, bans, now); err != nil {
		return fileFailure("write", o.to, err)
	}
	if e.json {
		return e.document(map[string]any{"file": path, "bans": w.Holds(bans, now), "format": w.Name})
	}
	holds := w.Holds(bans, now)
	fmt.Fprintf(e.out, "%s in %s", counted(holds, "ban"), harmless(o.to))
	if left := len(bans) - holds; left > 0 {
		fmt.Fprintf(e.out, "; left out, because %s cannot say them: %s of some ports or behind a proxy", w.Name, counted(left, "ban"))
	}
	fmt.Fprintln(e.out)
	return nil
}

// exported is a ban as it is written for others.
func exported(b api.Ban) formats.Ban {
	out := formats.Ban{
		Subject: b.Subject, Since: b.Since, Rule: b.Rule, Origin: b.Origin, Reason: b.Reason, Ports: b.Ports,
		Offences: b.Offences, Enforced: b.Enforced, HTTP: b.HTTP, Evidence: b.Evidence,
	}
	if b.Until != nil {
		out.Until = *b.Until
	}
	return out
}
