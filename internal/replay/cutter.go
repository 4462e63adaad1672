package replay

import (
	"bytes"
	"io"
)

// cutter cuts a log into blocks of whole lines. Of a line longer than a block
// only the beginning is returned, as a line of its own. Not for concurrent use.
type cutter struct {
	r     io.Reader
	carry []byte // the unfinished line behind the last block
	at    int64  // offset of carry in the log
	skip  bool   // the rest of a long line is to be thrown away
	end   error  // what the reader ended with
}

// maxEmptyReads is how often in a row a reader may return nothing.
const maxEmptyReads = 100

// next fills buf and returns how much of it is the block, and where in the log
// the block begins. At the end the error is io.EOF; the lines before another
// error are returned first.
func (c *cutter) next(buf []byte) (n int, offset int64, err error) {
	n = copy(buf, c.carry)
	c.carry = c.carry[:0]
	for empty := 0; ; {
		if c.skip {
			i := bytes.IndexByte(buf[:n], '\n')
			if c.skip = i < 0; c.skip {
				i = n - 1
			}
			c.at += int64(i + 1)
			n = copy(buf, buf[i+1:n])
		}
		if n == len(buf) || c.end != nil {
			return c.cut(buf, n)
		}
		var m int
		m, c.end = c.r.Read(buf[n:])
		n += m
		if empty++; m > 0 {
			empty = 0
		} else if empty == maxEmptyReads && c.end == nil {
			c.end = io.ErrNoProgress
		}
	}
}

// cut returns the whole lines of buf[:n], which is full or the last.
func (c *cutter) cut(buf []byte, n int) (int, int64, error) {
	if n == 0 {
		return 0, c.at, c.end
	}
	size := bytes.LastIndexByte(buf[:n], '\n') + 1
	if size == 0 {
		size, c.skip = n, n == len(buf)
	}
	offset := c.at
	c.at += int64(size)
	c.carry = append(c.carry, buf[size:n]...)
	return size, offset, nil
}
