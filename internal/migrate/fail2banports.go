package migrate

import (
	"fmt"
	"strconv"
	"strings"

	"gatehouse/internal/fail2ban"
	"gatehouse/internal/gate"
)

// portsOf returns the ports that a jail's bans close; empty = all. port looks a
// service's name up; remark is told what is not known.
func portsOf(j *fail2ban.Jail, port func(proto, name string) (int, bool), remark func(text, hint string)) gate.Ports {
	if allPorts(j) {
		return gate.Ports{}
	}
	protos := []gate.Proto{gate.TCP, gate.UDP}
	switch strings.ToLower(strings.TrimSpace(j.Protocol)) {
	case "", "tcp":
		protos = protos[:1]
	case "udp":
		protos = protos[1:]
	case "all", "tcp,udp", "udp,tcp":
	default:
		remark(fmt.Sprintf("protocol = %s", j.Protocol), "bans close ports of tcp and udp, or all traffic: leave ports out for that")
	}
	var ranges []gate.PortRange
	for item := range strings.FieldsFuncSeq(j.Port, func(c rune) bool { return c == ',' || c == ' ' || c == '\t' || c == '\n' }) {
		lo, hi, isRange := strings.Cut(item, ":")
		if !isRange {
			hi = lo
		}
		for _, p := range protos {
			a, ok := portNumber(lo, p, port)
			b, ok2 := portNumber(hi, p, port)
			if !ok || !ok2 {
				remark(fmt.Sprintf("port = %s is neither a number nor a service that this machine knows", item), "write its number: ports: 2222/tcp")
				break
			}
			if a == 0 && b == 65535 || a == 1 && b == 65535 {
				return gate.Ports{}
			}
			ranges = append(ranges, gate.PortRange{Proto: p, Lo: uint16(max(a, 1)), Hi: uint16(b)})
		}
	}
	return gate.PortsOf(ranges...)
}

// portNumber reads a port by number or by name.
func portNumber(s string, p gate.Proto, port func(proto, name string) (int, bool)) (int, bool) {
	if n, err := strconv.Atoi(s); err == nil {
		return n, n >= 0 && n < 1<<16
	}
	if port == nil {
		return 0, false
	}
	// A service that is known for one protocol has the same number in the other.
	for _, proto := range []string{p.String(), "tcp", "udp"} {
		if n, ok := port(proto, s); ok {
			return n, true
		}
	}
	return 0, false
}

// allPorts reports whether a jail's bans close everything, whatever port says.
func allPorts(j *fail2ban.Jail) bool {
	for _, a := range j.Actions {
		if isFirewall(a.Name) && (strings.Contains(a.Name, "allports") || a.Args["type"] == "allports" || onlyAll[a.Name]) {
			return true
		}
	}
	return false
}

// onlyAll are actions that know no ports.
var onlyAll = map[string]bool{"route": true, "hostsdeny": true, "shorewall": true, "ufw": true, "apf": true, "iptables-xt_recent-echo": true}
