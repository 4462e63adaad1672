package formats

import (
	"encoding/csv"
	"net/netip"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// plain reads a line with one address, prefix or range, as most lists have them.
func (r *reading) plain(line string) error {
	if p, err := netip.ParsePrefix(line); err == nil && p.Addr().Is4() { // most lines of most lists
		return r.add(Entry{Prefix: p.Masked()})
	}
	if a, err := netip.ParseAddr(line); err == nil && a.Is4() {
		return r.add(Entry{Prefix: netip.PrefixFrom(a, 32)})
	}
	body, note := comment(line)
	if body == "" {
		return nil
	}
	if strings.HasPrefix(body, "fail2ban-client ") { // our own export
		return r.banip(strings.Fields(body))
	}
	if nets, ok := denied(body); ok {
		for _, n := range nets {
			if err := r.take(n, Entry{Comment: note}); err != nil {
				return err
			}
		}
		return nil
	}
	e := Entry{Comment: note}
	if cell, rest, ok := strings.Cut(body, ","); ok {
		body = strings.Trim(strings.TrimSpace(cell), `"'`)
		e.Rule = strings.Trim(strings.TrimSpace(rest), `"'`) // dropped by add if it is no name
	}
	words := strings.Fields(body)
	if len(words) == 0 {
		r.fault("there is no address before the comma")
		return nil
	}
	if len(words) == 1 || strings.Contains(body, "-") {
		return r.take(body, e)
	}
	return r.columns(words, e)
}

// denied returns whom a line of the configuration of nginx or Apache shuts out; false
// if it is none.
func denied(body string) ([]string, bool) {
	w := strings.Fields(body)
	for _, directive := range [][]string{{"deny", "from"}, {"deny"}, {"require", "not", "ip"}} {
		if len(w) > len(directive) && slices.EqualFunc(w[:len(directive)], directive, strings.EqualFold) {
			return w[len(directive):], true
		}
	}
	return nil, false
}

// take reads the text of one network.
func (r *reading) take(text string, e Entry) error {
	ps, err := parseNet(text)
	if err != nil {
		r.fault("%v", err)
		return nil
	}
	return r.addAll(ps, e)
}

// columns reads a line of several words: first and last address of a range and
// more, as DShield writes them, or an address and numbers.
func (r *reading) columns(words []string, e Entry) error {
	from, err1 := parseAddr(words[0])
	to, err2 := parseAddr(words[1])
	if err1 == nil && err2 == nil {
		ps, err := span(words[0]+"-"+words[1], from, to)
		if err != nil {
			r.fault("%v", err)
			return nil
		}
		return r.addAll(ps, e)
	}
	if slices.ContainsFunc(words[1:], func(w string) bool { return strings.Trim(w, "0123456789.") != "" }) {
		r.fault("%s: behind the address stands something that is no comment", gate.Quote(strings.Join(words, " "), 64))
		return nil
	}
	return r.take(words[0], e)
}

// banip reads a command that bans in a jail of fail2ban.
func (r *reading) banip(words []string) error {
	if len(words) < 5 || words[1] != "set" || words[3] != "banip" {
		r.fault("%s: not a command that bans", gate.Quote(strings.Join(words, " "), 64))
		return nil
	}
	for _, w := range words[4:] {
		if err := r.take(w, Entry{Rule: words[2]}); err != nil {
			return err
		}
	}
	return nil
}

// addressColumns are the names under which tables and documents have addresses,
// without case, `_`, `-` and spaces; the better one first.
var addressColumns = []string{
	"subject", "cidr", "prefix", "ipprefix", "ipv4prefix", "ipv6prefix", "network", "subnet", "range",
	"ip", "ipv4", "ipv6", "address", "addr", "ipaddress", "ipaddr", "srcip", "sourceip", "dstip", "host", "value", "indicator",
}

// columnName makes the name of a column comparable.
func columnName(s string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(strings.Trim(strings.TrimSpace(s), `#"' `)))
}

// table returns the reader of the lines of a table. Which column has the addresses
// is said by the head, or by the first line with an address in it.
func (r *reading) table() func(string) error {
	column, more := -1, columns{-1, -1, -1}
	head := func(cells []string) bool {
		names := make([]string, len(cells))
		for i, c := range cells {
			names[i] = columnName(c)
		}
		for _, want := range addressColumns {
			if column = slices.Index(names, want); column >= 0 {
				more = columns{
					rule:  max(slices.Index(names, "rule"), slices.Index(names, "jail")),
					until: max(slices.Index(names, "until"), slices.Index(names, "expires")),
					ports: slices.Index(names, "ports"),
				}
				return true
			}
		}
		return false
	}
	return func(line string) error {
		heading := strings.HasPrefix(line, "#")
		cells, err := csv.NewReader(strings.NewReader(strings.TrimLeft(line, "# "))).Read()
		if column < 0 && err == nil && len(cells) > 1 && !anyNet(cells) && head(cells) {
			return nil
		}
		if heading || line[0] == ';' || strings.HasPrefix(line, "//") {
			return nil
		}
		if err != nil {
			r.fault("%s: not a line of a table", gate.Quote(line, 64))
			return nil
		}
		return r.cells(cells, &column, more)
	}
}

func anyNet(cells []string) bool {
	return slices.ContainsFunc(cells, func(c string) bool { _, err := parseNet(strings.TrimSpace(c)); return err == nil })
}

// columns are where a table says more of its networks; -1 = nowhere.
type columns struct{ rule, until, ports int }

// cell returns the text in a column, "" where there is none.
func cell(cells []string, n int) string {
	if n < 0 || n >= len(cells) {
		return ""
	}
	return strings.TrimSpace(cells[n])
}

// cells reads one line of a table. column is the one with the addresses, -1 while
// it is not known.
func (r *reading) cells(cells []string, column *int, more columns) error {
	for i := range cells {
		cells[i], _ = comment(cells[i])
	}
	if strings.TrimSpace(strings.Join(cells, "")) == "" {
		return nil
	}
	if *column < 0 && len(cells) > 1 && !slices.ContainsFunc(cells, func(c string) bool { _, err := parseNet(c); return err != nil }) {
		for _, c := range cells { // several addresses in one line
			if err := r.take(c, Entry{}); err != nil {
				return err
			}
		}
		return nil
	}
	if *column < 0 {
		*column = slices.IndexFunc(cells, func(c string) bool { _, err := parseNet(c); return err == nil })
		if *column < 0 {
			if r.sum.Lines == 1 && len(cells) > 1 && isHead(cells[0]) {
				return nil
			}
			r.fault("%s: no address in it", gate.Quote(strings.Join(cells, ","), 64))
			return nil
		}
	}
	if *column >= len(cells) {
		r.fault("%s: too few columns", gate.Quote(strings.Join(cells, ","), 64))
		return nil
	}
	e := Entry{Rule: cell(cells, more.rule)}
	if more.rule < 0 && len(cells) == 2 && *column == 0 && more.until < 0 && more.ports < 0 {
		e.Rule = cells[1]
	}
	if t, err := time.Parse(time.RFC3339, cell(cells, more.until)); err == nil && !r.o.Now.IsZero() {
		if e.Left = t.Sub(r.o.Now); e.Left <= 0 {
			return nil // it is over
		}
	}
	if text := cell(cells, more.ports); text != "" {
		ports, err := gate.ParsePorts(text)
		if err != nil { // to take all ports would be more than the list says
			r.fault("%s are not ports", gate.Quote(text, 64))
			return nil
		}
		e.Ports = ports
	}
	return r.take(cells[*column], e)
}

// isHead reports whether a cell is the name of a column rather than a broken
// address: letters, spaces and underscores only.
func isHead(cell string) bool {
	return cell != "" && strings.IndexFunc(cell, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != ' ' && c != '_'
	}) < 0
}
