package migrate

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// BlockportOptions is what an import of port scripts needs from outside.
type BlockportOptions struct {
	File string // for messages
	// Next returns when a time of crontab comes next.
	Next func(cron string, after time.Time) (time.Time, error)
	// From is the time from which on pairs are compared; a beginning of a year.
	From time.Time
}

// Blockport is what port scripts, their crontab and a map of services say, in the
// words of Gatehouse.
type Blockport struct {
	Text     []byte   // the sections services and ports
	Commands []string // what a command has to say, because no section does
	Remarks  []Remark // what could not be carried over; they stand in Text, too
	Services int
	Pairs    int // entries of crontab that became a schedule
}

// Bounds of what is read.
const (
	maxBlockportLines    = 10_000
	maxBlockportSchedule = 200
)

// portCall is one call of a script: block or unblock ports in a direction.
type portCall struct {
	block     bool
	direction gate.Direction
	ports     gate.Ports
	cron      string // "" = when the script runs
	line      int
}

type portEntry struct {
	name  string
	ports gate.Ports
}

// ReadBlockport reads a script or a crontab with calls such as `blockport -bi
// 80,443` and `-uo 8000-8500`, and maps of services such as `ssh=22`. What is not
// understood is a Remark.
func ReadBlockport(src []byte, o BlockportOptions) *Blockport {
	out := &Blockport{}
	var calls []portCall
	var services []portEntry
	remark := func(line int, text, hint string) {
		out.Remarks = append(out.Remarks, Remark{Place: o.File + ":" + strconv.Itoa(line), Text: text, Hint: hint})
	}
	number := 0
	for line := range strings.Lines(string(src)) {
		if number++; number > maxBlockportLines {
			remark(number, "the file is longer than "+strconv.Itoa(maxBlockportLines)+" lines", "cut it into parts")
			break
		}
		text, _, _ := strings.Cut(strings.TrimSpace(line), " #")
		if text == "" || text[0] == '#' {
			continue
		}
		found, understood, err := portCalls(text)
		switch {
		case err != nil:
			remark(number, "ports that are not understood: "+err.Error(), "write it by hand")
		case understood && len(found) == 0:
			remark(number, "a call that closes and opens nothing: "+gate.Quote(text, 80), "")
		}
		for _, c := range found {
			c.line = number
			calls = append(calls, c)
		}
		if understood || err != nil {
			continue
		}
		services = append(services, servicesIn(text)...)
	}
	out.pair(calls, services, o, remark)
	return out
}

// portCalls reads the calls in one line: of crontab, if it begins with a time.
func portCalls(line string) (calls []portCall, understood bool, err error) {
	words := strings.Fields(line)
	cron := ""
	switch {
	case strings.HasPrefix(line, "@") && len(words) > 1:
		cron, words = words[0], words[1:]
	case len(words) > 5 && isCronField(words[0]) && isCronField(words[1]) && isCronField(words[2]) && isCronField(words[3]) && isCronField(words[4]):
		cron, words = strings.Join(words[:5], " "), words[5:]
	}
	if cron == "@reboot" {
		cron = ""
	}
	for i := 0; i < len(words); i++ {
		w := words[i]
		if len(w) < 2 || w[0] != '-' || !strings.Contains(w[1:], "b") && !strings.Contains(w[1:], "u") || strings.Trim(w[1:], "buio") != "" {
			continue
		}
		understood = true
		var list []string
		for i+1 < len(words) && words[i+1] != "" && '0' <= words[i+1][0] && words[i+1][0] <= '9' {
			i++
			list = append(list, strings.ReplaceAll(strings.TrimRight(words[i], ";&|"), ":", "-"))
		}
		if len(list) == 0 {
			continue
		}
		set, err := gate.ParsePorts(list...)
		if err != nil {
			return nil, understood, err
		}
		for _, d := range []struct {
			letter string
			is     gate.Direction
		}{{"i", gate.In}, {"o", gate.Out}} {
			if strings.Contains(w, d.letter) || !strings.ContainsAny(w, "io") {
				calls = append(calls, portCall{block: strings.Contains(w, "b"), direction: d.is, ports: set, cron: cron})
			}
		}
	}
	return calls, understood, nil
}

// isCronField reports whether a word may be a field of crontab.
func isCronField(s string) bool {
	if s == "" || s[0] != '*' && (s[0] < '0' || s[0] > '9') {
		// names of months and days
		return len(s) >= 3 && strings.Contains(" jan feb mar apr may jun jul aug sep oct nov dec sun mon tue wed thu fri sat ", " "+strings.ToLower(s[:3])+" ")
	}
	return strings.Trim(strings.ToLower(s), "0123456789*,-/abcdefghijklmnopqrstuvwxyz") == ""
}

// servicesIn reads maps of services: `ssh=22`, `ssh: 22/tcp`, `["ssh"]="22"`,
// `ssh 22 tcp`.
func servicesIn(line string) (out []portEntry) {
	for _, cut := range []string{"declare -A ", "declare -a ", "local ", "readonly ", "export "} {
		line = strings.TrimPrefix(line, cut)
	}
	clean := strings.NewReplacer("\"", " ", "'", " ", "[", " ", "]", " ", "(", " ", ")", " ", "{", " ", "}", " ", "=", " = ", ":", " : ", ";", " ", "$", " ").Replace(line)
	w := strings.Fields(clean)
	for i := 0; i+1 < len(w); i++ {
		name := w[i]
		k := i + 1
		if w[k] == "=" || w[k] == ":" {
			k++
		}
		if k >= len(w) || !gate.IsName(name) || '0' <= name[0] && name[0] <= '9' {
			continue
		}
		value := strings.TrimRight(w[k], ",")
		if k+1 < len(w) && (strings.EqualFold(w[k+1], "tcp") || strings.EqualFold(w[k+1], "udp")) && !strings.Contains(value, "/") {
			value += "/" + strings.ToLower(w[k+1])
		}
		set, err := gate.ParsePorts(value)
		if err != nil || (k == i+1 && len(w) > 3) {
			continue
		}
		out = append(out, portEntry{name, set})
		i = k
	}
	return out
}

// pair finds for each time at which ports are closed the time at which they open
// again, and writes what follows.
func (b *Blockport) pair(calls []portCall, services []portEntry, o BlockportOptions, remark func(int, string, string)) {
	type schedule struct {
		portCall
		long time.Duration
		line int
	}
	var list []schedule
	used := make([]bool, len(calls))
	for i, c := range calls {
		if !c.block || c.cron == "" || len(list) == maxBlockportSchedule {
			continue
		}
		best, long := -1, time.Duration(0)
		for k, u := range calls {
			if used[k] || u.block || u.cron == "" || u.direction != c.direction || !u.ports.Equal(c.ports) {
				continue
			}
			d, err := apart(c.cron, u.cron, o)
			if err == nil && (best < 0 || d < long) {
				best, long = k, d
			}
		}
		if best < 0 {
			continue
		}
		used[i], used[best] = true, true
		list = append(list, schedule{c, long, c.line})
	}
	var standing []portCall
	for i, c := range calls {
		switch {
		case used[i]:
		case c.cron != "":
			what, other := "opens", "closes"
			if c.block {
				what, other = "closes", "opens"
			}
			remark(c.line, "the entry of crontab that "+what+" "+c.ports.String()+" "+c.direction.String()+" at "+c.cron+" has no other that "+other+" them always as long after it",
				"write an entry of ports: schedule with how long it is to last")
		case c.block:
			standing = append(standing, c)
		default: // what a script opens by itself takes a standing closing back
			standing = slices.DeleteFunc(standing, func(s portCall) bool { return s.direction == c.direction && s.ports.Minus(c.ports).IsEmpty() })
		}
	}
	var p page
	p.line("# From %s.", oneLine(o.File))
	for _, r := range b.Remarks {
		p.remark("", r)
	}
	names := map[string]gate.Ports{}
	for _, s := range services {
		if old, ok := names[s.name]; ok {
			names[s.name] = old.Union(s.ports)
		} else {
			names[s.name] = s.ports
		}
	}
	closed := map[string]bool{}
	for _, s := range standing {
		if s.direction == gate.Out {
			b.Commands = append(b.Commands, "gatehouse port close --out "+s.ports.String())
			continue
		}
		found := false
		for n, set := range names {
			if set.Minus(s.ports).IsEmpty() {
				closed[n], found = true, true
			}
		}
		if !found {
			n := "blocked-" + strings.Map(func(r rune) rune {
				if r >= '0' && r <= '9' {
					return r
				}
				return '-'
			}, s.ports.String())
			if n = strings.Trim(n, "-"); len(n) > 60 {
				n = fmt.Sprintf("blocked-%d", s.line)
			}
			names[n], closed[n] = s.ports, true
		}
	}
	if len(names) > 0 {
		p.line("services:")
	}
	for _, n := range slices.Sorted(func(yield func(string) bool) {
		for n := range names {
			if !yield(n) {
				return
			}
		}
	}) {
		rest := "open"
		if closed[n] {
			rest = "closed"
		}
		p.line("  %s: {ports: %q, rest: %s}", n, names[n].String(), rest)
	}
	b.Services = len(names)
	if len(list) > 0 {
		p.line("ports:")
		p.line("  schedule:")
	}
	slices.SortStableFunc(list, func(a, b schedule) int { return cmp.Compare(a.line, b.line) })
	for _, s := range list {
		p.line("    - {close: %q, direction: %s, from: %q, for: %s}", s.ports.String(), s.direction, s.cron, gate.FormatDuration(s.long))
	}
	for _, c := range b.Commands {
		p.comment("", "Once, by command: "+c)
	}
	b.Pairs = len(list)
	b.Text = []byte(p.String())
}

// comparedPairs is how many times a pair is followed: more than a year of days.
const comparedPairs = 400

// apart returns how long after each closing the opening comes, if it is always
// as long.
func apart(block, unblock string, o BlockportOptions) (time.Duration, error) {
	var long time.Duration
	t := o.From
	for n := range comparedPairs {
		begin, err := o.Next(block, t)
		if err != nil {
			return 0, err
		}
		end, err := o.Next(unblock, begin)
		if err != nil {
			return 0, err
		}
		if begin.IsZero() || end.IsZero() {
			break
		}
		again, err := o.Next(block, begin)
		if err != nil {
			return 0, err
		}
		d := end.Sub(begin)
		if n > 0 && d != long || !again.IsZero() && again.Before(end) {
			return 0, fmt.Errorf("not always as long")
		}
		long, t = d, begin
	}
	if long <= 0 {
		return 0, fmt.Errorf("never")
	}
	return long, nil
}
