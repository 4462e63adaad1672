package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/internal/gate"
	"gatehouse/internal/rules"
)

// rulesCommand shows and tests rules.
func rulesCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "rules list|show|test|lint",
		Short: "list, show, test and lint rules",
		Long: "Shows the rules there are: those that are built in, and your own in /etc/gatehouse/rules, where one of " +
			"the same name takes the place of a built-in one. No daemon is needed.",
		Args: cobra.ArbitraryArgs,
		RunE: subcommandMissing,
	}
	c.AddCommand(
		&cobra.Command{
			Use: "list", Short: "list the rules there are", Args: takes(0, 0),
			RunE: func(*cobra.Command, []string) error {
				book := e.rulebook()
				if e.json {
					docs := make([]ruleDoc, len(book))
					for i, r := range book {
						docs[i] = documentRule(r)
					}
					return writeArray(e.out, docs)
				}
				t := table{head: []string{"RULE", "PORTS", "EVIDENCE", "PATTERNS", "TITLE"}}
				for _, r := range book {
					ports := r.Ports.String()
					if ports == "" {
						ports = "-"
					}
					title := r.Title
					if r.Optional {
						title += " (only where named)"
					}
					t.add(r.Name, ports, r.Evidence.String(), grouped(len(r.Patterns)), title)
				}
				return e.columns(t)
			},
		},
		&cobra.Command{
			Use: "show RULE|FILE|fail2ban:FILTER", Short: "show one rule: what it reads, and what counts", Args: takes(1, 1),
			ValidArgsFunction: e.completeRules(1),
			RunE: func(_ *cobra.Command, args []string) error {
				if in, ok, err := e.filterNamed(args[0]); ok {
					if err != nil {
						return err
					}
					return e.showFilter(in)
				}
				rs, err := e.named("rules show", args)
				if err != nil {
					return err
				}
				if e.json {
					return e.document(documentRule(rs[0]))
				}
				e.writeRule(rs[0])
				return nil
			},
		},
		&cobra.Command{
			Use: "test [RULE|FILE]...", Short: "run the samples of rules; exit 1 if one fails", Args: takes(0, -1),
			ValidArgsFunction: e.completeRules(-1),
			Long: "Runs the samples that each rule brings along: lines that must match, with what must come out, and lines " +
				"that must not. Without an argument all rules are tested. Exit 1 if a sample fails.",
			RunE: func(_ *cobra.Command, args []string) error { return e.testRules(args) },
		},
		&cobra.Command{
			Use: "lint [RULE|FILE]...", Short: "look for what is slow or can be fooled in rules; exit 1 if there is any", Args: takes(0, -1),
			ValidArgsFunction: e.completeRules(-1),
			Long: "Looks for patterns that are slow, or that somebody can fool who chooses what stands in the log. Without " +
				"an argument all rules are looked at. Exit 1 if there is a remark.",
			RunE: func(_ *cobra.Command, args []string) error { return e.lintRules(args) },
		},
	)
	return c
}

// ruleDoc is the document of one rule.
type ruleDoc struct {
	Name      string         `json:"name"`
	Title     string         `json:"title"`
	Doc       string         `json:"doc,omitempty"`
	Service   string         `json:"service"`
	Ports     gate.Ports     `json:"ports"`
	Evidence  gate.Evidence  `json:"evidence"`
	Format    string         `json:"format"`
	Programs  []string       `json:"programs"`
	Files     []string       `json:"files"`
	Journal   []string       `json:"journal"`
	Threshold gate.Threshold `json:"threshold"` // empty = the configured default
	Session   string         `json:"session"`
	Optional  bool           `json:"optional,omitempty"` // auto leaves it out
	Patterns  []patternDoc   `json:"patterns"`
	Samples   int            `json:"samples"`
}

type patternDoc struct {
	Name  string     `json:"name"`
	Class gate.Class `json:"class"`
	Match string     `json:"match,omitempty"`
	// Where is what the fields of a line must be, for formats that have fields: a
	// text, or an expression between slashes.
	Where map[string][]string `json:"where,omitempty"`
	Reads string              `json:"reads,omitempty"`
}

func documentRule(r *rules.Rule) ruleDoc {
	d := ruleDoc{
		Name: r.Name, Title: r.Title, Doc: r.Doc, Service: r.Service, Ports: r.Ports, Evidence: r.Evidence, Optional: r.Optional,
		Format: r.Format.String(), Programs: orNone(r.Programs), Files: orNone(r.Sources.Files), Journal: orNone(r.Sources.Journal),
		Threshold: r.Threshold, Session: r.Session.String(), Samples: len(r.Samples),
	}
	for _, p := range r.Patterns {
		d.Patterns = append(d.Patterns, patternDoc{p.Name, p.Class, p.Match, conditions(p), p.Reads})
	}
	return d
}

// conditions returns what the fields of a line must be; nil for a pattern that
// reads text.
func conditions(p rules.Pattern) map[string][]string {
	var where map[string][]string
	for _, c := range p.Where {
		if where == nil {
			where = map[string][]string{}
		}
		for _, v := range c.Values {
			text := v.Text
			if !v.Exact {
				text = "/" + text + "/"
			}
			where[c.Field] = append(where[c.Field], text)
		}
	}
	return where
}

// orNone makes an empty array of no array.
func orNone(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func (e *env) writeRule(r *rules.Rule) {
	fmt.Fprintf(e.out, "%s: %s\n", e.paint(bold, r.Name), harmless(r.Title))
	if r.Doc != "" {
		fmt.Fprintf(e.out, "\n%s\n", indent(harmlessLines(r.Doc), "  "))
	}
	var t table
	row := func(label, text string) {
		if text != "" {
			t.add("  "+label, text)
		}
	}
	row("service", r.Service)
	row("ports", r.Ports.String())
	row("evidence", r.Evidence.String())
	row("format", r.Format.String())
	row("programs", strings.Join(r.Programs, ", "))
	row("files", strings.Join(r.Sources.Files, ", "))
	row("journal", strings.Join(r.Sources.Journal, ", "))
	row("threshold", r.Threshold.String())
	row("session", r.Session.String())
	if r.Optional {
		row("watched", "only where it is named: `- rule: "+r.Name+"`")
	}
	row("samples", grouped(len(r.Samples)))
	fmt.Fprintln(e.out)
	_ = e.columns(t) // what the terminal did not take is not told to it
	for _, p := range r.Patterns {
		fmt.Fprintf(e.out, "\n  %s (%s)\n", e.paint(bold, p.Name), p.Class)
		if p.Match != "" {
			fmt.Fprintf(e.out, "    %s\n", harmless(p.Match))
		}
		where := conditions(p)
		for _, field := range slices.Sorted(maps.Keys(where)) {
			fmt.Fprintf(e.out, "    %s: %s\n", harmless(field), harmless(strings.Join(where[field], " or ")))
		}
		writeReads(e.out, p.Reads)
	}
}

func writeReads(w io.Writer, reads string) {
	if reads != "" {
		fmt.Fprintf(w, "    reads: %s\n", harmless(reads))
	}
}
