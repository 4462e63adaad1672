package rules

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

// scan runs one rule over a log and returns its hits.
func scan(tb testing.TB, r *Rule, log []byte, o SourceOptions) (hits []Hit) {
	tb.Helper()
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	NewMatcher([]*Rule{r}, Options{}).Scanner(o).Scan(log, sampleNow, func(h *Hit) { hits = append(hits, *h) })
	return hits
}

// TestBuiltinRules reads each file by itself, so that one that is being written
// fails alone: go test -run TestBuiltinRules/NAME.
func TestBuiltinRules(t *testing.T) {
	files, err := library.ReadDir("library")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(f.Name(), ".yaml"), func(t *testing.T) {
			src, err := library.ReadFile("library/" + f.Name())
			if err != nil {
				t.Fatal(err)
			}
			r, err := Parse("library/"+f.Name(), src)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range r.Test() {
				t.Error(f)
			}
			for _, m := range Lint(r) {
				t.Error(m)
			}
			if r.Doc == "" {
				t.Error("no doc")
			}
			if r.Name+".yaml" != f.Name() {
				t.Errorf("the rule is named %s", r.Name)
			}
			roundTrip(t, r)
		})
	}
}

// TestSSHDSessions counts real connections as gate.Class says. In each section
// of the log a client did one thing; what it counts is what a person would say.
func TestSSHDSessions(t *testing.T) {
	want := map[string]int{
		"22 password wrong valid":         2, // two wrong passwords
		"22 password wrong invalid":       1,
		"22 kbd wrong valid":              2, // PAM asks from another process, whose lines must not count
		"22 kbd wrong invalid":            1,
		"28 kbd wrong six":                6, // of which sshd logs three twice
		"22 v6":                           1,
		"22 root prohibited":              1, // the right password of an account that may not use it
		"22 ok":                           0,
		"22 ok kbd":                       0,
		"22 key refused then password ok": 0,
		"22 good key after 5":             0, // an agent with five other keys
		"22 too many keys":                1, // an agent with too many
		"22 too many keys invalid":        1,
		"22 wrong key only":               1,
		"22 wrong key invalid":            1,
		"22 from restricted key":          1,
		"22 cert":                         1,
		"22 cert invalid user":            1,
		"22 locked":                       1,
		"22 shell":                        1,
		"22 kex":                          0, // an old client, or ssh-keyscan
		"22 cipher":                       0,
		"22 mac":                          0,
		"22 hostkey":                      0,
		"22 inject from":                  1,
		"22 inject empty":                 1,
		"raw connect and close":           0, // a health check
		"raw connect, reset":              0,
		"raw http":                        1,
		"raw tls":                         1,
		"raw long":                        1,
		"raw ssh1":                        1,
		"raw badversion":                  1,
		"raw probe":                       1,
		"raw scanners":                    2, // two connections
		"raw banner, close":               0, // a health check that knows the protocol
		"raw banner, reset":               0,
		"raw garbage packet":              1,
		"raw bad packet type":             0,
		"raw short kexinit":               1,
		"raw disconnect 11":               0,
		"raw disconnect 11 inject":        0,
		"raw disconnect 3":                1,
		"raw disconnect 14":               1,
		"23 root":                         1,
		"23 three":                        3,
		"23 three invalid":                3,
		"23 deny":                         1,
		"23 locked":                       1,
		"23 shell":                        1,
		"24 verbose keys":                 0, // two keys refused, the third right
		"24 verbose keys refused":         1,
		"24 cert":                         1,
		"24 cert invalid":                 1,
		"24 ok":                           0,
		"25 allowusers":                   1,
		"25 none":                         1,
		"25 none invalid":                 1,
		"25 startups":                     0, // a full server drops anybody
		"26 denygroups":                   1,
		"26 allowgroups":                  1,
		"26 allowgroups root":             1,
		"26 hosts.deny":                   1,
	}
	type count struct {
		failures           int
		hint, key, success bool
	}
	log := readTestdata(t, "sessions.log")
	r := builtin(t, "sshd")
	section, sections := "", map[uint64]string{}
	sessions, alone := map[uint64]*count{}, map[string]int{}
	s := NewMatcher([]*Rule{r}, Options{}).Scanner(SourceOptions{Zone: time.UTC})
	for line := range bytes.Lines(log) {
		if name, ok := bytes.CutPrefix(line, []byte("==== ")); ok {
			section = strings.TrimSpace(string(name))
			if _, known := want[section]; !known {
				t.Errorf("section %q is not in the table", section)
			}
			continue
		}
		if pid := session(parseHeader(line).pid, nil); pid != 0 && sections[pid] == "" {
			sections[pid] = section
		}
		s.Scan(line, sampleNow, func(h *Hit) {
			if h.Addr != netip.MustParseAddr("203.0.113.9") && h.Addr != netip.MustParseAddr("203.0.113.61") && h.Addr != netip.MustParseAddr("2001:db8:bad::12") {
				t.Errorf("hit of %s in %q", h.Addr, h.Line)
			}
			if h.Session == 0 {
				if h.Class.Counts() {
					alone[section]++
				}
				return
			}
			c := sessions[h.Session&0xffffffff]
			if c == nil {
				c = &count{}
				sessions[h.Session&0xffffffff] = c
			}
			switch h.Class {
			case gate.ClassFailure:
				c.failures++
			case gate.ClassHint:
				c.hint = true
			case gate.ClassKey:
				c.key = true
			case gate.ClassSuccess:
				c.success = true
			}
		})
	}
	got := alone
	for pid, c := range sessions {
		n := c.failures
		if n == 0 && (c.hint || c.key && !c.success) {
			n = 1
		}
		got[sections[pid]] += n
	}
	for name, n := range want {
		if got[name] != n {
			t.Errorf("%s: counts %d, want %d", name, got[name], n)
		}
	}
}

func readTestdata(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}
