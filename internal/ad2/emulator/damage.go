package emulator

import "bytes"

// Damage spoils lines the way that real ones are spoiled. Each value is a kind.
type Damage int

// The kinds of damage.
const (
	Whole    Damage = iota // none
	Cut                    // the end of the line is missing, the next line follows in it
	Prompt                 // the prompt of the adapter breaks into the line
	Noise                  // bytes that are no line stand before it
	Nuls                   // NUL bytes stand in it
	Doubled                // its first bracket stands twice
	LineFeed               // it ends with LF alone
	Flipped                // a character is another one
	Gone                   // it is missing
	Damages                // how many kinds there are
)

// Loses reports whether the damage takes away what the line says.
func (d Damage) Loses() bool { return d == Cut || d == Prompt || d == Flipped || d == Gone }

// Apply returns a line, with its end, damaged. at, from 0 on, says where.
func (d Damage) Apply(line []byte, at int) []byte {
	body := bytes.TrimRight(line, "\r\n")
	if len(body) < 4 {
		return line
	}
	at = 1 + at%(len(body)-2)
	switch d {
	case Cut:
		return append([]byte(nil), body[:at]...)
	case Prompt:
		return []byte(string(body[:at]) + "\r\n!>\r\n")
	case Noise:
		return append([]byte("\x7f\x90zq"), line...)
	case Nuls:
		return []byte(string(body[:at]) + "\x00\x00\xff" + string(body[at:]) + "\r\n")
	case Doubled:
		if body[0] == '[' {
			return append([]byte("["), line...)
		}
	case LineFeed:
		return append(append([]byte(nil), body...), '\n')
	case Flipped:
		spoilt := append([]byte(nil), line...)
		spoilt[0] = '~' // the first one: what a flip elsewhere says cannot be known
		return spoilt
	case Gone:
		return nil
	}
	return line
}
