package ports

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

// shop is an HTTPS server with a CA of its own, and the file that it shows.
type shop struct {
	t       testing.TB
	dir     string
	serve   atomic.Pointer[http.HandlerFunc]
	files   map[string]string // path -> content
	gets    atomic.Int32
	sames   atomic.Int32
	url, ca string
	key     *ecdsa.PrivateKey
	root    *x509.Certificate
	server  *httptest.Server
}

func newShop(t testing.TB) *shop {
	s := &shop{t: t, dir: t.TempDir(), files: map[string]string{}}
	s.put(func(w http.ResponseWriter, r *http.Request) {
		text, ok := s.files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		tag := fmt.Sprintf(`"%x"`, sha256.Sum256([]byte(text)))
		w.Header().Set("ETag", tag)
		w.Header().Set("Content-Type", "text/plain")
		if r.Header.Get("If-None-Match") == tag {
			s.sames.Add(1)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, text)
	})
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s.key = key
	s.root = s.sign(&x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-2 * gate.Day), NotAfter: time.Now().Add(gate.Day)}, nil)
	s.ca = filepath.Join(s.dir, "ca.pem")
	if err := os.WriteFile(s.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.root.Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	s.start(time.Now().Add(gate.Day))
	return s
}

// put makes the server answer by f.
func (s *shop) put(f http.HandlerFunc) { s.serve.Store(&f) }

func (s *shop) sign(c, parent *x509.Certificate) *x509.Certificate {
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &s.key.PublicKey, s.key)
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// start serves with a certificate that is good until a time.
func (s *shop) start(until time.Time) {
	leaf := s.sign(&x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-2 * gate.Day), NotAfter: until, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, s.root)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.gets.Add(1); (*s.serve.Load())(w, r) }))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: s.key}}}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	s.t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	s.url, s.server = server.URL+"/gate.txt", server
}

// desk is a Remote under test, and what it asked and told.
type desk struct {
	*Remote
	t       testing.TB
	c       RemoteConfig
	now     time.Time
	kept    []byte
	asked   []string
	told    []string
	fault   string
	refusal string
}

const secret32 = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"

func newDesk(t testing.TB, c RemoteConfig) *desk {
	t.Helper()
	if c.Longest == 0 {
		c.Longest = 12 * time.Hour
	}
	c.Every = 5 * time.Minute
	c.Names = Names{Services: map[string]gate.Ports{"ssh": set("22/tcp"), "vpn": set("51820/udp"), "web": set("80,443/tcp")}, File: "/nowhere"}
	d := &desk{t: t, c: c, now: time.Now().Truncate(time.Second)}
	d.restart()
	return d
}

// restart makes a new Remote that knows what the old one kept.
func (d *desk) restart() {
	d.t.Helper()
	r, err := NewRemote(d.c, RemoteDeps{
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return d.now },
		Load: func() ([]byte, error) { return d.kept, nil }, Save: func(b []byte) { d.kept = b },
		Ask: func(_ context.Context, i Intent, o gate.Origin) ([]gate.Answer, error) {
			text := fmt.Sprintf("%v %v %s%s", i.Verdict, i.Direction, i.What.Service, map[bool]string{true: i.What.Ports.String()}[i.What.Service == ""])
			if i.For > 0 {
				text += " for " + gate.FormatDuration(i.For)
			}
			if i.From.IsValid() {
				text += " from " + i.From.String()
			}
			d.asked = append(d.asked, text)
			return []gate.Answer{{Changed: true, Refused: d.refusal}}, nil
		},
		Tell:  func(_ context.Context, _, s string) { d.told = append(d.told, s) },
		Fault: func(why, _ string) { d.fault = why },
	})
	if err != nil {
		d.t.Fatal(err)
	}
	d.Remote = r
}

// look reads the file after some time, and returns what was asked, or the fault.
func (d *desk) look(after time.Duration) string {
	d.now = d.now.Add(after)
	d.asked = nil
	d.Look(context.Background())
	if d.fault != "" {
		if len(d.asked) > 0 {
			d.t.Errorf("%s, and it asked for %v", d.fault, d.asked)
		}
		return "fault: " + d.fault
	}
	return strings.Join(d.asked, "; ")
}

func (d *desk) want(what, got, want string) {
	d.t.Helper()
	if got != want {
		d.t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

func secretFile(t testing.TB) string {
	path := filepath.Join(t.TempDir(), "totp")
	if err := os.WriteFile(path, []byte(secret32+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// oathtool makes a code as a phone does; without it our own.
func oathtool(t testing.TB, at time.Time) string {
	if _, err := exec.LookPath("oathtool"); err != nil {
		s, _ := parseOTPSecret(secret32)
		return s.code(stepOf(at))
	}
	out, err := exec.Command("oathtool", "--totp", "--base32", "--now", at.UTC().Format("2006-01-02 15:04:05 UTC"), secret32).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func TestTOTP(t *testing.T) {
	s := newShop(t)
	d := newDesk(t, RemoteConfig{URL: s.url, CA: s.ca, Verify: VerifyTOTP, Key: secretFile(t)})
	const bad = "fault: a code is wrong, too old, or was used before"
	put := func(line string) { s.files["/gate.txt"] = line + "\n" }
	s.files["/gate.txt"] = "# nothing yet\n"
	d.want("an empty file", d.look(0), "")
	typed := d.now.Add(2 * time.Minute)
	first := oathtool(t, typed)
	put("open ssh " + first)
	d.want("a code that was good since the last look", d.look(5*time.Minute), "open in ssh for 12h")
	d.want("an unchanged file is silent", d.look(5*time.Minute), "")
	d.restart()
	d.want("after a restart, too", d.look(5*time.Minute), "")
	if s.sames.Load() == 0 {
		t.Error("the file was read again though it had not changed")
	}
	put("open vpn " + first)
	d.want("the same code elsewhere", d.look(time.Second), bad)
	d.want("and nothing is looked at for a minute", d.look(30*time.Second), bad)
	fresh := oathtool(t, d.now)
	put("open ssh " + first + "\nopen vpn " + fresh + " ")
	d.want("a good code waits", d.look(time.Second), bad)
	d.want("and is done after the wait", d.look(time.Minute), "open in vpn for 12h")
	put("open ssh " + first)
	d.want("a line that goes asks for nothing", d.look(time.Minute), "")
	put("open vpn " + fresh + "\n")
	d.want("a line that comes back with its code", d.look(time.Minute), bad)
	old := oathtool(t, d.now)
	put("close web " + old)
	d.want("a code that is too old", d.look(16*time.Minute), bad)
	put("open ssh")
	d.want("no code", d.look(20*time.Minute), bad)
	put("open ssh 000000\nopen vpn 000001\nopen web 000002\nopen ssh 000003")
	d.want("many guesses in one file are one", d.look(40*time.Minute), bad)
	if d.state.Wrong != 4 {
		t.Errorf("%d wrong codes were counted since the last good one, want 4: one a file", d.state.Wrong)
	}
	if wait := d.state.Wait.Sub(d.now); wait != 8*time.Minute {
		t.Errorf("after 4 wrong codes it waits for %v", wait)
	}
	if n := len(d.told); n > 3 {
		t.Errorf("it was told %d times: %q", n, d.told)
	}
	for _, told := range append(d.told, d.fault) {
		if strings.Contains(told, first) || strings.Contains(told, fresh) {
			t.Errorf("a code is told: %s", told)
		}
	}
}

func TestSigned(t *testing.T) {
	dir := t.TempDir()
	run := func(in, name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Stdin = strings.NewReader(in)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v %s", name, err, out)
		}
	}
	for _, c := range []struct {
		verify string
		key    func() string
		sign   func(path string)
	}{
		{VerifyMinisign, func() string {
			run("", "minisign", "-G", "-W", "-p", dir+"/mini.pub", "-s", dir+"/mini.key")
			return dir + "/mini.pub"
		}, func(path string) { run("", "minisign", "-S", "-s", dir+"/mini.key", "-m", path) }},
		{VerifySSH, func() string {
			run("", "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", dir+"/id")
			pub, err := os.ReadFile(dir + "/id.pub")
			if err != nil {
				t.Fatal(err)
			}
			os.WriteFile(dir+"/signers", []byte("# who may\nme@example.org namespaces=\"gatehouse-intent\" "+string(pub)), 0o644)
			return dir + "/signers"
		}, func(path string) {
			os.Remove(path + ".sig")
			run("", "ssh-keygen", "-q", "-Y", "sign", "-f", dir+"/id", "-n", "gatehouse-intent", path)
		}},
	} {
		t.Run(c.verify, func(t *testing.T) {
			tool := map[string]string{VerifyMinisign: "minisign", VerifySSH: "ssh-keygen"}[c.verify]
			if _, err := exec.LookPath(tool); err != nil {
				t.Skip(tool + " is not installed")
			}
			s, suffix := newShop(t), signatureSuffix(c.verify)
			d := newDesk(t, RemoteConfig{URL: s.url, CA: s.ca, Verify: c.verify, Key: c.key()})
			path := filepath.Join(t.TempDir(), "gate.txt")
			put := func(counter int, expires, lines string) {
				text := fmt.Sprintf("# counter: %d\n# expires: %s\n%s\n", counter, expires, lines)
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				c.sign(path)
				sig, err := os.ReadFile(path + suffix)
				if err != nil {
					t.Fatal(err)
				}
				s.files["/gate.txt"], s.files["/gate.txt"+suffix] = text, string(sig)
			}
			const unsigned = "fault: its signature is not that of the key"
			soon := time.Now().Add(gate.Day).UTC().Format(time.RFC3339)
			put(7, soon, "open ssh for 2h\nclose out 25")
			seven, sig7 := s.files["/gate.txt"], s.files["/gate.txt"+suffix]
			d.want("a good file", d.look(0), "open in ssh for 2h; close out 25")
			d.want("again", d.look(time.Minute), "")
			d.restart()
			d.state.ETag = ""
			d.want("after a restart", d.look(time.Minute), "")
			s.files["/gate.txt"] = strings.Replace(seven, "2h", "9h", 1)
			d.want("changed by another", d.look(time.Minute), unsigned)
			s.files["/gate.txt"+suffix] = "garbage"
			d.want("a broken signature", d.look(time.Minute), unsigned)
			delete(s.files, "/gate.txt"+suffix)
			d.want("no signature", d.look(time.Minute), "fault: the signature: the server answers 404 Not Found")
			put(8, soon, "close vpn")
			d.want("the next file", d.look(time.Minute), "close in vpn")
			s.files["/gate.txt"], s.files["/gate.txt"+suffix] = seven, sig7
			d.want("an older counter", d.look(time.Minute), "fault: its counter is older than that of a file that was done")
			put(8, soon, "open web")
			d.want("another file of the same counter", d.look(time.Minute), "fault: it is another file with the same counter: count up")
			put(9, "2020-01-01T00:00:00Z", "open web")
			d.want("one that has expired", d.look(time.Minute), "fault: it has expired")
			put(10, soon, "open nothing")
			d.want("a service that is not there", d.look(time.Minute)[:20], "fault: line 3: \"open")
			put(11, soon, "close vpn")
			d.want("a new file asks again", d.look(time.Minute), "close in vpn")
		})
	}
}

// Whatever a server does, nothing is changed, and it is told once.
func TestRemoteAttacks(t *testing.T) {
	s := newShop(t)
	good := *s.serve.Load()
	s.files["/gate.txt"] = "open ssh\n"
	expired := newShop(t)
	expired.start(time.Now().Add(-time.Hour))
	stranger := newShop(t)
	for _, c := range []struct {
		name  string
		serve http.HandlerFunc
		url   string
		want  string
	}{
		{"100 MB with a length", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "104857600")
			io.CopyN(w, zeros{}, 100<<20)
		}, "", "it is larger than 64 kB"},
		{"100 MB without", func(w http.ResponseWriter, _ *http.Request) { io.CopyN(w, zeros{}, 100<<20) }, "", "it is larger than 64 kB"},
		{"silence", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "", "the server does not answer in time"},
		{"silence behind the head", func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, "", "the server does not answer in time"},
		{"a redirect to a file", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		}, "", "the server sends us elsewhere than to HTTPS"},
		{"a redirect to plain HTTP", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		}, "", "the server sends us elsewhere than to HTTPS"},
		{"redirects without end", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusFound) }, "", "the server sends us elsewhere more than 3 times"},
		{"a web page", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			io.WriteString(w, "open ssh\n")
		}, "", errHTML.Error()},
		{"a web page that says it is text", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			io.WriteString(w, "\n<!doctype html>open ssh")
		}, "", errHTML.Error()},
		{"not found", http.NotFound, "", "the server answers 404 Not Found"},
		{"an error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, "", "the server answers 500 Internal Server Error"},
		{"not modified, though nobody asked", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304) }, "", "the server answers 304 Not Modified"},
		{"a body that breaks off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, "open ssh\n")
		}, "", "the server's answer breaks off or is no answer"},
		{"a byte of 0", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "open ssh\n\x00") }, "", "it is not plain text"},
		{"an expired certificate", nil, expired.url, "the server's certificate has expired, or is not valid yet"},
		{"a certificate of nobody", nil, stranger.url, "nobody that is trusted vouches for the server's certificate"},
		{"nobody there", nil, "https://127.0.0.1:1/gate.txt", "the server cannot be reached"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := RemoteConfig{URL: s.url, CA: s.ca, Verify: VerifyNone}
			if c.url != "" {
				config.URL = c.url
			}
			if c.url == expired.url {
				config.CA = expired.ca
			}
			s.put(c.serve)
			defer s.put(good)
			d := newDesk(t, config)
			d.fetch.patience = 300 * time.Millisecond
			for range 3 {
				d.want("refused", d.look(time.Minute), "fault: "+c.want)
			}
			if len(d.told) != 1 {
				t.Errorf("told %d times: %q", len(d.told), d.told)
			}
			if c.url == "" {
				s.put(good)
				d.fetch.patience = 5 * time.Second
				d.want("and when it is well again", d.look(time.Minute), "open in ssh for 12h")
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestRemoteLimits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gate.txt")
	for _, c := range []struct{ line, want string }{
		{"open ssh", "open in ssh for 2h from 198.51.100.0/24"},
		{"open ssh from 198.51.100.7 for 30m", "open in ssh for 30m from 198.51.100.7/32"},
		{"close ssh", "close in ssh"},
		{"open ssh from 203.0.113.7", `fault: it opens to somebody that it may not: "open ssh from 203.0.113.7"`},
		{"open ssh from 198.51.0.0/16", `fault: it opens to somebody that it may not: "open ssh from 198.51.0.0/16"`},
		{"open ssh for 3h", `fault: it opens for longer than 2h: "open ssh for 3h"`},
		{"open ssh for forever", `fault: it opens for longer than 2h: "open ssh for forever"`},
		{"open vpn", `fault: it wants something of what it may not: "open vpn"`},
		{"open ssh 123456", "fault: it has a code at the end of a line, and no codes are asked for"},
		{"open 22", `fault: line 1: "open 22": only services of the configuration can be opened so; ports can only be closed by number`},
		{"ban 1.2.3.4", `fault: line 1: "ban 1.2.3.4": a line begins with open or close`},
		{"close ssh; reboot", `fault: line 1: "close ssh; reboot": there is no service "ssh;": name it under services: in the configuration, or write its ports, as in 22/tcp`},
	} {
		d := newDesk(t, RemoteConfig{Path: path, Verify: VerifyNone, Services: []string{"ssh"}, Longest: 2 * time.Hour, From: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}})
		if err := os.WriteFile(path, []byte(c.line+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		d.want(c.line, d.look(0), c.want)
	}
}

// FuzzSheetIsBounded: a remote file is refused, or holds few intents of known
// services, each of which reads back as itself.
func FuzzSheetIsBounded(f *testing.F) {
	for _, s := range []string{"open ssh 492817\nclose vpn for 2h\n", "# counter: 7\n# expires: 2026-12-01\nclose out 25", "<html>", "\ufeffopen in ssh from 2001:db8::/32 for 1h30m", "close 1-65535"} {
		f.Add([]byte(s))
	}
	names := Names{Services: map[string]gate.Ports{"ssh": set("22/tcp"), "vpn": set("51820/udp")}, File: "/nowhere"}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseSheet(b, names)
		if err != nil {
			if len(err.Error()) > 600 {
				t.Fatalf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		if len(s.Intents) > maxIntents {
			t.Fatal(len(s.Intents))
		}
		for _, i := range s.Intents {
			if i.Verdict == gate.Open && !i.What.Own || i.What.Ports.IsEmpty() || i.For < 0 {
				t.Fatalf("%+v", i)
			}
			if again, err := ParseIntent(i.Text, names); err != nil || again.Text != i.Text || again.What.Service != i.What.Service || again.For != i.For || again.From != i.From || again.Code != i.Code {
				t.Fatalf("%q reads back as %+v, %v", i.Text, again, err)
			}
		}
	})
}

// FuzzSignaturesAreRefused: no bytes that nobody signed pass for a signature.
func FuzzSignaturesAreRefused(f *testing.F) {
	f.Add([]byte("untrusted comment: x\nRWQ=\ntrusted comment: y\nAAAA\n"), "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS")
	f.Add([]byte("-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAQ==\n-----END SSH SIGNATURE-----\n"), "* namespaces=\"gatehouse-intent\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS")
	signers, err := parseSigners("me ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, sig []byte, text string) {
		if verifySSH([]byte("open ssh"), sig, signers, time.Now()) == nil || verifyMinisign([]byte("open ssh"), sig, text) == nil {
			t.Fatalf("%q passes", sig)
		}
		if list, err := parseSigners(text); err == nil && len(list) == 0 {
			t.Fatal("nobody, and no error")
		}
	})
}
