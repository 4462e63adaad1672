package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

// row is what became of one service.
type row struct {
	service   Service
	version   string // of its first package
	installed bool   // just now
	lines     int
	took      time.Duration
	changed   []string // files that were written
	problems  []string
}

// failed notes why there is nothing of a service.
func (r *row) failed(why string) { r.problems = append(r.problems, why) }

// capture runs the service in a stage of its own and writes its lines: always
// into the build folder, and as testdata if all went as meant.
func (r *row) capture(ctx context.Context, o options, dir string, l layer) {
	begun := time.Now()
	defer func() { r.took = time.Since(begun) }()
	ctx, cancel := context.WithTimeout(ctx, r.service.patience()+30*time.Second)
	defer cancel()
	var errs bytes.Buffer
	res, err := runStage(ctx, r.service, l.Lower, &errs)
	if err != nil {
		r.failed(fmt.Sprintf("%v\n%s", err, errs.String()))
		return
	}
	r.problems = res.Problems
	if len(r.problems) > 0 && len(res.Output) > 0 {
		r.failed("its last lines:\n    " + strings.Join(res.Output, "\n    "))
	}
	m := newMask(r.service)
	docs := documents(r.service, r.version, res.Steps, m, begun)
	if len(docs) == 0 && len(r.problems) == 0 {
		r.failed("not one line came")
	}
	for _, d := range docs {
		r.lines += d.Lines
		if err := r.keep(d, o.out, filepath.Join(dir, "out"), m); err != nil {
			r.failed(err.Error())
		}
	}
}

// keep writes one file.
func (r *row) keep(d document, out, build string, m mask) error {
	if err := os.MkdirAll(build, 0o755); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	if err := os.WriteFile(filepath.Join(build, d.Name), d.Text, 0o644); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if len(r.problems) > 0 {
		return nil
	}
	c, err := d.write(out, m)
	if err != nil {
		return err
	}
	if c.Written {
		r.changed = append(r.changed, fmt.Sprintf("%s (+%d -%d)", d.Name, len(c.Fresh), len(c.Stale)))
	}
	if c.Again { // say what differs
		for _, list := range []struct {
			sign  string
			lines []string
		}{{"+", c.Fresh}, {"-", c.Stale}} {
			for _, s := range list.lines[:min(5, len(list.lines))] {
				fmt.Fprintf(os.Stderr, "%s: %s %.200q\n", d.Name, list.sign, s)
			}
		}
	}
	return nil
}

// outcome says in a few words what became of the service.
func (r *row) outcome() string {
	switch {
	case len(r.problems) > 0:
		return "PROBLEM " + strings.Join(r.problems, "\n  ")
	case len(r.changed) > 0:
		return "written: " + strings.Join(r.changed, ", ")
	}
	return "unchanged"
}

// table prints all rows.
func table(w io.Writer, rows []row) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "SERVICE\tPACKAGE\tLINES\tTIME\tRESULT")
	for _, r := range rows {
		first, _, _ := strings.Cut(r.outcome(), "\n")
		pkg := strings.TrimSpace(r.service.Packages[0] + " " + r.version)
		if r.installed {
			pkg += " (installed)"
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%.1fs\t%s\n", r.service.Name, pkg, r.lines, r.took.Seconds(), first)
	}
	t.Flush()
}
