package replay

import (
	"bytes"
	"net/netip"
	"time"

	"gatehouse/internal/gate"
	"gatehouse/internal/rules"
)

// Passing is one line that no rule takes. It is valid until the call returns.
type Passing struct {
	Source   *Source
	Addr     netip.Addr // the first address in it
	Ports    gate.Ports // of the services that write the log; empty = not told
	From, To time.Time  // it was written between these, the ends included, where the log is in order; a zero To is not known

	line  []byte
	dates *dater
}

// When returns when the line was written, by its own date if it has one.
func (p *Passing) When() time.Time {
	if t := p.dates.of(p.line); !t.IsZero() {
		return t
	}
	return p.From
}

// pass reports the lines of the feed's block before to that no rule takes, and
// that speak of somebody who is known. The next date of the log is until; zero =
// it is not known.
func (m *merge) pass(f *feed, to int, until time.Time) {
	h := &f.head
	text := h.block.text[h.pos:max(h.pos, to)]
	h.pos += len(text)
	known := m.to.Known()
	if known == nil || len(text) == 0 {
		return
	}
	p := Passing{Source: f.source, Ports: f.ports, From: f.when(h.said), To: until, dates: h.dates}
	for len(text) > 0 {
		line := text
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			line, text = text[:i], text[i+1:]
		} else {
			text = nil
		}
		if len(line) > rules.MaxLine {
			continue
		}
		if a := firstAddr(line); a.IsValid() && known(a) {
			p.Addr, p.line = a, line
			m.to.Passing(&p)
		}
	}
}

// firstAddr returns the first address in a line: what stands at its beginning, as
// in the log of a web server, else the first text of the shape of an IPv4
// address, else of an IPv6 one. The zero Addr if there is none.
func firstAddr(line []byte) netip.Addr {
	if first, _, ok := bytes.Cut(line, space); ok && len(first) <= maxAddr && bytes.IndexByte(first, ':') >= 0 {
		if a, err := netip.ParseAddr(string(first)); err == nil {
			return a.Unmap().WithZone("")
		}
	}
	for at := 0; ; {
		i := bytes.IndexByte(line[at:], '.')
		if i < 0 {
			return firstAddr6(line)
		}
		at += i + 1
		if a, ok := quad(line, at-1); ok {
			return a
		}
	}
}

var space = []byte{' '}

// maxAddr is the length of the longest text of an address without a zone, in
// bytes.
const maxAddr = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")

// quad reads the IPv4 address whose first dot stands at dot.
func quad(line []byte, dot int) (netip.Addr, bool) {
	from := dot
	for from > 0 && isDigit(line[from-1]) {
		if from--; dot-from > 3 {
			return netip.Addr{}, false
		}
	}
	if from == dot || from > 0 && isWord(line[from-1]) {
		return netip.Addr{}, false
	}
	var a [4]byte
	for part, i := 0, from; ; part++ {
		n, digits := 0, 0
		for ; i < len(line) && isDigit(line[i]) && digits < 4; i++ {
			n, digits = 10*n+int(line[i]-'0'), digits+1
		}
		if digits == 0 || digits > 3 || n > 255 || digits > 1 && line[i-digits] == '0' {
			return netip.Addr{}, false
		}
		a[part] = byte(n)
		if part == 3 {
			if i < len(line) && line[i] != '.' && isWord(line[i]) || i+1 < len(line) && line[i] == '.' && isDigit(line[i+1]) {
				return netip.Addr{}, false
			}
			return netip.AddrFrom4(a), true
		}
		if i == len(line) || line[i] != '.' {
			return netip.Addr{}, false
		}
		i++
	}
}

// firstAddr6 returns the first IPv6 address in a line. It has two colons side by
// side, or seven.
func firstAddr6(line []byte) netip.Addr {
	if bytes.Count(line, colon) < 7 && !bytes.Contains(line, colons) {
		return netip.Addr{}
	}
	for at := 0; ; {
		i := bytes.IndexByte(line[at:], ':')
		if i < 0 {
			return netip.Addr{}
		}
		from, to, n := at+i, at+i, 0
		for from > at && isHex(line[from-1]) {
			from--
		}
		for ; to < len(line) && (line[to] == ':' || isHex(line[to])); to++ {
			if line[to] == ':' {
				n++
			}
		}
		at = to
		if text := bytes.TrimSuffix(line[from:to], colon); n >= 2 && len(text) <= maxAddr && (from == 0 || !isWord(line[from-1])) {
			for _, t := range [...][]byte{line[from:to], text} {
				if a, err := netip.ParseAddr(string(t)); err == nil {
					return a.Unmap()
				}
			}
		}
	}
}

var colon, colons = []byte{':'}, []byte("::")

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

// isWord reports whether a byte beside an address makes it something else: part
// of a name, of a version.
func isWord(c byte) bool {
	return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'z' || c == '.' || c == '_' || c == '-'
}
