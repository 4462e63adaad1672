package firewall

import (
	"net/netip"
	"time"

	"gatehouse/internal/gate"
)

// Mode says what the firewall does at the moment.
type Mode uint8

// The modes. Of several that hold, the later one is shown, Enforcing excepted:
// it is shown where none of the others holds.
const (
	Starting  Mode = iota // nothing was loaded yet
	Enforcing             // the kernel has the wanted set
	Degraded              // the kernel refused something: see the reason; it is tried again
	HandsOff              // somebody keeps deleting the table, so it is left alone for a while
	Open                  // the emergency file exists: nothing is enforced
	Removed               // the table was taken away on purpose
	Observing             // nothing is ever enforced
)

var modeNames = [...]string{"starting", "enforcing", "degraded", "hands off", "open", "removed", "observe"}

// String returns the mode in one or two lower-case words.
func (m Mode) String() string {
	if int(m) < len(modeNames) {
		return modeNames[m]
	}
	return "unknown"
}

// MarshalText implements encoding.TextMarshaler.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// Health is the mode and why it is so.
type Health struct {
	Mode  Mode      `json:"mode"`
	Why   string    `json:"why,omitempty"` // a clause for people; "" when enforcing
	Since time.Time `json:"since"`
}

// Counter counts packets and their bytes, network header included.
type Counter struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

func (c Counter) plus(d Counter) Counter { return Counter{c.Packets + d.Packets, c.Bytes + d.Bytes} }

// Drops is what was dropped since the daemon started; what the table counted
// before that is included.
type Drops struct {
	Ban   Counter `json:"ban"`   // everything from banned subjects
	Doubt Counter `json:"doubt"` // bans of single ports and of new connections
	Ports Counter `json:"ports"` // closed ports, whoever asked
	Lists Counter `json:"lists"` // everything from, and to, what is on a list
}

// SetStatus is one set of bans.
type SetStatus struct {
	Name        string     `json:"name"` // in the kernel, without -fresh and the number of the generation
	Bits        int        `json:"bits"` // prefix length
	Scope       gate.Scope `json:"scope,omitzero"`
	Bans        int        `json:"bans"`        // wanted; some may just have lapsed
	Uncommitted int        `json:"uncommitted"` // of them, those that the ledger has not confirmed
}

// Status is the state of the firewall at one moment.
type Status struct {
	Health
	Table      string       `json:"table"`
	Generation uint32       `json:"generation"` // counts complete loads; 0 = none
	Sets       []SetStatus  `json:"sets,omitempty"`
	Ports      PortStatus   `json:"ports"`
	Lists      []ListStatus `json:"lists,omitempty"`
	Drops      Drops        `json:"drops"`
	Heals      int          `json:"heals"`              // how often a foreign change was undone
	LastHeal   time.Time    `json:"last_heal,omitzero"` //
	HandsOff   time.Time    `json:"hands_off_until,omitzero"`
}

// Status returns the state. It reads two counters from the kernel and lists
// nothing.
func (f *Firewall) Status() Status {
	f.mu.Lock()
	defer f.unlock()
	st := Status{Health: f.health, Table: f.config.Table, Ports: f.gates.status(), Drops: f.readDrops(), Heals: f.heals, LastHeal: f.lastHeal, HandsOff: f.handsOff}
	if f.gen != nil {
		st.Generation = f.gen.number
	}
	st.Lists = f.listStatus()
	for _, c := range f.want.sorted() {
		s := SetStatus{Name: c.name, Bits: c.bits, Scope: f.want.scopes[c.scope].gate(), Bans: len(c.lasting), Uncommitted: len(c.fresh)}
		for k := range c.fresh {
			if _, ok := c.lasting[k]; !ok {
				s.Bans++
			}
		}
		st.Sets = append(st.Sets, s)
	}
	return st
}

// Drops returns the counters. They never go back: what was counted before a
// flush is kept, up to the last time that somebody asked.
func (f *Firewall) Drops() Drops {
	f.mu.Lock()
	defer f.unlock()
	return f.readDrops()
}

func (f *Firewall) readDrops() Drops {
	f.readParts()
	return Drops{Ban: f.drops[0].total(), Doubt: f.drops[1].total(), Ports: f.gates.sum.total(), Lists: f.lists.sum.total()}
}

// readParts takes in all counters of the table.
func (f *Firewall) readParts() {
	if !f.writable() {
		return
	}
	now, err := f.kernel.counters()
	if err != nil {
		return
	}
	for i, name := range baseCounters {
		f.drops[i].read(now[name])
	}
	f.lists.read(now)
	f.gates.read(now)
}

// odometer adds up a counter that may start again.
type odometer struct{ before, last Counter }

func (o *odometer) read(c Counter) {
	if c.Packets < o.last.Packets || c.Bytes < o.last.Bytes {
		o.restart()
	}
	o.last = c
}

// restart notes that the counter was made anew.
func (o *odometer) restart() { o.before, o.last = o.total(), Counter{} }

func (o *odometer) total() Counter { return o.before.plus(o.last) }

// Enforced reports whether the kernel drops what the subject sends: whether it,
// or a prefix around it, is banned in any scope, not exempt, and the table in
// force. It answers from memory.
func (f *Firewall) Enforced(s gate.Subject) bool {
	f.mu.Lock()
	defer f.unlock()
	if f.health.Mode != Enforcing || !s.IsNet() {
		return false
	}
	p := s.Prefix()
	for i, x := range exemptSets {
		if x.v6 == p.Addr().Is6() && within(f.exempt[i], p) {
			return false
		}
	}
	now := f.clock()
	for _, c := range f.gen.classes {
		if c.v6 != p.Addr().Is6() || c.bits > p.Bits() {
			continue
		}
		if c.ends(keyOf(netip.PrefixFrom(p.Addr(), c.bits).Masked().Addr())) > now {
			return true
		}
	}
	return false
}

// Health returns the mode and why it is so.
func (f *Firewall) Health() Health {
	f.mu.Lock()
	defer f.unlock()
	return f.health
}

// refresh works out the health anew and reports whether it changed.
func (f *Firewall) refresh() bool {
	h := Health{Since: f.health.Since}
	switch {
	case f.config.Observe:
		h.Mode, h.Why = Observing, "nothing is enforced, as asked"
	case f.removed:
		h.Mode, h.Why = Removed, "the table was removed"
	case f.open:
		h.Mode, h.Why = Open, "the file "+f.config.OpenFile+" exists: nothing is enforced until it is deleted"
	case !f.handsOff.IsZero():
		h.Mode = HandsOff
		h.Why = "somebody else deleted rules of table inet " + f.config.Table + " several times within a minute: it is left alone until " + f.handsOff.Format("15:04:05")
	case f.fault != nil:
		h.Mode, h.Why = Degraded, f.fault.Error()
	case f.gen != nil:
		h.Mode = Enforcing
	default:
		h.Mode, h.Why = Starting, "nothing was loaded yet"
	}
	if h == f.health {
		return false
	}
	h.Since = f.now()
	f.health = h
	return true
}
