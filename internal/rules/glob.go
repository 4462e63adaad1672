package rules

import "strings"

// anyText stands for any text in the name of a program.
const anyText = "*"

// isGlob reports whether the name of a program stands for several.
func isGlob(name string) bool { return strings.Contains(name, anyText) }

// matchGlob reports whether a program is one that the glob means. Each * stands
// for any text, a slash included: postfix/*smtpd.
func matchGlob(glob string, name []byte) bool {
	// Where it fails behind a star, that star takes one byte more.
	g, n, star, taken := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case g < len(glob) && glob[g] == '*':
			star, taken = g, n
			g++
		case g < len(glob) && glob[g] == name[n]:
			g, n = g+1, n+1
		case star >= 0:
			taken++
			g, n = star+1, taken
		default:
			return false
		}
	}
	return strings.Trim(glob[g:], anyText) == ""
}

// programBits are the entries of the rules that read the lines of a program, as
// bits.
type programBits []uint64

// globbed is a program's name with a star, and whose entries read it.
type globbed struct {
	glob string
	bits programBits
}

// maxPrograms bounds the programs of a source of which is remembered what reads
// them: a log has some dozens, and who forges one can make up any number.
const maxPrograms = 256

// readBy returns the entries that read the lines of a program that no rule names
// as it is. It remembers the last ones.
func (s *Scanner) readBy(program []byte) programBits {
	if len(s.m.globs) == 0 {
		return s.m.others
	}
	if bits, ok := s.programs[string(program)]; ok {
		return bits
	}
	bits := s.m.others
	for _, g := range s.m.globs {
		if !matchGlob(g.glob, program) {
			continue
		}
		sum := make(programBits, len(bits))
		for i := range sum {
			sum[i] = bits[i] | g.bits[i]
		}
		bits = sum
	}
	if s.programs == nil || len(s.programs) >= maxPrograms {
		s.programs = map[string]programBits{}
	}
	s.programs[string(program)] = bits
	return bits
}
