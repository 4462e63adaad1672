package lists

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"time"

	"gatehouse/internal/gate"
	"gatehouse/internal/lists/formats"
)

// Limits bound what a list may cost. The zero value of a field means its default.
type Limits struct {
	Size    int64 // bytes on the wire, and bytes unpacked; default 64 MB
	Entries int   // networks named; default 2,000,000
}

func (l Limits) withDefaults() Limits {
	if l.Size <= 0 {
		l.Size = 64 << 20
	}
	if l.Entries <= 0 {
		l.Entries = 2_000_000
	}
	return l
}

// Content is what was made of a list.
type Content struct {
	Set     *Set
	Summary formats.Summary
	Wide    int    // entries that were left out because they are too wide
	Private int    // that were left out or cut because they are private or reserved
	Remark  string // what was left out, a sentence; "" = nothing
}

// errTooMany says that a list has more entries than it may.
var errTooMany = errors.New("too many entries")

// maxFirstFault bounds the fault that a remark quotes.
const maxFirstFault = 160

// Read reads a list, unpacks it where it is compressed, and merges what it names.
// Private networks are kept if private says so. The error says in a clause why the
// list cannot be used.
func Read(src io.Reader, f formats.Format, private bool, l Limits, now time.Time) (Content, error) {
	l = l.withDefaults()
	src, err := Unpack(src, l.Size)
	if err != nil {
		return Content{}, err
	}
	var c Content
	var b builder
	first, wide := "", ""
	o := formats.Options{Format: f, Now: now, Fault: func(x formats.Fault) {
		if first == "" {
			if first = x.What; x.Line > 0 {
				first = fmt.Sprintf("line %d: %s", x.Line, x.What)
			}
			first = first[:min(len(first), maxFirstFault)]
		}
	}}
	c.Summary, err = formats.Read(src, o, func(e formats.Entry) error {
		if least := MinBits6; e.Prefix.Bits() < least && (!e.Prefix.Addr().Is4() || e.Prefix.Bits() < MinBits4) {
			if c.Wide++; c.Wide == 1 {
				wide = e.Prefix.String()
			}
			return nil
		}
		if b.len() == l.Entries {
			return errTooMany
		}
		b.add(e.Prefix)
		return nil
	})
	switch {
	case errors.Is(err, errTooMany):
		return c, fmt.Errorf("it has more than %d entries", l.Entries)
	case err != nil:
		return c, err
	case c.Summary.Lines == 0 && c.Summary.Entries == 0:
		return c, errors.New("it is empty")
	case c.Summary.Faults > c.Summary.Entries:
		return c, fmt.Errorf("it is no list: %d entries, and %d that make no sense (%s)", c.Summary.Entries, c.Summary.Faults, first)
	}
	c.Set = b.set()
	var cut Cut
	if !private {
		c.Set, cut = c.Set.Without(special)
		c.Private = cut.Networks
	}
	c.remark(first, wide, cut)
	return c, nil
}

// remark says what was left out.
func (c *Content) remark(first, wide string, cut Cut) {
	say := func(format string, a ...any) {
		if c.Remark != "" {
			c.Remark += "; "
		}
		c.Remark += fmt.Sprintf(format, a...)
	}
	if c.Wide > 0 {
		say("what is wider than /%d or /%d was left out: %s, such as %s", MinBits4, MinBits6, counted(c.Wide, "network"), wide)
	}
	if c.Private > 0 {
		say("what is private or reserved was left out: %s, such as %s", counted(c.Private, "network"), cut.First)
	}
	if c.Summary.Faults > 0 {
		say("what makes no sense was left out: %s (%s)", counted(c.Summary.Faults, "line"), first)
	}
}

// Unpack returns what is in src, unpacked if it is compressed with gzip; reading more
// than max bytes out of it is an error.
func Unpack(src io.Reader, max int64) (io.Reader, error) {
	in := bufio.NewReader(src)
	head, err := in.Peek(2)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if !bytes.Equal(head, []byte{0x1f, 0x8b}) { // RFC 1952, section 2.3.1
		return &limited{r: in, left: max, what: "it is larger than"}, nil
	}
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("it cannot be unpacked: %w", err)
	}
	return &limited{r: z, left: max, what: "it unpacks to more than"}, nil
}

// limited passes at most so many bytes, and fails with a reason when there are more.
type limited struct {
	r    io.Reader
	left int64
	what string
	all  int64
}

// Read implements io.Reader.
func (l *limited) Read(b []byte) (int, error) {
	if l.all == 0 {
		l.all = l.left
	}
	if l.left < 0 {
		return 0, l.tooMuch()
	}
	n, err := l.r.Read(b[:min(int64(len(b)), l.left+1)])
	if l.left -= int64(n); l.left < 0 {
		return 0, l.tooMuch()
	}
	if err != nil && err != io.EOF {
		err = fmt.Errorf("it cannot be read: %w", err)
	}
	return n, err
}

func (l *limited) tooMuch() error { return fmt.Errorf("%s %s", l.what, megabytes(l.all)) }

// counted writes a number and what it counts.
func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

func megabytes(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d kB", n>>10)
	}
	return fmt.Sprintf("%d MB", n>>20)
}

// quote makes text from outside fit for a sentence.
func quote(s string) string { return gate.Quote(s, 100) }
