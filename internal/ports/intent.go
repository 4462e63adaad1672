package ports

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/internal/gate"
)

// Bounds of a remote file.
const (
	maxRemote     = 64 << 10 // bytes
	maxRemoteLine = 256      // bytes of a line
	maxIntents    = 64       // lines that want something
)

// Intent is one line of a remote file: `open ssh`, `close vpn for 2h`,
// `close out 25`, `open ssh from 192.0.2.7 for 1h 492817`.
type Intent struct {
	Verdict   gate.Verdict // Close or Open
	Direction gate.Direction
	What      Named
	For       time.Duration // 0 = not said
	From      netip.Prefix  // zero = not said
	Code      string        // six digits; "" = none
	Text      string        // the line with single spaces, by which it is recognised
}

// Sheet is a remote file.
type Sheet struct {
	Intents []Intent
	Counter uint64    // of a signed file; 0 = none
	Expires time.Time // of a signed file; zero = none
}

// What a remote file can be refused for, besides what its lines say.
var (
	errHTML    = errors.New("it is a web page, not a text of intents: is the address that of the file itself?")
	errGarbled = errors.New("it is not plain text")
	errLarge   = fmt.Errorf("it is larger than %d kB", maxRemote>>10)
)

// ParseSheet reads a remote file. It is refused as a whole where anything in it is
// wrong.
func ParseSheet(b []byte, names Names) (s Sheet, err error) {
	switch text := strings.TrimLeft(strings.TrimPrefix(string(b), "\ufeff"), " \t\r\n"); {
	case len(b) > maxRemote:
		return s, errLarge
	case strings.HasPrefix(text, "<"):
		return s, errHTML
	case !utf8.Valid(b):
		return s, errGarbled
	}
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(string(b), "\ufeff")) {
		number++
		line = strings.TrimSpace(line)
		if len(line) > maxRemoteLine {
			return Sheet{}, fmt.Errorf("line %d is longer than %d bytes", number, maxRemoteLine)
		}
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return Sheet{}, errGarbled
		}
		if head, ok := strings.CutPrefix(line, "#"); ok {
			if err := s.head(head); err != nil {
				return Sheet{}, fmt.Errorf("line %d: %w", number, err)
			}
			continue
		}
		if line == "" {
			continue
		}
		i, err := ParseIntent(line, names)
		if err != nil {
			return Sheet{}, fmt.Errorf("line %d: %w", number, err)
		}
		if len(s.Intents) == maxIntents {
			return Sheet{}, fmt.Errorf("it wants more than %d things", maxIntents)
		}
		s.Intents = append(s.Intents, i)
	}
	return s, nil
}

// head reads `counter: 7` and `expires: 2026-12-01T00:00:00Z` of a comment; other
// comments mean nothing.
func (s *Sheet) head(comment string) (err error) {
	key, value, ok := strings.Cut(comment, ":")
	if !ok {
		return nil
	}
	value = strings.TrimSpace(value)
	switch strings.ToLower(strings.TrimSpace(key)) {
	case "counter":
		if s.Counter != 0 {
			return errors.New("a second counter")
		}
		if s.Counter, err = strconv.ParseUint(value, 10, 63); err != nil || s.Counter == 0 {
			return fmt.Errorf("%s is not a counter: write a number from 1", gate.Quote(value, 32))
		}
	case "expires":
		if !s.Expires.IsZero() {
			return errors.New("a second time at which it expires")
		}
		for _, form := range []string{time.RFC3339, "2006-01-02"} {
			if s.Expires, err = time.Parse(form, value); err == nil {
				return nil
			}
		}
		return fmt.Errorf("%s is not a time: write 2026-12-01T00:00:00Z", gate.Quote(value, 40))
	}
	return nil
}

// ParseIntent reads one line.
func ParseIntent(line string, names Names) (i Intent, err error) {
	bad := func(why string) (Intent, error) {
		return Intent{}, fmt.Errorf("%s: %s", gate.Quote(hideCode(line), 64), why)
	}
	w := strings.Fields(strings.ToLower(line))
	i.Text, i.Direction = strings.Join(w, " "), gate.In
	if n := len(w); n > 0 && isCode(w[n-1]) {
		i.Code, w = w[n-1], w[:n-1]
	}
	if len(w) < 2 {
		return bad("write open or close, and a service: open ssh for 2h")
	}
	switch w[0] {
	case "open":
		i.Verdict = gate.Open
	case "close":
		i.Verdict = gate.Close
	default:
		return bad("a line begins with open or close")
	}
	w = w[1:]
	if d, err := gate.ParseDirection(w[0]); err == nil {
		i.Direction, w = d, w[1:]
	}
	if len(w) == 0 {
		return bad("the service is missing")
	}
	list, err := names.Resolve(w[:1])
	if err != nil {
		return bad(err.Error())
	}
	i.What, w = list[0], w[1:]
	if !i.What.Own && (i.Verdict == gate.Open || i.What.Service != "") {
		return bad("only services of the configuration can be opened so; ports can only be closed by number")
	}
	for len(w) > 0 {
		switch {
		case len(w) == 1:
			return bad("what does " + gate.Quote(w[0], 16) + " mean? Behind the service come for, from, and a code")
		case w[0] == "for" && i.For == 0:
			if i.For, err = gate.ParseDuration(w[1]); err != nil {
				return bad(err.Error())
			}
			if i.For <= 0 {
				return bad("it is to last for no time at all")
			}
		case w[0] == "from" && !i.From.IsValid():
			sub, err := gate.ParseSubject(w[1])
			if err != nil || !sub.IsNet() {
				return bad(gate.Quote(w[1], 40) + " is not an address or a prefix")
			}
			i.From = sub.Prefix()
		default:
			return bad("what does " + gate.Quote(w[0], 16) + " mean? Behind the service come for, from, and a code")
		}
		w = w[2:]
	}
	return i, nil
}

// isCode reports whether a word is a code of six digits; no port has so many.
func isCode(s string) bool {
	return len(s) == codeDigits && strings.Trim(s, "0123456789") == ""
}

// hideCode returns a line without the code at its end.
func hideCode(line string) string {
	line = strings.TrimSpace(line)
	if n := len(line) - codeDigits; n > 0 && isCode(line[n:]) {
		return strings.TrimSpace(line[:n])
	}
	return line
}
