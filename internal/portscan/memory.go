package portscan

import (
	"net/netip"
	"sync"
	"time"

	"gatehouse/internal/gate"
)

// Held is who the kernel holds, as far as was reported.
type Held struct {
	Source netip.Addr  // whose packet it was
	Since  time.Time   // when it was reported
	Report gate.Report // why
	Line   string      // the packet
}

// maxHeld is how many holds are remembered, in each of two halves (about 300
// bytes each). It serves explanations only.
const maxHeld = 4096

// memory remembers who was held lately. It is safe for concurrent use; its zero
// value is ready.
type memory struct {
	mu         sync.Mutex
	young, old map[netip.Addr]Held
}

func (m *memory) add(h Held) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.young) >= maxHeld {
		m.old, m.young = m.young, nil
	}
	if m.young == nil {
		m.young = make(map[netip.Addr]Held)
	}
	m.young[h.Source] = h
}

// within returns the newest hold of an address in p.
func (m *memory) within(p netip.Prefix) (found Held, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.IsSingleIP() {
		if found, ok = m.young[p.Addr()]; !ok {
			found, ok = m.old[p.Addr()]
		}
		return found, ok
	}
	for _, half := range []map[netip.Addr]Held{m.old, m.young} {
		for a, h := range half {
			if p.Contains(a) && !h.Since.Before(found.Since) {
				found, ok = h, true
			}
		}
	}
	return found, ok
}
