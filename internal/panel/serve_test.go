package panel

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/ad2"
	"gatehouse/internal/ad2/emulator"
)

// serving turns the server on; change may alter it.
func serving(change func(*Server)) func(*Config) {
	return func(c *Config) {
		c.Server = Server{Listen: "127.0.0.1:0", Keys: true}
		if change != nil {
			change(&c.Server)
		}
	}
}

// TestClients presses keys by the server, as a program does that knows nothing of
// us.
func TestClients(t *testing.T) {
	t.Parallel()
	stage, device := newStage(t)
	l := newLab(t, device, serving(nil))
	l.known(stage)
	conn, r := l.dialClient()
	fmt.Fprint(conn, "C\rV\r") // as the usual library does when it connects
	lineWith(t, r, "!CONFIG>MODE=A")
	lineWith(t, r, "!VER:08000002,")
	for _, part := range []string{"12", "34", "2"} { // a person at a terminal
		fmt.Fprint(conn, part)
	}
	lineWith(t, r, "ARMED ***AWAY***")
	l.saw(ad2.Armed, 0)
	l.until("a record without the code", func() bool {
		return slices.ContainsFunc(l.notes, func(n string) bool { return n == "keys: 127.0.0.1 pressed 5 digits" })
	})
}

// TestForeignBytes cuts off whoever sends something else than keys, before any of
// it reaches the panel: a scan of the network must not press keys.
func TestForeignBytes(t *testing.T) {
	t.Parallel()
	stage, device := newStage(t)
	l := newLab(t, device, serving(nil))
	l.known(stage)
	before := l.delivered()
	for _, junk := range []string{"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00", "SSH-2.0-x\r\n", "12!34", "1234\x1b[A", "C12345\r", "CMASK=1\r"} {
		conn, r := l.dialClient()
		fmt.Fprint(conn, junk)
		if _, err := io.Copy(io.Discard, r); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%q: %v", junk, err)
		}
	}
	if n := l.delivered(); n != before {
		t.Errorf("%d of it reached the panel", n-before)
	}
}

// delivered returns how many sendings the adapter has answered, after it has
// answered one more of ours.
func (l *lab) delivered() uint64 {
	l.t.Helper()
	out, err := l.panel.Do(context.Background(), Order{Keys: "*", By: "tester"})
	if err != nil || !out.Done {
		l.t.Fatal(out, err)
	}
	var n, sent uint64
	l.add(func() { l.sent++; sent = l.sent })
	if err := l.panel.do(context.Background(), func() { n = l.panel.delivery }); err != nil {
		l.t.Fatal(err)
	}
	return n - sent
}

// TestRights lets through what a client has the right to send, and nothing else.
func TestRights(t *testing.T) {
	for _, c := range []struct {
		rights string // k keys, f function keys, c configure
		send   string
		want   string
		ask    string
		cut    bool
	}{
		{"", "1234*#", "", "", false},
		{"", "V\rC\rV\n", "", "VCV", false},
		{"k", "1234*#", "1234*#", "", false},
		{"k", "12\r\n34", "1234", "", false},
		{"k", "\x01\x01\x01", "", "", false},
		{"kf", "\x01\x01\x01*", "\x01\x01\x01*", "", false},
		{"k", "=", "", "", false},
		{"c", "=", "=", "", false},
		{"kf", "!", "", "", true},
		{"kfc", "!", "", "", true},
		{"kfc", "K18" + "1234", "K181234", "", false},
		{"k", "K18" + "1234", "", "", false},
		{"kfc", "K1x", "", "", true},
		{"k", "CADDRESS=20\r", "", "", false},
		{"c", "CADDRESS=20\r", "CADDRESS=20\r", "", false},
		{"c", "CADDRESS=20&EVIL=1\r", "", "", true},
		{"c", "L031\r", "L031\r", "", false},
		{"k", "L031\r", "", "", false},
		{"c", "L0\r", "", "", true},
		{"c", "C" + strings.Repeat("A", 500), "", "", true},
		{"k", "\xff\xfd\x221\xff\xfb\x03", "1", "", false},    // telnet negotiates
		{"k", "\xff\xfa\x18\x00123\xff\xf02", "2", "", false}, // ... and says what it is
		{"k", "12\x00", "12", "", false},                      // telnet ends lines with CR NUL
		{"k", "1 2", "", "", true},
		{"k", "12345a", "", "", true},
	} {
		f := filter{keys: strings.Contains(c.rights, "k"), functions: strings.Contains(c.rights, "f"), configure: strings.Contains(c.rights, "c")}
		whole := f.take([]byte(c.send))
		if string(whole.send) != c.want || string(whole.ask) != c.ask || whole.foreign != c.cut {
			t.Errorf("%s %q: %q %q %v, want %q %q %v", c.rights, c.send, whole.send, whole.ask, whole.foreign, c.want, c.ask, c.cut)
		}
		// TCP may cut it anywhere.
		f = filter{keys: f.keys, functions: f.functions, configure: f.configure}
		var sent, asked []byte
		cut := false
		for _, b := range []byte(c.send) {
			r := f.take([]byte{b})
			sent, asked, cut = append(sent, r.send...), append(asked, r.ask...), cut || r.foreign
		}
		if cut != c.cut || !cut && (string(sent) != c.want || string(asked) != c.ask) {
			t.Errorf("%s %q byte by byte: %q %q %v", c.rights, c.send, sent, asked, cut)
		}
	}
}

// FuzzFilter: whatever a client without rights sends, nothing but questions gets
// through, and with the right to keys nothing but keys.
func FuzzFilter(f *testing.F) {
	f.Add([]byte("1234*#K18\x01\x01\x01=CADDRESS=20\rV\r\xff\xfa12\xff\xf0"), uint8(3))
	f.Fuzz(func(t *testing.T, b []byte, at uint8) {
		none := filter{}
		if r := none.take(b); len(r.send) > 0 {
			t.Errorf("without rights %q sent %q", b, r.send)
		}
		keys := filter{keys: true}
		cut := int(at) % (len(b) + 1)
		for _, part := range [][]byte{b[:cut], b[cut:]} {
			r := keys.take(part)
			if strings.Trim(string(r.send), "0123456789*#") != "" || r.digits+r.others != len(r.send) {
				t.Errorf("%q sent %q (%+v)", b, r.send, r)
			}
		}
	})
}

// TestNoMixing: two clients press codes at the same time, and each arrives whole.
// The original lets them run into each other.
func TestNoMixing(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var wire strings.Builder
	l2, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l2.Close()
	go func() {
		conn, err := l2.Accept()
		if err != nil {
			return
		}
		buf := make([]byte, 256)
		fmt.Fprint(conn, "!VER:1,V2,TX\r\n")
		for {
			n, err := conn.Read(buf)
			mu.Lock()
			wire.Write(buf[:n])
			mu.Unlock()
			if err != nil {
				return
			}
			fmt.Fprint(conn, "!Sending.done\r\n")
		}
	}()
	l := newLab(t, "tcp://"+l2.Addr().String(), serving(nil))
	l.address()
	l.until("the adapter to be there", func() bool {
		l.again()
		mu.Lock()
		defer mu.Unlock()
		return strings.Contains(wire.String(), "V\r")
	})
	a, _ := l.dialClient()
	b, _ := l.dialClient()
	var both sync.WaitGroup
	for conn, digits := range map[net.Conn]string{a: "111", b: "222"} { // three digits are no code
		both.Go(func() {
			for i := range digits {
				fmt.Fprint(conn, digits[i:i+1])
				time.Sleep(5 * time.Millisecond) // a person types; what is tested must hold whatever the pace
			}
		})
	}
	both.Wait()
	l.until("all keys", func() bool {
		l.again()
		mu.Lock()
		defer mu.Unlock()
		s := strings.NewReplacer("C\r", "", "V\r", "").Replace(wire.String())
		if strings.Contains(s, "12") && strings.Contains(s, "21") {
			t.Fatalf("mixed: %q", s)
		}
		return s == "111222" || s == "222111"
	})
}

// TestHundredClients: a hundred programs read along, one of them not at all, and
// none delays another.
func TestHundredClients(t *testing.T) {
	t.Parallel()
	stage, device := newStage(t)
	l := newLab(t, device, serving(nil))
	l.known(stage)
	var readers []*bufio.Reader
	for range 100 {
		_, r := l.dialClient()
		readers = append(readers, r)
	}
	for range 5 { // these never read
		conn, _ := l.dialClient()
		if tc, ok := conn.(*net.TCPConn); ok {
			_ = tc.SetReadBuffer(2048)
		}
	}
	var slowest time.Duration
	for round := range 20 {
		n := 9 + round%2
		begun := time.Now()
		if round%4 < 2 {
			stage.Do(func(h *emulator.House) { h.Open(n) })
		} else {
			stage.Do(func(h *emulator.House) { h.Close(n) })
		}
		want := fmt.Sprintf("!EXP:07,%02d,", n-8)
		for _, r := range readers {
			lineWith(t, r, want)
		}
		slowest = max(slowest, time.Since(begun))
	}
	if slowest > 500*time.Millisecond {
		t.Errorf("a line took %v to reach all", slowest)
	}
	t.Logf("slowest: %v for 100 clients", slowest)
}

// TestSlowClient is cut off when it is too far behind, and nobody else notices.
func TestSlowClient(t *testing.T) {
	t.Parallel()
	s := &server{p: &Panel{d: Deps{Log: quiet()}}, clients: map[*client]struct{}{}}
	ours, theirs := net.Pipe()
	defer theirs.Close()
	c := newClient(s, ours, netip.MustParseAddr("127.0.0.1"))
	if !s.add(c) {
		t.Fatal("not added")
	}
	for range queueLines + 2 {
		s.broadcast([]byte("x\r\n"))
	}
	select {
	case <-c.gone:
	default:
		t.Error("it is still there")
	}
	if s.count() != 0 {
		t.Error("it is still counted")
	}
}

// TestAccess lets in who is listed.
func TestAccess(t *testing.T) {
	for _, c := range []struct {
		list, who string
		want      bool
	}{
		{"", "127.0.0.1", true},
		{"", "::1", true},
		{"", "192.0.2.1", false},
		{"192.0.2.0/24", "192.0.2.9", true},
		{"192.0.2.0/24", "127.0.0.1", false},
		{"2001:db8::/64", "2001:db8::5", true},
		{"2001:db8::/64", "2001:db8:1::5", false},
	} {
		s := &server{}
		if c.list != "" {
			s.c.AllowFrom = []netip.Prefix{netip.MustParsePrefix(c.list)}
		}
		if got := s.allowed(netip.MustParseAddr(c.who)); got != c.want {
			t.Errorf("%s by %q: %v", c.who, c.list, got)
		}
	}
	stage, device := newStage(t)
	l := newLab(t, device, serving(func(s *Server) { s.AllowFrom = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} }))
	l.known(stage)
	conn, err := net.Dial("tcp", l.address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if n, err := conn.Read(make([]byte, 10)); n > 0 || err == nil {
		t.Errorf("somebody who is not listed was greeted: %d %v", n, err)
	}
}

// authority signs certificates for tests.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	next int64
}

func newAuthority(t *testing.T, dir, name string) *authority {
	a := &authority{t: t, dir: dir, next: 2}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	a.key = key
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.write(name+".crt", "CERTIFICATE", der)
	return a
}

func (a *authority) write(name, kind string, der []byte) string {
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// issue signs a certificate and returns its files and serial number.
func (a *authority) issue(name string) (cert, key string, serial *big.Int) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	serial = big.NewInt(a.next)
	a.next++
	tpl := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tpl, a.cert, k.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	kder, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write(name+".crt", "CERTIFICATE", der), a.write(name+".key", "EC PRIVATE KEY", kder), serial
}

// revoke writes a list of what is revoked.
func (a *authority) revoke(name string, until time.Time, serials ...*big.Int) string {
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: until}
	for _, s := range serials {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: s, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.cert, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write(name, "X509 CRL", der)
}

// TestTLS serves over TLS to those who have a certificate that is not revoked. The
// original speaks TLS 1.0 only, and listens on every address when it does.
func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ours, theirs := newAuthority(t, dir, "ours"), newAuthority(t, dir, "theirs")
	cert, key, _ := ours.issue("server")
	good, goodKey, _ := ours.issue("good")
	lost, lostKey, serial := ours.issue("lost")
	alien, alienKey, _ := theirs.issue("alien")
	list := ours.revoke("list.crl", time.Now().Add(time.Hour), serial)
	stage, device := newStage(t)
	l := newLab(t, device, serving(func(s *Server) {
		s.Cert, s.Key, s.ClientCA, s.Revoked = cert, key, filepath.Join(dir, "ours.crt"), list
	}))
	l.known(stage)
	if a := l.address(); !strings.HasPrefix(a, "127.0.0.1:") {
		t.Errorf("with TLS it listens on %s", a)
	}
	greeted := func(cert, key string, version uint16) error {
		c := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: version}
		if cert != "" {
			pair, err := tls.LoadX509KeyPair(cert, key)
			if err != nil {
				t.Fatal(err)
			}
			c.Certificates = []tls.Certificate{pair}
		}
		conn, err := tls.Dial("tcp", l.address(), c)
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, err = conn.Read(make([]byte, 100))
		return err
	}
	for _, c := range []struct {
		name, cert, key string
		version         uint16
		in              bool
	}{
		{"a good certificate", good, goodKey, tls.VersionTLS13, true},
		{"a good certificate and TLS 1.2", good, goodKey, tls.VersionTLS12, true},
		{"TLS 1.1", good, goodKey, tls.VersionTLS11, false},
		{"no certificate", "", "", tls.VersionTLS13, false},
		{"a revoked certificate", lost, lostKey, tls.VersionTLS13, false},
		{"another authority's", alien, alienKey, tls.VersionTLS13, false},
	} {
		if err := greeted(c.cert, c.key, c.version); (err == nil) != c.in {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	ours.revoke("list.crl", time.Now().Add(-time.Minute))
	if err := greeted(good, goodKey, tls.VersionTLS13); err == nil {
		t.Error("a list that is out of date lets clients in")
	}
	// The same server is a place to connect to, for another Gatehouse.
	ours.revoke("list.crl", time.Now().Add(time.Hour))
	second := newLab(t, "tls://"+l.address(), func(c *Config) { c.CA, c.Cert, c.Key = filepath.Join(dir, "ours.crt"), good, goodKey })
	second.known(stage)
	third := newLab(t, "tls://"+l.address(), nil)
	third.until("a certificate of an unknown authority", func() bool { return strings.Contains(third.faults[PartPanel], "TLS") })
}

// TestOriginalFaults are faults of the original that must not be ours.
func TestOriginalFaults(t *testing.T) {
	t.Parallel()
	stage, device := newStage(t)
	l := newLab(t, device, serving(nil))
	l.known(stage)
	_, r := l.dialClient()

	t.Run("a burst of 4000 bytes overflows its buffer", func(t *testing.T) {
		stage.Raw([]byte(strings.Repeat("x", 4000) + "\r\n"))
		stage.Do(func(h *emulator.House) { h.Open(9) })
		lineWith(t, r, "!EXP:07,01,01")
	})
	t.Run("the eleventh client is cut off", func(t *testing.T) {
		for range 30 {
			l.dialClient()
		}
	})
	t.Run("the death of the device is silent until somebody writes", func(t *testing.T) {
		begun := time.Now()
		stage.Hang()
		lineWith(t, r, "!SER2SOCK SERIAL_DISCONNECTED")
		if d := time.Since(begun); d > time.Second {
			t.Errorf("after %v", d)
		}
		lineWith(t, r, "!SER2SOCK SERIAL_CONNECTED")
	})
}

// TestCodesOfClients holds a client back that tries codes.
func TestCodesOfClients(t *testing.T) {
	t.Parallel()
	stage, device := newStage(t)
	l := newLab(t, device, serving(nil))
	l.known(stage)
	conn, _ := l.dialClient()
	for i := range 2 {
		fmt.Fprint(conn, "98761")
		l.until("a wrong code is noted", func() bool {
			l.panel.limits.mu.Lock()
			defer l.panel.limits.mu.Unlock()
			l.again()
			return len(l.panel.limits.all) == i+1
		})
	}
	fmt.Fprint(conn, "12342")
	l.until("held back", func() bool {
		l.again()
		return slices.ContainsFunc(l.notes, func(n string) bool { return strings.HasPrefix(n, "held: 127.0.0.1") })
	})
	out, err := l.panel.Do(context.Background(), Order{Keys: "*", By: "tester"})
	if err != nil || out.State.Mode != ad2.ModeDisarmed {
		t.Errorf("the third code reached the panel: %+v %v", out, err)
	}
}

// TestLatency measures a key to the panel and back by the server.
func TestLatency(t *testing.T) {
	stage, device := newStage(t)
	l := newLab(t, device, serving(nil))
	l.known(stage)
	conn, r := l.dialClient()
	var times []time.Duration
	for range 200 {
		begun := time.Now()
		fmt.Fprint(conn, "*")
		lineWith(t, r, "!Sending.done")
		times = append(times, time.Since(begun))
	}
	slices.Sort(times)
	p95 := times[len(times)*95/100]
	t.Logf("key to the panel and back: p50 %v p95 %v", times[len(times)/2], p95)
	if p95 > 20*time.Millisecond {
		t.Errorf("p95 is %v", p95)
	}
}
