package config

import (
	"strconv"
	"strings"

	"gatehouse/internal/gate"
)

// nearest returns the candidate that s was most likely meant to be, or "": at
// most a third of its letters may be wrong, one at least.
func nearest(s string, candidates []string) string {
	best, least := "", 1<<30
	if len(s) > 64 {
		return ""
	}
	for _, c := range candidates {
		if d := distance(strings.ToLower(s), strings.ToLower(c)); d < least && d <= max(1, len(c)/3) {
			best, least = c, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete, replace or swap with
// their neighbour that turns a into b (optimal string alignment).
func distance(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replace := 1
			if a[i-1] == b[j-1] {
				replace = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}

// didYouMean is the hint that names near, or otherwise where there is none.
func didYouMean(near, otherwise string) string {
	if near == "" {
		return otherwise
	}
	return "did you mean " + near + "?"
}

// longUnits are units as people write them, with what Gatehouse calls them. A
// year is 365 days, a month 30.
var longUnits = []struct {
	prefix string
	times  int
	unit   string
}{
	{"ms", 1, "ms"}, {"milli", 1, "ms"}, {"mo", 30, "d"}, {"s", 1, "s"}, {"m", 1, "m"},
	{"h", 1, "h"}, {"d", 1, "d"}, {"w", 1, "w"}, {"y", 365, "d"},
}

// durationHint guesses the duration that s was meant to be: `600`, `10 minutes`,
// `1y`, `10M`.
func durationHint(s string) string {
	const usual = "durations look like 90s, 10m, 1h30m, 7d, 2w or forever"
	digits := 0
	for digits < len(s) && s[digits] >= '0' && s[digits] <= '9' {
		digits++
	}
	n, err := strconv.Atoi(s[:digits])
	if err != nil || n > 1e6 {
		return didYouMean(nearest(s, []string{"forever"}), usual)
	}
	unit := strings.ToLower(strings.TrimSpace(s[digits:]))
	if unit == "" {
		return "did you mean " + s + "s? " + usual
	}
	for _, u := range longUnits {
		if !strings.HasPrefix(unit, u.prefix) || strings.Trim(unit, "abcdefghijklmnopqrstuvwxyz") != "" {
			continue
		}
		guess := strconv.Itoa(n*u.times) + u.unit
		if _, err := gate.ParseDuration(guess); err == nil {
			return "did you mean " + guess + "? " + usual
		}
	}
	return usual
}
