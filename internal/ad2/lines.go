package ad2

// MaxLine is the longest line in bytes that is kept whole. The longest message
// of a device has about 130; of a longer line the end is kept, because that is
// where a message that can still be read would stand.
const MaxLine = 512

// Lines cuts a stream of bytes into lines. Either of CR and LF ends a line,
// empty lines are skipped, NUL and 0xff are dropped: a device that restarts
// sends them, and so does a client that speaks telnet. The zero value is ready
// to use; it is not for concurrent use.
type Lines struct {
	part []byte
	// Dropped counts bytes that belong to no line: noise, and the starts of lines
	// that were too long.
	Dropped uint64
}

// Feed takes the next bytes and calls yield for each line that they complete.
// The line is valid until yield returns.
func (l *Lines) Feed(block []byte, yield func(line []byte)) {
	for _, b := range block {
		switch b {
		case '\r', '\n':
			if len(l.part) > 0 {
				yield(l.part)
			}
			l.part = l.part[:0]
		case 0, 0xff:
			l.Dropped++
		default:
			if len(l.part) == MaxLine {
				half := MaxLine / 2
				copy(l.part, l.part[half:])
				l.part = l.part[:MaxLine-half]
				l.Dropped += uint64(half)
			}
			l.part = append(l.part, b)
		}
	}
}

// Pending returns how many bytes of an unfinished line are held.
func (l *Lines) Pending() int { return len(l.part) }

// Reset forgets an unfinished line, as when the connection was lost.
func (l *Lines) Reset() {
	l.Dropped += uint64(len(l.part))
	l.part = l.part[:0]
}
