package firewall

import (
	"encoding/binary"
	"net/netip"

	"gatehouse/internal/gate"
)

// The sets of the traps. Those that the kernel fills have no number: they live
// through rebuilds, restarts and changes of the configuration.
//
//	hold4 hold6        who is held
//	live4 live6        who has a live connection and sent data over it
//	listening          protocol and port of what was found to listen
//	seen4 …            source, protocol and port that counted already
//	seen-addr4 …       source and address of ours that counted already
//	seen-net4 …        network of the source, protocol and port that counted already
//	slot4 …            source and a number from 1: how many ports count, one for each
//	slot-addr4 …       the same for addresses, slot-net4 … for networks
//	crowd4 crowd6      networks that share a scan
//
// What counts takes a free slot for the length of the window. A source whose
// slots are all taken has tried that many different ports within the window,
// exactly, whenever it did.
const counterHeld = "held"

func holdSet(v6 bool) string { return "hold" + digit(v6) }
func liveSet(v6 bool) string { return "live" + digit(v6) }

func digit(v6 bool) string {
	if v6 {
		return "6"
	}
	return "4"
}

// Most elements of each set. An element takes about 100 bytes of the kernel's
// memory: all sets full are some 60 MB.
const (
	mostHeld      = 1 << 17
	mostLive      = 1 << 16
	mostListening = 1 << 16
	mostSeen      = 1 << 16
	mostSlots     = 1 << 16
	mostFew       = 1 << 15 // of what is counted by address of ours, or by network
	mostCrowds    = 1 << 12
)

// dynamic describes a set that the rules fill; the parts of its key have these
// types.
func dynamic(size uint32, types ...uint32) setSpec {
	s := setSpec{keyType: concatType(types...), timeout: true, dynamic: true, size: size}
	for _, t := range types {
		s.keyLen += 4
		if t == typeIPv6 {
			s.keyLen += 12
		}
	}
	return s
}

// slotSet describes a set of slots.
func slotSet(v6 bool, size uint32) setSpec {
	if v6 {
		return dynamic(size, typeIPv6, typePort)
	}
	return dynamic(size, typeIPv4, typePort)
}

// slotKey is the key of one slot of a source: the parts of a concatenation fill a
// multiple of four bytes each.
func slotKey(a netip.Addr, n int) (k [20]byte) {
	binary.BigEndian.PutUint16(k[copy(k[:], a.AsSlice()):], uint16(n))
	return k
}

// counting names the three sets that count one kind of thing of one family.
type counting struct{ seen, slots string }

func (c counting) of(v6 bool) counting { return counting{c.seen + digit(v6), c.slots + digit(v6)} }

var (
	countPorts     = counting{"seen", "slot"}
	countAddresses = counting{"seen-addr", "slot-addr"}
	countNetwork   = counting{"seen-net", "slot-net"}
)

// plan makes the sets and chains.
func (t *traps) plan(g *generation, number uint32) (ops []op) {
	if !t.active() {
		return nil
	}
	t.number = number
	ops = append(ops, g.newCounter(counterHeld)...)
	keep := func(name string, s setSpec) { ops = append(ops, g.keepSet(name, s)...) }
	keep(setListening, dynamic(mostListening, typeProto, typePort))
	for _, v6 := range []bool{false, true} {
		ip, d := uint32(typeIPv4), digit(v6)
		if v6 {
			ip = typeIPv6
		}
		keep(holdSet(v6), dynamic(mostHeld, ip))
		keep(liveSet(v6), dynamic(mostLive, ip))
		keep("crowd"+d, dynamic(mostCrowds, ip))
		keep(countPorts.of(v6).seen, dynamic(mostSeen, ip, typeProto, typePort))
		keep(countPorts.of(v6).slots, slotSet(v6, mostSlots))
		keep(countAddresses.of(v6).seen, dynamic(mostFew, ip, ip))
		keep(countAddresses.of(v6).slots, dynamic(mostFew, ip, typePort))
		keep(countNetwork.of(v6).seen, dynamic(mostFew, ip, typeProto, typePort))
		keep(countNetwork.of(v6).slots, dynamic(mostFew, ip, typePort))
		spec := addressSet(v6, false)
		ops = append(ops, g.newSet(t.name("single"+d), spec, rangeElements(spans(t.attached(), v6), spec.keyLen))...)
	}
	for _, p := range []gate.Proto{gate.TCP, gate.UDP} {
		for _, x := range t.portSets() {
			ops = append(ops, g.newSet(t.name(x.name+"-"+p.String()), portSet, rangeElements(portSpans(x.ports, p), portSet.keyLen))...)
		}
	}
	for _, name := range t.chains() {
		ops = append(ops, g.newChain(t.name(name))...)
	}
	return ops
}

const setListening = "listening"

// name is that of something made for this configuration.
func (t *traps) name(s string) string { return numbered("scan-"+s, t.number) }

type namedPorts struct {
	name  string
	ports gate.Ports
}

func (t *traps) portSets() []namedPorts {
	away := gate.PortsOf(
		gate.PortRange{Proto: gate.TCP, Lo: t.want.Ephemeral.Lo, Hi: t.want.Ephemeral.Hi},
		gate.PortRange{Proto: gate.UDP, Lo: t.want.Ephemeral.Lo, Hi: t.want.Ephemeral.Hi},
	)
	return []namedPorts{{"trap", t.want.Ports}, {"decoy", t.want.Decoys}, {"ignore", t.want.Ignore}, {"away", away}}
}

// attached returns the networks whose addresses stand for themselves.
func (t *traps) attached() []netip.Prefix {
	return append([]netip.Prefix{netip.MustParsePrefix("fe80::/10")}, t.want.Single...)
}

// kindOf says how sources are counted: whole IPv4 addresses, IPv6 /64, or, where
// they are directly attached, each for itself and no network with them.
type kindOf struct {
	name   string
	v6     bool
	bits   int // of a source
	net    int // of its network; 0 = it has none
	single bool
}

var kinds = [...]kindOf{
	{"4", false, 32, 24, false},
	{"4s", false, 32, 0, true},
	{"6", true, holdBits6, 48, false},
	{"6s", true, 128, 0, true},
}

// The chains of each kind, and those for all.
var (
	kindChains = []string{"trap", "decoy", "count", "addr", "addr-quiet", "hold-ports", "hold-addr", "hold-net"}
	onceChains = []string{"held", "open", "stray", "full", "trapped", "knock", "counted"}
)

func (t *traps) chains() (names []string) {
	names = append(names, onceChains...)
	for _, k := range kinds {
		for _, c := range kindChains {
			names = append(names, c+"-"+k.name)
		}
		if k.net > 0 {
			names = append(names, "net-"+k.name)
		}
	}
	return names
}
