package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/migrate"
	"gatehouse/internal/ports"
)

// importBlockportCommand takes port scripts over.
func importBlockportCommand(e *env) *cobra.Command {
	var dry bool
	c := &cobra.Command{
		Use:   "blockport FILE|- [--dry-run]",
		Short: "take port scripts over: calls, pairs of crontab, maps of services",
		Long: "Reads calls of scripts such as blockport -bi 80,443 and blockport -uo 8000-8500, alone or in a crontab, and maps of services " +
			"such as ssh=22, and writes the sections services and ports that do the same. Two entries of crontab, of which one closes and the " +
			"other opens the same ports, are one schedule; one without the other is named.\n\n" +
			"Where there is no configuration yet, it is written to the file that --config names, or the default one; otherwise the sections are " +
			"printed. Nothing is closed or opened, and no script is run.",
		Example: "crontab -l | gatehouse import blockport - --dry-run\ngatehouse import blockport /usr/local/sbin/portlocker",
		Args:    takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			name, r, err := e.open(c.Context(), args[0])
			if err != nil {
				return err
			}
			defer r.Close()
			src, err := readAtMost(r, maxIgnoreFile)
			if err != nil {
				return fileFailure("read", name, err)
			}
			return e.importBlockport(name, src, dry)
		},
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "print the configuration, write nothing")
	return c
}

// tookBlockport is the document of import blockport.
type tookBlockport struct {
	Config    string           `json:"config"`
	Written   bool             `json:"written"`
	DryRun    bool             `json:"dry_run"`
	Services  int              `json:"services"`
	Schedules int              `json:"schedules"`
	Commands  []string         `json:"commands"` // what no section says
	Remarks   []migrate.Remark `json:"remarks"`  // what could not be carried over
	Text      string           `json:"text"`
}

func (e *env) importBlockport(name string, src []byte, dry bool) error {
	full := name
	if name != "standard input" {
		var err error
		if full, err = filepath.Abs(name); err != nil {
			return err
		}
	}
	m := migrate.ReadBlockport(src, migrate.BlockportOptions{
		File: full, From: time.Date(e.now().Year(), 1, 1, 0, 0, 0, 0, time.UTC),
		Next: func(cron string, after time.Time) (time.Time, error) {
			c, err := ports.ParseCron(cron)
			if err != nil {
				return time.Time{}, err
			}
			return c.Next(after, time.UTC), nil
		},
	})
	text, _, err := e.completed(m.Text)
	if err != nil {
		return err
	}
	doc := tookBlockport{
		Config: e.configPath(), DryRun: dry, Services: m.Services, Schedules: m.Pairs, Commands: append([]string{}, m.Commands...),
		Remarks: append([]migrate.Remark{}, m.Remarks...), Text: string(text),
	}
	if _, err := os.Lstat(doc.Config); errors.Is(err, fs.ErrNotExist) && !dry {
		if doc.Written, _, err = replaceFile(doc.Config, text); err != nil {
			return err
		}
	}
	if e.json {
		return e.document(doc)
	}
	w := e.out
	if !doc.Written {
		fmt.Fprint(e.out, doc.Text)
		w = e.err // so that the text alone can be put into a file
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, harmless(fmt.Sprintf("%s, %s, %s not carried over", counted(doc.Services, "service"), counted(doc.Schedules, "schedule"), counted(len(doc.Remarks), "thing"))))
	for _, c := range doc.Commands {
		fmt.Fprintln(w, "once, by command: "+harmless(c))
	}
	switch {
	case dry:
		fmt.Fprintln(w, "nothing was written")
	case doc.Written:
		fmt.Fprintf(w, "written to %s; next: read it, take the entries out of crontab, then: gatehouse reload\n", harmless(doc.Config))
	default:
		fmt.Fprintf(w, "%s is there already and stays as it is: put these sections into it, take the entries out of crontab, then: gatehouse reload\n", harmless(doc.Config))
	}
	return nil
}

// readAtMost reads all, if that is no more than so many bytes.
func readAtMost(r io.Reader, most int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(b)) > most {
		err = errors.New("it is larger than " + size(most))
	}
	return b, err
}
