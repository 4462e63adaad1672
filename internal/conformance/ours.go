package main

import (
	"fmt"
	"io"
	"net/netip"
	"slices"

	"gatehouse/internal/fail2ban"
	"gatehouse/internal/gate"
	"gatehouse/internal/rules"
)

// sight is what our own rule sees of the samples of one filter.
type sight struct {
	filter, rule string
	failures     int // sample lines that are failures to the filter in some mode, with an address
	seen         int // of these, lines of attempts that our rule counts, too
	unasked      int // of those seen, by a rule that nobody has to name
	false        int // lines that are no failure in any mode and that our rule counts by themselves
	excused      int // of the failures not seen, those with a reason why not
	plain        int // of the failures, those in the filter's mode normal
	plainSeen    int // of these, seen or excused
	names        int // failures that tell a host name only: we ban nobody by name
}

// line is one sample line with what is wanted of it and what our rule says.
type line struct {
	text    string
	no      int
	file    string
	failure bool
	plain   bool // a failure in the filter's mode normal
	normal  bool // no other mode of the filter was asked about it
	host    netip.Addr
	named   bool // the failure tells a host name
	hits    []hit
}

type hit struct {
	rule    string
	class   gate.Class
	addr    netip.Addr
	session uint64
}

// ours runs the built-in rules over the sample logs of the filters that they stand
// for, and prints what they miss and what they make up.
func ours(dir string, out, errs io.Writer) int {
	suites, err := findSuites(dir)
	if err != nil {
		fmt.Fprintf(errs, "conformance: %v\n", err)
		return 2
	}
	var total sight
	var table []sight
	for _, s := range suites {
		for _, name := range s.filters {
			rs := rules.BuiltinNamed(fail2ban.OwnRulesInAnyMode(name)...)
			if len(rs) == 0 {
				continue
			}
			v, err := s.look(name, rs, func(d string) { fmt.Fprintln(out, d) })
			if err != nil {
				fmt.Fprintf(errs, "conformance: %s: %v\n", name, err)
				continue
			}
			if v.failures+v.names+v.false > 0 {
				table = append(table, v)
			}
			total.failures += v.failures
			total.seen += v.seen
			total.unasked += v.unasked
			total.false += v.false
			total.excused += v.excused
			total.names += v.names
		}
	}
	fmt.Fprintf(out, "\n%-22s %-16s %10s %10s %10s %10s %18s\n", "filter", "our rule", "failures", "seen", "explained", "false", "in mode normal")
	for _, v := range table {
		fmt.Fprintf(out, "%-22s %-16s %10d %10d %10d %10d %18s\n", v.filter, v.rule, v.failures, v.seen, v.excused, v.false, fmt.Sprintf("%d of %d", v.plainSeen, v.plain))
	}
	if total.names > 0 {
		fmt.Fprintf(out, "%d more failures tell a host name and no address: nobody is banned by name\n", total.names)
	}
	fmt.Fprintf(out, "%d of those seen are seen by rules that auto watches, the others by rules that have to be named\n", total.unasked)
	fmt.Fprintf(out, "our rules see %d of %d failures (%.1f %%; %d more explained above) and make %d false ones\n",
		total.seen, total.failures, 100*float64(total.seen)/float64(max(1, total.failures)), total.excused, total.false)
	switch {
	case total.failures == 0:
		return 2
	case total.false > 0 || 100*(total.seen+total.excused) < 98*total.failures:
		return 1
	}
	return 0
}

// look runs our rules over the samples of a filter.
func (s *suite) look(filter string, rs []*rules.Rule, report func(string)) (sight, error) {
	lines, err := s.lines(filter, rs)
	if err != nil {
		return sight{}, err
	}
	r := rs[0]
	v := sight{filter: filter, rule: r.Name}
	type attempt struct {
		addr    netip.Addr
		session uint64
	}
	usual := fail2ban.OwnRules(filter)
	optional := map[string]bool{}
	for _, r := range rs {
		optional[r.Name] = r.Optional
	}
	counted, usually, failed, unasked := map[attempt]bool{}, map[attempt]bool{}, map[attempt]bool{}, map[attempt]bool{}
	withdraw(lines)
	for _, l := range lines {
		for _, h := range l.hits {
			if h.session == 0 {
				continue
			}
			at := attempt{h.addr, h.session}
			counted[at] = counted[at] || h.class.Counts()
			usually[at] = usually[at] || h.class.Counts() && slices.Contains(usual, h.rule)
			failed[at] = failed[at] || l.failure
			unasked[at] = unasked[at] || h.class.Counts() && !optional[h.rule]
		}
	}
	for _, l := range lines {
		seen, usuallySeen, seenUnasked, made := false, false, false, false
		for _, h := range l.hits {
			at := attempt{h.addr, h.session}
			if h.addr == l.host {
				seen = seen || h.class.Counts() || counted[at]
				seenUnasked = seenUnasked || h.class.Counts() && !optional[h.rule] || unasked[at]
				usuallySeen = usuallySeen || h.class.Counts() && slices.Contains(usual, h.rule) || usually[at]
			}
			// A line that belongs to an attempt which failed is no failure made up.
			// Nor is one where a rule for another mode of the filter counts what was
			// judged in mode normal only.
			own := !l.normal || slices.Contains(usual, h.rule)
			made = made || own && h.class.Counts() && (h.session == 0 || !failed[at])
		}
		switch {
		case l.failure && l.named:
			v.names++
		case l.failure:
			v.failures++
			why := reason(filter, l.text)
			if l.plain {
				v.plain++
				if usuallySeen || why != "" {
					v.plainSeen++
				}
			}
			switch {
			case seen:
				v.seen++
				if seenUnasked {
					v.unasked++
				}
			case why != "":
				v.excused++
				report(fmt.Sprintf("%s %s:%d: not seen by %s: %s\n\t%s", filter, l.file, l.no, r.Name, why, l.text))
			default:
				report(fmt.Sprintf("%s %s:%d: not seen by %s: %s\n\t%s", filter, l.file, l.no, r.Name, l.host, l.text))
			}
		case made:
			if why := counts(filter, l.text); why != "" {
				report(fmt.Sprintf("%s %s:%d: counted by %s and not by the filter: %s\n\t%s", filter, l.file, l.no, r.Name, why, l.text))
				continue
			}
			v.false++
			report(fmt.Sprintf("%s %s:%d: false failure by %s\n\t%s", filter, l.file, l.no, r.Name, l.text))
		}
	}
	return v, nil
}

// withdraw makes info of the refused keys in a session that succeeded later: they do
// not count.
func withdraw(lines []line) {
	succeeded := map[hit]bool{}
	for i := len(lines) - 1; i >= 0; i-- {
		for j := range lines[i].hits {
			h := &lines[i].hits[j]
			key := hit{rule: h.rule, addr: h.addr, session: h.session}
			switch {
			case h.session == 0:
			case h.class == gate.ClassSuccess:
				succeeded[key] = true
			case h.class == gate.ClassKey && succeeded[key]:
				h.class = gate.ClassInfo
			}
		}
	}
}

// isNormal reports whether a set of options leaves a filter in its mode normal.
func isNormal(set options) bool { return set["mode"] == "" || set["mode"] == "normal" }

// lines reads the samples of a filter and runs the rules on each.
func (s *suite) lines(filter string, rs []*rules.Rule) (out []line, err error) {
	scanner := rules.NewMatcher(rs, rules.Options{}).Scanner(rules.SourceOptions{Zone: testZone()})
	run := runner{suite: s, filter: filter, report: func(d string) { err = fmt.Errorf("%s", d) }, tests: map[string]*test{}}
	run.each = func(text string, want map[string]any, sets []options) error {
		l := line{text: text, no: run.line + 1, file: run.file, normal: true}
		for _, set := range sets {
			if set["logtype"] == "journal" {
				return nil // such lines have no header, and stand in the file with one, too
			}
			l.normal = l.normal && isNormal(set)
			holds := true
			if c, _ := want["constraint"].(string); c != "" {
				var err error
				if holds, err = run.holds(c, set); err != nil {
					return err
				}
			}
			if match, _ := want["match"].(bool); match && holds {
				l.failure = true
				l.plain = l.plain || isNormal(set)
			}
		}
		if len(sets) == 0 {
			l.failure, _ = want["match"].(bool)
			l.plain = l.failure
		}
		if l.failure {
			host, _ := want["host"].(string)
			addr, err := netip.ParseAddr(host)
			if err != nil {
				l.named = true
			}
			l.host = addr.Unmap()
		}
		scanner.Scan(append([]byte(text), '\n'), clock, func(h *rules.Hit) {
			l.hits = append(l.hits, hit{h.Rule.Name, h.Class, h.Addr, h.Session})
		})
		out = append(out, l)
		return nil
	}
	run.run()
	return out, err
}
