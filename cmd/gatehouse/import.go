package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
	"gatehouse/internal/lists/formats"
)

// importCommand takes over what others have.
func importCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "import list|iptables|fail2ban|portsentry|blockport",
		Short: "take over what others have: lists, iptables, fail2ban, PortSentry, port scripts",
		Long:  "Takes bans and configurations over from elsewhere.",
		Args:  cobra.ArbitraryArgs,
		RunE:  subcommandMissing,
	}
	c.AddCommand(importListCommand(e), importIPTablesCommand(e), importFail2banCommand(e), importPortsentryCommand(e), importBlockportCommand(e))
	return c
}

// imported is the document of import list and import iptables.
type imported struct {
	File      string       `json:"file"`
	Format    string       `json:"format"` // as which it was read
	DryRun    bool         `json:"dry_run"`
	Subjects  int          `json:"subjects"`  // different addresses and prefixes in the list
	Banned    int          `json:"banned"`    // banned now, or for longer than before
	Unchanged int          `json:"unchanged"` // banned already
	Refused   []api.Answer `json:"refused"`   // who is allowed, or is this machine
	Faults    int          `json:"faults"`    // lines and rules that could not be taken over
}

func importListCommand(e *env) *cobra.Command {
	var in api.Banning
	var dry, partly bool
	var form string
	c := &cobra.Command{
		Use:   "list FILE|- [--dry-run] [--partly] [--format F] [--for DUR|forever]",
		Short: "ban the addresses and prefixes of a list",
		Long: "Bans every address and prefix of a list, in whatever form it is: one a line with comments behind # ; or //, ranges, " +
			"ip,jail lines, CSV, JSON, Spamhaus DROP (text and JSON), FireHOL netsets, ipset save, iptables-save, nft -j list, the " +
			"files of PortSentry and csf, hosts.deny; compressed with gzip or not. Where the list says for how long or on which " +
			"ports somebody is banned, that counts, unless --for or --ports say otherwise. When a line is wrong, none is banned " +
			"(exit 1), unless --partly is given. Who is allowed and this machine itself are left out and named.\n\n" +
			"A list that changes is better named under lists: in the configuration.",
		Example: "gatehouse import list drop.txt --for 7d --dry-run\nnft -j list ruleset | gatehouse import list -",
		Args:    takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkBanning(in); err != nil {
				return misused("usage: "+useLine(c), "import list: %v", err)
			}
			f, err := formats.ParseFormat(form)
			if err != nil {
				return misused("usage: "+useLine(c), "import list: %v", err)
			}
			name, r, err := e.open(c.Context(), args[0])
			if err != nil {
				return err
			}
			defer r.Close()
			t, err := e.readTakeover(name, r, f, partly)
			if err != nil {
				return err
			}
			return e.take(c, t, in, dry)
		},
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "read and check the list, ban nobody")
	c.Flags().BoolVar(&partly, "partly", false, "ban what makes sense of a list, and leave out the rest")
	c.Flags().StringVar(&form, "format", "auto", "the `FORM` it is in; auto tells by its content")
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formats.FormatNames(), cobra.ShellCompDirectiveNoFileComp)) // the flag is there, and has no completion yet
	banningFlags(c, &in)
	return c
}

func (e *env) writeImported(doc imported) error {
	if e.json {
		return e.document(doc)
	}
	of := counted(doc.Subjects, "subject") + " in " + harmless(doc.File)
	left := ""
	if doc.Faults > 0 {
		left = fmt.Sprintf("; %s could not be taken over", grouped(doc.Faults))
	}
	if doc.DryRun {
		fmt.Fprintf(e.out, "%s%s; nothing was changed\n", of, left)
		return nil
	}
	line := fmt.Sprintf("%s: banned %s", of, grouped(doc.Banned))
	if doc.Unchanged > 0 {
		line += fmt.Sprintf(", %s banned already", grouped(doc.Unchanged))
	}
	if n := len(doc.Refused); n > 0 {
		line += fmt.Sprintf(", %s left out", grouped(n))
	}
	fmt.Fprintln(e.out, line+left)
	for i, a := range doc.Refused {
		if i == few {
			fmt.Fprintf(e.out, "  … %s more\n", grouped(len(doc.Refused)-few))
			break
		}
		fmt.Fprintf(e.out, "  left out %s: %s\n", harmless(a.Subject), harmless(a.Refused))
	}
	return nil
}

// open opens a file for reading; - is standard input. It returns the name that
// messages call it by.
func (e *env) open(ctx context.Context, path string) (string, io.ReadCloser, error) {
	if path == "-" {
		return "standard input", io.NopCloser(e.stdin(ctx)), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", nil, fileFailure("read", path, err)
	}
	if fi, err := f.Stat(); err == nil && fi.IsDir() {
		_ = f.Close()
		return "", nil, failed("name a file", "read %s: it is a folder", path)
	}
	return path, f, nil
}
