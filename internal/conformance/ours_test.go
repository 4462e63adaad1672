package main

import (
	"os"
	"strings"
	"testing"

	"gatehouse/internal/fail2ban"
	"gatehouse/internal/rules"
)

// TestCoveredFilters: of each filter that our rules stand in for when an installation
// is imported they see every failure of its samples in its mode normal, but for one
// in fifty, and make none up.
func TestCoveredFilters(t *testing.T) {
	const dir = "../../build/fail2ban"
	if _, err := os.Stat(dir + "/etc/fail2ban"); err != nil {
		t.Skip("Debian's package fail2ban is not unpacked in build/ (make peers does it)")
	}
	suites, err := findSuites(dir)
	if err != nil {
		t.Fatal(err)
	}
	var could []string
	for _, s := range suites {
		for _, name := range s.filters {
			rs := rules.BuiltinNamed(fail2ban.OwnRulesInAnyMode(name)...)
			if len(rs) == 0 {
				continue
			}
			v, err := s.look(name, rs, func(string) {})
			if err != nil {
				continue // it has no samples
			}
			good := v.plain > 0 && v.false == 0 && 100*v.plainSeen >= 98*v.plain
			if fail2ban.Covered(name) && !good {
				t.Errorf("%s: our rule %s sees %d of %d failures and makes %d up; take it out of the list of covered filters, or mend the rule", name, v.rule, v.plainSeen, v.plain, v.false)
			}
			if good && !fail2ban.Covered(name) {
				could = append(could, name)
			}
		}
	}
	t.Logf("could be covered, too: %v", could)
}

// TestOurRules: the report names what is missed and ends with the sum.
func TestOurRules(t *testing.T) {
	const dir = "../../build/fail2ban"
	if _, err := os.Stat(dir + "/etc/fail2ban"); err != nil {
		t.Skip("Debian's package fail2ban is not unpacked in build/ (make peers does it)")
	}
	var out, errs strings.Builder
	ours(dir, &out, &errs)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "our rules see ") {
		t.Errorf("the last line is %q\n%s", last, &errs)
	}
	t.Log(lines[len(lines)-1])
	if code := ours(t.TempDir(), &out, &errs); code != 2 {
		t.Errorf("nothing to run: exit code %d", code)
	}
}
