package migrate

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// PortsentryOptions is what an import of PortSentry needs from outside.
type PortsentryOptions struct {
	File     string                            // of the configuration, for messages
	ReadFile func(name string) ([]byte, error) // reads a file that the configuration names; nil = none is read
}

// Portsentry is an installation of PortSentry in the words of Gatehouse.
type Portsentry struct {
	Text    []byte          // the configuration
	Remarks []Remark        // all that could not be carried over; they stand in Text, too
	Blocked []netip.Prefix  // whom the blocked files name, sorted, without doubles
	Seen    []PortsentryHit // whom the history names: one for each address, by time
	Files   []string        // those that were read
}

// PortsentryHit is one address of the history.
type PortsentryHit struct {
	Addr netip.Addr
	Last time.Time // zero where the line says none that can be read
	Hits int
}

// Bounds of what is read.
const (
	maxPortsentryLines = 1_000_000 // of one file
	maxPortsentryHits  = 100_000   // addresses of the history
)

// portsentryReader collects what a configuration says.
type portsentryReader struct {
	o       PortsentryOptions
	out     *Portsentry
	values  map[string]portsentryValue
	remarks map[string][]Remark // by the section that they stand in
}

// portsentryValue is an option with its place.
type portsentryValue struct {
	text string
	line int
}

// ReadPortsentry reads a portsentry.conf of 1.x or 2.x, and the files that it
// names. What is not understood is a Remark.
func ReadPortsentry(src []byte, o PortsentryOptions) *Portsentry {
	r := &portsentryReader{o: o, out: &Portsentry{}, values: map[string]portsentryValue{}, remarks: map[string][]Remark{}}
	r.options(src)
	allow := r.ignored()
	r.blocked()
	r.history()
	r.write(allow)
	return r.out
}

// remark notes what could not be carried over.
func (r *portsentryReader) remark(section string, line int, text, hint string) {
	x := Remark{Text: text, Hint: hint}
	if line > 0 {
		x.Place = r.o.File + ":" + strconv.Itoa(line)
	}
	r.remarks[section] = append(r.remarks[section], x)
	r.out.Remarks = append(r.out.Remarks, x)
}

// known are the options that are carried over or remarked on elsewhere.
var portsentryOptions = []string{
	"TCP_PORTS", "UDP_PORTS", "ADVANCED_PORTS_TCP", "ADVANCED_PORTS_UDP", "ADVANCED_EXCLUDE_TCP", "ADVANCED_EXCLUDE_UDP",
	"IGNORE_FILE", "HISTORY_FILE", "BLOCKED_FILE", "RESOLVE_HOST", "BLOCK_TCP", "BLOCK_UDP", "KILL_ROUTE", "KILL_HOSTS_DENY",
	"KILL_RUN_CMD", "KILL_RUN_CMD_FIRST", "SCAN_TRIGGER", "PORT_BANNER",
}

// options reads `KEY="value"`, with white space around the sign and with or
// without quotes.
func (r *portsentryReader) options(src []byte) {
	for line, text := range linesOf(src) {
		text = strings.TrimSpace(text)
		if text == "" || text[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(text, "=")
		key = strings.TrimSpace(key)
		if !ok || !slices.Contains(portsentryOptions, key) {
			r.remark("", line, "there is no option "+gate.Quote(key, 48)+" that we know", "")
			continue
		}
		value = strings.TrimSpace(value)
		if n := len(value); n >= 2 && value[0] == '"' {
			if end := strings.IndexByte(value[1:], '"'); end >= 0 {
				value = value[1 : 1+end]
			}
		}
		if old, twice := r.values[key]; twice {
			r.remark("", line, key+" stands in line "+strconv.Itoa(old.line)+", too", "the last one counts here")
		}
		r.values[key] = portsentryValue{value, line}
	}
}

// linesOf walks over lines, numbered from 1; a last line without its end counts.
func linesOf(src []byte) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) {
		sc := bufio.NewScanner(bytes.NewReader(src))
		sc.Buffer(make([]byte, 64<<10), 1<<20)
		for n := 1; sc.Scan() && n <= maxPortsentryLines; n++ {
			if !yield(n, strings.ToValidUTF8(sc.Text(), "\uFFFD")) {
				return
			}
		}
	}
}

// staticIgnore is the end of the name of Debian's ignore file of the operator's.
const staticIgnore = ".static"

// read reads a file that an option names.
func (r *portsentryReader) read(option, name string) ([]byte, bool) {
	if name == "" || r.o.ReadFile == nil {
		return nil, false
	}
	src, err := r.o.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) && option == "IGNORE_FILE" {
		// Debian makes the file anew of this one whenever PortSentry starts.
		if static, staticErr := r.o.ReadFile(name + staticIgnore); staticErr == nil {
			name, src, err = name+staticIgnore, static, nil
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && option == "HISTORY_FILE":
		return nil, false // nobody was seen yet
	case errors.Is(err, fs.ErrNotExist):
		r.remark("", r.values[option].line, option+": there is no file "+gate.Quote(name, 200), "put who is never to be banned under allow")
		return nil, false
	case err != nil:
		r.remark("", r.values[option].line, option+": "+oneLine(err.Error()), "")
		return nil, false
	}
	r.out.Files = append(r.out.Files, name)
	return src, true
}

// ports reads a list of ports of one protocol.
func (r *portsentryReader) ports(option, section string, p gate.Proto) (out gate.Ports) {
	v := r.values[option]
	for item := range strings.SplitSeq(v.text, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		got, err := gate.ParsePorts(item + "/" + p.String())
		if err != nil {
			r.remark(section, v.line, option+": "+err.Error(), "")
			continue
		}
		out = out.Union(got)
	}
	return out
}

// number reads an option that is a whole number; def where it is not there.
func (r *portsentryReader) number(option, section string, def int) int {
	v, ok := r.values[option]
	if !ok || v.text == "" {
		return def
	}
	n, err := strconv.Atoi(v.text)
	if err != nil || n < 0 || n > 65535 {
		r.remark(section, v.line, option+" is not a number: "+gate.Quote(v.text, 32), "")
		return def
	}
	return n
}

// ignored reads the ignore file: who is never blocked.
func (r *portsentryReader) ignored() (allow []string) {
	v := r.values["IGNORE_FILE"]
	src, ok := r.read("IGNORE_FILE", v.text)
	if !ok {
		return nil
	}
	for line, text := range linesOf(src) {
		text, _, _ = strings.Cut(text, "#")
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		place := func(text, hint string) {
			x := Remark{Place: v.text + ":" + strconv.Itoa(line), Text: text, Hint: hint}
			r.remarks["allow"] = append(r.remarks["allow"], x)
			r.out.Remarks = append(r.out.Remarks, x)
		}
		s, err := gate.ParseSubject(withNetmask(text))
		switch {
		case err != nil || !s.IsNet():
			place(gate.Quote(text, 64)+" is neither an address nor a network", "host names may stand under allow, if that is what was meant")
		case s.Prefix().Bits() == 0:
			place(text+" is everybody, and PortSentry itself took it for nobody", "leave it out, or turn scans off: scan: off")
		case s.Prefix().Addr().IsUnspecified():
			// 0.0.0.0 stands in every ignore file and is nobody.
		case s.Prefix().Addr().IsLoopback():
			// Loopback is never banned anyway.
		default:
			if !slices.Contains(allow, s.String()) {
				allow = append(allow, s.String())
			}
		}
	}
	return allow
}

// withNetmask turns 192.0.2.0/255.255.255.0 into 192.0.2.0/24.
func withNetmask(s string) string {
	net, mask, ok := strings.Cut(s, "/")
	m, err := netip.ParseAddr(mask)
	if !ok || err != nil || !m.Is4() {
		return s
	}
	b := m.As4()
	v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	bits := 0
	for ; v&0x80000000 != 0; v <<= 1 {
		bits++
	}
	if v != 0 {
		return s // not a mask of leading ones: an error of its own
	}
	return net + "/" + strconv.Itoa(bits)
}

// blockedModes are the ends of the names of 1.x's blocked files, one a mode.
var blockedModes = []string{"", ".tcp", ".udp", ".stcp", ".sudp", ".atcp", ".audp"}

// blocked reads the blocked files: who is shut out now.
func (r *portsentryReader) blocked() {
	name := r.values["BLOCKED_FILE"].text
	if name == "" || r.o.ReadFile == nil {
		return
	}
	seen := map[netip.Prefix]bool{}
	for _, mode := range blockedModes {
		src, err := r.o.ReadFile(name + mode)
		if err != nil {
			continue // each mode has a file of its own, and only those in use are there
		}
		r.out.Files = append(r.out.Files, name+mode)
		for _, text := range linesOf(src) {
			if a, _, ok := portsentryLine(text); ok {
				seen[netip.PrefixFrom(a, a.BitLen())] = true
			}
		}
	}
	for p := range seen {
		r.out.Blocked = append(r.out.Blocked, p)
	}
	slices.SortFunc(r.out.Blocked, netip.Prefix.Compare)
}

// history reads the history file: who was seen.
func (r *portsentryReader) history() {
	src, ok := r.read("HISTORY_FILE", r.values["HISTORY_FILE"].text)
	if !ok {
		return
	}
	hits := map[netip.Addr]*PortsentryHit{}
	for _, text := range linesOf(src) {
		a, at, ok := portsentryLine(text)
		if !ok {
			continue
		}
		h := hits[a]
		if h == nil {
			if len(hits) == maxPortsentryHits {
				continue
			}
			h = &PortsentryHit{Addr: a}
			hits[a] = h
		}
		h.Hits++
		if at.After(h.Last) {
			h.Last = at
		}
	}
	for _, h := range hits {
		r.out.Seen = append(r.out.Seen, *h)
	}
	slices.SortFunc(r.out.Seen, func(a, b PortsentryHit) int {
		if c := a.Last.Compare(b.Last); c != 0 {
			return c
		}
		return a.Addr.Compare(b.Addr)
	})
}

// portsentryLine reads a line of a blocked or history file. 1.x writes
//
//	1699999999 - 11/14/2023 22:13:19 Host: name/192.0.2.7 Port: 23 TCP Blocked
//
// and 2.x, behind a time or not,
//
//	Scan from: [192.0.2.7] (name) protocol: [TCP] port: [23] type: [SYN] …
//
// 2.x keeps a blocked address also alone on its line. Other lines are no error:
// there are such between them.
func portsentryLine(text string) (a netip.Addr, at time.Time, ok bool) {
	at = timeBefore(text)
	switch {
	case strings.Contains(text, "Host: "):
		_, rest, _ := strings.Cut(text, "Host: ")
		who, _, _ := strings.Cut(rest, " ")
		if i := strings.LastIndexByte(who, '/'); i >= 0 {
			who = who[i+1:]
		}
		text = who
	case strings.Contains(text, "from: ["):
		_, rest, _ := strings.Cut(text, "from: [")
		text, _, _ = strings.Cut(rest, "]")
	}
	a, err := netip.ParseAddr(strings.TrimSpace(text))
	if err != nil {
		return netip.Addr{}, at, false
	}
	a = a.Unmap().WithZone("")
	return a, at, !a.IsUnspecified() && !a.IsLoopback() && !a.IsMulticast()
}

// timeBefore reads the seconds since 1970 that a line of 1.x begins with.
func timeBefore(text string) time.Time {
	first, _, _ := strings.Cut(text, " ")
	n, err := strconv.ParseInt(first, 10, 64)
	if err != nil || n < 1 || n > 1<<33 {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

// write writes the configuration.
func (r *portsentryReader) write(allow []string) {
	var p page
	p.comment("", "Made by gatehouse import portsentry from "+r.o.File+".")
	p.comment("", "What scan: means is in docs/scans.md, with PortSentry's options beside ours.")
	r.section(&p, "", "")
	if len(allow) > 0 {
		p.line("")
		p.comment("", "From "+r.values["IGNORE_FILE"].text+".")
		p.list("", "allow", allow)
	}
	r.section(&p, "", "allow")
	p.line("")
	r.scan(&p)
	r.hook(&p)
	r.out.Text = []byte(p.String())
}

// section adds the remarks of a section.
func (r *portsentryReader) section(p *page, indent, name string) {
	for _, x := range r.remarks[name] {
		p.remark(indent, x)
	}
}

// scan writes the section of the same name.
func (r *portsentryReader) scan(p *page) {
	traps := r.ports("TCP_PORTS", "scan", gate.TCP).Union(r.ports("UDP_PORTS", "scan", gate.UDP))
	exclude := r.ports("ADVANCED_EXCLUDE_TCP", "scan", gate.TCP).Union(r.ports("ADVANCED_EXCLUDE_UDP", "scan", gate.UDP))
	tcp, udp := r.number("ADVANCED_PORTS_TCP", "scan", 0), r.number("ADVANCED_PORTS_UDP", "scan", 0)
	both := traps.Minus(traps.Minus(exclude))
	if !both.IsEmpty() {
		r.remark("scan", r.values["TCP_PORTS"].line, both.String()+" is a trap and excluded, too", "it is excluded here")
		traps = traps.Minus(exclude)
	}
	if tcp != udp && tcp > 0 && udp > 0 {
		r.remark("scan", r.values["ADVANCED_PORTS_UDP"].line, fmt.Sprintf("the limit of the advanced mode is %d for TCP and %d for UDP", tcp, udp), "we have one limit: the lower one")
		tcp = min(tcp, udp)
	}
	blockTCP, blockUDP := r.number("BLOCK_TCP", "scan", 0), r.number("BLOCK_UDP", "scan", 0)
	if blockTCP != 1 && blockUDP != 1 {
		r.remark("scan", r.values["BLOCK_TCP"].line, fmt.Sprintf("BLOCK_TCP %d and BLOCK_UDP %d block nobody", blockTCP, blockUDP),
			"to watch without holding or banning, run gatehouse run --observe: then only decoys give events")
	} else if blockTCP != blockUDP {
		r.remark("scan", r.values["BLOCK_UDP"].line, "TCP and UDP are not blocked alike", "ports of the one that is not blocked are left out of the traps")
	}
	if blockTCP != 1 && blockUDP == 1 {
		traps = only(traps, gate.UDP)
	}
	if blockUDP != 1 && blockTCP == 1 {
		traps = only(traps, gate.TCP)
	}
	if n := r.number("SCAN_TRIGGER", "scan", 0); n > 0 {
		r.remark("scan", r.values["SCAN_TRIGGER"].line, fmt.Sprintf("SCAN_TRIGGER %d lets %d connections pass first, of any age, to any port", n, n),
			"our traps hold at the first packet, and threshold counts different ports within a time")
	}
	if v := r.values["RESOLVE_HOST"]; v.text == "1" {
		r.remark("scan", v.line, "RESOLVE_HOST: names of scanners are not looked up", "whoever is scanned would tell the scanner by it")
	}
	for _, option := range []string{"KILL_ROUTE", "KILL_HOSTS_DENY"} {
		if v := r.values[option]; v.text != "" {
			r.remark("scan", v.line, option+" is not needed: bans and holds are in the kernel's own table", "remove what it left behind: routes with reject, lines in /etc/hosts.deny")
		}
	}
	p.line("scan:")
	r.section(p, "  ", "scan")
	p.list("  ", "traps", portItems(traps))
	if tcp > 0 {
		p.comment("  ", "The advanced mode (atcp, audp); delete the line if it was not in use.")
		p.line("  advanced: %d", tcp)
	}
	if !exclude.IsEmpty() {
		p.list("  ", "exclude", portItems(exclude))
	}
	if v := r.values["PORT_BANNER"]; v.text != "" {
		p.comment("  ", "What decoys say (PORT_BANNER); there are none until decoys: names ports.")
		p.line("  banner: %s", quoted(clean(v.text, 512)))
	}
}

// only returns the ports of one protocol.
func only(p gate.Ports, proto gate.Proto) gate.Ports {
	return gate.PortsOf(slices.DeleteFunc(slices.Clone(p.Ranges()), func(r gate.PortRange) bool { return r.Proto != proto })...)
}

// portItems writes a set as the items of a list: 23/tcp, 8000-8500/udp, 53.
func portItems(p gate.Ports) (items []string) {
	for _, r := range p.Ranges() {
		items = append(items, gate.PortsOf(r).String())
	}
	return items
}

// clean takes out of a text what is no text, and cuts it.
func clean(s string, most int) string {
	s = oneLine(s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}

// hook writes KILL_RUN_CMD as a hook, if it is a command that needs no shell.
func (r *portsentryReader) hook(p *page) {
	v := r.values["KILL_RUN_CMD"]
	words := strings.Fields(v.text)
	if len(words) == 0 {
		return
	}
	p.line("")
	var run []string
	for _, w := range words {
		w = strings.ReplaceAll(w, "$TARGET$", "{subject}")
		w = strings.ReplaceAll(w, "$PORT$", "{ports}")
		w = strings.ReplaceAll(w, "$MODE$", "{rule}")
		run = append(run, w)
	}
	x := Remark{Place: r.o.File + ":" + strconv.Itoa(v.line)}
	switch {
	case !path.IsAbs(words[0]) || strings.ContainsAny(v.text, "|&;<>()`\\\"'*?[]#~%!\n") || strings.Contains(strings.Join(run, " "), "$") || strings.ContainsAny(strings.Join(words, " "), "{}"):
		x.Text = "KILL_RUN_CMD is a command for a shell: " + gate.Quote(clean(v.text, 200), 200)
		x.Hint = "put it into a file and name that: hooks: [{on: scan, run: [/etc/gatehouse/on-scan, \"{subject}\"]}]"
		p.remark("", x)
		r.out.Remarks = append(r.out.Remarks, x)
		return
	}
	if strings.Contains(v.text, "$PORT$") {
		x.Text = "$PORT$ was the port that was tried: {ports} is what a ban closes, which is everything for a scan"
		x.Hint = "the record on standard input names the ports"
		p.remark("", x)
		r.out.Remarks = append(r.out.Remarks, x)
	}
	p.comment("", "From KILL_RUN_CMD. It is run beside the ban and never delays it, so KILL_RUN_CMD_FIRST means nothing.")
	p.line("hooks:")
	p.line("  - on: [scan]")
	p.line("    run: %s", flow(run))
}

// Decisions returns the bans that take the place of the blocked files, each for
// so long, and of who was seen.
func (ps *Portsentry) Decisions(now time.Time, life, forget time.Duration) (ds []gate.Decision) {
	// The origin of a blocked address has no time: imported again, it is known.
	offence := func(a netip.Addr, offset int64, at, until time.Time, why string) gate.Decision {
		s := gate.AddrSubject(a)
		return gate.Decision{
			Time: at, Until: until, Verdict: gate.Ban, Subject: s, Rule: "scan", Offence: 1, Why: why,
			Origin: gate.Origin{Source: "portsentry", Offset: offset},
		}
	}
	blocked := map[netip.Addr]bool{}
	for _, p := range ps.Blocked {
		blocked[p.Addr()] = true
	}
	for _, h := range ps.Seen {
		if at := h.Last; !at.IsZero() && !blocked[h.Addr] && at.Before(now) && (forget == gate.Forever || now.Sub(at) < forget) {
			ds = append(ds, offence(h.Addr, at.Unix(), at, at.Add(time.Second), fmt.Sprintf("PortSentry saw it %d times, the last one then", h.Hits)))
		}
	}
	for _, p := range ps.Blocked {
		until := time.Time{}
		if life != gate.Forever {
			until = now.Add(life)
		}
		ds = append(ds, offence(p.Addr(), 1, now, until, "PortSentry had blocked it"))
	}
	return ds
}
