package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
	"gatehouse/internal/config"
	"gatehouse/internal/gate"
	"gatehouse/internal/report"
)

// reportCommand reports abuse, or shows what would be reported; its subcommand
// sums up.
func reportCommand(e *env) *cobra.Command {
	var dry bool
	c := &cobra.Command{
		Use:   "report ADDR",
		Short: "report abuse by an address, or show what would be reported",
		Long: "Reports the latest ban of an address to everybody whom report: names in the configuration, within the same " +
			"bounds as always: never on evidence that can be forged, never an own, allowed or private address, an " +
			"offender once a day. With --dry-run it sends nothing and shows what each of them would get, to the letter " +
			"but for secrets; the registries may be asked for the abuse contact. Exit 1 if it is refused or fails; what " +
			"failed is tried again for a day.",
		Example: "gatehouse report 192.0.2.7 --dry-run\ngatehouse report 192.0.2.7\ngatehouse report digest --since 30d",
		Args:    takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			addr, err := oneAddress("report", args[0], useLine(c))
			if err != nil {
				return err
			}
			return e.ask(c, func(ctx context.Context, d *api.Client) error {
				do := d.SendReport
				if dry {
					do = d.ShowReport
				}
				var r api.AbuseReport
				if err := e.patiently("reporting", time.Minute, func() (err error) { r, err = do(ctx, addr); return err }); err != nil {
					return err
				}
				if e.json {
					if err := e.document(r); err != nil {
						return err
					}
				} else {
					e.writeReport(r)
				}
				return reportFailure(r)
			})
		},
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "send nothing, and show what would be sent")
	c.AddCommand(digestCommand(e))
	return c
}

// reportFailure is why something was not reported; nil if all of it was.
func reportFailure(r api.AbuseReport) error {
	if r.Refused != "" {
		return failed("see: gatehouse why "+r.Address.String(), "report %s: not reported: %s", r.Address, r.Refused)
	}
	if r.DryRun {
		return nil
	}
	for _, p := range r.Parcels {
		if p.Problem != "" {
			return failed("it is tried again unless it was refused for good; see: gatehouse log --kind report", "report %s: %s: %s", r.Address, p.Target, p.Problem)
		}
	}
	return nil
}

// writeReport writes what was reported, or would be.
func (e *env) writeReport(r api.AbuseReport) {
	if r.DryRun && r.Refused == "" && len(r.Parcels) == 0 {
		fmt.Fprintf(e.out, "%s could be reported, but nobody is named to whom: add report: to: to the configuration\n", r.Address)
	}
	for i, p := range r.Parcels {
		if i > 0 {
			fmt.Fprintln(e.out)
		}
		switch {
		case p.Answer != "":
			fmt.Fprintf(e.out, "%s: reported to %s; it answers: %s\n", harmless(p.Target), harmless(p.To), harmless(p.Answer))
			continue
		case !r.DryRun:
			fmt.Fprintf(e.out, "%s: not reported: %s\n", harmless(p.Target), harmless(p.Problem))
			continue
		}
		e.writeParcel(p)
	}
	if r.DryRun && r.Refused == "" && len(r.Parcels) > 0 {
		fmt.Fprintln(e.out, "\nnothing was sent")
	}
}

// writeParcel writes what one target would get.
func (e *env) writeParcel(p api.Parcel) {
	fmt.Fprintf(e.out, "%s\n", e.paint(bold, harmless(p.Target+": "+p.How)))
	if p.To != "" {
		fmt.Fprintf(e.out, "  To: %s\n", harmless(p.To))
	}
	for _, h := range p.Headers {
		fmt.Fprintf(e.out, "  %s\n", harmless(h))
	}
	if p.Subject != "" {
		fmt.Fprintf(e.out, "  Subject: %s\n", harmless(p.Subject))
	}
	if p.Problem != "" {
		fmt.Fprintf(e.out, "  %s\n", e.paint(yellow, "it would not be sent: "+harmless(p.Problem)))
	}
	if p.Body != "" {
		fmt.Fprintf(e.out, "\n%s\n", indent(harmlessLines(p.Body), "    "))
	}
	if p.XARF != "" {
		fmt.Fprintf(e.out, "\n  xarf.json:\n\n%s\n", indent(harmlessLines(p.XARF), "    "))
	}
}

// digestCommand sums up the latest time.
func digestCommand(e *env) *cobra.Command {
	var since, page string
	c := &cobra.Command{
		Use:   "digest",
		Short: "sum up: top offenders, networks, services, and the trend",
		Long: "Sums up who was banned most, from which networks and countries, at which services, and how that changed, " +
			"with small charts. With --html it is written into a file as a page. The same comes by mail where digest: " +
			"under report: in the configuration asks for it.",
		Example: "gatehouse report digest\ngatehouse report digest --since 30d --html digest.html",
		Args:    takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			back, err := gate.ParseDuration(since)
			if err == nil && (back < time.Hour || back > 400*gate.Day) {
				err = fmt.Errorf("%s is not between 1h and 400d", since)
			}
			if err != nil {
				return misused("write --since 24h, 7d or 30d", "report digest: --since: %v", err)
			}
			form := "text"
			if page != "" {
				form = "html"
			} else if e.json {
				form = ""
			}
			return e.ask(c, func(ctx context.Context, d *api.Client) error {
				g, err := d.Digest(ctx, back, form)
				if err != nil {
					return err
				}
				if page != "" {
					if err := os.WriteFile(page, []byte(g.HTML), 0o644); err != nil {
						return fileFailure("write", page, err)
					}
					g.HTML = ""
				}
				switch {
				case e.json:
					return e.document(g)
				case page != "":
					fmt.Fprintf(e.out, "%s\nthe page is in %s\n", harmless(g.Sentence), harmless(page))
				default:
					fmt.Fprint(e.out, harmlessLines(g.Text))
				}
				return nil
			})
		},
	}
	c.Flags().StringVar(&since, "since", "7d", "sum up this `DUR`, up to now")
	c.Flags().StringVar(&page, "html", "", "write a page into `FILE`")
	return c
}

// reportProblems returns what is wrong with the operator's templates for reports.
func reportProblems(c *config.Config) (out []api.Problem) {
	for _, t := range c.Report.To {
		if t.Template == "" {
			continue
		}
		if err := report.CheckTemplate(t.Template); err != nil {
			out = append(out, api.Problem{File: t.Template, Error: err.Error(), Hint: "docs/report.md lists what templates can use"})
		}
	}
	return out
}
