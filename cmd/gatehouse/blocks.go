package main

import (
	"bytes"
	"io"
)

// blockSize is how much of a log is looked at at once, in bytes: large enough
// that the cost of a block does not count, small enough for the cache of a
// processor.
const blockSize = 256 << 10

// blocks cuts a log into blocks of whole lines. Of a line longer than
// blockSize only the beginning is returned, as a line of its own. Make one with
// newBlocks. Not for concurrent use.
type blocks struct {
	r    io.Reader
	buf  []byte
	n    int   // bytes in buf
	used int   // of these, returned by the last next
	skip bool  // the rest of a long line is to be thrown away
	end  error // what the reader ended with
	read int64 // bytes read so far
}

func newBlocks(r io.Reader) *blocks { return &blocks{r: r, buf: make([]byte, blockSize)} }

// next returns the next block, valid until the next call; its last line may
// lack its newline. At the end the error is io.EOF.
func (b *blocks) next() ([]byte, error) {
	b.n = copy(b.buf, b.buf[b.used:b.n])
	b.used = 0
	for {
		if b.skip {
			i := bytes.IndexByte(b.buf[:b.n], '\n')
			if b.skip = i < 0; b.skip {
				b.n = 0
			} else {
				b.n = copy(b.buf, b.buf[i+1:b.n])
			}
		}
		if i := bytes.LastIndexByte(b.buf[:b.n], '\n'); i >= 0 {
			b.used = i + 1
			return b.buf[:b.used], nil
		}
		if b.n == len(b.buf) {
			b.used, b.skip = b.n, true
			return b.buf[:b.n], nil
		}
		if b.end != nil {
			if b.n > 0 && b.end == io.EOF {
				b.used = b.n
				return b.buf[:b.n], nil
			}
			return nil, b.end
		}
		var n int
		n, b.end = b.r.Read(b.buf[b.n:])
		b.n += n
		b.read += int64(n)
	}
}
