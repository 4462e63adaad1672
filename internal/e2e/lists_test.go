package e2e

import (
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// listed is an element of `lists --json`.
type listed struct {
	Name, State, Problem string
	InForce              bool `json:"in_force"`
	Prefixes, Held       int
	Packets              uint64
}

// awaitList waits until a list is as it should be.
func awaitList(t *testing.T, y *yard, what string, is func(listed) bool) {
	t.Helper()
	var ls []listed
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		y.daemon.JSON(&ls, "lists")
		if len(ls) == 1 && is(ls[0]) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %+v\n%s", what, ls, y.daemon.Log())
		}
	}
}

// put replaces a file whole.
func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// TestBlockList is the life of a list in the kernel: who is on it is shut out, who is
// allowed is not, a change is in force within a second, what changes too much is held
// back, and all of it survives a kill.
func TestBlockList(t *testing.T) {
	file := filepath.Join(t.TempDir(), "drop.txt")
	put(t, file, "# bad ones\n192.0.2.10\n2001:db8::10\n192.0.2.11\n192.0.2.1\n0.0.0.0/0\n")
	y := newYard(t, "watch: []\nallow: [192.0.2.11]\nlists: [{name: drop, file: "+file+"}]\n", "bad", "friend", "other")
	y.daemon.Start()
	echo(t, y.gate, ":7000")
	bad, friend, other := netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("192.0.2.12")
	to := gate4 + ":7000"
	awaitList(t, y, "the first content", func(l listed) bool { return l.State == "good" && l.InForce && l.Prefixes == 2 })
	if reaches(y.others["bad"], netip.MustParseAddr("2001:db8::10"), "["+gate6+"]:7000") {
		t.Error("who is on the list gets through")
	}
	if !reaches(y.others["friend"], friend, to) || !reaches(y.others["other"], other, to) {
		t.Error("who is allowed, or not on the list, does not get through")
	}
	if out := y.daemon.Must("why", "192.0.2.10"); !strings.Contains(out, "192.0.2.10 lies in 192.0.2.10/31, which is banned by the list drop") {
		t.Error(out)
	}
	if out := y.daemon.Must("why", "192.0.2.11"); !strings.Contains(out, "is allowed") || !strings.Contains(out, "(spared here)") {
		t.Error(out)
	}
	if out := y.daemon.Must("export", "--list", "drop"); out != "192.0.2.10\n2001:db8::10\n" {
		t.Errorf("%q", out)
	}

	begun := time.Now()
	put(t, file, "192.0.2.12\n2001:db8::10\n")
	for reaches(y.others["other"], other, to) {
	}
	if d := time.Since(begun); d > 3*time.Second { // the last attempt waits for two
		t.Errorf("a change took %v", d)
	}
	if !reaches(y.others["bad"], bad, to) {
		t.Error("who is no longer on the list does not get through")
	}

	y.daemon.Must("allow", "add", "192.0.2.12")
	if !reaches(y.others["other"], other, to) {
		t.Error("who was just allowed does not get through")
	}
	y.daemon.Must("allow", "remove", "192.0.2.12")
	awaitList(t, y, "allowed no longer", func(l listed) bool { return l.Prefixes == 2 })
	put(t, file, "192.0.2.10\n192.0.2.12\n110.0.0.0/8\n")
	awaitList(t, y, "held back", func(l listed) bool { return l.State == "held back" && l.Held == 3 })
	if out := y.daemon.Must("log"); !strings.Contains(out, "list drop from "+file+" is held back: it covers more than 100 % more addresses") {
		t.Error(out)
	}
	y.daemon.Kill()
	y.daemon.Start()
	awaitList(t, y, "after a kill", func(l listed) bool { return l.State == "held back" && l.InForce })
	if reaches(y.others["other"], other, to) || !reaches(y.others["bad"], bad, to) {
		t.Error("after a kill the list is another one")
	}
	y.daemon.Must("lists", "accept", "drop")
	awaitList(t, y, "accepted", func(l listed) bool { return l.State == "good" && l.Prefixes == 3 })
	if reaches(y.others["bad"], bad, to) {
		t.Error("what was accepted is not in force")
	}

	put(t, file, "<html>please log in</html>\n")
	awaitList(t, y, "a page", func(l listed) bool {
		return l.State == "failing" && strings.Contains(l.Problem, "a page of HTML") && l.Prefixes == 3
	})
	y.daemon.Configure("watch: []\n")
	y.daemon.Must("reload")
	for end := time.Now().Add(10 * time.Second); !reaches(y.others["bad"], bad, to); {
		if time.Now().After(end) {
			t.Fatal("a list that the configuration no longer has is in force")
		}
	}
}

// TestExports keeps a web server's file equal to the bans, has its command run behind
// each change, and serves the bans to others.
func TestExports(t *testing.T) {
	dir := t.TempDir()
	deny, token := filepath.Join(dir, "deny.conf"), filepath.Join(dir, "token")
	put(t, token, "0123456789abcdef0123456789abcdef\n")
	if err := os.Chmod(token, 0o600); err != nil {
		t.Fatal(err)
	}
	reloaded := filepath.Join(dir, "reloaded")
	y := newYard(t, fmt.Sprintf("watch: []\nexports:\n  - {to: %s, format: nginx, reload: [/bin/cp, %s, %s]}\n  - {serve: \"http://127.0.0.1:8099/bans\", token: %s}\n", deny, deny, reloaded, token))
	y.daemon.Start()
	y.daemon.Must("ban", "203.0.113.9", "198.51.100.0/24")
	const want = "deny 198.51.100.0/24;\ndeny 203.0.113.9;\n"
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if b, _ := os.ReadFile(reloaded); string(b) == want {
			break
		}
		if time.Now().After(end) {
			b, err := os.ReadFile(deny)
			t.Fatalf("%q, %v\n%s", b, err, y.daemon.Must("status"))
		}
	}
	conn, err := y.gate.DialFrom(t.Context(), netip.MustParseAddr("127.0.0.1"), "tcp", "127.0.0.1:8099")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:8099/bans", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer 0123456789abcdef0123456789abcdef")
	if err := req.Write(conn); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4096)
	n, err := conn.Read(b)
	if err != nil || !strings.Contains(string(b[:n]), "198.51.100.0/24\n203.0.113.9\n") || !strings.Contains(string(b[:n]), "Etag: W/") {
		t.Errorf("%q, %v", b[:n], err)
	}
}

// TestHTTPEnforcer: the ban of a client behind a proxy is not enforced, until a web
// server's file holds it and the server has taken the file.
func TestHTTPEnforcer(t *testing.T) {
	dir := t.TempDir()
	access, deny := filepath.Join(dir, "access.log"), filepath.Join(dir, "deny.conf")
	put(t, access, "")
	plain := "proxies: [192.0.2.80]\nwatch: [{rule: web-auth, files: [" + access + "], threshold: 3 in 10m}]\n"
	y := newYard(t, plain)
	y.daemon.Start()
	next := y.daemon.Follow()
	f, err := os.OpenFile(access, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for range 3 {
		fmt.Fprintf(f, "192.0.2.80 - joe [%s] \"GET / HTTP/1.1\" 401 5 \"-\" \"curl\" \"203.0.113.9\"\n", time.Now().Format("02/Jan/2006:15:04:05 -0700"))
	}
	if _, err := next(isBan("203.0.113.9")); err != nil {
		t.Fatal(err, y.daemon.Log())
	}
	enforced := func() bool {
		t.Helper()
		var bans []ban
		y.daemon.JSON(&bans, "bans")
		if len(bans) != 1 {
			t.Fatalf("%+v", bans)
		}
		return bans[0].Enforced
	}
	if enforced() {
		t.Error("enforced, and nobody refuses it")
	}
	y.daemon.Configure(plain + "exports: [{to: " + deny + ", format: nginx, reload: [/bin/true]}]\n")
	y.daemon.Must("reload")
	for end := time.Now().Add(10 * time.Second); !enforced(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(y.daemon.Must("status"))
		}
	}
	if b, err := os.ReadFile(deny); err != nil || string(b) != "deny 203.0.113.9;\n" {
		t.Errorf("%q, %v", b, err)
	}
}
