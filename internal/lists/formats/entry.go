package formats

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"gatehouse/internal/gate"
)

// MaxLine is the longest line, and the longest string of JSON, that is read, in
// bytes; a longer one is left out.
const MaxLine = 64 << 10

// Entry is one network of a list, with what the list says of it.
type Entry struct {
	Prefix  netip.Prefix  // masked; an address has full length; IPv4 in IPv6 is IPv4
	Line    int           // from 1; 0 in JSON
	Rule    string        // under which rule, jail or set it stands, as gate.IsName wants it; may be ""
	Left    time.Duration // how long it is still to last; 0 = the list does not say
	Ports   gate.Ports    // only these ports; empty = all
	Comment string        // what the list says of it, at most 200 bytes, hostile; may be ""
}

// Fault is something in a list that was left out, and why.
type Fault struct {
	Line int    // from 1; 0 in JSON
	What string // a clause, with the text quoted
}

// Options says how to read. The zero value detects the form and ignores faults.
type Options struct {
	Format Format      // Auto detects it by content
	Now    time.Time   // for forms that state when an entry ends; zero = such an end is not looked at
	Chain  string      // of iptables-save only: the chain to take; "" = all of them
	Fault  func(Fault) // told of each thing that was left out; may be nil
}

// Summary is what was read.
type Summary struct {
	Format  Format // as which it was read
	Lines   int    // lines looked at; of JSON, objects
	Entries int    // handed over
	Faults  int    // left out because they make no sense
	Long    int    // of these, left out because they are too long
}

// ErrNotList is what the error of Read wraps where the text is no list at all.
var ErrNotList = errors.New("not a list of addresses")

// notList is the error for a text that is something else.
func notList(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrNotList, fmt.Sprintf(format, a...))
}

// maxComment bounds an entry's comment in bytes.
const maxComment = 200

// reading is one list while it is read.
type reading struct {
	o     Options
	yield func(Entry) error
	sum   Summary
	line  int
}

// fault notes that something was left out.
func (r *reading) fault(format string, a ...any) {
	r.sum.Faults++
	if r.o.Fault != nil {
		r.o.Fault(Fault{r.line, fmt.Sprintf(format, a...)})
	}
}

// add hands an entry over.
func (r *reading) add(e Entry) error {
	e.Line = r.line
	if len(e.Comment) > maxComment {
		e.Comment = e.Comment[:maxComment]
	}
	if !gate.IsName(e.Rule) {
		e.Rule = ""
	}
	r.sum.Entries++
	return r.yield(e)
}

// addAll hands over one entry for each prefix.
func (r *reading) addAll(ps []netip.Prefix, e Entry) error {
	for _, p := range ps {
		e.Prefix = p
		if err := r.add(e); err != nil {
			return err
		}
	}
	return nil
}

// Read reads a list and calls yield with each of its entries, in order, until
// yield returns an error, which is returned as it is. A text that is no list gives
// an error that wraps ErrNotList; what is wrong within a list is left out and told
// to Options.Fault.
func Read(src io.Reader, o Options, yield func(Entry) error) (Summary, error) {
	in := bufio.NewReaderSize(src, MaxLine)
	head, err := in.Peek(MaxLine)
	if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
		return Summary{}, err
	}
	r := &reading{o: o, yield: yield}
	if r.sum.Format, err = o.Format.settle(head); err != nil {
		return r.sum, err
	}
	if skip := len(head) - len(trimMark(head)); skip > 0 {
		_, _ = in.Discard(skip) // it was peeked at: it is there
	}
	switch r.sum.Format {
	case JSON:
		err = r.json(in)
	case NFT:
		if text := bytes.TrimSpace(trimMark(head)); len(text) == 0 || text[0] == '{' || text[0] == '[' {
			err = r.nft(in)
		} else {
			err = r.text(in)
		}
	default:
		err = r.text(in)
	}
	return r.sum, err
}
