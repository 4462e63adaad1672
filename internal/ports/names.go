package ports

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/gate"
)

// Names knows ports by name: first the services of the configuration, then those
// of the machine's own list, services(5).
type Names struct {
	Services map[string]gate.Ports // of the configuration
	File     string                // of the machine; "" = /etc/services
}

// Named is what one word of a command, a schedule or a remote line stands for.
type Named struct {
	Service string // "" = ports by number
	Ports   gate.Ports
	Own     bool // the service is one of the configuration
}

// maxWords bounds how many words one expression may have.
const maxWords = 256

// Resolve returns what words stand for: a service each, and all ports that are
// given by number as one, at its end.
func (n Names) Resolve(list []string) (out []Named, err error) {
	if len(list) == 0 {
		return nil, fmt.Errorf("name services or ports: ssh, 80,443 or 8000-8500/udp")
	}
	if len(list) > maxWords {
		return nil, fmt.Errorf("more than %d services and ports", maxWords)
	}
	var numbers []string
	for _, w := range list {
		if w != "" && ('0' <= w[0] && w[0] <= '9' || strings.ContainsAny(w, ",/")) {
			numbers = append(numbers, w)
			continue
		}
		v, err := n.service(w)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(out, func(o Named) bool { return o.Service == v.Service }) {
			out = append(out, v)
		}
	}
	if len(numbers) > 0 {
		p, err := gate.ParsePorts(numbers...)
		if err != nil {
			return nil, err
		}
		out = append(out, Named{Ports: p})
	}
	return out, nil
}

// service returns the ports of one name.
func (n Names) service(name string) (Named, error) {
	if p, ok := n.Services[name]; ok {
		return Named{name, p, true}, nil
	}
	if gate.IsName(name) {
		p, err := n.listed(name)
		if err != nil {
			return Named{}, err
		}
		if !p.IsEmpty() {
			return Named{Service: name, Ports: p}, nil
		}
	}
	return Named{}, fmt.Errorf("there is no service %s: name it under services: in the configuration, or write its ports, as in 22/tcp", gate.Quote(name, 64))
}

// listed returns the ports that the machine's list gives a name; none if it
// does not have it, or there is no list.
func (n Names) listed(name string) (gate.Ports, error) {
	path := n.File
	if path == "" {
		path = "/etc/services"
	}
	f, err := os.Open(path)
	if err != nil {
		return gate.Ports{}, nil
	}
	defer f.Close()
	return findService(io.LimitReader(f, maxServices), name), nil
}

// maxServices bounds how much of services(5) is read, in bytes: five times the
// list of IANA.
const maxServices = 8 << 20

// findService looks a name or an alias up in a list of services(5): `name
// port/protocol alias...`, with comments behind #.
func findService(r io.Reader, name string) gate.Ports {
	var found []gate.PortRange
	for sc := bufio.NewScanner(r); sc.Scan(); {
		line, _, _ := strings.Cut(sc.Text(), "#")
		w := strings.Fields(line)
		if len(w) < 2 || w[0] != name && !slices.Contains(w[2:], name) {
			continue
		}
		port, proto, _ := strings.Cut(w[1], "/")
		v, err := strconv.ParseUint(port, 10, 16)
		p := map[string]gate.Proto{"tcp": gate.TCP, "udp": gate.UDP}[proto]
		if err == nil && v > 0 && p != 0 {
			found = append(found, gate.PortRange{Proto: p, Lo: uint16(v), Hi: uint16(v)})
		}
	}
	return gate.PortsOf(found...)
}
