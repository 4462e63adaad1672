package notify

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// tend closes waves whose time has come, and stores what gathers.
func (n *Notifier) tend(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		n.mu.Lock()
		next := n.close(time.Now())
		n.mu.Unlock()
		if wait := time.Until(next); next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(max(wait, 0))
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-n.changed:
		}
	}
}

// close turns waves that are due into letters, stores the state when it is time,
// and returns when there is something to do again; the zero time for never.
func (n *Notifier) close(now time.Time) (next time.Time) {
	earlier := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	var closed []*letter
	n.state.Waves = slices.DeleteFunc(n.state.Waves, func(w *wave) bool {
		at := n.due(w, now)
		if at.After(now) {
			earlier(at)
			return false
		}
		closed = append(closed, n.letter(w, now))
		return true
	})
	if len(closed) > 0 {
		n.save(now)
	}
	for _, l := range closed {
		n.channels[l.Wave.Channel].nudge()
	}
	switch {
	case n.dirty && now.Sub(n.saved) >= saveEvery:
		n.save(now)
	case n.dirty:
		earlier(n.saved.Add(saveEvery))
	}
	return next
}

// due returns when a wave becomes a letter.
func (n *Notifier) due(w *wave, now time.Time) time.Time {
	o := n.channels[w.Channel]
	if len(o.letters) >= maxLetters {
		return now.Add(time.Minute)
	}
	wait, every := o.Wait, o.Every
	switch w.Severity {
	case Critical:
		wait, every = 0, 0
	case Warning:
		wait, every = min(wait, warningWait), min(every, warningEvery)
	}
	at := w.Opened.Add(wait)
	if last, ok := n.state.Sent[w.Channel+"/"+w.Kind]; ok && last.Add(every).After(at) {
		at = last.Add(every)
	}
	if free := n.free(o, w.Severity); free.After(at) {
		at = free
	}
	if at.Before(now) {
		at = now
	}
	if w.Severity < o.Through {
		if end := o.quietUntil(at.In(n.c.Zone)); !end.IsZero() {
			at = end
		}
	}
	return at
}

// bucket is the rate limit that a letter counts against.
func bucket(o *outlet, s Severity) string {
	if s == Critical {
		return o.Name + "/critical"
	}
	return o.Name
}

// free returns when the rate limit of a channel admits one more letter. It is the
// generic cell rate algorithm: a token says when the bucket is full again, each
// letter moves it on by the interval, and a burst of Count is free.
func (n *Notifier) free(o *outlet, s Severity) time.Time {
	interval := o.Limit.Within / time.Duration(max(o.Limit.Count, 1))
	return n.state.Tokens[bucket(o, s)].Add(interval - o.Limit.Within)
}

// letter closes a wave: its letter is stored and in the queue of its channel.
func (n *Notifier) letter(w *wave, now time.Time) *letter {
	o := n.channels[w.Channel]
	l := &letter{ID: idOf(w), Wave: *w, Born: now}
	o.letters = append(o.letters, l)
	n.state.Sent[w.Channel+"/"+w.Kind] = now
	full := n.state.Tokens[bucket(o, w.Severity)]
	if full.Before(now) {
		full = now
	}
	n.state.Tokens[bucket(o, w.Severity)] = full.Add(o.Limit.Within / time.Duration(max(o.Limit.Count, 1)))
	n.keep(l)
	n.dirty = true
	return l
}

// keep stores a letter.
func (n *Notifier) keep(l *letter) {
	b, err := json.Marshal(l)
	if err != nil {
		n.d.Log.Error("store a message", "id", l.ID, "err", err)
		return
	}
	n.d.Store.Put(keyLetter+l.ID, b)
}

// save stores the state.
func (n *Notifier) save(now time.Time) {
	if !n.dirty {
		return
	}
	for _, m := range []map[string]time.Time{n.state.Sent, n.state.Tokens, n.state.Told} {
		maps.DeleteFunc(m, func(_ string, t time.Time) bool { return now.Sub(t) > forgetSent })
	}
	b, err := json.Marshal(&n.state)
	if err != nil {
		n.d.Log.Error("store what is to be told", "err", err)
		return
	}
	n.d.Store.Put(keyState, b)
	n.dirty, n.saved = false, now
	if n.d.Seen != nil {
		n.d.Seen(n.state.Seq)
	}
}

func (o *outlet) nudge() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}
