package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// manual returns docs/commands.md: the same as the man page, as Markdown.
func manual(root *cobra.Command) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# The command line\n\n"+
		"This page is made from the table of commands; change it there (`cmd/gatehouse`), then run\n"+
		"`go test ./cmd/gatehouse -run Manual -update`.\n\n%s\n\n    %s\n\n", root.Long, useLine(root))
	fmt.Fprint(&b, "| flag | |\n| --- | --- |\n")
	for _, o := range options(root.PersistentFlags()) {
		fmt.Fprintf(&b, "| `%s` | %s |\n", o.name, cell(o.text))
	}
	fmt.Fprintf(&b, "\n%s\n\nExit codes: %s\n\n%s\n", manForms, manExit, manErr)
	for _, g := range groups {
		fmt.Fprintf(&b, "\n## %s\n", strings.TrimSuffix(g.Title, ":"))
		for _, c := range visible(root) {
			if c.GroupID == g.ID {
				for _, l := range leaves(c) {
					manualCommand(&b, l)
				}
			}
		}
	}
	fmt.Fprintf(&b, "\n## Files\n\n| file | |\n| --- | --- |\n")
	for _, f := range manFiles() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", f[0], cell(f[1]))
	}
	fmt.Fprintf(&b, "\n## Locked out\n\n%s\n", manOpen)
	return b.Bytes()
}

func manualCommand(b *bytes.Buffer, c *cobra.Command) {
	about := c.Long
	if about == "" {
		about = strings.ToUpper(c.Short[:1]) + c.Short[1:] + "."
	}
	fmt.Fprintf(b, "\n### %s\n\n    %s\n\n%s\n", strings.TrimPrefix(c.CommandPath(), "gatehouse "), useLine(c), listed(about))
	if list := options(c.LocalNonPersistentFlags()); len(list) > 0 {
		fmt.Fprint(b, "\n| flag | |\n| --- | --- |\n")
		for _, o := range list {
			fmt.Fprintf(b, "| `%s` | %s |\n", strings.ReplaceAll(o.name, "|", `\|`), cell(o.text))
		}
	}
	if c.Example != "" {
		fmt.Fprintf(b, "\n```sh\n%s\n```\n", c.Example)
	}
}

// listed turns indented lines into a block that Markdown leaves as it is.
func listed(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "  ") {
			lines[i] = "  " + l
		}
	}
	return strings.Join(lines, "\n")
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
