package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// manCommand writes the man page.
func manCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "man [DIR]",
		Short: "write the man page gatehouse(8) to a folder, or to standard output",
		Long: "Writes the man page, which is made from the same table as this text: to standard output, or as " +
			"gatehouse.8 into a folder.",
		Example: "gatehouse man | man -l -\nsudo gatehouse man /usr/local/share/man/man8",
		Args:    takes(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			page := manPage(c.Root())
			if len(args) == 0 {
				_, err := e.out.Write(page)
				return err
			}
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fileFailure("make folder", args[0], err)
			}
			path := filepath.Join(args[0], "gatehouse.8")
			if err := os.WriteFile(path, page, 0o644); err != nil {
				return fileFailure("write", path, err)
			}
			return nil
		},
	}
}

// The sections of the man page that are not about one command.
const (
	manExit = `0 done; 1 failed or refused; 2 the command line is wrong; 3 no daemon answers.`
	manErr  = "Errors go to standard error as `gatehouse: what: why`, often with a line `hint:` that says what to do; " +
		"with --json as one document {\"error\", \"hint\"}."
	manForms = "SUBJECT is an address or a prefix: 192.0.2.1, 2001:db8::/64.\n\n" +
		"PORTS are 22, 80,443, 8000-8500 or 80,443/tcp; the suffix binds the whole list, without it both tcp and udp are meant.\n\n" +
		"DUR is a duration: 90s, 10m, 1h30m, 7d, 2w, or forever.\n\n" +
		"With --json a command writes one document, a list as an array; log --json and match --each write one document a line. " +
		"Times are RFC 3339 in UTC; a single address is written without its length."
	manOpen = "When Gatehouse keeps out who should be in: make the file /etc/gatehouse/OPEN, and nothing is enforced as long as it is there. " +
		"Deleting the table inet gatehouse three times within a minute makes Gatehouse leave it alone for ten."
)

// manFiles are the files that matter, with what they are.
func manFiles() [][2]string {
	return [][2]string{
		{"/etc/gatehouse/gatehouse.yaml", "the configuration; gatehouse config reference prints all of it"},
		{"/etc/gatehouse/OPEN", "while it is there, nothing is enforced"},
		{"/etc/gatehouse/rules", "own rule files"},
		{"/var/lib/gatehouse", "the ledger"},
		{"/run/gatehouse/gatehouse.sock", "the daemon's socket; members of the group gatehouse may look"},
	}
}

// manPage returns gatehouse(8), in the macros of man(7).
func manPage(root *cobra.Command) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, ".TH GATEHOUSE 8 \"\" %s \"System Manager's Manual\"\n", roffArg("gatehouse "+thisBuild().Version))
	fmt.Fprintf(&b, ".SH NAME\ngatehouse \\- %s\n", roff(root.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B gatehouse\n%s\n", roff(strings.TrimPrefix(useLine(root), "gatehouse ")))
	fmt.Fprintf(&b, ".SH DESCRIPTION\n%s\n", roffText(root.Long))
	fmt.Fprint(&b, ".SH OPTIONS\n")
	for _, o := range options(root.PersistentFlags()) {
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(o.name), roffText(o.text))
	}
	for _, g := range groups {
		fmt.Fprintf(&b, ".SH %s\n", strings.ToUpper(roff(strings.TrimSuffix(g.Title, ":"))))
		for _, c := range visible(root) {
			if c.GroupID == g.ID {
				for _, l := range leaves(c) {
					manCommandText(&b, l)
				}
			}
		}
	}
	fmt.Fprintf(&b, ".SH FORMS\n%s\n", roffText(manForms))
	fmt.Fprintf(&b, ".SH ERRORS\n%s\n", roffText(manErr))
	fmt.Fprintf(&b, ".SH EXIT STATUS\n%s\n", roffText(manExit))
	fmt.Fprint(&b, ".SH FILES\n")
	for _, f := range manFiles() {
		fmt.Fprintf(&b, ".TP\n.I %s\n%s\n", roff(f[0]), roff(f[1]))
	}
	fmt.Fprintf(&b, ".SH LOCKED OUT\n%s\n", roffText(manOpen))
	return b.Bytes()
}

func manCommandText(b *bytes.Buffer, c *cobra.Command) {
	fmt.Fprintf(b, ".SS %s\n", roffArg(useLine(c)))
	about := c.Long
	if about == "" {
		about = strings.ToUpper(c.Short[:1]) + c.Short[1:] + "."
	}
	fmt.Fprintln(b, roffText(about))
	for _, o := range options(c.LocalNonPersistentFlags()) {
		fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roff(o.name), roffText(o.text))
	}
	if c.Example != "" {
		fmt.Fprintf(b, ".PP\n.nf\n.RS 4\n%s\n.RE\n.fi\n", roffLines(c.Example))
	}
}

// roff escapes text for troff within a line.
func roff(s string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(s)
}

// roffArg is roff for an argument of a macro.
func roffArg(s string) string { return `"` + strings.ReplaceAll(roff(s), `"`, `\(dq`) + `"` }

// roffLines is roff for lines that stay as they are.
func roffLines(s string) string {
	lines := strings.Split(roff(s), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}

// roffText is roff for paragraphs; an indented line stays a line.
func roffText(s string) string {
	var out []string
	for _, l := range strings.Split(s, "\n") {
		switch {
		case l == "":
			if len(out) > 0 && out[len(out)-1] != ".PP" {
				out = append(out, ".PP")
			}
		case l[0] == ' ':
			out = append(out, ".br", roffLines(strings.TrimSpace(l)))
		default:
			out = append(out, roffLines(l))
		}
	}
	return strings.Join(out, "\n")
}
