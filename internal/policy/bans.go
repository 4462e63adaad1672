package policy

import (
	"net/netip"
	"time"

	"gatehouse/internal/gate"
)

// netKey is a network without a pointer: masked, IPv4 in its 4-in-6 form.
type netKey struct {
	addr [16]byte
	bits uint8 // 0 to 128; IPv4 plus 96
}

const v4bits = 96

func keyOf(p netip.Prefix) netKey {
	b := p.Bits()
	if p.Addr().Is4() {
		b += v4bits
	}
	return netKey{p.Addr().As16(), uint8(b)}
}

func (k netKey) prefix() netip.Prefix {
	a := netip.AddrFrom16(k.addr)
	if a.Is4In6() && k.bits >= v4bits {
		return netip.PrefixFrom(a.Unmap(), int(k.bits)-v4bits)
	}
	return netip.PrefixFrom(a, int(k.bits))
}

func (k netKey) subject() gate.Subject { return gate.PrefixSubject(k.prefix()) }

func (k netKey) is4() bool { return k.bits >= v4bits && netip.AddrFrom16(k.addr).Is4In6() }

// widened returns the network of this length that k lies in.
func (k netKey) widened(bits uint8) netKey {
	k.bits = bits
	i := int(bits / 8)
	if i == len(k.addr) {
		return k
	}
	k.addr[i] &= ^byte(0xff >> (bits % 8))
	clear(k.addr[i+1:])
	return k
}

// ban is a live ban. A million of them are kept, so it is compact.
type ban struct {
	netKey
	movable bool   // decided since the machine booted: moves when the wall clock jumps
	earlier bool   // decided before this process started
	listed  bool   // among its neighbours
	wide    uint8  // length of the network in which it is listed
	rule    uint32 // number of the name
	source  uint32 // of the origin, the same
	offence uint32 // 0 = none
	joined  uint32 // findings since
	next    uint32 // next ban of the same subject
	pos     uint32 // in the queue, from 1; 0 = not in it
	before  uint32 // neighbours in the list of its network; 0 = none
	after   uint32
	epoch   uint64 // of the origin
	offset  int64  // of the origin
	since   int64  // nanoseconds since 1970, as recorded
	guilty  int64  // when the offence was decided, the same
	until   int64  // the same; 0 = forever
	moved   int64  // what until was moved by when the wall clock jumped, in nanoseconds
	scope   *gate.Scope
	why     string
}

func (b *ban) endsBefore(until int64) bool { return b.until != 0 && (until == 0 || b.until < until) }

// bans holds the live bans, found by network, by end and one after the other.
// Number 0 is never used.
type bans struct {
	pages [][]ban
	top   uint32
	free  uint32 // numbers given back, linked by next
	n     int
	index map[netKey]uint32 // first ban of each subject
	sizes [2][129]int       // subjects by family and length
	queue []uint32          // heap by until, those without an end left out
	names []string          // rules and sources
	named map[string]uint32
	every *gate.Scope // the scope of everything, shared

	enrolled map[netKey]uint32 // first of the bans that count in each network, see neighbours
	last     *gate.Scope       // the scope that was added last, shared
}

const bansInPage = 256

func newBans() bans {
	return bans{index: make(map[netKey]uint32), named: make(map[string]uint32), every: new(gate.Scope)}
}

func (b *bans) at(i uint32) *ban { return &b.pages[i/bansInPage][i%bansInPage] }

func family(k netKey) int {
	if k.is4() {
		return 1
	}
	return 0
}

// add keeps a ban and returns its number.
func (b *bans) add(v ban) uint32 {
	i := b.free
	if i != 0 {
		b.free = b.at(i).next
	} else {
		b.top++
		i = b.top
		if int(i/bansInPage) >= len(b.pages) {
			b.pages = append(b.pages, make([]ban, bansInPage))
		}
	}
	v.next, v.pos = b.index[v.netKey], 0
	if v.next == 0 {
		b.sizes[family(v.netKey)][v.bits]++
	}
	b.index[v.netKey] = i
	*b.at(i) = v
	b.n++
	b.enqueue(i)
	return i
}

// remove forgets a ban.
func (b *bans) remove(i uint32) {
	v := b.at(i)
	b.dequeue(i)
	b.strike(i)
	if first := b.index[v.netKey]; first != i {
		for b.at(first).next != i {
			first = b.at(first).next
		}
		b.at(first).next = v.next
	} else if v.next != 0 {
		b.index[v.netKey] = v.next
	} else {
		delete(b.index, v.netKey)
		b.sizes[family(v.netKey)][v.bits]--
	}
	*v = ban{next: b.free}
	b.free = i
	b.n--
}

// of yields the bans of exactly this network, the newest first. The one that
// was yielded may be removed.
func (b *bans) of(k netKey) func(func(uint32, *ban) bool) {
	return func(yield func(uint32, *ban) bool) {
		for i := b.index[k]; i != 0; {
			v := b.at(i)
			next := v.next
			if !yield(i, v) {
				return
			}
			i = next
		}
	}
}

// covering yields the bans of this network and of those that it lies in, the
// narrowest first.
func (b *bans) covering(k netKey) func(func(uint32, *ban) bool) {
	return func(yield func(uint32, *ban) bool) {
		f, least := family(k), 0
		if f == 1 {
			least = v4bits
		}
		for bits := int(k.bits); bits >= least; bits-- {
			if b.sizes[f][bits] == 0 {
				continue
			}
			for i, v := range b.of(k.widened(uint8(bits))) {
				if !yield(i, v) {
					return
				}
			}
		}
	}
}

// all yields every ban in the order of their numbers. The one that was yielded
// may be removed.
func (b *bans) all(yield func(uint32, *ban) bool) {
	for i := uint32(1); i <= b.top; i++ {
		if v := b.at(i); v.scope != nil && !yield(i, v) {
			return
		}
	}
}

// name returns the number of a name.
func (b *bans) name(s string) uint32 {
	n, ok := b.named[s]
	if !ok {
		n = uint32(len(b.names))
		b.names = append(b.names, s)
		b.named[s] = n
	}
	return n
}

// shared returns a scope to point to; scopes are few.
func (b *bans) shared(s gate.Scope) *gate.Scope {
	if sameScope(s, gate.Scope{}) {
		return b.every
	}
	if b.last == nil || !sameScope(*b.last, s) {
		b.last = new(s)
	}
	return b.last
}

func (b *bans) origin(v *ban) gate.Origin {
	return gate.Origin{Source: b.names[v.source], Epoch: v.epoch, Offset: v.offset}
}

// sameScope reports whether two scopes are one.
func sameScope(a, b gate.Scope) bool {
	return a.New == b.New && a.HTTP == b.HTTP && outward(a) == outward(b) && a.From == b.From && a.To == b.To && a.Ports.Equal(b.Ports)
}

func outward(s gate.Scope) bool { return s.Direction == gate.Out }

// includes reports whether all that b shuts is shut by a.
func includes(a, b gate.Scope) bool {
	return (!a.New || b.New) && (!a.HTTP || b.HTTP) && outward(a) == outward(b) &&
		(a.Ports.IsEmpty() || !b.Ports.IsEmpty() && b.Ports.Minus(a.Ports).IsEmpty())
}

// nanos returns the time in nanoseconds since 1970, 0 for the zero Time.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
