package exports

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/gate"
	"gatehouse/internal/lists/formats"
)

// world is bans that change, and what is done with them.
type world struct {
	mu      sync.Mutex
	bans    []formats.Ban
	news    chan struct{}
	ran     chan string // holds 100
	fail    error
	faults  map[string]string
	faulted chan struct{} // holds 100
}

func newWorld() *world {
	return &world{news: make(chan struct{}), ran: make(chan string, 100), faults: map[string]string{}, faulted: make(chan struct{}, 100)}
}

func (w *world) set(bans ...formats.Ban) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bans = bans
	close(w.news)
	w.news = make(chan struct{})
}

func (w *world) deps() Deps {
	return Deps{
		Bans: func(context.Context) ([]formats.Ban, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return append([]formats.Ban(nil), w.bans...), nil
		},
		Changed: func() <-chan struct{} { w.mu.Lock(); defer w.mu.Unlock(); return w.news },
		Run: func(_ context.Context, argv []string) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.ran <- strings.Join(argv, " ")
			return w.fail
		},
		Fault: func(name, why, _ string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.faults[name] = why
			w.faulted <- struct{}{}
		},
	}
}

func ban(t *testing.T, who string, http bool) formats.Ban {
	t.Helper()
	s, err := gate.ParseSubject(who)
	if err != nil {
		t.Fatal(err)
	}
	return formats.Ban{Subject: s, Since: time.Unix(1772366000, 0), Rule: "nginx", Reason: "x", HTTP: http, Evidence: gate.Proven}
}

func writer(t *testing.T, name string) formats.Writer {
	t.Helper()
	w, ok := formats.FindWriter(name)
	if !ok {
		t.Fatal(name)
	}
	return w
}

func start(t *testing.T, x *Exports, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestWebServer is the enforcer of bans behind a proxy: the deny file is written, the
// server reloads, and only then is the ban enforced.
func TestWebServer(t *testing.T) {
	w := newWorld()
	path := filepath.Join(t.TempDir(), "deny.conf")
	x := New(Config{Files: []File{{To: path, Format: writer(t, "nginx"), Reload: []string{"nginx", "-s", "reload"}}}}, w.deps())
	client := ban(t, "203.0.113.9", true)
	w.set(client)
	if x.Enforced(client.Subject) {
		t.Error("enforced before it was written")
	}
	start(t, x, x.Run)
	if got := <-w.ran; got != "nginx -s reload" {
		t.Error(got)
	}
	<-w.faulted
	if b, err := os.ReadFile(path); err != nil || string(b) != "deny 203.0.113.9;\n" {
		t.Errorf("%q, %v", b, err)
	}
	if !x.Enforced(client.Subject) || x.Enforced(gate.Subject{}) {
		t.Error("not enforced, or everybody")
	}
	w.mu.Lock()
	w.fail = errors.New("nginx: it ended with exit code 1")
	w.mu.Unlock()
	other := ban(t, "2001:db8::/64", true)
	w.set(client, other)
	<-w.ran
	<-w.faulted
	if x.Enforced(other.Subject) || x.Enforced(client.Subject) {
		t.Error("enforced, though the server did not take it")
	}
	w.mu.Lock()
	if got := w.faults["export "+path]; got != "it was written, but is not in use: nginx: it ended with exit code 1" {
		t.Error(got)
	}
	w.mu.Unlock()
	if st := x.Status(); len(st) != 1 || st[0].Problem == "" {
		t.Errorf("%+v", st)
	}
}

// TestUnchanged leaves a file alone that says what it should, and writes one again
// that is gone.
func TestUnchanged(t *testing.T) {
	w := newWorld()
	path := filepath.Join(t.TempDir(), "bans.nft")
	f := &file{File: File{To: path, Format: writer(t, "nft"), Reload: []string{"x"}}}
	bans := []formats.Ban{ban(t, "192.0.2.1", false)}
	bans[0].Until = time.Unix(1772370000, 0)
	run := w.deps().Run
	at := time.Unix(1772366000, 0)
	for i := range 3 {
		if err := f.update(t.Context(), bans, at.Add(time.Duration(i)*time.Minute), run); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.ran) != 1 {
		t.Errorf("it was written %d times", len(w.ran))
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := f.update(t.Context(), bans, at, run); err != nil || len(w.ran) != 2 || !exists(path) {
		t.Errorf("%v, %d times", err, len(w.ran))
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := f.update(t.Context(), nil, at, run); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", fi.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".gatehouse-*")); len(left) > 0 {
		t.Error(left)
	}
	if err := WriteFile("/proc/version", writer(t, "plain"), bans, at); err == nil {
		t.Error("it wrote over a file of the kernel")
	}
	if err := WriteFile(filepath.Dir(path), writer(t, "plain"), bans, at); err == nil || err.Error() != "it is not a regular file" {
		t.Error(err)
	}
}

// certificate writes a certificate for loopback and returns its paths.
func certificate(t *testing.T, dir string) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	kb, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pool = x509.NewCertPool()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(c)
	return write("c.pem", "CERTIFICATE", der), write("k.pem", "EC PRIVATE KEY", kb), pool
}

// TestServe is another machine that fetches the bans, over TLS.
func TestServe(t *testing.T) {
	dir := t.TempDir()
	cert, key, pool := certificate(t, dir)
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	w := newWorld()
	w.set(ban(t, "192.0.2.1", false), ban(t, "203.0.113.9", false))
	site := func(path, format string, f formats.Filter) Site {
		return Site{Address: addr, Path: path, Secure: true, Cert: cert, Key: key, Token: token, Format: writer(t, format), Filter: f}
	}
	x := New(Config{Sites: []Site{site("/bans", "plain", formats.Filter{}), site("/sshd.json", "json", formats.Filter{Rules: []string{"sshd"}})}}, w.deps())
	if got := x.Addresses(); len(got) != 1 || got[0] != addr {
		t.Fatal(got)
	}
	start(t, x, func(ctx context.Context) error { return x.Serve(ctx, addr) })
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	defer client.CloseIdleConnections()
	fetch := func(path, token, tag, method string) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "https://"+addr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		if tag != "" {
			req.Header.Set("If-None-Match", tag)
		}
		var resp *http.Response
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) { // until it listens
			if resp, err = client.Do(req); err == nil {
				break
			}
			if time.Now().After(end) {
				t.Fatal(err)
			}
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(b)
	}
	const good = "0123456789abcdef"
	first, body := fetch("/bans", good, "", "GET")
	if first.StatusCode != 200 || body != "192.0.2.1\n203.0.113.9\n" || first.Header.Get("ETag") == "" {
		t.Errorf("%v %q", first.Status, body)
	}
	tag := first.Header.Get("ETag")
	for _, c := range []struct {
		path, token, tag, method string
		status                   int
	}{
		{"/bans", good, tag, "GET", 304},
		{"/bans", good, `"x", ` + tag, "GET", 304},
		{"/bans", good, `"x"`, "GET", 200},
		{"/bans", "", "", "GET", 401},
		{"/bans", "0123456789abcdeF", "", "GET", 401},
		{"/bans", good, "", "POST", 405},
		{"/bans/x", good, "", "GET", 404},
		{"/", good, "", "GET", 404},
		{"/bans", good, "", "HEAD", 200},
		{"/sshd.json", good, "", "GET", 200},
	} {
		if r, b := fetch(c.path, c.token, c.tag, c.method); r.StatusCode != c.status {
			t.Errorf("%+v: %s %q", c, r.Status, b)
		} else if c.path == "/sshd.json" && b != "[]\n" {
			t.Errorf("%q", b)
		}
	}
	w.set(ban(t, "192.0.2.1", false))
	if r, b := fetch("/bans", good, tag, "GET"); r.StatusCode != 200 || b != "192.0.2.1\n" {
		t.Errorf("after a change: %s %q", r.Status, b)
	}
}

// TestToken refuses secrets that are none.
func TestToken(t *testing.T) {
	dir := t.TempDir()
	for i, c := range []struct {
		text string
		mode os.FileMode
		err  string
	}{
		{"0123456789abcdef", 0o640, ""},
		{"short\n", 0o600, "less than 16 characters"},
		{"0123456789abcdef", 0o644, "everybody may read it"},
		{strings.Repeat("x", 1<<16), 0o600, "no small file"},
	} {
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(path, []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := readToken(path)
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%q: %v", c.text[:5], err)
		}
	}
	if _, err := readToken(filepath.Join(dir, "none")); err == nil {
		t.Error("a secret out of nothing")
	}
}
