package config

import (
	"strings"
	"testing"
)

// TestFilters is a table of entries with filters of fail2ban: what they read as,
// or what is wrong with them.
func TestFilters(t *testing.T) {
	o := Options{RuleExists: known, FilterProblems: func(folder, spec string, _ bool) []Problem {
		switch spec {
		case "broken":
			return []Problem{{File: folder + "/filter.d/broken.conf", Line: 3, What: "failregex does not compile"}}
		case "missing":
			return []Problem{{What: "there is no such filter", Hint: "see the folder"}}
		}
		return nil
	}}
	for src, want := range map[string]string{
		"watch: [{fail2ban: 'sshd[mode=aggressive]'}]\n":                    "sshd[mode=aggressive]",
		"watch: [{rule: {fail2ban: '[sshd]'}, files: [/a]}]\n":              "[sshd]",
		"watch:\n  - rule:\n      fail2ban: sshd\n    threshold: 3 in 5m\n": "sshd",
		"watch: [{fail2ban: sshd, rule: sshd}]\n":                           "1:20: rule and fail2ban in one entry",
		"watch: [{files: [/a]}]\n":                                          "1:9: the key rule is missing",
		"watch: [{fail2ban: ''}]\n":                                         "a filter without a name",
		"watch: [{fail2ban: sshd, files: [/a], format: plain}]\n":           "format with a filter of fail2ban",
		"watch: [{fail2ban: sshd}, {fail2ban: sshd}]\n":                     "the filter \"sshd\" is watched twice",
		"watch: [{fail2ban: a, files: [/a]}, {fail2ban: a, files: [/a]}]\n": "\"/a\" is read twice for the filter \"a\"",
		"filters: /srv/f2b\nwatch: [{fail2ban: broken}]\n":                  "/srv/f2b/filter.d/broken.conf:3",
		"watch: [{fail2ban: missing}]\n":                                    "1:20: there is no such filter",
		"watch: [{rule: {fail2ban: sshd, mode: x}}]\n":                      "keys and values where a name is expected",
		"filters: etc\n": "filters",
	} {
		c, err := Parse("t.yaml", []byte(src), o)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = c.Watch[0].Fail2ban
		}
		if !strings.Contains(got, want) || err == nil && got != want {
			t.Errorf("%s: %q, want %q", src, got, want)
		}
		if err == nil {
			again, err := Parse("again.yaml", c.YAML(), o)
			if err != nil || !again.Equal(c) {
				t.Errorf("%s: written as\n%s it reads %+v, %v", src, c.YAML(), again, err)
			}
		}
	}
}
