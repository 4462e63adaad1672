package panel

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"
)

// server lets other programs use the adapter, as ser2sock does.
type server struct {
	c   Server
	p   *Panel
	tls *tls.Config // nil = plain TCP

	mu       sync.Mutex // guards what follows
	listener net.Listener
	clients  map[*client]struct{}
	up       bool
}

// Bounds of the server.
const (
	maxClients = 256
	shakeTime  = 10 * time.Second // for TLS
	queueLines = 1024             // that a client may be behind: half an hour of a quiet panel, ten seconds of a noisy one
)

// newServer reads what the server needs.
func newServer(c Server, p *Panel) (*server, error) {
	s := &server{c: c, p: p, clients: map[*client]struct{}{}}
	if c.Cert == "" {
		return s, nil
	}
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, &Error{What: "read the certificate of the panel's server: " + reason(err), Hint: "check cert and key in panel: server:", err: err}
	}
	s.tls = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if c.ClientCA != "" {
		pool, err := certificates(c.ClientCA)
		if err != nil {
			return nil, err
		}
		s.tls.ClientCAs, s.tls.ClientAuth = pool, tls.RequireAndVerifyClientCert
		s.tls.SessionTicketsDisabled = true // who comes back is checked again
	}
	if c.Revoked != "" {
		if _, err := revocations(c.Revoked); err != nil {
			return nil, err
		}
		s.tls.VerifyConnection = func(cs tls.ConnectionState) error { return notRevoked(c.Revoked, cs.VerifiedChains) }
	}
	return s, nil
}

// revocations reads a revocation list, in PEM or DER.
func revocations(path string) (*x509.RevocationList, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, &Error{What: fmt.Sprintf("read %s: %s", path, reason(err)), Hint: "it holds a revocation list in PEM", err: err}
	}
	if block, _ := pem.Decode(text); block != nil {
		text = block.Bytes
	}
	list, err := x509.ParseRevocationList(text)
	if err != nil {
		return nil, &Error{What: path + " holds no revocation list", Hint: "it holds a revocation list in PEM, as openssl ca -gencrl writes it", err: err}
	}
	return list, nil
}

// notRevoked refuses a client whose certificate is on the list. A list that cannot
// be read, is not signed by the authority or is out of date lets nobody in.
func notRevoked(path string, chains [][]*x509.Certificate) error {
	list, err := revocations(path)
	if err != nil {
		return err
	}
	for _, chain := range chains {
		if len(chain) < 2 || list.CheckSignatureFrom(chain[1]) != nil {
			continue
		}
		if !list.NextUpdate.IsZero() && time.Now().After(list.NextUpdate) {
			return errors.New("the revocation list is out of date")
		}
		for _, r := range list.RevokedCertificateEntries {
			if r.SerialNumber.Cmp(chain[0].SerialNumber) == 0 {
				return errors.New("the certificate is revoked")
			}
		}
		return nil
	}
	return errors.New("the revocation list is not of the authority that signed the certificate")
}

// run listens until ctx ends. Where the address is taken it tries again.
func (s *server) run(ctx context.Context) {
	var clients sync.WaitGroup
	defer clients.Wait()
	for wait := firstWait; ctx.Err() == nil; wait = min(2*wait, lastWait) {
		l, err := (&net.ListenConfig{KeepAliveConfig: keepAlive}).Listen(ctx, "tcp", s.c.Listen)
		if err != nil {
			s.p.d.Fault(PartServer, fmt.Sprintf("listen on %s: %s", s.c.Listen, reason(err)), "stop what listens there, or choose another address: listen: in panel: server:")
			s.p.link.pause(ctx, wait)
			continue
		}
		s.p.d.Fault(PartServer, "", "")
		s.mu.Lock()
		s.listener = l
		s.mu.Unlock()
		stop := context.AfterFunc(ctx, func() { _ = l.Close() }) // ends Accept below
		s.accept(ctx, l, &clients)
		stop()
		_ = l.Close() // a second time does no harm
	}
}

// accept takes clients until the listener is closed.
func (s *server) accept(ctx context.Context, l net.Listener, clients *sync.WaitGroup) {
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() == nil {
				s.p.d.Log.Warn("accept a client of the alarm panel", "err", err)
				s.p.link.pause(ctx, firstWait) // too many open files, as a rule
				if errors.Is(err, net.ErrClosed) {
					return
				}
				continue
			}
			return
		}
		from := addressOf(conn)
		if !s.allowed(from) {
			s.p.d.Log.Debug("a client of the alarm panel is not allowed", "subject", from)
			_ = conn.Close() // without a word: it is nobody's business
			continue
		}
		clients.Go(func() { s.serve(ctx, conn, from) })
	}
}

// addressOf returns the address at the other end.
func addressOf(conn net.Conn) netip.Addr {
	a, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap().WithZone("")
}

// allowed reports whether an address may connect: those that are listed, and this
// machine where none is.
func (s *server) allowed(a netip.Addr) bool {
	if len(s.c.AllowFrom) == 0 {
		return a.IsLoopback()
	}
	return slices.ContainsFunc(s.c.AllowFrom, func(p netip.Prefix) bool { return p.Contains(a) })
}

// serve talks to one client until either side ends.
func (s *server) serve(ctx context.Context, conn net.Conn, from netip.Addr) {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends the read of the client
	defer stop()
	if s.tls != nil {
		t := tls.Server(conn, s.tls)
		shake, cancel := context.WithTimeout(ctx, shakeTime)
		err := t.HandshakeContext(shake)
		cancel()
		if err != nil {
			s.p.d.Log.Info("a client of the alarm panel failed at TLS", "subject", from, "err", err)
			return
		}
		conn = t
	}
	c := newClient(s, conn, from)
	if !s.add(c) {
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second)) // a courtesy, not a duty
		_, _ = conn.Write([]byte("!SER2SOCK too many clients\r\n"))
		return
	}
	defer s.remove(c)
	c.run(ctx)
}

// The banners of ser2sock.
const (
	bannerHello = "!SER2SOCK Connected\r\n"
	bannerUp    = "!SER2SOCK SERIAL_CONNECTED\r\n"
	bannerDown  = "!SER2SOCK SERIAL_DISCONNECTED\r\n"
)

// add takes a client among those that get each line; false where there are too
// many.
func (s *server) add(c *client) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.clients) >= maxClients {
		return false
	}
	hello := bannerHello + bannerDown
	if s.up {
		hello = bannerHello + bannerUp
	}
	c.queue <- []byte(hello)
	s.clients[c] = struct{}{}
	return true
}

func (s *server) remove(c *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.clients, c)
}

// broadcast queues a line for every client. One that is too far behind is cut off:
// it would get half a picture, and it must not delay the others.
func (s *server) broadcast(line []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.clients {
		select {
		case c.queue <- line:
		default:
			delete(s.clients, c)
			c.cut("it reads too slowly")
		}
	}
}

// state tells clients that the adapter is there or gone.
func (s *server) state(up bool) {
	s.mu.Lock()
	was := s.up
	s.up = up
	s.mu.Unlock()
	switch {
	case up && !was:
		s.broadcast([]byte(bannerUp))
	case was && !up:
		s.broadcast([]byte("\r\n" + bannerDown))
	}
}

// where returns the address that the server listens on; "" = it does not.
func (s *server) where() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// count returns how many clients there are.
func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.clients)
}
