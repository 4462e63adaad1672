package formats

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"gatehouse/internal/gate"
)

// Writer is one way to write bans for other programs.
type Writer struct {
	Name  string // how people ask for it
	About string // what it is, a clause
	Type  string // the media type
	Web   bool   // for a web server, which enforces with it what the kernel cannot
	write func(w *bufio.Writer, bans []Ban, now time.Time) error
}

// Writers returns every way there is; the first is the default.
func Writers() []Writer {
	const text = "text/plain; charset=utf-8"
	return []Writer{
		{"plain", "one address or prefix a line", text, false, writePlain},
		{"cidr", "the same, with a length on single addresses, too", text, false, writeCIDR},
		{"csv", "a table with a head", "text/csv; charset=utf-8", false, writeCSV},
		{"json", "the documents of bans", "application/json", false, writeJSON},
		{"nft", "a table of its own for nft -f", text, false, writeNFT},
		{"ipset", "two sets for ipset restore", text, false, writeIPSet},
		{"fail2ban", "commands for a shell that ban in fail2ban's jails", text, false, writeFail2ban},
		{"nginx", "deny lines to include in nginx", text, true, writeNginx},
		{"apache", "Require lines to include in Apache, within <RequireAll>", text, true, writeApache},
		{"haproxy", "addresses for an acl -f file of HAProxy", text, true, writeHAProxy},
	}
}

// WriterNames returns the names of all ways to write.
func WriterNames() (names []string) {
	for _, w := range Writers() {
		names = append(names, w.Name)
	}
	return names
}

// FindWriter returns the way of this name.
func FindWriter(name string) (Writer, bool) {
	all := Writers()
	if i := slices.IndexFunc(all, func(w Writer) bool { return w.Name == name }); i >= 0 {
		return all[i], true
	}
	return Writer{}, false
}

// Write writes bans, which are in the order of Sort. The same bans at the same
// second give the same bytes.
func (f Writer) Write(w io.Writer, bans []Ban, now time.Time) error {
	out := bufio.NewWriterSize(w, 64<<10)
	if err := f.write(out, bans, now); err != nil {
		return err
	}
	return out.Flush()
}

// Holds returns how many of these bans the form can say: a firewall's leave out those
// of some ports, a web server's those of other ports.
func (f Writer) Holds(bans []Ban, now time.Time) int {
	switch {
	case f.Web:
		return len(forWeb(bans))
	case f.Name == "nft" || f.Name == "ipset":
		_, _, ports, http := whole(bans, now)
		return len(bans) - ports - http
	}
	return len(bans)
}

// eachNet writes a line for each different network that line has something for.
// Errors stick in the writer, and Flush returns them.
func eachNet(w *bufio.Writer, bans []Ban, line func(Ban) string) error {
	last := ""
	for _, b := range bans {
		if s := line(b); s != "" && s != last {
			_, _ = w.WriteString(s)
			_ = w.WriteByte('\n')
			last = s
		}
	}
	return nil
}

func writePlain(w *bufio.Writer, bans []Ban, _ time.Time) error {
	return eachNet(w, bans, func(b Ban) string { return b.Subject.String() })
}

func writeCIDR(w *bufio.Writer, bans []Ban, _ time.Time) error {
	return eachNet(w, bans, func(b Ban) string { return b.Subject.Prefix().String() })
}

// document is a ban in JSON, with the field names of the command line.
type document struct {
	Subject  gate.Subject  `json:"subject"`
	Since    time.Time     `json:"since"`
	Until    *time.Time    `json:"until"`
	Rule     string        `json:"rule"`
	Origin   string        `json:"origin"`
	Reason   string        `json:"reason"`
	Ports    gate.Ports    `json:"ports"`
	Offences int           `json:"offences"`
	Enforced bool          `json:"enforced"`
	Evidence gate.Evidence `json:"evidence,omitempty"`
	HTTP     bool          `json:"http,omitempty"`
}

func writeJSON(w *bufio.Writer, bans []Ban, _ time.Time) error {
	_, _ = w.WriteString("[") // an error sticks, Flush returns it
	for i, b := range bans {
		d := document{b.Subject, b.Since.UTC(), nil, b.Rule, b.Origin, b.Reason, b.Ports, b.Offences, b.Enforced, b.Evidence, b.HTTP}
		if !b.Until.IsZero() {
			until := b.Until.UTC()
			d.Until = &until
		}
		line, err := json.Marshal(d)
		if err != nil {
			return fmt.Errorf("write the ban of %s: %w", b.Subject, err)
		}
		sep := ",\n  "
		if i == 0 {
			sep = "\n  "
		}
		_, _ = w.WriteString(sep)
		_, _ = w.Write(asciiOnly(line))
	}
	if len(bans) > 0 {
		_ = w.WriteByte('\n')
	}
	_, _ = w.WriteString("]\n")
	return nil
}

// asciiOnly escapes what a terminal could take for a command, or hide.
func asciiOnly(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for _, c := range string(b) {
		switch {
		case c < 0x7f && c >= ' ' || c > 0x9f && unicode.IsPrint(c):
			out = append(out, string(c)...)
		case c > 0xffff:
			out = fmt.Appendf(out, "\\u%04x\\u%04x", 0xd800+(c-0x10000)>>10, 0xdc00+(c-0x10000)&0x3ff)
		default:
			out = fmt.Appendf(out, "\\u%04x", c)
		}
	}
	return out
}

func writeCSV(w *bufio.Writer, bans []Ban, _ time.Time) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"subject", "since", "until", "rule", "origin", "reason", "ports", "offences", "enforced"}) // as above
	for _, b := range bans {
		until := ""
		if !b.Until.IsZero() {
			until = b.Until.UTC().Format(time.RFC3339)
		}
		_ = out.Write([]string{b.Subject.String(), b.Since.UTC().Format(time.RFC3339), until, cellText(b.Rule), cellText(b.Origin),
			cellText(b.Reason), b.Ports.String(), strconv.Itoa(b.Offences), strconv.FormatBool(b.Enforced)})
	}
	out.Flush()
	return out.Error()
}

// cellText makes text harmless for a terminal and for a program of tables: none of
// it is a command, or taken for a formula.
func cellText(s string) string {
	s = strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return '\ufffd'
	}, s)
	if s != "" && strings.ContainsRune("=+-@", rune(s[0])) {
		return "'" + s
	}
	return s
}

func writeFail2ban(w *bufio.Writer, bans []Ban, _ time.Time) error {
	return eachNet(w, bans, func(b Ban) string {
		if !gate.IsName(b.Rule) {
			return "" // nothing that a shell could take for something else
		}
		return "fail2ban-client set " + b.Rule + " banip " + b.Subject.String()
	})
}

func writeNginx(w *bufio.Writer, bans []Ban, _ time.Time) error {
	return eachNet(w, forWeb(bans), func(b Ban) string { return "deny " + b.Subject.String() + ";" })
}

func writeApache(w *bufio.Writer, bans []Ban, _ time.Time) error {
	return eachNet(w, forWeb(bans), func(b Ban) string { return "Require not ip " + b.Subject.String() })
}

func writeHAProxy(w *bufio.Writer, bans []Ban, _ time.Time) error {
	return eachNet(w, forWeb(bans), func(b Ban) string { return b.Subject.String() })
}

// webPorts are the ports of web servers; a ban of some ports concerns a web server
// if one of them is among them.
var webPorts = func() gate.Ports {
	p, _ := gate.ParsePorts("80,443,8080,8443/tcp") // a constant: it parses
	return p
}()

// forWeb returns the bans that a web server can enforce.
func forWeb(bans []Ban) []Ban {
	return slices.DeleteFunc(slices.Clone(bans), func(b Ban) bool {
		return !b.HTTP && !b.Ports.IsEmpty() && webPorts.Minus(b.Ports).Equal(webPorts)
	})
}

// whole returns the bans of all ports of each family that do not end within a
// second, and says which were left out. Of one subject the longest stays.
func whole(bans []Ban, now time.Time) (v4, v6 []Ban, ports, http int) {
	var last gate.Subject
	for _, b := range bans {
		switch {
		case b.HTTP:
			http++
		case !b.Ports.IsEmpty():
			ports++
		case !b.Until.IsZero() && b.Until.Sub(now) < time.Second, b.Subject == last, b.Subject.Prefix().Bits() == 0:
		case b.Subject.Addr().Is4():
			v4, last = append(v4, b), b.Subject
		default:
			v6, last = append(v6, b), b.Subject
		}
	}
	return v4, v6, ports, http
}

// head writes the first lines of a file for a firewall.
func head(w *bufio.Writer, n, ports, http int, now time.Time, load string) {
	fmt.Fprintf(w, "# %s of gatehouse at %s; load with: %s\n", bansOf(n), now.UTC().Format(time.RFC3339), load)
	if ports > 0 {
		fmt.Fprintf(w, "# left out: %s of some ports only\n", bansOf(ports))
	}
	if http > 0 {
		fmt.Fprintf(w, "# left out: %s of clients behind a proxy, for a web server to shut out\n", bansOf(http))
	}
}

func bansOf(n int) string {
	if n == 1 {
		return "1 ban"
	}
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s + " bans"
}

// outermost returns the prefixes that lie in no other; an interval set takes no
// others.
func outermost(bans []Ban) (out []Ban) {
	var last netip.Prefix
	for _, b := range bans {
		p := b.Subject.Prefix()
		if p.IsSingleIP() || last.IsValid() && last.Contains(p.Addr()) {
			continue
		}
		last = p
		out = append(out, b)
	}
	return out
}
