package rules

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

// The addresses of the network in which the lines were captured: whoever attacks has
// one of the attacker's, whoever knows passwords one of the other's. A bystander's
// stands only in what attackers say.
var (
	capturedAttackers  = []netip.Addr{netip.MustParseAddr("192.0.2.66"), netip.MustParseAddr("2001:db8::66")}
	capturedOthers     = []netip.Addr{netip.MustParseAddr("192.0.2.77"), netip.MustParseAddr("2001:db8::77")}
	capturedBystanders = []netip.Addr{netip.MustParseAddr("198.51.100.77"), netip.MustParseAddr("2001:db8:bad::77")}
)

// harmlessAttacks are parts of a captured file in which nobody does anything wrong.
var harmlessAttacks = []string{"correct password", "a visitor", "a message that is welcome", "questions that are welcome", "made ready", "start", "stop"}

// section is the lines of one attack in a captured file.
type section struct {
	name  string
	lines []byte
}

func readCaptured(t *testing.T, file string) (out []section) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		switch {
		case bytes.HasPrefix(line, []byte("## ")):
			out = append(out, section{name: strings.TrimSpace(string(line[3:]))})
		case len(out) > 0 && len(bytes.TrimSpace(line)) > 0:
			s := &out[len(out)-1]
			s.lines = append(s.lines, line...)
		}
	}
	return out
}

// What real services logged while they were attacked: whoever attacked is seen, by the
// rule that is for it; whoever knew the password is not counted; and no text of an
// attacker's has anybody else's address taken out of it, by whatever rule.
func TestCaptured(t *testing.T) {
	files, err := filepath.Glob("testdata/captured/*.log")
	if err != nil || len(files) == 0 {
		t.Fatal("no captured lines", err)
	}
	all := Builtin()
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".log")
		t.Run(name, func(t *testing.T) {
			want := capturedSeen[name]
			seen := map[netip.Addr]bool{}
			byRule := map[string]int{}
			// A log is either of the form that web servers write or not: rules for the
			// other form do not read it.
			access := strings.HasSuffix(name, ".access")
			fit := slices.DeleteFunc(slices.Clone(all), func(r *Rule) bool { return (r.Format == FormatAccess) != access })
			s := NewMatcher(fit, Options{}).Scanner(SourceOptions{Zone: time.UTC})
			for _, part := range readCaptured(t, file) {
				harmless := slices.ContainsFunc(harmlessAttacks, func(h string) bool { return strings.Contains(part.name, h) })
				s.Scan(part.lines, time.Date(2026, 11, 21, 23, 0, 0, 0, time.UTC), func(h *Hit) {
					byRule[h.Rule.Name]++
					if slices.Contains(capturedBystanders, h.Addr) {
						t.Errorf("%s: %s (%s) takes a bystander's address: %.300q", part.name, h.Rule.Name, h.Pattern.Name, h.Line)
					}
					if !h.Class.Counts() {
						return
					}
					if harmless && (h.Class == gate.ClassFailure || h.Class == gate.ClassHint) && slices.Contains(capturedOthers, h.Addr) {
						t.Errorf("%s: %s (%s) counts against somebody who did nothing wrong: %.300q", part.name, h.Rule.Name, h.Pattern.Name, h.Line)
					}
					if h.Rule.Name == want {
						seen[h.Addr] = true
					}
				})
			}
			for _, a := range capturedAttackers {
				if want != "" && !seen[a] {
					t.Errorf("%s never saw %s; hits by rule: %v", want, a, byRule)
				}
			}
			if _, known := capturedSeen[name]; !known {
				t.Errorf("which rule is for it? Hits by rule: %v", byRule)
			}
		})
	}
}

// capturedSeen is the rule that has to see the attackers of each captured file; ""
// where the lines name nobody, or nothing in them is an attempt.
var capturedSeen = map[string]string{
	"apache2":          "apache",
	"apache2.access":   "web-probes",
	"bind9":            "bind",
	"dovecot":          "dovecot",
	"dropbear":         "dropbear",
	"exim4":            "exim",
	"exim4.reject":     "exim",
	"haproxy":          "haproxy",
	"lighttpd":         "lighttpd",
	"lighttpd.access":  "web-auth",
	"mariadb":          "mysql",
	"mosquitto":        "",
	"nginx":            "nginx",
	"nginx.access":     "web-auth",
	"ngircd":           "ngircd",
	"openssh":          "sshd",
	"postfix":          "postfix",
	"postgresql":       "postgresql",
	"postgresql-host":  "postgresql",
	"proftpd":          "proftpd",
	"proftpd.auth":     "",
	"prosody":          "prosody",
	"redis-server":     "redis",
	"squid":            "squid",
	"squid.cache":      "",
	"sudo":             "",
	"unbound":          "",
	"vsftpd":           "vsftpd",
	"vsftpd.auth":      "pam",
	"opensmtpd":        "",
	"opensmtpd.syslog": "",
	"pure-ftpd":        "pure-ftpd",
	"samba":            "samba",
	"slapd":            "slapd",
	"xrdp":             "", // no client here gets as far as its password
	"xrdp.syslog":      "",
}
