package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// flushTime is how long a letter waits to be durable before it is sent all the
// same: a full disk must not silence the guard.
const flushTime = 5 * time.Second

// deliver is the worker of one channel.
func (n *Notifier) deliver(ctx context.Context, o *outlet) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		l, at := n.pick(o, time.Now())
		if l != nil && !at.After(time.Now()) {
			n.attempt(ctx, o, l)
			continue
		}
		if l == nil {
			timer.Stop()
		} else {
			timer.Reset(time.Until(at))
		}
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-o.wake:
		}
	}
}

// pick returns the letter that is next in a channel, what is critical first, and
// when something can be done about it.
func (n *Notifier) pick(o *outlet, now time.Time) (*letter, time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.giveUp(o, now)
	if len(o.letters) == 0 {
		return nil, time.Time{}
	}
	l := slices.MinFunc(o.letters, func(a, b *letter) int {
		if ready := a.Next.After(now); ready != b.Next.After(now) {
			return map[bool]int{true: 1, false: -1}[ready]
		}
		if a.Next.After(now) {
			return a.Next.Compare(b.Next)
		}
		return int(min(b.Wave.Severity, Critical)/Critical) - int(min(a.Wave.Severity, Critical)/Critical)
	})
	at := l.Born.Add(giveUpAfter)
	for _, way := range n.ways(o) {
		if t := way.from(); t.Before(at) {
			at = t
		}
	}
	if l.Next.After(at) {
		at = l.Next
	}
	return l, at
}

// way is a channel by which a letter can go, and from when on it may.
type way struct {
	*outlet
	since time.Time
}

// from returns when the way can be tried.
func (w way) from() time.Time {
	if w.next.After(w.since) {
		return w.next
	}
	return w.since
}

// ways returns a channel and, where it fails, those that take over for it, each
// from when it has failed for long enough.
func (n *Notifier) ways(o *outlet) []way {
	list := []way{{o, time.Time{}}}
	for len(list) <= len(n.order) {
		last := list[len(list)-1]
		f := n.channels[last.Fallback]
		if f == nil || last.failing.IsZero() {
			break
		}
		since := last.failing.Add(last.Failover)
		if isPermanent(last.last) {
			since = last.failing
		}
		if since.Before(last.since) {
			since = last.since
		}
		list = append(list, way{f, since})
	}
	return list
}

// attempt tries one letter by the first way that is open.
func (n *Notifier) attempt(ctx context.Context, o *outlet, l *letter) {
	if !l.durable {
		n.flush(ctx, o)
	}
	for i := 0; ctx.Err() == nil; i++ {
		n.mu.Lock()
		ways := n.ways(o)
		now := time.Now()
		if i >= len(ways) || ways[i].since.After(now) {
			n.mu.Unlock()
			return
		}
		w := ways[i].outlet
		if w.next.After(now) {
			n.mu.Unlock()
			continue
		}
		if w.sender == nil {
			n.build(w)
		}
		sender := w.sender
		n.mu.Unlock()
		if sender == nil {
			continue // build noted why
		}
		err := n.send(ctx, sender, o, w, l)
		if ctx.Err() != nil && err != nil {
			return // we are stopping: it says nothing about the channel
		}
		n.mu.Lock()
		if err == nil {
			n.delivered(o, w, l)
			n.mu.Unlock()
			return
		}
		l.Tries++
		l.Error = sentence(err)
		n.failed(w, err)
		n.refused(o, l, err)
		n.mu.Unlock()
	}
}

// flush waits until all letters of a channel are on disk: with many of them, one
// wait is for all.
func (n *Notifier) flush(ctx context.Context, o *outlet) {
	n.mu.Lock()
	stored := slices.Clone(o.letters)
	n.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	if err := n.d.Flush(ctx); err != nil {
		n.d.Log.Warn("messages are sent that are not on disk yet", "channel", o.Name, "err", err)
	}
	for _, l := range stored {
		l.durable = true // only the worker of the channel looks at it
	}
}

// patience is how often a letter is tried before those behind it get their turn:
// one that makes its server fail must not hold up the rest.
const patience = 3

// refused puts a letter off that was not taken.
func (n *Notifier) refused(o *outlet, l *letter, err error) {
	if isPermanent(err) {
		l.Next = time.Now().Add(refusedAgain)
	}
	if l.Tries%patience == 0 {
		o.letters = append(slices.DeleteFunc(o.letters, func(x *letter) bool { return x == l }), l)
	}
	n.keep(l)
}

// send writes the message for a channel and sends it.
func (n *Notifier) send(ctx context.Context, s Sender, o, by *outlet, l *letter) error {
	copied := *l
	if by != o {
		n.mu.Lock()
		copied.Note = "for the channel " + o.Name + ", which has failed since " + o.failing.In(n.c.Zone).Format("Mon 15:04")
		n.mu.Unlock()
	}
	_, err := s.Send(ctx, messageOf(&copied, n.d.Host, n.d.Who))
	return err
}

// delivered forgets a letter that a channel has taken.
func (n *Notifier) delivered(o, by *outlet, l *letter) {
	o.letters = slices.DeleteFunc(o.letters, func(x *letter) bool { return x == l })
	n.d.Store.Delete(keyLetter + l.ID)
	by.sent++
	by.sentAt = time.Now()
	if !by.failing.IsZero() {
		n.d.Log.Info("a channel works again", "channel", by.Name, "dur", time.Since(by.failing).Round(time.Second))
	}
	by.failures, by.failing, by.next = 0, time.Time{}, time.Time{}
	n.fault(by)
	n.signal() // there may be room for waves
}

// failed notes that a channel has failed, and when it may be tried again.
func (n *Notifier) failed(o *outlet, err error) {
	now := time.Now()
	o.failures++
	if o.failing.IsZero() {
		o.failing = now
		n.d.Log.Warn("a channel fails", "channel", o.Name, "err", sentence(err))
	}
	o.last, o.lastAt = err, now
	o.next = now.Add(retryIn(o.failures, err))
	n.fault(o)
	o.nudge() // its worker may have a way that is open earlier
}

// faultAfter is how often a channel must fail in a row to be named in the
// daemon's weaknesses: the first time may be greylisting.
const faultAfter = 2

// fault tells how a channel fares.
func (n *Notifier) fault(o *outlet) {
	if n.d.Fault == nil {
		return
	}
	var te *TemplateError
	switch {
	case o.failing.IsZero():
		n.d.Fault(o.Name, "", "")
	case errors.As(o.last, &te):
		n.d.Fault(o.Name, sentence(o.last), "correct the template, then: gatehouse check && gatehouse reload")
	case o.failures >= faultAfter || isPermanent(o.last):
		n.d.Fault(o.Name, sentence(o.last), "try it with: gatehouse notify test "+o.Name+"; see what waits with: gatehouse notify queue")
	}
}

// giveUp takes letters away that are a day old, and says so.
func (n *Notifier) giveUp(o *outlet, now time.Time) {
	o.letters = slices.DeleteFunc(o.letters, func(l *letter) bool {
		if now.Sub(l.Born) < giveUpAfter {
			return false
		}
		n.d.Store.Delete(keyLetter + l.ID)
		o.lost += l.Wave.Count
		if l.Wave.Kind != kindLost {
			o.untold += l.Wave.Count
		}
		n.d.Log.Error("a message is given up after a day", "channel", o.Name, "id", l.ID, "kind", l.Wave.Kind, "count", l.Wave.Count, "err", l.Error)
		return true
	})
	if o.untold == 0 || now.Sub(n.state.Told[o.Name]) < lostEvery {
		return
	}
	n.state.Told[o.Name], n.dirty = now, true
	why := "no reason is known"
	if o.last != nil {
		why = sentence(o.last)
	}
	if n.d.Tell != nil {
		go n.d.Tell(lostPattern, fmt.Sprintf("messages on %d records were given up because channel %s has failed for a day: %s", o.untold, o.Name, why))
	}
	o.untold = 0
}

// kindLost is the kind of the record that says so.
const (
	lostPattern = "lost"
	kindLost    = "notify." + lostPattern
)
