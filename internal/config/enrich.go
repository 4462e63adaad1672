package config

import (
	"time"

	"gatehouse/internal/gate"
)

// Enrich is the section of the same name.
type Enrich struct {
	// Lookups is asked, told or off.
	Lookups   string         `key:"lookups" default:"asked" enum:"asked told off" doc:"When name servers and registries are asked who is behind an address. asked: when you do (gatehouse whois), or a report needs to know whom to write to. told: also for each address that is banned, in the background, so that messages say who it was. off: never."`
	Databases []string       `key:"databases" default:"[/var/lib/GeoIP, /usr/share/GeoIP, /usr/local/share/GeoIP]" check:"path" doc:"Databases of MaxMind's format (.mmdb) that know countries and networks, or folders with such. They are used whatever lookups says, for nobody is asked. What is not there is passed over."`
	Keep      time.Duration  `key:"keep" default:"7d" check:"positive" doc:"How long the answer of a registry is good."`
	Limit     gate.Threshold `key:"limit" default:"60 in 1h" doc:"With lookups: told, most look-ups within a time; who is banned beyond is told without. What you ask for yourself does not count."`
	Bootstrap string         `key:"bootstrap" default:"https://data.iana.org/rdap" check:"webaddress" doc:"Where the lists of RDAP servers are (RFC 9224). At an address of your own network, the servers that it names may be there as well; otherwise only public addresses are ever connected to."`
	Whois     string         `key:"whois" default:"whois.iana.org" check:"server" doc:"The whois server to begin with, where RDAP does not help: HOST or HOST:PORT."`
}

// check holds what spans several keys.
func (e *Enrich) check(d *decoder, n *node) {
	if v := n.get("limit"); v != nil && e.Limit.Within == gate.Forever {
		d.problem(v, "write limit: 60 in 1h", "a limit without an end would stop all look-ups for good")
	}
}
