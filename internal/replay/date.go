package replay

import (
	"bytes"
	"time"

	"gatehouse/internal/rules"
)

// dater reads the dates of lines that no rule takes. Not for concurrent use.
type dater struct {
	scanner *rules.Scanner
	written time.Time // of the log
}

// newDates returns a matcher that takes every line: what it is asked for is the
// date.
func newDates() *rules.Matcher {
	r, err := rules.Adhoc("^")
	if err != nil {
		panic(err) // the expression is ours
	}
	return rules.NewMatcher([]*rules.Rule{r}, rules.Options{})
}

func newDater(f *feed) *dater {
	return &dater{f.dates.Scanner(rules.SourceOptions{Zone: f.o.Zone}), f.source.Written}
}

// of returns the date of a line without its end; zero if it has none.
func (d *dater) of(line []byte) (t time.Time) {
	if len(line) > rules.MaxLine {
		return t
	}
	d.scanner.Scan(line, d.written, func(h *rules.Hit) { t = h.Time })
	if t.IsZero() {
		t = accessDate(line)
	}
	return t
}

// ends returns the dates of the first and the last line of a block.
func (d *dater) ends(block []byte) (first, last time.Time) {
	block = bytes.TrimSuffix(block, newline)
	line, _, _ := bytes.Cut(block, newline)
	return d.of(line), d.of(block[bytes.LastIndexByte(block, '\n')+1:])
}

var newline = []byte{'\n'}

// accessLayout is the date in the log of a web server: in the common log format of
// NCSA httpd, between brackets.
const accessLayout = "02/Jan/2006:15:04:05 -0700"

// accessDate returns the date of a line in the log of a web server; zero if it is
// none.
func accessDate(line []byte) time.Time {
	i := bytes.IndexByte(line, '[')
	if i < 0 || len(line)-i < len(accessLayout)+2 || line[i+1+len(accessLayout)] != ']' {
		return time.Time{}
	}
	t, err := time.Parse(accessLayout, string(line[i+1:i+1+len(accessLayout)]))
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}
