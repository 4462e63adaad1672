package hooks

import (
	"sync"
	"time"
)

// progress finds how far a hook has come when several runs of it end in any order:
// up to the first record that is still in hand. Safe for concurrent use.
type progress struct {
	mu      sync.Mutex // guards what follows
	inHand  []uint64   // ascending, since records come in order
	newest  uint64     // the last one that was looked at
	saved   uint64
	savedAt time.Time
	save    func(uint64)
}

// saveEvery is how often a cursor is written at most while much happens; a record
// that is delivered is noted at once.
const saveEvery = 200 * time.Millisecond

// begin notes that a record is in hand.
func (p *progress) begin(seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inHand, p.newest = append(p.inHand, seq), seq
}

// pass notes that a record is none of the hook's.
func (p *progress) pass(seq uint64, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.newest = seq
	if now.Sub(p.savedAt) >= saveEvery {
		p.write(now)
	}
}

// end notes that a record is dealt with.
func (p *progress) end(seq uint64, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, s := range p.inHand {
		if s == seq {
			p.inHand = append(p.inHand[:i], p.inHand[i+1:]...)
			break
		}
	}
	p.write(now)
}

// flush writes how far the hook has come.
func (p *progress) flush(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.write(now)
}

func (p *progress) write(now time.Time) {
	done := p.newest
	if len(p.inHand) > 0 {
		done = p.inHand[0] - 1
	}
	if done > p.saved {
		p.save(done)
		p.saved = done
	}
	p.savedAt = now
}
