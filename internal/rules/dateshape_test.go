package rules

import "testing"

func TestDateShape(t *testing.T) {
	for _, c := range []struct {
		line string
		w    Wrapper
		want string
	}{
		{"Nov 21 08:00:00 h sshd[1]: x", WrapperNone, "Nov 21 08:00:00"},
		{"2026-11-21T08:00:00.1+01:00 h sshd[1]: x", WrapperNone, "2026-11-21T08:00:00.123456+01:00"},
		{"1795244400.123 h sshd[1]: x", WrapperNone, "1795244400.123456"},
		{"[Sat Nov 21 08:00:00 2026] [core:error] x", WrapperNone, "Sat Nov 21 08:00:00 2026"},
		{"2026/11/21 08:00:00 [error] x", WrapperNone, "2026-11-21 08:00:00"},
		{`192.0.2.7 - - [21/Nov/2026:08:00:00 +0100] "GET / HTTP/1.1" 200 5`, WrapperNone, "21/Nov/2026:08:00:00 +0100"},
		{`{"time":"2026-11-21T08:00:00Z"}`, WrapperNone, ""},
		{"nothing", WrapperNone, ""},
		{"", WrapperNone, ""},
		{"2026-11-21T08:00:00.123456789Z stderr F x", WrapperCRI, "2026-11-21T08:00:00.123456789Z"},
		{"x", WrapperDocker, ""},
	} {
		if got := DateShape([]byte(c.line), c.w); got != c.want {
			t.Errorf("%q: %q, want %q", c.line, got, c.want)
		}
	}
}

// A word before an address of an access log is a virtual host or nothing.
func TestVirtualHost(t *testing.T) {
	for word, want := range map[string]bool{
		"gate.example.org": true, "gate.example.org:443": true, "[2001:db8::1]:443": true, "192.0.2.7,": true,
		"warning:": false, "worker[x": false, "(x": false, "user=x": false, "\"x": false, "": false,
	} {
		if got := isVirtualHost([]byte(word)); got != want {
			t.Errorf("%q: %t", word, got)
		}
	}
}
