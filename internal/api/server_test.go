package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

// raw sends a request as anybody could write it.
func raw(t *testing.T, socket, method, path, body string) (int, string) {
	t.Helper()
	h := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	defer h.CloseIdleConnections()
	req, err := http.NewRequest(method, "http://x"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := h.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestRequests(t *testing.T) {
	many, _ := json.Marshal(map[string]any{"subjects": manySubjects(MaxSubjects + 1)})
	for _, c := range []struct {
		name   string
		route  string
		body   string
		status int
		want   string // part of the answer
	}{
		{"status", "GET /v1/status", "", 200, `"state":"guarding","since":"2026-11-21T11:00:00Z"`},
		{"never without a length", "GET /v1/status", "", 200, `"never":["127.0.0.0/8"]`},
		{"an empty allow list is an array", "GET /v1/allow", "", 200, `[]`},
		{"ban", "POST /v1/bans", `{"subjects":["192.0.2.7/32"],"for":"1h"}`, 200, `[{"subject":"192.0.2.7","changed":true,"until":"2026-11-21T12:00:00Z"}]`},
		{"ban forever has no until", "POST /v1/bans", `{"subjects":["192.0.2.7"],"for":"forever"}`, 200, `[{"subject":"192.0.2.7","changed":true}]`},
		{"refused", "POST /v1/bans", `{"subjects":["127.0.0.1"]}`, 200, `"changed":false,"refused":"it is loopback","hint":"leave it"`},
		{"4-in-6", "POST /v1/bans", `{"subjects":["::ffff:192.0.2.7"]}`, 200, `"subject":"192.0.2.7"`},
		{"not an address", "POST /v1/bans", `{"subjects":["192.0.2.1","300.1.1.1"]}`, 422, `\"300.1.1.1\"`},
		{"a port is not banned", "POST /v1/bans", `{"subjects":["port:22/tcp/in"]}`, 422, `only an address or a prefix`},
		{"hostile subject", "POST /v1/bans", `{"subjects":["\u001b[2J"]}`, 422, `\\x1b`},
		{"nobody", "POST /v1/bans", `{"subjects":[]}`, 422, `body.subjects`},
		{"too many", "POST /v1/bans", string(many), 422, `body.subjects`},
		{"bad duration", "POST /v1/bans", `{"subjects":["192.0.2.1"],"for":"soon"}`, 422, `is not a duration`},
		{"no time at all", "POST /v1/bans", `{"subjects":["192.0.2.1"],"for":"0s"}`, 422, `no time at all`},
		{"bad ports", "POST /v1/bans", `{"subjects":["192.0.2.1"],"ports":"22/sctp"}`, 422, `is not a protocol`},
		{"unknown key", "POST /v1/bans", `{"subjects":["192.0.2.1"],"forr":"1h"}`, 422, `body.forr`},
		{"long reason", "POST /v1/bans", `{"subjects":["192.0.2.1"],"reason":"` + strings.Repeat("x", 513) + `"}`, 422, `body.reason`},
		{"not JSON", "POST /v1/bans", `ban him`, 400, `"error":`},
		{"no body", "POST /v1/bans", ``, 400, `request body is required`},
		{"oversized body", "POST /v1/bans", `{"subjects":["` + strings.Repeat("1", maxBody) + `"]}`, 413, `"hint":"send it in smaller parts"`},
		{"unban", "POST /v1/bans/lift", `{"subjects":["192.0.2.7"]}`, 200, `"changed":true`},
		{"unban all", "POST /v1/bans/lift", `{"all":true}`, 200, `"changed":true`},
		{"unban nobody", "POST /v1/bans/lift", `{}`, 422, `name the subjects`},
		{"unban all and one", "POST /v1/bans/lift", `{"all":true,"subjects":["192.0.2.7"]}`, 422, `not both`},
		{"allow a name", "POST /v1/allow", `{"entries":["Admin.Example.org."]}`, 200, `"subject":"admin.example.org"`},
		{"allow a broken address", "POST /v1/allow", `{"entries":["192.0.2"]}`, 422, `neither`},
		{"why", "GET /v1/why?subject=192.0.2.7", "", 200, `"sentence":"192.0.2.7 is banned"`},
		{"why nobody", "GET /v1/why", "", 422, `query.subject`},
		{"why nonsense", "GET /v1/why?subject=me", "", 422, `not an address`},
		{"unknown query", "GET /v1/bans?role=sshd", "", 422, `query.role`},
		{"no bans", "GET /v1/bans", "", 200, ``},
		{"log", "GET /v1/log?last=-1", "", 422, `query.last`},
		{"reload", "POST /v1/reload", "", 200, `{"done":true}`},
		{"no such route", "GET /v2/status", "", 404, `there is no route GET`},
		{"wrong method", "DELETE /v1/bans", "", 404, `there is no route DELETE`},
		{"description", "GET /openapi.json", "", 200, `"openapi": "3.1.0"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := serve(t, &fake{})
			method, path, _ := strings.Cut(c.route, " ")
			status, body := raw(t, s.config.Socket, method, path, c.body)
			if c.want == "neither" {
				c.want = "is not an address, a prefix or a host name"
			}
			want := strings.Replace(c.want, "neither", "is not an address, a prefix or a host name", 1)
			if status != c.status || !strings.Contains(body, want) {
				t.Errorf("got %d %s\nwant %d …%s…", status, body, c.status, want)
			}
			if status >= 400 {
				var e Error
				if err := json.Unmarshal([]byte(body), &e); err != nil || e.Message == "" {
					t.Errorf("an error is a document with an error in it, got %s", body)
				}
			}
		})
	}
}

func TestWishes(t *testing.T) {
	f := &fake{}
	_, c := serve(t, f)
	_, err := c.Ban(t.Context(), Banning{Subjects: []string{"192.0.2.7"}, For: "2h", Ports: "22/tcp 53/udp", Reason: "because"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := f.asked[0]
	if w.Verdict != gate.Ban || w.For != 2*time.Hour || w.Ports.String() != "22/tcp 53/udp" || w.Reason != "because" || w.Subject != sub("192.0.2.7") {
		t.Errorf("wished %+v", w)
	}
	if want := (Caller{UID: uint32(os.Geteuid()), Right: RightWrite}).By(); w.By != want {
		t.Errorf("by %q, want %q", w.By, want)
	}
}

func TestRightOf(t *testing.T) {
	const own, group = 500, 42
	for _, c := range []struct {
		name  string
		c     Caller
		group int
		want  Right
	}{
		{"root", Caller{UID: 0, GID: 0}, group, RightWrite},
		{"the daemon's user", Caller{UID: own, GID: 7}, group, RightWrite},
		{"a member by its first group", Caller{UID: 1000, GID: group}, group, RightRead},
		{"a member by another group", Caller{UID: 1000, GID: 7, Groups: []uint32{8, group}}, group, RightRead},
		{"somebody", Caller{UID: 1000, GID: 7, Groups: []uint32{8}}, group, RightNone},
		{"somebody, without the group", Caller{UID: 1000, GID: 7}, -1, RightNone},
		{"root's group is not root", Caller{UID: 1000, GID: 0}, -1, RightNone},
	} {
		if got := rightOf(c.c, own, c.group); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestBy(t *testing.T) {
	for _, c := range []struct {
		c    Caller
		want string
	}{
		{Caller{Right: RightWrite}, "root"},
		{Caller{UID: 1000, Right: RightRead}, "uid 1000"},
		{Caller{UID: 1000}, "uid 1000"},
		{Caller{}, "an unknown process"},
	} {
		if got := c.c.By(); got != c.want {
			t.Errorf("%+v: %q, want %q", c.c, got, c.want)
		}
	}
}

func TestRefuse(t *testing.T) {
	s := &Server{config: Config{Group: "gatehouse"}, group: 42}
	for _, c := range []struct {
		right  Right
		method string
		want   string
	}{
		{RightWrite, "POST", ""},
		{RightWrite, "GET", ""},
		{RightRead, "GET", ""},
		{RightRead, "POST", "uid 9 may look, but not change anything"},
		{RightRead, "BREW", "uid 9 may look, but not change anything"},
		{RightNone, "GET", "uid 9 may not talk to the daemon"},
		{RightNone, "POST", "uid 9 may not talk to the daemon"},
	} {
		e := s.refuse(Caller{UID: 9, Right: c.right}, c.method)
		got := ""
		if e != nil {
			if got = e.Message; e.Hint == "" || e.GetStatus() != 403 {
				t.Errorf("%v %s: status %d, hint %q", c.right, c.method, e.GetStatus(), e.Hint)
			}
		}
		if got != c.want {
			t.Errorf("%v %s: %q, want %q", c.right, c.method, got, c.want)
		}
	}
}

// Other users' processes connect for real; only root can start them.
func TestOtherUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("starting processes of other users needs root")
	}
	const group = 4711
	for _, c := range []struct {
		name   string
		mode   os.FileMode
		cred   syscall.Credential
		expect string
	}{
		{"a member looks", 0o666, syscall.Credential{Uid: 65534, Gid: 65534, Groups: []uint32{group}}, "look: ok\nban: 403 uid 65534 may look, but not change anything | use sudo\n"},
		{"a stranger is told", 0o666, syscall.Credential{Uid: 65534, Gid: 65534}, "look: 403 uid 65534 may not talk to the daemon | use sudo; members of the group gatehouse may look\nban: 403 uid 65534 may not talk to the daemon | use sudo; members of the group gatehouse may look\n"},
		{"the file itself keeps out", 0o600, syscall.Credential{Uid: 65534, Gid: 65534}, "look: 0 no access: no permission on SOCKET | use sudo; members of the group gatehouse may look\nban: 0 no access: no permission on SOCKET | use sudo; members of the group gatehouse may look\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "gh")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			socket := filepath.Join(dir, "s")
			s := New(Config{Socket: socket, Group: "gatehouse"}, (&fake{}).backend(), slog.New(slog.DiscardHandler))
			s.group = group
			run(t, s)
			if err := os.Chmod(socket, c.mode); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = []string{"API_TEST_CALL=" + socket}
			cmd.Dir = "/"
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &c.cred}
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if got := strings.ReplaceAll(string(out), socket, "SOCKET"); got != c.expect {
				t.Errorf("got\n%swant\n%s", got, c.expect)
			}
		})
	}
}

func TestListen(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	server := func(socket string) *Server { return New(Config{Socket: socket}, (&fake{}).backend(), quiet) }
	socket := filepath.Join(t.TempDir(), "deep", "gh.sock")

	first := server(socket)
	stop := run(t, first)
	fi, err := os.Stat(socket)
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Fatalf("without the group the socket is for its owner only: %v %v", fi.Mode(), err)
	}
	err = server(socket).Listen()
	if err == nil || !strings.Contains(err.Error(), "a daemon answers there already") || asError(err).Hint == "" {
		t.Errorf("a second daemon: %v", err)
	}
	if _, err := NewClient(socket).Status(t.Context()); err != nil {
		t.Errorf("the first one goes on: %v", err)
	}
	stop()
	if _, err := os.Lstat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket stays behind: %v", err)
	}

	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	stop = run(t, server(socket)) // a stale one is replaced
	stop()

	if err := os.WriteFile(socket, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := server(socket).Listen(); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("a file in its place: %v", err)
	}
	if err := server("/tmp/" + strings.Repeat("x", 120)).Listen(); err == nil || !strings.Contains(err.Error(), "longer than 107") {
		t.Errorf("a long path: %v", err)
	}
}

func TestPanicEndsOneRequest(t *testing.T) {
	var log bytes.Buffer
	f := &fake{hook: func() { panic("boom") }}
	socket := filepath.Join(t.TempDir(), "s")
	s := New(Config{Socket: socket}, f.backend(), slog.New(slog.NewTextHandler(&log, nil)))
	stop := run(t, s)
	status, body := raw(t, socket, "GET", "/v1/status", "")
	if status != 500 || !strings.Contains(body, `"error":"internal error"`) {
		t.Errorf("got %d %s", status, body)
	}
	if status, _ := raw(t, socket, "GET", "/v1/allow", ""); status != 200 {
		t.Errorf("the server goes on: %d", status)
	}
	stop()
	if !strings.Contains(log.String(), "boom") {
		t.Errorf("the log says what it was: %s", log.String())
	}
}

func TestTooManyAtOnce(t *testing.T) {
	enter, leave := make(chan struct{}), make(chan struct{})
	f := &fake{hook: func() { enter <- struct{}{}; <-leave }}
	s, c := serve(t, f)
	ended := make(chan error, maxConcurrent)
	for range maxConcurrent {
		go func() { _, err := c.Status(t.Context()); ended <- err }()
	}
	for range maxConcurrent {
		<-enter
	}
	status, body := raw(t, s.config.Socket, "GET", "/v1/allow", "")
	if status != 503 || !strings.Contains(body, "too many requests") {
		t.Errorf("got %d %s", status, body)
	}
	close(leave)
	for range maxConcurrent {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
