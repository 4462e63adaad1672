package rules

import (
	"bytes"
	"embed"
	"slices"
	"strings"
)

//go:embed library/*.yaml
var library embed.FS

// samplesKey begins the last part of a built-in rule, which is most of its text.
var samplesKey = []byte("\nsamples:\n")

// Builtin returns the rules that come with the program, sorted by name, parsed
// anew at each call. A built-in rule that does not parse is a programmer's
// error.
func Builtin() []*Rule {
	var rs []*Rule
	for _, name := range BuiltinNames() {
		rs = append(rs, readBuiltin(name, true))
	}
	return rs
}

// BuiltinNamed returns the built-in rules of these names, in that order, without
// their samples: all that is needed to read a log, in a fraction of the time. A
// name that no built-in rule has is left out.
func BuiltinNamed(names ...string) []*Rule {
	var rs []*Rule
	for _, name := range names {
		if IsBuiltin(name) {
			rs = append(rs, readBuiltin(name, false))
		}
	}
	return rs
}

// BuiltinNames returns the names of the built-in rules, sorted.
func BuiltinNames() []string {
	entries, err := library.ReadDir("library")
	if err != nil {
		panic(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	slices.Sort(names)
	return names
}

// IsBuiltin reports whether a rule of this name comes with the program.
func IsBuiltin(name string) bool {
	_, found := slices.BinarySearch(BuiltinNames(), name)
	return found
}

// readBuiltin parses one rule; the file has its name.
func readBuiltin(name string, samples bool) *Rule {
	file := "library/" + name + ".yaml"
	src, err := library.ReadFile(file)
	if err != nil {
		panic(err)
	}
	if i := bytes.Index(src, samplesKey); i >= 0 && !samples {
		src = src[:i+1]
	}
	r, err := Parse(file, src)
	if err != nil {
		panic(err)
	}
	return r
}
