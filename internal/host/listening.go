package host

import (
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gatehouse/internal/gate"
)

// Listening reads anew what listens and returns it, as Snapshot will from now on.
// It takes some tens of microseconds.
func (w *Watcher) Listening() []gate.Listener {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.readListeners()
	return w.host.Listeners
}

// The range of ports that Linux takes connections of its own from, where it
// cannot be read.
const (
	ephemeralLo = 32768
	ephemeralHi = 60999
)

// Ephemeral returns the ports from which this machine opens connections
// (ip_local_port_range, ip-sysctl.rst). Proto is not set.
func (w *Watcher) Ephemeral() gate.PortRange {
	b, err := os.ReadFile(filepath.Join("/", w.root, "proc/sys/net/ipv4/ip_local_port_range"))
	if err != nil {
		return gate.PortRange{Lo: ephemeralLo, Hi: ephemeralHi}
	}
	return ephemeralOf(string(b))
}

func ephemeralOf(text string) gate.PortRange {
	f := strings.Fields(text)
	if len(f) == 2 {
		lo, err1 := strconv.ParseUint(f[0], 10, 16)
		hi, err2 := strconv.ParseUint(f[1], 10, 16)
		if err1 == nil && err2 == nil && lo > 0 && lo <= hi {
			return gate.PortRange{Lo: uint16(lo), Hi: uint16(hi)}
		}
	}
	return gate.PortRange{Lo: ephemeralLo, Hi: ephemeralHi}
}

// Listeners returns what listens on this machine at this moment, for somebody who
// runs no Watcher; nil where that cannot be read.
func Listeners() []gate.Listener {
	w := &Watcher{log: slog.New(slog.DiscardHandler), changed: make(chan struct{}, 1), sess: sessions{proc: procfs{dir: "/proc"}}}
	w.mu.Lock()
	defer w.mu.Unlock()
	list, err := w.listeners()
	if w.diag != nil {
		w.diag.Close()
	}
	if err != nil {
		return nil
	}
	return list
}
