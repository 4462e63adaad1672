package logs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/rules"
)

// Limits of a listener.
const (
	maxSenders    = 256              // connections at a time
	maxPerSender  = 32               // of these, from one address
	handshakeTime = 10 * time.Second // for TLS
	retryListen   = 5 * time.Second  // until an address that cannot be listened at is tried again
)

// syslogPrefix is before the address in the name of a source.
const syslogPrefix = "syslog:"

// proc is where the kernel tells who has which socket.
const proc = "/proc/self"

// listener is the stream of one address at which messages of syslog come in. What
// came while nobody listened is lost: it has no marks.
type listener struct {
	listen Listen
	env    *env

	mu    sync.Mutex // one batch after the other
	feed  *feed
	epoch uint64
	count int64 // of messages, over all connections
	live  int   // connections
	from  map[netip.Addr]int
	conns map[net.Conn]bool
	bound func(net.Addr) // told where it listens; nil = nobody asks
}

func newListener(e *env, r *readers, l Listen, ws []Watch) *listener {
	s := &listener{listen: l, env: e, from: map[netip.Addr]int{}, conns: map[net.Conn]bool{}}
	s.feed = newFeed(e, syslogPrefix+l.Address, watchNames(ws))
	s.feed.lines = r.feed(ws, rules.SourceOptions{})
	s.feed.note("what comes while Gatehouse does not run is lost")
	return s
}

// statuses implements stream.
func (s *listener) statuses() []SourceStatus { return []SourceStatus{s.feed.tell()} }

// run implements stream.
func (s *listener) run(ctx context.Context, settled func()) error {
	settled() // there is no past
	for ctx.Err() == nil {
		err := s.serve(ctx)
		var no refused
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &no):
			return no.error
		}
		s.feed.fares(Unreadable, err.Error())
		t := time.NewTimer(retryListen)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
	}
	return nil
}

// serve listens until the context ends, or listening does.
func (s *listener) serve(ctx context.Context) error {
	d, err := s.listen.door()
	if err == nil {
		err = s.listen.check()
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.epoch, s.count = uint64(s.env.now().UnixNano()), 0
	s.mu.Unlock()
	switch d.network {
	case "udp":
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(d.addr))
		if err != nil {
			return listenProblem(err)
		}
		return s.datagrams(ctx, c, c.LocalAddr())
	case "unix":
		if err := clearPath(d.path); err != nil {
			return err
		}
		c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: d.path, Net: "unixgram"})
		if err != nil {
			return listenProblem(err)
		}
		defer os.Remove(d.path)
		if err := os.Chmod(d.path, 0o666); err != nil { // as /dev/log: who wrote is told by the kernel
			return errors.Join(err, c.Close())
		}
		return s.datagrams(ctx, c, c.LocalAddr())
	}
	var secure *tls.Config
	if d.network == "tls" {
		if secure, err = s.listen.tls(); err != nil {
			return err
		}
	}
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(d.addr))
	if err != nil {
		return listenProblem(err)
	}
	return s.connections(ctx, l, secure)
}

// listenProblem is why an address cannot be listened at, without what is told
// already.
func listenProblem(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return fmt.Errorf("cannot listen there: %w", op.Err)
	}
	return err
}

// listens notes that all is well.
func (s *listener) listens(at net.Addr) {
	s.feed.fares(CaughtUp, "")
	if s.bound != nil {
		s.bound(at)
	}
}

// connections takes connections until the context ends.
func (s *listener) connections(ctx context.Context, l *net.TCPListener, secure *tls.Config) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() { s.closeAll(l) })
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	defer s.closeAll(l)
	s.listens(l.Addr())
	for {
		c, err := l.AcceptTCP()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = c.Close()
			}
			return context.Cause(ctx)
		case err != nil:
			return listenProblem(err)
		}
		from := c.RemoteAddr().(*net.TCPAddr).AddrPort()
		if !s.admit(c, from.Addr()) {
			_ = c.Close()
			continue
		}
		all.Go(func() {
			defer s.dismiss(c, from.Addr())
			if err := s.talk(ctx, c, secure); err != nil {
				cancel(refused{err})
			}
		})
	}
}

// closeAll ends listening and all connections.
func (s *listener) closeAll(l net.Listener) {
	_ = l.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close()
	}
}

// admit reports whether a connection may stay, and counts it.
func (s *listener) admit(c net.Conn, from netip.Addr) bool {
	from = from.Unmap()
	allowed := s.listen.allows(from)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !allowed || s.live >= maxSenders || s.from[from] >= maxPerSender {
		s.feed.count(func(st *SourceStatus) { st.Refused++ })
		return false
	}
	s.live++
	s.from[from]++
	s.conns[c] = true
	return true
}

func (s *listener) dismiss(c net.Conn, from netip.Addr) {
	from = from.Unmap()
	_ = c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live--
	delete(s.conns, c)
	if s.from[from]--; s.from[from] == 0 {
		delete(s.from, from)
	}
}

// talk reads one connection to its end. The error is that of a refused batch.
func (s *listener) talk(ctx context.Context, c *net.TCPConn, secure *tls.Config) error {
	from, to := c.RemoteAddr().(*net.TCPAddr).AddrPort(), c.LocalAddr().(*net.TCPAddr).AddrPort()
	a := about{via: senderName(from.Addr()), worth: s.worth("tcp", from, to)}
	var r io.Reader = c
	if secure != nil {
		t := tls.Server(c, secure)
		hand, cancel := context.WithTimeout(ctx, handshakeTime)
		err := t.HandshakeContext(hand)
		cancel()
		if err != nil {
			s.feed.count(func(st *SourceStatus) { st.Refused++ })
			return nil //nolint:nilerr // whoever cannot prove who he is, is not our trouble
		}
		if secure.ClientCAs != nil {
			a.worth = worthRule
		}
		r = t
	}
	f := newFrames(r)
	var b bundle
	var line []byte
	for {
		m, err := f.next()
		if err == nil {
			line = dress(line[:0], m, a.via, s.env.now())
			b.add(a, line)
		}
		if err != nil || !f.buffered() || len(b.text) >= fullBundle {
			if e := s.take(ctx, &b, f.long); e != nil {
				return e
			}
			f.long = 0
		}
		if err != nil {
			if errors.Is(err, errFrame) {
				s.feed.count(func(st *SourceStatus) { st.Odd++ })
			}
			return nil //nolint:nilerr // the sender hung up
		}
	}
}

// take hands over what one sender brought, and empties the bundle. long is how
// many messages were passed over for their length.
func (s *listener) take(ctx context.Context, b *bundle, long int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if long > 0 {
		s.feed.count(func(st *SourceStatus) { st.Skipped += uint64(long) })
	}
	for i := range b.about {
		b.about[i].epoch, b.about[i].offset = s.epoch, s.count
		s.count++
	}
	b.text, s.feed.bundle.text = s.feed.bundle.text, b.text
	b.at, s.feed.bundle.at = s.feed.bundle.at, b.at
	b.about, s.feed.bundle.about = s.feed.bundle.about, b.about
	err := s.feed.hand(ctx, "", true)
	b.clear()
	return err
}

// worth is what a message proves that came over the network. Who sends from this
// machine is known by the user who has the socket: services may relay for others,
// people may not. What comes from elsewhere may have been sent by anybody.
func (s *listener) worth(protocol string, from, to netip.AddrPort) worth {
	if !from.Addr().IsLoopback() {
		return worthLess
	}
	unmap := func(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
	return worthOf(ownerOf(proc, protocol, unmap(from), unmap(to)))
}

// worthOf is what a message proves that a user of this machine wrote; -1 = unknown.
func worthOf(uid int) worth {
	switch {
	case uid < 0:
		return worthLess
	case isSystem(uid):
		return worthRule
	}
	return worthNone
}

// senderName is the address as the name of a host in a header: one that does not
// end in a colon, which would make it a tag.
func senderName(a netip.Addr) string {
	name := a.Unmap().WithZone("").String()
	if strings.HasSuffix(name, ":") {
		name += "0"
	}
	return name
}
