package rules

import "testing"

func TestParseHeader(t *testing.T) {
	cases := []struct{ line, host, program, pid, message string }{
		// syslog
		{"Nov 21 08:00:00 h sshd[12]: hello: world", "h", "sshd", "12", "hello: world"},
		{"Nov  1 08:00:00 h sshd: hello", "h", "sshd", "", "hello"},
		{"Nov 21 08:00:00.123456 h.example sshd[12]: hello", "h.example", "sshd", "12", "hello"},
		{"Nov 21 2026 08:00:00 h sshd[12]: hello", "", "", "", "Nov 21 2026 08:00:00 h sshd[12]: hello"},
		{"<38>Nov 21 08:00:00 h sshd[12]: hello", "h", "sshd", "12", "hello"},
		{"Nov 21 08:00:00 sshd[12]: hello", "", "sshd", "12", "hello"},
		{"Nov 21 08:00:00 h /usr/sbin/sshd[12]: hello", "h", "sshd", "12", "hello"},
		{"Nov 21 08:00:00 h postfix/smtpd[12]: hello", "h", "postfix/smtpd", "12", "hello"},
		{"Nov 21 08:00:00 h auth.info sshd[12]: hello", "h", "sshd", "12", "hello"},
		{"Sat Nov 21 08:00:00 2026 authpriv.info dropbear[12]: hello", "authpriv.info", "dropbear", "12", "hello"},
		{"Nov 21 08:00:00 h sshd[12]: ", "h", "sshd", "12", ""},
		{"Nov 21 08:00:00 h sshd[12]:", "h", "sshd", "12", ""},
		{"\x00\x00\x00Nov 21 08:00:00 h sshd[12]: hello", "h", "sshd", "12", "hello"},
		// dated
		{"2026-11-21T08:00:00+01:00 h sshd[12]: hello", "h", "sshd", "12", "hello"},
		{"2026-11-21T08:00:00.123456+0100 h sshd[12]: hello", "h", "sshd", "12", "hello"},
		{"2026-11-21 08:00:00,123 h sshd[12]: hello", "h", "sshd", "12", "hello"},
		{"Sat 2026-11-21 08:00:00 CET h sshd[12]: hello", "h", "sshd", "12", "hello"},
		{"Sat 2026-11-21 08:00:00 XYZT h sshd[12]: hello", "h", "sshd", "12", "hello"},
		{"Sat 2026-11-21 08:00:00 -03 h sshd[12]: hello", "h", "sshd", "12", "hello"},
		{"Sat 2026-11-21 08:00:00 h sshd[12]: hello", "h", "sshd", "12", "hello"},
		{"2026-11-21 08:00:00 XYZT sshd[12]: hello", "XYZT", "sshd", "12", "hello"},
		{"1795244400.123456 h sshd[12]: hello", "h", "sshd", "12", "hello"},
		{"2026-11-21T08:00:00Z Failed password for root", "", "", "", "Failed password for root"},
		{"Nov 1 08:00:00 h sshd[12]: hello", "h", "sshd", "12", "hello"},
		{"Nov 21 08:00:00 [sshd] hello", "", "sshd", "", "hello"},
		{"Nov 21 08:00:00 [sshd]: hello", "", "sshd", "", "hello"},
		{"Nov 21 08:00:00 [pid 7] hello", "", "", "", "[pid 7] hello"},
		{"2026-11-21 08:00:00 [sshd] hello", "", "", "", "[sshd] hello"},
		{"Nov 21 08:00:00 h sshd[12]: [ID 800047 auth.info] hello", "h", "sshd", "12", "hello"},
		{"Nov 21 08:00:00 h sshd[12]: [ID x auth.info] hello", "h", "sshd", "12", "[ID x auth.info] hello"},
		// RFC 5424
		{"<86>1 2026-11-21T08:00:00.003Z h sshd 12 ID47 - hello", "h", "sshd", "12", "hello"},
		{`<86>1 2026-11-21T08:00:00Z h sshd 12 - [a@1 b="]\" c"][d@2] ` + "\ufeffhello", "h", "sshd", "12", "hello"},
		{"<86>1 - - sshd - - - hello", "", "sshd", "", "hello"},
		{"<86>1 - - - - - -", "", "", "", ""},
		{"<86>1 - - -", "", "", "", "<86>1 - - -"},
		// none
		{"Failed password for root", "", "", "", "Failed password for root"},
		{"sshd[12]: hello", "", "", "", "sshd[12]: hello"},
		{"MESSAGE=hello", "", "", "", "hello"},
		{"Nov 31 08:00:00 h sshd[12]: hello", "", "", "", "Nov 31 08:00:00 h sshd[12]: hello"},
		{"Nov 21 08:00:00", "", "", "", "Nov 21 08:00:00"},
		{"Nov 21 08:00:00 ", "", "", "", ""},
		{"<999999>Nov 21 08:00:00 h x: y", "", "", "", "<999999>Nov 21 08:00:00 h x: y"},
		{"", "", "", "", ""},
		// no tag: nothing is taken for one
		{"Nov 21 08:00:00 h last message repeated 3 times", "", "", "", "h last message repeated 3 times"},
		{"Nov 21 08:00:00 h sshd[x]: hello", "", "", "", "h sshd[x]: hello"},
	}
	for _, c := range cases {
		h := parseHeader([]byte(c.line))
		if string(h.host) != c.host || string(h.program) != c.program || string(h.pid) != c.pid || string(h.message) != c.message {
			t.Errorf("%q:\n got %q %q %q %q\nwant %q %q %q %q", c.line, h.host, h.program, h.pid, h.message, c.host, c.program, c.pid, c.message)
		}
	}
}

func TestCutRepeat(t *testing.T) {
	cases := []struct {
		in, out string
		n       int
	}{
		{"hello", "hello", 1},
		{"message repeated 3 times: [ hello]", "hello", 3},
		{"message repeated 3 times: [hello]", "hello", 3},
		{"message repeated 2 times: [ hello [preauth]]", "hello [preauth]", 2},
		{"message repeated 999999999 times: [ hello]", "hello", maxRepeat},
		{"message repeated 0 times: [ hello]", "hello", 1},
		{"message repeated x times: [ hello]", "message repeated x times: [ hello]", 1},
		{"message repeated 3 times: [ hello", "message repeated 3 times: [ hello", 1},
		{"message repeated 99999999999999999999999 times: [ hello]", "message repeated 99999999999999999999999 times: [ hello]", 1},
		{"message repeated 3 times: [", "message repeated 3 times: [", 1},
	}
	for _, c := range cases {
		if out, n := cutRepeat([]byte(c.in)); string(out) != c.out || n != c.n {
			t.Errorf("%q: got %q %d, want %q %d", c.in, out, n, c.out, c.n)
		}
	}
}

func TestCutEnd(t *testing.T) {
	for in, want := range map[string]string{"a": "a", "a\r": "a", "a#015#012": "a", "a#015 ": "a#015 ", "#012": "", "": "", "a#033": "a#033"} {
		if got := cutEnd([]byte(in)); string(got) != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// FuzzHeaderPartsAreOfTheLine: no panic, and what is found is part of the line,
// in order.
func FuzzHeaderPartsAreOfTheLine(f *testing.F) {
	for _, s := range []string{"Nov 21 08:00:00 h sshd[12]: x", "<86>1 2026-11-21T08:00:00.003Z h sshd 12 ID47 [a b=\"c\"] x", "2026-11-21T08:00:00+01:00 h sshd: x", "Sat 2026-11-21 08:00:00 CET h a: b", "1795244400.123456 h sshd[12]: x", "MESSAGE=x", "<1>", "<1>1 "} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		h := parseHeader(line)
		total := len(h.host) + len(h.program) + len(h.pid) + len(h.message)
		if total > len(line) {
			t.Fatalf("%q: parts are longer than the line", line)
		}
		for _, c := range h.pid {
			if c < '0' || c > '9' {
				t.Fatalf("%q: process %q", line, h.pid)
			}
		}
		if m, n := cutRepeat(cutEnd(h.message)); n < 1 || n > maxRepeat || len(m) > len(h.message) {
			t.Fatalf("%q: repeated %d", line, n)
		}
	})
}
