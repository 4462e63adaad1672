package host

import (
	"cmp"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"time"

	mdl "github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"gatehouse/internal/gate"
)

const (
	// MaxAge is how old the sessions of a Snapshot may be. It bounds the cost of
	// asking: a scan of all processes takes about 8 us each.
	MaxAge = 2 * time.Second
	// listenersAge is how old the listeners of a Snapshot may be.
	listenersAge = 30 * time.Second
)

// Deps is what a Watcher needs from outside.
type Deps struct {
	Log  *slog.Logger
	Root string // "" = the machine; else a folder with proc and etc in it, for tests
}

// Watcher knows what is true of this machine. Its methods may be called by
// several goroutines at once.
type Watcher struct {
	log     *slog.Logger
	root    string
	changed chan struct{} // one place: a change not yet seen covers later ones
	witness witness       // never asked while mu is held

	mu        sync.Mutex
	host      gate.Host // replaced, never changed in place: its lists are shared
	net       network
	resolv    []string // files that name the name servers
	sess      sessions
	sessAt    time.Time
	listenAt  time.Time
	blind     bool
	routes    *netlink.Handle // nil = not open
	diag      *mdl.Conn       // nil = not open
	diagFails bool            // sock_diag does not work here: read /proc
	ends      *ends           // nil = Run is not running
}

// New reads everything once. What cannot be read is logged and tried again by
// Run; the Snapshot is right as far as it goes.
func New(d Deps) *Watcher {
	w := &Watcher{
		log: d.Log, root: d.Root,
		changed: make(chan struct{}, 1),
		sess:    sessions{proc: procfs{dir: filepath.Join("/", d.Root, "proc")}},
	}
	w.net.normalise()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.host = gate.Host{Own: w.net.own, OnLink: w.net.onLink, Gateways: w.net.gateways, Resolvers: []netip.Addr{}, Sessions: []gate.Session{}, Listeners: []gate.Listener{}}
	if err := w.readNetwork(); err != nil {
		w.log.Warn("cannot read addresses and routes", "err", err)
	}
	w.readResolvers()
	w.readSessions()
	w.readListeners()
	return w
}

// Snapshot returns what is true now. Addresses, routes and name servers are those
// of the last event; sessions are at most MaxAge old, for which it may have to look
// at all processes (under 5 ms with 500 of them). No list is nil; the lists are
// shared and must not be changed.
func (w *Watcher) Snapshot() gate.Host {
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Since(w.sessAt) > MaxAge {
		w.readSessions()
	}
	if time.Since(w.listenAt) > listenersAge {
		w.readListeners()
	}
	return w.host
}

// Refresh is Snapshot with sessions of this moment, for somebody who knows that
// one has just begun.
func (w *Watcher) Refresh() gate.Host {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.readSessions()
	return w.host
}

// Changed returns a channel that gets a value after own addresses, attached
// networks, gateways, name servers or sessions have changed. It has one place and
// is never closed.
func (w *Watcher) Changed() <-chan struct{} { return w.changed }

// Blind says why SSH sessions cannot be seen, with what helps; "" if they can.
func (w *Watcher) Blind() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.blind {
		return ""
	}
	return "SSH sessions of this machine cannot be seen without root or CAP_SYS_PTRACE; their peers are not protected from a ban: put your address under `allow`"
}

// PeerOf is the function PeerOf for the Watcher's tree of processes.
func (w *Watcher) PeerOf(pid int) (netip.Addr, bool) {
	s := sessions{proc: procfs{dir: w.sess.proc.dir}}
	return s.peerOf(pid)
}

// signal says that the snapshot has changed.
func (w *Watcher) signal() {
	select {
	case w.changed <- struct{}{}:
	default: // not yet seen: it covers this one
	}
}

// readNetwork reads addresses and routes. The caller holds mu.
func (w *Watcher) readNetwork() error {
	if w.routes == nil {
		h, err := openRoutes()
		if err != nil {
			return err
		}
		w.routes = h
	}
	n, err := readNetwork(w.routes)
	if err != nil {
		w.routes.Close() // an answer may still be under way
		w.routes = nil
		return err
	}
	if slices.Equal(n.own, w.net.own) && slices.Equal(n.onLink, w.net.onLink) && slices.Equal(n.gateways, w.net.gateways) {
		return nil
	}
	w.net = n
	w.host.Own, w.host.OnLink, w.host.Gateways = n.own, n.onLink, n.gateways
	w.signal()
	return nil
}

// readResolvers reads the name servers. The caller holds mu.
func (w *Watcher) readResolvers() {
	servers, files := readResolv(filepath.Join("/", w.root))
	w.resolv = files
	if !slices.Equal(servers, w.host.Resolvers) {
		w.host.Resolvers = tidy(servers, netip.Addr.Compare)
		w.signal()
	}
}

// readSessions reads the sessions. The caller holds mu.
func (w *Watcher) readSessions() {
	w.sessAt = time.Now()
	logins, blind, err := w.sess.list()
	if err != nil {
		w.log.Warn("cannot read the SSH sessions", "err", err)
		return
	}
	if blind && !w.blind {
		w.log.Warn("cannot see all SSH sessions: this needs root or CAP_SYS_PTRACE")
	}
	w.blind = blind
	if w.ends != nil && w.root == "" {
		pids := make(map[int]bool, len(logins))
		for _, l := range logins {
			pids[l.pid] = true
		}
		if err := w.ends.watch(pids); err != nil {
			w.log.Warn("cannot watch the end of SSH sessions", "err", err)
		}
	}
	list := make([]gate.Session, len(logins))
	for i, l := range logins {
		list[i] = l.Session
	}
	list = tidy(list, func(a, b gate.Session) int {
		return cmp.Or(a.Peer.Compare(b.Peer), cmp.Compare(a.Port, b.Port), cmp.Compare(a.User, b.User))
	})
	if !slices.Equal(list, w.host.Sessions) {
		w.host.Sessions = list
		w.signal()
	}
}

// readListeners reads what listens. The caller holds mu.
func (w *Watcher) readListeners() {
	w.listenAt = time.Now()
	list, err := w.listeners()
	if err != nil {
		w.log.Warn("cannot read the listening sockets", "err", err)
		return
	}
	w.host.Listeners = tidy(list, func(a, b gate.Listener) int {
		return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Port, b.Port))
	})
}

// listeners asks sock_diag, or reads /proc where that does not work.
func (w *Watcher) listeners() ([]gate.Listener, error) {
	if w.root == "" && !w.diagFails {
		if w.diag == nil {
			w.diag, _ = mdl.Dial(unix.NETLINK_SOCK_DIAG, nil)
		}
		if w.diag != nil {
			w.diag.SetDeadline(time.Now().Add(dumpWait))
			list, err := diagListeners(w.diag)
			if err == nil {
				return list, nil
			}
			w.log.Info("sock_diag does not work here, reading /proc/net", "err", err)
			w.diag.Close()
			w.diag = nil
		}
		w.diagFails = true
	}
	return w.sess.proc.listeners()
}
