package main

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"gatehouse/internal/api"
	"gatehouse/internal/config"
	"gatehouse/internal/gate"
	"gatehouse/internal/host"
)

// addScan adds what guards against port scans to the table of status.
func addScan(t *table, e *env, st *api.Scan) {
	if st == nil {
		return
	}
	line := st.State
	if st.State == "armed" {
		line += ", traps on " + orNoPort(shortPorts(st.Traps))
		if st.Held >= 0 {
			line += ", " + counted(st.Held, "source") + " held"
		}
		line += ", " + counted(st.Reports, "probe") + " reported"
		if st.Lost > 0 {
			line += ", " + counted(st.Lost, "report") + " lost"
		}
	}
	t.add("port scans", line)
	for _, o := range st.Overruled {
		t.add("no trap", o.Port+": "+o.Why)
	}
	for _, d := range st.Decoys {
		state := "open"
		if !d.Open {
			state = "closed: " + d.Why
		}
		state += ", " + counted(d.Hits, "visit")
		if d.Kept > 0 {
			state += ", " + grouped(d.Kept) + " kept waiting"
		}
		t.add("decoy", d.Port+" "+state)
	}
}

// shortPorts writes ports, or how many they are where they are many.
func shortPorts(p gate.Ports) string {
	if s := p.String(); len(s) <= 60 {
		return s
	}
	return counted(p.Len(), "port")
}

func orNoPort(s string) string {
	if s == "" {
		return "no port"
	}
	return s
}

// writeHeld tells of a hold in a story.
func (e *env) writeHeld(h *api.Held) {
	if h == nil {
		return
	}
	var t table
	t.add("  held", h.Source.String())
	if h.Since != nil {
		t.add("  since", clock(*h.Since)+" ("+e.ago(h.Since)+")")
	}
	t.add("  until", clock(h.Until)+" ("+e.ends(&h.Until)+")")
	t.add("  for", harmless(h.Why))
	fmt.Fprintln(e.out)
	width := e.width
	e.width = 0
	_ = e.columns(t)
	e.width = width
	fmt.Fprintf(e.out, "\nlet it go with: gatehouse unban %s\n", h.Source)
}

// scanNotes says what check finds out about the traps of a configuration on this
// machine: ports that something listens on.
func scanNotes(c *config.Config) (notes []string) {
	if c == nil || c.Scan.Off {
		return nil
	}
	used := map[string]bool{}
	for _, l := range host.Listeners() {
		one := gate.PortsOf(gate.PortRange{Proto: l.Proto, Lo: l.Port, Hi: l.Port})
		if l.Addr.IsLoopback() || used[one.String()] {
			continue
		}
		used[one.String()] = true
		at := net.JoinHostPort(l.Addr.String(), strconv.Itoa(int(l.Port)))
		if c.Scan.Traps.Contains(l.Proto, l.Port) {
			notes = append(notes, fmt.Sprintf("trap %s: something listens there (%s); it wins, and the port is no trap as long as it does", one, at))
		}
	}
	return notes
}

// writeScanNotes writes them.
func (e *env) writeScanNotes(c *config.Config) {
	for _, n := range scanNotes(c) {
		fmt.Fprintln(e.out, harmless("note: "+n))
	}
}

// kinds are words for --kind of log, besides topics.
func checkKind(kind string) error {
	if kind == "" {
		return nil
	}
	part, rest, dotted := strings.Cut(kind, ".")
	if !gate.IsName(part) || dotted && !gate.IsName(rest) {
		return fmt.Errorf("--kind %s: write a verdict (ban, release, …), a part (scan, port, list) or a topic (scan.held)", gate.Quote(kind, 32))
	}
	return nil
}
