package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// appendTo appends text to a file.
func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// requests are lines of an access log: refused logins of a peer, with what the
// header field says.
func requests(peer, forwarded string, n int) (s string) {
	for range n {
		s += fmt.Sprintf("%s - joe [%s] \"GET /private/ HTTP/1.1\" 401 5 \"-\" \"Mozilla/5.0\" \"%s\"\n", peer, time.Now().Format("02/Jan/2006:15:04:05 -0700"), forwarded)
	}
	return s
}

// Behind a trusted proxy the client is banned, not enforced by the kernel, and the
// proxy never; from anybody else the header field is worth nothing.
func TestBehindAProxy(t *testing.T) {
	y := newYard(t, "")
	log := filepath.Join(t.TempDir(), "access.log")
	appendTo(t, log, "")
	y.daemon.Configure(fmt.Sprintf("proxies: [192.0.2.80]\nwatch: [{rule: web-auth, files: [%s], threshold: 3 in 10m, ban: [1h]}]\n", log))
	y.daemon.Start()
	next := y.daemon.Follow()

	appendTo(t, log, requests("192.0.2.80", "198.51.100.9, 203.0.113.9", 3))
	if _, err := next(isBan("203.0.113.9")); err != nil {
		t.Fatal(err)
	}
	// The proxy itself, and one who is none and lies.
	appendTo(t, log, requests("192.0.2.80", "-", 9)+requests("203.0.113.66", "203.0.113.77", 3))
	if _, err := next(isBan("203.0.113.66")); err != nil {
		t.Fatal(err)
	}
	var bans []struct {
		Subject        string
		HTTP, Enforced bool
		Reason         string
	}
	y.daemon.JSON(&bans, "bans")
	if len(bans) != 2 {
		t.Fatalf("%+v", bans)
	}
	for _, b := range bans {
		switch b.Subject {
		case "203.0.113.9":
			if !b.HTTP || b.Enforced || !strings.Contains(b.Reason, "trusted proxy") {
				t.Errorf("behind the proxy: %+v", b)
			}
		case "203.0.113.66":
			if b.HTTP || !b.Enforced {
				t.Errorf("directly: %+v", b)
			}
		default:
			t.Errorf("banned: %+v", b)
		}
	}
	if out := y.daemon.Must("why", "203.0.113.9"); !strings.Contains(out, "refuse it in the web server or the proxy") {
		t.Errorf("why says\n%s", out)
	}
	// Who comes directly, too, is banned by the kernel.
	appendTo(t, log, requests("203.0.113.9", "-", 3))
	if _, err := next(isBan("203.0.113.9")); err != nil {
		t.Fatal(err)
	}
	y.daemon.JSON(&bans, "bans")
	enforced := false
	for _, b := range bans {
		enforced = enforced || b.Subject == "203.0.113.9" && b.Enforced
	}
	if !enforced {
		t.Errorf("directly, too: %+v", bans)
	}
}

// A line of 100 MB, bytes that are no text, JSON that is not, dates of the future:
// each is left out and told of by itself, and what stands behind it counts.
func TestBadLinesStopNothing(t *testing.T) {
	y := newYard(t, "")
	dir := t.TempDir()
	json := filepath.Join(dir, "caddy.log")
	appendTo(t, json, "")
	appendTo(t, y.log, "")
	y.daemon.Configure(fmt.Sprintf("watch:\n  - {rule: sshd, files: [%s], threshold: 3 in 10m, ban: [1h]}\n  - {rule: caddy, files: [%s], threshold: 3 in 10m, ban: [1h]}\n  - {rule: broken, files: [%s]}\nrules: %s\n", y.log, json, json, dir))
	if err := os.WriteFile(filepath.Join(dir, "broken.yaml"), []byte("rule: broken\ntitle: {\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	y.daemon.Start()
	next := y.daemon.Follow()
	appendTo(t, y.log, failureLines("203.0.113.7", 2))
	f, err := os.OpenFile(y.log, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	part := bytes.Repeat([]byte("Failed password for root from 198.51.100.7 port 1 ssh2 "), 1<<15)
	for n := 0; n < 100<<20; n += len(part) {
		if _, err := f.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	f.Close()
	appendTo(t, y.log, "\n\x00\xff\xfe\x01 binary \x80\n"+"2099-01-01T00:00:00Z gate sshd[1]: Failed password for root from 203.0.113.8 port 1 ssh2\n"+failureLines("203.0.113.7", 1))
	if _, err := next(isBan("203.0.113.7")); err != nil {
		t.Fatal(err)
	}
	good := fmt.Sprintf(`{"level":"info","ts":%d.5,"msg":"handled request","request":{"remote_ip":"203.0.113.9","headers":{"Authorization":["REDACTED"]}},"user_id":"joe","status":401}`+"\n", time.Now().Unix())
	appendTo(t, json, good+"{\"msg\":\"handled request\", no\n"+good+strings.Repeat("[", 5000)+"\"handled request\"\n"+good)
	if _, err := next(isBan("203.0.113.9")); err != nil {
		t.Fatal(err)
	}
	var st status
	y.daemon.JSON(&st, "status")
	said := fmt.Sprintf("%+v %+v", st.Sources, st.Degraded)
	for _, want := range []string{"too long", "not of the format", "broken"} {
		if !strings.Contains(said, want) {
			t.Errorf("status does not tell of %q:\n%s", want, said)
		}
	}
	var bans []ban
	y.daemon.JSON(&bans, "bans")
	if len(bans) != 2 {
		t.Errorf("bans: %+v", bans)
	}
}

// The address is in one line, the failure in another: with a session of slapd's.
func TestAddressInAnotherLine(t *testing.T) {
	y := newYard(t, "")
	appendTo(t, y.log, "")
	y.daemon.Configure(fmt.Sprintf("watch: [{rule: slapd, files: [%s], threshold: 3 in 10m, ban: [1h]}]\n", y.log))
	y.daemon.Start()
	next := y.daemon.Follow()
	at := time.Now().Format(time.Stamp)
	connected, refused := "", ""
	for i := range 3 {
		connected += fmt.Sprintf("%s gate slapd[7]: conn=%d fd=12 ACCEPT from IP=[2001:db8:7::%d]:4711 (IP=[::]:389)\n", at, 1000+i, 9)
		refused += fmt.Sprintf("%s gate slapd[7]: conn=%d op=0 RESULT tag=97 err=49 text=\n", at, 1000+i)
	}
	appendTo(t, y.log, connected)
	appendTo(t, y.log, refused)
	if _, err := next(isBan("2001:db8:7::/64")); err != nil {
		t.Error(err)
	}
}
