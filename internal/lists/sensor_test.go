package lists

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/blake2b"

	"gatehouse/internal/gate"
)

// desk is policy and records, as far as the sensor knows them.
type desk struct {
	mu      sync.Mutex
	offers  []gate.ListNews
	back    []string
	said    []string
	faults  map[string]string
	refuse  string // what to say to the next offers that are not accepted
	offered chan struct{}
}

func newDesk() *desk { return &desk{faults: map[string]string{}, offered: make(chan struct{}, 1000)} }

func (d *desk) deps() Deps {
	return Deps{
		Offer: func(_ context.Context, _ string, _ gate.Verdict, n gate.ListNews, by string) (gate.Answer, error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.offers = append(d.offers, n)
			d.offered <- struct{}{}
			if d.refuse != "" && by == "" {
				return gate.Answer{Refused: d.refuse}, nil
			}
			return gate.Answer{Changed: true}, nil
		},
		Withdraw: func(_ context.Context, name string, _ gate.Verdict, why string) error {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.back = append(d.back, why)
			d.offered <- struct{}{}
			return nil
		},
		Tell: func(_ context.Context, _, kind, s string) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.said = append(d.said, kind+": "+s)
		},
		Fault: func(name, why, _ string) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.faults[name] = why
		},
	}
}

// run runs a sensor until the test ends.
func run(t *testing.T, s *Sensor) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// shop is a server that gives something else each time.
type shop struct {
	mu    sync.Mutex
	give  http.HandlerFunc
	asked int
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked++
	give := s.give
	s.mu.Unlock()
	give(w, r)
}

func (s *shop) set(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.give = h
}

// TestServerThatChanges is the life of a list whose server gives good and bad things
// in turn: what was good last stays, and each bad thing is named.
func TestServerThatChanges(t *testing.T) {
	good := func(n int, tag string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", tag)
			if r.Header.Get("If-None-Match") == tag {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			for i := range n {
				fmt.Fprintf(w, "203.0.113.%d\n", 2*i)
			}
		}
	}
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	line := bytes.Repeat([]byte("192.0.2.1\n"), 1<<16)
	for range 15 { // 10 MB in 10 kB
		z.Write(line)
	}
	z.Close()
	text := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, s) }
	}
	shop := &shop{give: good(3, `"a"`)}
	server := httptest.NewServer(shop)
	defer server.Close()
	d := newDesk()
	s := New(Config{Folder: t.TempDir(), Lists: []List{{Name: "drop", URL: server.URL + "/x?key=secret", Every: time.Hour, Limits: Limits{Size: 8 << 20}, Timeout: 20 * time.Second}}}, d.deps())
	run(t, s)
	<-d.offered
	for _, step := range []struct {
		name string
		give http.HandlerFunc
		err  string // "" = fine
	}{
		{"the same", good(3, `"a"`), ""},
		{"a page", text("<!DOCTYPE html><title>Log in</title>"), "not a list of addresses: it is a page of HTML or XML, as a server sends that wants a login or is out of order"},
		{"a bomb in a file", func(w http.ResponseWriter, _ *http.Request) { w.Write(bomb.Bytes()) }, "it unpacks to more than 8 MB"},
		{"a bomb on the wire", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(bomb.Bytes())
		}, "it unpacks to more than 8 MB"},
		{"empty", text(""), "it is empty"},
		{"a gigabyte, as announced", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "1073741824") }, "it is larger than 8 MB"},
		{"a gigabyte, unannounced", func(w http.ResponseWriter, r *http.Request) {
			for range 1 << 30 / len(line) {
				if _, err := w.Write(line); err != nil {
					return
				}
			}
		}, "it is larger than 8 MB"},
		{"cut off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, "192.0.2.1\n")
		}, "it cannot be read: unexpected EOF"},
		{"gone", http.NotFound, "the server answered 404 Not Found"},
		{"packed oddly", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Encoding", "br") }, `it is packed with "br", which nobody asked for`},
		{"sent elsewhere for ever", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, "it is redirected more than 5 times"},
		{"busy", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7200")
			w.WriteHeader(http.StatusTooManyRequests)
		}, "the server answered 429 Too Many Requests"},
		{"good again, and longer", good(5, `"b"`), ""},
	} {
		shop.set(step.give)
		got := ""
		if err := s.Refresh(t.Context(), "drop"); err != nil {
			got = err.Error()
		}
		if got != step.err {
			t.Errorf("%s: %q, want %q", step.name, got, step.err)
		}
		st := s.Status()[0]
		if st.Prefixes != 3 && step.name != "good again, and longer" || st.Problem != step.err || (st.State == Failing) != (step.err != "") {
			t.Errorf("%s: %+v", step.name, st)
		}
		if step.name == "busy" && time.Until(st.Next) < 110*time.Minute {
			t.Errorf("it is asked again in %v, though it wants two hours", time.Until(st.Next))
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.offers) != 2 || d.offers[1].Was != 3 || d.offers[1].Prefixes != 5 {
		t.Errorf("offers: %+v", d.offers)
	}
	if len(d.said) != 2 || !strings.HasPrefix(d.said[0], "failed: list drop could not be read from "+server.URL+"/x?…: not a list") || !strings.HasPrefix(d.said[1], "recovered: ") {
		t.Errorf("said: %q", d.said)
	}
	if d.faults["drop"] != "" {
		t.Errorf("faults: %v", d.faults)
	}
	if strings.Contains(fmt.Sprint(d.said, d.offers, s.Status()), "secret") {
		t.Error("the secret in the URL is told")
	}
}

// TestHeldBack keeps what is in force, keeps what is held back beside it over a
// restart, and takes it when somebody says so.
func TestHeldBack(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "l.txt")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write("192.0.2.1\n")
	d := newDesk()
	c := Config{Folder: filepath.Join(folder, "state"), Lists: []List{{Name: "own", File: file}}}
	s := New(c, d.deps())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	<-d.offered
	d.mu.Lock()
	d.refuse = "it has grown"
	d.mu.Unlock()
	write("192.0.2.1\n192.0.2.3\n") // noticed by itself
	<-d.offered
	if err := s.Refresh(ctx, "own"); err != nil {
		t.Fatal(err)
	}
	if st := s.Status()[0]; st.State != Held || st.Held != 2 || st.Prefixes != 1 || st.Problem != "it has grown" {
		t.Errorf("%+v", st)
	}
	old := s.Status()[0].Digest
	if set, err := s.Load("own", old); err != nil || set.Len() != 1 {
		t.Errorf("what is in force: %v, %v", set, err)
	}
	cancel()
	<-done

	s = New(c, d.deps())
	run(t, s)
	if err := s.Accept(t.Context(), "own", "root"); err != nil {
		t.Fatal(err)
	}
	st := s.Status()[0]
	if st.State != Good || st.Prefixes != 2 || st.Held != 0 || st.Digest == old {
		t.Errorf("%+v", st)
	}
	if set, err := s.Load("own", st.Digest); err != nil || set.Len() != 2 {
		t.Errorf("what is in force: %v, %v", set, err)
	}
	if err := s.Accept(t.Context(), "own", "root"); err == nil {
		t.Error("nothing is held back, and yet it was taken")
	}
	if err := s.Refresh(t.Context(), "nobody"); err == nil || err.Error() != `there is no list "nobody"` {
		t.Error(err)
	}
	if n := len(s.store.copies("own")); n != 1 {
		t.Errorf("%d copies are kept", n)
	}
}

// TestTooOld takes a list out of force whose source has been silent for too long, and
// back in when it speaks again.
func TestTooOld(t *testing.T) {
	var mu sync.Mutex
	now := time.Now()
	shop := &shop{give: func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "192.0.2.1\n") }}
	server := httptest.NewServer(shop)
	defer server.Close()
	d := newDesk()
	deps := d.deps()
	deps.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	folder := t.TempDir()
	c := Config{Folder: folder, Lists: []List{{Name: "l", URL: server.URL, Every: time.Hour, Expire: 24 * time.Hour}}}
	s := New(c, deps)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	<-d.offered
	cancel()
	<-done
	shop.set(http.NotFound)
	mu.Lock()
	now = now.Add(25 * time.Hour)
	mu.Unlock()
	s = New(c, deps)
	run(t, s)
	<-d.offered // what it kept
	<-d.offered // taken back
	if err := s.Refresh(t.Context(), "l"); err == nil {
		t.Error("it was found")
	}
	if st := s.Status()[0]; st.State != TooOld {
		t.Errorf("%+v", st)
	}
	d.mu.Lock()
	back := d.back
	d.mu.Unlock()
	if len(back) != 1 || !strings.Contains(back[0], "has given nothing for 1d") {
		t.Errorf("%q", back)
	}
	shop.set(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "192.0.2.1\n") })
	if err := s.Refresh(t.Context(), "l"); err != nil {
		t.Fatal(err)
	}
	if st := s.Status()[0]; st.State != Good || st.Prefixes != 1 {
		t.Errorf("%+v", st)
	}
}

// TestProof refuses what was changed since it was summed up or signed.
func TestProof(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id := []byte("12345678")
	key := base64.StdEncoding.EncodeToString(append(append([]byte("Ed"), id...), public...))
	sign := func(body string) string { // as minisign(1) writes it, prehashed
		h := blake2b.Sum512([]byte(body))
		sig := ed25519.Sign(private, h[:])
		comment := "timestamp:1"
		global := ed25519.Sign(private, append(append([]byte{}, sig...), comment...))
		enc := base64.StdEncoding.EncodeToString
		return "untrusted comment: x\n" + enc(append(append([]byte("ED"), id...), sig...)) + "\ntrusted comment: " + comment + "\n" + enc(global) + "\n"
	}
	body, sig := "192.0.2.1\n", ""
	sums := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/l.txt":
			io.WriteString(w, body)
		case "/l.txt.minisig":
			io.WriteString(w, sig)
		case "/sums":
			io.WriteString(w, sums)
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	sum := func(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }
	for _, c := range []struct {
		name      string
		list      List
		sig, sums string
		err       string
	}{
		{"signed", List{Minisign: key}, sign(body), "", ""},
		{"signed and changed", List{Minisign: key}, sign("192.0.2.2\n"), "", "its signature is not by the configured key, or the list was changed since it was signed"},
		{"signed with nonsense", List{Minisign: key}, "nonsense", "", "its signature is not one of minisign"},
		{"not signed", List{Minisign: key, Signature: server.URL + "/nowhere"}, "", "", "its signature cannot be read: the server answered 404 Not Found"},
		{"summed", List{SHA256: sum(body)}, "", "", ""},
		{"summed and changed", List{SHA256: sum("x")}, "", "", "its checksum is " + sum(body)[:12] + "…, and should be " + sum("x")[:12] + "…"},
		{"summed in a file", List{SHA256: server.URL + "/sums"}, "", sum("x") + "  other.txt\n" + sum(body) + "  l.txt\n", ""},
		{"not in the file", List{SHA256: server.URL + "/sums"}, "", sum("x") + "  a\n" + sum("y") + "  b\n", "no checksum in the file of checksums"},
	} {
		t.Run(c.name, func(t *testing.T) {
			sig, sums = c.sig, c.sums
			c.list.Name, c.list.URL, c.list.Every = "l", server.URL+"/l.txt", time.Hour
			d := newDesk()
			s := New(Config{Folder: t.TempDir(), Lists: []List{c.list}}, d.deps())
			run(t, s)
			got := ""
			if err := s.Refresh(t.Context(), "l"); err != nil {
				got = err.Error()
			}
			if got != c.err {
				t.Errorf("%q, want %q", got, c.err)
			}
		})
	}
}

// TestDamagedCopy does not load a copy that is not what its digest says.
func TestDamagedCopy(t *testing.T) {
	s := NewStore(t.TempDir())
	set := NewSet(formatsOf(t, "192.0.2.1\n203.0.113.0/24\n2001:db8::/32\n"))
	d, err := s.save("l", set)
	if err != nil || d != digest(set) {
		t.Fatal(d, err)
	}
	back, err := s.Load("l", d)
	if err != nil || back.Len() != 3 {
		t.Fatal(back, err)
	}
	if err := os.WriteFile(s.path("l", d), []byte("0.0.0.0/0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load("l", d); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Error(err)
	}
	if _, err := s.Load("l", 7); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := s.remember("l", memory{Digest: d}); err != nil || s.recall("l").Digest != d {
		t.Error(err, s.recall("l"))
	}
	s.Forget(nil)
	if left, _ := os.ReadDir(s.folder); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
}
