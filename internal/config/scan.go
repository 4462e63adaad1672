package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// Scan is the section of the same name: what happens about port scans.
type Scan struct {
	// Off says that the section is the word off; the defaults of the rest mean
	// nothing then.
	Off bool `word:"off"`
	// Traps are ports of which one probe is enough.
	Traps gate.Ports `key:"traps" default:"[23/tcp, 3389/tcp]" example:"[23/tcp, 445/tcp, 3389/tcp]" doc:"Ports on which nobody has any business here: one packet to one of them holds its sender at once. A service that listens on such a port wins: then it is no trap. Without /tcp or /udp both are meant."`
	// Threshold is how many different ports are too many; within is at most a day.
	Threshold Distinct `key:"threshold" default:"5 distinct ports in 1m" check:"distinct" doc:"How many different closed ports within how long hold a sender: 5 distinct ports in 1m holds at the fifth. So many different addresses of this machine do the same. Trying a port again never counts twice. At most 64 ports."`
	// Shared is the same for a network; a zero value never counts.
	Shared Distinct `key:"shared" default:"10 distinct ports in 1m" check:"distinct" doc:"The same for an IPv4 /24 or IPv6 /48 as a whole, for scans that many hosts share: once it has tried so many different ports, each further sender in it is held at its first probe, and nobody else of it. It counts within the time of threshold."`
	// Slow is counted by the daemon, not by the kernel.
	Slow Distinct `key:"slow" default:"10 distinct ports in 1d" check:"distinct" doc:"How many different ports within how long are a scan, however slowly it goes. A port counts in full for that time and fades afterwards."`
	// Hold is 10 s to 1 h.
	Hold time.Duration `key:"hold" default:"10m" check:"hold" doc:"How long the kernel drops the new connections of a sender that it holds, 10s to 1h. Its live connections go on: what anybody can forge must not cut them. A hold is not a ban and leaves no trace when it is over, save for the record in the log."`
	// Ban is a ladder.
	Ban []time.Duration `key:"ban" default:"[1d, 1w, 30d]" check:"ladder" doc:"How long a sender is banned that gave proof: it finished a connection to a decoy, which cannot be forged. The first time, the second time, and so on; the last step repeats."`
	// Advanced is 0 for none.
	Advanced int `key:"advanced" default:"0" min:"0" max:"65535" example:"1024" doc:"Makes a trap of every port up to this one on which nothing listens, and has not for ten minutes. What starts to listen is no trap from then on. Ports of connections that this machine itself opens are never among them. 0 is none."`
	// Exclude are ports that never count.
	Exclude gate.Ports `key:"exclude" default:"[]" example:"[113/tcp, 137-138/udp]" doc:"Ports that never count and are never traps: those that friendly machines try by themselves."`
	// Decoys are ports to listen on.
	Decoys gate.Ports `key:"decoys" default:"[]" example:"[2323/tcp, 5900/tcp]" doc:"Ports on which Gatehouse itself listens, serves nothing, and keeps whoever connects waiting. A finished connection proves who it is, and leads to a ban. Who is held can still reach them. At most 64."`
	// Banner is empty for what suits each port.
	Banner string `key:"banner" example:"Welcome" doc:"What every TCP decoy says first. Default: what suits the port, such as login: on 23. Nothing is ever sent over UDP."`
	// Tarpit is at most 10 m; 0 closes at once.
	Tarpit time.Duration `key:"tarpit" default:"1m" check:"tarpit" doc:"How long a decoy keeps a connection, 0s to 10m. At most 1024 are kept at once, 4 of one address."`
	// Settle is gate.Forever where stray packets never count.
	Settle time.Duration `key:"settle" default:"10m" doc:"How long after the start TCP packets outside any connection (ACK, FIN with ACK: the scans that few tools notice) do not count, because a restart makes honest peers send such. forever never counts them."`
	// Group is a group of NFLOG.
	Group int `key:"group" default:"18248" min:"1" max:"65535" doc:"Number under which the kernel reports probes to the daemon (NFLOG group). Change it where another program uses the same."`
}

// Distinct is how many different ports within how long: `5 distinct ports in
// 1m`, or in short `5 in 1m`. The zero value never fires.
type Distinct gate.Threshold

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Distinct) UnmarshalText(b []byte) error {
	s := string(b)
	short := strings.Replace(strings.Replace(s, " distinct ports in ", " in ", 1), " ports in ", " in ", 1)
	t, err := gate.ParseThreshold(short)
	if err != nil {
		return fmt.Errorf("%s is not a number of ports: write 5 distinct ports in 1m", gate.Quote(s, 48))
	}
	*d = Distinct(t)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (d Distinct) MarshalText() ([]byte, error) {
	if d == (Distinct{}) {
		return nil, nil
	}
	return []byte(strconv.Itoa(d.Count) + " distinct ports in " + gate.FormatDuration(d.Within)), nil
}

const distinctPattern = `^[0-9]+( distinct)?( ports)? in (forever|([0-9]+(w|d|h|ms|m|s))+)$`

// Bounds of the section.
const (
	maxDistinct = 64 // as the firewall has it
	maxWithin   = 30 * gate.Day
	maxDecoys   = 64
	minHold     = 10 * time.Second
	maxHold     = time.Hour
	maxTarpit   = 10 * time.Minute
)

// distinct wants a number of ports that can be counted.
func distinct(v reflect.Value) error {
	d := v.Interface().(Distinct)
	if d.Count < 2 || d.Count > maxDistinct {
		return wrong(strconv.Itoa(d.Count)+" different ports cannot be counted", "write 2 to "+itoa(maxDistinct)+"; for a single port there are traps")
	}
	if d.Within < time.Second || d.Within > maxWithin {
		return wrong(gate.FormatDuration(d.Within)+" is no time to count ports in", "write 1s to 30d")
	}
	return nil
}

// hold wants a time that is short, and not too short to matter.
func hold(v reflect.Value) error {
	if d := time.Duration(v.Int()); d < minHold || d > maxHold {
		return wrong("a hold of "+gate.FormatDuration(d), "write 10s to 1h: who is held may be innocent, for packets can be forged; proof leads to the longer times of ban")
	}
	return nil
}

// tarpit wants a time for which a connection may be kept.
func tarpit(v reflect.Value) error {
	if d := time.Duration(v.Int()); d > maxTarpit {
		return wrong("a connection kept for "+gate.FormatDuration(d), "write 0s to 10m")
	}
	return nil
}

// check holds what spans several keys, and items of lists of ports that overlap.
func (s *Scan) check(d *decoder, n *node) {
	for _, key := range []string{"traps", "exclude", "decoys"} {
		if list := n.get(key); list != nil {
			overlapping(d, list)
		}
	}
	both := func(a, b string, p, q gate.Ports, hint string) {
		if at := n.get(a); at != nil && n.get(b) != nil {
			if common := p.Minus(p.Minus(q)); !common.IsEmpty() {
				d.problem(at, hint, "%s is in %s and in %s", common, a, b)
			}
		}
	}
	both("decoys", "traps", s.Decoys, s.Traps, "keep it in one of them: a trap drops what a decoy answers; a decoy holds its visitor just as well")
	both("exclude", "traps", s.Exclude, s.Traps, "keep it in one of them: what is excluded never counts")
	both("exclude", "decoys", s.Exclude, s.Decoys, "keep it in one of them: what is excluded never counts")
	if at := n.get("decoys"); at != nil && s.Decoys.Len() > maxDecoys {
		d.problem(at, "choose at most "+itoa(maxDecoys)+"; without /tcp or /udp a port counts twice", "%d decoys", s.Decoys.Len())
	}
	if at := n.get("shared"); at != nil && s.Shared.Count > 0 && s.Threshold.Count > 0 && s.Shared.Within != s.Threshold.Within {
		d.problem(at, "write "+itoa(s.Shared.Count)+" distinct ports in "+gate.FormatDuration(s.Threshold.Within), "shared counts within the time of threshold")
	}
	if at := n.get("shared"); at != nil && s.Shared.Count > 0 && s.Shared.Count < s.Threshold.Count {
		d.problem(at, "raise shared to "+itoa(s.Threshold.Count)+" or more, or lower threshold", "a network may try fewer ports than a single sender")
	}
}

// overlapping reports items of a list of ports that others cover in part.
func overlapping(d *decoder, n *node) {
	var before []gate.Ports
	var texts []string
	for _, item := range n.items {
		p, err := gate.ParsePorts(strings.Fields(item.text)...)
		if item.kind != text || err != nil {
			continue // was reported
		}
		for i, o := range before {
			if common := p.Minus(p.Minus(o)); !common.IsEmpty() {
				d.problem(item, "write each port once", "%s overlaps %s: both have %s", gate.Quote(item.text, 32), gate.Quote(texts[i], 32), common)
				break
			}
		}
		before, texts = append(before, p), append(texts, item.text)
	}
}
