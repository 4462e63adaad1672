package logs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/gate"
	"gatehouse/internal/rules"
)

func TestListenSettings(t *testing.T) {
	some := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	for _, tc := range []struct {
		l    Listen
		want string // part of the error
	}{
		{Listen{Address: "udp://127.0.0.1:5514"}, ""},
		{Listen{Address: "udp://[::1]:5514"}, ""},
		{Listen{Address: "tcp://192.0.2.1:601", Allow: some}, ""},
		{Listen{Address: "tls://127.0.0.1:6514", Cert: "/c", Key: "/k", ClientCA: "/ca"}, ""},
		{Listen{Address: "unix:///run/x/log"}, ""},
		{Listen{Address: "udp://0.0.0.0:514"}, "nobody is allowed"},
		{Listen{Address: "udp://:514"}, "no address"},
		{Listen{Address: "udp://localhost:514"}, "no address"},
		{Listen{Address: "udp://127.0.0.1"}, "no address"},
		{Listen{Address: "udp://127.0.0.1:514/x"}, "no address"},
		{Listen{Address: "udp://a@127.0.0.1:514"}, "not an address"},
		{Listen{Address: "relp://127.0.0.1:514"}, "not an address"},
		{Listen{Address: "unix://run/log"}, "no absolute path"},
		{Listen{Address: "tls://127.0.0.1:6514", Cert: "/c"}, "its key"},
		{Listen{Address: "tcp://127.0.0.1:6514", Cert: "/c"}, "for tls:// only"},
		{Listen{Address: "unix:///run/x/log", Allow: some}, "not for allow_from"},
	} {
		err := tc.l.check()
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: %v", tc.l, err)
		}
	}
	open, closed := Listen{Allow: some}, Listen{}
	for addr, want := range map[string][2]bool{"192.0.2.7": {true, false}, "::ffff:192.0.2.7": {true, false}, "127.0.0.1": {false, true}, "::1": {false, true}, "198.51.100.1": {false, false}} {
		if a := netip.MustParseAddr(addr); open.allows(a) != want[0] || closed.allows(a) != want[1] {
			t.Errorf("%s: %v, %v", addr, open.allows(a), closed.allows(a))
		}
	}
	c := Config{Watches: []Watch{{Name: "a", Syslog: &Listen{Address: "udp://192.0.2.1:514", Allow: some}}, {Name: "b", Syslog: &Listen{Address: "udp://192.0.2.1:514", Allow: append(some, some...)}}}}
	if err := c.Check(); err == nil || !strings.Contains(err.Error(), "with other settings") {
		t.Errorf("two settings of one address: %v", err)
	}
}

// startListener runs a sensor that listens, and returns where.
func (b *bench) startListener(l Listen, more ...*rules.Rule) net.Addr {
	b.Helper()
	at := make(chan net.Addr, 1)
	b.sensor = b.build()
	ws := []Watch{{Name: "sshd", Rule: builtin(b.T, "sshd"), Syslog: &l}}
	for _, r := range more {
		ws = append(ws, Watch{Name: r.Name, Rule: r, Syslog: &l})
	}
	b.sensor = New(Config{Watches: ws, Zone: time.UTC}, Deps{Log: b.sensor.env.log, Emit: b.emit})
	b.sensor.streams[0].(*listener).bound = func(a net.Addr) { at <- a }
	b.run()
	select {
	case a := <-at:
		return a
	case <-time.After(5 * time.Second):
		b.Fatalf("it does not listen: %+v", b.sensor.Status())
		return nil
	}
}

const failedText = "Failed password for root from 192.0.2.7 port %d ssh2"

// The real logger (util-linux), in each form that it knows.
func TestSyslogFromLogger(t *testing.T) {
	logger, err := exec.LookPath("logger")
	if err != nil {
		t.Skip("logger is missing")
	}
	for _, tc := range []struct{ name, address, how string }{
		{"udp, RFC 3164", "udp://127.0.0.1:0", "--udp --rfc3164"},
		{"udp, RFC 5424", "udp://[::1]:0", "--udp --rfc5424"},
		{"tcp, lines, RFC 3164", "tcp://127.0.0.1:0", "--tcp --rfc3164"},
		{"tcp, octets, RFC 5424", "tcp://127.0.0.1:0", "--tcp --rfc5424 --octet-count"},
		{"tcp, octets, RFC 3164, IPv6", "tcp://[::1]:0", "--tcp --rfc3164 --octet-count"},
		{"unix, local form", "unix://", ""},
		{"unix, RFC 5424", "unix://", "--rfc5424"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			if tc.address == "unix://" {
				tc.address += b.path("log")
			}
			at := b.startListener(Listen{Address: tc.address})
			args := append(strings.Fields(tc.how), "--tag", "sshd", "--id=77", "--priority", "auth.info")
			if host, port, err := net.SplitHostPort(at.String()); err == nil {
				args = append(args, "--server", host, "--port", port)
			} else {
				args = append(args, "--socket", at.String())
			}
			c := exec.Command(logger, args...)
			c.Stdin = strings.NewReader(fmt.Sprintf(failedText+"\n"+failedText+"\n", 1, 2))
			if out, err := c.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			b.wantPorts("1", "2")
			b.stop()
			for i, e := range events(b) {
				if e.Detail.User != "root" || e.Class != gate.ClassFailure || e.Origin.Offset != int64(i) || e.Detail.Session == 0 {
					t.Errorf("%+v", e)
				}
				if tc.how != "" && e.Detail.Via == "" {
					t.Error("nobody knows which host it came from")
				}
			}
			if b.marks["syslog:"+tc.address] != "" {
				t.Error("it has a mark, though it cannot be read again")
			}
		})
	}
}

// What a message proves depends on who sent it.
func TestSyslogEvidence(t *testing.T) {
	logger, err := exec.LookPath("logger")
	if err != nil || os.Geteuid() != 0 {
		t.Skip("logger is missing, or this is not root")
	}
	b := newBench(t)
	b.must(os.Chmod(b.dir, 0o755))
	b.must(os.Chmod(b.dir+"/..", 0o755))
	path := b.path("log")
	b.startListener(Listen{Address: "unix://" + path})
	send := func(port int, uid uint32) {
		c := exec.Command(logger, "--socket", path, "--tag", "sshd", "--id=77", fmt.Sprintf(failedText, port))
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		if out, err := c.CombinedOutput(); err != nil {
			t.Skipf("as user %d: %v: %s", uid, err, out)
		}
	}
	send(1, 0)
	send(2, 104)
	send(3, 1000)
	b.wantPorts("1", "2", "3")
	want := []string{"failure proven", "failure proven", "info forgeable"}
	for i, e := range events(b) {
		if got := e.Class.String() + " " + e.Evidence.String(); got != want[i] {
			t.Errorf("line %d: %s, want %s", i+1, got, want[i])
		}
	}
	b.until2("the doubt to be told", func() bool { return b.sensor.Status()[0].Unproven == 1 })
	b.stop()
	if worthOf(-1) != worthLess || worthOf(0) != worthRule || worthOf(1000) != worthNone {
		t.Error("worthOf")
	}
}

// From this machine, the kernel tells which user has the socket.
func TestOwnerOf(t *testing.T) {
	for _, network := range []string{"tcp4", "tcp6", "udp4", "udp6"} {
		host := "127.0.0.1:0"
		if strings.HasSuffix(network, "6") {
			host = "[::1]:0"
		}
		var from, to netip.AddrPort
		if strings.HasPrefix(network, "tcp") {
			l, err := net.Listen(network, host)
			if err != nil {
				t.Skip(err)
			}
			defer l.Close()
			c, err := net.Dial(network, l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			from, to = netip.MustParseAddrPort(c.LocalAddr().String()), netip.MustParseAddrPort(l.Addr().String())
		} else {
			c, err := net.ListenPacket(network, host)
			if err != nil {
				t.Skip(err)
			}
			defer c.Close()
			from = netip.MustParseAddrPort(c.LocalAddr().String())
		}
		if got := ownerOf(proc, network[:3], from, to); got != os.Geteuid() {
			t.Errorf("%s: user %d", network, got)
		}
		none := netip.AddrPortFrom(from.Addr(), from.Port()^1)
		if got := ownerOf(t.TempDir(), network[:3], none, to); got != -1 {
			t.Errorf("%s, nobody: user %d", network, got)
		}
	}
}

// Hosts keep their names, strangers are refused, long messages are counted.
func TestSyslogStream(t *testing.T) {
	b := newBench(t)
	at := b.startListener(Listen{Address: "tcp://127.0.0.1:0"})
	c, err := net.Dial("tcp", at.String())
	b.must(err)
	long := "<38>Nov 21 08:00:00 h sshd[1]: " + strings.Repeat("x", rules.MaxLine)
	_, err = fmt.Fprintf(c, "<38>Nov 21 08:00:00 alpha sshd[7]: "+failedText+"\n%s\n<38>1 2026-11-21T08:00:00Z beta sshd 7 - - "+failedText+"\n<38>sshd[7]: "+failedText+"\n", 1, long, 2, 3)
	b.must(err)
	b.wantPorts("1", "2", "3")
	b.must(c.Close())
	var via []string
	for _, e := range events(b) {
		via = append(via, e.Detail.Via)
	}
	if fmt.Sprint(via) != "[alpha beta 127.0.0.1]" {
		t.Errorf("from %v", via)
	}
	b.until2("the long one to be told", func() bool { return b.sensor.Status()[0].Skipped == 1 })
	// A sender who loses his place is cut off.
	c, err = net.Dial("tcp", at.String())
	b.must(err)
	_, err = c.Write([]byte("4 <1>abc defg"))
	b.must(err)
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("it goes on with a sender who lost his place")
	}
	b.stop()
	b = newBench(t)
	at = b.startListener(Listen{Address: "tcp://127.0.0.1:0", Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	c, err = net.Dial("tcp", at.String())
	b.must(err)
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("a stranger is heard")
	}
	b.until2("the stranger to be told of", func() bool { return b.sensor.Status()[0].Refused == 1 })
	if r := b.sensor.Status()[0].Remarks(); !strings.Contains(r, "1 sender or message was refused") || !strings.Contains(r, "is lost") {
		t.Errorf("remarks: %s", r)
	}
	b.stop()
}

// One sender cannot take all connections.
func TestSyslogLimits(t *testing.T) {
	b := newBench(t)
	at := b.startListener(Listen{Address: "tcp://127.0.0.1:0"})
	var all []net.Conn
	for range maxPerSender + 1 {
		c, err := net.Dial("tcp", at.String())
		b.must(err)
		defer c.Close()
		all = append(all, c)
	}
	b.until2("one to be refused", func() bool { return b.sensor.Status()[0].Refused == 1 })
	b.must(all[0].Close())
	b.until2("there to be room again", func() bool {
		s := b.sensor.streams[0].(*listener)
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.live < maxPerSender
	})
	c, err := net.Dial("tcp", at.String())
	b.must(err)
	defer c.Close()
	_, err = fmt.Fprintf(c, "<38>Nov 21 08:00:00 h sshd[7]: "+failedText+"\n", 1)
	b.must(err)
	b.wantPorts("1")
	b.stop()
}

// With certificates of senders, TLS proves who it was.
func TestSyslogTLS(t *testing.T) {
	b := newBench(t)
	ca := newAuthority(t)
	b.must(os.WriteFile(b.path("ca"), ca.pem, 0o600))
	b.must(os.WriteFile(b.path("crt"), nil, 0o600))
	ca.issue(b.path("crt"), b.path("key"))
	ca.issue(b.path("client.crt"), b.path("client.key"))
	newAuthority(t).issue(b.path("other.crt"), b.path("other.key"))
	at := b.startListener(Listen{Address: "tls://127.0.0.1:0", Cert: b.path("crt"), Key: b.path("key"), ClientCA: b.path("ca")})
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.pem)
	send := func(name string) error {
		cert, err := tls.LoadX509KeyPair(b.path(name+".crt"), b.path(name+".key"))
		b.must(err)
		c, err := tls.Dial("tcp", at.String(), &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{cert}, ServerName: "127.0.0.1"})
		if err != nil {
			return err
		}
		defer c.Close()
		m := fmt.Sprintf("<38>Nov 21 08:00:00 h sshd[7]: "+failedText, 1)
		if _, err := fmt.Fprintf(c, "%d %s", len(m), m); err != nil {
			return err
		}
		_ = c.CloseWrite()
		_, err = c.Read(make([]byte, 1))
		return err
	}
	_ = send("other") // it is told so, or finds the connection gone
	b.until2("it to be refused", func() bool { return b.sensor.Status()[0].Refused == 1 })
	_ = send("client")
	b.wantPorts("1")
	b.stop()
	if e := events(b)[0]; e.Evidence != gate.Proven {
		t.Errorf("%+v", e)
	}
}

// authority signs certificates.
type authority struct {
	testing.TB
	pem  []byte
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{TB: t}
	a.key, a.cert, a.pem = a.sign(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil)
	return a
}

func (a *authority) sign(c *x509.Certificate, by *authority) (*ecdsa.PrivateKey, *x509.Certificate, []byte) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.Fatal(err)
	}
	c.SerialNumber, c.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: "test"}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := c, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.Fatal(err)
	}
	return key, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// issue writes a certificate for 127.0.0.1 and its key.
func (a *authority) issue(crt, key string) {
	k, _, p := a.sign(&x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}, a)
	der, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		a.Fatal(err)
	}
	if err := os.WriteFile(crt, p, 0o600); err != nil {
		a.Fatal(err)
	}
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		a.Fatal(err)
	}
}

// What is in the way of a socket is removed only where it is one that nobody
// listens at.
func TestSyslogPath(t *testing.T) {
	b := newBench(t)
	b.write("file", "precious")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: b.path("used"), Net: "unixgram"})
	b.must(err)
	defer l.Close()
	old, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: b.path("old"), Net: "unixgram"})
	b.must(err)
	b.must(old.Close())
	b.write("gone", "")
	b.must(os.Remove(b.path("gone")))
	for name, want := range map[string]string{"file": "no socket", "used": "somebody else", "old": "", "gone": ""} {
		err := clearPath(b.path(name))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(b.path("file")); err != nil {
		t.Error(err)
	}
	runtime.KeepAlive(l)
}

// A burst of datagrams comes through whole, and what does not is counted.
func TestSyslogBurst(t *testing.T) {
	b := newBench(t)
	path := b.path("log")
	b.startListener(Listen{Address: "unix://" + path})
	c, err := net.Dial("unixgram", path)
	b.must(err)
	defer c.Close()
	const n = 5000
	for i := range n {
		_, err := fmt.Fprintf(c, "<38>Nov 21 08:00:00 sshd[7]: "+failedText, i)
		b.must(err)
	}
	got := b.ports(n)
	for i, p := range got {
		if p != fmt.Sprint(i) {
			t.Fatalf("message %d is %s", i, p)
		}
	}
	b.stop()
	if _, err := os.Stat(path); err == nil {
		t.Error("the socket is left behind")
	}
}
