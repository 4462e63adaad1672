package api

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/gate"
)

func TestNoDaemon(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ name, socket string }{
		{"no socket", filepath.Join(dir, "none")},
		{"no folder", filepath.Join(dir, "a", "b")},
	} {
		_, err := NewClient(c.socket).Status(t.Context())
		if !errors.Is(err, ErrNoDaemon) || asError(err).Hint != "start it with: sudo gatehouse run, or systemctl start gatehouse" {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Stop returns when another daemon can start on the same socket.
func TestStopWaits(t *testing.T) {
	f := &fake{}
	socket := filepath.Join(t.TempDir(), "s")
	backend := f.backend()
	var stop func()
	told := make(chan bool, 1)
	backend.Stop = func(flush bool) error {
		told <- flush
		go stop()
		return nil
	}
	stop = run(t, New(Config{Socket: socket}, backend, quietLog()))
	if err := NewClient(socket).Stop(t.Context(), true); err != nil || !<-told {
		t.Fatal(err)
	}
	run(t, New(Config{Socket: socket}, backend, quietLog()))
}

// It waits for the daemon's process, too: what it does last must be done.
func TestStopWaitsForTheProcess(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{"API_TEST_SERVE=" + socket}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	if _, err := out.Read(make([]byte, 1)); err != nil { // it listens
		t.Fatal(err)
	}
	if err := NewClient(socket).Stop(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	var info unix.Siginfo
	err = unix.Waitid(unix.P_PID, cmd.Process.Pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	if err != nil || info.Signo != int32(unix.SIGCHLD) {
		t.Errorf("the process has not ended: %v", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestLongLists(t *testing.T) {
	f := &fake{}
	_, c := serve(t, f)
	subjects := manySubjects(2*MaxSubjects + 17)
	var told []int
	answers, err := c.Ban(t.Context(), Banning{Subjects: subjects}, func(n int) { told = append(told, n) })
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range answers {
		if a.Subject != subjects[i] || !a.Changed {
			t.Fatalf("answer %d is about %s, want %s", i, a.Subject, subjects[i])
		}
	}
	if len(told) != 3 || told[2] != len(subjects) || !slices.IsSorted(told) {
		t.Errorf("progress %v", told)
	}
	slices.Sort(subjects)
	if !slices.Equal(f.subjects(), subjects) {
		t.Error("not everybody was asked about once")
	}
	if _, err := c.Unban(t.Context(), Lifting{Subjects: subjects}, nil); err != nil || len(f.asked) != 2*len(subjects) {
		t.Errorf("unban: %v", err)
	}
}

func TestErrorsReachTheCaller(t *testing.T) {
	f := &fake{err: &Error{Status: 500, Message: "the disk is full", Hint: "make room", Problems: []Problem{{File: "a.yaml", Line: 3, Column: 4, Error: "no"}}}}
	_, c := serve(t, f)
	check := func(what string, err error) {
		t.Helper()
		e := asError(err)
		if e.Message != "the disk is full" || e.Hint != "make room" || len(e.Problems) != 1 || e.Problems[0].Line != 3 {
			t.Errorf("%s: %+v", what, e)
		}
	}
	check("reload", c.Reload(t.Context()))
	check("stop", c.Stop(t.Context(), true))
	_, err := c.Ban(t.Context(), Banning{Subjects: manySubjects(MaxSubjects + 1)}, nil)
	check("ban", err)
	_, err = c.UnbanAll(t.Context(), "")
	check("unban all", err)
	check("bans", c.Bans(t.Context(), BansQuery{}, func(Ban) error { return nil }))
	check("log", c.Log(t.Context(), LogQuery{}, func(gate.Record) error { return nil }))
	f.bans = []Ban{{Subject: sub("192.0.2.1")}, {Subject: sub("192.0.2.2")}}
	n := 0
	err = c.Bans(t.Context(), BansQuery{}, func(Ban) error { n++; return nil })
	check("bans, after two of them", err)
	if n != 2 {
		t.Errorf("%d bans before the error, want 2", n)
	}
	f.err, f.answers = nil, 1
	if _, err := c.Ban(t.Context(), Banning{Subjects: manySubjects(2)}, nil); err == nil || !strings.Contains(err.Error(), "2 wishes got 1 answers") {
		t.Errorf("too few answers: %v", err)
	}
}

func TestDocumentsAreInUTC(t *testing.T) {
	until := noon.Add(time.Hour)
	f := &fake{
		bans:    []Ban{{Subject: sub("192.0.2.1"), Since: noon, Until: &until, Rule: "sshd"}, {Subject: sub("2001:db8::/64"), Since: noon, Rule: "command"}},
		records: []gate.Record{{Seq: 1, Decision: gate.Decision{Time: noon, Until: until, Verdict: gate.Ban, Subject: sub("192.0.2.1"), Proof: &gate.Proof{Count: 1, First: []gate.Event{{Time: noon}}}}}},
	}
	s, c := serve(t, f)
	_, text := raw(t, s.config.Socket, "GET", "/v1/bans", "")
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `"since":"2026-11-21T11:00:00Z","until":"2026-11-21T12:00:00Z"`) || !strings.Contains(lines[1], `"until":null`) {
		t.Errorf("bans:\n%s", text)
	}
	for _, path := range []string{"/v1/log", "/v1/why?subject=192.0.2.1"} {
		if _, text := raw(t, s.config.Socket, "GET", path, ""); strings.Contains(text, "+01:00") || !strings.Contains(text, "2026-11-21T11:00:00Z") {
			t.Errorf("%s: %s", path, text)
		}
	}
	if f.records[0].Proof.First[0].Time.Location() == time.UTC {
		t.Error("the backend's own record was changed")
	}
	var got []Ban
	if err := c.Bans(t.Context(), BansQuery{Rule: "sshd"}, func(b Ban) error { got = append(got, b); return nil }); err != nil || len(got) != 1 || !got[0].Until.Equal(until) {
		t.Errorf("bans of sshd: %v %v", got, err)
	}
	w, err := c.Why(t.Context(), sub("192.0.2.1"))
	if err != nil || w.Sentence != "192.0.2.1 is banned" || len(w.History) != 1 {
		t.Errorf("why: %+v %v", w, err)
	}
}

func TestFollow(t *testing.T) {
	f := &fake{records: []gate.Record{{Seq: 1, Decision: gate.Decision{Verdict: gate.Ban, Subject: sub("192.0.2.1"), Why: "it tried"}}}}
	for _, c := range []struct {
		name string
		end  func(stop func(), cancel context.CancelFunc)
	}{
		{"the daemon stops", func(stop func(), _ context.CancelFunc) { stop() }},
		{"the reader leaves", func(_ func(), cancel context.CancelFunc) { cancel() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			socket := filepath.Join(t.TempDir(), "s")
			s := New(Config{Socket: socket}, f.backend(), quietLog())
			stop := run(t, s)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			got, ended := make(chan uint64), make(chan error, 1)
			go func() {
				ended <- NewClient(socket).Log(ctx, LogQuery{Follow: true}, func(r gate.Record) error { got <- r.Seq; return nil })
			}()
			if seq := <-got; seq != 1 { // it comes although the stream goes on
				t.Errorf("record %d", seq)
			}
			c.end(stop, cancel)
			if err := <-ended; err != nil && ctx.Err() == nil {
				t.Errorf("following ends without an error, got %v", err)
			}
		})
	}
}

func TestYieldEndsTheStream(t *testing.T) {
	f := &fake{bans: make([]Ban, 10)}
	for i := range f.bans {
		f.bans[i].Subject = sub("192.0.2.1")
	}
	_, c := serve(t, f)
	enough := errors.New("enough")
	n := 0
	if err := c.Bans(t.Context(), BansQuery{}, func(Ban) error { n++; return enough }); err != enough || n != 1 {
		t.Errorf("%v after %d", err, n)
	}
}

func TestParseEntry(t *testing.T) {
	for _, c := range []struct{ text, sub, name string }{
		{"192.0.2.1", "192.0.2.1", ""},
		{"192.0.2.9/24", "192.0.2.0/24", ""},
		{"2001:db8::1", "2001:db8::1", ""},
		{"admin.example.org", "", "admin.example.org"},
		{"Admin.Example.ORG.", "", "admin.example.org"},
		{"localhost", "", "localhost"},
		{"my_host-1.lan", "", "my_host-1.lan"},
	} {
		s, name, err := ParseEntry(c.text)
		if err != nil || s.String() != c.sub || name != c.name {
			t.Errorf("%s: %q %q %v", c.text, s, name, err)
		}
	}
	for _, bad := range []string{"", ".", "a..b", "192.0.2", "1.2.3.4.5", "300.1.2.3", "-a", "a-", "a b", "a/b", "port:22/tcp/in", "ä.example", "x\x1b[2J", strings.Repeat("a.", 130) + "a", strings.Repeat("a", 64)} {
		if s, name, err := ParseEntry(bad); err == nil {
			t.Errorf("%q is taken for %q %q", bad, s, name)
		}
	}
}
