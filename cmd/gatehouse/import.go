package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
)

// importCommand takes over what others have.
func importCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "import list",
		Short: "ban what a list of addresses names",
		Long:  "Takes bans over from elsewhere.",
		Args:  cobra.ArbitraryArgs,
		RunE:  subcommandMissing,
	}
	c.AddCommand(importListCommand(e))
	return c
}

// imported is the document of import list.
type imported struct {
	File      string       `json:"file"`
	DryRun    bool         `json:"dry_run"`
	Subjects  int          `json:"subjects"`  // different addresses and prefixes in the list
	Banned    int          `json:"banned"`    // banned now, or for longer than before
	Unchanged int          `json:"unchanged"` // banned already
	Refused   []api.Answer `json:"refused"`   // who is allowed, or is this machine
}

func importListCommand(e *env) *cobra.Command {
	var in api.Banning
	var dry bool
	c := &cobra.Command{
		Use:   "list FILE|- [--dry-run] [--for DUR|forever]",
		Short: "ban the addresses and prefixes of a list",
		Long: "Bans every address and prefix of a list: one a line; what follows # or ; is a comment; of CSV the " +
			"first column counts. When a line is wrong, none is banned (exit 1). Who is allowed and " +
			"this machine itself are left out and named.",
		Example: "gatehouse import list drop.txt --for 7d --dry-run",
		Args:    takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkBanning(in); err != nil {
				return misused("usage: "+useLine(c), "import list: %v", err)
			}
			name, r, err := e.open(c.Context(), args[0])
			if err != nil {
				return err
			}
			defer r.Close()
			in.Subjects, err = readList(name, r)
			if err != nil {
				return err
			}
			if in.Reason == "" {
				in.Reason = "imported from " + harmless(name)
			}
			doc := imported{File: name, DryRun: dry, Subjects: len(in.Subjects), Refused: []api.Answer{}}
			if dry || len(in.Subjects) == 0 {
				return e.writeImported(doc)
			}
			return e.ask(c, func(ctx context.Context, d *api.Client) error {
				bar := e.progress("importing", int64(len(in.Subjects)))
				answers, err := d.Ban(ctx, in, func(n int) { bar.set(int64(n)) })
				bar.end()
				if err != nil {
					return partly(err, answers)
				}
				for _, a := range answers {
					switch {
					case a.Refused != "":
						doc.Refused = append(doc.Refused, a)
					case a.Changed:
						doc.Banned++
					default:
						doc.Unchanged++
					}
				}
				return e.writeImported(doc)
			})
		},
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "read and check the list, ban nobody")
	banningFlags(c, &in)
	return c
}

func (e *env) writeImported(doc imported) error {
	if e.json {
		return e.document(doc)
	}
	of := counted(doc.Subjects, "subject") + " in " + harmless(doc.File)
	if doc.DryRun {
		fmt.Fprintf(e.out, "%s; nothing was changed\n", of)
		return nil
	}
	line := fmt.Sprintf("%s: banned %s", of, grouped(doc.Banned))
	if doc.Unchanged > 0 {
		line += fmt.Sprintf(", %s banned already", grouped(doc.Unchanged))
	}
	if n := len(doc.Refused); n > 0 {
		line += fmt.Sprintf(", %s left out", grouped(n))
	}
	fmt.Fprintln(e.out, line)
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
