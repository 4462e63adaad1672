package rules

import (
	"embed"
	"slices"
	"strings"
)

//go:embed library/*.yaml
var library embed.FS

// Builtin returns the rules that come with the program, sorted by name, parsed
// anew at each call. A built-in rule that does not parse is a programmer's
// error.
func Builtin() []*Rule {
	entries, err := library.ReadDir("library")
	if err != nil {
		panic(err)
	}
	var rs []*Rule
	for _, e := range entries {
		src, err := library.ReadFile("library/" + e.Name())
		if err != nil {
			panic(err)
		}
		r, err := Parse("library/"+e.Name(), src)
		if err != nil {
			panic(err)
		}
		rs = append(rs, r)
	}
	slices.SortFunc(rs, func(a, b *Rule) int { return strings.Compare(a.Name, b.Name) })
	return rs
}
