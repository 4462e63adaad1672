package firewall

import (
	"net/netip"
	"slices"
	"time"

	"gatehouse/internal/gate"
)

// gateItem is a port rule with its end on the monotonic clock.
type gateItem struct {
	*PortRule
	ends time.Duration // never = it stays
}

// gateLayer is rules that one look-up answers: a hash of protocol and port that
// says which rule it is, or, for a rule of very many ports, their ranges. A
// packet goes through the layers until one answers.
type gateLayer struct {
	from, to netip.Prefix // zero = any
	live     bool         // for packets of live connections only
	marks    []gateMark   // a hash; or else
	ranges   gate.Ports   // one rule,
	target   int          // this one
	ends     time.Duration

	covers, timed portBits
}

// gateMark is one element of a hash.
type gateMark struct {
	proto  gate.Proto
	port   uint16
	target int           // index of the rule
	ends   time.Duration // never = it stays
}

// Rules of at least manyPorts in at most fewRanges are kept as ranges: a hash
// of all ports would cost 10 MB of the kernel's memory.
const (
	manyPorts = 4096
	fewRanges = 256
)

// layOut turns rules into layers, keeping their order where it matters. A rule
// joins the earliest layer of its kind that nothing between speaks against, so
// the number of layers does not grow with that of rules. What lapses in the
// kernel uncovers what is behind it, so nothing joins a layer in which its port
// has a timeout. With exempt, closings that spare the exempt are left out.
func layOut(items []gateItem, d gate.Direction, now time.Duration, exempt bool) []gateLayer {
	var out layering
	for i, it := range items {
		if it.Direction != d || exempt && it.Verdict == gate.Close && !it.EvenNever {
			continue
		}
		one := gateLayer{from: it.From, to: it.To, target: i, ends: it.ends, ranges: it.Ports}
		if it.ends > now {
			out.add(one)
		}
		if it.Verdict == gate.Open && it.ends != never && !it.Cut {
			one.live, one.ends = true, never
			out.add(one)
		}
	}
	return out
}

type layering []gateLayer

func (ls *layering) add(one gateLayer) {
	var mine portBits
	mine.set(one.ranges)
	if one.ranges.Len() >= manyPorts && len(one.ranges.Ranges()) <= fewRanges {
		one.covers = mine
		*ls = append(*ls, one)
		return
	}
	at := -1
	for i := len(*ls) - 1; i >= 0; i-- {
		l := &(*ls)[i]
		if l.ranges.IsEmpty() && l.from == one.from && l.to == one.to && l.live == one.live && !l.timed.meets(&mine) {
			at = i
		}
		if l.covers.meets(&mine) {
			break
		}
	}
	if at < 0 {
		at = len(*ls)
		*ls = append(*ls, gateLayer{from: one.from, to: one.to, live: one.live})
	}
	(*ls)[at].take(&one)
}

// take adds the ports of a rule that no rule of the layer has yet.
func (l *gateLayer) take(one *gateLayer) {
	for _, r := range one.ranges.Ranges() {
		for port := int(r.Lo); port <= int(r.Hi); port++ {
			if !l.covers.add(r.Proto, uint16(port)) {
				continue
			}
			if one.ends != never {
				l.timed.add(r.Proto, uint16(port))
			}
			l.marks = append(l.marks, gateMark{r.Proto, uint16(port), one.target, one.ends})
		}
	}
}

// hasTimeouts reports whether something of the layer lapses.
func (l *gateLayer) hasTimeouts() bool {
	if !l.ranges.IsEmpty() {
		return l.ends != never
	}
	return slices.ContainsFunc(l.marks, func(m gateMark) bool { return m.ends != never })
}

// portBits is a set of ports of both protocols.
type portBits [2][1024]uint64

func (b *portBits) set(p gate.Ports) {
	for _, r := range p.Ranges() {
		for port := int(r.Lo); port <= int(r.Hi); port++ {
			b.add(r.Proto, uint16(port))
		}
	}
}

// add reports whether the port was not there yet.
func (b *portBits) add(p gate.Proto, port uint16) bool {
	word, bit := &b[order(p == gate.UDP)][port/64], uint64(1)<<(port%64)
	fresh := *word&bit == 0
	*word |= bit
	return fresh
}

func (b *portBits) meets(o *portBits) bool {
	for i := range b {
		for j := range b[i] {
			if b[i][j]&o[i][j] != 0 {
				return true
			}
		}
	}
	return false
}
