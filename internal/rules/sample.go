package rules

// sample counts how often each four, three and two of bytes stands in a piece
// of log, letters folded as in filter. Different ones may share a counter: then
// each seems more common than it is. A sample without lines is that of a source
// of which nothing is known yet.
type sample struct {
	lines  int
	bytes  int
	fours  [1 << 16]uint16
	threes [1 << 15]uint16
	twos   [1 << 16]uint16
}

// length returns that of a line, in bytes.
func (s *sample) length() float64 {
	if s.lines == 0 {
		return 150
	}
	return float64(s.bytes) / float64(s.lines)
}

// Of a block, sampleParts pieces of samplePart bytes are counted: together
// enough to see what stands in one line in a hundred, in half a millisecond.
const (
	sampleParts = 8
	samplePart  = 8 << 10
)

// take counts pieces from all over a block.
func (s *sample) take(block []byte) {
	*s = sample{}
	for i := range sampleParts {
		from := i * (len(block) / sampleParts)
		s.count(block[from:min(from+min(samplePart, len(block)/sampleParts), len(block))])
	}
}

func (s *sample) count(b []byte) {
	s.bytes += len(b)
	for i := 0; i+fourLen <= len(b); i++ {
		g := foldedFour(b[i:])
		up(&s.fours[hashFour(g)>>16])
		up(&s.threes[hashFour(g&threeMask)>>17])
		up(&s.twos[g&0xffff])
		if b[i] == '\n' {
			s.lines++
		}
	}
}

func up(n *uint16) {
	if *n < 1<<16-1 {
		*n++
	}
}

// ofFour returns how often the needle's four, or three, at byte i was seen.
func (s *sample) of(n needle, i int, three bool) int {
	if three {
		return int(s.threes[hashFour(threeOf(n.text[i:])&threeMask)>>17])
	}
	return int(s.fours[hashFour(fourOf(n.text[i:]))>>16])
}

// often returns how many times a line the needle is expected, at most once:
// what was seen, and what is likely of a needle of that length, which counts
// as much as guessLines lines. What was seen is rounded up to a power of two,
// so that noise changes no choice.
func (s *sample) often(n needle) float64 {
	seen := 1 << 16
	switch len(n.text) {
	case 2:
		seen = int(s.twos[(uint32(n.text[0])|uint32(n.text[1])<<8|foldFour)&0xffff])
	case 3:
		seen = s.of(n, 0, true)
	}
	for i := 0; i+fourLen <= len(n.text); i++ {
		seen = min(seen, s.of(n, i, false))
	}
	return min(1, (float64(roundUp(seen))+guess(n)*guessLines)/float64(s.lines+guessLines))
}

// guessLines is how many lines the guess is worth.
const guessLines = 20

// guess is how often a needle stands in a line of which nothing is known.
func guess(n needle) float64 {
	if n.common() {
		return 0.5
	}
	return 0.4 / float64(len(n.text)*len(n.text))
}

// roundUp returns the least power of two that is not less than n.
func roundUp(n int) int {
	p := 0
	for p = 1; p < n; p *= 2 {
	}
	if n == 0 {
		return 0
	}
	return p
}
