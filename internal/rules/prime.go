package rules

import "time"

// PrimeSize is how much of a source is worth looking at again, in bytes, so that
// a Scanner that goes on in the middle knows what went before.
const PrimeSize = 256 << 10

// Remembers reports whether what went before a line matters for it: a rule has
// the address from another line of the session, or the date from the line that
// one continues.
func (s *Scanner) Remembers() bool {
	for _, r := range s.m.rules {
		if r.Remembers() {
			return true
		}
	}
	return false
}

// Remembers reports whether what went before a line matters for this rule, see
// [Scanner.Remembers]: its blocks are to be scanned one after the other.
func (r *Rule) Remembers() bool { return r.Continues || r.recalls }

// Prime reads whole lines that were scanned in an earlier life, so that what they
// say of sessions is known again. It calls nobody.
func (s *Scanner) Prime(past []byte, now time.Time) {
	s.Scan(past, now, func(*Hit) {})
}
