package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
)

// format is one way to write the bans for others.
type format struct {
	name  string
	about string
	write func(w io.Writer, bans []api.Ban, now time.Time) error
}

// formats is every format of export; the first one is the default.
func formats() []format {
	return []format{
		{"plain", "one address or prefix a line", exportPlain},
		{"cidr", "the same, with a length on single addresses, too", exportCIDR},
		{"csv", "a table with a head", exportCSV},
		{"json", "the documents of bans", exportJSON},
		{"nft", "a table of its own for nft -f", exportNFT},
		{"ipset", "two sets for ipset restore", exportIPSet},
		{"fail2ban", "commands for a shell that ban in fail2ban's jails", exportFail2ban},
	}
}

// exportCommand writes the bans for others.
func exportCommand(e *env) *cobra.Command {
	var names []string
	about := ""
	for _, f := range formats() {
		names = append(names, f.name)
		about += "\n  " + fmt.Sprintf("%-9s", f.name) + " " + f.about
	}
	var name string
	var q api.BansQuery
	c := &cobra.Command{
		Use:   "export [--format " + strings.Join(names, "|") + "]",
		Short: "write the bans for other programs",
		Long: "Writes the bans in force in a format that others read. Where the format knows an end, each ban " +
			"keeps its remaining time. nft and ipset leave out bans of some ports only, because they cannot say so.\n" + about,
		Example: "gatehouse export --format nft | ssh router nft -f -",
		Args:    takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if e.json && !c.Flags().Changed("format") {
				name = "json"
			}
			for _, f := range formats() {
				if f.name == name {
					return e.ask(c, func(ctx context.Context, d *api.Client) error {
						bans, err := sortedBans(ctx, d, q)
						if err != nil {
							return err
						}
						return f.write(e.out, bans, e.now())
					})
				}
			}
			return misused("formats: "+strings.Join(names, ", "), "export: there is no format %q", name)
		},
	}
	c.Flags().StringVar(&name, "format", names[0], "the `FORMAT`: "+strings.Join(names, ", "))
	// The flag is there, and has no completion yet: it cannot fail.
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	c.Flags().StringVar(&q.Rule, "rule", "", "only bans of this `RULE`")
	return c
}

func exportPlain(w io.Writer, bans []api.Ban, _ time.Time) error {
	return eachLine(w, bans, func(b api.Ban) string { return b.Subject.String() })
}

func exportCIDR(w io.Writer, bans []api.Ban, _ time.Time) error {
	return eachLine(w, bans, func(b api.Ban) string { return b.Subject.Prefix().String() })
}

func eachLine(w io.Writer, bans []api.Ban, line func(api.Ban) string) error {
	out := bufio.NewWriter(w)
	for _, b := range bans {
		_, _ = out.WriteString(line(b) + "\n") // an error sticks, Flush returns it
	}
	return out.Flush()
}

func exportJSON(w io.Writer, bans []api.Ban, _ time.Time) error { return writeArray(w, bans) }

func exportCSV(w io.Writer, bans []api.Ban, _ time.Time) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"subject", "since", "until", "rule", "origin", "reason", "ports", "offences", "enforced"}) // as above
	for _, b := range bans {
		until := ""
		if b.Until != nil {
			until = b.Until.UTC().Format(time.RFC3339)
		}
		_ = out.Write([]string{b.Subject.String(), b.Since.UTC().Format(time.RFC3339), until, b.Rule, harmless(b.Origin),
			cellText(b.Reason), b.Ports.String(), strconv.Itoa(b.Offences), strconv.FormatBool(b.Enforced)})
	}
	out.Flush()
	return out.Error()
}

// cellText makes text harmless for a program of tables, too: none of it is
// taken for a formula.
func cellText(s string) string {
	s = harmless(s)
	if s != "" && strings.ContainsRune("=+-@", rune(s[0])) {
		return "'" + s
	}
	return s
}

// whole returns the bans of all ports that do not end within a second, those of
// one family, and how many bans of some ports only there are.
func whole(bans []api.Ban, now time.Time) (v4, v6 []api.Ban, ports int) {
	for _, b := range bans {
		switch {
		case !b.Ports.IsEmpty():
			ports++
		case b.Until != nil && b.Until.Sub(now) < time.Second:
		case b.Subject.Addr().Is4():
			v4 = append(v4, b)
		default:
			v6 = append(v6, b)
		}
	}
	return v4, v6, ports
}

// seconds returns the remaining time of a ban, at most most; 0 = it has no end.
func seconds(b api.Ban, now time.Time, most int64) int64 {
	if b.Until == nil {
		return 0
	}
	return min(most, int64(b.Until.Sub(now)/time.Second))
}

func exportNFT(w io.Writer, bans []api.Ban, now time.Time) error {
	out := bufio.NewWriter(w)
	v4, v6, ports := whole(bans, now)
	fmt.Fprintf(out, "# %s of gatehouse at %s; load with: nft -f FILE\n", counted(len(v4)+len(v6), "ban"), now.UTC().Format(time.RFC3339))
	if ports > 0 {
		fmt.Fprintf(out, "# left out: %s of some ports only\n", counted(ports, "ban"))
	}
	const table = "inet gatehouse_export"
	fmt.Fprintf(out, "table %s\ndelete table %s\ntable %s {\n", table, table, table)
	nftSet(out, "addr4", "ipv4_addr", "timeout", singles(v4), now)
	nftSet(out, "net4", "ipv4_addr", "interval, timeout", outermost(v4), now)
	nftSet(out, "addr6", "ipv6_addr", "timeout", singles(v6), now)
	nftSet(out, "net6", "ipv6_addr", "interval, timeout", outermost(v6), now)
	fmt.Fprint(out, "\tchain ban {\n\t\ttype filter hook prerouting priority raw; policy accept;\n"+
		"\t\tip saddr @addr4 drop\n\t\tip saddr @net4 drop\n\t\tip6 saddr @addr6 drop\n\t\tip6 saddr @net6 drop\n\t}\n}\n")
	return out.Flush()
}

func nftSet(out *bufio.Writer, name, kind, flags string, bans []api.Ban, now time.Time) {
	fmt.Fprintf(out, "\tset %s {\n\t\ttype %s\n\t\tflags %s\n", name, kind, flags)
	for i, b := range bans {
		sep := ",\n\t\t\t"
		if i == 0 {
			sep = "\t\telements = {\n\t\t\t"
		}
		fmt.Fprint(out, sep, b.Subject)
		if s := seconds(b, now, 1<<31); s > 0 {
			fmt.Fprintf(out, " timeout %ds", s)
		}
	}
	if len(bans) > 0 {
		fmt.Fprint(out, "\n\t\t}\n")
	}
	fmt.Fprint(out, "\t}\n")
}

func singles(bans []api.Ban) (out []api.Ban) {
	for _, b := range bans {
		if b.Subject.Prefix().IsSingleIP() {
			out = append(out, b)
		}
	}
	return out
}

// outermost returns the prefixes that lie in no other; an interval set takes no
// others. The bans are in the order of compareSubjects.
func outermost(bans []api.Ban) (out []api.Ban) {
	var last netip.Prefix
	for _, b := range bans {
		p := b.Subject.Prefix()
		if p.IsSingleIP() || last.IsValid() && last.Contains(p.Addr()) {
			continue
		}
		last = p
		out = append(out, b)
	}
	return out
}

// maxIPSetTimeout is the longest timeout of ipset(8), in seconds.
const maxIPSetTimeout = 2147483

func exportIPSet(w io.Writer, bans []api.Ban, now time.Time) error {
	out := bufio.NewWriter(w)
	v4, v6, ports := whole(bans, now)
	fmt.Fprintf(out, "# %s of gatehouse at %s; load with: ipset restore -exist < FILE\n", counted(len(v4)+len(v6), "ban"), now.UTC().Format(time.RFC3339))
	if ports > 0 {
		fmt.Fprintf(out, "# left out: %s of some ports only\n", counted(ports, "ban"))
	}
	for _, set := range []struct {
		name, family string
		bans         []api.Ban
	}{{"gatehouse4", "inet", v4}, {"gatehouse6", "inet6", v6}} {
		fmt.Fprintf(out, "create %s hash:net family %s timeout 0 maxelem %d\nflush %s\n", set.name, set.family, max(65536, 2*len(set.bans)), set.name)
		for _, b := range set.bans {
			if b.Subject.Prefix().Bits() == 0 {
				continue // hash:net takes none: ipset(8)
			}
			fmt.Fprintf(out, "add %s %s timeout %d\n", set.name, b.Subject, seconds(b, now, maxIPSetTimeout))
		}
	}
	return out.Flush()
}

func exportFail2ban(w io.Writer, bans []api.Ban, _ time.Time) error {
	return eachLine(w, bans, func(b api.Ban) string {
		return "fail2ban-client set " + b.Rule + " banip " + b.Subject.String()
	})
}
