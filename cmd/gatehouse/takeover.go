package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
	"gatehouse/internal/gate"
	"gatehouse/internal/lists"
	"gatehouse/internal/lists/formats"
)

// takeover is bans of elsewhere that are to become ours.
type takeover struct {
	name    string // of where they come from
	format  string
	entries []formats.Entry
	faults  int
}

// maxImport bounds what is read of a list, in bytes, unpacked.
const maxImport = 1 << 30

// readTakeover reads a list. Where something in it is wrong, the error names it and
// nothing is returned, unless partly says that the rest is wanted.
func (e *env) readTakeover(name string, r io.Reader, f formats.Format, partly bool) (takeover, error) {
	t := takeover{name: name}
	src, err := lists.Unpack(r, maxImport)
	if err != nil {
		return t, readFailure(name, err)
	}
	var problems []api.Problem
	sum, err := formats.Read(src, formats.Options{Format: f, Now: e.now(), Fault: func(x formats.Fault) {
		if len(problems) < maxBadLines {
			p := api.Problem{File: name, Line: x.Line, Error: x.What}
			if x.Line > 0 {
				p.Column = 1
			}
			problems = append(problems, p)
		}
	}}, func(n formats.Entry) error {
		if len(t.entries) == maxList {
			return failed("cut it into parts", "%s: more than %s addresses and prefixes", name, grouped(maxList))
		}
		t.entries = append(t.entries, n)
		return nil
	})
	t.format, t.faults = sum.Format.String(), sum.Faults
	if err != nil {
		return t, readFailure(name, err)
	}
	if sum.Faults > 0 && !partly {
		what := "1 line is"
		if sum.Faults != 1 {
			what = grouped(sum.Faults) + " lines are"
		}
		return t, &api.Error{
			Message:  fmt.Sprintf("%s: %s wrong; nothing was changed", name, what),
			Hint:     "write one address or prefix a line; what follows # or ; is a comment. To take the rest: --partly",
			Problems: problems,
		}
	}
	return t, nil
}

// readFailure is the failure of reading a list.
func readFailure(name string, err error) error {
	if _, ours := errors.AsType[*failure](err); ours {
		return err
	}
	if errors.Is(err, formats.ErrNotList) {
		return failed("say what it is with --format, or look at it", "%s: %v", name, err)
	}
	return fileFailure("read", name, err)
}

// share is bans that are asked for in one go: of the same time and ports.
type share struct {
	left  time.Duration
	ports string
	rule  string
}

// take bans what a takeover names.
func (e *env) take(c *cobra.Command, t takeover, in api.Banning, dry bool) error {
	shares := map[share][]string{}
	var order []share
	seen := map[share]map[gate.Subject]bool{}
	all := map[gate.Subject]bool{}
	for _, n := range t.entries {
		s := gate.PrefixSubject(n.Prefix)
		k := share{n.Left.Round(time.Second), n.Ports.String(), n.Rule}
		if in.For != "" {
			k.left = 0
		}
		if in.Ports != "" {
			k.ports = ""
		}
		if in.Reason != "" {
			k.rule = ""
		}
		if seen[k] == nil {
			seen[k], order = map[gate.Subject]bool{}, append(order, k)
		}
		if !seen[k][s] {
			seen[k][s] = true
			shares[k] = append(shares[k], s.String())
			all[s] = true
		}
	}
	slices.SortFunc(order, func(a, b share) int {
		return cmp.Or(cmp.Compare(a.rule, b.rule), cmp.Compare(a.ports, b.ports), cmp.Compare(a.left, b.left))
	})
	doc := imported{File: t.name, Format: t.format, DryRun: dry, Subjects: len(all), Faults: t.faults, Refused: []api.Answer{}}
	if dry || len(all) == 0 {
		return e.writeImported(doc)
	}
	return e.ask(c, func(ctx context.Context, d *api.Client) error {
		bar := e.progress("importing", int64(len(all)))
		defer bar.end()
		done := 0
		for _, k := range order {
			answers, err := d.Ban(ctx, k.banning(in, t.name, shares[k]), func(n int) { bar.set(int64(done + n)) })
			if err != nil {
				bar.end()
				return partly(err, answers)
			}
			done += len(answers)
			doc.count(answers)
		}
		bar.end()
		return e.writeImported(doc)
	})
}

// banning is what to ask for.
func (k share) banning(in api.Banning, name string, subjects []string) api.Banning {
	in.Subjects = subjects
	if in.For == "" && k.left > 0 {
		in.For = gate.FormatDuration(k.left)
	}
	if in.Ports == "" {
		in.Ports = k.ports
	}
	if in.Reason == "" {
		in.Reason = "imported from " + harmless(name)
		if k.rule != "" {
			in.Reason += " (" + k.rule + ")"
		}
		in.Reason = in.Reason[:min(len(in.Reason), 512)]
	}
	return in
}

// count adds what became of wishes.
func (doc *imported) count(answers []api.Answer) {
	for _, a := range answers {
		switch {
		case a.Refused != "":
			doc.Refused = append(doc.Refused, a)
		case a.Changed:
			doc.Banned++
		default:
			doc.Unchanged++
		}
	}
}
