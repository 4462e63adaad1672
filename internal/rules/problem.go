package rules

import (
	"fmt"
	"strings"
)

// SyntaxError is one thing that is wrong with a rule file. Parse joins all of
// them with errors.Join, in the order of the file.
type SyntaxError struct {
	File    string // as given to Parse
	Line    int    // from 1
	Column  int    // from 1, in characters
	Problem string // what is wrong, without the place: `unknown key "mtach"`
	Excerpt string // the line, and below it a caret at the column; "" where there is none
	Hint    string // what to do; may be ""
}

// Error returns `file:line:column: problem`.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Problem)
}

// maxExcerpt is how much of a line an excerpt shows, in characters: a terminal
// of usual width holds it.
const maxExcerpt = 100

// excerpt returns line n (from 1) with a caret below column col (from 1, in
// characters), cut so that the column is seen.
func excerpt(lines []string, n, col int) string {
	if n < 1 || n > len(lines) {
		return ""
	}
	line := []rune(strings.TrimRight(strings.ReplaceAll(lines[n-1], "\t", " "), "\r"))
	col = max(1, min(col, len(line)+1))
	from := 0
	if col > maxExcerpt {
		from = col - maxExcerpt/2
	}
	shown := line[from:min(len(line), from+maxExcerpt)]
	return string(shown) + "\n" + strings.Repeat(" ", col-1-from) + "^"
}

// nearest returns the name among names that s was probably meant to be, or "":
// one letter in three may differ.
func nearest(s string, names []string) string {
	best, bestAt := "", max(1, len(s)/3)+1
	for _, n := range names {
		if d := distance(s, n); d < bestAt && d < len(n) {
			best, bestAt = n, d
		}
	}
	return best
}

// Nearest returns the name of the rule that was probably meant by s, "" if none is
// near, or one is called just so.
func Nearest(s string, book []*Rule) string {
	names := make([]string, len(book))
	for i, r := range book {
		if names[i] = r.Name; r.Name == s {
			return ""
		}
	}
	return nearest(s, names)
}

// distance is the number of letters to insert, delete, replace or swap with
// their neighbour to turn a into b.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := range len(a) {
		cur[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			cur[j+1] = min(prev[j+1]+1, cur[j]+1, prev[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				cur[j+1] = min(cur[j+1], prev2[j-1]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}

// didYouMean returns a hint for a name that is not among names.
func didYouMean(s string, names []string) string {
	if n := nearest(s, names); n != "" {
		return "did you mean " + n + "?"
	}
	return "known are " + strings.Join(names, ", ")
}
