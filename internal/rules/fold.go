package rules

import (
	"regexp/syntax"
	"slices"
)

// asciiFold returns an expression that matches what expr does, but for letters
// without regard to case: of these, (?i) means the ASCII letters alone. To RE2
// the Kelvin sign is a k, and the long s is an s: then no word with k or s in
// it is a text that can be looked for. Nobody writes these into a log but who
// wants to hide. What does not parse is returned as it is.
func asciiFold(expr string) string {
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil || !foldAnywhere(tree) {
		return expr
	}
	return foldTree(tree).String()
}

// The two characters beyond ASCII that are cases of ASCII letters.
const (
	longS  = 'ſ'      // of s
	kelvin = '\u212a' // of k
)

func foldAnywhere(re *syntax.Regexp) bool {
	return re.Flags&syntax.FoldCase != 0 && (re.Op == syntax.OpLiteral || re.Op == syntax.OpCharClass) || slices.ContainsFunc(re.Sub, foldAnywhere)
}

func foldTree(re *syntax.Regexp) *syntax.Regexp {
	out := *re
	if re.Flags&syntax.FoldCase != 0 {
		switch re.Op {
		case syntax.OpLiteral:
			return foldLiteral(re)
		case syntax.OpCharClass:
			out.Rune = without(re.Rune, longS, kelvin)
			return &out
		}
	}
	out.Sub, out.Sub0 = nil, [1]*syntax.Regexp{}
	for _, sub := range re.Sub {
		out.Sub = append(out.Sub, foldTree(sub))
	}
	return &out
}

// foldLiteral writes each k and s as a class of its two cases.
func foldLiteral(re *syntax.Regexp) *syntax.Regexp {
	out := &syntax.Regexp{Op: syntax.OpConcat, Flags: re.Flags}
	for _, r := range re.Rune {
		one := &syntax.Regexp{Op: syntax.OpLiteral, Flags: re.Flags, Rune: []rune{r}}
		switch r {
		case 'k', 'K':
			one = &syntax.Regexp{Op: syntax.OpCharClass, Rune: []rune{'K', 'K', 'k', 'k'}}
		case 's', 'S':
			one = &syntax.Regexp{Op: syntax.OpCharClass, Rune: []rune{'S', 'S', 's', 's'}}
		}
		out.Sub = append(out.Sub, one)
	}
	return out
}

// without returns the ranges of a class without some characters.
func without(ranges []rune, drop ...rune) []rune {
	for _, r := range drop {
		var out []rune
		for i := 0; i+1 < len(ranges); i += 2 {
			from, to := ranges[i], ranges[i+1]
			if r < from || r > to {
				out = append(out, from, to)
				continue
			}
			if from < r {
				out = append(out, from, r-1)
			}
			if r < to {
				out = append(out, r+1, to)
			}
		}
		ranges = out
	}
	return ranges
}
