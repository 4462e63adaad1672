package fail2ban

import (
	"slices"
	"strings"
)

// datePart is what a letter of a date pattern stands for.
type datePart struct {
	group string // that it captures; "" = none
	body  string // in Python's syntax
	blank bool   // a blank may stand before it
}

// expr returns the expression of the field.
func (f datePart) expr() string {
	s := f.body
	if f.group != "" {
		s = "(?P<" + f.group + ">" + s + ")"
	}
	if f.blank {
		s = " ?" + s
	}
	return s
}

// The parts of dates that several letters share. The order of alternatives counts:
// it decides what a letter takes of digits that stand without a sign between them.
const (
	twoDigits   = `\d\d`
	fourDigits  = `\d{4}`
	sixty       = `[0-5]\d`
	weekNumber  = `5[0-3]|[0-4]\d|\d`
	abbreviated = `[A-Z](?:[A-Z]{2,4})?`   // of zones
	hoursAway   = `[+-][01]\d(?::?\d{2})?` // from UTC
)

// dateFields are the letters of strptime, as widely as fail2ban takes them, and its
// own with Ex in front, which want two digits where two are due. Those of Python's
// strptime are documented in its library reference.
var dateFields = map[string]datePart{
	"%": {body: `%`},
	"a": {group: "a", body: shortNames(dayNames)},
	"A": {group: "A", body: longNames(dayNames)},
	"b": {group: "b", body: shortNames(monthNames)},
	"B": {group: "B", body: longNames(monthNames)},
	"p": {group: "p", body: `am|pm`},
	// Parts of a day.
	"H": {group: "H", body: `[01]?\d|2[0-3]`},
	"I": {group: "I", body: `1[012]|0[1-9]|[1-9]`},
	"k": {group: "H", body: `[012]?\d`, blank: true},
	"l": {group: "I", body: `1?\d`, blank: true},
	"M": {group: "M", body: `[0-5]?\d`},
	"S": {group: "S", body: `[0-5]?\d|6[01]`},
	"f": {group: "f", body: `\d{1,6}`},
	// Parts of a year.
	"d": {group: "d", body: `[12]\d|[ 0]?[1-9]|3[01]`},
	"m": {group: "m", body: `0?[1-9]|1[012]`},
	"Y": {group: "Y", body: fourDigits},
	"y": {group: "y", body: twoDigits},
	"j": {group: "j", body: `36[0-6]|3[0-5]\d|[12]\d\d|0[1-9]\d|00[1-9]|[1-9]\d|0?[1-9]`},
	"w": {group: "w", body: `[0-6]`},
	"u": {group: "u", body: `[1-7]`},
	"U": {group: "U", body: weekNumber},
	"W": {group: "W", body: weekNumber},
	"V": {group: "V", body: `5[0-3]|0[1-9]|[1-4]\d|\d`},
	"G": {group: "G", body: fourDigits},
	// Zones.
	"Z": {group: "Z", body: `Z|[A-Z]{3,5}`},
	"z": {group: "z", body: `Z|GMT|UTC|` + hoursAway},
	// With all digits that are due.
	"ExZ": {group: "Z", body: abbreviated},
	"Exz": {group: "z", body: `(?:` + abbreviated + `)?` + hoursAway + `|` + abbreviated},
	"Exd": {group: "d", body: `[12]\d|0[1-9]|3[01]`},
	"Exm": {group: "m", body: `0[1-9]|1[012]`},
	"ExH": {group: "H", body: `[01]\d|2[0-3]`},
	"Exk": {group: "H", body: `[01]?\d|2[0-3]`, blank: true},
	"Exl": {group: "I", body: `1[012]|\d`, blank: true},
	"ExM": {group: "M", body: sixty},
	"ExS": {group: "S", body: sixty + `|6[01]`},
	// fail2ban allows the decades up to the next but few; which ones they are
	// depends on its clock, and we read none.
	"ExY": {group: "Y", body: `20\d\d`},
	"Exy": {group: "y", body: twoDigits},
}

// shortNames are the first three letters of names, one or the other.
func shortNames(names []string) string {
	var out []string
	for _, n := range names {
		out = append(out, n[:3])
	}
	return strings.Join(out, "|")
}

// longNames are names, one or the other, the longest first.
func longNames(names []string) string {
	out := slices.Clone(names)
	slices.SortStableFunc(out, func(a, b string) int { return len(b) - len(a) })
	return strings.Join(out, "|")
}
