package rules

// habit says when to look anew at what a source writes. It looks at the first
// large block, then ever more seldom as long as the plan holds good, and soon
// where many lines were looked at for nothing.
type habit struct {
	bytes int // since the last look
	tried int // lines that had a needle
	hit   int // lines that hit
	wait  int // bytes until the next look; 0 = there was none yet
	fret  int // bytes until the next look where much is for nothing
}

const (
	leastStudy = 16 << 10  // bytes of a block that is worth looking at
	firstWait  = 4 << 20   // bytes, after a change of plan
	firstFret  = 512 << 10 // bytes, after a change of plan
	longest    = 64 << 20  // bytes that wait and fret grow to
	lineGuess  = 128       // bytes of a line
)

// study looks at a block if it is time to, and changes the plan if that pays.
// It changes no result.
func (s *Scanner) study(block []byte) {
	h := &s.habit
	if h.bytes += len(block); len(block) < leastStudy || len(s.m.needles) == 0 {
		return
	}
	vain := h.tried - h.hit
	if h.bytes < h.wait && (h.bytes < h.fret || vain*8 < h.bytes/lineGuess) {
		return
	}
	c, ok := s.m.samples.Get().(*sample)
	if !ok {
		c = new(sample)
	}
	c.take(block)
	p := s.m.planFor(c, s.plan)
	s.m.samples.Put(c)
	changed := p != s.plan
	if changed {
		s.use(p)
	}
	next := habit{wait: min(2*h.wait, longest), fret: min(2*h.fret, longest)}
	if changed || h.wait == 0 {
		next.wait, next.fret = firstWait, firstFret
	}
	*h = next
}
