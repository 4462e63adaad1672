package replay

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"gatehouse/internal/gate"
)

// Bounds of what is remembered of offenders: how many (about 200 bytes each;
// beyond, those go whose bans kept least away), how many scopes of one, and how
// many offenders and bans the summary names.
const (
	maxOffenders = 1 << 17
	maxStandings = 8
	maxWorst     = 100
	maxEffects   = 1000
)

// standing is one ban of an offender, live or over. Times are nanoseconds since
// 1970.
type standing struct {
	since, until int64 // until 0 = forever
	kept         int
	rule         string
	scope        *gate.Scope
}

// offender is what is known of an address or a prefix that was banned.
type offender struct {
	bans, kept  int
	first, last int64  // when the first and the last ban were decided
	until       int64  // of the last; 0 = forever
	rule        string // of the last
	offence     int    // number of the last that was one
	offended    int64  // when that was
	standings   []standing
}

// tally counts what bans would have kept away. Its memory is bounded by
// maxOffenders and by the live bans.
type tally struct {
	all    map[netip.Prefix]*offender
	bits4  []int         // lengths of IPv4 prefixes in all, the longest first
	bits6  []int         // the same of IPv6
	likely []uint64      // bits by hash of the IPv4 prefixes in all, and of others
	banned int           // how many there were
	best   []Effect      // a heap: the least effect first
	scopes []*gate.Scope // in use: few
	limit  int           // of all
}

// likelyBits is the size of tally.likely: what fits into a processor's cache and
// is not full with maxOffenders.
const likelyBits = 20

func newTally() tally {
	return tally{all: map[netip.Prefix]*offender{}, likely: make([]uint64, 1<<likelyBits/64), limit: maxOffenders}
}

// hash4 returns the bit of an IPv4 prefix in likely.
func hash4(a netip.Addr, bits int) uint32 {
	b := a.As4()
	n := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	n &= ^uint32(0) << (32 - bits)
	return (n*0x9e3779b1 + uint32(bits)) >> (32 - likelyBits) // Knuth's multiplicative hash
}

// of yields the offenders that an address belongs to, the narrowest first.
func (t *tally) of(a netip.Addr) func(func(*offender) bool) {
	return func(yield func(*offender) bool) {
		if a.Is4() {
			for _, bits := range t.bits4 {
				if h := hash4(a, bits); t.likely[h/64]&(1<<(h%64)) != 0 {
					if o := t.all[netip.PrefixFrom(a, bits).Masked()]; o != nil && !yield(o) {
						return
					}
				}
			}
			return
		}
		for _, bits := range t.bits6 {
			if o := t.all[netip.PrefixFrom(a, bits).Masked()]; o != nil && !yield(o) {
				return
			}
		}
	}
}

// knows reports whether the address is, or belongs to, an offender.
func (t *tally) knows(a netip.Addr) bool {
	for range t.of(a) {
		return true
	}
	return false
}

// count notes lines of an address that were written between from and to, and
// reports whether a ban would have kept them away. Where that depends on when
// exactly, line is asked.
func (t *tally) count(a netip.Addr, ports gate.Ports, from, to int64, times int, line *Passing) bool {
	for o := range t.of(a) {
		for i := range o.standings {
			s := &o.standings[i]
			if from != to && line != nil && !(s.covers(from) && s.covers(to)) && from < to {
				if to < s.since || s.until != 0 && from >= s.until {
					continue
				}
				from = line.When().UnixNano()
				to = from
			}
			if s.covers(from) && shuts(s.scope, ports) {
				s.kept += times
				o.kept += times
				return true
			}
		}
	}
	return false
}

func (s *standing) covers(at int64) bool { return at >= s.since && (s.until == 0 || at < s.until) }

// shuts reports whether a ban of this scope keeps a peer from a service on these
// ports.
func shuts(s *gate.Scope, ports gate.Ports) bool {
	if s.Direction == gate.Out {
		return false
	}
	return s.Ports.IsEmpty() || ports.IsEmpty() || ports.Minus(s.Ports).Len() < ports.Len()
}

// offences returns the number of the last offence of a subject, and when it was.
func (t *tally) offences(s gate.Subject) (int, time.Time) {
	o := t.all[s.Prefix()]
	if o == nil || o.offence == 0 {
		return 0, time.Time{}
	}
	return o.offence, time.Unix(0, o.offended).UTC()
}

// ban notes a ban. One without an origin repeats one that stands.
func (t *tally) ban(d *gate.Decision) {
	if !d.Subject.IsNet() {
		return
	}
	p, now, scope := d.Subject.Prefix(), d.Time.UnixNano(), t.scope(d.Scope)
	o := t.all[p]
	if o == nil {
		o = t.add(p, now)
	}
	repeats := d.Origin == gate.Origin{}
	if !repeats {
		o.bans++
		o.last, o.until, o.rule = now, nanos(d.Until), d.Rule
		if d.Offence > 0 {
			o.offence, o.offended = d.Offence, now
		}
	}
	i := slices.IndexFunc(o.standings, func(s standing) bool { return s.scope == scope })
	switch {
	case i >= 0 && o.standings[i].covers(now): // extended
		o.standings[i].until = nanos(d.Until)
		return
	case repeats:
		return
	case i >= 0:
		t.finish(p, &o.standings[i])
	case len(o.standings) == maxStandings:
		t.finish(p, &o.standings[0])
		o.standings = slices.Delete(o.standings, 0, 1)
		fallthrough
	default:
		i = len(o.standings)
		o.standings = append(o.standings, standing{})
	}
	o.standings[i] = standing{since: now, until: nanos(d.Until), rule: d.Rule, scope: scope}
}

// release notes that a ban is over, and returns what it would have kept away.
func (t *tally) release(d *gate.Decision) int {
	o := t.all[d.Subject.Prefix()]
	if o == nil {
		return 0
	}
	scope := t.scope(d.Scope)
	for i := range o.standings {
		if s := &o.standings[i]; s.scope == scope {
			s.until = max(1, nanos(d.Time))
			return s.kept
		}
	}
	return 0
}

// scope returns a scope to point to.
func (t *tally) scope(s gate.Scope) *gate.Scope {
	for _, have := range t.scopes {
		if have.New == s.New && have.Direction == s.Direction && have.Ports.Equal(s.Ports) {
			return have
		}
	}
	t.scopes = append(t.scopes, &s)
	return &s
}

// add makes an offender.
func (t *tally) add(p netip.Prefix, now int64) *offender {
	if len(t.all) >= t.limit {
		t.shed(now)
	}
	o := &offender{first: now}
	t.all[p] = o
	t.banned++
	bits := &t.bits6
	if p.Addr().Is4() {
		bits = &t.bits4
		h := hash4(p.Addr(), p.Bits())
		t.likely[h/64] |= 1 << (h % 64)
	}
	if i, found := slices.BinarySearchFunc(*bits, p.Bits(), func(have, want int) int { return want - have }); !found {
		*bits = slices.Insert(*bits, i, p.Bits())
	}
	return o
}

// shed forgets a quarter of the offenders: of those who are not banned now the ones
// whose bans kept least away.
func (t *tally) shed(now int64) {
	type idle struct {
		p netip.Prefix
		o *offender
	}
	var list []idle
	for p, o := range t.all {
		if !slices.ContainsFunc(o.standings, func(s standing) bool { return s.covers(now) }) {
			list = append(list, idle{p, o})
		}
	}
	slices.SortFunc(list, func(a, b idle) int {
		return cmp.Or(cmp.Compare(a.o.kept, b.o.kept), cmp.Compare(a.o.last, b.o.last), a.p.Compare(b.p))
	})
	for _, v := range list[:min(len(list), t.limit/4)] {
		for i := range v.o.standings {
			t.finish(v.p, &v.o.standings[i])
		}
		delete(t.all, v.p)
	}
	if len(list) < t.limit/4 {
		t.limit += t.limit / 4 // live bans are bounded by policy
	}
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}
