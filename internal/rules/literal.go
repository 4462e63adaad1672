package rules

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// minLiteral is the shortest literal that is worth looking for, in bytes:
// shorter ones are in almost every line.
const minLiteral = 3

// maxAnyOf bounds the literals of one pattern. Beyond it a part of an
// expression counts as unknown.
const maxAnyOf = 32

// required returns texts of which each match of the expression contains at
// least one; none where nothing is known. Of the several such sets that an
// expression has, it returns the one whose least text is worth most.
func required(expr string) []string {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil
	}
	p := literals(re.Simplify())
	if set := pick(p.exact, p.best); shortest(set) >= minLiteral {
		return minimal(set)
	}
	return nil
}

// part is what is known of a part of an expression.
type part struct {
	exact []string // all texts that it matches; nil = too many, or not known
	best  []string // of these one is in each match; nil = not known
}

func literals(re *syntax.Regexp) part {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpBeginText, syntax.OpEndLine, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return part{exact: []string{""}}
	case syntax.OpLiteral:
		return literal1(re)
	case syntax.OpCharClass:
		return class(re)
	case syntax.OpCapture:
		return literals(re.Sub[0])
	case syntax.OpQuest:
		if p := literals(re.Sub[0]); p.exact != nil && len(p.exact) < maxAnyOf {
			return part{exact: append([]string{""}, p.exact...)}
		}
	case syntax.OpPlus:
		p := literals(re.Sub[0])
		return part{best: pick(p.exact, p.best)}
	case syntax.OpRepeat:
		if re.Min > 0 {
			p := literals(re.Sub[0])
			return part{best: pick(p.exact, p.best)}
		}
	case syntax.OpConcat:
		return concat(re.Sub)
	case syntax.OpAlternate:
		return alternate(re.Sub)
	}
	return part{}
}

func literal1(re *syntax.Regexp) part {
	if re.Flags&syntax.FoldCase != 0 {
		return part{}
	}
	s := string(re.Rune)
	if !strings.ContainsRune(s, utf8.RuneError) {
		return part{exact: []string{s}}
	}
	// The replacement character also matches bytes that are not UTF-8.
	var best []string
	for piece := range strings.SplitSeq(s, string(utf8.RuneError)) {
		best = pick(best, []string{piece})
	}
	return part{best: best}
}

// class spells out a small class of characters.
func class(re *syntax.Regexp) (p part) {
	for i := 0; i+1 < len(re.Rune); i += 2 {
		for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
			if len(p.exact) == 4 || r == utf8.RuneError {
				return part{}
			}
			p.exact = append(p.exact, string(r))
		}
	}
	return p
}

// concat joins neighbours whose texts are all known, and keeps the best run.
func concat(subs []*syntax.Regexp) part {
	var best []string
	run, whole := []string{""}, true
	for _, sub := range subs {
		p := literals(sub)
		if p.exact != nil && len(run)*len(p.exact) <= maxAnyOf {
			run = cross(run, p.exact)
			continue
		}
		best, whole = pick(best, run), false
		if run = p.exact; run == nil {
			best, run = pick(best, p.best), []string{""}
		}
	}
	if whole {
		return part{exact: run}
	}
	return part{best: pick(best, run)}
}

func cross(a, b []string) (out []string) {
	for _, x := range a {
		for _, y := range b {
			out = append(out, x+y)
		}
	}
	return out
}

func alternate(subs []*syntax.Regexp) part {
	var exact, best []string
	known := true
	for _, sub := range subs {
		p := literals(sub)
		set := pick(p.exact, p.best)
		if len(set) == 0 || len(best)+len(set) > maxAnyOf {
			return part{}
		}
		best = append(best, set...)
		exact = append(exact, p.exact...)
		known = known && p.exact != nil
	}
	if known {
		return part{exact: exact}
	}
	return part{best: best}
}

// pick returns the set that is worth more.
func pick(a, b []string) []string {
	if worth(b) > worth(a) {
		return b
	}
	return a
}

// worth is the length of the shortest text of the set, where a word that every
// log is full of counts as one byte.
func worth(set []string) int {
	n := shortest(set)
	for _, s := range set {
		switch strings.TrimSpace(s) {
		case "from", "for", "port", "user", "by", "to", "with", "on", "at", "error", "failed", "client":
			n = min(n, 1)
		}
	}
	return n
}

// minimal drops the texts that contain another one, and doubles.
func minimal(set []string) (out []string) {
	for i, s := range set {
		if !slices.ContainsFunc(set, func(t string) bool { return t != s && strings.Contains(s, t) }) && !slices.Contains(set[:i], s) {
			out = append(out, s)
		}
	}
	return out
}

// shortest returns the length of the shortest text of the set, 0 for none.
func shortest(set []string) int {
	n := 0
	for i, s := range set {
		if i == 0 || len(s) < n {
			n = len(s)
		}
	}
	return n
}
