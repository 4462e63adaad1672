package policy

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

func scanPolicy(allow ...string) *Policy {
	p := New(Config{Watches: []Watch{{Name: "scan", Ladder: []time.Duration{gate.Day, gate.Week}, Noun: "probe", Scan: true, Hold: 10 * time.Minute}}}, nil)
	var es []AllowEntry
	for _, a := range allow {
		es = append(es, AllowEntry{Prefix: netip.MustParsePrefix(a)})
	}
	p.SetAllow(es, scanTime, gate.Host{})
	return p
}

var scanTime = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

// probes is the finding of probes of these patterns at ports from 20 on.
func probes(from string, t gate.Threshold, patterns ...string) gate.Finding {
	s := gate.AddrSubject(netip.MustParseAddr(from))
	f := gate.Finding{Time: scanTime, Rule: "scan", Subject: s, Evidence: gate.Forgeable, Threshold: t, Origin: gate.Origin{Source: "scan", Offset: 1}}
	for i, p := range patterns {
		proto := gate.TCP
		if strings.HasPrefix(p, "udp") {
			proto = gate.UDP
		}
		f.Proof.Add(gate.Event{Time: scanTime, Rule: "scan", Pattern: p, Subject: s, Detail: gate.Detail{Proto: proto, Port: uint16(20 + i), Via: "192.0.2.1"}})
	}
	return f
}

func TestScanJudged(t *testing.T) {
	none := gate.Threshold{}
	for _, c := range []struct {
		name string
		f    gate.Finding
		want string // verdict, subject, life, whether new connections only, reason
	}{
		{"five ports", probes("198.51.100.7", none, "syn", "syn", "syn", "syn", "syn@ports"),
			"ban 10m new: half-open (SYN) scan of 5 ports (20-24/tcp) at once, which anyone can forge, so only new connections and only 10m"},
		{"several kinds", probes("198.51.100.7", none, "fin", "udp", "fin@ports"),
			"ban 10m new: FIN and UDP scan of 3 ports (20,22/tcp 21/udp) at once, which anyone"},
		{"slowly", probes("198.51.100.7", gate.Threshold{Count: 3, Within: gate.Day}, "connect", "connect", "connect"),
			"ban 10m new: connect scan of 3 ports (20-22/tcp) at once (scan allows 2 in 1d), which anyone"},
		{"its network shares it", probes("198.51.100.7", none, "syn@network"),
			"ban 10m new: half-open (SYN) scan of port 20/tcp, which others of its network share, which anyone"},
		{"a trap", probes("198.51.100.7", none, "syn@trap"),
			"scan.held new: half-open (SYN) scan of port 20/tcp, a trap; held for 10m, which drops new connections; anyone can forge it, so it is not banned"},
		{"a decoy", probes("198.51.100.7", none, "null@decoy"), "scan.held new: NULL scan of port 20/tcp, a decoy; held"},
		{"a lost report", probes("198.51.100.7", none, "packet@lost"), "scan.held new: scan of port 20/tcp; held"},
		{"allowed", probes("192.0.2.9", none, "syn", "syn@ports"),
			"tell new: half-open (SYN) scan of 2 ports (20-21/tcp) at once; it is not banned, because it is allowed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ds, _ := scanPolicy("192.0.2.9/32").Decide([]gate.Finding{c.f}, scanTime, gate.Host{})
			if len(ds) != 1 {
				t.Fatalf("%d decisions: %+v", len(ds), ds)
			}
			got := ds[0].Kind()
			if ds[0].Verdict == gate.Ban {
				got += " " + gate.FormatDuration(ds[0].Life(scanTime))
			}
			if ds[0].Scope.New {
				got += " new"
			}
			if got += ": " + ds[0].Why; !strings.HasPrefix(got, c.want) || ds[0].Offence != 0 {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
}

// TestScanProven: a connection to a decoy climbs the ladder, also of somebody
// who is banned for what can be forged.
func TestScanProven(t *testing.T) {
	p := scanPolicy()
	weak := probes("198.51.100.7", gate.Threshold{}, "syn", "syn@ports")
	if ds, _ := p.Decide([]gate.Finding{weak}, scanTime, gate.Host{}); len(ds) != 1 || !ds[0].Scope.New {
		t.Fatalf("%+v", ds)
	}
	f := probes("198.51.100.7", gate.Threshold{}, "connect@decoy")
	f.Evidence, f.Origin.Offset = gate.Proven, 2
	ds, _ := p.Decide([]gate.Finding{f}, scanTime, gate.Host{})
	if len(ds) != 1 || ds[0].Verdict != gate.Ban || ds[0].Scope.New || ds[0].Life(scanTime) != gate.Day || ds[0].Offence != 1 ||
		!strings.HasPrefix(ds[0].Why, "connection to the decoy on port 20/tcp") {
		t.Errorf("%+v", ds)
	}
}

// TestScanRecordsAreBounded: whoever forges packets cannot fill the ledger.
func TestScanRecordsAreBounded(t *testing.T) {
	p := scanPolicy()
	all, floods := 0, 0
	now := scanTime
	for i := range 5000 {
		a := netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}).String()
		pattern := "syn@ports"
		if i%2 == 0 {
			pattern = "syn@trap"
		}
		f := probes(a, gate.Threshold{}, "syn", pattern)
		f.Origin.Offset = int64(i)
		now = now.Add(time.Millisecond)
		ds, _ := p.Decide([]gate.Finding{f}, now, gate.Host{})
		for _, d := range ds {
			all++
			if d.Kind() == "scan.flood" {
				floods++
			}
		}
	}
	if all > maxScans+maxTold+1 || floods != 1 {
		t.Errorf("%d records, %d of the flood", all, floods)
	}
	f := probes("203.0.113.1", gate.Threshold{}, "syn", "syn@ports")
	if ds, _ := p.Decide([]gate.Finding{f}, now.Add(scansWithin), gate.Host{}); len(ds) == 0 {
		t.Error("nothing is recorded after the flood")
	}
}
