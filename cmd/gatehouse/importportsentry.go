package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
	"gatehouse/internal/migrate"
)

// importPortsentryCommand takes an installation of PortSentry over.
func importPortsentryCommand(e *env) *cobra.Command {
	var dry bool
	c := &cobra.Command{
		Use:   "portsentry FILE [--dry-run]",
		Short: "take an installation of PortSentry over: ports, who is ignored, who is blocked, the command",
		Long: "Reads a portsentry.conf of version 1 or 2, and the ignore, blocked and history files that it names, and writes a " +
			"configuration that does the same and more. At each thing that could not be carried over stands a comment with what to do " +
			"instead. Nothing of PortSentry is changed or run.\n\n" +
			"Where there is no configuration yet, it is written to the file that --config names, or the default one. Where there is one, " +
			"it is left as it is, and the sections to add are printed. Then who is in the blocked files is banned for the first step of " +
			"scan.ban, and who is in the history is remembered, so that who comes back is known. Importing again changes nothing that is the same.\n\n" +
			"With --dry-run the configuration is printed, nothing is written and nobody is banned. With --json standard output is one " +
			"document: {config, written, dry_run, remarks, files, blocked, seen, bans, text}.",
		Example: "gatehouse import portsentry /etc/portsentry/portsentry.conf --dry-run",
		Args:    takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			return e.importPortsentry(c.Context(), args[0], dry)
		},
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "print the configuration, write nothing, ban nobody")
	return c
}

// tookPortsentry is the document of import portsentry.
type tookPortsentry struct {
	Config  string           `json:"config"`
	Written bool             `json:"written"`
	DryRun  bool             `json:"dry_run"`
	Remarks []migrate.Remark `json:"remarks"` // what could not be carried over
	Files   []string         `json:"files"`   // what was read besides the configuration
	Blocked int              `json:"blocked"` // addresses in the blocked files
	Seen    int              `json:"seen"`    // addresses in the history
	Bans    *api.Adopted     `json:"bans"`    // null: nothing was to be taken over
	Text    string           `json:"text"`
}

// maxPortsentryFile bounds a file of PortSentry's, in bytes: a history may be
// long.
const maxPortsentryFile = 256 << 20

func (e *env) importPortsentry(ctx context.Context, path string, dry bool) error {
	full, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	src, err := readSmall(full)
	if err != nil {
		return fileFailure("read", path, err)
	}
	m := migrate.ReadPortsentry(src, migrate.PortsentryOptions{File: full, ReadFile: readBeside(full)})
	text, c, err := e.completed(m.Text)
	if err != nil {
		return err
	}
	doc := tookPortsentry{
		Config: e.configPath(), DryRun: dry, Remarks: m.Remarks, Files: m.Files, Blocked: len(m.Blocked), Seen: len(m.Seen), Text: string(text),
	}
	if doc.Remarks == nil {
		doc.Remarks = []migrate.Remark{}
	}
	if doc.Files == nil {
		doc.Files = []string{}
	}
	if !dry {
		if _, err := os.Lstat(doc.Config); errors.Is(err, fs.ErrNotExist) {
			if doc.Written, _, err = replaceFile(doc.Config, text); err != nil {
				return err
			}
		}
		if ds := m.Decisions(e.now(), c.Scan.Ban[0], c.Forget); len(ds) > 0 {
			took, err := e.adopt(ctx, c, ds)
			if err != nil {
				return err
			}
			doc.Bans = &took
		}
	}
	return e.writePortsentry(doc)
}

// readBeside reads the files that a configuration names. Where that is a copy of
// another machine's, in .../etc/portsentry, they lie below the same folder.
func readBeside(config string) func(string) ([]byte, error) {
	root, under := strings.CutSuffix(filepath.Dir(config), "/etc/portsentry")
	if !under {
		root = ""
	}
	return func(name string) ([]byte, error) {
		if !filepath.IsAbs(name) {
			return nil, fmt.Errorf("%s is not an absolute path", harmless(name))
		}
		name = filepath.Join(root, name)
		fi, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		if !fi.Mode().IsRegular() || fi.Size() > maxPortsentryFile {
			return nil, fmt.Errorf("%s is no file of at most %s", harmless(name), size(maxPortsentryFile))
		}
		return os.ReadFile(name)
	}
}

func (e *env) writePortsentry(doc tookPortsentry) error {
	if e.json {
		return e.document(doc)
	}
	w := e.out
	if !doc.Written {
		fmt.Fprint(e.out, doc.Text)
		w = e.err // so that the text alone can be put into a file
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, harmless(fmt.Sprintf("%s, %s in the history, %s not carried over",
		counted(doc.Blocked, "blocked source"), counted(doc.Seen, "source"), counted(len(doc.Remarks), "thing"))))
	if b := doc.Bans; b != nil {
		fmt.Fprintf(w, "taken over: %s and %s of the past, known already: %s\n", counted(b.Banned, "ban"), grouped(b.Recorded), grouped(b.Unchanged))
		for i, a := range b.Refused {
			if i == few {
				fmt.Fprintf(w, "  … %s more\n", grouped(len(b.Refused)-few))
				break
			}
			fmt.Fprintf(w, "  left out %s: %s\n", harmless(a.Subject), harmless(a.Refused))
		}
	}
	switch {
	case doc.DryRun:
		fmt.Fprintln(w, "nothing was written")
	case doc.Written:
		fmt.Fprintf(w, "written to %s; next: read it, stop PortSentry, then: gatehouse run --observe\n", harmless(doc.Config))
	default:
		fmt.Fprintf(w, "%s is there already and stays as it is: put these sections into it, stop PortSentry, then: gatehouse reload\n", harmless(doc.Config))
	}
	return nil
}
