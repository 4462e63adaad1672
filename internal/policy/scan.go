package policy

import (
	"slices"
	"strconv"
	"time"

	"gatehouse/internal/gate"
)

// Findings of a watch with Scan are port scans. What anyone can forge of it
// leads at most to a ban of new connections for Watch.Hold, which is how long
// the kernel holds the source anyway; one packet at a trap leads to none. A
// finished connection to a decoy is proven and judged like anything else.

// scans bounds how many bans forged packets may lead to.
type scans struct {
	since  time.Time
	n      int
	toldAt time.Time
}

// The bounds of scans: who is held beyond them is held all the same, and only
// not recorded.
const (
	maxScans    = 256
	scansWithin = 10 * time.Minute
)

// may reports whether another forgeable ban may be recorded.
func (s *scans) may(now time.Time) bool {
	if age := now.Sub(s.since); age < 0 || age >= scansWithin {
		s.since, s.n = now, 0
	}
	s.n++
	return s.n <= maxScans
}

// life is how long a ban on forgeable evidence lasts.
func (w *Watch) life() time.Duration {
	if w.Scan && w.Hold > 0 {
		return w.Hold
	}
	return min(w.step(1), maxForgeable)
}

// probed decides about a forgeable finding of a scan where no ban follows from
// it; false where one does.
func (p *Policy) probed(ds []gate.Decision, f *gate.Finding, t target, w *Watch, now time.Time) ([]gate.Decision, bool) {
	if _, held := gate.ReadProbe(lastOf(f).Pattern); held == "trap" || held == "decoy" || held == "lost" {
		if !p.told.may(keyOf(t.subject.Prefix()), now) {
			return ds, true
		}
		proof := f.Proof
		return append(ds, gate.Decision{
			Time: now, Verdict: gate.Tell, Topic: f.Rule + ".held", Subject: t.subject, Scope: gate.Scope{New: true},
			Rule: f.Rule, Origin: f.Origin, Proof: &proof,
			Why: scanned(f) + "; held for " + short(w.life()) + ", which drops new connections; anyone can forge it, so it is not banned",
		}), true
	}
	if p.scans.may(now) {
		return ds, false
	}
	if age := now.Sub(p.scans.toldAt); age >= 0 && age < tellEvery {
		return ds, true
	}
	p.scans.toldAt = now
	return append(ds, gate.Decision{
		Time: now, Verdict: gate.Tell, Topic: f.Rule + ".flood", Rule: f.Rule, Origin: f.Origin,
		Why: "more than " + strconv.Itoa(maxScans) + " addresses were held for port scans within " + short(scansWithin) +
			": most of them are forged; they are held, and no longer recorded one by one",
	}), true
}

// lastOf returns the newest event of a finding.
func lastOf(f *gate.Finding) *gate.Event {
	if n := len(f.Proof.Last); n > 0 {
		return &f.Proof.Last[n-1]
	}
	if n := len(f.Proof.First); n > 0 {
		return &f.Proof.First[n-1]
	}
	return &gate.Event{}
}

// kindsOfScan are the kinds of probe by the names that scanners give them.
var kindsOfScan = map[string]string{
	"connect": "connect", "syn": "half-open (SYN)", "fin": "FIN", "null": "NULL", "xmas": "Xmas", "ack": "ACK or window",
	"maimon": "Maimon (FIN and ACK)", "udp": "UDP", "odd": "odd flags", "packet": "",
}

// scanned says what a finding of a scan saw: `half-open (SYN) scan of 5 ports
// (21-25/tcp) in 3s`.
func scanned(f *gate.Finding) string { return string(appendScan(nil, f)) }

func appendScan(b []byte, f *gate.Finding) []byte {
	var kinds []string
	var ranges []gate.PortRange
	targets := map[string]bool{}
	for _, list := range [][]gate.Event{f.Proof.First, f.Proof.Last} {
		for i := range list {
			e := &list[i]
			kind, _ := gate.ReadProbe(e.Pattern)
			if name := kindsOfScan[kind]; name != "" && !slices.Contains(kinds, name) {
				kinds = append(kinds, name)
			}
			if e.Detail.Port != 0 {
				ranges = append(ranges, gate.PortRange{Proto: e.Detail.Proto, Lo: e.Detail.Port, Hi: e.Detail.Port})
			}
			if e.Detail.Via != "" {
				targets[e.Detail.Via] = true
			}
		}
	}
	last := lastOf(f)
	_, held := gate.ReadProbe(last.Pattern)
	if f.Evidence == gate.Proven {
		b = append(b, "connection to the decoy on port "...)
		b = append(b, ports(gate.PortsOf(gate.PortRange{Proto: last.Detail.Proto, Lo: last.Detail.Port, Hi: last.Detail.Port}))...)
		if f.Proof.Count < 2 {
			return b
		}
		b = append(b, ", after a "...)
	}
	for i, k := range kinds {
		if i > 0 {
			b = append(b, " and "...)
		}
		b = append(b, k...)
	}
	if len(kinds) > 0 {
		b = append(b, ' ')
	}
	b = append(b, "scan"...)
	if all := gate.PortsOf(ranges...); !all.IsEmpty() {
		n := all.Len()
		b = append(b, " of "...)
		if n == 1 {
			b = append(append(b, "port "...), ports(all)...)
		} else {
			b = append(appendCount(b, n, "port"), " ("...)
			b = append(append(b, ports(all)...), ')')
		}
	}
	if len(targets) > 1 {
		b = append(b, " at "...)
		b = append(strconv.AppendInt(b, int64(len(targets)), 10), " addresses of this machine"...)
	}
	b = appendSpan(b, f)
	switch held {
	case "trap":
		b = append(b, ", a trap"...)
	case "decoy":
		if f.Evidence != gate.Proven {
			b = append(b, ", a decoy"...)
		}
	case "network":
		b = append(b, ", which others of its network share"...)
	}
	if t := f.Threshold; t != (gate.Threshold{}) {
		b = append(b, " ("...)
		b = append(append(b, f.Rule...), " allows "...)
		b = strconv.AppendInt(b, int64(t.Count-1), 10)
		b = append(append(b, " in "...), short(t.Within)...)
		b = append(b, ')')
	}
	return b
}
