package portscan

import (
	"context"
	"net/netip"
	"time"

	"gatehouse/internal/gate"
)

// sequence watches the numbers of the kernel's messages.
type sequence struct {
	next  uint32
	known bool
}

// gap returns how many messages are missing in front of this one.
func (q *sequence) gap(seq uint32) uint64 {
	n := seq - q.next
	if !q.known || n > 1<<31 { // the first one, or the numbers began anew
		n = 0
	}
	q.next, q.known = seq+1, true
	return uint64(n)
}

const (
	// readEvery is how often the held addresses are read at most after a loss.
	readEvery = 5 * time.Second
	// readMost is how many of them are taken over at once.
	readMost = 1024
)

// makeUp reads who is held when reports were lost, and tells of those that no
// report told of.
func (s *Sensor) makeUp(ctx context.Context, lost <-chan struct{}) error {
	if s.deps.Held == nil {
		<-ctx.Done()
		return nil
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-lost:
		}
		held, err := s.deps.Held(readMost)
		if err != nil {
			s.deps.Log.Warn("cannot read who is held", "err", err)
		}
		for _, p := range held {
			if _, known := s.memory.within(p); !known {
				s.put(s.heldEvent(p))
			}
		}
		timer := time.NewTimer(readEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// heldEvent is the event of a hold whose report was lost.
func (s *Sensor) heldEvent(p netip.Prefix) gate.Event {
	now := time.Now()
	const line = "held by the kernel; the report was lost"
	s.memory.add(Held{Source: p.Addr(), Since: now, Line: line})
	return gate.Event{
		Time: now, Pattern: "packet@lost", Subject: gate.PrefixSubject(p), Class: gate.ClassHeld,
		Evidence: gate.Forgeable, Line: line,
	}
}
