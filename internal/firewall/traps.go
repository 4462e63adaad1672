package firewall

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"gatehouse/internal/gate"
)

// Traps is what the kernel does by itself about port scans. The zero value does
// nothing.
//
// A probe is a packet for this machine itself that no socket waits for: a TCP
// packet that opens a connection or that no honest TCP sends, or a datagram. An
// IPv6 source stands for its /64, one of Single for itself.
type Traps struct {
	Ports     gate.Ports     // a probe of one of these holds its source at once; what listens there wins
	Decoys    gate.Ports     // the same, but the packet passes: something listens there that serves nobody. Held sources may still reach it
	Ignore    gate.Ports     // what is sent there never counts
	Distinct  int            // probes of so many different ports within Within hold their source, and so do so many different addresses of ours; 2 to MaxDistinct
	Shared    int            // so many different ports from one IPv4 /24 or IPv6 /48 within Within: from then on each source there is held at its first probe; 0 = never
	Within    time.Duration  // how long a port counts, more than 0
	Hold      time.Duration  // how long a source is held: its new connections are dropped; 0 = no traps at all
	Single    []netip.Prefix // networks that are directly attached: each address stands for itself
	Stray     bool           // TCP outside any connection (ACK, FIN with ACK) counts as a probe, too
	Ephemeral gate.PortRange // ports of connections that this machine itself opens: datagrams and stray packets to them never count
	Group     uint16         // of the messages that report (NFLOG); 0 = none
}

// MaxDistinct bounds Traps.Distinct and Traps.Shared: each costs a rule.
const MaxDistinct = 64

func (t *Traps) equal(o *Traps) bool {
	a, b := *t, *o
	same := a.Ports.Equal(b.Ports) && a.Decoys.Equal(b.Decoys) && a.Ignore.Equal(b.Ignore) && slices.Equal(a.Single, b.Single)
	return same && a.Distinct == b.Distinct && a.Shared == b.Shared && a.Within == b.Within && a.Hold == b.Hold &&
		a.Stray == b.Stray && a.Ephemeral == b.Ephemeral && a.Group == b.Group
}

// traps is the part of the table that is about port scans.
type traps struct {
	want    Traps
	refused error // why the kernel cannot do it; nil = it can, as far as is known
	last    odometer
	number  uint32 // in the names of what belongs to this configuration
}

// active reports whether there is something to do that the kernel can do.
func (t *traps) active() bool { return t.want.Hold > 0 && t.refused == nil }

// refuse takes in that the kernel cannot do what traps need.
func (t *traps) refuse(err error) {
	t.refused = &Error{"set traps for port scans", fmt.Errorf("%w: %w", ErrUnavailable, err),
		"load the kernel's modules nft_socket, nft_fib_inet, nft_log and nfnetlink_log (modprobe), then reload; or turn it off: scan: off"}
}

// SetTraps replaces what the kernel does about port scans; it is in force when
// SetTraps returns. Who is held stays held. After an error that is not the
// kernel's for good, Run tries again; what the kernel refused for good is tried
// again only with other traps, the zero value among them.
func (f *Firewall) SetTraps(t Traps) error {
	f.mu.Lock()
	defer f.unlock()
	t.Distinct, t.Shared = min(max(t.Distinct, 2), MaxDistinct), min(t.Shared, MaxDistinct)
	t.Within = max(t.Within, time.Second)
	if t.equal(&f.traps.want) {
		return f.traps.refused
	}
	f.traps.want, f.traps.refused = t, nil
	if !f.writable() {
		return nil
	}
	if err := f.replace(f.traps); notSupported(err) {
		if err := f.rebuild(); err != nil { // which finds out again, and does without
			f.fail("take the traps back", err)
		}
		return f.traps.refused
	} else if err != nil {
		f.fail("change the traps", err)
		return f.fault
	}
	return nil
}

// Hold is a source that the kernel holds.
type Hold struct {
	Source netip.Prefix  // an address, or an IPv6 /64
	Left   time.Duration // how long it will be
}

// Held returns how the kernel holds an address; false if it does not. A prefix
// is held where it is a held IPv6 /64.
func (f *Firewall) Held(s gate.Subject) (Hold, bool) {
	f.mu.Lock()
	defer f.unlock()
	if !f.trapped() || !s.IsNet() {
		return Hold{}, false
	}
	for _, p := range holdKeys(s.Prefix()) {
		x, ok, err := f.kernel.element(holdSet(p.Addr().Is6()), addressSet(p.Addr().Is6(), true), keyOf(p.Addr()))
		if err == nil && ok && f.liveSource(s.Prefix()) {
			return Hold{}, false
		}
		if err == nil && ok {
			return Hold{p, x.life}, true
		}
	}
	return Hold{}, false
}

// liveSource reports whether an address has a live connection, so that no hold
// touches it.
func (f *Firewall) liveSource(p netip.Prefix) bool {
	if !p.IsSingleIP() {
		return false
	}
	v6 := p.Addr().Is6()
	_, ok, err := f.kernel.element(liveSet(v6), addressSet(v6, true), keyOf(p.Addr()))
	return err == nil && ok
}

// Lift lets a held address, or all that are held within a prefix, go, and forgets
// which ports count against them. It returns how many were held.
func (f *Firewall) Lift(s gate.Subject) (n int) {
	f.mu.Lock()
	defer f.unlock()
	if !f.trapped() || !s.IsNet() {
		return 0
	}
	v6 := s.Prefix().Addr().Is6()
	lift := func(a netip.Addr) {
		o := op{verb: deleteElements, name: holdSet(v6), set: addressSet(v6, true), elems: []element{{key: keyOf(a)}}}
		if f.kernel.commit([]op{o}) == nil {
			n++
		}
		f.forgetSlots(a)
	}
	for _, p := range holdKeys(s.Prefix()) {
		lift(p.Addr())
	}
	if s.Kind() == gate.KindPrefix {
		held, _ := f.kernel.elements(holdSet(v6))
		for _, x := range held {
			if a := x.key.addr(v6); s.Prefix().Contains(a) {
				lift(a)
			}
		}
	}
	return n
}

// forgetSlots frees the slots that a source has taken: the next hold needs as many
// different ports as the first one. Each is a batch of its own, because one that is
// not taken would undo the others.
func (f *Firewall) forgetSlots(a netip.Addr) {
	for _, c := range []counting{countPorts, countAddresses} {
		o := op{verb: deleteElements, name: c.of(a.Is6()).slots, set: slotSet(a.Is6(), mostSlots)}
		for i := 1; i < f.traps.want.Distinct; i++ {
			k := slotKey(a, i)
			o.elems = []element{{wide: &k}}
			_ = f.kernel.commit([]op{o}) // one that is not taken is no error
		}
	}
}

// Holds lists at most so many sources that are held, those that will be held
// longest first. It reads whole sets: milliseconds for thousands.
func (f *Firewall) Holds(most int) (out []Hold, err error) {
	f.mu.Lock()
	defer f.unlock()
	if !f.trapped() {
		return nil, nil
	}
	for _, v6 := range []bool{false, true} {
		elems, err := f.kernel.elements(holdSet(v6))
		if err != nil {
			return nil, err
		}
		for _, x := range elems {
			a := x.key.addr(v6)
			p := netip.PrefixFrom(a, a.BitLen())
			if v6 && wideKey(x.key) && !f.traps.single(a) {
				p = netip.PrefixFrom(a, holdBits6)
			}
			out = append(out, Hold{p, x.life})
		}
	}
	slices.SortFunc(out, func(a, b Hold) int { return -cmp.Compare(a.Left, b.Left) })
	return out[:min(len(out), most)], nil
}

// holdBits6 is how much of an IPv6 address is held together.
const holdBits6 = 64

// wideKey reports whether a key is that of a whole /64.
func wideKey(k key) bool { return [8]byte(k[8:]) == [8]byte{} }

// single reports whether an address stands for itself.
func (t *traps) single(a netip.Addr) bool {
	return a.IsLinkLocalUnicast() || slices.ContainsFunc(t.want.Single, func(p netip.Prefix) bool { return p.Contains(a) })
}

// holdKeys returns under what a prefix may be held: an address as itself and in
// its /64.
func holdKeys(p netip.Prefix) []netip.Prefix {
	switch {
	case p.IsSingleIP() && p.Addr().Is4():
		return []netip.Prefix{p}
	case p.IsSingleIP():
		return []netip.Prefix{p, netip.PrefixFrom(p.Addr(), holdBits6).Masked()}
	case p.Addr().Is6() && p.Bits() == holdBits6:
		return []netip.Prefix{p.Masked()}
	}
	return nil
}

// trapped reports whether traps are in the kernel.
func (f *Firewall) trapped() bool { return f.writable() && f.traps.active() }

// TrapStatus is how the traps are.
type TrapStatus struct {
	Armed   bool    // they are in the kernel
	Refused error   // why the kernel cannot do it; nil = it can
	Held    int     // sources held now, some may just have lapsed; -1 where the kernel does not say
	Dropped Counter // packets of held sources, and probes that led to a hold
}

// Traps returns how the traps are. It lists nothing.
func (f *Firewall) Traps() TrapStatus {
	f.mu.Lock()
	defer f.unlock()
	st := TrapStatus{Armed: f.trapped(), Refused: f.traps.refused}
	if !st.Armed {
		st.Dropped = f.traps.last.total()
		return st
	}
	if now, err := f.kernel.counters(); err == nil {
		f.traps.last.read(now[counterHeld])
	}
	st.Dropped = f.traps.last.total()
	if seen, err := f.kernel.inspect(); err == nil {
		for _, v6 := range []bool{false, true} {
			if n := seen.sets[holdSet(v6)].count; n < 0 || st.Held < 0 {
				st.Held = -1
			} else {
				st.Held += n
			}
		}
	}
	return st
}

func (t *traps) whole(*contents) bool { return true }

func (t *traps) gone() { t.last.restart() }
