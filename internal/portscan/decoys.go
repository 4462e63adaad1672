package portscan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/gate"
)

// Decoy is a port on which nothing serves and something listens.
type Decoy struct {
	Proto  gate.Proto
	Port   uint16
	Banner string        // what it says first; "" = what suits the port, perhaps nothing. Never said over UDP
	Tarpit time.Duration // how long it keeps a connection; 0 = it closes it at once
}

func (d Decoy) String() string {
	return gate.PortsOf(gate.PortRange{Proto: d.Proto, Lo: d.Port, Hi: d.Port}).String()
}

// DecoyStatus is the state of one decoy.
type DecoyStatus struct {
	Decoy string // 2323/tcp
	Open  bool   // it listens
	Why   string // why not
	Hits  uint64 // connections, or datagrams
	Kept  int    // connections that are kept now
}

// The bounds of all decoys together.
const (
	maxKept     = 1024             // connections that are kept at once: some kB each
	maxKeptFrom = 4                // of one address, or one IPv6 /64
	maxTarpit   = 10 * time.Minute // the longest that one is kept
	crawl       = 10 * time.Second // between two bytes of a banner
	tellAgain   = time.Minute      // how often the same address is told of at most
	maxTold     = 8192             // addresses that were told of lately
	datagramMax = 256              // bytes of a datagram that are looked at
)

// decoys are the listeners. The zero value is ready for open.
type decoys struct {
	wg   sync.WaitGroup
	list []*listener

	mu   sync.Mutex
	kept map[netip.Prefix]int // connections by source
	all  int
	told map[netip.Prefix]time.Time
}

// listener is one decoy that listens, or does not.
type listener struct {
	Decoy
	closer interface{ Close() error } // nil = it does not
	why    string
	hits   atomic.Uint64
	kept   atomic.Int64
}

// open opens all decoys; they run until close. The list is complete before
// anybody looks at it, under the mutex.
func (ds *decoys) open(ctx context.Context, s *Sensor) {
	list := make([]*listener, 0, len(s.config.Decoys))
	for _, d := range s.config.Decoys {
		l := &listener{Decoy: d}
		if err := l.open(ctx, ds, s); err != nil {
			l.why = err.Error()
			s.deps.Log.Warn("a decoy cannot listen", "port", d.String(), "err", err)
			s.deps.Fault("decoy "+d.String(), l.why, "choose another port for the decoy (scan: decoys), or stop what listens there")
		} else {
			s.deps.Fault("decoy "+d.String(), "", "")
		}
		list = append(list, l)
	}
	ds.mu.Lock()
	defer ds.mu.Unlock()
	ds.list = list
}

func (ds *decoys) close() {
	ds.mu.Lock()
	list := ds.list
	ds.mu.Unlock()
	for _, l := range list {
		if l.closer != nil {
			l.closer.Close()
		}
	}
	ds.wg.Wait()
}

func (ds *decoys) status() (out []DecoyStatus) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	for _, l := range ds.list {
		out = append(out, DecoyStatus{Decoy: l.String(), Open: l.closer != nil, Why: l.why, Hits: l.hits.Load(), Kept: int(l.kept.Load())})
	}
	return out
}

// open begins to listen on all addresses of the machine.
func (l *listener) open(ctx context.Context, ds *decoys, s *Sensor) error {
	at := ":" + strconv.Itoa(int(l.Port))
	lc := net.ListenConfig{}
	lc.SetMultipathTCP(false)
	switch l.Proto {
	case gate.TCP:
		ln, err := lc.Listen(ctx, "tcp", at)
		if err != nil {
			return plainly(err)
		}
		l.closer = ln
		ds.wg.Go(func() { l.accept(ctx, ln, ds, s) })
	case gate.UDP:
		pc, err := lc.ListenPacket(ctx, "udp", at)
		if err != nil {
			return plainly(err)
		}
		l.closer = pc
		ds.wg.Go(func() { l.receive(pc, ds, s) })
	default:
		return fmt.Errorf("protocol %v has no decoys", l.Proto)
	}
	return nil
}

// plainly says what an error of listening means.
func plainly(err error) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return errors.New("something listens there already")
	case errors.Is(err, unix.EACCES):
		return errors.New("no permission to listen on a port below 1024: this needs root or CAP_NET_BIND_SERVICE")
	}
	return err
}

// sourceOf is what connections are counted by: an address, or an IPv6 /64.
func sourceOf(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	if a.Is6() && !a.IsLinkLocalUnicast() {
		return netip.PrefixFrom(a, 64).Masked()
	}
	return netip.PrefixFrom(a, a.BitLen())
}

// accept takes connections until the listener is closed.
func (l *listener) accept(ctx context.Context, ln net.Listener, ds *decoys, s *Sensor) {
	pause := time.Millisecond
	for {
		c, err := ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// No descriptors left, for one: the connections wait in the kernel.
			timer := time.NewTimer(pause)
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-timer.C:
			}
			pause = min(2*pause, time.Second)
			continue
		}
		pause = time.Millisecond
		l.hits.Add(1)
		peer, ok := peerOf(c.RemoteAddr())
		if !ok {
			c.Close()
			continue
		}
		src := sourceOf(peer.Addr())
		if ds.tell(src) {
			s.put(l.hit(peer, c.LocalAddr()))
		}
		if l.Tarpit <= 0 || !ds.keep(src) {
			hangUp(c)
			continue
		}
		l.kept.Add(1)
		ds.wg.Go(func() {
			defer ds.leave(src)
			defer l.kept.Add(-1)
			linger(ctx, c, l.bannerOf(), min(l.Tarpit, maxTarpit))
		})
	}
}

// hit is the event of a finished handshake.
func (l *listener) hit(peer netip.AddrPort, at net.Addr) gate.Event {
	e := gate.Event{
		Time: time.Now(), Pattern: gate.ProbePattern("connect", gate.ReportDecoy), Subject: gate.AddrSubject(peer.Addr()),
		Class: gate.ClassFailure, Evidence: gate.Proven,
		Detail: gate.Detail{Proto: l.Proto, Port: l.Port},
		Line:   fmt.Sprintf("connection from %v port %d to the decoy on port %v", peer.Addr(), peer.Port(), l.Decoy),
	}
	if to, ok := peerOf(at); ok {
		e.Detail.Via = to.Addr().String()
	}
	return e
}

func peerOf(a net.Addr) (netip.AddrPort, bool) {
	ap, err := netip.ParseAddrPort(a.String())
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port()), err == nil
}

// tell reports whether to tell of a source now.
func (ds *decoys) tell(src netip.Prefix) bool {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	now := time.Now()
	if at, ok := ds.told[src]; ok && now.Sub(at) < tellAgain {
		return false
	}
	if len(ds.told) >= maxTold || ds.told == nil {
		ds.told = make(map[netip.Prefix]time.Time)
	}
	ds.told[src] = now
	return true
}

// keep reports whether another connection of a source may be kept, and counts
// it.
func (ds *decoys) keep(src netip.Prefix) bool {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if ds.all >= maxKept || ds.kept[src] >= maxKeptFrom {
		return false
	}
	if ds.kept == nil {
		ds.kept = make(map[netip.Prefix]int)
	}
	ds.kept[src]++
	ds.all++
	return true
}

func (ds *decoys) leave(src netip.Prefix) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	ds.all--
	if ds.kept[src]--; ds.kept[src] <= 0 {
		delete(ds.kept, src)
	}
}

// hangUp ends a connection with a reset, so that nothing of it stays behind.
func hangUp(c net.Conn) {
	if tc, ok := c.(*net.TCPConn); ok {
		tc.SetLinger(0)
	}
	c.Close()
}

// linger keeps a connection for a while: its banner goes out byte by byte,
// what comes in is not read, so that the peer's window closes.
func linger(ctx context.Context, c net.Conn, banner string, tarpit time.Duration) {
	defer hangUp(c)
	if tc, ok := c.(*net.TCPConn); ok {
		tc.SetReadBuffer(1) // the kernel's least
	}
	end := time.NewTimer(tarpit)
	defer end.Stop()
	tick := time.NewTicker(crawl)
	defer tick.Stop()
	// Most of it at once, so that it is believed; the rest slowly.
	say := func(part string) bool {
		c.SetWriteDeadline(time.Now().Add(crawl))
		_, err := c.Write([]byte(part))
		return err == nil
	}
	if n := len(banner); n > 1 {
		if !say(banner[:n-1]) {
			return
		}
		banner = banner[n-1:]
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-end.C:
			return
		case <-tick.C:
			if banner != "" {
				if !say(banner[:1]) {
					return
				}
				banner = banner[1:]
			}
		}
	}
}

// receive reads datagrams until the socket is closed. It answers none.
func (l *listener) receive(pc net.PacketConn, ds *decoys, s *Sensor) {
	buf := make([]byte, datagramMax)
	for {
		_, from, err := pc.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error of somebody else
		}
		l.hits.Add(1)
		peer, ok := peerOf(from)
		if !ok || !ds.tell(sourceOf(peer.Addr())) {
			continue
		}
		e := l.hit(peer, pc.LocalAddr())
		e.Pattern, e.Evidence = "udp", gate.Forgeable
		e.Line = fmt.Sprintf("datagram from %v port %d to the decoy on port %v", peer.Addr(), peer.Port(), l.Decoy)
		e.Detail.Via = ""
		s.put(e)
	}
}
