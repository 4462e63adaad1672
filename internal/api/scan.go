package api

import (
	"time"

	"gatehouse/internal/gate"
)

// IsHeld is what Why.Verdict says of somebody who is not banned, and whom the
// kernel holds for a port scan.
const IsHeld = "held"

// Scan is the state of what guards against port scans.
type Scan struct {
	State     string      `json:"state" doc:"armed, off, observing, or what is wrong"`
	Traps     gate.Ports  `json:"traps" doc:"the ports that are traps now"`
	Overruled []Overruled `json:"overruled" doc:"ports that would be traps, but something listens there or did so lately"`
	Held      int         `json:"held" doc:"sources that the kernel holds now; -1 = it does not say"`
	Dropped   Drops       `json:"dropped" doc:"packets of held sources that were dropped"`
	Reports   uint64      `json:"reports" doc:"probes that the kernel reported since the start"`
	Lost      uint64      `json:"lost" doc:"reports that were lost; what they told of is held all the same"`
	FullAt    *time.Time  `json:"full_at" doc:"when a set of the kernel was last full; null = never"`
	Decoys    []Decoy     `json:"decoys" doc:"ports on which the daemon itself listens"`
}

// Overruled is a port that is no trap although the configuration says so.
type Overruled struct {
	Port string `json:"port" doc:"port and protocol"`
	Why  string `json:"why" doc:"what overrules it"`
}

// Decoy is one port on which the daemon itself listens.
type Decoy struct {
	Port string `json:"port" doc:"port and protocol"`
	Open bool   `json:"open" doc:"whether it listens"`
	Why  string `json:"why,omitempty" doc:"why it does not"`
	Hits uint64 `json:"hits" doc:"connections or datagrams since the start"`
	Kept int    `json:"kept" doc:"connections that are kept waiting now"`
}

// Held is how the kernel holds somebody.
type Held struct {
	Source gate.Subject `json:"source" doc:"what is held: an address, or the /64 around it"`
	Until  time.Time    `json:"until" doc:"when it ends by itself"`
	Since  *time.Time   `json:"since,omitempty" doc:"when it was reported; absent = it is not remembered"`
	Why    string       `json:"why" doc:"for what, in a sentence"`
}
