package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
	"gatehouse/internal/gate"
	"gatehouse/internal/rules"
)

// defaultRules is the folder of own rules where the configuration cannot be
// read.
const defaultRules = "/etc/gatehouse/rules"

// maxRuleFile is the size in bytes over which a rule file is not read.
const maxRuleFile = 1 << 20

// rulebook returns the rules there are, by name: the built-in ones, each
// replaced by an own rule of the same name. An own rule that is broken is left
// out; `gatehouse check` tells about it.
func (e *env) rulebook() []*rules.Rule { return rulesOf(rules.Builtin(), e.ruleFolder()) }

// ruleFolder returns where own rules lie.
func (e *env) ruleFolder() string {
	if c, err := e.settings(); err == nil {
		return c.Rules
	}
	return defaultRules
}

// rulesWith returns the built-in rules and those of a folder, sorted by name: all
// that is needed to read a log, and so without the samples of the built-in ones.
func rulesWith(folder string) []*rules.Rule {
	return rulesOf(rules.BuiltinNamed(rules.BuiltinNames()...), folder)
}

// rulesOf returns rules and those of a folder in place of them, sorted by name.
func rulesOf(builtin []*rules.Rule, folder string) []*rules.Rule {
	byName := map[string]*rules.Rule{}
	for _, r := range builtin {
		byName[r.Name] = r
	}
	for _, path := range ruleFiles(folder) {
		if r, err := readRule(path); err == nil {
			byName[r.Name] = r
		}
	}
	var out []*rules.Rule
	for _, r := range byName {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *rules.Rule) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// ruleFiles returns the rule files of a folder; none where it does not exist.
func ruleFiles(folder string) []string {
	files, _ := filepath.Glob(filepath.Join(folder, "*.yaml")) // the pattern is ours and well formed
	return files
}

// readRule reads one rule file.
func readRule(path string) (*rules.Rule, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, fileFailure("read", path, err)
	}
	if fi.Size() > maxRuleFile || !fi.Mode().IsRegular() {
		return nil, failed("name a rule file", "read %s: it is no file of at most %s", path, size(maxRuleFile))
	}
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, fileFailure("read", path, err)
	}
	r, err := rules.Parse(path, src)
	if err != nil {
		ps := ruleProblems(err)
		return nil, &api.Error{Message: path + ": " + counted(len(ps), "error") + " in the rule", Problems: ps}
	}
	return r, nil
}

// ruleProblems returns what is wrong with a rule file.
func ruleProblems(err error) (out []api.Problem) {
	if se, ok := err.(*rules.SyntaxError); ok {
		return []api.Problem{{File: se.File, Line: se.Line, Column: se.Column, Error: se.Problem, Excerpt: se.Excerpt, Hint: se.Hint}}
	}
	switch wrapped := err.(type) {
	case interface{ Unwrap() []error }:
		for _, one := range wrapped.Unwrap() {
			out = append(out, ruleProblems(one)...)
		}
		return out
	case interface{ Unwrap() error }:
		if inner := wrapped.Unwrap(); inner != nil {
			return ruleProblems(inner)
		}
	}
	return []api.Problem{{Error: err.Error()}}
}

// ownRuleProblems returns what is wrong with the rules of a folder.
func ownRuleProblems(folder string) (out []api.Problem) {
	for _, path := range ruleFiles(folder) {
		r, err := readRule(path)
		if a, ok := errors.AsType[*api.Error](err); ok {
			out = append(out, a.Problems...)
			continue
		}
		if err != nil {
			f := asFailure(err)
			out = append(out, api.Problem{File: path, Error: f.text, Hint: f.hint})
			continue
		}
		if want := strings.TrimSuffix(filepath.Base(path), ".yaml"); r.Name != want {
			out = append(out, api.Problem{File: path, Line: 1, Column: 1, Error: "the file is named " + want + ", its rule " + r.Name,
				Hint: "name the file " + r.Name + ".yaml"})
		}
	}
	return out
}

// ruleExists reports whether a rule of this name is built in or lies in the
// folder, else which name is nearest.
func ruleExists(folder, name string) (string, bool) {
	names := rules.BuiltinNames()
	for _, path := range ruleFiles(folder) {
		names = append(names, strings.TrimSuffix(filepath.Base(path), ".yaml"))
	}
	best, least := "", 3
	for _, n := range names {
		if n == name {
			return "", true
		}
		if d := distance(n, name); d < least {
			best, least = n, d
		}
	}
	if _, err := os.Stat(filepath.Join(folder, name+".yaml")); gate.IsName(name) && !errors.Is(err, fs.ErrNotExist) {
		return "", true // it is there, though broken: that is told by its own error
	}
	return best, false
}

// distance is the number of letters to insert, delete or replace that turns a
// into b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j]+1, row[j+1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// named returns the rules that arguments name: rule files, names of rules; all
// there are where there is none.
func (e *env) named(what string, args []string) ([]*rules.Rule, error) {
	book := e.rulebook()
	if len(args) == 0 {
		return book, nil
	}
	var out []*rules.Rule
	for _, a := range args {
		if isFile(a) {
			r, err := readRule(a)
			if err != nil {
				return nil, err
			}
			out = append(out, r)
			continue
		}
		i := slices.IndexFunc(book, func(r *rules.Rule) bool { return r.Name == a })
		if i < 0 {
			return nil, failed("gatehouse rules list shows them", "%s: there is neither a rule nor a file %s", what, gate.Quote(a, 64))
		}
		out = append(out, book[i])
	}
	return out, nil
}

// isFile reports whether a path is there and not a folder.
func isFile(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && !fi.IsDir()
}

// completeRules offers the names of rules for the first most arguments, then
// files; most below 0 is any number.
func (e *env) completeRules(most int, also ...string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if most >= 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveDefault
		}
		names := also
		for _, r := range e.rulebook() {
			names = append(names, cobra.CompletionWithDesc(r.Name, r.Title))
		}
		return names, cobra.ShellCompDirectiveDefault
	}
}
