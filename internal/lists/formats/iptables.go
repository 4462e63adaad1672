package formats

import (
	"fmt"
	"strings"

	"gatehouse/internal/gate"
)

// tables reads what iptables-save writes: the sources of rules that drop or reject.
// A rule that jumps to a chain counts when that chain drops all that comes to it, as
// those do that log first.
type tables struct {
	r     *reading
	drops map[string]bool // chains that drop everything
	later []parked        // rules that jump to a chain of which it is not known yet
}

// parked is an entry that counts if its chain drops.
type parked struct {
	Entry
	line  int
	chain string
}

// maxParked bounds the rules that wait for their chain.
const maxParked = 1 << 20

func newTables(r *reading) *tables { return &tables{r: r, drops: map[string]bool{}} }

// rule is one rule as it stands in the file.
type rule struct {
	chain, source, target, proto, ports, note string
	bare                                      bool   // it has no condition
	odd                                       string // a condition that a ban cannot have; "" = none
}

// line reads one line.
func (t *tables) line(line string) error {
	if !strings.HasPrefix(line, "-A ") && !strings.HasPrefix(line, "[") {
		return nil // tables, policies, comments, COMMIT
	}
	w := words(line)
	if len(w) > 0 && strings.HasPrefix(w[0], "[") { // counters
		w = w[1:]
	}
	if len(w) < 2 || w[0] != "-A" {
		return nil
	}
	u := parseRule(w)
	if u.bare && ends(u.target) && len(t.drops) < maxParked {
		t.drops[u.chain] = true
	}
	if u.source == "" || u.target == "" || t.r.o.Chain != "" && u.chain != t.r.o.Chain || passes(u.target) {
		return nil
	}
	if u.odd != "" {
		t.r.fault("the rule has a condition that a ban cannot have: %s", gate.Quote(u.odd, 64))
		return nil
	}
	e, err := u.entry()
	if err != nil {
		t.r.fault("%v", err)
		return nil
	}
	if ends(u.target) {
		return t.r.add(e)
	}
	if len(t.later) == maxParked {
		t.r.fault("too many rules that jump to other chains")
		return nil
	}
	t.later = append(t.later, parked{e, t.r.line, u.target})
	return nil
}

// end hands over the rules that jump to chains that drop.
func (t *tables) end() error {
	for _, p := range t.later {
		if t.r.line = p.line; t.drops[p.chain] {
			if err := t.r.add(p.Entry); err != nil {
				return err
			}
		}
	}
	return nil
}

// ends reports whether a target drops what comes to it.
func ends(target string) bool { return target == "DROP" || target == "REJECT" || target == "TARPIT" }

// passes reports whether a target of iptables-extensions(8) drops nothing.
func passes(target string) bool {
	switch target {
	case "ACCEPT", "RETURN", "LOG", "NFLOG", "MARK", "CONNMARK", "SET", "NOTRACK", "CT", "DNAT", "SNAT", "MASQUERADE", "REDIRECT", "QUEUE", "NFQUEUE", "TCPMSS", "AUDIT", "TRACE":
		return true
	}
	return false
}

// parseRule reads the words of a rule.
func parseRule(w []string) rule {
	u := rule{chain: w[1], bare: true}
	value := func(i int) string {
		if i+1 < len(w) {
			return w[i+1]
		}
		return ""
	}
	for i := 2; i < len(w); i++ {
		switch w[i] {
		case "-j", "-g", "--jump", "--goto":
			u.target = value(i)
			return u // what follows belongs to the target
		case "-s", "--source":
			u.source, u.bare = value(i), false
		case "-p", "--protocol":
			u.proto, u.bare = value(i), false
		case "--dport", "--dports", "--destination-port", "--destination-ports":
			u.ports, u.bare = strings.ReplaceAll(value(i), ":", "-"), false
		case "--comment":
			u.note = value(i)
		case "-m", "--match":
			switch m := value(i); m {
			case "comment", "tcp", "udp", "multiport":
			case "conntrack", "state":
				u.bare = false
			default:
				u.odd, u.bare = m, false
			}
		case "--ctstate", "--state":
			u.bare = false
		default:
			u.odd, u.bare = strings.TrimSpace(w[i]+" "+value(i)), false
		}
		if i++; i < len(w) && w[i] == "!" {
			u.odd = "!"
		}
	}
	return u
}

// entry returns what a rule shuts out.
func (u rule) entry() (Entry, error) {
	p, err := parsePrefix(u.source)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Prefix: p, Comment: u.note, Rule: chainRule(u.chain)}
	switch {
	case u.ports != "" && u.proto != "":
		if e.Ports, err = gate.ParsePorts(u.ports + "/" + u.proto); err != nil {
			return Entry{}, fmt.Errorf("%s: not ports of tcp or udp", gate.Quote(u.ports+"/"+u.proto, 64))
		}
	case u.proto == "tcp" || u.proto == "udp":
		e.Ports, _ = gate.ParsePorts("1-65535/" + u.proto) // a constant: it parses
	case u.proto != "" && u.proto != "all":
		return Entry{}, fmt.Errorf("a ban of %s alone cannot be taken over", gate.Quote(u.proto, 16))
	}
	return e, nil
}

// chainRule is the name under which the bans of a chain go: that of the jail in the
// chains of fail2ban.
func chainRule(chain string) string {
	for _, prefix := range []string{"f2b-", "fail2ban-"} {
		if name, ok := strings.CutPrefix(chain, prefix); ok {
			return name
		}
	}
	return chain
}
