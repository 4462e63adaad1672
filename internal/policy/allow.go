package policy

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"gatehouse/internal/gate"

	"github.com/gaissmai/bart"
)

// AllowEntry is something that is never banned.
type AllowEntry struct {
	Prefix netip.Prefix `json:"prefix"` // masked; an address has full length
	Text   string       `json:"text"`   // as it was written: an address, a prefix or a host name
	Origin string       `json:"origin"` // FromConfig or FromCommand
}

// Where an entry of the allow list comes from.
const (
	FromConfig  = "config"
	FromCommand = "command"
)

// permit is an entry with who looks after it.
type permit struct {
	AllowEntry
	own bool // made by an ask: SetAllow leaves it alone
}

// allowList finds entries by network. Its zero value is ready to use.
type allowList struct {
	table bart.Table[[]permit] // by prefix; those of one prefix in the order they came
}

// add puts an entry in; false if it is there already or has no prefix.
func (l *allowList) add(e AllowEntry, own bool) bool {
	p, ok := gate.UnmapPrefix(e.Prefix)
	if !ok {
		return false
	}
	e.Prefix = p
	e.Text = cmp.Or(e.Text, gate.PrefixSubject(p).String())
	e.Origin = cmp.Or(e.Origin, FromConfig)
	old, _ := l.table.Get(p)
	if slices.Contains(old, permit{e, own}) {
		return false
	}
	l.table.Insert(p, append(slices.Clone(old), permit{e, own}))
	return true
}

// remove takes out what match says and returns it.
func (l *allowList) remove(match func(permit) bool) (gone []permit) {
	for _, es := range l.table.AllSorted() {
		for _, e := range es {
			if match(e) {
				gone = append(gone, e)
			}
		}
	}
	for _, e := range gone {
		old, _ := l.table.Get(e.Prefix)
		old = slices.DeleteFunc(slices.Clone(old), func(o permit) bool { return o == e })
		if len(old) == 0 {
			l.table.Delete(e.Prefix)
		} else {
			l.table.Insert(e.Prefix, old)
		}
	}
	return gone
}

// covering returns the narrowest entry that covers all of p.
func (l *allowList) covering(p netip.Prefix) (AllowEntry, bool) {
	es, ok := l.table.LookupPrefix(p)
	if !ok {
		return AllowEntry{}, false
	}
	return es[0].AllowEntry, true
}

// inside returns one entry that lies within p, the first by address.
func (l *allowList) inside(p netip.Prefix) (AllowEntry, bool) {
	for _, es := range l.table.Subnets(p) {
		return es[0].AllowEntry, true
	}
	return AllowEntry{}, false
}

// Allow returns the allow list, sorted by address.
func (p *Policy) Allow() (all []AllowEntry) {
	for _, es := range p.allow.table.AllSorted() {
		for _, e := range es {
			all = append(all, e.AllowEntry)
		}
	}
	return all
}

// Allowed returns the prefixes of the allow list, sorted and without doubles,
// for the firewall to exempt.
func (p *Policy) Allowed() []netip.Prefix {
	var ps []netip.Prefix
	for pfx := range p.allow.table.AllSorted() {
		ps = append(ps, pfx)
	}
	return ps
}

// SetAllow gives the allow list its entries from outside: those of the
// configuration, and the addresses that host names have now. They take the
// place of all that SetAllow was given before; what asks allowed stays. Bans
// that are allowed now are released.
func (p *Policy) SetAllow(entries []AllowEntry, now time.Time, h gate.Host) []gate.Decision {
	p.here = h
	p.allow.remove(func(e permit) bool { return !e.own })
	for _, e := range entries {
		p.allow.add(e, false)
	}
	ds := p.lapse(nil, now)
	if p.allow.table.Size() == 0 {
		return ds
	}
	for i, b := range p.bans.all {
		if e, ok := p.allow.covering(b.prefix()); ok {
			p.remember(b, now)
			k := b.netKey
			ds = append(ds, p.release(i, now, "it is allowed now"+by(e, b.subject())))
			p.disband(k)
		}
	}
	for _, e := range entries {
		if s := gate.PrefixSubject(e.Prefix); s.IsNet() {
			ds = p.undo(ds, s, s.String()+" in it is allowed now", now)
		}
	}
	return ds
}
