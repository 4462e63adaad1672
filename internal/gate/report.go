package gate

import "strings"

// Report is what the kernel says about a packet that it reports: the prefix of
// the message (NFLOG). The firewall writes it into its rules, the sensor of port
// scans reads it.
type Report string

// The reports.
const (
	ReportProbe     Report = "gatehouse probe"     // a port, or an address of ours, that the source had not tried before
	ReportTrap      Report = "gatehouse trap"      // the source is held: it tried a trap
	ReportDecoy     Report = "gatehouse decoy"     // the source is held, decoys excepted: it knocks at one
	ReportPorts     Report = "gatehouse ports"     // the source is held: too many different ports
	ReportAddresses Report = "gatehouse addresses" // the source is held: too many different addresses of ours
	ReportNetwork   Report = "gatehouse network"   // the source is held: the addresses around it share a scan
	ReportLive      Report = "gatehouse live"      // the source would be held, had it no live connection
	ReportFull      Report = "gatehouse full"      // a set is full: what should have been noted is not
)

// Holds reports whether the source of the packet is held from now on.
func (r Report) Holds() bool {
	switch r {
	case ReportTrap, ReportDecoy, ReportPorts, ReportAddresses, ReportNetwork:
		return true
	}
	return false
}

// Word returns the report in one word: `probe`, `trap`, ...
func (r Report) Word() string { return strings.TrimPrefix(string(r), "gatehouse ") }

// ProbePattern is the Pattern of an Event about a probe: what kind of packet it
// was (`syn`, `connect`, `fin`, `null`, `xmas`, `ack`, `maimon`, `udp`, ...), and
// behind an @ why its source is held, where it is.
func ProbePattern(kind string, held Report) string {
	if held == "" || held == ReportProbe {
		return kind
	}
	return kind + "@" + held.Word()
}

// ReadProbe takes a ProbePattern apart; held is "" where the source is not held.
func ReadProbe(pattern string) (kind, held string) {
	kind, held, _ = strings.Cut(pattern, "@")
	return kind, held
}
