package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/config"
	"gatehouse/internal/gate"
	"gatehouse/internal/ledger"
	"gatehouse/internal/replay"
)

func TestUnrotated(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"auth.log", "auth.log"},
		{"auth.log.1", "auth.log"},
		{"auth.log.2.gz", "auth.log"},
		{"auth.log.gz", "auth.log"},
		{"auth.log.old", "auth.log"},
		{"auth.log-20261121", "auth.log"},
		{"auth.log-20261121.gz", "auth.log"},
		{"auth.log.2026-11-21-06", "auth.log"},
		{"auth-20261121.log", "auth.log"},
		{"auth.1.log", "auth.log"},
		{"secure-1795000000", "secure"},
		{"port-8080.log", "port-8080.log"},
		{"1", "1"},
	} {
		if got := unrotated(c.in); got != c.want {
			t.Errorf("%s: %s, want %s", c.in, got, c.want)
		}
	}
}

func TestWatchesThatNameALog(t *testing.T) {
	p := &replayPlan{watches: []logWatch{
		{replay.Watch{Name: "sshd"}, []string{"/var/log/auth.log", "/var/log/secure"}},
		{replay.Watch{Name: "nginx"}, []string{"/var/log/nginx/*access.log"}},
		{replay.Watch{Name: "app"}, []string{"/srv/app/*"}},
		{replay.Watch{Name: "own"}, []string{"/srv/own/auth.log"}},
	}}
	for _, c := range []struct{ path, want string }{
		{"/var/log/auth.log", "sshd"},
		{"/var/log/auth.log.3.gz", "sshd"},
		{"/var/log/secure-20261121", "sshd"},
		{"/srv/own/auth.log", "own"},
		{"/home/me/auth.log.1", "sshd, own"},
		{"/home/me/blog-access.log.1", "nginx"},
		{"/srv/app/anything", "app"},
		{"/home/me/anything", ""},
	} {
		if got := watchNames(p.naming(c.path)); got != c.want {
			t.Errorf("%s: %s, want %s", c.path, got, c.want)
		}
	}
}

func TestIsBinary(t *testing.T) {
	for _, c := range []struct {
		in   string
		want bool
	}{
		{"", false},
		{"Nov 21 08:00:00 h sshd[1]: caf\xe9 \x1b[31m\r\n\x00\x00", false},
		{"\x7fELF\x02\x01\x01\x00\x00\x00", true},
		{"\xff\xfeN\x00o\x00v\x00", true}, // UTF-16
	} {
		if got := isBinary([]byte(c.in)); got != c.want {
			t.Errorf("%q: %v, want %v", c.in, got, c.want)
		}
	}
}

// TestReplayHistory: the ledger is read, and not a byte in its folder changes.
func TestReplayHistory(t *testing.T) {
	state := t.TempDir()
	l, err := ledger.Open(state, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	at := func(day int) time.Time { return time.Date(2026, 3, day, 0, 0, 0, 0, time.UTC) }
	subject := func(s string) gate.Subject { return gate.AddrSubject(netip.MustParseAddr(s)) }
	ban := func(s string, day, offence int) gate.Decision {
		return gate.Decision{Time: at(day), Until: at(day).Add(time.Hour), Verdict: gate.Ban, Subject: subject(s), Rule: "sshd",
			Origin: gate.Origin{Source: "file:/var/log/auth.log", Offset: int64(day)}, Offence: offence, Why: "why"}
	}
	l.Append(ledger.Txn{Decisions: []gate.Decision{ban("192.0.2.1", 2, 1), ban("192.0.2.1", 3, 2), ban("192.0.2.1", 9, 3), ban("192.0.2.2", 9, 1)}})
	cancel()
	if err := errors.Join(<-done, l.Close()); err != nil {
		t.Fatal(err)
	}
	before := contents(t, state)
	var told bytes.Buffer
	e := &env{err: &told, now: time.Now, socket: filepath.Join(state, "nobody.sock")}
	past := e.replayHistory(t.Context(), &config.Config{State: state, Forget: 90 * gate.Day}, at(5))
	if n, last := past(subject("192.0.2.1")); n != 2 || !last.Equal(at(3)) {
		t.Errorf("%d offences, the last %v: %s", n, last, told.String())
	}
	if n, _ := past(subject("192.0.2.2")); n != 0 {
		t.Errorf("what came later counts: %d", n)
	}
	if !strings.Contains(told.String(), "history: 1 offender known from before") {
		t.Errorf("told %q", told.String())
	}
	if after := contents(t, state); !slices.Equal(before, after) {
		t.Errorf("the folder changed:\n%q\n%q", before, after)
	}
}

// contents returns the names and the contents of all files of a folder.
func contents(t *testing.T, folder string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		out = append(out, path+": "+string(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
