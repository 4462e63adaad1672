package rules

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"

	"gatehouse/internal/gate"
)

// Parse reads a rule from YAML. The name of the file is used in errors only.
// An error joins a *SyntaxError for each thing that is wrong, in the order of
// the file; then there is no rule.
func Parse(file string, src []byte) (*Rule, error) {
	d := newDocument(file, src)
	r := &Rule{}
	if root := d.root(); root != nil {
		d.rule(root, r)
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	r.settle()
	return r, nil
}

// rule is the table of a rule's keys.
func (d *document) rule(n ast.Node, r *Rule) {
	var patterns, fields, samples ast.Node // what they may say depends on the format, which may come later
	d.mapping(n, "a rule",
		field{"rule", true, func(n ast.Node) { r.Name = d.name(n, "the name of a rule") }},
		field{"title", true, func(n ast.Node) { r.Title, _ = d.line(n, "title") }},
		field{"doc", false, func(n ast.Node) { r.Doc, _ = d.text(n, "doc") }},
		field{"noun", false, func(n ast.Node) { r.Noun, _ = d.line(n, "noun") }},
		field{"service", false, func(n ast.Node) { r.Service = d.name(n, "the name of a service") }},
		field{"ports", false, func(n ast.Node) { r.Ports = d.ports(n) }},
		field{"evidence", true, func(n ast.Node) { r.Evidence = d.evidence(n) }},
		field{"programs", false, func(n ast.Node) { r.Programs = d.programs(n) }},
		field{"sources", false, func(n ast.Node) { d.sources(n, &r.Sources) }},
		field{"threshold", false, func(n ast.Node) { r.Threshold = d.threshold(n) }},
		field{"session", false, func(n ast.Node) { r.Session = d.session(n) }},
		field{"longest", false, func(n ast.Node) { r.Longest = d.number(n, "longest", 1, MaxLine) }},
		field{"format", false, func(n ast.Node) {
			r.Format = Format(1 + d.choice(n, "a format", formatNames[1:]...))
		}},
		field{"continues", false, func(n ast.Node) { r.Continues = d.yes(n, "continues") }},
		field{"optional", false, func(n ast.Node) { r.Optional = d.yes(n, "optional") }},
		field{"fields", false, func(n ast.Node) { fields = n }},
		field{"patterns", true, func(n ast.Node) { patterns = n }},
		field{"samples", false, func(n ast.Node) { samples = n }},
	)
	if fields != nil {
		r.Fields = d.fields(fields, r)
	}
	if patterns != nil {
		d.patterns(patterns, r)
	}
	if r.settlePeers(); samples != nil {
		for _, item := range d.items(samples) {
			r.Samples = append(r.Samples, d.sample(item, r))
		}
	}
	if r.Continues && r.Format != FormatPlain {
		line, col := d.find("continues:")
		d.fail(line, col, "continues goes with format: plain only", "")
	}
	if len(d.errs) == 0 {
		d.peers(r)
		d.expected(r)
	}
}

// name reads a gate name.
func (d *document) name(n ast.Node, what string) string {
	s, ok := d.line(n, what)
	if ok && !gate.IsName(s) {
		d.failAt(tokenOf(n), fmt.Sprintf("%s cannot be %s", what, gate.Quote(s, 64)), "use up to 64 letters, digits, - _ and .")
		return ""
	}
	return s
}

func (d *document) evidence(n ast.Node) gate.Evidence {
	return gate.Evidence(1 + d.choice(n, "a class of evidence", gate.Forgeable.String(), gate.Proven.String()))
}

func (d *document) ports(n ast.Node) gate.Ports {
	var lists []string
	for _, item := range d.items(n) {
		if s, ok := d.plain(item, "ports"); ok {
			lists = append(lists, s)
		}
	}
	p, err := gate.ParsePorts(lists...)
	if err != nil {
		d.failAt(tokenOf(n), err.Error(), "write ports: 22/tcp, or a list of such")
	}
	return p
}

func (d *document) programs(n ast.Node) []string {
	names := d.lines(n, "a program")
	for _, s := range names {
		if strings.ContainsAny(s, " :[]") || len(s) > maxTag || strings.Trim(s, anyText) == "" || strings.Count(s, anyText) > 3 {
			d.failAt(tokenOf(n), fmt.Sprintf("%q is not the tag of a program", s), "write it as it stands in the log before [ or :; at most three * stand for any text")
		}
	}
	return names
}

func (d *document) sources(n ast.Node, s *Sources) {
	d.mapping(n, "sources",
		field{"files", false, func(n ast.Node) {
			s.Files = d.lines(n, "a file")
			for _, f := range s.Files {
				if f[0] != '/' {
					d.failAt(tokenOf(n), fmt.Sprintf("%q is not an absolute path", f), "begin it with /")
				}
			}
		}},
		field{"journal", false, func(n ast.Node) { s.Journal = d.lines(n, "a unit") }},
	)
}

func (d *document) threshold(n ast.Node) gate.Threshold {
	s, ok := d.line(n, "threshold")
	if !ok {
		return gate.Threshold{}
	}
	t, err := gate.ParseThreshold(s)
	if err != nil {
		d.failAt(tokenOf(n), err.Error(), "")
	}
	return t
}

func (d *document) session(n ast.Node) Session {
	return Session(1 + d.choice(n, "a kind of session", SessionNone.String(), SessionPID.String()))
}

func (d *document) patterns(n ast.Node, r *Rule) {
	for _, item := range d.items(n) {
		p := d.pattern(item, r)
		if p.Name != "" && r.PatternNamed(p.Name) != nil {
			d.failAt(tokenOf(item), fmt.Sprintf("the pattern %s is there twice", p.Name), "each pattern has its own name")
		}
		r.Patterns = append(r.Patterns, p)
	}
	if len(r.Patterns) == 0 {
		d.failAt(tokenOf(n), "a rule needs at least one pattern", "")
	}
	d.paths(n, r)
}

// classes are those that a pattern may have.
var classes = [...]gate.Class{gate.ClassFailure, gate.ClassHint, gate.ClassKey, gate.ClassSuccess, gate.ClassInfo}

func (d *document) pattern(n ast.Node, r *Rule) (p Pattern) {
	var match, where ast.Node
	d.mapping(n, "a pattern",
		field{"name", true, func(n ast.Node) { p.Name = d.name(n, "the name of a pattern") }},
		field{"class", true, func(n ast.Node) {
			var words []string
			for _, c := range classes {
				words = append(words, c.String())
			}
			if i := d.choice(n, "a class", words...); i >= 0 {
				p.Class = classes[i]
			}
		}},
		field{"match", !r.Format.hasFields(), func(n ast.Node) { p.Match, _ = d.line(n, "match"); match = n }},
		field{"where", r.Format.hasFields(), func(n ast.Node) { where = n }},
		field{"fields", false, func(n ast.Node) { p.Fields = d.fields(n, r) }},
		field{"reads", false, func(n ast.Node) { p.Reads, _ = d.line(n, "reads") }},
		field{"session", false, func(n ast.Node) { p.Session = d.session(n) }},
		field{"known", false, func(n ast.Node) { p.Known = d.yes(n, "known") }},
		field{"peer", false, func(n ast.Node) { p.Peer = Peer(1 + d.choice(n, "a place of the address", peerNames[1:]...)) }},
		field{"longest", false, func(n ast.Node) { p.Longest = d.number(n, "longest", 1, MaxLine) }},
		field{"evidence", false, func(n ast.Node) { p.Evidence = d.evidence(n) }},
		field{"service", false, func(n ast.Node) { p.Service = d.name(n, "the name of a service") }},
		field{"ports", false, func(n ast.Node) { p.Ports = d.ports(n) }},
	)
	switch {
	case r.Format.hasFields() && match != nil:
		d.failAt(tokenOf(match), fmt.Sprintf("match does not go with format: %s", r.Format), "write conditions on its fields: where: {FIELD: EXPRESSION}")
	case !r.Format.hasFields() && where != nil:
		d.failAt(tokenOf(where), "where goes with format: access and json only", "write match: EXPRESSION")
	case where != nil && r.Format == FormatAccess && p.Peer != PeerLine:
		d.failAt(tokenOf(where), "peer does not go with format: access", "each line of an access log has its address")
	case where != nil:
		d.where(where, r, &p)
	case p.Match != "":
		d.match(match, &p)
	}
	return p
}

// match compiles the expression of a pattern.
func (d *document) match(n ast.Node, p *Pattern) {
	if err := p.compile(); err != nil {
		d.failWithin(n, p.Match, err)
	} else if p.groups.addr == 0 && p.Peer == PeerLine {
		d.failAt(tokenOf(n), "the expression has no <addr>", "a pattern must say who it was: write <addr>, or peer: session where another line of the session does")
	} else if p.groups.addr > 0 && p.Peer != PeerLine {
		d.failAt(tokenOf(n), "the expression has <addr>, and peer: "+p.Peer.String()+" says that another line has it", "keep one of the two")
	}
}

// failWithin records an *exprError of a text.
func (d *document) failWithin(n ast.Node, text string, err error) {
	e := err.(*exprError)
	line, col := d.within(n, text, e.at)
	d.fail(line, col, e.problem, e.hint)
}

// within returns the place of byte at of a text in the file, or of the text's
// beginning where that cannot be told.
func (d *document) within(n ast.Node, text string, at int) (line, col int) {
	t := tokenOf(n)
	line, col = t.Position.Line, t.Position.Column
	if line > len(d.rows) {
		return line, col
	}
	row := d.rows[line-1]
	if i := strings.Index(row, text); i >= 0 {
		col = utf8.RuneCountInString(row[:i]) + utf8.RuneCountInString(text[:at]) + 1
	}
	return line, col
}

func (d *document) sample(n ast.Node, r *Rule) (s Sample) {
	var none bool
	d.mapping(n, "a sample",
		field{"line", true, func(n ast.Node) {
			// A raw line may end in a carriage return.
			s.Line, _ = d.text(n, "line")
			switch lines := strings.Count(s.Line, "\n") + 1; {
			case s.Line == "" || lines > 1 && !r.Continues && !r.recalls:
				d.failAt(tokenOf(n), "line is one line, and not empty", "")
			case lines > maxBack:
				d.failAt(tokenOf(n), fmt.Sprintf("a sample has at most %d lines", maxBack), "")
			}
		}},
		field{"expect", true, func(n ast.Node) {
			if t, ok := n.(*ast.StringNode); ok {
				if none = t.Value == "none"; !none {
					d.failAt(tokenOf(n), "expect is none, or what the hit says", "write expect: {pattern: NAME, addr: ADDRESS}")
				}
				return
			}
			s.Expect = d.expect(n)
		}},
		field{"origin", true, func(n ast.Node) {
			words := []string{OriginCaptured, OriginSource}
			if i := d.choice(n, "an origin", words...); i >= 0 {
				s.Origin = words[i]
			}
		}},
	)
	return s
}

func (d *document) expect(n ast.Node) *Expect {
	e := &Expect{}
	d.mapping(n, "expect",
		field{"pattern", true, func(n ast.Node) { e.Pattern = d.name(n, "the name of a pattern") }},
		field{"addr", true, func(n ast.Node) {
			s, _ := d.line(n, "addr")
			a, err := netip.ParseAddr(s)
			if err != nil || a.Zone() != "" {
				d.failAt(tokenOf(n), fmt.Sprintf("%s is not an address", gate.Quote(s, 64)), "write it as 192.0.2.1 or '2001:db8::1'")
				return
			}
			e.Addr = a.Unmap().String()
		}},
		field{"user", false, func(n ast.Node) { e.User, _ = d.line(n, "user") }},
		field{"port", false, func(n ast.Node) { e.Port = uint16(d.number(n, "port", 1, 65535)) }},
		field{"session", false, func(n ast.Node) { e.Session = uint64(d.number(n, "session", 1, 999_999_999)) }},
		field{"repeat", false, func(n ast.Node) { e.Repeat = d.number(n, "repeat", 1, maxRepeat) }},
	)
	return e
}

// expected checks that samples name patterns that exist. It runs on a rule
// that is right otherwise.
func (d *document) expected(r *Rule) {
	var names []string
	for _, p := range r.Patterns {
		names = append(names, p.Name)
	}
	for _, s := range r.Samples {
		if s.Expect != nil && r.PatternNamed(s.Expect.Pattern) == nil {
			line, col := d.find("pattern: " + s.Expect.Pattern)
			d.fail(line, col, fmt.Sprintf("a sample expects the pattern %s, which the rule lacks", s.Expect.Pattern), didYouMean(s.Expect.Pattern, names))
		}
	}
}

// find returns the place of the first line that has the text.
func (d *document) find(text string) (line, col int) {
	for i, row := range d.rows {
		if j := strings.Index(row, text); j >= 0 {
			return i + 1, utf8.RuneCountInString(row[:j]) + 1
		}
	}
	return 1, 1
}
