package logs

import (
	"bytes"
	"io"
	"time"
)

// How much is read at once, in bytes.
const (
	blockSize = 256 << 10 // fits the second-level cache; larger blocks read no faster
	maxLine   = 1 << 20   // longest line that is handed to the rules, its newline not counted
	zeroRun   = 64        // blocks of NUL bytes that are passed in one call
)

// buffer is what a worker reads into. It is of one block, and of maxLine while
// a line needs that.
type buffer struct{ b []byte }

func newBuffer() *buffer { return &buffer{make([]byte, maxBefore+blockSize)} }

// grow makes room for the longest line.
func (b *buffer) grow() { b.b = make([]byte, maxBefore+maxLine+1) }

// shrink takes the room for long lines back.
func (b *buffer) shrink() {
	if len(b.b) > maxBefore+blockSize {
		*b = *newBuffer()
	}
}

// outcome is what a look into a file gave.
type outcome uint8

const (
	atEnd    outcome = iota // no whole line for now
	gotLines                // a block of whole lines
	gotOn                   // nothing to hand over, but the position moved, or there is more to look at
	began                   // the first line of a file that was empty is there
	replaced                // the bytes before the position are not those that were read
)

// follower reads whole lines from one open file. It knows nothing of names,
// rules and events. Not for concurrent use.
type follower struct {
	place
	content content
	real    fileID // of the file that is open; place.id where it is not a copy

	first  []byte // the bytes of place.head; nil = not known yet
	behind []byte // the bytes of place.before
	zeros  int64  // so many NUL bytes from off on were seen, up to the end
	size   int64  // where the end was when it was last met
	long   int    // lines that were skipped for their length

	last     place     // the incarnation before this one, while head is unknown
	live     bool      // the watched path leads to it
	unsure   bool      // it was empty when it was last compared with the copies beside it
	sealed   bool      // nothing will be added: a copy, or compressed
	cut      bool      // its end may lie anywhere in a line: a copy of a file in use
	deadline time.Time // when a file that was rotated away is let go; zero = not yet known
}

// next reads the next block of whole lines into buf and moves the position
// behind it. The block, for gotLines only, aliases buf and starts at offset at.
//
// Whether the file was replaced is looked at after each read, so that a block
// read while a truncation went on is thrown away rather than handed over.
func (f *follower) next(buf *buffer) (block []byte, at int64, what outcome, err error) {
	back := len(f.behind)
	for {
		room := buf.b
		if len(room) > back+maxLine+1 {
			room = room[:back+maxLine+1] // a line's fate must not depend on where a block began
		}
		n, err := f.content.ReadAt(room, f.off-int64(back))
		if err != nil && err != io.EOF {
			return nil, 0, atEnd, err
		}
		if n < back || !bytes.Equal(room[:back], f.behind) {
			return nil, 0, replaced, nil
		}
		if same, err := f.sameHead(); err != nil || !same {
			return nil, 0, replaced, err
		}
		data, full := room[back:n], n == len(room)
		if !full {
			f.size = f.off + int64(len(data))
		}
		switch {
		case len(data) == 0:
			return nil, 0, atEnd, nil
		case f.skip:
			f.leap(data)
			return nil, 0, gotOn, nil
		case data[0] == 0 && allZero(data):
			what, err := f.passZeros(buf.b, int64(len(data)), full)
			return nil, 0, what, err
		case f.first == nil && data[0] == 0:
			f.advance(data[:countZeros(data)])
			return nil, 0, gotOn, nil
		case f.first == nil:
			if f.setFirst(headOf(data), f.off); f.first == nil {
				return nil, 0, atEnd, nil
			}
			if same, err := f.sameHead(); err != nil || !same {
				f.setFirst(nil, 0) // half of what was read is what came after a truncation
				return nil, 0, gotOn, err
			}
		}
		if f.unsure {
			f.unsure = false
			return nil, 0, began, nil
		}
		f.zeros = 0
		if end := bytes.LastIndexByte(data, '\n') + 1; end > 0 {
			at, block = f.off, data[:end]
			f.advance(block)
			blankZeros(block)
			return block, at, gotLines, nil
		}
		switch {
		case data[0] == 0: // an unfinished line behind NUL bytes
			f.advance(data[:countZeros(data)])
			return nil, 0, gotOn, nil
		case !full:
			return nil, 0, atEnd, nil
		case len(data) > maxLine:
			f.long++
			f.skip = true
			f.advance(data)
			return nil, 0, gotOn, nil
		}
		buf.grow()
	}
}

// rest returns the unfinished last line of a file that is let go, and moves
// behind it; nil if there is none. With more, something was written meanwhile
// that next has to see first.
func (f *follower) rest(buf *buffer) (line []byte, at int64, more bool, err error) {
	was := f.off
	block, _, what, err := f.next(buf)
	switch {
	case err != nil || what == replaced:
		return nil, 0, false, err
	case block != nil: // next has moved: go back
		return nil, 0, true, f.seek(was)
	case what != atEnd:
		return nil, 0, true, nil
	case f.size <= f.off || f.skip || f.cut || f.zeros > 0:
		return nil, 0, false, nil
	}
	data := make([]byte, f.size-f.off) // at most maxLine, or next had passed it
	n, err := f.content.ReadAt(data, f.off)
	if err != nil && err != io.EOF {
		return nil, 0, false, err
	}
	data = data[:n]
	if f.first == nil {
		f.setFirst(data[:min(n, maxHead)], f.off)
	}
	f.advance(data)
	return data, f.off - int64(n), false, nil
}

// sameHead reports whether the file still begins as it did.
func (f *follower) sameHead() (bool, error) {
	if f.first == nil || f.sealed {
		return true, nil
	}
	var b [maxHead]byte
	n, err := f.content.ReadAt(b[:len(f.first)], f.head.at)
	if err != nil && err != io.EOF {
		return false, err
	}
	return bytes.Equal(b[:n], f.first), nil
}

// setFirst sets the identity of the content, nil while its first line is not
// known, and where that line is.
func (f *follower) setFirst(head []byte, at int64) {
	f.first, f.head, f.gen = bytes.Clone(head), digestOf(head, at), 0
	if head != nil && f.last.head == f.head {
		f.gen = f.last.gen + 1
	}
}

// readHead returns the first line that the file has now, at most maxHead bytes
// of it, and where it is; nil if there is none.
func (f *follower) readHead() ([]byte, int64, error) {
	b := make([]byte, maxHead)
	for at, big := int64(0), false; ; {
		n, err := f.content.ReadAt(b, at)
		if err != nil && err != io.EOF {
			return nil, 0, err
		}
		z := countZeros(b[:n])
		at += int64(z)
		switch {
		case z == 0:
			head := headOf(b[:n])
			again := make([]byte, len(head))
			if n, err := f.content.ReadAt(again, at); err != nil && err != io.EOF {
				return nil, 0, err
			} else if !bytes.Equal(again[:n], head) { // it was emptied while it was read
				at = 0
				continue
			}
			return bytes.Clone(head), at, nil
		case z == n && n < len(b):
			return nil, 0, nil
		}
		if p, ok := f.content.(plain); ok {
			at = p.nextData(at)
		}
		if !big && z == n {
			b, big = make([]byte, blockSize), true
		}
	}
}

// advance moves the position behind data, which lies at it.
func (f *follower) advance(data []byte) {
	f.off += int64(len(data))
	if len(data) >= maxBefore {
		f.behind = append(f.behind[:0], data[len(data)-maxBefore:]...)
	} else {
		f.behind = append(f.behind, data...)
		if over := len(f.behind) - maxBefore; over > 0 {
			f.behind = f.behind[:copy(f.behind, f.behind[over:])]
		}
	}
}

// here returns the position with all that identifies it.
func (f *follower) here() place {
	p := f.place
	p.before = digestOf(f.behind, f.off-int64(len(f.behind)))
	return p
}

// leap moves through a line that is too long.
func (f *follower) leap(data []byte) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		data, f.skip = data[:i+1], false
	}
	f.advance(data)
}

// passZeros looks for the end of a run of NUL bytes, such as a crash leaves, or
// a writer that goes on at its old offset after a truncation. The run is passed
// once something stands behind it: until then it may be space that the writer
// has set aside and will fill. seen is how many NUL bytes from the position on
// were read already; more says that the file goes on behind them.
func (f *follower) passZeros(b []byte, seen int64, more bool) (outcome, error) {
	f.zeros = max(f.zeros, seen)
	if !more {
		f.size = f.off + f.zeros
		return atEnd, nil
	}
	for range zeroRun {
		if p, ok := f.content.(plain); ok {
			f.zeros = max(f.zeros, p.nextData(f.off+f.zeros)-f.off)
		}
		n, err := f.content.ReadAt(b, f.off+f.zeros)
		if err != nil && err != io.EOF {
			return atEnd, err
		}
		z := countZeros(b[:n])
		f.zeros += int64(z)
		if z < n {
			return gotOn, f.seek(f.off + f.zeros)
		}
		if n < len(b) {
			f.size = f.off + f.zeros
			return atEnd, nil
		}
	}
	return gotOn, nil
}

// seek sets the position, which must lie within the file, and reads what
// identifies it.
func (f *follower) seek(off int64) error {
	if f.first == nil {
		head, at, err := f.readHead()
		if err != nil {
			return err
		}
		f.setFirst(head, at)
	}
	b := make([]byte, min(off, maxBefore))
	n, err := f.content.ReadAt(b, off-int64(len(b)))
	if err != nil && err != io.EOF {
		return err
	}
	f.off, f.zeros, f.behind = off, 0, b[:n]
	return nil
}

// restart goes to the beginning of a file that was emptied and filled anew.
func (f *follower) restart() {
	f.last, f.unsure = f.place, true
	f.off, f.zeros, f.skip, f.first, f.behind = 0, 0, false, nil, f.behind[:0]
	f.head, f.gen, f.size = digest{}, 0, 0
}

// verify reports whether the file holds at place p what was read there before,
// and takes the position if so.
func (f *follower) verify(p place) bool {
	head, ok := p.head.read(f.content)
	if !ok {
		return false
	}
	before, ok := p.before.read(f.content)
	if ok {
		f.place, f.first, f.behind = p, head, before
	}
	return ok
}

func allZero(b []byte) bool { return countZeros(b) == len(b) }

// countZeros returns how many NUL bytes b begins with.
func countZeros(b []byte) int { return len(b) - len(bytes.TrimLeft(b, "\x00")) }

// blankZeros turns the NUL bytes at the start of each line of block into
// newlines, so that offsets stay and the line behind them reads as it was
// meant. NUL bytes within a line stay: as a line break they would let whoever
// is quoted in a log write lines of his own.
func blankZeros(block []byte) {
	for at := 0; at < len(block); {
		i := bytes.IndexByte(block[at:], 0)
		if i < 0 {
			return
		}
		at += i
		start := at == 0 || block[at-1] == '\n'
		for at < len(block) && block[at] == 0 {
			if start {
				block[at] = '\n'
			}
			at++
		}
	}
}
