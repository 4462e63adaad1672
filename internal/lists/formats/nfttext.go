package formats

import (
	"slices"
	"strings"

	"gatehouse/internal/gate"
)

// nftText returns the reader of the lines that `nft list` writes without -j, and of
// our own export: the elements of sets of addresses. Rules are not read.
func (r *reading) nftText() func(string) error {
	name, nets, within := "", false, false
	return func(line string) error {
		if !within {
			w := strings.Fields(line)
			switch {
			case line[0] == '#':
				return nil
			case len(w) > 1 && (w[0] == "set" || w[0] == "map"):
				name, nets = w[1], false
				return nil
			case w[0] == "type" || w[0] == "typeof":
				kind := strings.Join(w[1:], " ")
				nets = slices.Contains([]string{"ipv4_addr", "ipv6_addr", "ip saddr", "ip daddr", "ip6 saddr", "ip6 daddr"}, kind)
				return nil
			case strings.Contains(line, "saddr ") && !strings.Contains(line, "saddr @") && (strings.HasSuffix(line, "drop") || strings.Contains(line, "reject")):
				r.fault("%s: rules are read from: nft -j list ruleset", gate.Quote(line, 64))
				return nil
			}
			rest, ok := strings.CutPrefix(strings.ReplaceAll(line, " ", ""), "elements={")
			if !ok {
				return nil
			}
			if rest != "" {
				_, line, _ = strings.Cut(line, "{")
			} else {
				line = ""
			}
			within = true
		}
		text, end := line, false
		for _, item := range cutOutside(text, ',') {
			if before, _, closed := cutAt(item, '}'); closed {
				item, end = before, true
			}
			if item = strings.TrimSpace(item); item == "" || !nets {
				continue
			}
			if err := r.element(name, item); err != nil {
				return err
			}
		}
		within = !end
		return nil
	}
}

// element reads one element of a set: `192.0.2.1 timeout 1h expires 59m comment "x"`.
func (r *reading) element(set, item string) error {
	e, w := Entry{Rule: set}, words(item)
	for i := 1; i+1 < len(w); i += 2 {
		switch w[i] {
		case "timeout", "expires": // what is left stands behind the whole
			if d, err := gate.ParseDuration(w[i+1]); err == nil && d > 0 && d != gate.Forever {
				e.Left = d
			}
		case "comment":
			e.Comment = w[i+1]
		default:
			r.fault("%s: behind the address stands something that cannot be taken over", gate.Quote(item, 64))
			return nil
		}
	}
	if len(w) == 0 {
		return nil
	}
	return r.take(w[0], e)
}

// cutOutside cuts a line at each sep that stands in no quotation marks.
func cutOutside(line string, sep byte) (out []string) {
	for {
		before, after, found := cutAt(line, sep)
		out = append(out, before)
		if !found {
			return out
		}
		line = after
	}
}

// cutAt cuts a line at the first sep that stands in no quotation marks.
func cutAt(line string, sep byte) (before, after string, found bool) {
	quoted := false
	for i := range len(line) {
		switch {
		case line[i] == '"':
			quoted = !quoted
		case line[i] == sep && !quoted:
			return line[:i], line[i+1:], true
		}
	}
	return line, "", false
}
