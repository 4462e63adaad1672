package ad2

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Message is one thing that the device said: [*Keypad], [*Expander], [*Radio],
// [*Report], [*Graphic], [*Version], [*Settings] or [*Note].
type Message interface {
	// Type is the kind of message in one word: keypad, exp, rel, rfx, lrr, aui,
	// version, config, or none for what carries no state of the panel.
	Type() string
}

// ErrInvalid is what errors of Decode wrap: the line holds no message.
var ErrInvalid = errors.New("not a message of the device")

// Wire is what one line held.
type Wire struct {
	Messages []Message // in the order of the line; more than one where lines were merged
	Skipped  int       // bytes of the line that belong to no message
}

// Decode reads one line, without its end. Where the line as a whole makes no
// sense, because its start is missing, another message broke into it, or several
// ran together, the messages that can be told apart are returned, and the rest is
// counted in Skipped. The error says that there was none; it wraps ErrInvalid.
func Decode(line string) (Wire, error) {
	clean := strings.TrimLeft(line, "\x00")
	skipped := len(line) - len(clean)
	m, err := parse(clean)
	if err == nil && !suspicious(m) {
		return Wire{[]Message{m}, skipped}, nil
	}
	starts := starts(clean)
	if len(starts) == 0 || len(starts) == 1 && starts[0] == 0 {
		if err != nil {
			return Wire{Skipped: len(line)}, err
		}
		return Wire{[]Message{m}, skipped}, nil
	}
	w := Wire{Skipped: skipped + starts[0]}
	for i, at := range starts {
		end := len(clean)
		if i+1 < len(starts) {
			end = starts[i+1]
		}
		if part, err := parse(clean[at:end]); err == nil && (end == len(clean) || complete(part, end-at)) {
			w.Messages = append(w.Messages, part)
		} else {
			w.Skipped += end - at
		}
	}
	if len(w.Messages) == 0 {
		if err == nil {
			return Wire{[]Message{m}, skipped}, nil
		}
		return Wire{Skipped: len(line)}, err
	}
	return w, nil
}

// complete reports whether a message that another one ran into is there to its
// end: half a number is a number, too.
func complete(m Message, length int) bool {
	switch m := m.(type) {
	case *Keypad, *Note:
		return true
	case *Expander:
		return length == len("!EXP:07,01,01")
	case *Radio:
		return length == len("!RFX:0180036,80")
	case *Report:
		return m.Version == 2 && len(m.Extra) == 2
	}
	return false
}

// screen is how many characters the display of a keypad has: two lines of 16.
const screen = 32

// suspicious reports whether a message may hide another one in its text.
func suspicious(m Message) bool {
	switch m := m.(type) {
	case *Keypad:
		return len(m.Text) > screen
	case *Note:
		return strings.ContainsAny(m.Line[1:], "[!")
	case *Graphic:
		return strings.ContainsAny(m.Value, "[!")
	case *Version:
		return strings.ContainsAny(m.Flags, "[!")
	}
	return false
}

// heads are the starts of messages that can be recognised within a line.
var heads = []string{
	"!KPM:[", "!EXP:", "!REL:", "!RFX:", "!LRR:", "!AUI:", "!KPE:", "!CRC:", "!ERR:", "!VER:",
	"!CONFIG>", "!Sending.", "!Ready", "!boot", "!load", "!setting", "!Reading", "!UART", "!SER2SOCK ", "!>",
}

// starts returns where messages may begin in a line, ascending.
func starts(line string) []int {
	var at []int
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '[':
			if opensKeypad(line[i:]) && (i < 5 || line[i-5:i] != "!KPM:") {
				at = append(at, i)
			}
		case '!':
			for _, h := range heads {
				if strings.HasPrefix(line[i:], h) {
					at = append(at, i)
					break
				}
			}
		}
	}
	return at
}

// The bits of a keypad message in their brackets, in characters: older firmware
// sends 16 of them and dashes.
const leastBits, mostBits = 18, 22

// opensKeypad reports whether s starts like a keypad message: bits in brackets
// and a comma.
func opensKeypad(s string) bool {
	end := strings.IndexByte(s, ']')
	return end > leastBits && end <= mostBits && strings.HasPrefix(s[end:], "],") && onlyBits(s[1:end])
}

// parse reads a line that is one message and nothing else.
func parse(line string) (Message, error) {
	switch {
	case line == "":
		return nil, invalid("it is empty")
	case !utf8.ValidString(line):
		return nil, invalid("it has bytes that are no text")
	case line[0] != '!' || strings.HasPrefix(line, "!KPM"):
		return parseKeypad(line)
	case strings.HasPrefix(line, "!EXP"), strings.HasPrefix(line, "!REL"):
		return parseExpander(line)
	case strings.HasPrefix(line, "!RFX"):
		return parseRadio(line)
	case strings.HasPrefix(line, "!LRR"):
		return parseReport(line)
	case strings.HasPrefix(line, "!AUI"):
		return parseGraphic(line)
	case strings.HasPrefix(line, "!CONFIG"):
		return parseSettings(line)
	case strings.HasPrefix(line, "!VER"):
		return parseVersion(line)
	}
	return parseNote(line), nil
}

// invalidError is an error that wraps ErrInvalid and says why.
type invalidError struct{ why string }

func (e *invalidError) Error() string { return ErrInvalid.Error() + ": " + e.why }
func (e *invalidError) Unwrap() error { return ErrInvalid }

func invalid(why string) error { return &invalidError{why} }

// decimal and hexadecimal read a number as the devices' own software does:
// space around it and a sign are let through.
func decimal(s string) (int, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 32)
	return int(n), err == nil
}

func hexadecimal(s string) (int, bool) {
	s = strings.TrimSpace(s)
	s = strings.TrimPrefix(strings.TrimPrefix(s, "0x"), "0X")
	n, err := strconv.ParseInt(s, 16, 64)
	return int(n), err == nil
}

// onlyHex reports whether s consists of hexadecimal digits, one at least.
func onlyHex(s string) bool {
	return s != "" && strings.Trim(s, "0123456789abcdefABCDEF") == ""
}

// onlyBits reports whether s consists of hexadecimal digits and dashes.
func onlyBits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789abcdefABCDEF-") == ""
}
