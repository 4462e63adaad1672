package main

import (
	"fmt"
	"slices"

	"gatehouse/internal/rules"
)

// verdictDoc is what test and lint say about one rule.
type verdictDoc struct {
	Rule     string      `json:"rule"`
	Samples  int         `json:"samples"`
	Problems []ruleFault `json:"problems"`
}

// ruleFault is one thing that is wrong with a rule.
type ruleFault struct {
	Pattern string `json:"pattern,omitempty"`
	Line    string `json:"line,omitempty"` // of the sample that failed
	Problem string `json:"problem"`
	Hint    string `json:"hint,omitempty"`
}

// testRules runs the samples of rules: alone, all in one log, and with what a
// stranger may write into them.
func (e *env) testRules(args []string) error {
	rs, err := e.named("rules test", args)
	if err != nil {
		return err
	}
	book := e.rulebook()
	together := rules.TestTogether(rs)
	return e.judgeRules("rules test", "failure", rs, func(r *rules.Rule) (out []ruleFault) {
		attacked, _ := r.Attack(book)
		for _, f := range slices.Concat(r.Test(), together[r.Name], attacked) {
			fault := ruleFault{Pattern: f.Pattern, Problem: f.String()}
			if f.Sample >= 0 && f.Sample < len(r.Samples) {
				fault.Line = r.Samples[f.Sample].Line
			}
			out = append(out, fault)
		}
		return out
	})
}

// lintRules looks for what is unwise in rules.
func (e *env) lintRules(args []string) error {
	rs, err := e.named("rules lint", args)
	if err != nil {
		return err
	}
	return e.judgeRules("rules lint", "remark", rs, func(r *rules.Rule) (out []ruleFault) {
		for _, m := range rules.Lint(r) {
			text := m.Problem
			if m.Pattern != "" {
				text = "pattern " + m.Pattern + ": " + text
			}
			out = append(out, ruleFault{Pattern: m.Pattern, Problem: text, Hint: m.Hint})
		}
		return out
	})
}

// judgeRules tells what judge finds wrong with each of the rules; its error says how
// much that is.
func (e *env) judgeRules(what, noun string, rs []*rules.Rule, judge func(*rules.Rule) []ruleFault) error {
	docs := make([]verdictDoc, 0, len(rs))
	count := 0
	for _, r := range rs {
		d := verdictDoc{Rule: r.Name, Samples: len(r.Samples), Problems: judge(r)}
		if d.Problems == nil {
			d.Problems = []ruleFault{}
		}
		count += len(d.Problems)
		docs = append(docs, d)
	}
	var err error
	if e.json {
		err = writeArray(e.out, docs)
	} else {
		e.writeVerdicts(docs, noun)
	}
	if err != nil || count == 0 {
		return err
	}
	return failed("gatehouse rules show RULE shows the patterns", "%s: %s", what, counted(count, noun))
}

func (e *env) writeVerdicts(docs []verdictDoc, noun string) {
	for _, d := range docs {
		if len(d.Problems) == 0 {
			fmt.Fprintf(e.out, "%s: no %s%s\n", d.Rule, noun, map[bool]string{true: ", " + counted(d.Samples, "sample")}[noun == "failure"])
			continue
		}
		fmt.Fprintf(e.out, "%s: %s\n", d.Rule, counted(len(d.Problems), noun))
		for _, p := range d.Problems {
			fmt.Fprintf(e.out, "  %s\n", harmless(p.Problem))
			if p.Hint != "" {
				fmt.Fprintf(e.out, "    hint: %s\n", harmless(p.Hint))
			}
		}
	}
}
