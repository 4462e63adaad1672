package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// useLine returns how a command is called, its global flags left out.
func useLine(c *cobra.Command) string {
	parent := ""
	if c.HasParent() {
		parent = c.Parent().CommandPath() + " "
	}
	if !c.HasParent() {
		return "gatehouse [--config FILE] [--socket PATH] [--json] COMMAND"
	}
	return parent + c.Use
}

// option is one flag, as help, man page and manual show it.
type option struct {
	name string // `--for DUR`, `-n N`
	text string // what it does
}

// options returns the flags of a command itself, in the order of their making.
func options(set *pflag.FlagSet) (out []option) {
	set.SortFlags = false
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		arg, text := pflag.UnquoteUsage(f)
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		if arg != "" {
			name += " " + arg
		}
		out = append(out, option{name, text})
	})
	return out
}

// visible returns the subcommands that are shown.
func visible(c *cobra.Command) (out []*cobra.Command) {
	for _, s := range c.Commands() {
		if s.IsAvailableCommand() {
			out = append(out, s)
		}
	}
	return out
}

// leaves returns every command below c that does something, in the order of the
// table, c itself where it has no subcommands.
func leaves(c *cobra.Command) (out []*cobra.Command) {
	subs := visible(c)
	if len(subs) == 0 {
		return []*cobra.Command{c}
	}
	for _, s := range subs {
		out = append(out, leaves(s)...)
	}
	return out
}

// writeHelp writes the help text of a command.
func writeHelp(e *env, c *cobra.Command) {
	w := e.out
	about := c.Long
	if about == "" {
		about = c.Short
	}
	fmt.Fprintf(w, "%s\n\n%s %s\n", wrap(about, 78), e.paint(bold, "usage:"), useLine(c))
	if !c.HasParent() {
		for _, g := range groups {
			var rows [][2]string
			for _, s := range visible(c) {
				if s.GroupID == g.ID {
					rows = append(rows, [2]string{s.Name(), s.Short})
				}
			}
			writeRows(e, w, strings.ToLower(g.Title), rows)
		}
	} else {
		var rows [][2]string
		for _, s := range visible(c) {
			rows = append(rows, [2]string{strings.TrimPrefix(s.Use, " "), s.Short})
		}
		writeRows(e, w, "commands:", rows)
	}
	writeOptions(e, w, "flags:", options(c.LocalNonPersistentFlags()))
	if !c.HasParent() {
		writeOptions(e, w, "flags:", options(c.PersistentFlags()))
	}
	if c.Example != "" {
		fmt.Fprintf(w, "\n%s\n%s\n", e.paint(bold, "examples:"), indent(c.Example, "  "))
	}
	if !c.HasParent() {
		fmt.Fprintf(w, "\nexit codes: 0 done, 1 failed or refused, 2 wrong usage, 3 no daemon answers\nabout one command: gatehouse COMMAND --help\n")
	}
}

func writeOptions(e *env, w io.Writer, title string, list []option) {
	var rows [][2]string
	for _, o := range list {
		rows = append(rows, [2]string{o.name, o.text})
	}
	writeRows(e, w, title, rows)
}

func writeRows(e *env, w io.Writer, title string, rows [][2]string) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", e.paint(bold, title))
	width := 0
	for _, r := range rows {
		width = max(width, len(r[0]))
	}
	for _, r := range rows {
		fmt.Fprintf(w, "  %-*s  %s\n", width, r[0], r[1])
	}
}

// wrap breaks text into lines of at most n columns; empty lines part
// paragraphs, and lines that begin with a space stay as they are.
func wrap(text string, n int) string {
	var out []string
	for para := range strings.SplitSeq(text, "\n") {
		if para == "" || para[0] == ' ' {
			out = append(out, para)
			continue
		}
		line := ""
		for word := range strings.FieldsSeq(para) {
			if line != "" && len(line)+1+len(word) > n {
				out, line = append(out, line), ""
			}
			if line != "" {
				line += " "
			}
			line += word
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}
