package host

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	mdl "github.com/mdlayher/netlink"

	"gatehouse/internal/gate"
)

const (
	// yesAge is how long a peer that spoke is believed to have, without asking
	// again: a connection makes several lines of log, the last of them when it is
	// over.
	yesAge = time.Minute
	// noAge is how long a peer of which nothing is known is not asked about again.
	noAge = 100 * time.Millisecond
	// maxAnswers is how many answers of each kind are kept.
	maxAnswers = 8192
	// maxPlaces is how many ends of this machine are tried for one peer.
	maxPlaces = 128
	// maxKnown is how many ends are remembered at which somebody was found.
	maxKnown = 8
	// askWait bounds how long the kernel may take for the answers to one question.
	askWait = time.Second
	// flowsRetry is how long connection tracking is left alone after it failed.
	flowsRetry = time.Minute
)

var (
	// questions is how often the kernel is asked, about everybody together.
	questions = pace{every: time.Second / 200, burst: 200}
	// doubts is how often the kernel may know nothing of a peer of one address
	// before it is not asked about that address for a while. It keeps somebody who
	// forges lines from trying all ports of another until one is in use.
	doubts = pace{every: time.Second, burst: 32}
)

// Spoke reports whether the kernel knows of a TCP connection that this peer, with
// exactly this source port, opened to this machine (or to a network attached to
// it, as that of a container), of which the handshake was completed: who only
// claims an address cannot do that. It is true for as long as the connection lasts
// and for a while after its end (net.netfilter.nf_conntrack_tcp_timeout_*, two
// minutes after an orderly one), where connection tracking is on; else while the
// socket exists. With port 0 it is true of any connection of that address, which
// takes longer to find out (some 10 ms with the largest table) and says much less.
//
// False means that it cannot be proven, for whatever reason: no right to ask,
// too many questions. Answers are kept, true for a minute, false for 100 ms. At
// most 200 questions a second reach the kernel (after as many at once), and of those
// that it knows nothing of, one a second about an address or /64 (after 32 at once).
func (w *Watcher) Spoke(peer netip.AddrPort) bool {
	if !peer.Addr().IsValid() || w.root != "" {
		return false
	}
	return w.witness.spoke(netip.AddrPortFrom(peer.Addr().Unmap().WithZone(""), peer.Port()), w)
}

// witness answers questions about peers out of what the kernel remembers. The
// zero value is ready to use, by several goroutines at once.
type witness struct {
	mu     sync.Mutex
	yes    times[netip.AddrPort] // until when a peer is believed to have spoken
	no     times[netip.AddrPort] // until when it is believed not to have
	doubt  times[netip.Prefix]   // by address or /64: see doubts
	asked  time.Time             // see questions
	walked time.Time             // when the table of flows may be gone through again
	known  []netip.AddrPort      // ends at which somebody was found, the latest first

	flows     *mdl.Conn // connection tracking; nil = not open
	flowsFrom time.Time // when it may be opened
	socks     *mdl.Conn // sock_diag; nil = not open
}

func (s *witness) spoke(peer netip.AddrPort, w *Watcher) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.yes.get(peer).After(now) {
		return true
	}
	who := unit(peer.Addr())
	doubt, mayDoubt := doubts.next(s.doubt.get(who), now)
	asked, mayAsk := questions.next(s.asked, now)
	if s.no.get(peer).After(now) || !mayDoubt || !mayAsk {
		return false
	}
	s.asked = asked
	if !s.ask(peer, w) {
		s.no.put(peer, time.Now().Add(noAge))
		s.doubt.put(who, doubt)
		return false
	}
	s.yes.put(peer, now.Add(yesAge))
	return true
}

// unit is whose peer an address is: itself, or its /64.
func unit(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // bits fit
	return p
}

// ask asks the kernel. The caller holds mu.
func (s *witness) ask(peer netip.AddrPort, w *Watcher) bool {
	if peer.Port() != 0 && s.askPlaces(peer, w) {
		return true
	}
	// Another than a listener of this machine can only have been spoken to where
	// it forwards.
	if now := time.Now(); now.Before(s.walked) || peer.Port() != 0 && !forwards() {
		return false
	}
	begin := time.Now()
	found, ok := s.walk(peer, w)
	s.walked = time.Now().Add(restFactor * time.Since(begin))
	if ok {
		s.remember(found)
	}
	return ok
}

// askPlaces asks for connections of the peer with each end that it may have been
// connected to: a lookup each, however many connections there are.
func (s *witness) askPlaces(peer netip.AddrPort, w *Watcher) bool {
	l, age := w.local()
	tried := places(peer.Addr(), s.known, l)
	found, ok := s.exact(peer, tried)
	if !ok && age > MaxAge { // something may listen since
		tried = slices.DeleteFunc(places(peer.Addr(), nil, w.freshLocal()), func(p netip.AddrPort) bool { return slices.Contains(tried, p) })
		found, ok = s.exact(peer, tried)
	}
	if ok {
		s.remember(found)
	}
	return ok
}

// exact returns which of these ends the peer is or was connected to.
func (s *witness) exact(peer netip.AddrPort, ends []netip.AddrPort) (netip.AddrPort, bool) {
	if len(ends) == 0 {
		return netip.AddrPort{}, false
	}
	if end, ok := s.exactFlow(peer, ends); ok {
		return end, true
	}
	return s.exactSocket(peer, ends)
}

// remember puts an end where somebody was found in front.
func (s *witness) remember(end netip.AddrPort) {
	if i := slices.Index(s.known, end); i >= 0 {
		s.known = slices.Delete(s.known, i, i+1)
	}
	s.known = slices.Insert(s.known, 0, end)
	s.known = s.known[:min(len(s.known), maxKnown)]
}

// close lets go of the sockets; they are opened again when somebody asks.
func (s *witness) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range []**mdl.Conn{&s.flows, &s.socks} {
		if *c != nil {
			(*c).Close()
			*c = nil
		}
	}
}

// local is what is known of this machine's own ends.
type local struct {
	own       []netip.Addr
	onLink    []netip.Prefix
	listeners []gate.Listener
}

// local returns what was read last, and how old the listeners are.
func (w *Watcher) local() (local, time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return local{own: w.net.own, onLink: w.net.onLink, listeners: w.host.Listeners}, time.Since(w.listenAt)
}

// freshLocal is local with the listeners of this moment.
func (w *Watcher) freshLocal() local {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.readListeners()
	return local{own: w.net.own, onLink: w.net.onLink, listeners: w.host.Listeners}
}

// attached reports whether an address is one of this machine or of a network
// attached to it.
func (l local) attached(a netip.Addr) bool {
	return a.IsLoopback() || slices.Contains(l.own, a) || slices.ContainsFunc(l.onLink, func(p netip.Prefix) bool { return p.Contains(a) })
}

// places returns the ends that a peer may be connected to, at most maxPlaces: first
// those that are known, then every address at which something listens.
func places(peer netip.Addr, known []netip.AddrPort, l local) []netip.AddrPort {
	var out []netip.AddrPort
	seen := map[netip.AddrPort]bool{}
	add := func(a netip.Addr, port uint16) {
		if p := netip.AddrPortFrom(a, port); a.Is4() == peer.Is4() && !seen[p] && len(out) < maxPlaces {
			seen[p] = true
			out = append(out, p)
		}
	}
	for _, p := range known {
		add(p.Addr(), p.Port())
	}
	for _, lis := range l.listeners {
		if lis.Proto != gate.TCP {
			continue
		}
		switch {
		case !lis.Addr.IsUnspecified():
			add(lis.Addr, lis.Port)
		case peer.IsLoopback():
			add(peer, lis.Port)
		case lis.Addr.Is6() || peer.Is4(): // one of IPv6 may take IPv4 too
			for _, a := range l.own {
				add(a, lis.Port)
			}
		}
	}
	return out
}

// forwards reports whether this machine forwards packets.
func forwards() bool {
	for _, key := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"} {
		if b, err := os.ReadFile("/proc/sys/net/" + key); err == nil && strings.TrimSpace(string(b)) != "0" {
			return true
		}
	}
	return false
}
