package ports

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"

	"gatehouse/internal/gate"
)

// Foreign is what tables of other programs do to ports: an `accept` of ours ends
// in our own table, so theirs may drop all the same. It is a reading of one
// moment, of tables of nf_tables, those of iptables-nft included.
type Foreign struct {
	rules   []foreignRule
	remarks []string // what could not be looked into
}

// foreignRule is a rule that says something of ports, or the end of a base chain.
type foreignRule struct {
	table, chain string
	direction    gate.Direction
	drops        bool
	accepts      bool
	policy       bool       // not a rule: what the chain does in the end
	any          bool       // it is about any port
	ports        gate.Ports // otherwise about these
	some         bool       // there are further conditions: not for everybody
}

// Bounds of what is looked at.
const (
	maxForeignChains = 500
	maxForeignRules  = 5000
)

// ReadForeign looks at the tables of the network namespace that it is called in,
// our own left out.
func ReadForeign(own string) (*Foreign, error) {
	c, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("look at other tables: %w", err)
	}
	f := &Foreign{}
	chains, err := c.ListChains()
	if err != nil {
		return nil, fmt.Errorf("look at other tables: %w", err)
	}
	chains = slices.DeleteFunc(chains, func(ch *nftables.Chain) bool {
		family := ch.Table.Family
		return ch.Table.Name == own || family != nftables.TableFamilyINet && family != nftables.TableFamilyIPv4 && family != nftables.TableFamilyIPv6
	})
	if len(chains) > maxForeignChains {
		f.remarks = append(f.remarks, fmt.Sprintf("other programs have more than %d chains, which are not looked into", maxForeignChains))
		return f, nil
	}
	r := foreignReader{c: c, f: f, chains: chains}
	for _, ch := range chains {
		if d := hookDirection(ch); d != gate.DirectionNone {
			r.base(ch, d)
		}
	}
	if b, err := os.ReadFile("/proc/net/ip_tables_names"); err == nil && len(bytes.TrimSpace(b)) > 0 {
		f.remarks = append(f.remarks, "iptables-legacy has tables, too, which are not looked into: iptables-legacy -S shows them")
	}
	return f, nil
}

// hookDirection tells base chains apart that filter what comes in or goes out.
func hookDirection(ch *nftables.Chain) gate.Direction {
	if ch.Hooknum == nil || ch.Type != nftables.ChainTypeFilter {
		return gate.DirectionNone
	}
	switch *ch.Hooknum {
	case *nftables.ChainHookInput, *nftables.ChainHookPrerouting:
		return gate.In
	case *nftables.ChainHookOutput, *nftables.ChainHookPostrouting:
		return gate.Out
	}
	return gate.DirectionNone
}

// foreignReader walks from base chains into the chains that they jump to.
type foreignReader struct {
	c      *nftables.Conn
	f      *Foreign
	chains []*nftables.Chain
	read   int
}

func (r *foreignReader) base(ch *nftables.Chain, d gate.Direction) {
	r.walk(ch, d, false, map[string]bool{})
	if ch.Policy != nil && *ch.Policy == nftables.ChainPolicyDrop {
		r.f.rules = append(r.f.rules, foreignRule{table: tableName(ch.Table), chain: ch.Name, direction: d, drops: true, policy: true, any: true})
	}
}

func tableName(t *nftables.Table) string {
	family := map[nftables.TableFamily]string{nftables.TableFamilyINet: "inet", nftables.TableFamilyIPv4: "ip", nftables.TableFamilyIPv6: "ip6"}[t.Family]
	return family + " " + t.Name
}

// walk reads the rules of a chain; some says that not every packet gets there.
func (r *foreignReader) walk(ch *nftables.Chain, d gate.Direction, some bool, seen map[string]bool) {
	if seen[ch.Name] || r.read > maxForeignRules {
		return
	}
	seen[ch.Name] = true
	rules, err := r.c.GetRules(ch.Table, ch)
	if err != nil {
		r.f.remarks = append(r.f.remarks, "the chain "+gate.Quote(ch.Name, 40)+" of "+tableName(ch.Table)+" cannot be read")
		return
	}
	for _, rule := range rules {
		if r.read++; r.read > maxForeignRules {
			r.f.remarks = append(r.f.remarks, fmt.Sprintf("other programs have more than %d rules, which are not all looked into", maxForeignRules))
			return
		}
		v := r.decode(rule)
		v.table, v.chain, v.direction, v.some = tableName(ch.Table), ch.Name, d, v.some || some
		if v.drops || v.accepts {
			r.f.rules = append(r.f.rules, v.foreignRule)
		}
		for _, next := range r.chains {
			if v.jump != "" && next.Name == v.jump && next.Table.Name == ch.Table.Name && next.Table.Family == ch.Table.Family {
				r.walk(next, d, v.some || !v.any, seen)
			}
		}
	}
}

// decoded is what one rule was understood to be.
type decoded struct {
	foreignRule
	jump string
}

// decode understands protocol, destination port and verdict of a rule; anything
// else in it is a further condition.
func (r *foreignReader) decode(rule *nftables.Rule) (v decoded) {
	v.any = true
	var proto gate.Proto
	held := ""                   // what is in the register
	var spans []gate.PortRange   // ports that are named, of any protocol where Proto is 0
	narrow := func(lo, hi int) { // the rule is about these ports
		v.any = false
		spans = append(spans, gate.PortRange{Lo: uint16(max(lo, 1)), Hi: uint16(min(hi, 65535))})
	}
	for _, e := range rule.Exprs {
		switch e := e.(type) {
		case *expr.Meta:
			held = map[expr.MetaKey]string{expr.MetaKeyL4PROTO: "proto", expr.MetaKeyNFPROTO: "family"}[e.Key]
		case *expr.Payload:
			switch {
			case e.Base == expr.PayloadBaseTransportHeader && e.Offset == 2 && e.Len == 2:
				held = "port"
			case e.Base == expr.PayloadBaseNetworkHeader && e.Len == 1 && (e.Offset == 9 || e.Offset == 6):
				held = "proto"
			default:
				held = ""
			}
		case *expr.Cmp:
			switch {
			case held == "proto" && e.Op == expr.CmpOpEq && len(e.Data) > 0:
				proto = gate.Proto(e.Data[0])
			case held == "port" && len(e.Data) == 2:
				p := int(binary.BigEndian.Uint16(e.Data))
				switch e.Op {
				case expr.CmpOpEq:
					narrow(p, p)
				case expr.CmpOpGte:
					narrow(p, 65535)
				case expr.CmpOpLte: // of a range: the end of what Gte began
					if n := len(spans); n > 0 && int(spans[n-1].Hi) == 65535 {
						spans[n-1].Hi = uint16(p)
					} else {
						narrow(1, p)
					}
				default:
					v.some = true
				}
			case held == "family":
			default:
				v.some = true
			}
		case *expr.Range:
			if held == "port" && e.Op == expr.CmpOpEq && len(e.FromData) == 2 && len(e.ToData) == 2 {
				narrow(int(binary.BigEndian.Uint16(e.FromData)), int(binary.BigEndian.Uint16(e.ToData)))
			} else {
				v.some = true
			}
		case *expr.Lookup:
			if held == "port" && !e.Invert && e.DestRegister == 0 {
				r.lookup(rule.Table, e.SetName, narrow)
			} else {
				v.some = true
			}
		case *expr.Match:
			switch info := e.Info.(type) {
			case *xt.Tcp:
				proto = gate.TCP
				narrow(int(info.DstPorts[0]), int(info.DstPorts[1]))
				v.some = v.some || info.SrcPorts != [2]uint16{0, 65535} || info.InvFlags != 0 || info.FlagsMask != 0
			case *xt.Udp:
				proto = gate.UDP
				narrow(int(info.DstPorts[0]), int(info.DstPorts[1]))
				v.some = v.some || info.SrcPorts != [2]uint16{0, 65535} || info.InvFlags != 0
			case *xt.Comment:
			case *xt.Unknown:
				if e.Name != "multiport" || !multiport([]byte(*info), narrow) {
					v.some = v.some || e.Name != "comment"
				}
			default:
				v.some = true
			}
		case *expr.Target:
			v.drops = v.drops || e.Name == "REJECT" || e.Name == "DROP"
		case *expr.Reject:
			v.drops = true
		case *expr.Verdict:
			switch e.Kind {
			case expr.VerdictAccept:
				v.accepts = true
			case expr.VerdictDrop:
				v.drops = true
			case expr.VerdictJump, expr.VerdictGoto:
				v.jump = e.Chain
			}
		case *expr.Counter, *expr.Log, *expr.Immediate:
		default:
			v.some = true
		}
	}
	if proto != 0 && proto != gate.TCP && proto != gate.UDP {
		v.drops, v.accepts, v.jump = false, false, ""
		return v
	}
	if v.any && proto != 0 {
		narrow(1, 65535)
	}
	var all []gate.PortRange
	for _, s := range spans {
		for _, p := range []gate.Proto{gate.TCP, gate.UDP} {
			if (proto == 0 || proto == p) && s.Lo <= s.Hi {
				all = append(all, gate.PortRange{Proto: p, Lo: s.Lo, Hi: s.Hi})
			}
		}
	}
	v.ports = gate.PortsOf(all...)
	return v
}

// lookup reads the ports of a set.
func (r *foreignReader) lookup(t *nftables.Table, name string, add func(lo, hi int)) {
	set, err := r.c.GetSetByName(t, name)
	if err != nil {
		add(1, 0) // not known: about no port
		return
	}
	elements, err := r.c.GetSetElements(set)
	if err != nil || len(elements) > maxForeignRules {
		add(1, 0)
		return
	}
	if !set.Interval {
		for _, e := range elements {
			if len(e.Key) >= 2 {
				p := int(binary.BigEndian.Uint16(e.Key))
				add(p, p)
			}
		}
		return
	}
	slices.SortFunc(elements, func(a, b nftables.SetElement) int { return bytes.Compare(a.Key, b.Key) })
	lo := -1
	for _, e := range elements {
		if len(e.Key) < 2 {
			continue
		}
		p := int(binary.BigEndian.Uint16(e.Key))
		if !e.IntervalEnd {
			lo = p
		} else if lo >= 0 {
			add(lo, p-1)
			lo = -1
		}
	}
	if lo >= 0 {
		add(lo, 65535)
	}
}

// multiport reads the match of that name, revision 1
// (include/uapi/linux/netfilter/xt_multiport.h): flags, count, 15 ports, 15 marks
// of ranges, invert.
func multiport(b []byte, add func(lo, hi int)) bool {
	const most = 15
	if len(b) < 2+2*most+most+1 || b[0] == 0 || b[1] > most || b[2+2*most+most] != 0 {
		return false
	}
	for i := 0; i < int(b[1]); i++ {
		lo := int(binary.NativeEndian.Uint16(b[2+2*i:]))
		hi := lo
		if b[2+2*most+i] != 0 && i+1 < int(b[1]) {
			i++
			hi = int(binary.NativeEndian.Uint16(b[2+2*i:]))
		}
		add(lo, hi)
	}
	return true
}

// Says tells, in sentences, what other tables do to these ports.
func (f *Foreign) Says(of gate.Ports, d gate.Direction) (out []string) {
	if f == nil {
		return nil
	}
	accepted := map[string]gate.Ports{} // table and base direction -> what it accepts
	add := func(s string) {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	for _, r := range f.rules {
		if r.direction != d {
			continue
		}
		part := of
		if !r.any {
			part = of.Minus(of.Minus(r.ports))
		}
		if part.IsEmpty() {
			continue
		}
		where := " (table " + plainName(r.table) + ", chain " + plainName(r.chain) + ")"
		sometimes := ""
		if r.some {
			sometimes = " under some conditions"
		}
		switch {
		case r.policy:
			if left := part.Minus(accepted[r.table]); !left.IsEmpty() {
				add("another program drops " + left.String() + ", for no rule of its own accepts it" + where)
			}
		case r.any && r.some: // it says something, but not of the port
		case r.drops:
			if left := part.Minus(accepted[r.table]); !left.IsEmpty() {
				add("another program drops " + left.String() + sometimes + where)
			}
		case r.accepts:
			if !r.some {
				accepted[r.table] = accepted[r.table].Union(part)
			}
			if !r.any {
				add("another program accepts " + part.String() + sometimes + where)
			}
		}
	}
	return append(out, f.remarks...)
}

// plainName returns a name of another program's, made harmless.
func plainName(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) || len(s) > 80 {
		return gate.Quote(s, 80)
	}
	return s
}
