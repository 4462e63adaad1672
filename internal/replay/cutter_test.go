package replay

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// TestCutterLosesNothing: the blocks are the log, whatever the reader returns at a
// time; of a line that is longer than a block its beginning is kept.
func TestCutterLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(4, 40).Draw(t, "size")
		lines := rapid.SliceOf(rapid.StringMatching(`[a-z]{0,100}`)).Draw(t, "lines")
		log := strings.Join(lines, "\n")
		var want []string // each with its offset, as the blocks must have it
		at := 0
		for i, l := range lines {
			end := "\n"
			if i == len(lines)-1 {
				end = ""
			}
			if whole := l + end; len(whole) <= size && whole != "" {
				want = append(want, whole)
			} else if whole != "" {
				want = append(want, whole[:size])
			}
			at += len(l) + 1
		}
		c := cutter{r: iotest.OneByteReader(strings.NewReader(log))}
		var got []string
		buf := make([]byte, size)
		for {
			n, offset, err := c.next(buf)
			if err == io.EOF {
				break
			}
			if err != nil || n == 0 || log[offset:int(offset)+n] != string(buf[:n]) {
				t.Fatalf("%d bytes at %d of %q: %v", n, offset, log, err)
			}
			for l := range bytes.Lines(buf[:n]) {
				got = append(got, string(l))
			}
		}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Fatalf("%q\nwant %q", got, want)
		}
	})
}

func TestCutterKeepsWhatCameBeforeAnError(t *testing.T) {
	broken := errors.New("broken")
	c := cutter{r: io.MultiReader(strings.NewReader("one\ntwo\nthr"), iotest.ErrReader(broken))}
	buf := make([]byte, 64)
	n, _, err := c.next(buf)
	if string(buf[:n]) != "one\ntwo\n" || err != nil {
		t.Fatalf("%q, %v", buf[:n], err)
	}
	if n, _, err = c.next(buf); string(buf[:n]) != "thr" || err != nil {
		t.Fatalf("%q, %v", buf[:n], err)
	}
	if _, _, err = c.next(buf); err != broken {
		t.Fatalf("%v, want %v", err, broken)
	}
}

func TestCutterGivesUpOnNothing(t *testing.T) {
	c := cutter{r: nothing{}}
	if _, _, err := c.next(make([]byte, 64)); err != io.ErrNoProgress {
		t.Fatalf("%v, want %v", err, io.ErrNoProgress)
	}
}

// nothing is a reader that returns nothing, for ever.
type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, nil }
