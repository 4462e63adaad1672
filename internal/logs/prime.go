package logs

import (
	"bytes"
	"io"
	"time"

	"gatehouse/internal/rules"
)

// remembering is a lineReader to which it matters what went before a block.
type remembering interface {
	// prime shows it whole lines that were read in an earlier life, of the file of
	// this epoch. They give no events.
	prime(past []byte, epoch uint64, now time.Time)
}

// prime implements remembering.
func (h *hits) prime(past []byte, epoch uint64, now time.Time) {
	if h.bared {
		h.unwrap(past, epoch)
	}
	if h.scanner.Remembers() {
		h.scanner.Prime(past, now)
	}
}

// prime implements remembering.
func (s several) prime(past []byte, epoch uint64, now time.Time) {
	for _, r := range s {
		if r, ok := r.(remembering); ok {
			r.prime(past, epoch, now)
		}
	}
}

// prime shows a new lineReader, before its first block, what the file has before
// that: sessions that began there go on behind it. What cannot be read is left
// out.
func (s *source) prime(f *follower, at int64, now time.Time) {
	if s.primed {
		return
	}
	s.primed = true
	r, ok := s.lines.(remembering)
	if _, inFile := f.content.(plain); !ok || !inFile || at <= 0 {
		return // a compressed file would be unpacked anew
	}
	past := make([]byte, min(at, rules.PrimeSize))
	n, err := f.content.ReadAt(past, at-int64(len(past)))
	if err != nil && err != io.EOF || n < len(past) {
		return
	}
	if int64(n) < at { // it begins somewhere in a line
		past = past[bytes.IndexByte(past, '\n')+1:]
	}
	past = past[:bytes.LastIndexByte(past, '\n')+1]
	blankZeros(past)
	if len(past) > 0 {
		r.prime(past, f.epoch(), now)
	}
}
