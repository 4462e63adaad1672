package demo

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gate"
	"gatehouse/internal/netlab"
)

func TestMain(m *testing.M) {
	if code, ours := Main(os.Args); ours {
		os.Exit(code)
	}
	if mode := os.Getenv(envFake); mode != "" && len(os.Args) > 2 && os.Args[1] == "--config" {
		os.Exit(runFake(mode, os.Args))
	}
	os.Exit(m.Run())
}

// run plays a show guarded by a fake, or by the program that GATEHOUSE_BIN names.
func run(t *testing.T, mode string, o Options) (string, error) {
	t.Helper()
	if err := netlab.HasSSH(); err != nil {
		t.Skip(err)
	}
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip(err)
	}
	t.Setenv(envFake, mode)
	var out strings.Builder
	err := Run(t.Context(), &out, o)
	if r, ok := errors.AsType[*netlab.Refusal](err); ok {
		t.Skip(r)
	}
	return out.String(), err
}

func TestShow(t *testing.T) {
	out, err := run(t, "good", Options{hasty: true})
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"4 of 4 attackers banned, each within ", "nobody else was banned", "knocks answered before: 12 of 12, after: 0",
		"heartbeats, none lost", "nothing of this machine was touched", "BANS 198.51.100.23 for 10m", "BANS 2001:db8:bad::/64",
		"$ gatehouse why 2001:db8:bad::", "opens the kitchen window", "the house: armed, broken into, the phone told within ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.ContainsAny(out, "\x1b\r") || strings.Contains(out, "✗") {
		t.Error("escapes or crosses in the output")
	}
	if t.Failed() || testing.Verbose() {
		t.Log("\n" + out)
	}
}

// A guard that only talks does not pass, nor does one that bans the innocent.
func TestShowDoesNotPretend(t *testing.T) {
	for _, tc := range []struct{ mode, want string }{
		{"toothless", "✗ knocks answered before: 12 of 12, after: 12"},
		{"eager", "✗ nobody else was banned: but [192.0.2.10]"},
	} {
		t.Run(tc.mode, func(t *testing.T) {
			out, err := run(t, tc.mode, Options{hasty: true})
			if err == nil || !strings.Contains(out, tc.want) {
				t.Errorf("error %v; want %q in:\n%s", err, tc.want, out)
			}
			if strings.Contains(out, "All of it happened") {
				t.Error("claims success")
			}
		})
	}
}

// Ctrl-C in the middle leaves nothing behind.
func TestInterrupt(t *testing.T) {
	if err := netlab.HasSSH(); err != nil {
		t.Skip(err)
	}
	t.Setenv(envFake, "good")
	t.Setenv("TMPDIR", t.TempDir())
	m, err := lookAtMachine()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, w, Options{})
		w.Close()
	}()
	var seen strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(seen.String(), "mistyped once") {
		n, err := r.Read(buf)
		if err != nil {
			break
		}
		seen.Write(buf[:n])
	}
	cancel()
	go io.Copy(io.Discard, r)
	err = <-done
	if r, ok := errors.AsType[*netlab.Refusal](err); ok {
		t.Skip(r)
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v\n%s", err, seen.String())
	}
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if err := m.untouched(filepath.Join(os.TempDir(), "gatehouse-demo-")); err != nil {
		t.Error(err)
	}
}

func TestColours(t *testing.T) {
	var b strings.Builder
	s := newScreen(&b, Options{Colour: true, Live: true, Width: 20}, time.Now())
	s.setStatus("a status that is too long for it")
	s.event("gatehouse", blue, "BANS")
	s.setStatus("")
	got := b.String()
	if !strings.HasPrefix(got, "\x1b[2ma status that is t…\x1b[0m\r\x1b[K") || !strings.HasSuffix(got, "\r\x1b[K") {
		t.Errorf("%q", got)
	}
}

func TestLoginLine(t *testing.T) {
	for _, tc := range []struct {
		line, user, from string // from "" = no such line
		failure          bool
	}{
		{"Nov 21 08:00:00 gate sshd[7]: Failed password for root from 198.51.100.23 port 4 ssh2", "root", "198.51.100.23", true},
		{"Nov 21 08:00:00 gate sshd[7]: Failed password for invalid user pi from 2001:db8::1 port 4 ssh2", "pi", "2001:db8::1", true},
		{"Nov 21 08:00:00 gate sshd[7]: Invalid user pi from 2001:db8::1 port 4", "pi", "2001:db8::1", false},
		{"Failed password for invalid user x from 192.0.2.1 port 1 from 198.51.100.23 port 4 ssh2", "x from 192.0.2.1 port 1", "198.51.100.23", true},
		{"Accepted password for ada from 192.0.2.10 port 4 ssh2", "", "", false},
		{"Failed password for root", "", "", false},
		{"Failed password for root from nowhere port 4", "", "", false},
	} {
		user, from, failure, ok := loginLine(tc.line)
		if ok != (tc.from != "") || ok && (user != tc.user || from != netip.MustParseAddr(tc.from) || failure != tc.failure) {
			t.Errorf("%q: got %q %v %v %v", tc.line, user, from, failure, ok)
		}
	}
}

func TestInstallHint(t *testing.T) {
	for _, tc := range []struct{ release, want string }{
		{"ID=debian\n", "sudo apt install openssh-server openssh-client"},
		{"NAME=\"Linux Mint\"\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", "sudo apt install"},
		{"ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", "sudo dnf install"},
		{"ID=fedora\n", "sudo dnf install"},
		{"ID=arch\n", "sudo pacman -S openssh"},
		{"ID=plan9\n", "package manager"},
		{"", "package manager"},
	} {
		name := filepath.Join(t.TempDir(), "os-release")
		if err := os.WriteFile(name, []byte(tc.release), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := installHint(name); !strings.Contains(got, tc.want) {
			t.Errorf("%q: got %q", tc.release, got)
		}
	}
}

func TestWhose(t *testing.T) {
	s := &show{cast: newCast()}
	for _, tc := range []struct{ subject, want string }{
		{"198.51.100.23", "sprinter"},
		{"2001:db8:bad::/64", "hopper"},
		{"2001:db8:bad::5", "hopper"},
		{"2001:db8::/32", ""},
		{"198.51.100.0/24", ""},
		{"192.0.2.10", ""},
		{"203.0.113.1", ""},
	} {
		sub, err := gate.ParseSubject(tc.subject)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if a := s.whose(sub); a != nil {
			got = a.name
		}
		if got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.subject, got, tc.want)
		}
	}
}

func TestRefused(t *testing.T) {
	r := &netlab.Refusal{Err: os.ErrPermission, Setting: "user.max_user_namespaces = 0", Hint: "run it as root, or allow them with: sudo sysctl user.max_user_namespaces=15000"}
	e := refused(r)
	if !strings.Contains(e.Error(), "user.max_user_namespaces = 0") {
		t.Errorf("%q does not name the setting", e)
	}
	if os.Geteuid() != 0 && !strings.Contains(e.Hint, "sudo gatehouse demo") {
		t.Errorf("hint %q", e.Hint)
	}
}
