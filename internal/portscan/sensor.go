package portscan

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/florianl/go-nflog/v2"
	"golang.org/x/sys/unix"

	"gatehouse/internal/gate"
)

// Rule is what the events of this sensor count for.
const Rule = "scan"

// Source is where its events come from; their offset counts reports and
// connections since the start of the sensor.
const Source = "scan"

// Config is what an operator decides.
type Config struct {
	Group  uint16  // the group of messages that the rules send to; 0 = listen to none
	Decoys []Decoy // ports to listen on
}

// Deps is what the composition root provides.
type Deps struct {
	Log  *slog.Logger
	Emit func(context.Context, gate.Batch) error // takes a batch; it may wait
	// Held reads who is held from the kernel, at most so many; it is asked when
	// reports were lost. May be nil.
	Held func(most int) ([]netip.Prefix, error)
	// Full is told that a set of the kernel is full, seldom. May be nil.
	Full func(Packet)
	// Fault is told what is wrong with a part ("decoy 2323/tcp"), with what helps;
	// why == "" clears it. May be nil.
	Fault func(part, why, hint string)
}

// Sensor listens. Make one with [New]; [Sensor.Run] runs it. Its methods may be
// called from any goroutine.
type Sensor struct {
	config Config
	deps   Deps
	epoch  uint64
	queue  chan gate.Event // capacity queueLen; what comes while it is full is dropped and counted
	serial atomic.Int64
	memory memory
	decoys decoys
	counts counts
}

// counts is what status shows.
type counts struct {
	reports, holds, lost, dropped, strange atomic.Uint64
	fullAt                                 atomic.Int64 // Unix seconds when a set was last full; 0 = never
}

const (
	// queueLen is how many events may wait for the line: about 1 MB.
	queueLen = 4096
	// batchLen is the most events in one batch.
	batchLen = 512
	// snapLen is how much of a packet the kernel copies, in bytes: the headers,
	// with room for IPv6 extension headers.
	snapLen = 256
	// flushTicks is how long the kernel may gather messages, in 10 ms: nothing
	// waits for them, for the packet was dealt with already.
	flushTicks = 1
	// threshold is how many messages make it send at once.
	threshold = 32
	// readBuffer is the buffer for messages in bytes: some thousands.
	readBuffer = 4 << 20
)

// New returns a sensor that does nothing yet.
func New(c Config, d Deps) *Sensor {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Fault == nil {
		d.Fault = func(string, string, string) {}
	}
	return &Sensor{config: c, deps: d, epoch: uint64(time.Now().UnixNano()), queue: make(chan gate.Event, queueLen)}
}

// Run listens until ctx ends; then it returns nil. A decoy that cannot listen, and
// a group that another program has, are reported as faults and stop nothing else.
func (s *Sensor) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ends := make(chan error, 2)
	begun := 0
	start := func(run func(context.Context) error) {
		begun++
		go func() { ends <- run(ctx) }()
	}
	lost := make(chan struct{}, 1) // one place: a loss not yet looked at covers later ones
	if s.config.Group != 0 {
		start(func(ctx context.Context) error { return s.hear(ctx, lost) })
		start(func(ctx context.Context) error { return s.makeUp(ctx, lost) })
	}
	start(s.forward)
	s.decoys.open(ctx, s)
	defer s.decoys.close()
	var first error
	for range begun {
		if err := <-ends; err != nil && first == nil {
			first = err
		}
		cancel()
	}
	return first
}

// forward hands events to the line in batches.
func (s *Sensor) forward(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-s.queue:
			batch := append(make([]gate.Event, 0, 16), e)
			for more := true; more && len(batch) < batchLen; {
				select {
				case e := <-s.queue:
					batch = append(batch, e)
				default:
					more = false
				}
			}
			if err := s.deps.Emit(ctx, gate.Batch{Source: Source, Mark: "live", Events: batch, Live: true}); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return fmt.Errorf("hand on events of port scans: %w", err)
			}
		}
	}
}

// put queues an event, or drops and counts it.
func (s *Sensor) put(e gate.Event) {
	e.Rule = Rule
	e.Origin = gate.Origin{Source: Source, Epoch: s.epoch, Offset: s.serial.Add(1)}
	select {
	case s.queue <- e:
	default:
		s.counts.dropped.Add(1)
	}
}

// How long is waited before the group is tried again.
const (
	againFirst = time.Second
	againLast  = time.Minute
)

// hear listens to the group until ctx ends, and tries again while it cannot.
func (s *Sensor) hear(ctx context.Context, lost chan<- struct{}) error {
	const part = "port scan reports"
	for wait := againFirst; ; wait = min(2*wait, againLast) {
		conn, err := s.listen(ctx, lost)
		if err == nil {
			s.deps.Fault(part, "", "")
			<-ctx.Done()
			return conn.Close()
		}
		s.deps.Log.Warn("the kernel's reports of port scans cannot be heard", "err", err)
		s.deps.Fault(part, err.Error(), "end the other program that listens to this group, or choose another one: scan: {group: …}; whoever scans is held all the same, and not recorded")
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// listen binds to the group and reads messages in the background until ctx ends.
func (s *Sensor) listen(ctx context.Context, lost chan<- struct{}) (*nflog.Nflog, error) {
	conn, err := nflog.Open(&nflog.Config{
		Group: s.config.Group, Copymode: nflog.CopyPacket, Bufsize: snapLen, Flags: nflog.FlagSeq,
		QThresh: threshold, Timeout: flushTicks,
	})
	if err != nil {
		return nil, fmt.Errorf("open a socket for reports of the kernel: %w", err)
	}
	if err := conn.Con.SetReadBuffer(readBuffer); err != nil {
		s.deps.Log.Debug("small buffer for reports of the kernel", "err", err)
	}
	numbers := sequence{}
	missed := func(n uint64) {
		s.counts.lost.Add(n)
		select {
		case lost <- struct{}{}:
		default: // not yet seen: it covers this one
		}
	}
	err = conn.RegisterWithErrorFunc(ctx, func(a nflog.Attribute) int {
		if a.Seq != nil {
			if n := numbers.gap(*a.Seq); n > 0 {
				missed(n)
			}
		}
		s.take(a)
		return 0
	}, func(err error) int {
		if ctx.Err() != nil {
			return 1
		}
		if errors.Is(err, unix.ENOBUFS) {
			missed(0) // the numbers tell how many
			return 0
		}
		s.deps.Log.Warn("reading reports of the kernel failed", "err", err)
		return 0
	})
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("listen to group %d of the kernel's reports: %w", s.config.Group, err)
	}
	return conn, nil
}

// take turns one message into an event.
func (s *Sensor) take(a nflog.Attribute) {
	if a.Prefix == nil || a.Payload == nil {
		s.counts.strange.Add(1)
		return
	}
	report := gate.Report(*a.Prefix)
	p, err := Parse(*a.Payload)
	if err != nil || !p.Src.IsValid() {
		s.counts.strange.Add(1)
		return
	}
	s.counts.reports.Add(1)
	now := time.Now()
	if report == gate.ReportFull {
		if last := s.counts.fullAt.Swap(now.Unix()); now.Unix()-last >= fullEvery && s.deps.Full != nil {
			s.deps.Full(p)
		}
		return
	}
	e := EventOf(p, report, now)
	if e.Class == gate.ClassHeld {
		s.counts.holds.Add(1)
		s.memory.add(Held{Source: p.Src, Since: now, Report: report, Line: e.Line})
	}
	s.put(e)
}

// fullEvery is how often Deps.Full is told at most, in seconds.
const fullEvery = 60

// EventOf is the event of a packet that the kernel reported. Rule and Origin are
// not set.
func EventOf(p Packet, report gate.Report, now time.Time) gate.Event {
	e := gate.Event{
		Time: now, Pattern: gate.ProbePattern(p.Kind(), report), Subject: gate.AddrSubject(p.Src),
		Class: gate.ClassFailure, Evidence: gate.Forgeable,
		Detail: gate.Detail{Proto: p.Proto, Port: p.DstPort, Via: p.Dst.String()},
		Line:   p.Line(),
	}
	if report.Holds() {
		e.Class = gate.ClassHeld
	}
	return e
}

// Held returns what is remembered of the newest hold of an address in p.
func (s *Sensor) Held(p netip.Prefix) (Held, bool) { return s.memory.within(p) }

// Status is the state of the sensor.
type Status struct {
	Reports uint64 // messages of the kernel
	Holds   uint64 // of them, those of a new hold
	Lost    uint64 // messages that the kernel could not deliver
	Dropped uint64 // events that the line had no room for
	Strange uint64 // messages that could not be read
	FullAt  time.Time
	Decoys  []DecoyStatus
}

// Status returns the state of the sensor.
func (s *Sensor) Status() Status {
	st := Status{
		Reports: s.counts.reports.Load(), Holds: s.counts.holds.Load(), Lost: s.counts.lost.Load(),
		Dropped: s.counts.dropped.Load(), Strange: s.counts.strange.Load(), Decoys: s.decoys.status(),
	}
	if at := s.counts.fullAt.Load(); at != 0 {
		st.FullAt = time.Unix(at, 0).UTC()
	}
	return st
}
