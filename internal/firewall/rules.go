package firewall

import (
	"slices"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The base chains, which all generations share. The first two are always there,
// the others while a part has rules in them.
const (
	chainBan        = "ban"
	chainDoubt      = "doubt"
	chainOutgoing   = "outgoing"    // what this machine itself sends
	chainAnswersOut = "answers-out" // everything that leaves, as the other end will see it
	chainArrivals   = "arrivals"    // everything for this machine itself, before anybody's filter
	chainAnswersIn  = "answers-in"  // everything for this machine itself, as its programs will see it

	// priorityBan is that of the raw table: before connection tracking (-200)
	// and behind defragmentation (-400), which the rules of chainDoubt turn on.
	priorityBan = -300
	// priorityDoubt lies between connection tracking (-200) and destination
	// NAT (-100): ports are those that the sender meant.
	priorityDoubt = -150
	// priorityAnswers is behind all address translation (100 is that of source
	// NAT): answers bear the ports again that the question was sent to.
	priorityAnswers = 150
)

type baseChain struct {
	name string
	hookSpec
	always bool
}

var baseChains = [...]baseChain{
	{chainBan, hookSpec{unix.NF_INET_PRE_ROUTING, priorityBan}, true},
	{chainDoubt, hookSpec{unix.NF_INET_PRE_ROUTING, priorityDoubt}, true},
	{chainOutgoing, hookSpec{unix.NF_INET_LOCAL_OUT, priorityDoubt}, false},
	{chainAnswersOut, hookSpec{unix.NF_INET_POST_ROUTING, priorityAnswers}, false},
	{chainArrivals, hookSpec{unix.NF_INET_LOCAL_IN, priorityDoubt}, false},
	{chainAnswersIn, hookSpec{unix.NF_INET_LOCAL_IN, priorityAnswers}, false},
}

// baseCounters count what the chains of these names drop by bans.
var baseCounters = [...]string{chainBan, chainDoubt}

// The sets of who is exempt, one for each family.
var exemptSets = [...]struct {
	name string
	v6   bool
}{{"never4", false}, {"never6", true}, {"allow4", false}, {"allow6", true}}

const chainReject = "reject"

// Answers to rejected packets, in packets a second and in a row. More than that
// is dropped in silence, so that a flood does not become two.
const (
	rejectRate  = 100
	rejectBurst = 50
)

// rules returns the operations that replace all rules of the base chains by
// this generation's and fill those of its own chains that are not in made. Base
// chains come and go with their rules.
func (g *generation) rules(made map[string]bool) []op {
	all := g.allRules()
	g.uses = tally(all)
	var head, tail []op
	for _, b := range baseChains {
		need := b.always || g.uses[b.name] > 0
		switch {
		case need && !g.bases[b.name]:
			head = append(head, op{verb: addChain, name: b.name, hook: &b.hookSpec})
		case g.bases[b.name]:
			head = append(head, op{verb: emptyChain, name: b.name})
		}
		if !need && g.bases[b.name] {
			tail = append(tail, op{verb: deleteChain, name: b.name})
		}
		g.bases[b.name] = need
	}
	all = slices.DeleteFunc(all, func(o op) bool { return made[o.name] })
	return concat(head, all, tail)
}

// allRules is a flat table of rules, in the order in which packets meet them.
func (g *generation) allRules() []op {
	b := book{exits: map[string]exit{}}
	for _, p := range g.parts {
		p.rules(g, &b)
	}
	ops := b.own
	add := func(chain string, parts ...[]expr.Any) {
		ops = append(ops, op{verb: addRule, name: chain, rule: join(parts...)})
	}
	at := func(chain string, p spot) {
		for _, r := range b.places[p] {
			add(chain, r)
		}
	}
	end := func(chain string) {
		if to := b.exits[chain].all; to != "" {
			add(chain, goTo(to))
		}
	}
	for _, s := range g.ported() {
		name := numbered(s.chain(), g.number)
		add(name, loadDirection(ctReply), verdict(expr.VerdictReturn))
		for _, p := range s.protos() {
			add(name, l4proto(byte(p)), destinationPort(), lookup(numbered(s.portSet(p), g.number)), g.cut(chainDoubt, s.newOnly))
		}
	}

	add(chainBan, loopback(), verdict(expr.VerdictAccept))
	add(chainBan, neighbourDiscovery(), verdict(expr.VerdictAccept))
	add(chainBan, packetTooBig(), verdict(expr.VerdictAccept))
	add(chainBan, fragmentationNeeded(), verdict(expr.VerdictAccept))
	add(chainDoubt, loopback(), verdict(expr.VerdictAccept))
	for i, x := range exemptSets {
		exempt := join(source(x.v6, -1), lookup(numbered(x.name, g.exempt)))
		add(chainBan, exempt, verdict(expr.VerdictAccept))
		add(chainDoubt, exempt, b.exits[chainDoubt].leave(i < 2))
	}
	each := func(want func(*scope) bool, rule func(c *class, set string)) {
		for _, fresh := range []bool{true, false} {
			for _, c := range g.classes {
				if want(g.scopes[c.scope]) {
					rule(c, g.set(c, fresh))
				}
			}
		}
	}
	each(func(s *scope) bool { return s.number == 0 }, func(c *class, set string) {
		add(chainBan, source(c.v6, c.bits), lookup(set), g.cut(chainBan, false))
	})
	at(chainBan, placeLists)
	each(func(s *scope) bool { return !s.ports.IsEmpty() && !s.newOnly }, func(c *class, set string) {
		add(chainDoubt, source(c.v6, c.bits), lookup(set), jump(numbered(g.scopes[c.scope].chain(), g.number)))
	})
	at(chainDoubt, placeLive)
	add(chainDoubt, ctState(expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED), b.exits[chainDoubt].leave(false))
	at(chainDoubt, placeProbes)
	add(chainDoubt, ctState(expr.CtStateBitNEW), midStream(), b.exits[chainDoubt].leave(false))
	for _, r := range b.pass {
		add(chainDoubt, r, b.exits[chainDoubt].leave(false))
	}
	at(chainDoubt, placeHolds)
	each(func(s *scope) bool { return s.newOnly }, func(c *class, set string) {
		end := g.cut(chainDoubt, true)
		if s := g.scopes[c.scope]; !s.ports.IsEmpty() {
			end = jump(numbered(s.chain(), g.number))
		}
		add(chainDoubt, ctState(expr.CtStateBitNEW), source(c.v6, c.bits), lookup(set), end)
	})
	at(chainDoubt, placeTraps)
	at(chainDoubt, placeThresholds)
	end(chainDoubt)
	if b.exits[chainOutgoing] != (exit{}) || len(b.places[placeOut]) > 0 {
		add(chainOutgoing, loopbackOut(), verdict(expr.VerdictAccept))
		add(chainOutgoing, neighbourDiscovery(), verdict(expr.VerdictAccept))
		for i, x := range exemptSets {
			add(chainOutgoing, destination(x.v6, -1), lookup(numbered(x.name, g.exempt)), b.exits[chainOutgoing].leave(i < 2))
		}
		at(chainOutgoing, placeOut)
		end(chainOutgoing)
	}
	if len(b.places[placeAnswersOut]) > 0 {
		add(chainAnswersOut, loopbackOut(), verdict(expr.VerdictAccept))
		at(chainAnswersOut, placeAnswersOut)
	}
	if len(b.places[placeArrivals]) > 0 {
		add(chainArrivals, loopback(), verdict(expr.VerdictAccept))
		for _, x := range exemptSets {
			add(chainArrivals, source(x.v6, -1), lookup(numbered(x.name, g.exempt)), verdict(expr.VerdictAccept))
		}
		at(chainArrivals, placeArrivals)
	}
	if len(b.places[placeAnswersIn]) > 0 {
		add(chainAnswersIn, loopback(), verdict(expr.VerdictAccept))
		at(chainAnswersIn, placeAnswersIn)
	}
	if g.reject {
		name := numbered(chainReject, g.number)
		add(name, l4proto(unix.IPPROTO_TCP), limit(), reject(unix.NFT_REJECT_TCP_RST, 0))
		add(name, limit(), reject(unix.NFT_REJECT_ICMPX_UNREACH, unix.NFT_REJECT_ICMPX_ADMIN_PROHIBITED))
		add(name, verdict(expr.VerdictDrop))
	}
	return ops
}

// cut counts the packet and ends its way.
func (g *generation) cut(counter string, forgeable bool) []expr.Any {
	out := []expr.Any{&expr.Objref{Type: unix.NFT_OBJECT_COUNTER, Name: counter}}
	if g.reject && !forgeable {
		return append(out, &expr.Verdict{Kind: expr.VerdictGoto, Chain: numbered(chainReject, g.number)})
	}
	return append(out, &expr.Verdict{Kind: expr.VerdictDrop})
}
