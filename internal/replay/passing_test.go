package replay

import (
	"strings"
	"testing"
	"time"
)

func TestFirstAddr(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{`192.0.2.7 - - [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "Chrome/120.0.0.0"`, "192.0.2.7"},
		{`2001:db8::7 - - [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "Chrome/120.0.0.0"`, "2001:db8::7"},
		{`Nov 21 08:00:00 h sshd[1]: Connection closed by 192.0.2.7 port 22`, "192.0.2.7"},
		{`Nov 21 08:00:00 h sshd[1]: Connection closed by 2001:db8::7 port 22`, "2001:db8::7"},
		{`Nov 21 08:00:00 h sshd[1]: Connection closed by 2001:db8:1:2:3:4:5:6 port 22`, "2001:db8:1:2:3:4:5:6"},
		{`Nov 21 08:00:00 h x: from ::ffff:192.0.2.7`, "192.0.2.7"},
		{`client 192.0.2.7#53: query`, "192.0.2.7"},
		{`rhost=192.0.2.7.`, "192.0.2.7"},
		{`[192.0.2.7]:22`, "192.0.2.7"},
		{`192.0.2.7:8080 and 192.0.2.8`, "192.0.2.7"},
		{`2001:db8::7: gone`, "2001:db8::7"},
		{`version 1.2.3.4.5`, ""},
		{`v1.2.3.4`, ""},
		{`lib-1.2.3.4`, ""},
		{`1.2.3.4x`, ""},
		{`300.1.1.1 1.2.3`, ""},
		{`0001.2.3.4`, ""},
		{`1.2.3.04`, ""},
		{`1..2.3.4`, ""},
		{`08:00:00 std::string a:b:c`, ""},
		{``, ""},
		{`.`, ""},
	} {
		a := firstAddr([]byte(c.line))
		if got := map[bool]string{true: a.String()}[a.IsValid()]; got != c.want {
			t.Errorf("%q: %q, want %q", c.line, got, c.want)
		}
	}
}

func FuzzFirstAddrIsInTheLine(f *testing.F) {
	for _, s := range []string{"192.0.2.7 x", "a 2001:db8::1 b", "::", "1.2.3.4:5", "::ffff:1.2.3.4."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		a := firstAddr([]byte(line))
		if a.Is4In6() || a.Zone() != "" {
			t.Errorf("%q: %#v is not in the form that subjects have", line, a)
		}
		if a.Is4() && !strings.Contains(line, a.String()) && !strings.Contains(line, ":") {
			t.Errorf("%q: %v is not in it", line, a)
		}
	})
}

func TestDates(t *testing.T) {
	f := newFeed(&Source{Written: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}, 0, new(matchers), newDates(), Options{Zone: time.UTC}.withDefaults(1))
	d := newDater(f)
	want := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	for _, line := range []string{
		`Nov 21 08:00:00 h sshd[1]: hello`,
		`2026-11-21T08:00:00Z h sshd[1]: hello`,
		`192.0.2.7 - - [21/Nov/2026:09:00:00 +0100] "GET / HTTP/1.1" 200 1`,
	} {
		if got := d.of([]byte(line)); !got.Equal(want) {
			t.Errorf("%q: %v, want %v", line, got, want)
		}
	}
	for _, line := range []string{"hello", "", "[", "[21/Nov/2026:09:00:00 +0100", "[xx/Nov/2026:09:00:00 +0100]"} {
		if got := d.of([]byte(line)); !got.IsZero() {
			t.Errorf("%q: %v, want none", line, got)
		}
	}
}
