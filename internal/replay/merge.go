package replay

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"gatehouse/internal/gate"
)

// Line is one line that a rule takes. It is valid until the call returns.
type Line struct {
	Source *Source
	Time   time.Time    // when it was written, as far as the log says
	Addr   netip.Addr   // of whom it speaks
	Times  int          // how often it stands for
	Login  bool         // a login that succeeded
	Ports  gate.Ports   // of the service that wrote it; empty = not told
	Events []gate.Event // what it is for each watch; without the text of the line
}

// Listener takes what stands in the logs, one thing at a time. An error ends the
// reading.
type Listener interface {
	// Line takes a line that a rule takes.
	Line(*Line) error
	// Known returns who is asked about of lines that no rule takes; nil = nobody.
	Known() func(netip.Addr) bool
	// Passing takes such a line of somebody who is known. It comes before the next
	// Line of its log.
	Passing(*Passing)
}

// head is where the merge is in a feed.
type head struct {
	block *block
	next  int       // the hit that comes next; of a block without hits there is one thing to come, the whole of it
	pos   int       // in the block: all before was reported
	said  time.Time // the last date of the log: of its first line, then of those that hit; zero = there was none
	time  time.Time // of what comes next
	key   int64     // time, in nanoseconds since 1970
	dates *dater
	rank  int // of feeds with the same time the lowest comes first
}

// merge is the state of Run. It belongs to one goroutine.
type merge struct {
	feeds  []*feed // a heap by head
	to     Listener
	events []gate.Event
	line   Line
	report []Account
}

// Run reads the logs to their end and hands what stands in them to the listener.
// It returns an account of each source, in their order, also with an error: that
// of the listener, or of ctx. A log that cannot be read to its end is no error;
// its account has it.
func Run(ctx context.Context, sources []Source, o Options, to Listener) ([]Account, error) {
	o = o.withDefaults(len(sources))
	ctx, cancel := context.WithCancel(ctx)
	work := make(chan *block, o.Workers) // whoever cuts waits where the workers have enough to do
	var wait sync.WaitGroup
	defer wait.Wait()
	defer cancel()
	for range o.Workers {
		wait.Go(func() {
			for {
				select {
				case b := <-work:
					b.scan()
				case <-ctx.Done():
					return
				}
			}
		})
	}
	m := &merge{to: to, report: make([]Account, len(sources))}
	var all matchers
	dates := newDates()
	var feeds []*feed
	for i := range sources {
		f := newFeed(&sources[i], i, &all, dates, o)
		f.head.dates = newDater(f)
		m.report[i].Name = sources[i].Name
		feeds = append(feeds, f)
		wait.Go(func() { f.read(ctx, work) })
	}
	return m.report, m.run(ctx, feeds)
}

// run merges the feeds.
func (m *merge) run(ctx context.Context, feeds []*feed) error {
	for _, f := range feeds {
		more, err := m.fetch(ctx, f)
		if err != nil {
			return err
		}
		if more {
			if from := f.head.block.from; !from.IsZero() {
				f.head.said = f.when(from)
				m.aim(f)
			}
			m.feeds = append(m.feeds, f)
		}
	}
	m.rank()
	for len(m.feeds) > 0 {
		f := m.feeds[0]
		more, err := m.step(ctx, f)
		if err != nil {
			return err
		}
		if !more {
			last := len(m.feeds) - 1
			m.feeds[0] = m.feeds[last]
			m.feeds = m.feeds[:last]
		}
		m.sink(0)
	}
	return ctx.Err()
}

// step takes what comes next from a feed; false at its end.
func (m *merge) step(ctx context.Context, f *feed) (bool, error) {
	h := &f.head
	if h.next < len(h.block.hits) {
		m.take(f)
		if err := m.to.Line(&m.line); err != nil {
			return false, err
		}
	}
	if h.next < len(h.block.hits) {
		m.aim(f)
		return true, nil
	}
	m.pass(f, len(h.block.text), h.block.to)
	f.free <- h.block // there are at most depth of them
	h.block = nil
	return m.fetch(ctx, f)
}

// fetch gets the next block of a feed; false at its end.
func (m *merge) fetch(ctx context.Context, f *feed) (bool, error) {
	select {
	case b, more := <-f.ready:
		if !more {
			m.report[f.place].Err = f.err
			return false, nil
		}
		select {
		case <-b.done:
		case <-ctx.Done():
			return false, ctx.Err()
		}
		m.report[f.place].add(b)
		f.head.block, f.head.next, f.head.pos = b, 0, 0
		m.aim(f)
		return true, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// aim works out when that was what comes next in a feed: a line that hits, or a
// block without hits.
func (m *merge) aim(f *feed) {
	h := &f.head
	if h.next < len(h.block.hits) {
		h.time = f.when(h.block.hits[h.next].time)
	} else {
		h.time = f.when(h.block.from)
	}
	h.key = h.time.UnixNano()
}

// when returns when a line was written: by its own word, never in the future; one
// that says nothing has the last date of its log, and the first one that of the
// file.
func (f *feed) when(said time.Time) time.Time {
	switch {
	case !said.IsZero():
	case f.head.said.IsZero():
		said = f.source.Written
	default:
		return f.head.said
	}
	if said.After(f.o.Now) {
		return f.o.Now
	}
	return said
}

// take fills in the line that comes next in a feed.
func (m *merge) take(f *feed) {
	h := &f.head
	b := h.block
	first := &b.hits[h.next]
	m.pass(f, first.offset, first.time)
	h.pos = min(first.end+1, len(b.text))
	if !first.time.IsZero() {
		h.said = h.time
	}
	m.events = m.events[:0]
	m.line = Line{Source: f.source, Time: h.time, Addr: first.addr, Ports: portsOf(first)}
	i := h.next
	for ; i < len(b.hits) && b.hits[i].offset == first.offset; i++ {
		x := &b.hits[i]
		m.line.Times = max(m.line.Times, x.repeat)
		m.line.Login = m.line.Login || x.class == gate.ClassSuccess
		e := gate.Event{
			Time: h.time, Origin: gate.Origin{Source: f.source.Name, Offset: b.offset + int64(x.offset)},
			Pattern: x.pattern.Name, Subject: gate.AddrSubject(x.addr), Class: x.class, Evidence: x.evidence,
			Detail: gate.Detail{User: x.user, Session: x.session, Via: x.host, Proxied: x.proxied},
		}
		for range x.repeat {
			for _, e.Rule = range f.names[x.rule] {
				m.events = append(m.events, e)
			}
		}
	}
	m.line.Events = m.events
	a := &m.report[f.place]
	a.Hits++
	if a.First.IsZero() {
		a.First = h.time
	}
	a.Last = h.time
	h.next = i
}

// portsOf returns where the service listens whose line it is.
func portsOf(h *hit) gate.Ports {
	if !h.pattern.Ports.IsEmpty() {
		return h.pattern.Ports
	}
	return h.rule.Ports
}

// rank orders the feeds by when they begin: where logs say the same second, the
// one that was written first comes first, whatever order they were named in.
func (m *merge) rank() {
	begun := slices.Clone(m.feeds)
	slices.SortStableFunc(begun, func(a, b *feed) int { return a.when(a.head.block.from).Compare(b.when(b.head.block.from)) })
	for i, f := range begun {
		f.head.rank = i
	}
	for i := len(m.feeds)/2 - 1; i >= 0; i-- {
		m.sink(i)
	}
}

// sink moves the feed at i down the heap to where it belongs.
func (m *merge) sink(i int) {
	for {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(m.feeds); c++ {
			if m.feeds[c].head.before(&m.feeds[least].head) {
				least = c
			}
		}
		if least == i {
			return
		}
		m.feeds[i], m.feeds[least] = m.feeds[least], m.feeds[i]
		i = least
	}
}

func (h *head) before(o *head) bool {
	return h.key < o.key || h.key == o.key && h.rank < o.rank
}
