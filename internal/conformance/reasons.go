package main

import "regexp"

// remark says why our rule and a filter differ about lines of a kind.
type remark struct {
	filter string
	line   *regexp.Regexp
	why    string
}

// unseen are kinds of lines that are failures to a filter and not to our rule.
var unseen = []remark{}

// extra are kinds of lines that our rule counts and a filter does not.
var extra = []remark{}

func reason(filter, line string) string { return remarked(unseen, filter, line) }
func counts(filter, line string) string { return remarked(extra, filter, line) }

func remarked(list []remark, filter, line string) string {
	for _, r := range list {
		if r.filter == filter && r.line.MatchString(line) {
			return r.why
		}
	}
	return ""
}
