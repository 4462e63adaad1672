package firewall

import (
	"time"

	"github.com/google/nftables/expr"

	"gatehouse/internal/gate"
)

const (
	// liveFor is how long a peer that has sent data counts as one with a live
	// connection, unless it closes one first.
	liveFor = time.Hour
	// listenedFor is how long a port that listened is left alone.
	listenedFor = 10 * time.Minute
)

// rules writes the rules. They have three places:
//
//	doubt, every packet       who sends data over an assured connection is live, until it closes one
//	doubt, behind mid-stream  live peers, and knocks at decoys, pass; held sources do not
//	arrivals                  what this machine itself is to take: traps and counting
//
// arrivals lies behind destination NAT, so that the published ports of containers
// are nobody's trap.
func (t *traps) rules(g *generation, b *book) {
	if !t.active() {
		return
	}
	accept := verdict(expr.VerdictAccept)
	for _, v6 := range []bool{false, true} {
		flow := ctState(expr.CtStateBitESTABLISHED)
		b.put(placeLive, flow, tcpAnyFlag(tcpFIN|tcpRST), source(v6, -1), dynset(dynsetDelete, liveSet(v6), 0))
		b.put(placeLive, flow, tcpFlags(tcpPSH|tcpFIN|tcpRST, tcpPSH), assured(), source(v6, -1), dynset(dynsetUpdate, liveSet(v6), liveFor))
		b.pass = append(b.pass, join(source(v6, -1), lookup(liveSet(v6))))
	}
	b.pass = append(b.pass, join(ctState(expr.CtStateBitNEW), portIn(gate.TCP, t.name("decoy-tcp"), false)))
	b.put(placeHolds, ctState(expr.CtStateBitNEW), jump(t.name("held")))
	b.put(placeHolds, ctState(expr.CtStateBitINVALID), tcpFlags(tcpACK|tcpRST, 0), jump(t.name("held")))
	t.heldRules(b, t.name("held"))

	b.put(placeArrivals, ctState(expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED), accept)
	b.put(placeArrivals, notForUs(), accept)
	opening := tcpFlags(tcpSYN|tcpACK|tcpRST|tcpFIN, tcpSYN)
	b.put(placeArrivals, opening, destinationPort(), lookup(t.name("decoy-tcp")), goTo(t.name("knock")))
	b.put(placeArrivals, ctState(expr.CtStateBitNEW), portIn(gate.UDP, t.name("decoy-udp"), false), goTo(t.name("knock")))
	for _, p := range []gate.Proto{gate.TCP, gate.UDP} {
		b.put(placeArrivals, portIn(p, t.name("ignore-"+p.String()), false), accept)
	}
	b.put(placeArrivals, opening, goTo(t.name("open")))
	// No honest TCP sends these: FIN, URG or nothing without ACK; SYN with FIN.
	b.put(placeArrivals, tcpFlags(tcpSYN|tcpACK|tcpRST, 0), goTo(t.name("open")))
	b.put(placeArrivals, tcpFlags(tcpSYN|tcpFIN, tcpSYN|tcpFIN), goTo(t.name("open")))
	b.put(placeArrivals, ctState(expr.CtStateBitNEW), portIn(gate.UDP, t.name("away-udp"), true), goTo(t.name("open")))
	if t.want.Stray {
		b.put(placeArrivals, tcpFlags(tcpSYN|tcpACK|tcpRST, tcpACK), destinationPort(), lacks(t.name("away-tcp")), goTo(t.name("stray")))
	}
	t.sharedChains(b)
	for _, k := range kinds {
		t.kindChains(b, k)
	}
}

// sharedChains are those that all sources go through.
func (t *traps) sharedChains(b *book) {
	accept := verdict(expr.VerdictAccept)
	open, stray, full := t.name("open"), t.name("stray"), t.name("full")
	b.add(open, hasSocket(), loadPort(reg32), dynset(dynsetUpdate, setListening, listenedFor), accept)
	for _, chain := range []string{open, stray} {
		b.add(chain, hasSocket(), accept)
		b.add(chain, loadPort(reg32), lookup(setListening), accept)
	}
	for _, p := range []gate.Proto{gate.TCP, gate.UDP} {
		b.add(open, portIn(p, t.name("trap-"+p.String()), false), goTo(t.name("trapped")))
	}
	b.add(open, goTo(t.name("counted")))
	t.heldRules(b, stray)
	b.add(stray, goTo(t.name("counted")))
	b.add(full, []expr.Any{&expr.Limit{Type: expr.LimitTypePkts, Rate: 1, Unit: expr.LimitTimeSecond, Burst: 1}}, t.report(gate.ReportFull))
	for chain, each := range map[string]string{"trapped": "trap", "knock": "decoy", "counted": "count"} {
		for _, v6 := range []bool{false, true} {
			k := "4"
			if v6 {
				k = "6"
			}
			b.add(t.name(chain), source(v6, -1), lookup(t.name("single"+k)), goTo(t.name(each+"-"+k+"s")))
			b.add(t.name(chain), family(v6), goTo(t.name(each+"-"+k)))
		}
	}
}

// heldRules drop what comes from held sources.
func (t *traps) heldRules(b *book, chain string) {
	drop := join(count(counterHeld), verdict(expr.VerdictDrop))
	b.add(chain, source(false, -1), lookup(holdSet(false)), drop)
	b.add(chain, source(true, holdBits6), lookup(holdSet(true)), drop)
	b.add(chain, source(true, -1), lookup(holdSet(true)), drop)
}

// kindChains are those for one kind of source.
func (t *traps) kindChains(b *book, k kindOf) {
	accept := verdict(expr.VerdictAccept)
	name := func(s string) string { return t.name(s + "-" + k.name) }
	src, live := source(k.v6, k.bits), join(source(k.v6, -1), lookup(liveSet(k.v6)))

	// A trap holds at once, but nobody who has a live connection.
	b.add(name("trap"), live, goTo(name("count")))
	t.hold(b, name("trap"), k, gate.ReportTrap)

	b.add(name("decoy"), live, accept)
	b.add(name("decoy"), src, dynset(dynsetAdd, holdSet(k.v6), t.want.Hold), t.report(gate.ReportDecoy), accept)
	b.add(name("decoy"), jump(t.name("full")))
	b.add(name("decoy"), accept)

	// Ports. A port that counts already leads on to the addresses.
	ports, slots := countPorts.of(k.v6).seen, countPorts.of(k.v6).slots
	key := join(src, loadPort(behind(k.v6)))
	b.add(name("count"), key, lookup(ports), goTo(name("addr")))
	b.add(name("count"), key, dynset(dynsetAdd, ports, t.want.Within), t.report(gate.ReportProbe))
	b.add(name("count"), key, lacks(ports), goTo(t.name("full")))
	if k.net > 0 && t.want.Shared > 1 {
		b.add(name("count"), jump(name("net")))
	}
	t.slots(b, name("count"), src, k.v6, slots, t.want.Distinct, goTo(name("addr-quiet")), join(goTo(name("hold-ports"))))

	// Addresses of ours: the same, reported only where the port was not new.
	for _, chain := range []string{"addr", "addr-quiet"} {
		addrs, slots := countAddresses.of(k.v6).seen, countAddresses.of(k.v6).slots
		key := join(src, loadTarget(k.v6))
		b.add(name(chain), key, lookup(addrs), accept)
		news := t.report(gate.ReportProbe)
		if chain == "addr-quiet" {
			news = nil
		}
		b.add(name(chain), key, dynset(dynsetAdd, addrs, t.want.Within), news)
		b.add(name(chain), key, lacks(addrs), goTo(t.name("full")))
		t.slots(b, name(chain), src, k.v6, slots, t.want.Distinct, accept, goTo(name("hold-addr")))
	}
	if k.net > 0 {
		t.netRules(b, k, name)
	}
	for chain, r := range map[string]gate.Report{"hold-ports": gate.ReportPorts, "hold-addr": gate.ReportAddresses, "hold-net": gate.ReportNetwork} {
		b.add(name(chain), live, t.report(gate.ReportLive), accept)
		t.hold(b, name(chain), k, r)
	}
}

// netRules count the ports that a network tries. The packet that makes it too
// many is held, and so is from then on the first probe of each source there.
func (t *traps) netRules(b *book, k kindOf, name func(string) string) {
	chain, crowd := name("net"), "crowd"+digit(k.v6)
	if t.want.Shared < 2 {
		return
	}
	net, c := source(k.v6, k.net), countNetwork.of(k.v6)
	key := join(net, loadPort(behind(k.v6)))
	b.add(chain, net, lookup(crowd), goTo(name("hold-net")))
	b.add(chain, key, lookup(c.seen), verdict(expr.VerdictReturn))
	b.add(chain, key, dynset(dynsetAdd, c.seen, t.want.Within))
	b.add(chain, key, lacks(c.seen), goTo(t.name("full")))
	t.slots(b, chain, net, k.v6, c.slots, t.want.Shared, verdict(expr.VerdictReturn),
		join(net, dynset(dynsetAdd, crowd, t.want.Hold), goTo(name("hold-net"))))
}

// slots writes the rules that take a free slot of the source, and go on with
// next; where all are taken, it is the last of n different ones: then comes
// enough. Only where the set itself is full neither happens.
func (t *traps) slots(b *book, chain string, src []expr.Any, v6 bool, set string, n int, next, enough []expr.Any) {
	all := src
	for i := 1; i < n; i++ {
		b.add(chain, src, loadSlot(v6, i), lacks(set), dynset(dynsetAdd, set, t.want.Within), next)
		all = join(all, loadSlot(v6, i), lookup(set))
	}
	b.add(chain, all, enough)
	b.add(chain, jump(t.name("full")))
}

// hold writes the rules that hold the source, report it and drop the packet; a
// set that is full saves the source from being held, and not the packet.
func (t *traps) hold(b *book, chain string, k kindOf, r gate.Report) {
	src := source(k.v6, k.bits)
	b.add(chain, src, dynset(dynsetAdd, holdSet(k.v6), t.want.Hold), t.report(r))
	b.add(chain, src, lacks(holdSet(k.v6)), jump(t.name("full")))
	b.add(chain, count(counterHeld), verdict(expr.VerdictDrop))
}
