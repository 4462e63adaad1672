package rules

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// bystanders are addresses that no sample is of: what attackers would have banned.
var bystanders = [...]string{"198.51.100.254", "2001:db8:bad::254"}

// maxSpots bounds the places of a line that hostile text is put into.
const maxSpots = 12

// Attack lets a stranger write hostile text wherever a sample of the rule has text
// that a stranger may choose: the name of an account, a path, an agent, a host. It
// puts there whole messages of this rule and of others, line ends, quotation marks,
// blanks and addresses: anything into the name of an account, unless that is known,
// and into the rest what its expression takes. Whatever it is, nobody but the peer
// of the sample may be hit, by the rule or by those of the others that read the same
// log. Failures say what got through; tries is how many lines were made.
func (r *Rule) Attack(others []*Rule) (out []Failure, tries int) {
	set := []*Rule{r}
	for _, o := range others {
		if o.Name != r.Name && sharesLog(r, o) {
			set = append(set, o)
		}
	}
	victim := attacked{m: NewMatcher(set, Options{})}
	texts := slices.Concat(r.hostile(), elsewhere(others, r))
	seen := map[string]bool{} // patterns that let something through, each told once
	parts := map[*Pattern]freeParts{}
	shown := map[string]int{} // samples of each pattern
	for i, s := range r.Samples {
		if s.Expect == nil || shown[s.Expect.Pattern] == attackedSamples {
			continue
		}
		shown[s.Expect.Pattern]++
		real, err := netip.ParseAddr(s.Expect.Addr)
		if err != nil {
			continue
		}
		for _, spot := range r.spots(s, parts) {
			for _, text := range texts {
				line, ok := spot.put(text)
				if !ok || len(line) > MaxLine {
					continue
				}
				tries++
				if h := victim.wronged(line, real); h != nil && !seen[h.Rule.Name+"/"+h.Pattern.Name] {
					seen[h.Rule.Name+"/"+h.Pattern.Name] = true
					out = append(out, Failure{i, s.Expect.Pattern, fmt.Sprintf("who writes into %s has %s taken by %s/%s: %s", spot.what, h.Addr, h.Rule.Name, h.Pattern.Name, gate.Quote(line, 600))})
				}
			}
		}
	}
	return out, tries
}

// attackedSamples is how many samples of each pattern are attacked.
const attackedSamples = 2

// attacked is the rules that lines are tried on.
type attacked struct {
	m       *Matcher
	scanner *Scanner
}

// wronged returns a hit of somebody else than the real peer, if there is one that
// proves anything.
func (a *attacked) wronged(lines string, real netip.Addr) (found *Hit) {
	if a.scanner == nil {
		a.scanner = a.m.Scanner(SourceOptions{Zone: time.UTC})
	}
	a.scanner.recall, a.scanner.reader.past.n = recall{}, 0 // each line comes to one who knows nothing yet
	a.scanner.Scan([]byte(lines), sampleNow, func(h *Hit) {
		bare := h.Evidence != gate.Proven && strings.Contains(lines, "\n") // a line of its own, and it is taken for forgeable
		if h.Addr != real && h.Addr.IsValid() && !bare && found == nil {
			c := *h
			found = &c
		}
	})
	return found
}

// hostile are texts that a peer may send, made for the lines of the rule.
func (r *Rule) hostile() (out []string) {
	for _, b := range bystanders {
		out = append(out, b, "["+b+"]", b+":22", "["+b+"]:22", "IPv6:"+b, "x from "+b, "from "+b+" port 22", "x "+b+" ", "x\" "+b+" \"", "x' "+b+" '",
			"x] "+b+" [", "x) ("+b, "x, client: "+b+", server: x", "rhost="+b, "x;oip="+b+";", "x ip="+b, "x addr="+b, "#012 from "+b, "\\n from "+b,
			"\x1b[31m"+b, "\xff\xfe from "+b, "\x00"+b)
	}
	for _, m := range r.forgeries() {
		out = append(out, m, "x "+m, m+" ", "\""+m+"\"", "' "+m+" '", "x] "+m, "x\n"+undated(m)+"\n", "x#012"+m, "message repeated 9 times: [ "+m+"]", "x: "+m, strings.Repeat("y", 200)+m)
		// The rest of a message as it goes on behind a name, so that the true one comes
		// to lie behind it.
		for i := 1; i < len(m) && i < 400; i++ {
			if m[i-1] == ' ' || m[i-1] == '\'' || m[i-1] == '"' || m[i-1] == '[' || m[i-1] == '(' {
				out = append(out, "x "+m[i:], "x"+m[i-1:])
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// forgeries are the messages of the rule's samples, of a bystander.
func (r *Rule) forgeries() (out []string) {
	seen := map[string]bool{}
	for _, s := range r.Samples {
		if s.Expect == nil || seen[s.Expect.Pattern] || len(out) == 2*maxSpots {
			continue
		}
		seen[s.Expect.Pattern] = true
		line := s.Line[r.verdictAt(s.Line):]
		if i := strings.IndexByte(line, '\n'); i >= 0 {
			line = line[i+1:]
		}
		message := line
		if h := parseHeader([]byte(line)); len(h.program) > 0 {
			message = string(h.message)
		}
		for _, b := range bystanders {
			if forged := strings.ReplaceAll(message, s.Expect.Addr, b); forged != message {
				out = append(out, forged)
			}
		}
	}
	return out
}

// undated takes the date of its own off a message: whoever can have line ends
// written, and dates behind them, writes whole lines, and a rule for such a log says
// evidence: forgeable.
func undated(m string) string {
	shape := 0
	if _, rest, ok := cutDate([]byte(m), &shape); ok {
		return string(rest)
	}
	return m
}

// sharesLog reports whether two rules read a log together.
func sharesLog(a, b *Rule) bool {
	both := func(x, y []string) bool {
		return slices.ContainsFunc(x, func(s string) bool { return slices.Contains(y, s) })
	}
	return both(a.Sources.Files, b.Sources.Files) || both(a.Sources.Journal, b.Sources.Journal)
}

// elsewhere are whole messages of a few other rules, of a bystander.
func elsewhere(rs []*Rule, r *Rule) (out []string) {
	for _, o := range rs {
		if f := o.forgeries(); o != r && len(f) > 0 {
			out = append(out, f[0], "x "+f[0]+" ")
		}
	}
	if n := len(out); n > 24 { // others for each rule, all of them in the end
		from := len(r.Name) * 7 % (n - 24)
		out = out[from : from+24]
	}
	return out
}

// spot is a place of a sample that a stranger may write into.
type spot struct {
	what string // for people
	put  func(text string) (line string, ok bool)
}

// spots returns the places of a sample; known is what patterns were taken apart
// already.
func (r *Rule) spots(s Sample, known map[*Pattern]freeParts) []spot {
	at := strings.LastIndexByte(s.Line, '\n') + 1
	before, line := s.Line[:at], s.Line[at:]
	p := r.PatternNamed(s.Expect.Pattern)
	var out []spot
	switch r.format {
	case FormatAccess:
		out = accessSpots(line)
	case FormatJSON:
		out = jsonSpots(line, s.Expect.Addr)
	default:
		parts, ok := known[p]
		if !ok {
			parts = freePartsOf(p.expr)
			known[p] = parts
		}
		out = p.messageSpots(r, parts, line)
	}
	for i := range out {
		put := out[i].put
		out[i].put = func(text string) (string, bool) {
			line, ok := put(text)
			return before + line, ok
		}
	}
	return out[:min(len(out), maxSpots)]
}

// messageSpots are the parts of the expression that match text of any kind.
func (p *Pattern) messageSpots(r *Rule, parts freeParts, line string) (out []spot) {
	var rd reader
	rd.open([]*Rule{r}, SourceOptions{})
	rd.begin([]byte(line), 0, []byte(line))
	v := rd.view(r)
	if v == nil {
		return nil
	}
	message := string(v.message)
	base := strings.LastIndex(line, message)
	for _, span := range parts.in(message) {
		from, to := base+span.from, base+span.to
		if span.user && p.Known {
			continue
		}
		out = append(out, spot{fmt.Sprintf("%q", clipText(line[from:to])), func(text string) (string, bool) {
			// A name that must not have a colon is one of basic authentication.
			anything := span.user && (span.takes.MatchString("a:b") || !strings.Contains(text, ":"))
			return line[:from] + text + line[to:], anything || span.takes.MatchString(text)
		}})
	}
	return out
}

// accessSpots are the fields of an access log that a client writes. A server
// escapes quotation marks and control characters in them.
func accessSpots(line string) (out []spot) {
	var a access
	b := []byte(line)
	if !a.parse(b) {
		return nil
	}
	for _, f := range []int{accessUser, accessPath, accessReferer, accessAgent, accessForwarded} {
		text := a.fields[f]
		if len(text) == 0 {
			continue
		}
		from := cap(b) - cap(text)
		to := from + len(text)
		out = append(out, spot{accessNames[f], func(text string) (string, bool) {
			if f == accessPath && strings.ContainsAny(text, " ") {
				text = strings.ReplaceAll(text, " ", "%20")
			}
			return line[:from] + escapeQuoted(text) + line[to:], true
		}})
	}
	return out
}

// escapeQuoted escapes as nginx does.
func escapeQuoted(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			fmt.Fprintf(&b, `\x%02X`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func clipText(s string) string { return s[:min(len(s), 40)] }

// jsonSpots are the texts of a line of JSON, but for the one that is the address.
func jsonSpots(line, addr string) (out []spot) {
	for from := 0; from < len(line); from++ {
		if line[from] != '"' {
			continue
		}
		var s jsonScanner
		s.b, s.i = []byte(line), from
		raw, _, ok := s.quoted()
		if !ok {
			break
		}
		to := s.i
		if rest := bytes.TrimLeft([]byte(line[to:]), " "); len(rest) == 0 || rest[0] != ':' {
			if text := string(raw); !strings.Contains(text, addr) {
				begin, end := from+1, to-1
				out = append(out, spot{fmt.Sprintf("%q", clipText(text)), func(text string) (string, bool) {
					return line[:begin] + escapeJSON(text) + line[end:], true
				}})
			}
		}
		from = to - 1
	}
	return out
}

// escapeJSON escapes as every writer of JSON must.
func escapeJSON(s string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "?") {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
