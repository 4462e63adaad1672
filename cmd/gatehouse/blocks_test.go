package main

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// join reads all blocks; each but the last ends with a whole line.
func join(t require, b *blocks) []byte {
	var all []byte
	for {
		block, err := b.next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil || len(block) == 0 {
			t.Fatalf("block of %d bytes: %v", len(block), err)
		}
		if n := len(all); n > 0 && all[n-1] != '\n' {
			all = append(all, '\n') // the rest of a long line was thrown away
		}
		all = append(all, block...)
	}
}

type require interface {
	Fatalf(format string, a ...any)
}

func TestBlocksAreTheWholeLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.StringMatching(`[a-z]{0,40}`), 0, 60).Draw(t, "lines")
		text := strings.Join(lines, "\n")
		b := newBlocks(iotest.HalfReader(strings.NewReader(text)))
		b.buf = make([]byte, rapid.IntRange(64, 200).Draw(t, "size"))
		if got := join(t, b); string(got) != text {
			t.Fatalf("got %q, want %q", got, text)
		}
		if b.read != int64(len(text)) {
			t.Fatalf("read %d of %d bytes", b.read, len(text))
		}
	})
}

func TestLongLinesAreCut(t *testing.T) {
	long := strings.Repeat("x", 3*blockSize)
	for _, c := range []struct{ in, want string }{
		{"a\n" + long + "\nb\n", "a\n" + long[:blockSize] + "\nb\n"},
		{long, long[:blockSize]},
		{long[:blockSize] + "\nb", long[:blockSize] + "\nb"},
		{long + "\n" + long + "\nb", long[:blockSize] + "\n" + long[:blockSize] + "\nb"},
	} {
		if got := join(t, newBlocks(strings.NewReader(c.in))); string(got) != c.want {
			t.Errorf("%d bytes became %d, want %d", len(c.in), len(got), len(c.want))
		}
	}
	_, err := newBlocks(iotest.ErrReader(io.ErrClosedPipe)).next()
	if !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("an error of the reader comes back, got %v", err)
	}
}
