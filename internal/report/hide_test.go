package report

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"
)

// TestHidden: one line a line of a log, and what leaves of it.
func TestHidden(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"Nov 21 12:00:01 gate sshd[811]: Failed password for carol from 45.0.0.7 port 4711 ssh2", "Nov 21 12:00:01 [ours] sshd[811]: Failed password for [account] from 45.0.0.7 port 4711 ssh2"},
		{"2026-11-21T12:00:01.5+01:00 loghost sshd[811]: Invalid user carol from 45.0.0.7", "2026-11-21T12:00:01.5+01:00 [ours] sshd[811]: Invalid user [account] from 45.0.0.7"},
		{"<38>Nov  1 12:00:01 other sshd: x", "<38>Nov 1 12:00:01 [ours] sshd: x"},
		{"Nov 21 12:00:01 sshd[811]: no host here", "Nov 21 12:00:01 sshd[811]: no host here"},
		{"connection from 45.0.0.7 to 198.51.100.2 port 22", "connection from 45.0.0.7 to [address] port 22"},
		{"from [45.0.0.7]:22 to [2a00::1]:993, ::ffff:10.0.0.1 and ::ffff:45.0.0.7", "from [45.0.0.7]:22 to [[address]]:993, [address] and ::ffff:45.0.0.7"},
		{"at 12:45:01 from 00:1b:44:11:3a:b7", "at 12:45:01 from 00:1b:44:11:3a:b7"},
		{"010.000.000.001 and 300.1.1.1", "[address] and [address]"},
		{"user=<carol@example.org>, sasl_username=Carol", "user=<[mailbox]>, sasl_username=[account]"},
		{"CAROL carol. carol-x xcarol", "[account] [account]. [account]-x xcarol"},
		{"https://gate.example.org/ann/file www.gate.example.org", "https://[ours]/[ours]/file www.[ours].example.org"},
		{"the words secret project here", "the words [ours] here"},
		{"\x1b[31mred\u202e\x00", "?[31mred??"},
		{"two\nlines\r\nand more", "two lines and more"},
	} {
		h := NewHidden(netip.MustParseAddr("45.0.0.7"), []string{"carol", "45.0.0.7", ""}, []string{"gate.example.org", "gate", "ann", "secret project"})
		if got := h.Line(c.line); got != c.want {
			t.Errorf("%q\n got %q\nwant %q", c.line, got, c.want)
		}
	}
}

// FuzzHiddenHidesOurs: whatever stands in a line, no word of ours, no mail address
// and no other address leaves, and the offender's stays to be seen.
func FuzzHiddenHidesOurs(f *testing.F) {
	f.Add("Nov 21 12:00:01 gate sshd[1]: Failed password for carol from 45.0.0.7", "10.1.2.3")
	f.Add("carol.gate-carol@x.y carol_x 45.0.0.7.8", "2a00::5")
	word := regexp.MustCompile(`(?i)(^|[^\pL\pN_])(carol|topsecret)($|[^\pL\pN_])`)
	four := regexp.MustCompile(`\d{1,3}(\.\d{1,3}){3}`)
	f.Fuzz(func(t *testing.T, line, other string) {
		h := NewHidden(netip.MustParseAddr("45.0.0.7"), []string{"carol"}, []string{"topsecret"})
		for _, s := range []string{line, line + " carol " + other, other + " topsecret@carol"} {
			got := h.Line(s)
			if len(got) > maxEvidence+8 || strings.ContainsAny(got, "\r\n\x1b\x00") {
				t.Fatalf("%q becomes %q", s, got)
			}
			if whole, cut := strings.CutSuffix(got, "…"); cut { // what is cut may end as a word of ours
				got = whole[:strings.LastIndexAny(" "+whole, " []")]
			}
			if word.MatchString(got) {
				t.Fatalf("%q becomes %q: a word of ours leaves", s, got)
			}
			for _, a := range four.FindAllString(got, -1) {
				if a != "45.0.0.7" {
					t.Fatalf("%q becomes %q: %s leaves", s, got, a)
				}
			}
		}
	})
}
