package panel

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"gatehouse/internal/ad2"
)

// Panel is the connection to one alarm panel. Make it with New, then Run it. Its
// methods are safe for concurrent use; they fail with errStopped before Run has
// begun and after it has ended.
type Panel struct {
	c      Config
	d      Deps
	link   *link
	inputs chan input  // unbuffered, read by the loop
	calls  chan func() // unbuffered: run on the loop's goroutine
	ended  chan struct{}
	floor  *floor
	limits *limits
	server *server // nil = off

	// The loop's own.
	panel    *ad2.Panel
	lines    ad2.Lines
	up       bool
	greeted  bool // the adapter has spoken since it was connected
	noise    int  // lines that were none since then, while it had not
	place    string
	why      string
	hint     string
	since    time.Time // of up
	valid    uint64    // messages
	bad      uint64    // lines that were none
	last     time.Time // when the last message came
	asked    time.Time // when the adapter was last asked whether it is there
	dirty    bool      // the state is to be kept
	kept     time.Time
	waiting  map[*watcher]struct{}
	follow   map[*follower]struct{}
	delivery uint64 // sendings that the adapter has answered
	failures uint64 // ... of which it could not deliver
	version  string // the adapter's lines of that kind, as they came
	settings string
	teller   *teller
	out      *outbox

	budget budget // of records about clients
	waits  waits
	news   news
	once   sync.Once
}

// waits is how long the panel is waited for.
type waits struct {
	obey   time.Duration // for its state to change after an order
	speak  time.Duration // for it to say how it is
	answer time.Duration // for its state to change after a client's code
}

// errStopped is what is asked of a Panel that does not run.
var errStopped = errors.New("the connection to the alarm panel is being stopped")

// Times of the loop.
const (
	keepEvery = 5 * time.Second  // at most, state is kept
	askAfter  = 30 * time.Second // of silence, the adapter is asked whether it is there
	shortest  = 100 * time.Millisecond
	noiseMost = 10 // lines of noise before the first message are a fault
)

// New returns a Panel that is not connected yet. The error says what is wrong with
// the files that the server needs.
func New(c Config, d Deps) (*Panel, error) {
	p := &Panel{
		c: c, d: d, inputs: make(chan input), calls: make(chan func()), ended: make(chan struct{}), floor: newFloor(),
		panel: ad2.New(c.Panel), waiting: map[*watcher]struct{}{}, follow: map[*follower]struct{}{},
	}
	p.link = &link{c: c, to: p.inputs, open: open, heard: make(chan struct{}, 1)}
	p.limits = newLimits(d.Keep)
	p.budget.burst, p.budget.perHour = 60, 60
	p.waits = waits{obey: obeying, speak: firstWord, answer: answerTime}
	p.out = newOutbox()
	p.teller = newTeller(c, func(e ad2.Event) { p.out.put(outItem{event: &e}) })
	if c.Server.Listen != "" {
		s, err := newServer(c.Server, p)
		if err != nil {
			return nil, err
		}
		p.server = s
	}
	return p, nil
}

// String names the task.
func (p *Panel) String() string { return "alarm panel" }

// keptState is the name under which the state is kept.
const keptState = "state"

// Run keeps the connection, follows the panel and serves clients until ctx ends.
// It can be called once.
func (p *Panel) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var parts sync.WaitGroup
	go p.out.run(p.d)
	defer func() {
		stop()
		p.once.Do(func() { close(p.ended) })
		parts.Wait()
		p.save(time.Now(), true)
		p.out.close()
	}()
	p.restore()
	parts.Go(func() { p.link.run(ctx) })
	if p.server != nil {
		parts.Go(func() { p.server.run(ctx) })
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case in := <-p.inputs:
			p.take(in, time.Now())
		case call := <-p.calls:
			call()
		case <-timer.C:
			now := time.Now()
			p.events(p.panel.Advance(now))
			p.check(now)
		}
		now := time.Now()
		p.teller.advance(now)
		p.save(now, false)
		p.wake()
		timer.Reset(p.next(now))
	}
}

// next returns how long the loop may sleep.
func (p *Panel) next(now time.Time) time.Duration {
	next := now.Add(time.Hour)
	for _, t := range []time.Time{p.panel.Next(), p.teller.next(), p.nextCheck(), p.nextSave()} {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	return max(shortest, next.Sub(now))
}

// do runs f on the loop's goroutine and waits until it has.
func (p *Panel) do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case p.calls <- func() { defer close(done); f() }:
		<-done
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-p.ended:
		return errStopped
	}
}

// take handles what the connection brought.
func (p *Panel) take(in input, now time.Time) {
	if in.change {
		p.changed(in, now)
		return
	}
	p.lines.Feed(in.block, func(line []byte) { p.line(string(line), now) })
}

// changed handles that the connection came or went.
func (p *Panel) changed(in input, now time.Time) {
	p.lines.Reset()
	p.noise = 0
	if in.up {
		p.place = in.name
		if !p.up {
			p.up, p.since, p.why, p.hint = true, now, "", ""
			p.d.Log.Info("the alarm panel's adapter is connected", "sensor", in.name)
			p.events(p.panel.Link(true, "by "+in.name, now))
		}
		return
	}
	if in.quiet {
		return // the next place is tried, which is no news
	}
	if p.up || p.why != in.why {
		p.d.Log.Warn("no connection to the alarm panel", "err", in.why)
	}
	p.why, p.hint, p.greeted = in.why, in.hint, false
	if p.up {
		p.up, p.since = false, now
		p.banner(false)
	}
	p.events(p.panel.Link(false, in.why, now))
	p.d.Fault(PartPanel, in.why, in.hint)
}

// line handles one line of the adapter.
func (p *Panel) line(line string, now time.Time) {
	w, err := ad2.Decode(line)
	if err != nil || w.Skipped > 0 {
		p.bad++
		if p.noise++; !p.greeted && p.noise == noiseMost {
			p.d.Fault(PartPanel, "only noise comes from "+p.place, "check its speed, baud: in panel: (an AD2SERIAL speaks at 19200), and that it is an AlarmDecoder")
		}
		p.events(p.panel.Noise(now))
	}
	relay := true
	for _, m := range w.Messages {
		p.message(m, now)
		if n, ok := m.(*ad2.Note); ok && n.Kind == ad2.NoteLink {
			relay = false // the banner of another server: ours says it
		}
	}
	if len(w.Messages) > 0 {
		switch w.Messages[0].(type) {
		case *ad2.Version:
			p.version = line
		case *ad2.Settings:
			p.settings = line
		}
	}
	p.follows(Item{Time: now, Raw: line})
	if relay && p.server != nil {
		p.server.broadcast([]byte(line + "\r\n"))
	}
}

// message handles one message.
func (p *Panel) message(m ad2.Message, now time.Time) {
	p.valid++
	p.last = now
	select {
	case p.link.heard <- struct{}{}:
	default:
	}
	n, note := m.(*ad2.Note)
	if note {
		switch n.Kind {
		case ad2.NoteDelivered:
			p.delivery++
		case ad2.NoteUndelivered:
			p.delivery++
			p.failures++
		case ad2.NoteLink:
			p.banner(n.Up)
		}
	}
	if !p.greeted && (!note || n.Kind != ad2.NoteLink) {
		p.greeted = true
		p.d.Fault(PartPanel, "", "")
		p.banner(true)
	}
	p.events(p.panel.Observe(m, now))
	p.dirty = true
}

// events hands on what happened.
func (p *Panel) events(es []ad2.Event) {
	if len(es) > 0 {
		p.news.tell()
	}
	for _, e := range es {
		p.dirty, p.kept = true, time.Time{} // what is told is known after a crash, and not told again
		p.follows(Item{Time: e.Time, Event: &e})
		p.teller.take(e)
		switch e.Kind {
		case ad2.Silent:
			p.d.Fault(PartPanel, "it has said nothing for "+e.Time.Sub(e.Time.Add(-p.silence())).String(), "check the panel's power and the wires between panel and adapter")
		case ad2.Silent.Over():
			p.d.Fault(PartPanel, "", "")
		}
	}
}

func (p *Panel) silence() time.Duration {
	if p.c.Panel.Silence > 0 {
		return p.c.Panel.Silence
	}
	return ad2.DefaultSilence
}

// check asks a silent adapter whether it is there.
func (p *Panel) check(now time.Time) {
	if at := p.nextCheck(); p.up && !at.IsZero() && !now.Before(at) {
		p.asked = now
		go func() { _ = p.link.write([]byte("V\r")) }() // not on the loop: a device may block; the answer, or none, is what counts
	}
}

func (p *Panel) nextCheck() time.Time {
	if !p.up {
		return time.Time{}
	}
	heard := p.last
	if p.since.After(heard) {
		heard = p.since
	}
	if p.asked.After(heard) {
		heard = p.asked
	}
	return heard.Add(askAfter)
}

// restore takes back what was known before a restart.
func (p *Panel) restore() {
	data, found, err := p.d.Keep.Get(keptState)
	if err == nil && found {
		err = p.panel.Restore(data)
	}
	if err != nil {
		p.d.Log.Warn("what was known of the alarm panel is lost; it will tell", "err", err)
	}
}

func (p *Panel) nextSave() time.Time {
	if !p.dirty {
		return time.Time{}
	}
	return p.kept.Add(keepEvery)
}

// save keeps the state, not more often than every few seconds unless it must.
func (p *Panel) save(now time.Time, must bool) {
	if !p.dirty || !must && now.Sub(p.kept) < keepEvery {
		return
	}
	p.dirty, p.kept = false, now
	data, err := p.panel.Snapshot()
	if err != nil {
		p.d.Log.Error("keep the state of the alarm panel", "err", err)
		return
	}
	p.d.Keep.Put(keptState, data)
}

// banner tells clients whether the adapter is there.
func (p *Panel) banner(up bool) {
	if p.server != nil {
		p.server.state(up)
	}
}

// marshal is for what is kept.
func marshal(v any) []byte {
	b, _ := json.Marshal(v) // plain structs: cannot fail
	return b
}

// sorted returns a copy in order.
func sorted[T any](list []T, by func(a, b T) int) []T {
	out := slices.Clone(list)
	slices.SortFunc(out, by)
	return out
}
