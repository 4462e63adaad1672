package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
	"gatehouse/internal/gate"
)

// banCommand bans addresses and prefixes.
func banCommand(e *env) *cobra.Command {
	var in api.Banning
	c := &cobra.Command{
		Use:   "ban SUBJECT...|- [--for DUR|forever] [--ports PORTS] [--reason TEXT]",
		Short: "ban addresses and prefixes now",
		Long: "Bans addresses and prefixes. A subject that is banned already is banned for longer, never for " +
			"shorter. Who is allowed, this machine itself, its gateways, its name servers and whoever is logged " +
			"in by SSH are refused (exit 1).\n\nWith - the subjects come from standard input, one a line; what follows # or ; is a comment. " +
			"When one of them is wrong, none is banned.",
		Example: "gatehouse ban 192.0.2.7 --for 1d --reason 'guessed passwords'\n" +
			"gatehouse ban 2001:db8:1::/48 --ports 22/tcp\n" +
			"curl -s https://example.org/bad.txt | gatehouse ban -",
		Args: takes(1, -1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkBanning(in); err != nil {
				return misused("usage: "+useLine(c), "ban: %v", err)
			}
			subjects, err := e.subjects(c, args)
			if err != nil {
				return err
			}
			in.Subjects = subjects
			return e.ask(c, func(ctx context.Context, d *api.Client) error {
				bar := e.progress("banning", int64(len(subjects)))
				answers, err := d.Ban(ctx, in, func(n int) { bar.set(int64(n)) })
				bar.end()
				if err != nil {
					return partly(err, answers)
				}
				return e.writeAnswers("ban", answers)
			})
		},
	}
	banningFlags(c, &in)
	c.Flags().StringVar(&in.Ports, "ports", "", "only these `PORTS`, as in 22, 80,443/tcp or 8000-8500/udp (default: all)")
	return c
}

// banningFlags adds the flags that say how long and why.
func banningFlags(c *cobra.Command, in *api.Banning) {
	c.Flags().StringVar(&in.For, "for", "", "how long: `DUR` as in 90s, 10m, 1h30m, 7d, 2w or forever (default: forever)")
	c.Flags().StringVar(&in.Reason, "reason", "", "why, in your words: `TEXT` of at most 512 bytes")
}

// checkBanning finds what is wrong with the flags before anybody is asked.
func checkBanning(in api.Banning) error {
	if in.For != "" {
		d, err := gate.ParseDuration(in.For)
		if err != nil {
			return fmt.Errorf("--for: %w", err)
		}
		if d <= 0 {
			return fmt.Errorf("--for: %s is no time at all", in.For)
		}
	}
	if _, err := gate.ParsePorts(strings.Fields(in.Ports)...); err != nil {
		return fmt.Errorf("--ports: %w", err)
	}
	if len(in.Reason) > 512 {
		return fmt.Errorf("--reason: it is longer than 512 bytes")
	}
	return nil
}

// unbanCommand lifts bans.
func unbanCommand(e *env) *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "unban SUBJECT...|-|--all",
		Short: "lift bans, and forget what was counted",
		Long: "Lifts bans and forgets what was counted against the subjects. Where there is nothing to lift it is " +
			"done all the same (exit 0). An address inside a banned prefix cannot be lifted out of it (exit 1): " +
			"the hint names the prefix.",
		Example: "gatehouse unban 192.0.2.7\ngatehouse unban --all",
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case all && len(args) > 0:
				return misused("usage: "+useLine(c), "unban: either --all or subjects, not both")
			case !all && len(args) == 0:
				return misused("usage: "+useLine(c), "unban: name the subjects, or --all")
			case all:
				return e.ask(c, func(ctx context.Context, d *api.Client) error {
					answers, err := d.UnbanAll(ctx, "")
					if err != nil {
						return err
					}
					return e.writeAnswers("unban", answers)
				})
			}
			subjects, err := e.subjects(c, args)
			if err != nil {
				return err
			}
			return e.ask(c, func(ctx context.Context, d *api.Client) error {
				bar := e.progress("lifting", int64(len(subjects)))
				answers, err := d.Unban(ctx, api.Lifting{Subjects: subjects}, func(n int) { bar.set(int64(n)) })
				bar.end()
				if err != nil {
					return partly(err, answers)
				}
				return e.writeAnswers("unban", answers)
			})
		},
	}
	c.Flags().BoolVar(&all, "all", false, "lift every ban")
	return c
}

// partly adds to an error how much was done before it.
func partly(err error, answers []api.Answer) error {
	n := 0
	for _, a := range answers {
		if a.Subject != "" {
			n++
		}
	}
	if n == 0 {
		return err
	}
	f := *asFailure(err)
	f.text = fmt.Sprintf("%s (%s of %s done before that)", f.text, grouped(n), grouped(len(answers)))
	return &f
}

// subjects returns the subjects that the arguments name, in canonical form; a
// single - stands for standard input.
func (e *env) subjects(c *cobra.Command, args []string) ([]string, error) {
	if len(args) == 1 && args[0] == "-" {
		found, err := readList("standard input", e.stdin(c.Context()))
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, failed("write one address or prefix a line", "%s: standard input names nobody", c.Name())
		}
		return found, nil
	}
	out := make([]string, len(args))
	for i, a := range args {
		s, err := api.ParseNet(a)
		if err != nil {
			hint := "usage: " + useLine(c)
			if a == "-" {
				hint = "- stands alone"
			}
			return nil, misused(hint, "%s: %v", c.Name(), err)
		}
		out[i] = s.String()
	}
	return out, nil
}

// banAnswer is the document of one answer to ban.
type banAnswer struct {
	Subject string     `json:"subject"`
	Changed bool       `json:"changed"`
	Until   *time.Time `json:"until"` // null = forever; also where it was refused
	Refused string     `json:"refused,omitempty"`
	Hint    string     `json:"hint,omitempty"`
	Note    string     `json:"note,omitempty"`
}

// few is up to how many answers are told one by one.
const few = 20

// writeAnswers tells what became of each wish; its error names what was refused.
func (e *env) writeAnswers(what string, answers []api.Answer) error {
	var err error
	switch {
	case e.json:
		a := newArray(e.out)
		for _, x := range answers {
			var doc any = x
			if what == "ban" {
				doc = banAnswer(x)
			}
			if err := a.add(doc); err != nil {
				return err
			}
		}
		err = a.end()
	case len(answers) <= few:
		for _, a := range answers {
			e.writeAnswer(e.out, what, a)
		}
	default:
		e.writeSums(what, answers)
	}
	if err != nil {
		return err
	}
	return refusal(what, answers)
}

// writeAnswer tells one answer in a line; a refusal is told by the error.
func (e *env) writeAnswer(w io.Writer, what string, a api.Answer) {
	if a.Refused != "" {
		return
	}
	line := ""
	switch {
	case what == "ban" && a.Changed:
		line = "banned " + a.Subject + " " + e.lasting(a.Until)
	case what == "ban":
		line = a.Subject + " is banned already, " + e.lasting(a.Until)
	case what == "unban" && a.Subject == "" && a.Changed:
		line = "every ban is lifted"
	case what == "unban" && a.Subject == "":
		line = "there is no ban to lift"
	case what == "unban" && a.Changed:
		line = "lifted the ban of " + a.Subject
	case what == "unban":
		line = a.Subject + " is not banned"
	case what == "allow add" && a.Changed:
		line = "allowed " + a.Subject
	case what == "allow add":
		line = a.Subject + " is allowed already"
	case a.Changed:
		line = "no longer allowed: " + a.Subject
	default:
		line = a.Subject + " is not on the allow list"
	}
	if a.Note != "" {
		line += " (" + a.Note + ")"
	}
	fmt.Fprintln(w, harmless(line))
}

func (e *env) lasting(until *time.Time) string {
	if until == nil {
		return "forever"
	}
	return "until " + clock(*until) + " (" + e.ends(until) + ")"
}

// writeSums tells many answers in one line.
func (e *env) writeSums(what string, answers []api.Answer) {
	var changed, same, refused int
	for _, a := range answers {
		switch {
		case a.Refused != "":
			refused++
		case a.Changed:
			changed++
		default:
			same++
		}
	}
	verb := map[string][2]string{
		"ban":   {"banned", "banned already"},
		"unban": {"lifted", "not banned"},
	}[what]
	if verb[0] == "" {
		verb = [2]string{"changed", "so already"}
	}
	line := verb[0] + " " + grouped(changed)
	if same > 0 {
		line += ", " + grouped(same) + " " + verb[1]
	}
	if refused > 0 {
		line += ", " + grouped(refused) + " refused"
	}
	fmt.Fprintln(e.out, line)
}

// refusal returns the error for the answers that were refused, nil if none was.
func refusal(what string, answers []api.Answer) error {
	var first *api.Answer
	more := 0
	for i := range answers {
		if answers[i].Refused == "" {
			continue
		}
		if first == nil {
			first = &answers[i]
		} else {
			more++
		}
	}
	if first == nil {
		return nil
	}
	text := what + " " + first.Subject + ": " + first.Refused
	if more > 0 {
		text += fmt.Sprintf(" (and %s more refused)", grouped(more))
	}
	return failed(first.Hint, "%s", text)
}
