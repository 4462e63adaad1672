package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

// walk goes through the lines of a block for what needs each of them.
func (m *matching) walk(block []byte) error {
	marks := m.marks
	for at := 0; at < len(block); {
		end := bytes.IndexByte(block[at:], '\n')
		next := at + end + 1
		if end < 0 {
			end, next = len(block)-at, len(block)
		}
		line := block[at : at+end]
		doc := eachLineDoc{}
		hit := len(marks) > 0 && marks[0].offset == at
		if hit {
			doc, marks = marks[0].doc, marks[1:]
		}
		if !hit && m.o.missed && len(m.sum.Samples) < m.o.most {
			m.sum.Samples = append(m.sum.Samples, string(line[:min(len(line), shownLine)]))
		}
		if doc.Matched && m.o.matched && len(m.sum.Matches) < m.o.most {
			shown := doc
			shown.Line = string(line[:min(len(line), shownLine)])
			m.sum.Matches = append(m.sum.Matches, shown)
		}
		if m.o.each {
			doc.Line = string(bytes.TrimSuffix(line, []byte("\r")))
			b, err := marshal(doc)
			if err != nil {
				return err
			}
			_, _ = m.out.Write(append(b, '\n')) // an error sticks, Flush returns it
		}
		at = next
	}
	if m.o.each {
		return m.out.Flush() // a log that grows is told as it comes
	}
	return nil
}

// shownLine is how much of a line is shown, in bytes.
const shownLine = 400

// document returns what came out.
func (m *matching) document() matched {
	doc := m.sum
	doc.Patterns, doc.Services, doc.Dates = []patternHits{}, m.services(), m.dates.counts()
	for _, p := range m.hits {
		doc.Patterns = append(doc.Patterns, *p)
	}
	slices.SortFunc(doc.Patterns, func(a, b patternHits) int {
		return cmp.Or(cmp.Compare(b.Hits, a.Hits), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Pattern, b.Pattern))
	})
	return doc
}

// writeMatching tells a person what came out.
func (e *env) writeMatching(what, log string, m *matching) error {
	doc := m.document()
	fmt.Fprintf(e.out, "%s on %s\n\n", harmless(what), harmless(log))
	var t table
	t.add("lines", grouped(doc.Lines), fmt.Sprintf("in %.2f s%s", doc.Seconds, speed(doc)))
	t.add("matched", grouped(doc.Matched), "count against somebody")
	t.add("informing", grouped(doc.Informing), "only tell something")
	t.add("missed", grouped(doc.Missed), "say nothing to it"+map[bool]string{true: fmt.Sprintf("; %s too long", grouped(doc.Skipped))}[doc.Skipped > 0]+
		map[bool]string{true: fmt.Sprintf("; %s not of the format", grouped(doc.Odd))}[doc.Odd > 0])
	for i, d := range doc.Dates {
		what := "written like " + d.Shape
		if d.Shape == "" {
			what = "without a date that is known"
		}
		t.add(map[bool]string{true: "dates"}[i == 0], grouped(d.Lines), what)
	}
	if doc.Wrapper != "" {
		t.add("container", doc.Wrapper, "each line is wrapped")
	}
	if err := e.columns(t); err != nil {
		return err
	}
	if len(doc.Patterns) > 0 {
		fmt.Fprintln(e.out)
		t = table{head: []string{"HITS", "CLASS", "RULE", "PATTERN"}}
		for _, p := range doc.Patterns {
			t.add(strconv.Itoa(p.Hits), p.Class.String(), p.Rule, p.Pattern)
		}
		if err := e.columns(t); err != nil {
			return err
		}
	}
	if m.all {
		fmt.Fprintln(e.out)
		t = table{head: []string{"LINES", "RULE", "SERVICE"}}
		for _, s := range doc.Services {
			t.add(grouped(s.Lines), s.Rule, s.Title)
		}
		if len(doc.Services) == 0 {
			fmt.Fprintln(e.out, "no service is recognised")
		} else if err := e.columns(t); err != nil {
			return err
		}
	}
	if len(doc.Matches) > 0 {
		fmt.Fprintln(e.out, "\nmatched, for example:")
		for _, d := range doc.Matches {
			who := "nobody"
			if d.Subject != nil {
				who = *d.Subject
			}
			fmt.Fprintf(e.out, "  %s by %s/%s\n    %s\n", who, *d.Rule, *d.Pattern, harmless(d.Line))
		}
	}
	if len(doc.Samples) > 0 {
		fmt.Fprintln(e.out, "\nmissed, for example:")
		for _, l := range doc.Samples {
			fmt.Fprintf(e.out, "  %s\n", harmless(l))
		}
	}
	return nil
}

// speed says how many lines a second that was, where it can be told.
func speed(doc matched) string {
	if doc.Seconds < 0.1 {
		return ""
	}
	return fmt.Sprintf(", %s lines a second", grouped(int(float64(doc.Lines)/doc.Seconds)))
}
