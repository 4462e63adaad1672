package firewall

import (
	"encoding/binary"
	"strconv"
	"time"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"gatehouse/internal/gate"
)

// gates is the part of the table that closes and opens ports. What a rule asks
// is looked at on the way in before any address translation, by the port that
// the sender meant; answers are looked at behind all translation, where they
// bear that port again.
//
//	doubt        -> gates-in        connections to this machine: what the peer sends
//	answers-out  -> gates-in-back   the same connections: what we answer
//	outgoing     -> gates-out       connections from this machine: what we send
//	answers-in   -> gates-out-back  the same connections: what the peer answers
//
// Each of them goes through the same layers, and from there to the chain of the
// rule that matched: gate-N.
type gates struct {
	clock       func() time.Duration
	rulesWanted []PortRule
	items       []gateItem // of the same rules
	ways        [4]gateWay // as planned: in, out, and the same for exempt addresses
	number      uint32     // of the plan
	counts      map[string]*odometer
	sum         odometer
}

// gateWay is the layers that a kind of packets meets.
type gateWay struct {
	name   string // of its chain, without number; "" = there is nothing to meet
	layers []gateLayer
}

func newGates(clock func() time.Duration) *gates {
	return &gates{clock: clock, counts: map[string]*odometer{}}
}

var gateSet = setSpec{keyType: concatType(typeProto, typePort), keyLen: 8, verdicts: true}

// switchSet holds protocols: whether a layer of ranges is on.
var switchSet = setSpec{keyType: typeProto, keyLen: 1, timeout: true}

func (g *gates) plan(gen *generation, number uint32) (ops []op) {
	now := g.clock()
	g.number = number
	g.lay(now)
	used := map[int]bool{}
	for i := range g.ways {
		for _, l := range g.ways[i].layers {
			used[l.target] = true
			for _, m := range l.marks {
				used[m.target] = true
			}
		}
	}
	if len(used) == 0 {
		g.counts = map[string]*odometer{}
		return nil
	}
	ops = gen.newCounter(counterPorts)
	named := map[string]*odometer{}
	for i := range g.items {
		if !used[i] {
			continue
		}
		if name := g.items[i].Name; name != "" && named[name] == nil {
			ops = append(ops, gen.newCounter(counterOf(name))...)
			if named[name] = g.counts[name]; named[name] == nil {
				named[name] = &odometer{}
			}
		}
		ops = append(ops, gen.newChain(g.target(i))...)
	}
	g.counts = named
	for i := range g.ways {
		w := &g.ways[i]
		if w.name == "" || i >= 2 && w.name == g.ways[i-2].name {
			continue
		}
		ops = append(ops, gen.newChain(g.chain(w, false))...)
		ops = append(ops, gen.newChain(g.chain(w, true))...)
		for j := range w.layers {
			ops = append(ops, g.planLayer(gen, w, j, now)...)
		}
	}
	return ops
}

// lay works the layers out.
func (g *gates) lay(now time.Duration) {
	for i, d := range []gate.Direction{gate.In, gate.Out} {
		spares := false // some closing spares the exempt
		binds := false  // some closing does not
		for _, it := range g.items {
			closes := it.Verdict == gate.Close && it.Direction == d
			spares = spares || closes && !it.EvenNever
			binds = binds || closes && it.EvenNever
		}
		all, exempt := &g.ways[i], &g.ways[i+2]
		*all, *exempt = gateWay{layers: layOut(g.items, d, now, false)}, gateWay{}
		if len(all.layers) == 0 {
			continue
		}
		all.name = "gates-" + d.String()
		switch {
		case !spares:
			exempt.name = all.name // the same chain
		case binds:
			if exempt.layers = layOut(g.items, d, now, true); len(exempt.layers) > 0 {
				exempt.name = all.name + "-never"
			}
		}
	}
}

func (g *gates) chain(w *gateWay, back bool) string {
	if back {
		return numbered(w.name+"-back", g.number)
	}
	return numbered(w.name, g.number)
}

func (g *gates) target(i int) string { return numbered("gate-"+strconv.Itoa(i), g.number) }

func (g *gates) set(w *gateWay, layer int, suffix string) string {
	return numbered(w.name+"-"+strconv.Itoa(layer)+suffix, g.number)
}

func (g *gates) planLayer(gen *generation, w *gateWay, i int, now time.Duration) (ops []op) {
	l := &w.layers[i]
	if l.ranges.IsEmpty() {
		spec := gateSet
		spec.timeout = l.hasTimeouts()
		elems := make([]element, len(l.marks))
		for j, m := range l.marks {
			elems[j] = element{key: gateKey(m.proto, m.port), life: life(m.ends, now), goes: g.target(m.target)}
		}
		return gen.newSet(g.set(w, i, ""), spec, elems)
	}
	if l.hasTimeouts() {
		var on []element
		for _, p := range protosOf(l.ranges) {
			on = append(on, element{key: key{byte(p)}, life: life(l.ends, now)})
		}
		ops = gen.newSet(g.set(w, i, "-on"), switchSet, on)
	}
	for _, p := range protosOf(l.ranges) {
		ops = append(ops, gen.newSet(g.set(w, i, "-"+p.String()), portSet, rangeElements(portSpans(l.ranges, p), portSet.keyLen))...)
	}
	return ops
}

func protosOf(p gate.Ports) []gate.Proto { return (&scope{ports: p}).protos() }

// gateKey is the key of a map from protocol and port.
func gateKey(p gate.Proto, port uint16) (k key) {
	k[0] = byte(p)
	binary.BigEndian.PutUint16(k[4:], port)
	return k
}

func (g *gates) rules(gen *generation, b *book) {
	if len(gen.own[g].chains) == 0 {
		return
	}
	done := map[string]bool{}
	for i := range g.ways {
		w := &g.ways[i]
		if w.name != "" && !done[w.name] {
			done[w.name] = true
			g.wayRules(b, w, i%2 == 0)
		}
	}
	for i := range g.items {
		if gen.partChains[g.target(i)] {
			g.targetRules(b, i)
		}
	}
	in, out := &g.ways[0], &g.ways[1]
	if in.name != "" {
		b.exits[chainDoubt] = g.exit(in, &g.ways[2], false)
		g.answers(gen, b, placeAnswersOut, func(v6 bool) []expr.Any { return destination(v6, -1) }, g.exit(in, &g.ways[2], true))
	}
	if out.name != "" {
		b.exits[chainOutgoing] = g.exit(out, &g.ways[3], false)
		g.answers(gen, b, placeAnswersIn, func(v6 bool) []expr.Any { return source(v6, -1) }, g.exit(out, &g.ways[3], true))
	}
}

// exit returns where packets of a direction go.
func (g *gates) exit(all, exempt *gateWay, back bool) (e exit) {
	e.all = g.chain(all, back)
	if exempt.name != "" {
		e.never = g.chain(exempt, back)
	}
	return e
}

// answers sends answers to the gates that their questions came through.
func (g *gates) answers(gen *generation, b *book, at spot, peer func(v6 bool) []expr.Any, e exit) {
	for _, x := range exemptSets[:2] {
		if e.never != e.all {
			b.put(at, loadDirection(ctReply), peer(x.v6), lookup(numbered(x.name, gen.exempt)), e.leave(true))
		}
	}
	b.put(at, loadDirection(ctReply), e.leave(false))
}

// wayRules writes a chain of layers, and the one for answers.
func (g *gates) wayRules(b *book, w *gateWay, in bool) {
	for _, back := range []bool{false, true} {
		chain := g.chain(w, back)
		if !back {
			b.add(chain, loadDirection(ctReply), verdict(expr.VerdictAccept))
			if in {
				b.add(chain, leaseV6(), verdict(expr.VerdictAccept))
			}
		}
		for i := range w.layers {
			l := &w.layers[i]
			where := join(towards(l.from, !back), towards(l.to, back))
			if l.live {
				where = append(where, ctState(expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED)...)
			}
			if l.ranges.IsEmpty() {
				b.add(chain, where, protoAndPort(back), lookupVerdict(g.set(w, i, "")))
				continue
			}
			if l.hasTimeouts() {
				where = append(where, &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: reg})
				where = append(where, lookup(g.set(w, i, "-on"))...)
			}
			for _, p := range protosOf(l.ranges) {
				b.add(chain, where, l4proto(byte(p)), port(back), lookup(g.set(w, i, "-"+p.String())), goTo(g.target(l.target)))
			}
		}
	}
}

// targetRules writes the chain of one rule. A closing of inbound ports is about
// what is, or was, addressed to this machine: what it forwards to others passes.
func (g *gates) targetRules(b *book, i int) {
	it, chain := &g.items[i], g.target(i)
	var counted []expr.Any
	if it.Name != "" {
		counted = count(counterOf(it.Name))
	}
	if it.Verdict == gate.Open {
		b.add(chain, counted, verdict(expr.VerdictAccept))
		return
	}
	end := join(count(counterPorts), counted, verdict(expr.VerdictDrop))
	if it.Direction == gate.Out {
		b.add(chain, end)
		return
	}
	b.add(chain, loadDirection(ctReply), fibType(expr.Fib{FlagSADDR: true}, unix.RTN_LOCAL, unix.RTN_LOCAL), end)
	b.add(chain, loadDirection(ctReply), verdict(expr.VerdictAccept))
	b.add(chain, fibType(expr.Fib{FlagDADDR: true}, unix.RTN_LOCAL, unix.RTN_MULTICAST), end)
}

// whole: sets of ports come and go as one; what is in them is small, and a
// foreign change of it is seen by the monitor.
func (g *gates) whole(*contents) bool { return true }

func (g *gates) gone() {}
