package logs

import (
	"bytes"
	"slices"
	"sort"
	"time"

	"gatehouse/internal/gate"
)

// worth is what a line proves because of how it came.
type worth uint8

const (
	worthRule worth = iota // what the rule says
	worthLess              // at most gate.Forgeable: anybody can have sent it in another's name
	worthNone              // nothing: someone wrote it who is not the service
)

// about is what is known of a line besides its text.
type about struct {
	epoch  uint64    // of its origin
	offset int64     // of its origin
	time   time.Time // when it was written; zero = as it says itself
	via    string    // which host it came from, where it does not say so itself
	worth  worth
	not    []string // watches that it does not count for
}

// bundle is lines that came by another way than a file, with what is known of
// each, until they are handed over together. Each is one line whatever is in it.
// The zero value is empty. It is not for concurrent use.
type bundle struct {
	text  []byte
	at    []int // where each line begins
	about []about
}

// fullBundle is how many bytes of lines are gathered at most before they are
// handed over.
const fullBundle = blockSize

// add adds a line, made of these parts. Line ends within it become #012 and #015,
// as rsyslog writes them: nobody begins a line of his own by way of a name.
func (b *bundle) add(a about, parts ...[]byte) {
	b.at, b.about = append(b.at, len(b.text)), append(b.about, a)
	for _, p := range parts {
		for {
			i := bytes.IndexByte(p, '\n')
			if i < 0 {
				break
			}
			b.text = append(append(b.text, p[:i]...), "#012"...)
			p = p[i+1:]
		}
		b.text = append(b.text, p...)
	}
	b.text = append(b.text, '\n')
}

func (b *bundle) empty() bool { return len(b.at) == 0 }

// clear empties the bundle, and keeps room for the next.
func (b *bundle) clear() {
	clear(b.about)
	b.text, b.at, b.about = b.text[:0], b.at[:0], b.about[:0]
	if cap(b.text) > 2*fullBundle {
		*b = bundle{}
	}
}

// read runs the rules over the lines and returns their events with their origins
// and what is known of them, how many of them prove nothing, and how many lines
// were too long.
func (b *bundle) read(lines lineReader, at spot) (events []gate.Event, void, skipped int) {
	at.origin.Offset = 0
	all, _, skipped := lines.read(b.text, at)
	for _, e := range all {
		a := &b.about[sort.SearchInts(b.at, int(e.Origin.Offset)+1)-1]
		if slices.Contains(a.not, e.Rule) {
			continue
		}
		e.Origin.Epoch, e.Origin.Offset = a.epoch, a.offset
		if !a.time.IsZero() {
			e.Time = when(a.time, at)
		}
		if e.Detail.Via == "" {
			e.Detail.Via = clip(a.via, maxVia)
		}
		switch {
		case a.worth == worthLess:
			e.Evidence = min(e.Evidence, gate.Forgeable)
		case a.worth == worthNone:
			if e.Class.Counts() {
				void++
			}
			e.Class, e.Evidence = gate.ClassInfo, gate.Forgeable
		}
		events = append(events, e)
	}
	return events, void, skipped
}

// when returns when a line happened whose time is told by who brought it: never
// in the future, and for a line that came just now, not far from now.
func when(said time.Time, at spot) time.Time {
	if said.After(at.now) || at.live && at.now.Sub(said) > believable {
		return at.now
	}
	return said
}
