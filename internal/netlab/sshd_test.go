package netlab

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestSSHD(t *testing.T) {
	for _, mode := range []struct {
		name   string
		syslog bool
		want   string // of a wrong password
	}{
		{"standard error", false, "Failed password for invalid user admin from 192.0.2.2 port "},
		{"syslog", true, "]: Failed password for invalid user admin from 192.0.2.2 port "},
	} {
		t.Run(mode.name, func(t *testing.T) {
			lab := New(t)
			gate, peer := lab.Host("gate"), lab.Host("peer")
			lab.Link(gate.At("192.0.2.1/24", "2001:db8::1/64"), peer.At("192.0.2.2/24", "2001:db8::2/64"))
			key, public := peer.NewKey("key")
			stranger, _ := peer.NewKey("stranger")
			d := StartSSHD(gate, SSHOptions{Users: []string{"friend"}, Keys: []string{public}, Syslog: mode.syslog})
			six := netip.MustParseAddrPort("[2001:db8::1]:22")
			for _, tc := range []struct {
				name string
				l    Login
				in   bool
			}{
				{"password", Login{To: d.Addr, User: "friend", Password: Password}, true},
				{"key", Login{To: d.Addr, User: "friend", Keys: []string{key}}, true},
				{"IPv6", Login{To: six, User: "friend", Password: Password}, true},
				{"wrong key first", Login{To: d.Addr, User: "friend", Keys: []string{stranger, key}}, true},
				{"wrong password", Login{To: d.Addr, User: "friend", Password: "guess"}, false},
				{"invalid user", Login{To: d.Addr, User: "admin", Password: "guess"}, false},
				{"stranger", Login{To: d.Addr, User: "friend", Keys: []string{stranger}}, false},
				{"root", Login{To: d.Addr, User: "root", Password: Password}, d.Real},
			} {
				if got := peer.TrySSH(tc.l); got.In != tc.in {
					t.Errorf("%s: in = %v, want %v: %s", tc.name, got.In, tc.in, got.Said)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			line, err := d.Wait(ctx, func(s string) bool { return strings.Contains(s, mode.want) })
			if err != nil {
				t.Fatalf("%v\n%s", err, strings.Join(d.All(), "\n"))
			}
			if mode.syslog && !strings.Contains(line, " gate sshd") {
				t.Errorf("no header: %q", line)
			}
			s, err := peer.OpenSSH(ctx, Login{To: d.Addr, User: "friend", Password: Password})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.Beat(time.Second); err != nil {
				t.Error(err)
			}
			if testing.Verbose() {
				t.Log("\n" + strings.Join(d.All(), "\n"))
			}
		})
	}
}

func TestFormatLine(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tc := range []struct{ in, want string }{
		{"<38>Nov 21 08:00:00 sshd[7]: hello", "Jan  2 03:04:05 gate sshd[7]: hello"},
		{"<38>Nov 21 08:00:00 sshd[7]: a\nb\x1b[0m\n", "Jan  2 03:04:05 gate sshd[7]: a#012b#033[0m"},
		{"sshd: hello", "Jan  2 03:04:05 gate sshd: hello"},
		{"", "Jan  2 03:04:05 gate "},
	} {
		if got := formatLine(tc.in, "gate", now); got != tc.want {
			t.Errorf("%q: got %q, want %q", tc.in, got, tc.want)
		}
	}
}

func TestOpenSSHVersion(t *testing.T) {
	for _, tc := range []struct {
		in           string
		major, minor int
		ok           bool
	}{
		{"OpenSSH_9.2, OpenSSL 3.0.19 27 Jan 2026", 9, 2, true},
		{"unknown option -- V\nOpenSSH_7.4p1, OpenSSL 1.0.2k", 7, 4, true},
		{"OpenSSH_10.0p2 Debian-7", 10, 0, true},
		{"dropbear", 0, 0, false},
	} {
		if a, b, ok := OpenSSHVersion(tc.in); a != tc.major || b != tc.minor || ok != tc.ok {
			t.Errorf("%q: got %d.%d %v", tc.in, a, b, ok)
		}
	}
}
