package logs

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"

	"gatehouse/internal/rules"
)

// maxCounted is the longest message whose length a sender may tell, in bytes: what
// is longer than any rule looks at is passed over, what is longer than this is no
// message.
const maxCounted = 1 << 20

// frames takes messages out of a stream of them (RFC 6587): each begins with its
// length and a space (octet counting), or ends with a line feed or a NUL
// (non-transparent framing). Which it is, the first byte of the stream tells:
// messages begin with `<`, lengths with a digit from 1 to 9. It stays so, else a
// line end and a number in what a sender quotes would swallow what follows. It is
// not for concurrent use.
type frames struct {
	r      *bufio.Reader
	buf    []byte // reused
	long   int    // messages that were passed over
	begun  bool
	octets bool // each message has its length before it
}

func newFrames(r io.Reader) *frames { return &frames{r: bufio.NewReaderSize(r, 64<<10)} }

// errFrame says that a sender does not keep to the framing: where the next
// message begins is not known.
var errFrame = errors.New("neither octet counting nor lines (RFC 6587)")

// next returns the next message without its framing, valid until the call after
// it. A message that ends with the stream is one too. It returns io.EOF behind
// the last.
func (f *frames) next() ([]byte, error) {
	for {
		first, err := f.r.Peek(1)
		if err != nil {
			return nil, err
		}
		var m []byte
		long := false
		if !f.begun {
			f.begun, f.octets = true, first[0] >= '1' && first[0] <= '9'
		}
		if f.octets && first[0] == '\n' { // some end what they have counted
			_, _ = f.r.Discard(1)
			continue
		}
		if f.octets {
			m, long, err = f.counted()
		} else {
			m, long, err = f.line()
		}
		switch {
		case err != nil:
			return nil, err
		case long:
			f.long++
		case len(m) > 0:
			return m, nil
		}
	}
}

// buffered reports whether more can be read without waiting.
func (f *frames) buffered() bool { return f.r.Buffered() > 0 }

// counted reads a message behind its length.
func (f *frames) counted() (m []byte, long bool, err error) {
	digits, err := f.r.ReadSlice(' ')
	if err != nil {
		if err == io.EOF && len(bytes.Trim(digits, "0123456789")) == 0 {
			return nil, false, io.EOF
		}
		if err == io.EOF {
			return nil, false, errFrame
		}
		return nil, false, errOr(err, bufio.ErrBufferFull, errFrame)
	}
	if len(digits) > len("1048576 ") {
		return nil, false, errFrame
	}
	n, err := strconv.ParseUint(string(digits[:len(digits)-1]), 10, 31)
	if err != nil || n == 0 || n > maxCounted {
		return nil, false, errFrame
	}
	if n > rules.MaxLine {
		_, err := f.r.Discard(int(n))
		return nil, true, err
	}
	f.buf = append(f.buf[:0], make([]byte, n)...)
	if _, err := io.ReadFull(f.r, f.buf); err != nil {
		return nil, false, ended(err)
	}
	return trimFrame(f.buf), false, nil
}

// line reads a message up to a line feed or a NUL.
func (f *frames) line() (m []byte, long bool, err error) {
	f.buf = f.buf[:0]
	for {
		c, err := f.r.ReadByte()
		switch {
		case err == io.EOF && (len(f.buf) > 0 || long):
			return trimFrame(f.buf), long, nil
		case err != nil:
			return nil, false, err
		case c == '\n' || c == 0:
			return trimFrame(f.buf), long, nil
		case len(f.buf) < rules.MaxLine:
			f.buf = append(f.buf, c)
		default:
			long = true
		}
	}
}

// trimFrame takes line ends and NULs off both ends of a message.
func trimFrame(m []byte) []byte {
	odd := func(c byte) bool { return c == '\n' || c == '\r' || c == 0 }
	for len(m) > 0 && odd(m[len(m)-1]) {
		m = m[:len(m)-1]
	}
	for len(m) > 0 && odd(m[0]) {
		m = m[1:]
	}
	return m
}

func errOr(err, is, instead error) error {
	if errors.Is(err, is) {
		return instead
	}
	return err
}
