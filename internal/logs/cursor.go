package logs

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// maxCursor bounds a cursor of journald, in bytes; they have about 130.
const maxCursor = 512

// cursor is a position in the journal, as journald writes it
// (systemd.journal-fields(7), __CURSOR=): it names an entry. Its text is the mark
// of what was read from the journal.
type cursor struct {
	text string
	file string // s=: which sequence of numbers
	seq  uint64 // i=: the entry's number in it
	boot string // b=
	mono uint64 // m=: microseconds since that boot
	real uint64 // t=: microseconds of the Unix epoch
	sum  uint64 // x=: of the entry's fields
}

// parseCursor reads a cursor. What it takes is safe on a command line.
func parseCursor(text string) (c cursor, ok bool) {
	if len(text) > maxCursor {
		return cursor{}, false
	}
	c.text = text
	var seen [6]bool
	for part := range strings.SplitSeq(text, ";") {
		key, value, _ := strings.Cut(part, "=")
		i := strings.Index("sibmtx", key)
		if len(key) != 1 || i < 0 || seen[i] {
			return cursor{}, false
		}
		seen[i] = true
		switch key {
		case "s", "b":
			if _, err := hex.DecodeString(value); err != nil || len(value) != 32 {
				return cursor{}, false
			}
			if key == "s" {
				c.file = value
			} else {
				c.boot = value
			}
			continue
		}
		n, err := strconv.ParseUint(value, 16, 63)
		if key == "x" {
			n, err = strconv.ParseUint(value, 16, 64)
		}
		if err != nil {
			return cursor{}, false
		}
		*[...]*uint64{1: &c.seq, 3: &c.mono, 4: &c.real, 5: &c.sum}[i] = n
	}
	return c, seen == [6]bool{true, true, true, true, true, true}
}

// upTo reports whether c is the entry o or one before it. Within a boot the clock
// that never goes back decides, then the number: when journald moves what it wrote
// early in a boot to disk, the entries keep their time and get new numbers.
func (c cursor) upTo(o cursor) bool {
	switch {
	case o.text == "":
		return false
	case c.boot == o.boot && c.mono != o.mono:
		return c.mono < o.mono
	case c.file == o.file:
		return c.seq <= o.seq
	case c.real != o.real:
		return c.real < o.real
	}
	return c.sum == o.sum // the same entry, moved to another file
}

// time returns when the entry came, by the wall clock.
func (c cursor) time() time.Time { return time.UnixMicro(int64(c.real)) }

// epoch returns what distinguishes this sequence of numbers from every other, for
// [gate.Origin].
func (c cursor) epoch() uint64 { return digestOf([]byte(c.file), 0).sum }
