package config

import (
	"net/netip"
	"time"

	"gatehouse/internal/gate"
)

// Network is one entry of networks: a part of the address space that is judged in
// its own way.
type Network struct {
	Name  string         `key:"name" required:"true" example:"lan" check:"word" doc:"What the network is called, in reasons, routes of messages, hooks and filters: letters, digits, -, _ and dots."`
	Match []netip.Prefix `key:"match" required:"true" example:"[192.168.0.0/16, \"fd00::/8\"]" check:"filled" doc:"Addresses and prefixes of it. The first network that covers an offender counts."`
	// Ban is empty where the ladders of the watches are meant.
	Ban []time.Duration `key:"ban" example:"[10m]" check:"ladder" doc:"How long a ban lasts there: the first time, the second time, and so on. It takes the place of the ladders of the watches, also of shorter ones. Default: what the watch says."`
	// Notify is empty where the routes of notify decide.
	Notify []string `key:"notify" example:"[mail]" check:"filled word" doc:"Channels that are told of what concerns this network, where no route of notify says otherwise. Default: as for all others."`
}

// Aggregate is the section of the same name.
type Aggregate struct {
	IPv4 Grouping4 `key:"ipv4" doc:"Networks of IPv4."`
	IPv6 Grouping6 `key:"ipv6" doc:"Networks of IPv6. The addresses of one /64 are counted and banned together in any case."`
}

// Grouping4 and Grouping6 say how many offenders of one network become one ban; an
// Offenders of 0 never.
type (
	Grouping4 struct {
		Prefix    int `key:"prefix" default:"24" min:"16" max:"31" doc:"Length of the networks in bits."`
		Offenders int `key:"offenders" default:"0" min:"0" max:"65536" example:"4" doc:"How many offenders of one network must be banned at once for the whole network to be. It stays banned until fewer would be. 0 means never; where only the prefix is given, 4."`
	}
	Grouping6 struct {
		Prefix    int `key:"prefix" default:"64" min:"32" max:"127" doc:"Length of the networks in bits: 56, 48 or 32, say. At 64 only single addresses are grouped, such as those that a command banned."`
		Offenders int `key:"offenders" default:"0" min:"0" max:"65536" example:"4" doc:"How many offenders of one network must be banned at once for the whole network to be. 0 means never; where only the prefix is given, 4."`
	}
)

// usualOffenders is how many offenders are enough where only a prefix is given.
const usualOffenders = 4

func (g *Grouping4) check(d *decoder, n *node) { checkGrouping(d, n, &g.Offenders) }
func (g *Grouping6) check(d *decoder, n *node) { checkGrouping(d, n, &g.Offenders) }

func checkGrouping(d *decoder, n *node, offenders *int) {
	at := n.get("offenders")
	switch {
	case at == nil && n.get("prefix") != nil:
		*offenders = usualOffenders
	case at != nil && *offenders == 1:
		d.problem(at, "write 2 or more, or 0 for never", "one offender would have its whole network banned")
	}
}

// Retire is one entry of retire.
type Retire struct {
	After   time.Duration `key:"after" required:"true" example:"30d" check:"positive" doc:"How long after it was decided a ban ends at the latest."`
	Rule    string        `key:"rule" example:"sshd" check:"word" doc:"Only bans of this watch; command for those that somebody asked for. Default: every ban."`
	Network string        `key:"network" example:"lan" check:"word" doc:"Only bans in this network, by its name in networks. Default: everywhere."`
	Origin  string        `key:"origin" enum:"file journal syslog command scan list" example:"command" doc:"Only bans of what was seen there. Default: anywhere."`
}

// checkNetworks checks what spans the entries of networks and retire.
func (c *Config) checkNetworks(d *decoder, n *node) {
	first := map[string]*node{}
	if ns := n.get("networks"); ns != nil && ns.kind == list {
		for _, e := range ns.items {
			name := e.get("name")
			if name == nil || name.kind != text {
				continue
			}
			if f := first[name.text]; f != nil {
				d.problem(name, "line "+itoa(f.line)+" has it already: give this one another name, or put its match there", "network %s is defined twice", gate.Quote(name.text, 64))
				continue
			}
			first[name.text] = name
		}
	}
	rs := n.get("retire")
	if rs == nil || rs.kind != list {
		return
	}
	for _, e := range rs.items {
		if at := e.get("network"); at != nil && at.kind == text && first[at.text] == nil {
			d.problem(at, "name one of networks, or define it there", "there is no network %s", gate.Quote(at.text, 64))
		}
	}
}
