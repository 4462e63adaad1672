package firewall

import (
	"slices"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The base chains, which all generations share; and the counters of what each
// of them drops, which bear the same names.
const (
	chainBan   = "ban"
	chainDoubt = "doubt"

	// priorityBan is that of the raw table: before connection tracking (-200)
	// and behind defragmentation (-400), which the rules of chainDoubt turn on.
	priorityBan = -300
	// priorityDoubt lies between connection tracking (-200) and destination
	// NAT (-100): ports are those that the sender meant.
	priorityDoubt = -150
)

type baseChain struct {
	name     string
	priority int32
}

var baseChains = [...]baseChain{{chainBan, priorityBan}, {chainDoubt, priorityDoubt}}

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
// this generation's and fill those of its own chains that are not in made.
func (g *generation) rules(made map[string]bool) []op {
	ops := g.allRules()
	g.uses = tally(ops)
	return slices.DeleteFunc(ops, func(o op) bool { return made[o.name] })
}

// allRules is a flat table of rules, in the order in which packets meet them.
func (g *generation) allRules() []op {
	ops := []op{{verb: emptyChain, name: chainBan}, {verb: emptyChain, name: chainDoubt}}
	add := func(chain string, parts ...[]expr.Any) {
		ops = append(ops, op{verb: addRule, name: chain, rule: join(parts...)})
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
	for _, x := range exemptSets {
		for _, chain := range []string{chainBan, chainDoubt} {
			add(chain, source(x.v6, -1), lookup(numbered(x.name, g.exempt)), verdict(expr.VerdictAccept))
		}
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
	each(func(s *scope) bool { return !s.ports.IsEmpty() && !s.newOnly }, func(c *class, set string) {
		add(chainDoubt, source(c.v6, c.bits), lookup(set), jump(numbered(g.scopes[c.scope].chain(), g.number)))
	})
	add(chainDoubt, ctState(expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED), verdict(expr.VerdictAccept))
	add(chainDoubt, ctState(expr.CtStateBitNEW), midStream(), verdict(expr.VerdictAccept))
	each(func(s *scope) bool { return s.newOnly }, func(c *class, set string) {
		end := g.cut(chainDoubt, true)
		if s := g.scopes[c.scope]; !s.ports.IsEmpty() {
			end = jump(numbered(s.chain(), g.number))
		}
		add(chainDoubt, ctState(expr.CtStateBitNEW), source(c.v6, c.bits), lookup(set), end)
	})
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
