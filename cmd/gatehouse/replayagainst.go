package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/config"
	"gatehouse/internal/gate"
	"gatehouse/internal/replay"
)

// maxCompared is how many decisions of each side are kept to be compared.
const maxCompared = 1_000_000

// sided is a decision of one of two configurations.
type sided struct {
	Side string `json:"side"` // present or against
	replayDecision
}

// The sides of a comparison.
const (
	sidePresent = "present"
	sideAgainst = "against"
)

// replayAgainst runs the logs by two configurations and tells what they decide
// otherwise.
func (e *env) replayAgainst(ctx context.Context, args []string, o replayOptions, present *config.Config) error {
	if slices.Contains(args, "-") {
		return misused("write it to a file first", "replay: standard input cannot be read twice, as --against does")
	}
	other, err := config.Load(o.against, config.Options{UID: os.Geteuid(), Env: os.Getenv, RuleExists: ruleExists, FilterProblems: e.filterProblems})
	if err != nil {
		return settingsFailure(o.against, err)
	}
	var sides [2]comparison
	for i, c := range []*config.Config{present, other} {
		side := &sides[i]
		side.accounts, side.sum, err = e.course(ctx, args, o, c, func(d *replay.Decision) error {
			if d.Expiry && !o.releases {
				return nil
			}
			if len(side.all) == maxCompared {
				return failed("compare fewer logs at once", "replay: more than %s decisions to compare", grouped(maxCompared))
			}
			side.all = append(side.all, replayDecision{
				Time: d.Time.UTC(), Verdict: d.Verdict, Subject: d.Subject, Ports: d.Scope.Ports, Until: timeOrNull(d.Until),
				Rule: d.Rule, Offence: d.Offence, Why: d.Why, Log: d.Origin.Source,
			})
			return nil
		})
		if err != nil {
			return err
		}
	}
	out := newReplayOutput(e, o)
	for _, d := range otherwise(sides[0].all, sides[1].all) {
		if err := out.sided(d); err != nil {
			return err
		}
	}
	return out.comparison(sides)
}

// comparison is what came of one side.
type comparison struct {
	all      []replayDecision
	accounts []replay.Account
	sum      replay.Summary
}

// same identifies a decision by what it does.
func (d *replayDecision) same() string {
	until := "forever"
	if d.Until != nil {
		until = d.Until.Format(time.RFC3339Nano)
	}
	return strings.Join([]string{d.Time.Format(time.RFC3339Nano), d.Verdict.String(), d.Subject.String(), d.Ports.String(), until}, " ")
}

// otherwise returns what only one of two sides decides, by time.
func otherwise(present, against []replayDecision) (out []sided) {
	rest := map[string]int{}
	for i := range present {
		rest[present[i].same()]++
	}
	for i := range against {
		if k := against[i].same(); rest[k] > 0 {
			rest[k]--
		} else {
			out = append(out, sided{sideAgainst, against[i]})
		}
	}
	for i := range slices.Backward(present) {
		if k := present[i].same(); rest[k] > 0 {
			rest[k]--
			out = append(out, sided{sidePresent, present[i]})
		}
	}
	slices.SortStableFunc(out, func(a, b sided) int {
		return cmp.Or(a.Time.Compare(b.Time), strings.Compare(a.Subject.String(), b.Subject.String()), strings.Compare(b.Side, a.Side))
	})
	return out
}

// sided writes one decision that only one side takes.
func (w *replayOutput) sided(d sided) error {
	w.pending = true
	if w.e.json {
		return w.line(d)
	}
	sign, colour := "-", red
	if d.Side == sideAgainst {
		sign, colour = "+", green
	}
	what := ""
	if d.Verdict == gate.Ban {
		until := time.Time{}
		if d.Until != nil {
			until = *d.Until
		}
		what = span(gate.Decision{Time: d.Time, Until: until, Verdict: d.Verdict})
	}
	_, err := fmt.Fprintf(w.out, "%s %s  %-8s %-18s %-8s  %s\n", w.e.paint(colour, sign), w.e.paint(faint, clock(d.Time)), d.Verdict, d.Subject, what, harmless(d.Why))
	return w.soon(err)
}

// comparison writes both summaries.
func (w *replayOutput) comparison(sides [2]comparison) error {
	if w.e.json {
		doc := map[string]map[string]replaySummary{"summary": {}}
		for i, side := range []string{sidePresent, sideAgainst} {
			s := replaySummary{Logs: sides[i].accounts, Summary: sides[i].sum}
			for _, a := range sides[i].accounts {
				s.Lines += a.Lines
			}
			doc["summary"][side] = s
		}
		if err := w.line(doc); err != nil {
			return err
		}
		return w.out.Flush()
	}
	if w.pending {
		fmt.Fprintln(w.out)
	} else {
		fmt.Fprintln(w.out, "both decide the same")
	}
	if err := w.out.Flush(); err != nil {
		return err
	}
	t := table{head: []string{"", "PRESENT", "AGAINST"}}
	row := func(name string, of func(*replay.Summary) int) {
		t.add(name, grouped(of(&sides[0].sum)), grouped(of(&sides[1].sum)))
	}
	row("decisions", func(s *replay.Summary) int { return s.Decisions })
	row("bans", func(s *replay.Summary) int { return s.Bans })
	row("offenders", func(s *replay.Summary) int { return s.Banned })
	row("lines kept away", func(s *replay.Summary) int { return s.KeptAway })
	row("logins kept away", func(s *replay.Summary) int { return s.Logins })
	return w.e.columns(t)
}
