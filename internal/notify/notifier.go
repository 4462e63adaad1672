package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/gate"
)

// Store is the small durable state that the notifier keeps: its waves, and a
// value for each letter. A change is seen at once and durable with the next
// commit; ledger.Keep is one.
type Store interface {
	All() (map[string][]byte, error)
	Put(name string, value []byte)
	Delete(name string)
}

// Deps is what a Notifier uses of the rest. The composition root provides it.
type Deps struct {
	Outside
	Log     *slog.Logger // required
	Host    string       // name of this machine, for messages
	Observe bool         // decisions are not enforced
	Store   Store        // required
	Newest  func() uint64
	// Follow yields each record behind a number, those to come included; see
	// ledger.Follow. Required.
	Follow  func(ctx context.Context, after uint64, yield func(gate.Record) bool) error
	Flush   func(ctx context.Context) error // returns when what was stored is durable. Required
	Network func(gate.Subject) string       // name of the configured network that a subject lies in; may be nil
	Who     func(gate.Subject) string       // what else is known of a subject, at once; may be nil
	Tell    func(kind, sentence string)     // brings a happening of ours into the ledger; may be nil
	Fault   func(channel, why, hint string) // notes what is wrong with a channel; why "" = nothing; may be nil
	Seen    func(seq uint64)                // notes how far records were read; may be nil
}

// Times and bounds of the queue.
const (
	giveUpAfter = 24 * time.Hour         // how old a letter may get
	saveEvery   = 250 * time.Millisecond // how long a record waits at most before its wave is stored
	maxLetters  = 2000                   // letters of one channel; then waves gather until there is room
	lostEvery   = 24 * time.Hour         // how often it is told that letters of a channel were given up
	forgetSent  = 7 * 24 * time.Hour     // how long it is known when a kind was last told
)

// Names in the store.
const (
	keyState  = "state"
	keyLetter = "letter "
)

// Notifier tells people what the ledger records. Make one with New, and Run it;
// its other methods are safe for concurrent use.
type Notifier struct {
	c      Config
	d      Deps
	routes routes

	changed chan struct{} // holds 1: something may be due earlier than before

	mu       sync.Mutex // guards all below, and what channels point to
	state    stored
	channels map[string]*outlet
	order    []string // names of channels, as configured
	dirty    bool     // the state differs from what is stored
	saved    time.Time
	tests    int
}

// stored is the state as one value, so that a record counts in all its waves or
// in none.
type stored struct {
	Seq    uint64               `json:"seq"`              // the last record that was routed
	Waves  []*wave              `json:"waves"`            // what gathers
	Sent   map[string]time.Time `json:"sent,omitempty"`   // channel/kind -> when its last letter was closed
	Tokens map[string]time.Time `json:"tokens,omitempty"` // bucket -> when it is full again; see admit
	Told   map[string]time.Time `json:"told,omitempty"`   // channel -> when it was last told that letters were given up
}

// outlet is a channel with its letters and how it fares.
type outlet struct {
	Channel
	sender  Sender        // nil = it could not be built
	letters []*letter     // in the order of their making
	wake    chan struct{} // holds 1: there is something new for its worker

	failures int       // in a row
	failing  time.Time // since when; zero = it works
	next     time.Time // not to be tried before
	last     error     // why it failed
	lastAt   time.Time
	sentAt   time.Time
	sent     int // letters since the start
	lost     int // records given up since the start
	untold   int // of them, those that were not told yet
}

// New returns a Notifier that goes on where the last one left off. A channel
// that cannot be built is off, which its status says, and is tried again.
func New(c Config, d Deps) (*Notifier, error) {
	if c.Zone == nil {
		c.Zone = time.Local
	}
	c.Channels = slices.Clone(c.Channels)
	n := &Notifier{c: c, d: d, changed: make(chan struct{}, 1), channels: map[string]*outlet{}}
	for i := range c.Channels {
		c.Channels[i].complete()
		ch := c.Channels[i]
		n.channels[ch.Name] = &outlet{Channel: ch, wake: make(chan struct{}, 1)}
		n.order = append(n.order, ch.Name)
	}
	n.routes = newRoutes(&c)
	for _, name := range n.order {
		n.build(n.channels[name])
	}
	return n, n.load()
}

// build makes the sender of a channel. It is called before Run and by the
// channel's worker.
func (n *Notifier) build(o *outlet) {
	s, err := NewSender(o.Channel, n.c.Templates, n.c.Zone, n.d.Outside)
	if err == nil {
		o.sender = s
		return
	}
	n.failed(o, &Failure{Why: "it is off: " + Clean(err.Error(), shownText), Permanent: true})
}

// load reads the state of the last run.
func (n *Notifier) load() error {
	all, err := n.d.Store.All()
	if err != nil {
		return fmt.Errorf("read what is to be told: %w", err)
	}
	n.state = stored{Seq: n.d.Newest()}
	if b, found := all[keyState]; found {
		if err := json.Unmarshal(b, &n.state); err != nil {
			n.d.Log.Error("what was gathering to be told is lost", "err", err)
			n.state = stored{Seq: n.d.Newest()}
		}
	}
	for _, m := range []*map[string]time.Time{&n.state.Sent, &n.state.Tokens, &n.state.Told} {
		if *m == nil {
			*m = map[string]time.Time{}
		}
	}
	n.state.Seq = min(n.state.Seq, n.d.Newest()) // records were lost with a damaged ledger
	gone := 0
	for name, b := range all {
		if !strings.HasPrefix(name, keyLetter) {
			continue
		}
		l := &letter{durable: true}
		if err := json.Unmarshal(b, l); err != nil {
			n.d.Log.Error("a message is lost", "name", name, "err", err)
			n.d.Store.Delete(name)
			continue
		}
		o := n.channels[l.Wave.Channel]
		if o == nil {
			n.d.Store.Delete(name)
			gone++
			continue
		}
		o.letters = append(o.letters, l)
	}
	known := map[string]bool{}
	for _, o := range n.channels {
		slices.SortFunc(o.letters, func(a, b *letter) int {
			if c := a.Born.Compare(b.Born); c != 0 {
				return c
			}
			return int(int64(a.Wave.Last) - int64(b.Wave.Last))
		})
		for _, l := range o.letters {
			known[l.ID] = true
		}
	}
	n.state.Waves = slices.DeleteFunc(n.state.Waves, func(w *wave) bool {
		if n.channels[w.Channel] == nil {
			gone++
			return true
		}
		return known[idOf(w)] // it became a letter just before the end
	})
	if gone > 0 {
		n.d.Log.Warn("messages for channels that are no longer configured are dropped", "count", gone)
	}
	return nil
}

// Run follows the ledger and delivers until ctx ends; then it stores what
// gathers and returns nil.
func (n *Notifier) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	var failed error
	wg.Go(func() {
		n.mu.Lock()
		from := n.state.Seq
		n.mu.Unlock()
		if failed = n.d.Follow(ctx, from, func(r gate.Record) bool { n.take(&r); return true }); failed != nil {
			cancel()
		}
	})
	wg.Go(func() { n.tend(ctx) })
	for _, name := range n.order {
		wg.Go(func() { n.deliver(ctx, n.channels[name]) })
	}
	wg.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.save(time.Now())
	return failed
}

// take routes one record into waves.
func (n *Notifier) take(r *gate.Record) {
	now := time.Now()
	s := subject{kind: r.Kind(), rule: r.Rule, text: r.Subject.String(), at: now.In(n.c.Zone)}
	if n.d.Network != nil {
		s.network = n.d.Network(r.Subject)
	}
	var to []string
	if now.Sub(r.Time) < giveUpAfter {
		to = n.routes.to(s)
	}
	var it Item
	if len(to) > 0 {
		it = itemOf(r, s.network)
		if n.d.Observe && it.Done != "" {
			it.Done = "nothing: Gatehouse only observes"
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.state.Seq, n.dirty = r.Seq, true
	opened := false
	for _, name := range to {
		if n.channels[name] == nil {
			continue // of a network whose channel is gone; check tells
		}
		w := n.wave(name, it.Kind)
		opened = opened || w.Count == 0
		w.add(it, r.Seq, now)
	}
	if opened || now.Sub(n.saved) > saveEvery {
		n.signal()
	}
}

// wave returns what gathers for a channel and a kind.
func (n *Notifier) wave(channel, kind string) *wave {
	mine := 0
	for _, w := range n.state.Waves {
		if w.Channel == channel {
			if w.Kind == kind {
				return w
			}
			mine++
		}
	}
	severity := SeverityOf(kind)
	if mine >= maxWaves && kind != others {
		return n.wave(channel, others)
	}
	w := &wave{Channel: channel, Kind: kind, Severity: severity}
	n.state.Waves = append(n.state.Waves, w)
	return w
}

func (n *Notifier) signal() {
	select {
	case n.changed <- struct{}{}:
	default:
	}
}
