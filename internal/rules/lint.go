package rules

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"
)

// Remark is something about a rule that is allowed but unwise.
type Remark struct {
	Pattern string // the pattern that is meant; "" for the rule
	Problem string // what is unwise, a clause
	Hint    string // what to do
}

// String returns the remark on one line.
func (r Remark) String() string {
	if r.Pattern == "" {
		return r.Problem + "; " + r.Hint
	}
	return "pattern " + r.Pattern + ": " + r.Problem + "; " + r.Hint
}

// cutLine is the shortest line that a logger in use cuts, in bytes: BusyBox
// syslogd reads 256 at a time. A longer message may have lost its end.
const cutLine = 256

// Lint returns what is unwise about a rule. The remarks on safety look at
// patterns that count: a stranger who chooses what stands before the address,
// a name or a path, must not be able to put another address in its place.
func Lint(r *Rule) (out []Remark) {
	if len(r.Programs) == 0 && r.format == FormatSyslog {
		out = append(out, Remark{"", "the rule reads the lines of every program", "name those that write them: programs: [sshd]"})
	}
	if len(r.Sources.Files)+len(r.Sources.Journal) == 0 {
		out = append(out, Remark{"", "the rule does not say where its log is", "write sources, so that it can be found"})
	}
	for i := range r.Patterns {
		out = append(out, lintPattern(r, &r.Patterns[i])...)
	}
	return out
}

func lintPattern(r *Rule, p *Pattern) (out []Remark) {
	say := func(problem, hint string) { out = append(out, Remark{p.Name, problem, hint}) }
	if p.Reads == "" {
		say("it does not say which statement writes the message", "write reads: program, version, file, function")
	}
	if !slices.ContainsFunc(r.Samples, func(s Sample) bool { return s.Expect != nil && s.Expect.Pattern == p.Name }) {
		say("no sample shows it", "add a line that a real program wrote")
	}
	if len(p.needs) == 0 {
		say("no text is in all messages that it matches, so each line must be tried", fmt.Sprintf("write at least %d letters that are always there", minNeedle))
	}
	if path := p.Fields.over(r.Fields).Addr; forgedField(path) {
		say(fmt.Sprintf("the address is that of %s, which anyone can send", path), "take that of the peer, and write via: "+path)
	}
	if p.Peer != PeerLine {
		return append(out, lintSession(p)...)
	}
	for _, expr := range p.addrExprs() {
		out = append(out, lintSafety(r, p, expr)...)
	}
	return out
}

// lintSession looks for text that a stranger may choose before the session that
// says whose line it is.
func lintSession(p *Pattern) (out []Remark) {
	if p.Match == "" {
		return nil // fields are kept apart
	}
	s := shapeOf(p.expr, "session")
	if !s.begins {
		out = append(out, Remark{p.Name, "it may match in the middle of a message", "begin it with ^"})
	}
	if s.freeBefore && p.groups.session > 0 {
		out = append(out, Remark{p.Name, "free text stands before <session>: whoever writes it can put that of somebody else there", "write [^ ]+ in place of the free text"})
	}
	return out
}

// forgedField reports whether a path names a header field of the request.
func forgedField(path string) bool {
	path = strings.ToLower(path)
	return slices.ContainsFunc([]string{"forwarded", "real-ip", "real_ip", "client-ip", "headers."}, func(s string) bool { return strings.Contains(path, s) })
}

// addrExprs returns the expressions that take the address out of a text.
func (p *Pattern) addrExprs() (out []string) {
	if p.Match != "" {
		return []string{p.expr}
	}
	for _, c := range p.conds {
		if c.groups.addr > 0 {
			out = append(out, c.re.String())
		}
	}
	return out
}

// lintSafety looks for text that a stranger may choose around the address.
func lintSafety(r *Rule, p *Pattern, expr string) (out []Remark) {
	say := func(problem, hint string) { out = append(out, Remark{p.Name, problem, hint}) }
	s := shapeOf(expr, "addr")
	if !s.begins {
		say("it may match in the middle of a message", "begin it with ^")
	}
	switch {
	case !p.Class.Counts() && !r.recalls || !s.freeBefore: // what a line tells of a session counts later
	case s.freeAfter:
		say("free text stands before <addr> and behind it: whoever writes both can put another address there", "write [^ ]+ in place of free text on one side, or split the pattern")
	case !s.ends:
		say("free text stands before <addr>, and the end is open: an address in that text is taken", "end it with $, or write [^ ]+ in place of the free text")
	case p.longest >= cutLine && p.Match != "":
		say("free text stands before <addr>: in a message that was cut, an address in that text comes last", fmt.Sprintf("set longest to less than %d", cutLine))
	}
	return out
}

// shape is what Lint looks at in an expression.
type shape struct {
	begins, ends          bool // is tied to the message's ends
	freeBefore, freeAfter bool // text with spaces of any length before or behind the group
}

func shapeOf(expr, group string) (s shape) {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return s
	}
	nodes := []*syntax.Regexp{re}
	if re.Op == syntax.OpConcat {
		nodes = re.Sub
	}
	s.begins = len(nodes) > 0 && nodes[0].Op == syntax.OpBeginText
	s.ends = len(nodes) > 0 && nodes[len(nodes)-1].Op == syntax.OpEndText
	behind := false
	for _, n := range nodes {
		switch {
		case hasGroup(n, group):
			behind = true
		case free(n) && behind:
			s.freeAfter = true
		case free(n):
			s.freeBefore = true
		}
	}
	return s
}

func hasGroup(re *syntax.Regexp, group string) bool {
	return re.Op == syntax.OpCapture && re.Name == group || slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool { return hasGroup(sub, group) })
}

// free reports whether a part can match text with spaces of any length.
func free(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpCapture:
		return re.Name != "time" && free(re.Sub[0]) // a date is the program's own
	case syntax.OpStar, syntax.OpPlus:
		return takesSpace(re.Sub[0])
	case syntax.OpRepeat:
		return (re.Max < 0 || re.Max > 1) && takesSpace(re.Sub[0])
	}
	return slices.ContainsFunc(re.Sub, free)
}

func takesSpace(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return true
	case syntax.OpLiteral:
		return slices.Contains(re.Rune, ' ')
	case syntax.OpCharClass:
		for i := 0; i+1 < len(re.Rune); i += 2 {
			if re.Rune[i] <= ' ' && ' ' <= re.Rune[i+1] {
				return true
			}
		}
	}
	return slices.ContainsFunc(re.Sub, takesSpace)
}
