package host

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	sshd    = "/usr/sbin/sshd"
	session = "/usr/lib/openssh/sshd-session"
)

// Connections to 192.0.2.1:22 (and 2222) from 192.0.2.7 and 192.0.2.8.
var conns = []string{
	"100 0A 010200C0:0016 00000000:0000",
	"107 01 010200C0:0016 070200C0:BDA0",
	"108 01 010200C0:08AE 080200C0:BDA1",
	"109 01 010200C0:1F90 090200C0:BDA2", // a forwarded port
	"110 06 010200C0:0016 0A0200C0:BDA3", // time-wait
}

var listener = proc{pid: 35, ppid: 1, exe: sshd, title: "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups", sockets: []int{100}}

func TestSessions(t *testing.T) {
	for _, tc := range []struct {
		name  string
		procs []proc
		want  string // "peer port user" by comma
	}{
		{"nobody", nil, ""},
		{"no sshd", []proc{{pid: 50, exe: "/bin/sh", title: "sh"}}, ""},
		{"user with a terminal", []proc{listener,
			{pid: 40, ppid: 35, exe: sshd, title: "sshd: bob [priv]", sockets: []int{107}},
			{pid: 47, ppid: 40, uid: 1000, exe: sshd, title: "sshd: bob@pts/0", sockets: []int{200, 107}}}, "192.0.2.7 22 bob"},
		{"user without a terminal", []proc{listener,
			{pid: 40, ppid: 35, exe: sshd, title: "sshd: bob [priv]", sockets: []int{108}},
			{pid: 47, ppid: 40, uid: 1000, exe: sshd, title: "sshd: bob@notty", sockets: []int{108}}}, "192.0.2.8 2222 bob"},
		{"user without a channel", []proc{listener,
			{pid: 40, ppid: 35, exe: sshd, title: "sshd: bob [priv]", sockets: []int{107}},
			{pid: 47, ppid: 40, uid: 1000, exe: sshd, title: "sshd: bob", sockets: []int{107}}}, "192.0.2.7 22 bob"},
		{"two terminals", []proc{listener,
			{pid: 40, ppid: 35, exe: sshd, title: "sshd: bob [priv]", sockets: []int{107}},
			{pid: 47, ppid: 40, uid: 1000, exe: sshd, title: "sshd: bob@pts/0,pts/1", sockets: []int{107}}}, "192.0.2.7 22 bob"},
		{"root", []proc{listener,
			{pid: 54, ppid: 35, exe: sshd, title: "sshd: root@pts/3", sockets: []int{107}}}, "192.0.2.7 22 root"},
		{"OpenSSH 9.8 and later", []proc{listener,
			{pid: 40, ppid: 35, exe: session, title: "sshd-session: bob [priv]", sockets: []int{107}},
			{pid: 47, ppid: 40, uid: 1000, exe: session, title: "sshd-session: bob@pts/0", sockets: []int{107}}}, "192.0.2.7 22 bob"},
		{"program replaced by an upgrade", []proc{
			{pid: 40, ppid: 1, exe: sshd + " (deleted)", title: "sshd: bob [priv]", sockets: []int{107}},
			{pid: 47, ppid: 40, uid: 1000, exe: sshd + " (deleted)", title: "sshd: bob@pts/0", sockets: []int{107}}}, "192.0.2.7 22 bob"},
		{"user of a directory", []proc{listener,
			{pid: 40, ppid: 35, exe: sshd, title: "sshd: bob@example.org [priv]", sockets: []int{107}},
			{pid: 47, ppid: 40, uid: 1000, exe: sshd, title: "sshd: bob@example.org@pts/0", sockets: []int{107}}}, "192.0.2.7 22 bob@example.org"},
		{"two at once", []proc{listener,
			{pid: 54, ppid: 35, exe: sshd, title: "sshd: root@pts/3", sockets: []int{108}},
			{pid: 40, ppid: 35, exe: sshd, title: "sshd: bob [priv]", sockets: []int{107}},
			{pid: 47, ppid: 40, uid: 1000, exe: sshd, title: "sshd: bob@pts/0", sockets: []int{107}}}, "192.0.2.7 22 bob,192.0.2.8 2222 root"},

		{"a mere connection is no session", []proc{listener,
			{pid: 37, ppid: 35, exe: sshd, title: "sshd: [accepted]", sockets: []int{107}},
			{pid: 38, ppid: 37, uid: 102, exe: sshd, title: "sshd: [net]", sockets: []int{107}}}, ""},
		{"nor is who still authenticates", []proc{listener,
			{pid: 40, ppid: 35, exe: sshd, title: "sshd: bob [priv]", sockets: []int{107}},
			{pid: 41, ppid: 40, uid: 102, exe: sshd, title: "sshd: bob [net]", sockets: []int{107}},
			{pid: 42, ppid: 35, exe: sshd, title: "sshd: unknown [priv]", sockets: []int{108}},
			{pid: 43, ppid: 35, exe: sshd, title: "sshd: root [priv]", sockets: []int{108}},
			{pid: 44, ppid: 35, exe: sshd, title: "sshd: bob [preauth]", sockets: []int{108}}}, ""},
		{"a forged title is no session", []proc{listener,
			{pid: 60, ppid: 1, uid: 1000, exe: "/home/bob/evil", title: "sshd: bob@pts/0", sockets: []int{107}}}, ""},
		{"nor is a user's own sshd", []proc{listener,
			{pid: 61, ppid: 1, uid: 1000, exe: "/home/bob/sshd", title: "sshd: bob [priv]", sockets: []int{107}},
			{pid: 62, ppid: 61, uid: 1000, exe: "/home/bob/sshd", title: "sshd: bob@pts/0", sockets: []int{107}},
			{pid: 63, ppid: 1, uid: 1000, exe: "/home/bob/sshd", title: "sshd: bob@pts/0", sockets: []int{108}}}, ""},
		{"a forwarded connection is not the session's", []proc{listener,
			{pid: 40, ppid: 35, exe: sshd, title: "sshd: bob [priv]", sockets: []int{107}},
			{pid: 47, ppid: 40, uid: 1000, exe: sshd, title: "sshd: bob@notty", sockets: []int{109, 107}}}, "192.0.2.7 22 bob"},
		{"a connection that ended is no session", []proc{listener,
			{pid: 54, ppid: 35, exe: sshd, title: "sshd: root@pts/3", sockets: []int{110}}}, ""},
		{"nor is one of another network namespace", []proc{listener,
			{pid: 54, ppid: 35, exe: sshd, title: "sshd: root@pts/3", sockets: []int{999}}}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newTree(t)
			f.conns(conns...)
			f.procs(tc.procs...)
			var got []string
			for _, s := range f.watcher().Snapshot().Sessions {
				got = append(got, fmt.Sprint(s.Peer, " ", s.Port, " ", s.User))
			}
			want := tc.want
			if strings.Join(got, ",") != want {
				t.Errorf("got %q, want %q", strings.Join(got, ","), want)
			}
		})
	}
}

// The tables of sockets are read when a session begins, not each time; a session
// that has ended goes.
func TestSessionsComeAndGo(t *testing.T) {
	f := newTree(t)
	f.conns(conns...)
	f.procs(listener, proc{pid: 54, ppid: 35, exe: sshd, title: "sshd: root@pts/3", sockets: []int{107}})
	w := f.watcher()
	if n := len(w.Snapshot().Sessions); n != 1 {
		t.Fatalf("%d sessions, want 1", n)
	}
	drain(w)
	f.conns() // would be noticed if it were read
	if n := len(w.Refresh().Sessions); n != 1 {
		t.Fatalf("%d sessions, want 1", n)
	}
	select {
	case <-w.Changed():
		t.Error("told of a change without one")
	default:
	}
	if err := os.RemoveAll(filepath.Join(f.root, "proc/54")); err != nil {
		t.Fatal(err)
	}
	if n := len(w.Refresh().Sessions); n != 0 {
		t.Fatalf("%d sessions, want none", n)
	}
	select {
	case <-w.Changed():
	default:
		t.Error("not told of the change")
	}
	if len(w.sess.known) != 0 {
		t.Errorf("still knows %v", w.sess.known)
	}
}

func drain(w *Watcher) {
	select {
	case <-w.Changed():
	default:
	}
}

func TestPeerOf(t *testing.T) {
	base := []proc{listener,
		{pid: 40, ppid: 35, exe: sshd, title: "sshd: bob [priv]", sockets: []int{107}},
		{pid: 47, ppid: 40, uid: 1000, exe: sshd, title: "sshd: bob@pts/0", sockets: []int{107}, loginuid: "1000"},
		{pid: 48, ppid: 47, uid: 1000, exe: "/bin/bash", title: "-bash"},
	}
	second := []proc{
		{pid: 54, ppid: 35, exe: sshd, title: "sshd: root@pts/3", sockets: []int{108}, loginuid: "0"},
		{pid: 55, ppid: 54, exe: "/bin/bash", title: "-bash"},
	}
	server := proc{pid: 70, ppid: 1, uid: 1000, exe: "/usr/bin/tmux", name: "tmux: server", title: "tmux", loginuid: "1000"}
	inside := proc{pid: 71, ppid: 70, uid: 1000, exe: "/bin/bash", title: "-bash"}
	for _, tc := range []struct {
		name  string
		extra []proc
		pid   int
		want  string // "" = unknown
	}{
		{"shell", nil, 48, "192.0.2.7"},
		{"the session itself", nil, 47, "192.0.2.7"},
		{"sudo and su", []proc{
			{pid: 80, ppid: 48, exe: "/usr/bin/sudo", title: "sudo su"},
			{pid: 81, ppid: 80, exe: "/usr/bin/su", title: "su"},
			{pid: 82, ppid: 81, exe: "/bin/bash", title: "bash"}}, 82, "192.0.2.7"},
		{"a daemon", []proc{{pid: 90, ppid: 1, exe: "/usr/sbin/cron", title: "cron"}}, 90, ""},
		{"no such process", nil, 12345, ""},
		{"tmux with a client", append(second, server, inside,
			proc{pid: 72, ppid: 48, uid: 1000, exe: "/usr/bin/tmux", name: "tmux: client", title: "tmux attach"}), 71, "192.0.2.7"},
		{"tmux of root through sudo", append(second,
			proc{pid: 80, ppid: 48, exe: "/usr/bin/sudo", title: "sudo tmux"},
			proc{pid: 83, ppid: 80, exe: "/usr/bin/tmux", name: "tmux: client", title: "tmux"},
			proc{pid: 84, ppid: 1, exe: "/usr/bin/tmux", name: "tmux: server", title: "tmux", loginuid: "1000"},
			proc{pid: 85, ppid: 84, exe: "/bin/bash", title: "bash"}), 85, "192.0.2.7"},
		{"tmux detached, one login", append(second, server, inside), 71, "192.0.2.7"},
		{"tmux detached, login of another", append(second, proc{pid: 70, ppid: 1, uid: 1001, exe: "/usr/bin/tmux", name: "tmux: server", loginuid: "1001"}, inside), 71, ""},
		{"tmux detached, two addresses", []proc{server, inside,
			{pid: 57, ppid: 35, exe: sshd, title: "sshd: bob [priv]", sockets: []int{108}},
			{pid: 58, ppid: 57, uid: 1000, exe: sshd, title: "sshd: bob@pts/9", sockets: []int{108}, loginuid: "1000"}}, 71, ""},
		{"screen", []proc{
			{pid: 76, ppid: 48, uid: 1000, exe: "/usr/bin/screen", title: "screen -r"},
			{pid: 77, ppid: 1, uid: 1000, exe: "/usr/bin/screen", title: "SCREEN"},
			{pid: 78, ppid: 77, uid: 1000, exe: "/bin/sh", title: "sh"}}, 78, "192.0.2.7"},
		{"a circle in the ancestry", []proc{
			{pid: 91, ppid: 92, exe: "/bin/a", title: "a"},
			{pid: 92, ppid: 91, exe: "/bin/b", title: "b"}}, 91, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newTree(t)
			f.conns(conns...)
			f.procs(append(append([]proc{}, base...), tc.extra...)...)
			got, ok := f.watcher().PeerOf(tc.pid)
			if s := got.String(); ok != (tc.want != "") || ok && s != tc.want {
				t.Errorf("got %v %v, want %q", got, ok, tc.want)
			}
		})
	}
}

// TestBelowSSHD tells what is worth a second look from what is local.
func TestBelowSSHD(t *testing.T) {
	f := newTree(t)
	f.procs(listener,
		proc{pid: 40, ppid: 35, exe: sshd, name: "sshd", title: "sshd: bob [priv]"},
		proc{pid: 48, ppid: 40, uid: 1000, exe: "/bin/bash", name: "bash", title: "-bash"},
		proc{pid: 80, ppid: 48, exe: "/usr/bin/sudo", name: "sudo", title: "sudo sh"},
		proc{pid: 90, ppid: 1, exe: "/usr/sbin/cron", name: "cron", title: "cron"},
		proc{pid: 91, ppid: 90, exe: "/bin/sh", name: "sh", title: "sh"})
	s := f.watcher().sess
	for pid, want := range map[int]bool{80: true, 48: true, 91: false, 12345: false} {
		if got := s.belowSSHD(pid); got != want {
			t.Errorf("process %d: %v, want %v", pid, got, want)
		}
	}
}

// Of two clients of one server, it is the one that was typed into last.
func TestPeerOfLastTyped(t *testing.T) {
	for _, tc := range []struct {
		name  string
		older int // the pid of the idle client
		want  string
	}{{"first", 82, "192.0.2.7"}, {"second", 72, "192.0.2.8"}} {
		t.Run(tc.name, func(t *testing.T) {
			f := newTree(t)
			f.conns(conns...)
			f.procs(listener,
				proc{pid: 40, ppid: 35, exe: sshd, title: "sshd: root@pts/0", sockets: []int{107}},
				proc{pid: 72, ppid: 40, exe: "/usr/bin/tmux", name: "tmux: client"},
				proc{pid: 50, ppid: 35, exe: sshd, title: "sshd: root@pts/1", sockets: []int{108}},
				proc{pid: 82, ppid: 50, exe: "/usr/bin/tmux", name: "tmux: client"},
				proc{pid: 70, ppid: 1, exe: "/usr/bin/tmux", name: "tmux: server"},
				proc{pid: 71, ppid: 70, exe: "/bin/sh", title: "sh"})
			now := time.Now()
			for _, pid := range []int{72, 82} {
				tty := fmt.Sprintf("dev/tty%d", pid)
				f.write(tty, "")
				at := now
				if pid == tc.older {
					at = now.Add(-time.Hour)
				}
				if err := os.Chtimes(filepath.Join(f.root, tty), at, now); err != nil {
					t.Fatal(err)
				}
				f.link(filepath.Join(f.root, tty), fmt.Sprintf("proc/%d/fd/0", pid))
			}
			if got, ok := f.watcher().PeerOf(71); !ok || got.String() != tc.want {
				t.Errorf("got %v %v, want %s", got, ok, tc.want)
			}
		})
	}
}

func TestSessionUser(t *testing.T) {
	for _, tc := range []struct {
		title, want string // "" = no session
	}{
		{"sshd: bob@pts/0", "bob"},
		{"sshd: bob@pts/0,pts/12", "bob"},
		{"sshd: bob@notty", "bob"},
		{"sshd: bob@internal-sftp", "bob"},
		{"sshd: bob", "bob"},
		{"sshd: bob@example.org@pts/0", "bob@example.org"},
		{"sshd: bob@example.org", "bob@example.org"},
		{"sshd-session: bob@pts/0", "bob"},
		{"sshd: bob@pts/0   ", "bob"},
		{"sshd: bob [priv]", ""},
		{"sshd: bob [net]", ""},
		{"sshd: bob [preauth]", ""},
		{"sshd: [accepted]", ""},
		{"sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups", ""},
		{"sshd-auth: bob@pts/0", ""},
		{"sshd: ", ""},
		{"sshd: @pts/0", ""},
		{"sshd", ""},
		{"/usr/sbin/sshd -D", ""},
		{"bash", ""},
		{"", ""},
	} {
		got, ok := sessionUser(tc.title)
		if ok != (tc.want != "") || ok && got != tc.want {
			t.Errorf("%q: got %q %v, want %q", tc.title, got, ok, tc.want)
		}
	}
}

func TestListenersFromProc(t *testing.T) {
	f := newTree(t)
	f.conns(append(conns, "120 0A 0100007F:0277 00000000:0000", "121 0A 00000000:0050 00000000:0000")...)
	f.write("proc/net/tcp6", "  sl  local_address\n   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 9 1 0 100 0 0 10 0\n")
	f.write("proc/net/udp", "  sl  local_address\n 1: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 10 1 0 100 0 0 10 0\n 2: 0100007F:9999 0100007F:0035 01 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100 0 0 10 0\n")
	var got []string
	for _, l := range f.watcher().Snapshot().Listeners {
		got = append(got, fmt.Sprint(l.Addr, " ", l.Port, "/", l.Proto))
	}
	want := "0.0.0.0 80/tcp,0.0.0.0 53/udp,127.0.0.1 631/tcp,192.0.2.1 22/tcp,:: 22/tcp"
	if strings.Join(got, ",") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ","), want)
	}
}

func FuzzSessionUserNeverFromBrackets(f *testing.F) {
	for _, s := range []string{"sshd: bob@pts/0", "sshd: bob [priv]", "sshd-session: x [net]", "sshd: [accepted]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		user, ok := sessionUser(s)
		if ok && (user == "" || strings.HasSuffix(strings.TrimRight(s, " "), "]") || !strings.Contains(s, user)) {
			t.Errorf("%q: user %q", s, user)
		}
	})
}

func FuzzStatusReadsBack(f *testing.F) {
	f.Add([]byte("Name:\tsh\nPPid:\t1\nUid:\t0\t0\t0\t0\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, ok := parseStatus(b)
		if !ok {
			return
		}
		again, ok := parseStatus(fmt.Appendf(nil, "Name:\t%s\nPPid:\t%d\nUid:\t%d\t0\t0\t0\n", s.name, s.ppid, s.uid))
		if !ok || again != s {
			t.Errorf("%q: %+v, then %+v %v", b, s, again, ok)
		}
	})
}

func FuzzSocketIsUnmapped(f *testing.F) {
	f.Add([]byte("   1: 010200C0:0016 020200C0:BDA0 01 00000000:00000000 02:000AFBB8 00000000     0        0 28982 2 00"))
	f.Add([]byte("   0: 0000000000000000FFFF0000010200C0:0016 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 9 1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, ok := parseSocket(b)
		if ok && (!s.local.IsValid() || !s.remote.IsValid() || s.local.Addr().Is4In6() || s.remote.Addr().Is4In6()) {
			t.Errorf("%q: %+v", b, s)
		}
	})
}

func FuzzDiagNeverPanics(f *testing.F) {
	f.Add(make([]byte, diagMessageLen))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, ok := parseDiag(b); ok && (!a.IsValid() || a.Addr().Is4In6()) {
			t.Errorf("%x: %v", b, a)
		}
	})
}
