package main

import (
	"bufio"
	"fmt"
	"time"

	"gatehouse/internal/gate"
	"gatehouse/internal/replay"
)

// replayOutput writes what a replay tells.
type replayOutput struct {
	e       *env
	o       replayOptions
	out     *bufio.Writer
	pending bool // there is something above the summary
}

func newReplayOutput(e *env, o replayOptions) *replayOutput {
	return &replayOutput{e: e, o: o, out: bufio.NewWriterSize(e.out, 64<<10)}
}

// decided writes one decision.
func (w *replayOutput) decided(d *replay.Decision) error {
	if d.Expiry && !w.o.releases {
		return nil
	}
	w.pending = true
	if w.e.json {
		doc := replayDecision{
			Time: d.Time.UTC(), Verdict: d.Verdict, Subject: d.Subject, Ports: d.Scope.Ports, Until: timeOrNull(d.Until),
			Rule: d.Rule, Offence: d.Offence, Why: d.Why, Log: d.Origin.Source,
		}
		if d.Verdict == gate.Release {
			doc.KeptAway = &d.KeptAway
		}
		return w.line(doc)
	}
	colour := map[gate.Verdict]style{gate.Ban: red, gate.Release: green}[d.Verdict]
	what, kept := "", ""
	if d.Verdict == gate.Ban {
		what = span(d.Decision)
	}
	if d.Verdict == gate.Release {
		kept = "; it would have kept away " + counted(d.KeptAway, "line")
	}
	_, err := fmt.Fprintf(w.out, "%s  %s %-18s %-8s  %s%s\n", w.e.paint(faint, clock(d.Time)), w.e.paint(colour, fmt.Sprintf("%-8s", d.Verdict)),
		d.Subject, what, harmless(d.Why), kept)
	return w.soon(err)
}

// soon has a person see each line as it comes.
func (w *replayOutput) soon(err error) error {
	if err == nil && w.e.outTerm {
		err = w.out.Flush()
	}
	return err
}

// line writes a document in one line.
func (w *replayOutput) line(doc any) error {
	b, err := marshal(doc)
	if err != nil {
		return err
	}
	_, err = w.out.Write(append(b, '\n'))
	return w.soon(err)
}

// replaySummary is the last document.
type replaySummary struct {
	Lines int              `json:"lines"` // of all logs
	Logs  []replay.Account `json:"logs"`
	replay.Summary
}

// summary writes what came out.
func (w *replayOutput) summary(accounts []replay.Account, s replay.Summary) error {
	doc := replaySummary{Logs: accounts, Summary: s}
	for _, a := range accounts {
		doc.Lines += a.Lines
	}
	if w.e.json {
		if err := w.line(map[string]replaySummary{"summary": doc}); err != nil {
			return err
		}
		return w.out.Flush()
	}
	if w.pending {
		fmt.Fprintln(w.out)
	}
	if err := w.out.Flush(); err != nil {
		return err
	}
	return w.e.writeReplaySummary(doc)
}

// maxReplayOffenders is how many offenders a person is told of.
const maxReplayOffenders = 10

func (e *env) writeReplaySummary(s replaySummary) error {
	hits := 0
	for _, a := range s.Logs {
		hits += a.Hits
	}
	var t table
	t.add("lines", grouped(s.Lines), "in "+counted(len(s.Logs), "log")+"; rules know "+grouped(hits)+between(s.First, s.Last))
	t.add("decisions", grouped(s.Decisions), counted(s.Bans, "ban")+" of "+grouped(s.Banned)+map[bool]string{true: " offender", false: " offenders"}[s.Banned == 1])
	kept := "lines of banned ones while they would have been banned"
	if s.Logins > 0 {
		kept += "; of these, " + counted(s.Logins, "login") + " that succeeded"
	}
	t.add("kept away", grouped(s.KeptAway), kept)
	if err := e.columns(t); err != nil {
		return err
	}
	if len(s.Offenders) == 0 {
		return nil
	}
	fmt.Fprintln(e.out)
	t = table{head: []string{"OFFENDER", "RULE", "BANS", "KEPT AWAY", "FIRST BAN", "LAST BAN", "UNTIL"}}
	for _, o := range s.Offenders[:min(len(s.Offenders), maxReplayOffenders)] {
		until := "forever"
		if o.Until != nil {
			until = clock(*o.Until)
		}
		t.add(o.Subject.String(), o.Rule, grouped(o.Bans), grouped(o.KeptAway), clock(o.First), clock(o.Last), until)
	}
	if err := e.columns(t); err != nil {
		return err
	}
	if more := s.Banned - maxReplayOffenders; more > 0 {
		fmt.Fprintf(e.out, "… and %s more\n", grouped(more))
	}
	return nil
}

// between says from when to when, nothing where there is no time.
func between(first, last time.Time) string {
	if first.IsZero() {
		return ""
	}
	return ", from " + clock(first) + " to " + clock(last)
}
